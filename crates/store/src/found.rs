//! What is read: the answers' types. Entities are handed out as the inside of a JSON object
//! (`"id":"…","incidentId":null,…`), members in wire order, so that the server only adds the
//! envelope.

use pintle_model::{FileHash, MachineId, Time};
use serde::{Deserialize, Serialize};

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Rows to leave out at the start.
    pub skip: usize,
    /// Rows to give at most.
    pub top: usize,
}

impl Page {
    /// Everything.
    pub const ALL: Page = Page { skip: 0, top: usize::MAX };
}

/// First and last time something was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The earliest plausible event.
    pub first: Time,
    /// The latest plausible event.
    pub last: Time,
}

/// What came of asking for a file's machines; the machines themselves were written to the buffer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileMachines {
    /// Machines written.
    pub written: usize,
    /// Hashes of another kind that stand beside several hashes of the asked kind: records that
    /// carry only these could not be counted to the asked file, so machines may be missing. Ask
    /// for these to see them.
    pub ask_instead: Vec<FileHash>,
    /// The hash stands beside more others than are looked at (1,000), so machines may be missing.
    pub cut_short: bool,
    /// A part of the archive was damaged before the base had it ([`Store::troubles`] names the file),
    /// so machines may be missing.
    ///
    /// [`Store::troubles`]: crate::Store::troubles
    pub damaged: bool,
}

/// A machine on which a file was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The machine.
    pub machine: MachineId,
    /// Its name, if a source gave one.
    pub name: Option<String>,
    /// When the file was the object of an event there (created, loaded, executed, deleted, named
    /// as evidence); `None` if it never was.
    pub as_target: Option<Span>,
    /// When it was seen in any role, also as the process behind an event; `None` if no event had
    /// a plausible time.
    pub any_role: Option<Span>,
}

/// A file whose hashes do not belong together one to one, so that records with only some of them
/// cannot all be counted to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// What the file goes by: its SHA-1; without a single one its SHA-256, else its MD5.
    pub hash: FileHash,
    /// The hashes seen beside it, ascending; of at least one kind there are several.
    pub partners: Vec<FileHash>,
}

/// A batch that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchInfo {
    /// Its id: the SHA-256 of what it holds.
    pub id: [u8; 32],
    /// When it was taken in.
    pub received: Time,
    /// Where it came from.
    pub source: String,
    /// Records in it.
    pub records: u64,
    /// Records kept aside of it.
    pub rejects: u64,
}
