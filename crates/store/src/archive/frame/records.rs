//! The records of a batch as bytes. Telemetry repeats itself, so what came before in the same batch
//! is named by its number instead of written again.
//!
//! Numbers are varints: seven bits a byte, the lowest first, the top bit set on all but the last.
//! Signed numbers are zigzagged before (0, -1, 1, -2, … are 0, 1, 2, 3, …).
//!
//! - The records: how many there are, then each of them.
//! - A record: 0 and an alert; 1 and a new shape and its cells; 1 and the byte 254 and a machine; 1 and the
//!   byte 255 and a change by people, which counts as a record here; or else the number of a known shape
//!   plus 2 and its cells. Shapes are numbered from 0 as they come.
//! - An alert, a machine, a change: how many bytes, then these as postcard writes it.
//! - A shape: the table's id in a byte, then the columns that have a cell as a number of up to 128
//!   bits, the lowest for the first column.
//! - The cells: ascending by column, each as its column's type says.
//! - A text: 0 and a new text; or else the number of a known text plus 1. Texts are numbered from 0
//!   as they come.
//! - A new text: its length in bytes times two, and its bytes; or, if it is at least 16 lower-case
//!   hexadecimal digits and even in number, the count of bytes that these stand for, times two plus
//!   one, and those bytes.
//! - A number: signed.
//! - A truth value: a byte, 0 or 1.
//! - A time: in the row's first such cell the ticks since that of the row before (since 1970 in the
//!   first row), signed; in others the ticks since 1970, signed.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;

use foldhash::fast::RandomState;
use pintle_model::{Cell, ColumnId, ColumnType, Record, Row, Table, TableId, Time, tables};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Batch;
use crate::edit::Edit;

const ALERT: u64 = 0;
const NEW_SHAPE: u64 = 1;
const FIRST_SHAPE: u64 = 2;
/// In the place of a table's id: no table has these.
const MACHINE: u8 = 254;
const EDIT: u8 = 255;
const _: () = assert!(tables::ALL.len() <= MACHINE as usize);
const NEW_TEXT: u64 = 0;
const FIRST_TEXT: u64 = 1;
/// The fewest digits that are written as the bytes that they stand for.
const LEAST_DIGITS: usize = 16;

/// Appends the records, then the changes.
pub(super) fn write(records: &[Record], edits: &[Edit], out: &mut Vec<u8>) -> Result<(), postcard::Error> {
    write_number(out, (records.len() + edits.len()) as u128);
    let mut writer = Writer { out, shapes: HashMap::default(), texts: HashMap::default(), time: 0 };
    records.iter().try_for_each(|record| writer.record(record))?;
    edits.iter().try_for_each(|edit| writer.edit(edit))
}

struct Writer<'b, 'o> {
    out: &'o mut Vec<u8>,
    shapes: HashMap<(TableId, u128), u64, RandomState>,
    texts: HashMap<&'b str, u64, RandomState>,
    /// Of the row before.
    time: i64,
}

impl<'b> Writer<'b, '_> {
    fn record(&mut self, record: &'b Record) -> Result<(), postcard::Error> {
        match record {
            Record::Row(row) => self.row(row),
            Record::Alert(alert) => {
                self.number(ALERT);
                self.alone(alert)?;
            }
            Record::Machine(machine) => {
                self.number(NEW_SHAPE);
                self.out.push(MACHINE);
                self.alone(machine)?;
            }
        }
        Ok(())
    }

    fn edit(&mut self, edit: &Edit) -> Result<(), postcard::Error> {
        self.number(NEW_SHAPE);
        self.out.push(EDIT);
        self.alone(edit)
    }

    /// What is written with its length before it.
    fn alone(&mut self, thing: &impl Serialize) -> Result<(), postcard::Error> {
        let bytes = postcard::to_allocvec(thing)?;
        self.number(bytes.len() as u64);
        self.out.extend_from_slice(&bytes);
        Ok(())
    }

    fn row(&mut self, row: &'b Row) {
        let (shape, next) = ((row.table_id(), row.present()), self.shapes.len() as u64);
        let number = *self.shapes.entry(shape).or_insert(next);
        if number == next {
            self.number(NEW_SHAPE);
            self.out.push(shape.0.0);
            write_number(self.out, shape.1);
        } else {
            self.number(number + FIRST_SHAPE);
        }
        let mut is_first_time = true;
        for (_, cell) in row.cells() {
            match cell {
                Cell::Text(text) => self.text(text),
                Cell::Long(number) => self.number(zigzag(number)),
                Cell::Bool(value) => self.out.push(u8::from(value)),
                Cell::Time(time) if is_first_time => {
                    is_first_time = false;
                    let before = std::mem::replace(&mut self.time, time.ticks());
                    self.number(zigzag(time.ticks().wrapping_sub(before)));
                }
                Cell::Time(time) => self.number(zigzag(time.ticks())),
            }
        }
    }

    fn text(&mut self, text: &'b str) {
        let next = self.texts.len() as u64;
        let number = *self.texts.entry(text).or_insert(next);
        if number < next {
            return self.number(number + FIRST_TEXT);
        }
        self.number(NEW_TEXT);
        let before = self.out.len();
        if is_digits(text) {
            self.number(text.len() as u64 | 1);
            self.out.extend(text.as_bytes().chunks_exact(2).filter_map(|pair| {
                let [high, low] = pair else { return None };
                Some(digit(*high)? << 4 | digit(*low)?)
            }));
        } else {
            self.number((text.len() as u64) << 1);
            self.out.extend_from_slice(text.as_bytes());
        }
        debug_assert!(self.out.len() > before);
    }

    fn number(&mut self, number: u64) {
        write_number(self.out, number.into());
    }
}

