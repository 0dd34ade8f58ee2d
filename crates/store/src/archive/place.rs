//! One batch where it is known to be.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Seek, SeekFrom};
use std::path::Path;

use super::{ArchivedBatch, Position, frame, path};
use crate::Error;

/// Where a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Where its frame begins.
    pub(crate) begins: Position,
    /// What comes after it.
    pub(crate) ends: Position,
}

impl Place {
    /// Of a frame of so many bytes that ends there.
    pub(crate) fn ending_at(ends: Position, bytes: u64) -> Place {
        Place { begins: Position { offset: ends.offset.saturating_sub(bytes), ..ends }, ends }
    }
}

/// The batch that begins at a position. `None`: the segment was dropped, or there is none so long.
pub(crate) fn read_at(
    folder: &Path,
    Position { segment, offset }: Position,
) -> Result<Option<ArchivedBatch>, Error> {
    let name = path(folder, segment);
    let reading = || Error::io(format!("reading {}", name.display()));
    let mut file = match File::open(&name) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(reading()(error)),
    };
    let length = file.metadata().map_err(reading())?.len();
    if offset >= length {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(offset)).map_err(reading())?;
    match frame::read(&mut BufReader::new(file), length - offset) {
        Ok((batch, _)) => Ok(batch),
        Err(frame::Problem::Io(source)) => Err(reading()(source)),
        Err(frame::Problem::Broken(reason) | frame::Problem::Strange(reason)) => {
            Err(Error::Damaged { file: name, offset, reason: reason.into() })
        }
    }
}
