//! Rows of Microsoft Sentinel's table `CarbonBlackEvents_CL`, whose columns are Carbon Black's members with
//! an ending for their type (`_s`, `_d`, `_g`, `_b`). The older rows are Endpoint Standard's events
//! (`selectedApp_…` acted on `targetApp_…`); the newer are the data forwarder's.
//!
//! An MD5 stands there as a GUID. Of a file's creation, `selectedApp_md5Hash` seems to be the created file's:
//! the same program has another beside its SHA-256 each time. It is taken as it is told, so that it can be
//! asked for; the store lists the conflict, and merges nothing by it.

use std::borrow::Cow;

use pintle_model::tables::{device_events, device_file_events, device_network_events, device_process_events};
use pintle_model::{Hashes, Table, Time};

use super::carbonblack_cloud::{self, whole};
use crate::event::{Event, Role};
use crate::format::{Decoded, Format, Problem, Several};
use crate::machine::Machine;
use crate::members::{Column, Members};
use crate::time;

pub static FORMAT: Format = Format {
    name: "carbonblack-sentinel",
    description: "rows of Microsoft Sentinel's CarbonBlackEvents_CL",
    recognises: |object| {
        object.has("eventType_s") && (object.has("deviceDetails_deviceName_s") || object.has("device_name_s"))
    },
    decode,
};

/// The program that runs a script, whose own file is what acted.
const INTERPRETER_SEEN: &str = "ProcessSeen";

fn decode(record: &[u8]) -> Result<Decoded, Problem> {
    let members = Members::parse(record)?.renamed(without_type);
    let name = members.text("eventType").ok_or("eventType_s is missing")?;
    if let Some(kind) = name.strip_prefix("endpoint.event.") {
        return carbonblack_cloud::event(&members, kind);
    }
    let id = members.text("deviceDetails_deviceId");
    let machine = Machine::identified(
        "carbonblack",
        id.as_deref().map(whole),
        members.text("deviceDetails_deviceName").as_deref(),
    );
    let Some(machine) = machine else { return Ok(Decoded::Nothing("event without a machine")) };
    let time = happened(&members)?;
    let (table, action) = match &*name {
        "CREATE_PROCESS" => (&device_process_events::TABLE, Some("ProcessCreated")),
        "FILE_CREATE" => (&device_file_events::TABLE, Some("FileCreated")),
        "NETWORK" => (&device_network_events::TABLE, Some("ConnectionSuccess")),
        _ => (&device_events::TABLE, None),
    };
    let is_incoming = action == Some("ConnectionSuccess") && is_incoming(&members);
    let action = if is_incoming { Some("InboundConnectionAccepted") } else { action };
    let mut row = Event::new(table, &machine, time, action.unwrap_or(&name));
    row.set("eventType", Some(&name));
    let mut several = Several::default();
    fill(&mut row, &members, table, is_incoming);
    for seen in besides(&members, &machine, time) {
        several.add(seen.finish())?;
    }
    members.leave(&mut row);
    several.add(row.finish())?;
    Ok(several.finish("event without a machine"))
}

/// A column's name without the ending for its type.
fn without_type(name: &str) -> &str {
    ["_s", "_d", "_g", "_b"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

/// When it happened. A table of real numbers may have rounded it (`1.59E+12`): then when the row was made.
fn happened(members: &Members<'_>) -> Result<Option<Time>, Problem> {
    let exact = ["eventTime", "createTime"].iter().find_map(|name| time::read(whole(&members.text(name)?)));
    match exact {
        Some(time) => Ok(Some(time)),
        None => members.time(&["TimeGenerated", "TimeGenerated [UTC]"]),
    }
}

fn fill(row: &mut Event, members: &Members<'_>, table: &Table, is_incoming: bool) {
    let (target, path) = target(members);
    row.file(Role::Target, &target, path.as_deref());
    row.file(Role::Initiating, &app(members, "selectedApp"), selected_path(members).as_deref());
    let user = members.any(&["processDetails_fullUserName", "processDetails_userName"]);
    row.account("InitiatingProcess", user.as_deref());
    members.fill(row, ACTING);
    if table.id == device_process_events::TABLE.id || table.id == device_events::TABLE.id {
        members.fill(row, TARGET);
    }
    if table.id == device_network_events::TABLE.id {
        members.fill(row, if is_incoming { INCOMING } else { OUTGOING });
        // An address stands there where no name is known.
        let (name, address) = (members.text("netFlow_peerFqdn"), members.text("netFlow_peerIpAddress"));
        row.set("RemoteUrl", name.filter(|name| Some(name) != address.as_ref()));
        let service = members.text("netFlow_service");
        row.set(
            "Protocol",
            service.as_deref().and_then(|service| match service.split('/').next()? {
                "TCP" => Some("Tcp"),
                "UDP" => Some("Udp"),
                _ => None,
            }),
        );
    }
}

/// Whether the other end of a connection began it.
fn is_incoming(members: &Members<'_>) -> bool {
    let [peer, source, destination] =
        ["netFlow_peerIpAddress", "netFlow_sourceAddress", "netFlow_destAddress"]
            .map(|name| members.text(name));
    peer.is_some() && peer == source && peer != destination
}

fn selected_path<'a>(members: &Members<'a>) -> Option<Cow<'a, str>> {
    members.any(&["selectedApp_applicationPath", "selectedApp_applicationName", "processDetails_name"])
}

