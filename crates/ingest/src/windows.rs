//! A Windows event, whoever shipped it, and the row it becomes. What an event's data means is a
//! [`Mapping`]: Sysmon's are in `sysmon`; logons and connections of the Security log and the names that
//! Windows looks up are here, and everything else becomes a row that at least says when the machine was
//! last heard of.

use std::borrow::Cow;

use pintle_model::tables::{device_events, device_logon_events, device_network_events};
use pintle_model::{Cell, ColumnId, Hashes, Record, Row, Table, Time};

use crate::additional::AdditionalFields;
use crate::format::{Decoded, Problem};
use crate::json::{self, Json};
use crate::machine::Machine;
use crate::sysmon;

/// A value of an event's data.
#[derive(Clone, Debug)]
pub enum Datum<'a> {
    /// From JSON.
    Json(Json<'a>),
    /// Text from XML.
    Text(Cow<'a, str>),
}

impl Datum<'_> {
    /// The text; `None` where the source says there is no value (`null`, empty, `-`).
    pub fn text(&self) -> Option<Cow<'_, str>> {
        let text = match self {
            Datum::Json(json) => json.text()?,
            Datum::Text(text) => Cow::Borrowed(&**text),
        };
        (!matches!(&*text, "" | "-")).then_some(text)
    }

    fn write(&self, out: &mut String) {
        match self {
            Datum::Json(json) => json.write(out),
            Datum::Text(text) => json::write_string(out, text),
        }
    }
}

/// A Windows event as every shipper gives it, under whatever names.
#[derive(Default)]
pub struct WindowsEvent<'a> {
    /// The endpoint's own name, never the collector's.
    pub computer: Cow<'a, str>,
    /// The endpoint, where its sensor knows it by more than that name.
    pub machine: Option<Machine<'a>>,
    /// The log it was written to.
    pub channel: Cow<'a, str>,
    /// Who wrote it.
    pub provider: Cow<'a, str>,
    /// Which event of the provider.
    pub event_id: Option<i64>,
    /// Its number in the machine's log.
    pub record_id: Option<i64>,
    /// When it was written, by the system's clock.
    pub time: Option<Time>,
    /// Its data, in the order they came.
    pub data: Vec<(Cow<'a, str>, Datum<'a>)>,
}

/// What an event becomes.
pub struct Mapping {
    /// The row's table.
    pub table: &'static Table,
    /// The row's `ActionType`.
    pub action: &'static str,
    /// Where data go, by name, in groups.
    pub fields: &'static [&'static [Field]],
    /// The column for everything else, if the table has one.
    pub rest: Option<ColumnId>,
}

/// A datum's name and where it goes.
pub type Field = (&'static str, Target);

/// Where a datum goes.
#[derive(Clone, Copy)]
pub enum Target {
    /// A text column.
    Text(ColumnId),
    /// A number column.
    Long(ColumnId),
    /// A path: its last part, and the whole.
    Path(ColumnId, ColumnId),
    /// `DOMAIN\name`, or a name: domain and name.
    Account(ColumnId, ColumnId),
    /// The SHA-1, SHA-256 and MD5 of the file that the row is about.
    Hashes(ColumnId, ColumnId, ColumnId),
    /// A registry key followed by a value's name: key and name.
    RegistryValue(ColumnId, ColumnId),
    /// A logon type's number, as its name.
    LogonType(ColumnId),
    /// A transport protocol's number, as its name.
    Protocol(ColumnId),
}

impl WindowsEvent<'_> {
    /// The value of a datum.
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        self.data.iter().find(|(datum, _)| datum == name)?.1.text()
    }

    /// When it happened: by Sysmon's own clock, as the shipper's times come later, or in a local zone.
    pub fn happened(&self) -> Option<Time> {
        self.get("UtcTime").and_then(|text| Time::parse(&text)).or(self.time)
    }

    /// Makes it a row.
    pub fn decode(&self) -> Result<Decoded, Problem> {
        let event_id = self.event_id.ok_or("the event's id is missing or no number")?;
        let Some(machine) = self.machine.clone().or_else(|| Machine::named(&self.computer)) else {
            return Ok(Decoded::Nothing("event without a machine"));
        };
        let mapping = self.mapping(event_id);
        let mut row = Row::new(mapping.table);
        row.set_time(device_events::TIMESTAMP, self.happened());
        row.set_text(device_events::DEVICE_ID, Some(machine.id.as_str()));
        row.set_text(device_events::DEVICE_NAME, machine.name.as_deref());
        row.set_text(device_events::ACTION_TYPE, Some(mapping.action));

        let without_hashes = event_id == 15 && sysmon::is_named_stream(self);
        let mut rest = self.additional(event_id);
        for (name, datum) in &self.data {
            let target = mapping.fields.iter().copied().flatten().find(|(field, _)| field == name);
            let taken = match target {
                Some((_, Target::Hashes(..))) if without_hashes => false,
                Some((_, target)) => target.put(&mut row, datum),
                None => name == "UtcTime" || name == "Message",
            };
            if !taken && mapping.rest.is_some() && datum.text().is_some() {
                rest.note(own_name(name), |out| datum.write(out));
            }
        }
        if let Some(column) = mapping.rest {
            row.set(column, Cell::Text(&rest.close()));
        }
        Ok(Decoded::Record(Record::Row(row)))
    }

    /// Where the event stood; data that no column takes are added.
    fn additional(&self, event_id: i64) -> AdditionalFields {
        let mut fields = AdditionalFields::default();
        fields.note("Channel", |out| json::write_string(out, cut(&self.channel)));
        fields.note("EventID", |out| out.push_str(&event_id.to_string()));
        if let Some(record) = self.record_id {
            fields.note("EventRecordID", |out| out.push_str(&record.to_string()));
        }
        fields
    }

    fn mapping(&self, event_id: i64) -> &'static Mapping {
        if sysmon::wrote(self) {
            return sysmon::mapping(self, event_id);
        }
        // Some shippers write the log's name in lower case.
        let is_from = |log: &str| self.channel.eq_ignore_ascii_case(log);
        match event_id {
            4624 if is_from("Security") => &LOGON_SUCCESS,
            4625 if is_from("Security") => &LOGON_FAILED,
            5156 if is_from("Security") => match self.get("Direction").as_deref() {
                Some("%%14592" | "Inbound") => &CONNECTION_ACCEPTED,
                _ => &CONNECTION_MADE,
            },
            // A query begins (3006) and ends (3008).
            3006 | 3008 if is_from("Microsoft-Windows-DNS-Client/Operational") => &NAME_LOOKED_UP,
            _ => &OTHER,
        }
    }
}

