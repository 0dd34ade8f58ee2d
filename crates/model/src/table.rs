//! Hunting tables and their rows.

use serde::{Deserialize, Serialize};

use crate::tables;

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
    /// The columns' places by name.
    pub(crate) by_name: &'static [u8],
    /// By a column's place, that of the next by name.
    pub(crate) next_by_name: &'static [u8],
}

impl Table {
    /// The most columns a table can have.
    pub const MAX_COLUMNS: usize = 128;

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

    /// The column of that exact name. It is looked for first among those that would follow `hint`:
    /// rows tend to name their columns in the published order or by the alphabet.
    pub fn column_after(&self, name: &str, hint: Option<ColumnId>) -> Option<(ColumnId, ColumnType)> {
        let guessed = self.likely_after(hint).into_iter().find(|likely| self.name(*likely) == Some(name));
        let column = guessed.or_else(|| {
            let named = |place: &u8| self.name(ColumnId(*place)).unwrap_or_default().cmp(name);
            let place = self.by_name.binary_search_by(named).ok()?;
            self.by_name.get(place).copied().map(ColumnId)
        })?;
        Some((column, self.columns.get(usize::from(column.0))?.ty))
    }

    /// The columns that a row most likely names after `hint`: the next as published, the next by
    /// the alphabet.
    pub fn likely_after(&self, hint: Option<ColumnId>) -> [ColumnId; 2] {
        match hint {
            Some(ColumnId(place)) => {
                let by_name = self.next_by_name.get(usize::from(place)).copied().unwrap_or_default();
                [ColumnId(place.wrapping_add(1)), ColumnId(by_name)]
            }
            None => [ColumnId(0), ColumnId(self.by_name.first().copied().unwrap_or_default())],
        }
    }

    /// The name of a column.
    pub fn name(&self, column: ColumnId) -> Option<&'static str> {
        self.columns.get(usize::from(column.0)).map(|column| column.name)
    }
}

/// The order of some columns by name, and back.
pub(crate) struct NameOrder<const N: usize> {
    /// The columns' places, ascending by name.
    pub(crate) places: [u8; N],
    /// By a column's place, that of the next by name.
    pub(crate) next: [u8; N],
}

impl<const N: usize> NameOrder<N> {
    /// Orders the columns, when the program is compiled.
    #[expect(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "a slip fails the build")]
    pub(crate) const fn of(columns: &[Column; N]) -> NameOrder<N> {
        assert!(N <= Table::MAX_COLUMNS);
        let mut places = [0; N];
        let mut sorted = 0;
        while sorted < N {
            let mut at = sorted;
            while at > 0 && is_before(columns[sorted].name, columns[places[at - 1] as usize].name) {
                places[at] = places[at - 1];
                at -= 1;
            }
            places[at] = sorted as u8;
            sorted += 1;
        }
        let mut next = [0; N];
        let mut at = 0;
        while at < N {
            next[places[at] as usize] = places[(at + 1) % N];
            at += 1;
        }
        NameOrder { places, next }
    }
}

/// Whether a name comes before another by its bytes.
#[expect(clippy::indexing_slicing, reason = "a slip fails the build")]
const fn is_before(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut at = 0;
    while at < one.len() && at < other.len() {
        if one[at] != other[at] {
            return one[at] < other[at];
        }
        at += 1;
    }
    one.len() < other.len()
}

/// Declares a table in its own file: `CONSTANT "Name" Type` a column.
macro_rules! table {
    ($id:literal $name:literal { $($column:ident $column_name:literal $ty:ident),* $(,)? }) => {
        #[doc = concat!("The table `", $name, "`.")]
        pub static TABLE: $crate::Table = $crate::Table {
            id: $crate::TableId($id),
            name: $name,
            columns: &COLUMNS,
            by_name: &BY_NAME.places,
            next_by_name: &BY_NAME.next,
        };
        const COLUMNS: [$crate::Column; [$($column_name),*].len()] =
            [$($crate::Column { name: $column_name, ty: $crate::ColumnType::$ty }),*];
        static BY_NAME: $crate::table::NameOrder<{ COLUMNS.len() }> = $crate::table::NameOrder::of(&COLUMNS);
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Place { $($column),* }
        $(
            #[doc = concat!("`", $column_name, "`.")]
            pub const $column: $crate::ColumnId = $crate::ColumnId(Place::$column as u8);
        )*
    };
}
pub(crate) use table;
