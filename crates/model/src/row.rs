//! A row of a hunting table. Telemetry is millions of these, so a row is two allocations however
//! many cells it has: its texts one after another, and a word a cell.

use std::fmt;

use crate::{ColumnId, ColumnType, HashKind, Hashes, Table, TableId, Time};

/// A value of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// Of a `string` column.
    Text(&'a str),
    /// Of a `long` or `int` column.
    Long(i64),
    /// Of a `bool` column.
    Bool(bool),
    /// Of a `datetime` column.
    Time(Time),
}

/// A row of a hunting table. Absent cells take no room.
#[derive(Clone)]
pub struct Row {
    table: TableId,
    /// The columns that have a cell, a bit each.
    present: u128,
    /// Ascending by column. A text's first byte in `texts` above its length; of all else the value.
    cells: Vec<u64>,
    /// A text that was set again leaves its bytes behind.
    texts: String,
}

impl Row {
    /// An empty row of `table`.
    pub fn new(table: &Table) -> Row {
        Row::with_room(table, 512)
    }

    /// An empty row of `table` with room for so many bytes of text.
    pub fn with_room(table: &Table, bytes: usize) -> Row {
        Row {
            table: table.id,
            present: 0,
            cells: Vec::with_capacity(32),
            texts: String::with_capacity(bytes),
        }
    }

    /// The row's table; `None` only for a row read from a newer version's disk.
    pub fn table(&self) -> Option<&'static Table> {
        Table::get(self.table)
    }

    /// The id of the row's table.
    pub fn table_id(&self) -> TableId {
        self.table
    }

    /// The columns that have a cell: the bit of a column's place is set.
    pub fn present(&self) -> u128 {
        self.present
    }

    /// The cells that are there, ascending by column.
    pub fn cells(&self) -> impl Iterator<Item = (ColumnId, Cell<'_>)> {
        let columns = self.table().map_or(&[][..], |table| table.columns);
        let mut left = self.present;
        self.cells.iter().filter_map(move |word| {
            let place = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            let column = ColumnId(u8::try_from(place).ok()?);
            let cell = self.cell(columns.get(usize::from(column.0))?.ty, *word)?;
            Some((column, cell))
        })
    }

    fn cell(&self, ty: ColumnType, word: u64) -> Option<Cell<'_>> {
        Some(match ty {
            ColumnType::Text => Cell::Text(self.text_at(word)?),
            ColumnType::Long | ColumnType::Int => Cell::Long(word.cast_signed()),
            ColumnType::Bool => Cell::Bool(word != 0),
            ColumnType::Time => Cell::Time(Time::from_ticks(word.cast_signed())),
        })
    }

    fn text_at(&self, word: u64) -> Option<&str> {
        let (begin, length) = (usize::try_from(word >> 32).ok()?, usize::try_from(word & 0xffff_ffff).ok()?);
        self.texts.get(begin..begin + length)
    }

    /// Sets a cell. A cell that is not of its column's type is left out: types are checked at
    /// the door, so this only guards against a decoder's slip.
    pub fn set(&mut self, column: ColumnId, cell: Cell<'_>) {
        let ty = self.ty(column);
        let word = match (ty, cell) {
            (Some(ColumnType::Text), Cell::Text(text)) => self.keep(text),
            (Some(ColumnType::Long | ColumnType::Int), Cell::Long(number)) => Some(number.cast_unsigned()),
            (Some(ColumnType::Bool), Cell::Bool(value)) => Some(u64::from(value)),
            (Some(ColumnType::Time), Cell::Time(time)) => Some(time.ticks().cast_unsigned()),
            _ => None,
        };
        debug_assert!(word.is_some(), "{cell:?} does not fit column {column:?} of {:?}", self.table);
        let Some(word) = word else { return };
        let (bit, place) = (self.bit(column), self.place(column));
        if self.present & bit == 0 {
            self.present |= bit;
            self.cells.insert(place, word);
        } else if let Some(old) = self.cells.get_mut(place) {
            *old = word;
        }
    }

    fn keep(&mut self, text: &str) -> Option<u64> {
        let begin = u32::try_from(self.texts.len()).ok()?;
        let length = u32::try_from(text.len()).ok()?;
        self.texts.push_str(text);
        Some(u64::from(begin) << 32 | u64::from(length))
    }

    fn ty(&self, column: ColumnId) -> Option<ColumnType> {
        Some(self.table()?.columns.get(usize::from(column.0))?.ty)
    }

    fn bit(&self, column: ColumnId) -> u128 {
        1_u128.checked_shl(column.0.into()).unwrap_or_default()
    }

    /// Where the cell of a column is or would be.
    fn place(&self, column: ColumnId) -> usize {
        (self.present & self.bit(column).wrapping_sub(1)).count_ones() as usize
    }

    /// Sets a text, unless it is absent or empty.
    pub fn set_text(&mut self, column: ColumnId, text: Option<&str>) {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            self.set(column, Cell::Text(text));
        }
    }

    /// Sets a number, if there.
    pub fn set_long(&mut self, column: ColumnId, number: Option<i64>) {
        if let Some(number) = number {
            self.set(column, Cell::Long(number));
        }
    }

    /// Sets a truth value, if there.
    pub fn set_bool(&mut self, column: ColumnId, value: Option<bool>) {
        if let Some(value) = value {
            self.set(column, Cell::Bool(value));
        }
    }

    /// Sets a point in time, if there.
    pub fn set_time(&mut self, column: ColumnId, time: Option<Time>) {
        if let Some(time) = time {
            self.set(column, Cell::Time(time));
        }
    }

    /// Sets the hashes that are there, in lower case.
    pub fn set_hashes(&mut self, sha1: ColumnId, sha256: ColumnId, md5: ColumnId, hashes: &Hashes) {
        for (column, hash) in [
            (sha1, hashes.get(HashKind::Sha1)),
            (sha256, hashes.get(HashKind::Sha256)),
            (md5, hashes.get(HashKind::Md5)),
        ] {
            if let Some(hash) = hash {
                self.set(column, Cell::Text(&hash.to_string()));
            }
        }
    }

    /// The word of a cell that is there and in a column of one of these types.
    fn word(&self, column: ColumnId, types: &[ColumnType]) -> Option<u64> {
        if self.present & self.bit(column) == 0 || !types.contains(&self.ty(column)?) {
            return None;
        }
        self.cells.get(self.place(column)).copied()
    }

    /// A text that is there and not empty.
    pub fn text(&self, column: ColumnId) -> Option<&str> {
        self.text_at(self.word(column, &[ColumnType::Text])?)
    }

    /// A number.
    pub fn long(&self, column: ColumnId) -> Option<i64> {
        self.word(column, &[ColumnType::Long, ColumnType::Int]).map(u64::cast_signed)
    }

    /// A truth value.
    pub fn bool(&self, column: ColumnId) -> Option<bool> {
        self.word(column, &[ColumnType::Bool]).map(|word| word != 0)
    }

    /// A point in time.
    pub fn time(&self, column: ColumnId) -> Option<Time> {
        self.word(column, &[ColumnType::Time]).map(|word| Time::from_ticks(word.cast_signed()))
    }
}

