//! Archives: one input with many in it, read member by member as it was delivered. Nothing is put on the
//! disk under a member's name: names are text, in what is kept aside. Nothing here knows a record.

mod tar;
mod zip;

use std::io::Read;

use crate::error::Stop;
use crate::read::counts::Counts;

pub use tar::members as tar_members;
pub use zip::members as zip_members;

/// How many members an archive may have, those of archives in it with them.
pub const MAX_MEMBERS: usize = 100_000;
/// The longest name of a member, in bytes; of a longer one the end is left out.
const MAX_NAME: usize = 512;
/// How much is looked at to tell an archive.
pub const HEAD: usize = 512;

const DAMAGED: &str = "damaged archive: what comes after this is not read";

/// What kind of archive an input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Members one after the other: it can be read as it comes.
    Tar,
    /// Members by a directory at the end: only that says which of the bytes before it count, so it is read
    /// back and forth.
    Zip,
}

/// Tells an archive from the first [`HEAD`] bytes of an input.
pub fn kind(head: &[u8]) -> Option<Kind> {
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return Some(Kind::Zip);
    }
    tar::is_header(head).then_some(Kind::Tar)
}

/// Something in an archive.
pub enum Member<'m> {
    /// What may be telemetry: its name and its bytes.
    File(String, &'m mut dyn Read),
    /// What cannot be read: its name and why.
    Unreadable(String, &'static str),
    /// The archive itself does not go on, and why.
    End(&'static str),
}

/// What takes the members, in order.
pub type Visit<'v> = dyn FnMut(Member<'_>) -> Result<(), Stop> + 'v;

/// More members than there may be.
pub fn too_many(counts: &Counts) -> Stop {
    let limit = format!("has more than {MAX_MEMBERS} members: send it in parts");
    Stop::Input(counts.refuse(limit))
}

/// A member's name as text, not too long.
fn name(bytes: &[u8]) -> String {
    let short = bytes.get(..MAX_NAME).unwrap_or(bytes);
    let mut text = String::from_utf8_lossy(short).trim_end_matches('\0').to_owned();
    if short.len() < bytes.len() {
        text.push('…');
    }
    text
}

/// Hidden files, and what archivers of macOS put beside every file, in whatever folder.
fn is_left_out(name: &str) -> bool {
    let is_hidden = |part: &str| part.starts_with('.') && part != "." && part != "..";
    name.split(['/', '\\']).any(|part| is_hidden(part) || part == "__MACOSX")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_members_are_left_out_in_whatever_folder_and_names_are_only_text() {
        for left_out in [".a", "x/.git/config", "__MACOSX/._a.json", r"logs\.b", "./.hidden"] {
            assert!(is_left_out(left_out), "{left_out}");
        }
        for taken in ["a.json", "./a.json", "../../etc/a.json", "/etc/a", "x..y/z.", r"C:\logs\a.evtx", ""] {
            assert!(!is_left_out(taken), "{taken}");
        }
        assert_eq!(name(b"a\xff\0\0"), "a\u{fffd}");
        assert_eq!(name(&[b'a'; 600]), "a".repeat(512) + "…");
    }
}
