//! How much of the archive is certain to be durable, noted beside it.
//!
//! A frame that does not read after this is torn: it was being written when everything stopped, and
//! nobody was told that it is there. One that does not read before it was whole once, and was damaged
//! since. The note is written over in place after every sync and not synced itself: a killed process
//! leaves the newest, a power cut perhaps an older one, never one that says too much.
//!
//! `DURABLE`: `[segment u32][offset u64][crc32 u32]`, little-endian.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::Position;
use crate::Error;

/// The note, open for writing.
pub(super) struct Durable(File);

impl Durable {
    pub(super) fn open(folder: &Path) -> Result<Durable, Error> {
        let name = path(folder);
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(&name);
        file.map(Durable).map_err(Error::io(format!("opening {}", name.display())))
    }

    /// Notes that everything before `end` is durable.
    pub(super) fn note(&self, end: Position) -> Result<(), Error> {
        let noted = self.0.write_all_at(&encode(end), 0);
        noted.map_err(Error::io("noting how much of the archive is durable"))
    }

    /// Makes the note durable, so that there is a whole one from the start.
    pub(super) fn sync(&self) -> Result<(), Error> {
        self.0.sync_all().map_err(Error::io("syncing the archive's note of what is durable"))
    }
}

/// How much of the archive is certain to be durable: perhaps less than there is.
pub(crate) fn durable(folder: &Path) -> Position {
    let read = || {
        let note = fs::read(path(folder)).ok()?;
        let (fields, crc) = note.split_at_checked(12)?;
        let (segment, offset) = fields.split_first_chunk::<4>()?;
        let sound = crc32fast::hash(fields) == u32::from_le_bytes(crc.try_into().ok()?);
        let offset = u64::from_le_bytes(offset.try_into().ok()?);
        sound.then_some(Position { segment: u32::from_le_bytes(*segment), offset })
    };
    read().unwrap_or(Position::START)
}

/// Whether the note reads, if there is one: without it less is certain, but nothing is wrong.
pub(super) fn check(folder: &Path) -> Result<(), Error> {
    let file = path(folder);
    if !file.exists() || durable(folder) != Position::START || is_start(&file) {
        return Ok(());
    }
    Err(Error::Damaged { file, offset: 0, reason: "it does not read".to_owned() })
}

fn is_start(file: &Path) -> bool {
    fs::read(file).is_ok_and(|note| note == encode(Position::START))
}

fn encode(end: Position) -> Vec<u8> {
    let mut note = Vec::with_capacity(16);
    note.extend_from_slice(&end.segment.to_le_bytes());
    note.extend_from_slice(&end.offset.to_le_bytes());
    note.extend_from_slice(&crc32fast::hash(&note).to_le_bytes());
    note
}

fn path(folder: &Path) -> PathBuf {
    folder.join("DURABLE")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_last_is_read_and_nothing_that_was_not_noted() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(durable(folder.path()), Position::START);
        let note = Durable::open(folder.path()).unwrap();
        for end in [Position { segment: 1, offset: 500 }, Position { segment: 300, offset: 1 << 33 }] {
            note.note(end).unwrap();
            assert_eq!(durable(folder.path()), end);
        }
        let sound = fs::read(path(folder.path())).unwrap();
        for place in 0..sound.len() {
            let mut bytes = sound.clone();
            bytes[place] ^= 1;
            fs::write(path(folder.path()), &bytes).unwrap();
            assert_eq!(durable(folder.path()), Position::START, "{place}");
            fs::write(path(folder.path()), &sound[..place]).unwrap();
            assert_eq!(durable(folder.path()), Position::START, "{place}");
        }
    }
}
