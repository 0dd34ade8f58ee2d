//! An event in the making: the row of a hunting table that a record of any vendor becomes. Columns go
//! by their names, so that one mapping may serve several tables; what a table has no column for is kept
//! in its `AdditionalFields`.

use pintle_model::tables::device_events;
use pintle_model::{Cell, ColumnType, Hashes, Record, Row, Table, Time};

use crate::additional::AdditionalFields;
use crate::json::{self, Json};
use crate::machine::Machine;
use crate::time;
use crate::windows::last_part;

/// An event's parent process, named by a row of its own.
pub const PARENT_SEEN: &str = "ParentProcessSeen";
/// What a file was before it was changed.
pub const FILE_REPLACED: &str = "FileReplaced";
/// What happened to a file that an alert of another vendor names.
pub const ALERT_RELATED: &str = "OtherAlertRelatedActivity";

/// What a file is to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What it happened to.
    Target,
    /// The program that did it.
    Initiating,
}

impl Role {
    /// What the names of its columns begin with.
    pub fn prefix(self) -> &'static str {
        match self {
            Role::Target => "",
            Role::Initiating => "InitiatingProcess",
        }
    }
}

/// Whether it is more than a file's name.
pub fn is_path(text: &str) -> bool {
    text.contains(['\\', '/'])
}

/// An event in the making.
pub struct Event {
    table: &'static Table,
    row: Row,
    additional: AdditionalFields,
}

impl Event {
    /// An event of `table`, which must be one of events on devices, by Defender's word for it.
    pub fn new(table: &'static Table, machine: &Machine<'_>, time: Option<Time>, action: &str) -> Event {
        let mut event = Event::report(table, machine, time);
        event.set("ActionType", Some(action));
        event
    }

    /// A machine's report of itself: of `DeviceInfo` or `DeviceNetworkInfo`.
    pub fn report(table: &'static Table, machine: &Machine<'_>, time: Option<Time>) -> Event {
        let mut row = Row::new(table);
        row.set_time(device_events::TIMESTAMP, time);
        row.set_text(device_events::DEVICE_ID, Some(machine.id.as_str()));
        row.set_text(device_events::DEVICE_NAME, machine.name.as_deref());
        Event { table, row, additional: AdditionalFields::default() }
    }

    /// An event that only says that a file was there: one that a record names besides the two for which
    /// its own row has columns. `None` if nothing identifies the file.
    pub fn seen(
        machine: &Machine<'_>,
        time: Option<Time>,
        action: &str,
        role: Role,
        hashes: &Hashes,
        path: Option<&str>,
    ) -> Option<Event> {
        let mut event = Event::new(&device_events::TABLE, machine, time, action);
        event.file(role, hashes, path);
        (!hashes.is_empty()).then_some(event)
    }

    /// An event that says who started the program that acted: that program is what it is about. `None` if
    /// nothing identifies either.
    pub fn parent_seen(
        machine: &Machine<'_>,
        time: Option<Time>,
        (acted, path): (&Hashes, Option<&str>),
        (parent, parent_path): (&Hashes, Option<&str>),
    ) -> Option<Event> {
        let mut event = Event::new(&device_events::TABLE, machine, time, PARENT_SEEN);
        event.file(Role::Target, acted, path);
        event.file(Role::Initiating, parent, parent_path);
        (!acted.is_empty() || !parent.is_empty()).then_some(event)
    }

    /// Sets a column from a text, by the column's type. A text that is no value of that type is kept
    /// as an additional field, and so is one for which the table has no column.
    pub fn set(&mut self, column: &str, text: Option<impl AsRef<str>>) {
        let Some(text) = text else { return };
        let text = text.as_ref();
        if text.is_empty() {
            return;
        }
        let Some((id, ty)) = self.table.column(column) else {
            return self.additional.text(column, text);
        };
        let cell = match ty {
            ColumnType::Text => Some(Cell::Text(text)),
            ColumnType::Long | ColumnType::Int => json::long(text).map(Cell::Long),
            ColumnType::Bool => json::truth(text).map(Cell::Bool),
            ColumnType::Time => time::read(text).map(Cell::Time),
        };
        match cell {
            Some(cell) => self.row.set(id, cell),
            None => self.additional.text(column, text),
        }
    }

    /// Sets a column of times.
    pub fn set_time(&mut self, column: &str, time: Option<Time>) {
        if let Some((id, ColumnType::Time)) = self.table.column(column) {
            self.row.set_time(id, time);
        }
    }

    /// Sets what identifies a file, and its name and path: a path ends in the name, and a name alone is
    /// no path.
    pub fn file(&mut self, role: Role, hashes: &Hashes, path: Option<&str>) {
        let prefix = role.prefix();
        for hash in hashes.iter() {
            let kind = hash.kind().name().to_uppercase();
            self.set(&format!("{prefix}{kind}"), Some(hash.to_string()));
        }
        self.set(&format!("{prefix}FileName"), path.map(last_part));
        self.set(&format!("{prefix}FolderPath"), path.filter(|path| is_path(path)));
    }

    /// Sets an account that is written as `DOMAIN\name`, as a UPN, or as a name. `prefix` is what the
    /// names of its columns begin with.
    pub fn account(&mut self, prefix: &str, account: Option<&str>) {
        let Some(account) = account.map(str::trim) else { return };
        match account.split_once('\\') {
            Some((domain, name)) => {
                self.set(&format!("{prefix}AccountDomain"), Some(domain));
                self.set(&format!("{prefix}AccountName"), Some(name));
            }
            None => self.set(&format!("{prefix}AccountName"), Some(account)),
        }
    }

    /// Keeps a value of the source that no column takes, unless it is `null` or empty.
    pub fn additional(&mut self, name: &str, value: Json<'_>) {
        self.additional.value(name, value);
    }

    /// The record.
    pub fn finish(mut self) -> Record {
        if !self.additional.is_empty()
            && let Some((column, _)) = self.table.column("AdditionalFields")
        {
            self.row.set(column, Cell::Text(&self.additional.close()));
        }
        Record::Row(self.row)
    }
}
