//! The audit log: every token issued or refused, every change of who may do what, every
//! administrative call, in `audit/00000001.jsonl` and on in the data folder.
//!
//! A line is a JSON object and ends with the hash of the line before and its own (`audit/line.rs`), so
//! that a line that was altered, taken out or put in is found ([`verify`]), also across files. `HEAD`
//! beside the files names the last line that is certain to be on the disk (`audit/head.rs`): by it lines
//! missing at the end are found. The chain proves nothing against who can write the folder and makes all
//! of it anew; who fears that writes a hash down elsewhere and asks for it later.
//!
//! Every file begins with a line that says which file it is, so that old files can be archived and
//! nothing can be taken from the beginning of those that stay.

mod entry;
mod flood;
mod head;
mod line;
mod log;
mod read;
mod verify;

#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pintle_model::Time;
use pintle_store::Clock;

pub use entry::{Actor, Entry, Kind, Outcome};
pub use line::Hash;
pub use read::{Asked, Line, newest};
pub use verify::{Found, Problem, Verified, verify};

use flood::Flood;
use head::Head;
use log::Log;
use verify::Walk;

use crate::private_file;

/// The folder, in the data folder.
pub const FOLDER: &str = "audit";

/// A file takes no more lines beyond this.
const FILE_BYTES: u64 = 64 << 20;

/// What keeps the audit log from being read or written.
#[derive(Debug, thiserror::Error)]
#[error("the audit log: {what}: {source}; see to the disk and to who owns the folder")]
pub struct Error {
    what: String,
    source: io::Error,
}

impl Error {
    fn io(what: &str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let what = format!("{what} {}", path.display());
        move |source| Error { what, source }
    }
}

/// The audit log of one data folder, open for more. Only its owner may have it.
pub struct Audit {
    folder: PathBuf,
    clock: Clock,
    written: Mutex<Written>,
    /// The last line that is certain to be on the disk. Held while that changes; never taken while
    /// `written` is held.
    synced: Mutex<u64>,
}

struct Written {
    log: Log,
    flood: Flood,
    /// Lines that could not be written since the last one that could.
    lost: u64,
}

impl Audit {
    /// Opens the log of a data folder, making it if there is none. What was torn by a crash is cut off
    /// and kept in a `.torn` file. A log whose end is not what `HEAD` says goes on all the same, with a
    /// line `audit.broken`: a server must start, and [`verify`] names it from then on.
    pub fn open(folder: &Path, clock: Clock) -> Result<Audit, Error> {
        Audit::open_with(folder, clock, FILE_BYTES)
    }

    fn open_with(folder: &Path, clock: Clock, file_bytes: u64) -> Result<Audit, Error> {
        let folder = folder.join(FOLDER);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(Error::io("making", &folder))?;
        let numbers = log::numbers(&folder)?;
        let mut head = head::read(&folder);
        if matches!(head, Ok(None)) && numbers.is_empty() {
            // So that one that is missing is always wrong.
            let first = Head { seq: 0, hash: Hash::NONE, file: 1 };
            head::write(&folder, first).map_err(Error::io("writing HEAD in", &folder))?;
            head = Ok(Some(first));
        }
        // What is before the file that HEAD names was synced before that file was made.
        let from = match &head {
            Ok(Some(head)) if numbers.contains(&head.file) => head.file,
            _ => numbers.last().copied().unwrap_or_default(),
        };
        let mut walk = Walk::new(head.as_ref().ok().copied().flatten(), None);
        for number in numbers.iter().filter(|number| **number >= from) {
            walk.file(&folder, *number, Some(number) == numbers.last())?;
        }
        let broken = match &head {
            Ok(_) => walk.end(),
            Err(error) => Some(format!("HEAD does not read: {error}")),
        };
        let torn = walk.torn();
        let known = head.ok().flatten();
        // Lines that are missing at the end leave a gap in the chain that stays to be seen.
        let (seq, hash) = walk.last().unwrap_or((0, Hash::NONE));
        let end = known.filter(|head| head.seq > seq).map_or((seq, hash), |head| (head.seq, head.hash));
        let number = numbers.last().copied().or(known.map(|head| head.file));
        let mut log = Log::open(&folder, number.unwrap_or(1), end, file_bytes)?;
        let torn = log.cut(torn)?;
        let written = Written { log, flood: Flood::default(), lost: 0 };
        let synced = known.map_or(0, |head| head.seq);
        let audit = Audit { folder, clock, written: Mutex::new(written), synced: Mutex::new(synced) };
        if let Some(reason) = broken {
            tracing::error!(reason, "the audit log is not what it was: `pintle audit verify` says more");
            audit.note(Entry::new(Actor::server(), "audit.broken").failed(reason));
        }
        if let Some((kept, bytes)) = torn {
            tracing::warn!(%kept, bytes, "the audit log ended in a line that was being written; it was set aside");
            audit.note(Entry::new(Actor::server(), "audit.torn").on(kept).with("bytes", bytes));
        }
        Ok(audit)
    }