/// The file or program that it was done to. Its path may only stand in the text for people.
fn target<'a>(members: &Members<'a>) -> (Hashes, Option<Cow<'a, str>>) {
    let hashes = app(members, "targetApp");
    let name = members.any(&["targetApp_applicationPath", "targetApp_applicationName"]);
    let told = members.text("longDescription").zip(hashes.sha256).and_then(|(text, hash)| {
        let path = linked(&text, &hash.to_string())?.to_owned();
        let is_same = name.as_deref().is_none_or(|name| path.to_lowercase().ends_with(&name.to_lowercase()));
        is_same.then_some(Cow::Owned(path))
    });
    (hashes, told.or(name))
}

/// What a text for people calls the file of that hash: `<link hash="…">C:\a.exe</link>`.
fn linked<'t>(text: &'t str, hash: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("hash=\"{hash}\">"))?;
    let (name, _) = rest.split_once('<')?;
    (!name.is_empty()).then_some(name)
}

fn app(members: &Members<'_>, which: &str) -> Hashes {
    let [sha256, md5] = ["sha256Hash", "md5Hash"].map(|part| members.text(&format!("{which}_{part}")));
    Hashes::read(None, sha256.as_deref(), md5.map(|md5| md5.replace('-', "")).as_deref())
}

/// Who was there besides.
fn besides(members: &Members<'_>, machine: &Machine<'_>, time: Option<Time>) -> Vec<Event> {
    let name = members.any(&["parentApp_applicationPath", "parentApp_applicationName"]);
    let parent = app(members, "parentApp");
    let (acted, path) = (app(members, "selectedApp"), selected_path(members));
    let mut seen: Vec<Event> = Vec::new();
    if let Some(mut event) =
        Event::parent_seen(machine, time, (&acted, path.as_deref()), (&parent, name.as_deref()))
    {
        event.set("InitiatingProcessId", members.text("processDetails_parentPid").as_deref().map(whole));
        event.set("InitiatingProcessCommandLine", members.text("processDetails_parentCommandLine"));
        seen.push(event);
    }
    let hash = members.text("processDetails_interpreterHash");
    let interpreter = Hashes::read(None, hash.as_deref(), None);
    let path = members.text("processDetails_interpreterName");
    seen.extend(Event::seen(
        machine,
        time,
        INTERPRETER_SEEN,
        Role::Initiating,
        &interpreter,
        path.as_deref(),
    ));
    seen
}

const ACTING: &[Column] = &[
    ("processDetails_processId", "InitiatingProcessId"),
    ("processDetails_privatePid", "InitiatingProcessUniqueId"),
    ("processDetails_commandLine", "InitiatingProcessCommandLine"),
    ("processDetails_parentPid", "InitiatingProcessParentId"),
    ("processDetails_parentName", "InitiatingProcessParentFileName"),
];

const TARGET: &[Column] = &[
    ("processDetails_targetPid", "ProcessId"),
    ("processDetails_targetCommandLine", "ProcessCommandLine"),
    ("registryValue", "RegistryKey"),
];

const OUTGOING: &[Column] = &[
    ("netFlow_sourceAddress", "LocalIP"),
    ("netFlow_sourcePort", "LocalPort"),
    ("netFlow_destAddress", "RemoteIP"),
    ("netFlow_destPort", "RemotePort"),
];

const INCOMING: &[Column] = &[
    ("netFlow_destAddress", "LocalIP"),
    ("netFlow_destPort", "LocalPort"),
    ("netFlow_sourceAddress", "RemoteIP"),
    ("netFlow_sourcePort", "RemotePort"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_in_the_text_for_people_by_the_files_hash() {
        let text = r#"The file "<share><link hash="ab">C:\a\b.dll</link></share>" was created"#;
        assert_eq!(linked(text, "ab"), Some("C:\\a\\b.dll"));
        assert_eq!(linked(text, "cd"), None);
        assert_eq!(linked(r#"<link hash="ab">"#, "ab"), None);
    }

    #[test]
    fn a_time_that_was_rounded_is_none() {
        for (given, time) in [
            (
                r#"{"eventTime":1768469400123,"TimeGenerated":"2026-01-15T09:35:00Z"}"#,
                "2026-01-15T09:30:00.123Z",
            ),
            (r#"{"eventTime":"1768469400123.0"}"#, "2026-01-15T09:30:00.123Z"),
            (r#"{"eventTime":"1.77E+12","TimeGenerated":"2026-01-15T09:35:00Z"}"#, "2026-01-15T09:35:00Z"),
        ] {
            let members = Members::parse(given.as_bytes()).unwrap();
            assert_eq!(happened(&members).unwrap(), Time::parse(time), "{given}");
        }
        let none = Members::parse(br#"{"eventTime":"1.77E+12","TimeGenerated":"soon"}"#).unwrap();
        assert!(happened(&none).is_err());
    }
}
