//! What Carbon Black Cloud's data forwarder delivers: endpoint events (`endpoint.event.procstart`, …) and
//! alerts, of either schema. Hashes stand in lists, an MD5 and a SHA-256, of which either may be empty.

mod alerts;

use std::borrow::Cow;

use pintle_model::tables::{
    device_events, device_file_events, device_image_load_events, device_network_events,
    device_process_events, device_registry_events,
};
use pintle_model::{Hashes, Table};

use crate::event::{Event, Role};
use crate::format::{Decoded, Format, Problem, Several};
use crate::json::{self, Json};
use crate::machine::Machine;
use crate::members::{Column, Members};
use crate::windows::last_part;

pub static FORMAT: Format = Format {
    name: "carbonblack-cloud",
    description: "Carbon Black Cloud: endpoint events and alerts of its data forwarder, one a line",
    recognises: |object| object.has("device_id") && object.has("org_key") && object.has("type"),
    decode,
};

const EVENT: &str = "endpoint.event.";

fn decode(record: &[u8]) -> Result<Decoded, Problem> {
    let members = Members::parse(record)?;
    let name = members.text("type").ok_or("type is missing")?;
    match name.strip_prefix(EVENT) {
        Some(kind) => event(&members, kind),
        None if alerts::is_one(&members) => alerts::decode(&members),
        None => event(&members, &name),
    }
}