impl Target {
    /// Puts a datum where it belongs. `false` when it has no place there.
    fn put(self, row: &mut Row, datum: &Datum<'_>) -> bool {
        let Some(text) = datum.text() else {
            return true;
        };
        match self {
            Target::Text(column) => row.set_text(column, Some(&text)),
            Target::Long(column) => match json::long(&text) {
                Some(number) => row.set_long(column, Some(number)),
                None => return false,
            },
            Target::Path(name, path) => {
                row.set_text(name, Some(last_part(&text)));
                row.set_text(path, Some(&text));
            }
            Target::Account(domain, name) => match text.split_once('\\') {
                Some((before, after)) => {
                    row.set_text(domain, Some(before));
                    row.set_text(name, Some(after));
                }
                None => row.set_text(name, Some(&text)),
            },
            Target::Hashes(sha1, sha256, md5) => {
                let hashes = Hashes::read_sysmon(&text);
                if hashes.is_empty() {
                    return false;
                }
                row.set_hashes(sha1, sha256, md5, &hashes);
            }
            Target::RegistryValue(key, name) => match text.rsplit_once('\\') {
                Some((before, after)) => {
                    row.set_text(key, Some(before));
                    row.set_text(name, Some(after));
                }
                None => row.set_text(key, Some(&text)),
            },
            Target::LogonType(column) => match logon_type(&text) {
                Some(name) => row.set_text(column, Some(name)),
                None => return false,
            },
            Target::Protocol(column) => match text.trim() {
                "6" => row.set_text(column, Some("Tcp")),
                "17" => row.set_text(column, Some("Udp")),
                _ => return false,
            },
        }
        true
    }
}

/// The name of a datum in `AdditionalFields`, where some names are the event's own.
fn own_name(name: &str) -> &str {
    match name {
        "Channel" => "Data.Channel",
        "EventID" => "Data.EventID",
        "EventRecordID" => "Data.EventRecordID",
        _ => name,
    }
}

/// The beginning of a name that is short in any honest event.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(256)).unwrap_or_default()
}

/// The last part of a path of Windows or of anything else.
pub fn last_part(path: &str) -> &str {
    path.rsplit(['\\', '/']).next().unwrap_or(path)
}

/// The path of a file of which folder and name are told apart.
pub fn full_path(folder: Option<&str>, name: Option<&str>) -> Option<String> {
    let [folder, name] = [folder, name].map(|part| part.filter(|part| !part.is_empty()));
    let (Some(folder), Some(name)) = (folder, name) else {
        return folder.or(name).map(str::to_owned);
    };
    let separator = if folder.ends_with(['\\', '/']) {
        ""
    } else if folder.contains('/') && !folder.contains('\\') {
        "/"
    } else {
        "\\"
    };
    Some([folder, separator, name].concat())
}

/// Defender's name of a logon type's number.
pub fn logon_type(number: &str) -> Option<&'static str> {
    Some(match number.trim() {
        "2" => "Interactive",
        "3" => "Network",
        "4" => "Batch",
        "5" => "Service",
        "7" => "Unlock",
        "8" => "NetworkCleartext",
        "9" => "NewCredentials",
        "10" => "RemoteInteractive",
        "11" => "CachedInteractive",
        _ => return None,
    })
}

