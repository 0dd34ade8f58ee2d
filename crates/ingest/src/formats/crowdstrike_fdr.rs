//! What CrowdStrike Falcon delivers: sensor events of the Falcon Data Replicator (one flat object a line,
//! every value a text), its list of machines (`aidmaster`), and detections, of the replicator or of the
//! event stream (`{"metadata":{…},"event":{…}}`).
//!
//! `TargetProcessId`, `ParentProcessId` and `ContextProcessId` are Falcon's own ids of processes, unique
//! over a machine's life: only `RawProcessId` is the system's. `ContextTimeStamp` is the sensor's clock,
//! `timestamp` when the cloud had the event.

mod detections;
mod kinds;

use std::borrow::Cow;

use pintle_model::tables::device_info;
use pintle_model::{Hashes, Time};

use crate::event::{Event, Role};
use crate::format::{Decoded, Format, Problem, Several};
use crate::inventory;
use crate::json::Object;
use crate::machine::Machine;
use crate::members::{Column, Members};
use crate::windows::last_part;
use kinds::{Kind, Process};

pub static FORMAT: Format = Format {
    name: "crowdstrike-fdr",
    description: "CrowdStrike Falcon: events of the Data Replicator, aidmaster, detections of the event stream",
    recognises,
    decode,
};

/// A file that an event names besides its own.
const FILE_SEEN: &str = "FileSeen";

fn recognises(object: &Object<'_>) -> bool {
    let has_all = |names: &[&str]| names.iter().all(|name| object.has(name));
    (object.has("aid") && (object.has("event_simpleName") || object.has("#event_simpleName")))
        || has_all(&["aid", "cid", "ComputerName"])
        || has_all(&["AgentId", "CompositeId"])
        || has_all(&["SensorId", "DetectId"])
        || object.get("metadata").is_some_and(|of| object.has("event") && of.at(&["eventType"]).is_some())
}

fn decode(record: &[u8]) -> Result<Decoded, Problem> {
    let members = Members::parse(record)?;
    if members.has("metadata") && members.has("event") {
        return of_stream(&members);
    }
    if detections::is_one(&members) {
        return detections::decode(&members, None);
    }
    let machine = Machine::identified(
        "crowdstrike",
        members.text("aid").as_deref(),
        members.text("ComputerName").as_deref(),
    );
    let Some(machine) = machine else { return Ok(Decoded::Nothing("event without a machine")) };
    match members.any(&["event_simpleName", "#event_simpleName"]) {
        Some(name) => event(&members, &machine, &name),
        // What the sensors see around them has a name too.
        None if !members.has("aid") => Ok(Decoded::Nothing("a machine without a sensor")),
        None if members.has("ComputerName") => {
            let time = members.time(&["Time", "_time", "timestamp"])?;
            Ok(Decoded::Record(report(&members, &machine, time).finish()))
        }
        None => Err("event_simpleName is missing".into()),
    }
}

/// An event of the event stream.
fn of_stream(members: &Members<'_>) -> Result<Decoded, Problem> {
    let about = members.value("metadata").and_then(|value| value.object()).ok_or("metadata is no object")?;
    let event = members.value("event").and_then(|value| value.object()).ok_or("event is no object")?;
    let (about, event) = (Members::of(about), Members::of(event));
    let created = about.time(&["eventCreationTime"])?;
    let name = about.text("eventType").ok_or("eventType is missing")?;
    if detections::is_one(&event) {
        return detections::decode(&event, created);
    }
    let machine = Machine::identified(
        "crowdstrike",
        event.any(&["AgentId", "SensorId", "AgentIdString", "DeviceId"]).as_deref(),
        event.any(&["Hostname", "ComputerName", "HostName", "HostnameField"]).as_deref(),
    );
    let Some(machine) = machine else { return Ok(Decoded::Nothing("event without a machine")) };
    let mut row = Event::new(kinds::OTHER.table, &machine, created, &name);
    event.leave(&mut row);
    Ok(Decoded::Record(row.finish()))
}

