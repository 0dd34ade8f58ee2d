//! Osquery's log of results: one row of a query a line (differential, also of snapshots), all that a query
//! gave in one line (batch, snapshot), from its files or from the envelopes of its TLS logger. Columns
//! mean what they mean whatever the query is called: what a row becomes stands in `row`.

mod row;

use std::borrow::Cow;

use pintle_model::Time;

use crate::format::{Decoded, Format, Problem, Several};
use crate::json::{Json, Object};
use crate::machine::Machine;
use crate::time;
use row::{Adapters, Columns};

pub static FORMAT: Format = Format {
    name: "osquery",
    description: "results of osquery's queries: differential, batch or snapshot, one a line or from its TLS logger",
    recognises: |object| {
        let is_line = object.has("unixTime") || object.has("calendarTime") || object.has("hostIdentifier");
        is_line && (is_status(object) || object.has("name") && ROWS.iter().any(|name| object.has(name)))
    },
    decode,
};

/// The members that hold rows, one in a line.
const ROWS: [&str; 3] = ["columns", "snapshot", "diffResults"];

fn decode(record: &[u8]) -> Result<Decoded, Problem> {
    let line = Object::parse(record)?;
    if is_status(&line) {
        return Ok(Decoded::Nothing("osquery's log of itself"));
    }
    let Some(machine) = machine(&line) else {
        return Ok(Decoded::Nothing("event without a machine"));
    };
    let mut events = Several::default();
    note(&line, &machine, None, &mut events)?;
    Ok(events.finish("result without rows"))
}

/// Adds what a result says of `machine`. Wazuh hands such results on inside its own documents, of which
/// the time is that of a result without one.
pub fn note(
    line: &Object<'_>,
    machine: &Machine<'_>,
    at: Option<Time>,
    events: &mut Several,
) -> Result<(), Problem> {
    let time = |name| text(line, name).and_then(|text| time::read(&text)).filter(|time| is_set(*time));
    let report = Report {
        machine,
        query: text(line, "name"),
        at: time("unixTime").or_else(|| time("calendarTime")).or(at),
        is_first: text(line, "counter").as_deref() == Some("0"),
    };
    let action = text(line, "action");
    let mut any = false;
    let mut take = |told: Told, rows: Json<'_>| -> Result<(), Problem> {
        let mut adapters = Adapters::default();
        for row in elements(rows) {
            let row = row.object().map(Columns).ok_or("a row of the result is no object")?;
            any = true;
            if told == Told::Removed || !adapters.take(&row) {
                events.add(report.event(told, &row))?;
            }
        }
        adapters.finish(&report, events)
    };
    if let Some(row) = line.get("columns") {
        take(Told::of(action.as_deref()), row)?;
    }
    if let Some(rows) = line.get("snapshot") {
        take(Told::Snapshot, rows)?;
    }
    for (member, told) in [("added", Told::Added), ("removed", Told::Removed)] {
        if let Some(rows) = line.get("diffResults").and_then(|results| results.at(&[member])) {
            take(told, rows)?;
        }
    }
    if !any {
        // The query found nothing, but its machine is there.
        events.add(report.event(Told::Snapshot, &Columns(Object { members: Vec::new() })))?;
    }
    Ok(())
}

/// The rows in a list, or the one that is none. An empty list may be an empty text.
fn elements(rows: Json<'_>) -> Vec<Json<'_>> {
    if matches!(rows.raw(), "\"\"" | "null") { Vec::new() } else { rows.elements() }
}

/// What a result says of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// It is there, and was not before.
    Added,
    /// It is no longer there.
    Removed,
    /// It is there.
    Snapshot,
}

impl Told {
    fn of(action: Option<&str>) -> Told {
        match action {
            Some("removed") => Told::Removed,
            Some("snapshot") => Told::Snapshot,
            _ => Told::Added,
        }
    }

    /// Osquery's word.
    fn name(self) -> &'static str {
        match self {
            Told::Added => "added",
            Told::Removed => "removed",
            Told::Snapshot => "snapshot",
        }
    }
}

