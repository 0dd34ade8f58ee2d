//! What a record becomes: a row of a hunting table.

use std::collections::BTreeMap;

use pintle_model::tables::device_events;
use pintle_model::{Hashes, Record, Table};
use serde::Deserialize;

use super::source::{Source, Wanted};
use super::{Unusable, all};
use crate::event::{Event as Draft, Role};
use crate::format::Problem;
use crate::json::Object;
use crate::machine::Machine;
use crate::time;

/// The tables of events on devices, which a mapping may fill.
const TABLES: &[&str] = &[
    "DeviceEvents",
    "DeviceFileEvents",
    "DeviceImageLoadEvents",
    "DeviceLogonEvents",
    "DeviceNetworkEvents",
    "DeviceProcessEvents",
    "DeviceRegistryEvents",
];

/// Columns that are set in ways of their own.
const OWN: &[&str] = &["Timestamp", "DeviceId", "DeviceName", "ActionType", "AdditionalFields"];

/// As it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    #[serde(default)]
    when: Wanted,
    table: Option<String>,
    action: Option<Action>,
    time: Option<Source>,
    #[serde(default)]
    columns: BTreeMap<String, Source>,
}

/// The event's `ActionType`: the text itself, or that of a member.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a text, or { member = \"path\" }")]
enum Action {
    Text(String),
    Member { member: String },
}

/// What some of a mapping's records become.
#[derive(Debug)]
pub struct Event {
    when: Wanted,
    table: &'static Table,
    action: Action,
    time: Option<Source>,
    columns: BTreeMap<String, Source>,
}

impl Event {
    /// Checks what is written.
    pub fn of(told: Told) -> Result<Event, Unusable> {
        let name = told.table.as_deref().unwrap_or(device_events::TABLE.name);
        let table = TABLES.contains(&name).then(|| Table::named(name)).flatten();
        let Some(table) = table else {
            return Err(Unusable(format!("[[event]]: no table {name}; use one of {}", TABLES.join(", "))));
        };
        for column in told.columns.keys() {
            if OWN.contains(&column.as_str()) {
                return Err(Unusable(format!("[event.columns]: {column} is filled by itself")));
            }
            if table.column(column).is_none() {
                return Err(Unusable(format!("[event.columns]: no column {column} in {name}")));
            }
        }
        let action = told.action.unwrap_or_else(|| Action::Text("Event".into()));
        Ok(Event { when: told.when, table, action, time: told.time, columns: told.columns })
    }

    /// Whether a record becomes this.
    pub fn wants(&self, record: &Object<'_>) -> bool {
        all(&self.when, record)
    }

    /// The row of a record.
    pub fn decode(&self, record: &Object<'_>, machine: &Machine<'_>) -> Result<Record, Problem> {
        let text = |source: &Source| source.text(record).map(|text| text.into_owned());
        let at = match self.time.as_ref().and_then(text) {
            Some(at) => Some(time::read(&at).ok_or("the time is none")?),
            None => None,
        };
        let action = match &self.action {
            Action::Text(action) => Some(action.clone()),
            Action::Member { member } => text(&Source::Path(member.clone())),
        };
        let mut event = Draft::new(self.table, machine, at, action.as_deref().unwrap_or("Event"));
        for role in [Role::Target, Role::Initiating] {
            self.file(&mut event, role, record);
        }
        for (column, source) in self.columns.iter().filter(|(column, _)| !is_of_a_file(column)) {
            match column.strip_suffix("AccountName") {
                // `DOMAIN\name` in one member is both, unless the domain has one of its own.
                Some(prefix) if !self.columns.contains_key(&format!("{prefix}AccountDomain")) => {
                    event.account(prefix, text(source).as_deref());
                }
                _ => event.set(column, text(source)),
            }
        }
        let is_taken = |name: &str| self.sources().any(|path| path == name);
        for (name, value) in &record.members {
            if !is_taken(name) {
                event.additional(name, *value);
            }
        }
        Ok(event.finish())
    }

    /// The file in a role: its hashes as they may be written, its name from its path.
    fn file(&self, event: &mut Draft, role: Role, record: &Object<'_>) {
        let text = |part: &str| {
            let source = self.columns.get(&format!("{}{part}", role.prefix()));
            source.and_then(|source| source.text(record))
        };
        let (sha1, sha256, md5) = (text("SHA1"), text("SHA256"), text("MD5"));
        let hashes = Hashes::read(sha1.as_deref(), sha256.as_deref(), md5.as_deref());
        event.file(role, &hashes, text("FolderPath").as_deref());
        for part in ["FolderPath", "FileName"] {
            event.set(&format!("{}{part}", role.prefix()), text(part));
        }
    }

    fn sources(&self) -> impl Iterator<Item = &str> {
        self.columns.values().chain(&self.time).flat_map(Source::roots)
    }
}

fn is_of_a_file(column: &str) -> bool {
    let part = column.strip_prefix(Role::Initiating.prefix()).unwrap_or(column);
    matches!(part, "SHA1" | "SHA256" | "MD5" | "FolderPath" | "FileName")
}