/// A sensor's event.
fn event(members: &Members<'_>, machine: &Machine<'_>, name: &str) -> Result<Decoded, Problem> {
    let time = match members.time(&["ContextTimeStamp"])? {
        Some(time) => Some(time),
        None => members.time(&["timestamp", "@timestamp"])?,
    };
    match name {
        "AgentOnline" | "OsVersionInfo" => {
            return Ok(Decoded::Record(report(members, machine, time).finish()));
        }
        "LocalIpAddressIP4" | "LocalIpAddressIP6" => {
            let address = members.any(&["LocalAddressIP4", "LocalAddressIP6"]);
            let (name, mac) = (members.text("InterfaceAlias"), members.text("PhysicalAddress"));
            let adapter = inventory::adapter(machine, time, name.as_deref(), mac.as_deref(), address);
            return Ok(adapter.map_or(Decoded::Nothing("an adapter without an address"), Decoded::Record));
        }
        _ => {}
    }
    let kind = kinds::of(name, members);
    let action = kind.action(members).unwrap_or(name);
    let mut row = Event::new(kind.table, machine, time, action);
    row.set("event_simpleName", Some(name).filter(|name| *name != action));
    let file = members.hashes("SHA1HashData", "SHA256HashData", "MD5HashData");
    let mut several = Several::default();
    let path = members.any(kind.path);
    if kind.table.column("SHA256").is_some() {
        row.file(Role::Target, &file, path.as_deref());
    } else if let Some(seen) = Event::seen(machine, time, FILE_SEEN, Role::Target, &file, path.as_deref()) {
        several.add(seen.finish())?;
    }
    fill(&mut row, members, kind);
    if let Some(seen) = pointed_at(members, machine, time, kind) {
        several.add(seen.finish())?;
    }
    members.leave(&mut row);
    several.add(row.finish())?;
    Ok(several.finish("event without a machine"))
}

/// The file to which an entry in the registry points from where programs are started.
fn pointed_at(
    members: &Members<'_>,
    machine: &Machine<'_>,
    time: Option<Time>,
    kind: &Kind,
) -> Option<Event> {
    let hash = members.text("TargetSHA256HashData").filter(|_| kind.is_of_registry())?;
    let hashes = Hashes::read(None, Some(&hash), None);
    Event::seen(machine, time, FILE_SEEN, Role::Target, &hashes, members.text("TargetFileName").as_deref())
}

fn fill(row: &mut Event, members: &Members<'_>, kind: &Kind) {
    let initiating = match kind.process {
        Process::Context => Some("ContextImageFileName"),
        Process::Loader => Some("TargetImageFileName"),
        Process::Parent => None,
    };
    let path = initiating.and_then(|name| members.text(name));
    row.file(Role::Initiating, &Hashes::default(), path.as_deref());
    if path.is_none() {
        members.fill(row, kind.process.name());
    }
    members.fill(row, kind.process.id());
    for columns in kind.columns {
        members.fill(row, columns);
    }
    for (names, column) in kind.alternatives {
        row.set(column, members.any(names));
    }
    for (name, column, word) in kind.words {
        let text = members.text(name);
        row.set(column, text.map(|text| word(&text).map_or(text, Cow::Borrowed)));
    }
    if kind.is_renaming() {
        let before = members.text("SourceFileName");
        row.set("PreviousFileName", before.as_deref().map(last_part));
        row.set("PreviousFolderPath", before);
    }
}

/// What Falcon knows of a machine: its own word when a sensor begins, or a line of `aidmaster`.
fn report(members: &Members<'_>, machine: &Machine<'_>, time: Option<Time>) -> Event {
    const COLUMNS: &[Column] = &[
        ("AgentVersion", "ClientVersion"),
        ("aip", "PublicIP"),
        ("SystemProductName", "Model"),
        ("SystemManufacturer", "Vendor"),
        ("BuildNumber", "OSBuild"),
    ];
    let mut row = Event::report(&device_info::TABLE, machine, time);
    members.fill(&mut row, COLUMNS);
    let platform = members.text("event_platform");
    let named = members.any(&["Version", "ProductName"]).and_then(|name| inventory::platform(&name));
    row.set("OSPlatform", named.or_else(|| inventory::platform(platform.as_deref()?)));
    // On other systems these are the kernel's.
    if platform.as_deref() == Some("Win")
        && let (Some(major), Some(minor)) = (members.text("MajorVersion"), members.text("MinorVersion"))
    {
        row.set("OSVersion", Some(format!("{major}.{minor}")));
    }
    members.leave(&mut row);
    row
}