/// What holds for every row of a result.
struct Report<'a> {
    machine: &'a Machine<'a>,
    query: Option<Cow<'a, str>>,
    at: Option<Time>,
    /// The query's first result, in which everything is added.
    is_first: bool,
}

/// Whether this is what osquery says of its own running.
fn is_status(line: &Object<'_>) -> bool {
    ["severity", "filename", "line", "message"].iter().all(|name| line.has(name))
}

/// The endpoint: by the UUID that a decoration or osquery's own choice of an identifier gives. An identifier
/// that is no UUID is the host's name, as it is by default, and as good as any other sensor's.
fn machine<'a>(line: &Object<'a>) -> Option<Machine<'a>> {
    let own = text(line, "hostIdentifier").or_else(|| text(line, "hostname"));
    let decoration = |name| line.get("decorations")?.at(&[name])?.text();
    let (own_id, own_name) = match own {
        Some(own) if is_uuid(&own) => (Some(own), None),
        own => (None, own),
    };
    // Upper or lower case depends on the system and the version.
    let lower = |id: Cow<'_, str>| id.trim().to_ascii_lowercase();
    let id = [decoration("host_uuid"), own_id].into_iter().flatten().map(lower);
    let id = id.into_iter().find(|id| !id.is_empty() && !PLACEHOLDERS.contains(&id.as_str()));
    let name = own_name.or_else(|| decoration("hostname"));
    Machine::identified("osquery", id.as_deref(), name.as_deref())
}

/// UUIDs that makers of boards leave in all of theirs, as osquery itself knows them.
const PLACEHOLDERS: [&str; 6] = [
    "00000000-0000-0000-0000-000000000000",
    "03000200-0400-0500-0006-000700080009",
    "03020100-0504-0706-0809-0a0b0c0d0e0f",
    "10000000-0000-8000-0040-000000000000",
    "fefefefe-fefe-fefe-fefe-fefefefefefe",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
];

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn text<'a>(object: &Object<'a>, name: &str) -> Option<Cow<'a, str>> {
    object.get(name).and_then(Json::text).filter(|text| !text.is_empty())
}

/// Whether a time is one: osquery writes 0 for those it does not know.
fn is_set(time: Time) -> bool {
    time >= Time::EARLIEST_PLAUSIBLE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_known_by_its_uuid_or_else_by_its_name() {
        let of = |json: &str| {
            let machine = machine(&Object::read(json).unwrap());
            machine.map(|machine| (machine.id, machine.name.map(Cow::into_owned)))
        };
        let uuid = "1b4e28ba-2fa1-41d2-883f-0016d3cca427";
        let by_id = |name: Option<&str>| {
            let machine = Machine::identified("osquery", Some(uuid), name).unwrap();
            Some((machine.id, name.map(str::to_owned)))
        };
        let by_name = Machine::named("ws-1").map(|machine| (machine.id, Some("ws-1".to_owned())));
        for (line, expected) in [
            (format!(r#"{{"hostIdentifier":"WS-1","decorations":{{"host_uuid":"{uuid}"}}}}"#), by_id(Some("ws-1"))),
            (
                format!(r#"{{"hostIdentifier":"{}","decorations":{{"hostname":"ws-1"}}}}"#, uuid.to_uppercase()),
                by_id(Some("ws-1")),
            ),
            (format!(r#"{{"hostIdentifier":"{uuid}"}}"#), by_id(None)),
            (r#"{"hostIdentifier":"ws-1"}"#.to_owned(), by_name.clone()),
            (r#"{"hostname":"ws-1","decorations":null}"#.to_owned(), by_name.clone()),
            (
                r#"{"hostIdentifier":"ws-1","decorations":{"host_uuid":"03000200-0400-0500-0006-000700080009"}}"#
                    .to_owned(),
                by_name,
            ),
            (r#"{"hostIdentifier":"00000000-0000-0000-0000-000000000000"}"#.to_owned(), None),
            ("{}".to_owned(), None),
        ] {
            assert_eq!(of(&line), expected, "{line}");
        }
    }
}
