//! What can go wrong, one variant per thing a caller could do about it.

use std::io;
use std::path::PathBuf;

use rustix::io::Errno;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process owns the folder: ask it, through its socket.
    #[error("the data folder {} is in use by another pintle", .0.display())]
    InUse(PathBuf),
    /// Written by a newer version: upgrade.
    #[error(
        "{what} is of format {found}, this pintle knows up to {known}: a newer pintle wrote it, so start that one"
    )]
    Newer {
        /// What is newer: the archive or the base, with its path.
        what: String,
        /// The format version found.
        found: u32,
        /// The newest format version this binary reads.
        known: u32,
    },
    /// Bytes on disk are not what was written: restore, or rebuild if it is the base.
    #[error("{} is damaged at byte {offset}: {reason}", .file.display())]
    Damaged {
        /// The damaged file.
        file: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// Parts of the archive are gone: keep the base.
    #[error("the archive no longer holds all that the base has: {} is missing (its caps drop the oldest part) or cut short, so a rebuild would forget what it held; the base stays as it is", .0.display())]
    ArchiveIncomplete(PathBuf),
    /// A write or a sync failed before, as of a disk that is going, so nothing is accepted any more: see to the
    /// disk, restart.
    #[error("the store accepts no more writes since an earlier one failed: {0}")]
    ReadOnly(String),
    /// There is no space for more: free some; it is tried again by itself.
    #[error("there is no space left: {0}; reading goes on, and writing will once there is space again")]
    Full(String),
    /// The batch is larger than a store takes at once: send less.
    #[error("a batch may hold at most {limit} {what}, this one has {found}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much the batch has.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// Telemetry came under a name that it cannot have ([`Batch::PEOPLE`]): give it another.
    ///
    /// [`Batch::PEOPLE`]: crate::Batch::PEOPLE
    #[error("the source `{0}` stands for what people change here: call this one something else")]
    ReservedSource(&'static str),
    /// A backup or a data folder cannot be made there: name another folder.
    #[error("{} cannot take it: {reason}", .folder.display())]
    UnfitFolder {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// Another backup of the same store is being made: wait.
    #[error("another backup is being made: try again once it is done")]
    BackupUnderWay,
    /// A folder is no backup, or one that was not finished.
    #[error("{} is no backup: it has no BACKUP.json, which is written last", .0.display())]
    NoBackup(PathBuf),
    /// The operating system refused.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, with the path.
        what: String,
        /// The refusal.
        source: io::Error,
    },
    /// What a list is ordered by takes more memory than one list may have, 256 MiB: ask for less of it.
    #[error("the list is too long to be put into this order: ask for a part of it, or order it by less")]
    TooMuchToOrder,
    /// Nobody waits for the answer any more ([`Listing::stop`]).
    ///
    /// [`Listing::stop`]: crate::Listing::stop
    #[error("stopped: nobody waits for the answer any more")]
    Stopped,
    /// The base is not what it should be, although its checksums are right.
    #[error("the base: {0}")]
    Engine(String),
}

impl Error {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        move |source| match source.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => Error::Full(format!("{}: {source}", what.into())),
            _ => Error::Io { what: what.into(), source },
        }
    }

    /// Whether the disk itself failed, not for want of space: what else it will lose, nobody knows.
    pub(crate) fn is_of_disk(&self) -> bool {
        let code = match self {
            Error::Io { source, .. } => source.raw_os_error(),
            _ => None,
        };
        code == Some(Errno::IO.raw_os_error())
    }

    /// The same for another who is to be told of it.
    pub(crate) fn again(&self) -> Error {
        match self {
            Error::Full(what) => Error::Full(what.clone()),
            Error::Damaged { file, offset, reason } => {
                Error::Damaged { file: file.clone(), offset: *offset, reason: reason.clone() }
            }
            other => Error::ReadOnly(other.to_string()),
        }
    }
}