/// Whether a text is written as the bytes that its digits stand for.
fn is_digits(text: &str) -> bool {
    text.len() >= LEAST_DIGITS
        && text.len().is_multiple_of(2)
        && text.bytes().all(|byte| digit(byte).is_some())
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

fn write_number(out: &mut Vec<u8>, mut number: u128) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// Reads what [`write`] wrote. Returns the records, the changes and what comes after them; `None` if it
/// was not written by it.
pub(super) fn read(bytes: &[u8]) -> Option<(Vec<Record>, Vec<Edit>, &[u8])> {
    let mut reader =
        Reader { left: bytes, shapes: Vec::new(), texts: String::new(), places: Vec::new(), time: 0 };
    let count = reader.size()?;
    let mut records = Vec::with_capacity(count.min(Batch::MAX_RECORDS));
    let mut edits = Vec::new();
    for _ in 0..count {
        match reader.one()? {
            One::Record(record) => records.push(record),
            One::Edit(edit) => edits.push(edit),
        }
    }
    Some((records, edits, reader.left))
}

enum One {
    Record(Record),
    Edit(Edit),
}

struct Reader<'a> {
    left: &'a [u8],
    shapes: Vec<(&'static Table, u128)>,
    /// The known texts one after another, …
    texts: String,
    /// … and where each is.
    places: Vec<Range<usize>>,
    time: i64,
}

impl Reader<'_> {
    fn one(&mut self) -> Option<One> {
        let number = match self.number()? {
            ALERT => return self.alone().map(|alert| One::Record(Record::Alert(alert))),
            NEW_SHAPE => {
                let table = self.byte()?;
                match table {
                    MACHINE => return self.alone().map(|machine| One::Record(Record::Machine(machine))),
                    EDIT => return self.alone().map(One::Edit),
                    _ => {}
                }
                let shape = (Table::get(TableId(table))?, self.wide_number()?);
                self.shapes.push(shape);
                self.shapes.len() - 1
            }
            known => usize::try_from(known - FIRST_SHAPE).ok()?,
        };
        let (table, mut present) = *self.shapes.get(number)?;
        let mut row = Row::new(table);
        let mut is_first_time = true;
        while present != 0 {
            let column = ColumnId(u8::try_from(present.trailing_zeros()).ok()?);
            present &= present - 1;
            match table.columns.get(usize::from(column.0))?.ty {
                ColumnType::Text => {
                    let place = self.text()?;
                    row.set(column, Cell::Text(self.texts.get(place)?));
                }
                ColumnType::Long | ColumnType::Int => row.set(column, Cell::Long(unzigzag(self.number()?))),
                ColumnType::Bool => row.set(column, Cell::Bool(self.byte()? != 0)),
                ColumnType::Time => {
                    let mut ticks = unzigzag(self.number()?);
                    if is_first_time {
                        is_first_time = false;
                        ticks = ticks.wrapping_add(self.time);
                        self.time = ticks;
                    }
                    row.set(column, Cell::Time(Time::from_ticks(ticks)));
                }
            }
        }
        Some(One::Record(Record::Row(row)))
    }

    /// What stands with its length before it.
    fn alone<T: DeserializeOwned>(&mut self) -> Option<T> {
        let length = self.size()?;
        postcard::from_bytes(self.bytes(length)?).ok()
    }

    /// Where the text that comes next is among the known ones.
    fn text(&mut self) -> Option<Range<usize>> {
        let number = self.number()?;
        if number != NEW_TEXT {
            return self.places.get(usize::try_from(number - FIRST_TEXT).ok()?).cloned();
        }
        let begin = self.texts.len();
        let length = self.size()?;
        let bytes = self.bytes(length >> 1)?;
        if length & 1 == 1 {
            for byte in bytes {
                write!(self.texts, "{byte:02x}").ok()?;
            }
        } else {
            self.texts.push_str(str::from_utf8(bytes).ok()?);
        }
        let place = begin..self.texts.len();
        self.places.push(place.clone());
        Some(place)
    }
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, left) = self.left.split_at_checked(count)?;
        self.left = left;
        Some(bytes)
    }

    fn byte(&mut self) -> Option<u8> {
        self.bytes(1)?.first().copied()
    }

    fn size(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    fn number(&mut self) -> Option<u64> {
        u64::try_from(self.wide_number()?).ok()
    }

    fn wide_number(&mut self) -> Option<u128> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.byte()?;
            number |= u128::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(number);
            }
            shift += 7;
        }
    }
}

