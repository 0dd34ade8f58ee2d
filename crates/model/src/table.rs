//! Hunting tables and their rows.

use serde::{Deserialize, Serialize};

use crate::{Time, tables};

/// The KQL type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// `string`. An absent value and an empty one are the same.
    Text,
    /// `long`, signed 64-bit.
    Long,
    /// `int`, signed 32-bit; kept as 64-bit.
    Int,
    /// `bool`.
    Bool,
    /// `datetime`, ticks of 100 ns.
    Time,
}

/// A column of a hunting table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The name, case-sensitive as in KQL.
    pub name: &'static str,
    /// The type.
    pub ty: ColumnType,
}

/// The place of a column in its table. It is written to disk, so columns are only ever added at
/// the end of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnId(pub u8);

/// The place of a table in [`tables::ALL`]; written to disk too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableId(pub u8);

/// A hunting table: a name and its columns in the published order.
#[derive(Debug)]
pub struct Table {
    /// Its place among the tables.
    pub id: TableId,
    /// The name, as in KQL and in the streaming export's `category`.
    pub name: &'static str,
    /// The columns. A few of them (`MachineGroup`) only exist on the wire.
    pub columns: &'static [Column],
}

impl Table {
    /// The table of that exact name.
    pub fn named(name: &str) -> Option<&'static Table> {
        tables::ALL.iter().copied().find(|table| table.name == name)
    }

    /// The table of that id.
    pub fn get(id: TableId) -> Option<&'static Table> {
        tables::ALL.get(usize::from(id.0)).copied()
    }

    /// The column of that exact name.
    pub fn column(&self, name: &str) -> Option<(ColumnId, ColumnType)> {
        self.column_after(name, None)
    }

    /// The column of that exact name, looked for first right after `hint`: rows tend to name
    /// their columns in one order.
    pub fn column_after(&self, name: &str, hint: Option<ColumnId>) -> Option<(ColumnId, ColumnType)> {
        let start = hint.map_or(0, |hint| usize::from(hint.0) + 1);
        let (before, after) = self.columns.split_at_checked(start).unwrap_or((&[], self.columns));
        let first = self.columns.len() - after.len();
        let place = match after.iter().position(|column| column.name == name) {
            Some(place) => first + place,
            None => before.iter().position(|column| column.name == name)?,
        };
        Some((ColumnId(u8::try_from(place).ok()?), self.columns.get(place)?.ty))
    }
}

/// A value of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cell {
    /// Of a `string` column.
    Text(Box<str>),
    /// Of a `long` or `int` column.
    Long(i64),
    /// Of a `bool` column.
    Bool(bool),
    /// Of a `datetime` column.
    Time(Time),
}

/// A row of a hunting table. Absent cells take no room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    table: TableId,
    /// Ascending by column, one cell a column.
    cells: Vec<(u8, Cell)>,
}

impl Row {
    /// An empty row of `table`.
    pub fn new(table: &Table) -> Row {
        Row { table: table.id, cells: Vec::with_capacity(24) }
    }

    /// The row's table; `None` only for a row read from a newer version's disk.
    pub fn table(&self) -> Option<&'static Table> {
        Table::get(self.table)
    }

    /// The id of the row's table.
    pub fn table_id(&self) -> TableId {
        self.table
    }

    /// The cells that are there, ascending by column.
    pub fn cells(&self) -> impl Iterator<Item = (ColumnId, &Cell)> {
        self.cells.iter().map(|(column, cell)| (ColumnId(*column), cell))
    }

    /// Sets a cell. A cell that is not of its column's type is left out: types are checked at
    /// the door, so this only guards against a decoder's slip.
    pub fn set(&mut self, column: ColumnId, cell: Cell) {
        let ty =
            self.table().and_then(|table| table.columns.get(usize::from(column.0))).map(|column| column.ty);
        let fits = matches!(
            (ty, &cell),
            (Some(ColumnType::Text), Cell::Text(_))
                | (Some(ColumnType::Long | ColumnType::Int), Cell::Long(_))
                | (Some(ColumnType::Bool), Cell::Bool(_))
                | (Some(ColumnType::Time), Cell::Time(_))
        );
        debug_assert!(fits, "{cell:?} does not fit column {column:?} of {:?}", self.table);
        if !fits {
            return;
        }
        match self.cells.binary_search_by_key(&column.0, |(place, _)| *place) {
            Ok(place) => {
                if let Some(old) = self.cells.get_mut(place) {
                    old.1 = cell;
                }
            }
            Err(place) => self.cells.insert(place, (column.0, cell)),
        }
    }

    /// Sets a text, unless it is absent or empty.
    pub fn set_text(&mut self, column: ColumnId, text: Option<&str>) {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            self.set(column, Cell::Text(text.into()));
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
    pub fn set_hashes(&mut self, sha1: ColumnId, sha256: ColumnId, md5: ColumnId, hashes: &crate::Hashes) {
        for (column, hash) in [
            (sha1, hashes.get(crate::HashKind::Sha1)),
            (sha256, hashes.get(crate::HashKind::Sha256)),
            (md5, hashes.get(crate::HashKind::Md5)),
        ] {
            if let Some(hash) = hash {
                self.set(column, Cell::Text(hash.to_string().into()));
            }
        }
    }

    fn get(&self, column: ColumnId) -> Option<&Cell> {
        let place = self.cells.binary_search_by_key(&column.0, |(place, _)| *place).ok()?;
        self.cells.get(place).map(|(_, cell)| cell)
    }

    /// A text that is there and not empty.
    pub fn text(&self, column: ColumnId) -> Option<&str> {
        match self.get(column)? {
            Cell::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A number.
    pub fn long(&self, column: ColumnId) -> Option<i64> {
        match self.get(column)? {
            Cell::Long(number) => Some(*number),
            _ => None,
        }
    }

    /// A truth value.
    pub fn bool(&self, column: ColumnId) -> Option<bool> {
        match self.get(column)? {
            Cell::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// A point in time.
    pub fn time(&self, column: ColumnId) -> Option<Time> {
        match self.get(column)? {
            Cell::Time(time) => Some(*time),
            _ => None,
        }
    }
}

/// Declares a table in its own file: `CONSTANT "Name" Type` a column.
macro_rules! table {
    ($id:literal $name:literal { $($column:ident $column_name:literal $ty:ident),* $(,)? }) => {
        #[doc = concat!("The table `", $name, "`.")]
        pub static TABLE: $crate::Table = $crate::Table {
            id: $crate::TableId($id),
            name: $name,
            columns: &[$($crate::Column { name: $column_name, ty: $crate::ColumnType::$ty }),*],
        };
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Place { $($column),* }
        $(
            #[doc = concat!("`", $column_name, "`.")]
            pub const $column: $crate::ColumnId = $crate::ColumnId(Place::$column as u8);
        )*
    };
}
pub(crate) use table;