/// Rows are the same when their cells are, whatever order they were set in.
impl PartialEq for Row {
    fn eq(&self, other: &Row) -> bool {
        self.table == other.table && self.present == other.present && self.cells().eq(other.cells())
    }
}

impl Eq for Row {}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = self.table();
        let name = |column: ColumnId| Some(table?.columns.get(usize::from(column.0))?.name);
        write!(f, "{} ", table.map_or("?", |table| table.name))?;
        f.debug_map().entries(self.cells().map(|(column, cell)| (name(column).unwrap_or("?"), cell))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::device_file_events as t;

    #[test]
    fn a_row_is_what_its_cells_are_whatever_order_they_were_set_in() {
        let cells = [
            (t::SHA1, Cell::Text("é1")),
            (t::TIMESTAMP, Cell::Time(Time::from_ticks(-7))),
            (t::MACHINE_GROUP, Cell::Text("g")),
            (t::FILE_SIZE, Cell::Long(i64::MIN)),
            (t::IS_AZURE_INFO_PROTECTION_APPLIED, Cell::Bool(false)),
        ];
        let (mut one, mut other) = (Row::new(&t::TABLE), Row::new(&t::TABLE));
        other.set(t::SHA1, Cell::Text("before"));
        for place in 0..cells.len() {
            let (column, cell) = cells[place];
            one.set(column, cell);
            assert!(one.cells().any(|there| there == (column, cell)));
            let (column, cell) = cells[cells.len() - 1 - place];
            other.set(column, cell);
        }
        assert_eq!(one, other);
        let columns: Vec<u8> = one.cells().map(|(column, _)| column.0).collect();
        assert!(columns.is_sorted() && columns.len() == cells.len(), "{columns:?}");
        assert_eq!(
            (one.text(t::SHA1), one.text(t::SHA256), one.text(t::FILE_SIZE)),
            (Some("é1"), None, None)
        );
        assert_eq!((one.long(t::FILE_SIZE), one.long(t::SHA1)), (Some(i64::MIN), None));
        other.set_text(t::MACHINE_GROUP, Some("h"));
        assert_ne!(one, other);
    }
}