/// The machine: its number is one within an organisation.
fn machine(members: &Members<'_>) -> Option<Machine<'static>> {
    let id = members.text("device_id").filter(|id| id != "0");
    let org = members.text("org_key");
    let id = match (org, id) {
        (Some(org), Some(id)) => Some(format!("{org}\0{}", whole(&id))),
        (_, id) => id.map(|id| whole(&id).to_owned()),
    };
    Machine::identified("carbonblack", id.as_deref(), members.text("device_name").as_deref())
}

/// A whole number that a table of real ones made one with a point.
pub fn whole(number: &str) -> &str {
    number.strip_suffix(".0").unwrap_or(number)
}

/// An endpoint event of a kind (`procstart`), whatever table it came in.
pub fn event(members: &Members<'_>, kind: &str) -> Result<Decoded, Problem> {
    let Some(machine) = machine(members) else { return Ok(Decoded::Nothing("event without a machine")) };
    let time = match members.time(&["device_timestamp"])? {
        Some(time) => Some(time),
        None => members.time(&["create_time", "createTime", "backend_timestamp"])?,
    };
    let actions = members.text("action").unwrap_or_default();
    let (table, action) = meaning(kind, &actions, members);
    let mut row = Event::new(table, &machine, time, action.unwrap_or(kind));
    let mut several = Several::default();
    let roles = Roles::of(kind, members);
    let process = image(members, "process");
    let parent = image(members, "parent");
    let other = roles.other.map(|prefix| image(members, prefix)).unwrap_or_default();
    let (target, initiating) = match roles.process {
        Part::Acted => (&other, &process),
        Part::Suffered => (&process, &other),
        Part::Began => (&process, &parent),
    };
    row.file(Role::Target, &target.0, target.1.as_deref());
    row.file(Role::Initiating, &initiating.0, initiating.1.as_deref());
    fill(&mut row, members, &roles);
    detail(&mut row, members, table, action);
    if !matches!(roles.process, Part::Began)
        && let Some(mut seen) = Event::parent_seen(
            &machine,
            time,
            (&process.0, process.1.as_deref()),
            (&parent.0, parent.1.as_deref()),
        )
    {
        members.fill(&mut seen, PARENT);
        several.add(seen.finish())?;
    }
    row.set("action", Some(&actions));
    members.leave(&mut row);
    several.add(row.finish())?;
    Ok(several.finish("event without a machine"))
}

/// The table of a kind of event, and Defender's word for it; the kind's own name where there is none.
fn meaning(kind: &str, actions: &str, members: &Members<'_>) -> (&'static Table, Option<&'static str>) {
    let of = |words: &[(&str, &'static str)]| {
        let is_said = |word: &str| actions.split('|').any(|action| action.trim() == word);
        words.iter().find(|(word, _)| is_said(word)).map(|(_, ours)| *ours)
    };
    match kind {
        "procstart" => (&device_process_events::TABLE, Some("ProcessCreated")),
        "filemod" => (&device_file_events::TABLE, of(FILE_ACTIONS)),
        "moduleload" => (&device_image_load_events::TABLE, Some("ImageLoaded")),
        "regmod" => (&device_registry_events::TABLE, of(REGISTRY_ACTIONS)),
        "netconn" | "netconn_proxy" => {
            let is_inbound = is_so(members, "netconn_inbound");
            let action = match of(CONNECTION_ACTIONS) {
                Some("ConnectionSuccess") if is_inbound => Some("InboundConnectionAccepted"),
                action => action,
            };
            (&device_network_events::TABLE, action)
        }
        "crossproc" => (&device_events::TABLE, of(PROCESS_ACTIONS)),
        _ => (&device_events::TABLE, None),
    }
}

/// What the sensor says of a file, most telling first. That it was merely opened is no word of Defender's.
const FILE_ACTIONS: &[(&str, &str)] = &[
    ("ACTION_FILE_CREATE", "FileCreated"),
    ("ACTION_FILE_RENAME", "FileRenamed"),
    ("ACTION_FILE_DELETE", "FileDeleted"),
    ("ACTION_FILE_LAST_WRITE", "FileModified"),
    ("ACTION_FILE_WRITE", "FileModified"),
    ("ACTION_FILE_TRUNCATE", "FileModified"),
    ("ACTION_FILE_READ", "FileRead"),
];

const REGISTRY_ACTIONS: &[(&str, &str)] = &[
    ("ACTION_CREATE_KEY", "RegistryKeyCreated"),
    ("ACTION_DELETE_KEY", "RegistryKeyDeleted"),
    ("ACTION_RENAME_KEY", "RegistryKeyRenamed"),
    ("ACTION_WRITE_VALUE", "RegistryValueSet"),
    ("ACTION_DELETE_VALUE", "RegistryValueDeleted"),
];

const CONNECTION_ACTIONS: &[(&str, &str)] = &[
    ("ACTION_CONNECTION_LISTEN", "ListeningConnectionCreated"),
    ("ACTION_CONNECTION_CREATE_FAILED", "ConnectionFailed"),
    ("ACTION_CONNECTION_CREATE", "ConnectionSuccess"),
    ("ACTION_CONNECTION_ESTABLISHED", "ConnectionSuccess"),
];

const PROCESS_ACTIONS: &[(&str, &str)] = &[
    ("ACTION_CREATE_REMOTE_THREAD", "CreateRemoteThreadApiCall"),
    ("ACTION_OPEN_PROCESS_HANDLE", "OpenProcessApiCall"),
];

/// What the process that an event is told of was to it.
#[derive(Clone, Copy)]
enum Part {
    /// It did it.
    Acted,
    /// Another process did it to it.
    Suffered,
    /// It is the new process, which its parent started.
    Began,
}

/// Who is who in an event.
struct Roles {
    process: Part,
    /// What the names of the members begin with that tell of the file besides.
    other: Option<&'static str>,
}

impl Roles {
    fn of(kind: &str, members: &Members<'_>) -> Roles {
        // Whether the other process was the target; then this one acted.
        let suffered = members.text("crossproc_target").and_then(|text| json::truth(&text)) == Some(false);
        let (process, other) = match kind {
            "procstart" if members.has("childproc_name") => (Part::Acted, Some("childproc")),
            "procstart" => (Part::Began, None),
            "filemod" => (Part::Acted, Some("filemod")),
            "moduleload" => (Part::Acted, Some("modload")),
            "scriptload" => (Part::Acted, Some("scriptload")),
            "crossproc" if suffered => (Part::Suffered, Some("crossproc")),
            "crossproc" => (Part::Acted, Some("crossproc")),
            _ => (Part::Acted, None),
        };
        Roles { process, other }
    }
}

fn is_so(members: &Members<'_>, name: &str) -> bool {
    members.text(name).and_then(|text| json::truth(&text)).unwrap_or_default()
}

/// A file: `NAME_hash` is a list, `NAME_path` or `NAME_name` its path.
fn image<'a>(members: &Members<'a>, prefix: &str) -> (Hashes, Option<Cow<'a, str>>) {
    let hashes = members.value(&format!("{prefix}_hash")).map(hashes).unwrap_or_default();
    let [md5, sha256] = ["md5", "sha256"].map(|kind| members.text(&format!("{prefix}_{kind}")));
    let apart = Hashes::read(None, sha256.as_deref(), md5.map(|md5| md5.replace('-', "")).as_deref());
    let hashes = Hashes { sha256: hashes.sha256.or(apart.sha256), md5: hashes.md5.or(apart.md5), ..hashes };
    let path = members.text(&format!("{prefix}_path")).or_else(|| members.text(&format!("{prefix}_name")));
    (hashes, path)
}

/// The hashes in a list, which tables of Log Analytics have as a text; which is which their lengths tell.
fn hashes(list: Json<'_>) -> Hashes {
    let text = if list.raw().starts_with('[') { Some(Cow::Borrowed(list.raw())) } else { list.text() };
    let text = text.unwrap_or_default();
    let parts = || text.split(|character: char| !character.is_ascii_hexdigit());
    let of = |length: usize| parts().find(|part| part.len() == length);
    Hashes::read(of(40), of(64), of(32))
}

fn fill(row: &mut Event, members: &Members<'_>, roles: &Roles) {
    match roles.process {
        Part::Acted => {
            members.fill(row, ACTING);
            row.account("InitiatingProcess", members.text("process_username").as_deref());
            row.set("InitiatingProcessParentFileName", members.text("parent_path").as_deref().map(last_part));
        }
        Part::Suffered => members.fill(row, SUFFERING),
        Part::Began => {
            members.fill(row, BEGUN);
            row.account("", members.text("process_username").as_deref());
            row.account("InitiatingProcess", members.text("parent_username").as_deref());
        }
    }
    if roles.other == Some("childproc") {
        members.fill(row, CHILD);
        row.account("", members.text("childproc_username").as_deref());
    }
    if roles.other == Some("crossproc") && matches!(roles.process, Part::Acted) {
        members.fill(row, &[("target_cmdline", "ProcessCommandLine")]);
    }
}

/// What a table has columns for besides files and processes.
fn detail(row: &mut Event, members: &Members<'_>, table: &Table, action: Option<&str>) {
    if table.id == device_network_events::TABLE.id {
        members.fill(row, CONNECTION);
        // An address stands there where no name is known.
        let (domain, address) = (members.text("netconn_domain"), members.text("remote_ip"));
        row.set("RemoteUrl", domain.filter(|domain| Some(domain) != address.as_ref()));
        let protocol = members.text("netconn_protocol");
        row.set(
            "Protocol",
            protocol.map(|name| match &*name {
                "PROTO_TCP" => Cow::Borrowed("Tcp"),
                "PROTO_UDP" => Cow::Borrowed("Udp"),
                _ => name,
            }),
        );
    } else if table.id == device_registry_events::TABLE.id {
        let is_value = action.is_some_and(|action| action.contains("Value"));
        let name = members.text("regmod_name").unwrap_or_default();
        let (key, value) = match name.rsplit_once('\\').filter(|_| is_value) {
            Some((key, value)) => (key, Some(value)),
            None => (&*name, None),
        };
        row.set("RegistryKey", Some(key));
        row.set("RegistryValueName", value);
    }
}

const ACTING: &[Column] = &[
    ("process_pid", "InitiatingProcessId"),
    ("process_guid", "InitiatingProcessUniqueId"),
    ("process_cmdline", "InitiatingProcessCommandLine"),
    ("parent_pid", "InitiatingProcessParentId"),
];

const SUFFERING: &[Column] = &[
    ("crossproc_guid", "InitiatingProcessUniqueId"),
    ("process_pid", "ProcessId"),
    ("process_cmdline", "ProcessCommandLine"),
];

const BEGUN: &[Column] = &[
    ("process_pid", "ProcessId"),
    ("process_guid", "ProcessUniqueId"),
    ("process_cmdline", "ProcessCommandLine"),
    ("parent_pid", "InitiatingProcessId"),
    ("parent_guid", "InitiatingProcessUniqueId"),
    ("parent_cmdline", "InitiatingProcessCommandLine"),
];

const CHILD: &[Column] = &[
    ("childproc_pid", "ProcessId"),
    ("childproc_guid", "ProcessUniqueId"),
    ("target_cmdline", "ProcessCommandLine"),
];

const PARENT: &[Column] = &[
    ("parent_pid", "InitiatingProcessId"),
    ("parent_guid", "InitiatingProcessUniqueId"),
    ("parent_cmdline", "InitiatingProcessCommandLine"),
];

const CONNECTION: &[Column] = &[
    ("remote_ip", "RemoteIP"),
    ("remote_port", "RemotePort"),
    ("local_ip", "LocalIP"),
    ("local_port", "LocalPort"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Object;

    #[test]
    fn hashes_are_told_apart_by_their_length_wherever_they_stand() {
        let (md5, sha256) = ("5".repeat(32), "a".repeat(64));
        for list in [
            format!(r#"["{md5}","{sha256}"]"#),
            format!(r#"["{sha256}","{md5}"]"#),
            format!(r#""[\"{md5}\",\r\n\"{sha256}\"]""#),
        ] {
            let record = format!(r#"{{"h":{list}}}"#);
            let found = hashes(Object::parse(record.as_bytes()).unwrap().get("h").unwrap());
            assert_eq!(found, Hashes::read(None, Some(&sha256), Some(&md5)), "{list}");
        }
        let record = br#"{"h":["",""],"n":null,"o":{"a":1}}"#;
        let object = Object::parse(record).unwrap();
        for name in ["h", "n", "o"] {
            assert!(hashes(object.get(name).unwrap()).is_empty());
        }
    }
}