    /// Writes a line that is durable within a second ([`Audit::flush`]): for what is many. A refusal
    /// that is like many others of the last minute is only counted. Never fails: what cannot be written
    /// is counted, logged once, and told in the log itself as soon as it can be.
    pub fn note(&self, entry: Entry) {
        let now = (self.clock)();
        let mut written = hold(&self.written);
        written.tell_counted(|flood| flood.ended(now), now);
        if let Some(entry) = written.flood.pass(entry, now) {
            // What fails is counted and logged there.
            let _ = written.append_lines(entry, now);
        }
    }

    /// Writes a line, or all that its list takes, that is durable when this returns: for what changes
    /// who may do what or what is known, and for administrative calls.
    pub fn record(&self, entry: Entry) -> Result<(), Error> {
        let now = (self.clock)();
        hold(&self.written).append_lines(entry, now).map_err(Error::io("writing in", &self.folder))?;
        self.sync()
    }

    /// Makes durable what was noted, and writes down how many refusals of past minutes were only
    /// counted.
    pub fn flush(&self) -> Result<(), Error> {
        let now = (self.clock)();
        hold(&self.written).tell_counted(|flood| flood.ended(now), now);
        self.sync()
    }

    /// The same with what was counted in the minute that still runs. What is noted afterwards is
    /// written all the same.
    pub fn close(&self) -> Result<(), Error> {
        let now = (self.clock)();
        hold(&self.written).tell_counted(Flood::all, now);
        self.sync()
    }

    /// Writing goes on meanwhile.
    fn sync(&self) -> Result<(), Error> {
        let mut synced = hold(&self.synced);
        let end = hold(&self.written).log.end();
        let Some((file, head)) = end.filter(|(_, head)| head.seq > *synced) else { return Ok(()) };
        file.sync_data().map_err(Error::io("syncing", &self.folder))?;
        head::write(&self.folder, head).map_err(Error::io("writing HEAD in", &self.folder))?;
        *synced = head.seq;
        Ok(())
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "the last lines of the audit log are not certain to be on the disk");
        }
    }
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audit").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Written {
    fn append(&mut self, entry: &Entry, repeated: Option<u64>, now: Time) -> io::Result<()> {
        let mut append = || {
            if self.lost > 0 {
                let lost = Entry::new(Actor::server(), "audit.lost").with("lines", self.lost);
                self.log.append(&lost.outcome(Outcome::Failed), None, now)?;
                self.lost = 0;
            }
            self.log.append(entry, repeated, now)
        };
        append().inspect_err(|error| {
            if self.lost == 0 {
                tracing::error!(%error, "the audit log cannot be written: how many lines it lacks will be in it");
            }
            self.lost += 1;
        })
    }

    /// Writes every line of an entry that can be written; the first error otherwise.
    fn append_lines(&mut self, entry: Entry, now: Time) -> io::Result<()> {
        let lines = entry.lines();
        lines.iter().map(|line| self.append(line, None, now)).fold(Ok(()), io::Result::and)
    }

    fn tell_counted(&mut self, counted: impl FnOnce(&mut Flood) -> Vec<(Entry, u64)>, now: Time) {
        for (entry, repeated) in counted(&mut self.flood) {
            // It is counted and logged there.
            let _ = self.append(&entry, Some(repeated), now);
        }
    }
}

/// A file of a backup that has no other's content: its name and its bytes.
type Given = (String, Vec<u8>);

/// What a backup takes of the log of a data folder in use: `HEAD` as it is now, and the names of the
/// files, which hold what it names and only grow.
pub(crate) fn for_backup(folder: &Path) -> Result<(Option<Given>, Vec<String>), Error> {
    let logged = folder.join(FOLDER);
    let path = logged.join(head::NAME);
    let head = private_file::read(&path).map_err(Error::io("reading", &path))?;
    let below = |name: &str| format!("{FOLDER}/{name}");
    let names = log::numbers(&logged)?.into_iter().map(|number| below(&log::name(number)));
    Ok((head.map(|bytes| (below(head::NAME), bytes)), names.collect()))
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
