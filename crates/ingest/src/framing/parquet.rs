//! Parquet: rows kept by columns, as data lakes have them. A row is handed on as a JSON object, so that
//! decoders need not know which of the two they read.
//!
//! The file is held in memory, because its end says where everything is. It is read here and not by the
//! `parquet` crate (60.1), which takes what a file says of itself at its word: it goes down the stack as deep
//! as the schema says, and asks for as much memory as there are columns and values, says the file. Either may
//! end the process, which nothing can catch: a file of 510 bytes asks for 16 GiB forty times.
//!
//! What is bounded: the file; its columns, and how they are nested; each page; the pages held at once; a row;
//! and the work that a file makes, because a few bytes may say "the same a billion times".

mod bits;
mod column;
mod metadata;
mod page;
mod row;
mod schema;
#[cfg(test)]
mod tests;
mod thrift;
mod values;

use std::cell::Cell;
use std::io::Read;

use super::{MAX_RECORD, Piece, Sink, TOO_LONG};
use crate::Error;
use crate::error::Stop;
use column::Column;
use metadata::{Group, Metadata};
use row::{Rows, Unwritten};
use schema::Schema;

/// The first and the last bytes of a Parquet file.
pub const MAGIC: [u8; 4] = *b"PAR1";

/// The largest file read: it is held in memory, because its end says where everything is.
const MAX_FILE: u64 = 512 << 20;
/// The most bytes of unpacked pages held at once.
const MAX_HELD: u64 = 512 << 20;
/// Work that a file may make: times its bytes, …
const WORK_A_BYTE: u64 = 1_000;
/// … and in any case. A unit is a byte written or a place for a value passed.
const FREE_WORK: u64 = 64 << 20;

const DAMAGED_FILE: &str = "damaged Parquet file: its end cannot be read";
const DAMAGED_ROWS: &str = "damaged rows of a Parquet file";

/// Values written in a way that is not read.
const ENCODING: Fault =
    Fault::Limit("is Parquet in an encoding that is not read; write it with the common ones");

/// Why something of a file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not as it should be; the next group of rows may be.
    Damage,
    /// It is not for reading here, and why, as what the file does.
    Limit(&'static str),
}

/// What reading one file may take.
pub struct Budget {
    held: Cell<u64>,
    work_left: Cell<u64>,
}

impl Budget {
    fn of(file_bytes: u64) -> Budget {
        let work = FREE_WORK.max(file_bytes.saturating_mul(WORK_A_BYTE));
        Budget { held: Cell::new(0), work_left: Cell::new(work) }
    }

    /// Notes that so many bytes are held more.
    fn hold(&self, bytes: u64) -> Result<(), Fault> {
        self.held.set(self.held.get() + bytes);
        if self.held.get() > MAX_HELD {
            return Err(Fault::Limit(
                "is Parquet of which more than 512 MiB would be held at once: write it with smaller pages",
            ));
        }
        Ok(())
    }

    /// Notes that so many are held no more.
    fn release(&self, bytes: u64) {
        self.held.set(self.held.get().saturating_sub(bytes));
    }

    /// Notes that so much was done.
    fn work(&self, units: u64) -> Result<(), Fault> {
        match self.work_left.get().checked_sub(units) {
            Some(left) => self.work_left.set(left),
            None => return Err(Fault::Limit("is Parquet that unpacks to more than 1,000 times its size")),
        }
        Ok(())
    }
}

/// Hands the rows of a file to `sink`.
pub fn split(input: &mut dyn Read, sink: &mut Sink<'_>) -> Result<(), Stop> {
    let mut file = Vec::new();
    input.take(MAX_FILE + 1).read_to_end(&mut file)?;
    if file.len() as u64 > MAX_FILE {
        let limit = format!("is a Parquet file larger than {} MiB; write it in parts", MAX_FILE >> 20);
        return Err(Stop::Said(Error::Limit(limit)));
    }
    let metadata = match Metadata::of(&file) {
        Ok(metadata) => metadata,
        Err(Fault::Damage) => return sink(Piece::Bad { offset: 0, reason: DAMAGED_FILE, bytes: &[] }),
        Err(Fault::Limit(limit)) => return Err(Stop::Said(Error::Limit(limit.to_owned()))),
    };
    let budget = Budget::of(file.len() as u64);
    let mut begin = 0;
    for group in &metadata.groups {
        budget.held.set(0);
        let mut rows = Split { begin, done: 0, sink: &mut *sink };
        match rows.group(&file, &metadata.schema, group, &budget) {
            Ok(()) => {}
            Err(Stopped::Stop(stop)) => return Err(stop),
            Err(Stopped::Fault(Fault::Damage)) => {
                let offset = begin + rows.done;
                sink(Piece::Bad { offset, reason: DAMAGED_ROWS, bytes: &[] })?;
            }
            Err(Stopped::Fault(Fault::Limit(limit))) => {
                return Err(Stop::Said(Error::Limit(limit.to_owned())));
            }
        }
        begin = begin.saturating_add(group.rows);
    }
    Ok(())
}

/// Why a group of rows was not read to its end.
enum Stopped {
    Stop(Stop),
    Fault(Fault),
}

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Stopped {
        Stopped::Fault(fault)
    }
}

/// A group of rows on its way.
struct Split<'s, 'k> {
    /// The number of its first row in the file.
    begin: u64,
    done: u64,
    sink: &'s mut Sink<'k>,
}

impl Split<'_, '_> {
    fn group(&mut self, file: &[u8], schema: &Schema, group: &Group, budget: &Budget) -> Result<(), Stopped> {
        let columns = schema.leaves.iter().zip(&group.chunks);
        let columns = columns.map(|(leaf, chunk)| Column::of(file, chunk, *leaf));
        let mut rows = Rows::of(schema, columns.collect::<Result<_, _>>()?, budget);
        let mut row = String::new();
        while self.done < group.rows {
            let offset = self.begin + self.done;
            let piece = match rows.next(&mut row) {
                Ok(()) => Piece::Record { offset, bytes: row.as_bytes() },
                Err(Unwritten::TooLong) => Piece::Bad { offset, reason: TOO_LONG, bytes: row.as_bytes() },
                Err(Unwritten::Fault(fault)) => return Err(fault.into()),
            };
            // Where columns do not agree about what a row is, it may be of the wrong values.
            if !rows.is_between_rows()? {
                return Err(Fault::Damage.into());
            }
            self.done += 1;
            (self.sink)(piece).map_err(Stopped::Stop)?;
        }
        Ok(())
    }
}