#[cfg(test)]
mod tests {
    use pintle_model::tables::{device_file_events as file, device_info as info};
    use pintle_model::{Alert, Facts, Machine, shapes};

    use crate::edit::{Edited, TagMark};

    use super::*;

    fn records() -> Vec<Record> {
        let digits = "0123456789abcdef".repeat(4);
        let first = |length| digits.get(..length).unwrap();
        let texts = ["a", "", &digits, first(16), first(15), first(17), "ABCDEF0123456789", "é"];
        let mut records = Vec::new();
        for (number, text) in (0..).zip(texts.iter().chain(&texts)) {
            let mut row = Row::new(if number % 3 == 0 { &info::TABLE } else { &file::TABLE });
            let extremes = [i64::MIN, -1, 0, 1, i64::MAX];
            let number = extremes[number % extremes.len()];
            row.set(file::TIMESTAMP, Cell::Time(Time::from_ticks(number)));
            row.set_text(file::DEVICE_ID, Some(text));
            row.set_text(file::DEVICE_NAME, Some(text));
            if row.table_id() == file::TABLE.id {
                row.set(file::FILE_SIZE, Cell::Long(number));
                row.set(
                    file::INITIATING_PROCESS_CREATION_TIME,
                    Cell::Time(Time::from_ticks(-number.max(-7))),
                );
                row.set(file::IS_AZURE_INFO_PROTECTION_APPLIED, Cell::Bool(number > 0));
                row.set_text(file::MACHINE_GROUP, Some(text));
            }
            records.push(Record::Row(row));
        }
        let alert = Alert { id: "a".parse().unwrap(), facts: Facts::default(), evidence: Vec::new() };
        records.insert(7, Record::Alert(alert));
        let mut facts = Facts::default();
        facts.note_text(shapes::machine::COMPUTER_DNS_NAME, Time::from_ticks(9), Some("é"));
        facts.note(shapes::machine::OS_BUILD, Time::from_ticks(9), "null");
        records.insert(9, Record::Machine(Machine { id: "m".parse().unwrap(), facts }));
        records
    }

    fn edits() -> Vec<Edit> {
        let by = "alex".into();
        let members = vec![(7, "\"x\"".into()), (9, "null".into())];
        let of = Edited::Machine("m".parse().unwrap());
        let tags = vec![
            ("a".into(), TagMark::Given),
            ("b".into(), TagMark::Taken),
            ("c".into(), TagMark::Withdrawn),
        ];
        let made = Time::from_ticks(-3);
        let machine = Edit { of, made, by, members, comment: None, tags };
        let of = Edited::Alert("a".parse().unwrap());
        vec![machine.clone(), Edit { of, comment: Some("é".into()), ..machine }]
    }

    #[test]
    fn records_read_back_as_they_were() {
        let (records, edits) = (records(), edits());
        let mut bytes = Vec::new();
        write(&records, &edits, &mut bytes).unwrap();
        let written = bytes.len();
        bytes.extend_from_slice(b"after");
        assert_eq!(read(&bytes), Some((records, edits, &b"after"[..])));
        for length in 0..written {
            assert_eq!(read(&bytes[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn bytes_that_nobody_wrote_are_read_without_a_panic() {
        let mut bytes = Vec::new();
        write(&records(), &edits(), &mut bytes).unwrap();
        for place in 0..bytes.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[place] ^= change;
                read(&changed);
            }
        }
    }

    #[test]
    fn what_repeats_is_written_once() {
        let length = |count| {
            let mut row = Row::new(&file::TABLE);
            row.set_text(file::SHA1, Some(&"5a".repeat(20)));
            row.set_text(file::SHA256, Some(&"a5".repeat(32)));
            let mut bytes = Vec::new();
            write(&vec![Record::Row(row); count], &[], &mut bytes).unwrap();
            bytes.len()
        };
        // The digits of both take half as many bytes; a repeated row a number for each cell and one for
        // its shape.
        assert!(length(1) < 52 + 16, "{}", length(1));
        assert_eq!(length(101) - length(1), 100 * 3);
    }
}