const LOGON: &[&[Field]] = &[&[
    ("TargetUserName", Target::Text(device_logon_events::ACCOUNT_NAME)),
    ("TargetDomainName", Target::Text(device_logon_events::ACCOUNT_DOMAIN)),
    ("TargetUserSid", Target::Text(device_logon_events::ACCOUNT_SID)),
    ("TargetLogonId", Target::Long(device_logon_events::LOGON_ID)),
    ("LogonType", Target::LogonType(device_logon_events::LOGON_TYPE)),
    ("AuthenticationPackageName", Target::Text(device_logon_events::PROTOCOL)),
    ("FailureReason", Target::Text(device_logon_events::FAILURE_REASON)),
    ("WorkstationName", Target::Text(device_logon_events::REMOTE_DEVICE_NAME)),
    ("IpAddress", Target::Text(device_logon_events::REMOTE_IP)),
    ("IpPort", Target::Long(device_logon_events::REMOTE_PORT)),
    ("SubjectUserName", Target::Text(device_logon_events::INITIATING_PROCESS_ACCOUNT_NAME)),
    ("SubjectDomainName", Target::Text(device_logon_events::INITIATING_PROCESS_ACCOUNT_DOMAIN)),
    ("SubjectUserSid", Target::Text(device_logon_events::INITIATING_PROCESS_ACCOUNT_SID)),
    ("ProcessId", Target::Long(device_logon_events::INITIATING_PROCESS_ID)),
    (
        "ProcessName",
        Target::Path(
            device_logon_events::INITIATING_PROCESS_FILE_NAME,
            device_logon_events::INITIATING_PROCESS_FOLDER_PATH,
        ),
    ),
]];

static LOGON_SUCCESS: Mapping = Mapping {
    table: &device_logon_events::TABLE,
    action: "LogonSuccess",
    fields: LOGON,
    rest: Some(device_logon_events::ADDITIONAL_FIELDS),
};

static LOGON_FAILED: Mapping = Mapping {
    table: &device_logon_events::TABLE,
    action: "LogonFailed",
    fields: LOGON,
    rest: Some(device_logon_events::ADDITIONAL_FIELDS),
};

/// A connection that the firewall let through. Its source is who began it, whichever end this machine is.
macro_rules! connection {
    ($constant:ident, $action:literal, here: $ip:literal $port:literal, there: $remote_ip:literal $remote_port:literal) => {
        static $constant: Mapping = Mapping {
            table: &device_network_events::TABLE,
            action: $action,
            fields: &[&[
                ($remote_ip, Target::Text(device_network_events::REMOTE_IP)),
                ($remote_port, Target::Long(device_network_events::REMOTE_PORT)),
                ($ip, Target::Text(device_network_events::LOCAL_IP)),
                ($port, Target::Long(device_network_events::LOCAL_PORT)),
                ("Protocol", Target::Protocol(device_network_events::PROTOCOL)),
                ("ProcessID", Target::Long(device_network_events::INITIATING_PROCESS_ID)),
                (
                    "Application",
                    Target::Path(
                        device_network_events::INITIATING_PROCESS_FILE_NAME,
                        device_network_events::INITIATING_PROCESS_FOLDER_PATH,
                    ),
                ),
            ]],
            rest: Some(device_network_events::ADDITIONAL_FIELDS),
        };
    };
}

connection!(CONNECTION_MADE, "ConnectionSuccess", here: "SourceAddress" "SourcePort", there: "DestAddress" "DestPort");
connection!(CONNECTION_ACCEPTED, "InboundConnectionAccepted", here: "DestAddress" "DestPort", there: "SourceAddress" "SourcePort");

static NAME_LOOKED_UP: Mapping = Mapping {
    table: &device_events::TABLE,
    action: "DnsQueryResponse",
    fields: &[&[("QueryName", Target::Text(device_events::REMOTE_URL))]],
    rest: Some(device_events::ADDITIONAL_FIELDS),
};

static OTHER: Mapping = Mapping {
    table: &device_events::TABLE,
    action: "WindowsEvent",
    fields: &[],
    rest: Some(device_events::ADDITIONAL_FIELDS),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_four_columns_of_every_event_table_stand_where_a_row_is_begun() {
        let event = WindowsEvent::default();
        for mapping in (0..=40).map(|id| sysmon::mapping(&event, id)).chain([
            &LOGON_SUCCESS,
            &CONNECTION_MADE,
            &NAME_LOOKED_UP,
            &OTHER,
        ]) {
            let names: Vec<_> = mapping.table.columns.iter().take(4).map(|column| column.name).collect();
            assert_eq!(
                names,
                ["Timestamp", "DeviceId", "DeviceName", "ActionType"],
                "{}",
                mapping.table.name
            );
        }
    }

    #[test]
    fn additional_fields_are_bounded_and_say_what_is_missing() {
        let long = "x".repeat(40_000);
        let event = WindowsEvent {
            computer: "ws-1".into(),
            event_id: Some(0),
            data: vec![("Long".into(), Datum::Text(long.into())), ("Short".into(), Datum::Text("s".into()))],
            ..WindowsEvent::default()
        };
        let Decoded::Record(Record::Row(row)) = event.decode().unwrap() else { panic!("no row") };
        let fields = row.text(device_events::ADDITIONAL_FIELDS).unwrap();
        assert_eq!(fields, r#"{"Channel":"","EventID":0,"Short":"s","OmittedFields":1}"#);
    }
}
