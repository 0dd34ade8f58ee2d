//! SentinelOne's Cloud Funnel: events as flat objects whose names are dotted paths (`src.process.image.sha1`
//! is the acting process's). Names of event types are read with or without their blanks.
//!
//! An event names three processes or more: what it happened to, who acted, and who started that. Who acted
//! initiates the event's row, and is once more what the row of its parent is about.

use std::borrow::Cow;

use pintle_model::tables::{
    device_events, device_file_events, device_image_load_events, device_logon_events, device_network_events,
    device_process_events, device_registry_events,
};
use pintle_model::{Hashes, Table, Time};

use crate::alert::category_of_tactic;
use crate::event::{Event, FILE_REPLACED, Role};
use crate::format::{Decoded, Format, Problem, Several};
use crate::machine::Machine;
use crate::members::{Column, Members};
use crate::windows::last_part;

pub static FORMAT: Format = Format {
    name: "sentinelone-cloudfunnel",
    description: "SentinelOne's Cloud Funnel: an event a line, its names dotted (src.process.image.sha1)",
    recognises: |object| object.has("agent.uuid") && object.has("event.type"),
    decode,
};

/// A process that took part besides the one that acted.
const PROCESS_SEEN: &str = "ProcessSeen";

/// What a type of event becomes: its table, Defender's word for it, and what it happened to.
struct Kind {
    table: &'static Table,
    /// The type's own name where there is none.
    action: Option<&'static str>,
    target: Target,
    columns: &'static [Column],
}

/// What an event happened to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Process,
    File,
    Module,
    Driver,
    /// A file or a process, whichever is named.
    Any,
    Nothing,
}

macro_rules! kind {
    ($table:ident, $action:literal, $target:ident, $columns:expr) => {
        Kind { table: &$table::TABLE, action: Some($action), target: Target::$target, columns: $columns }
    };
}

/// By a type's name in lower case, without blanks.
fn kind(name: &str) -> Kind {
    match name {
        "processcreation" => kind!(device_process_events, "ProcessCreated", Process, CREATED),
        "filecreation" => kind!(device_file_events, "FileCreated", File, FILE),
        "filemodification" => kind!(device_file_events, "FileModified", File, FILE),
        "filedeletion" => kind!(device_file_events, "FileDeleted", File, FILE),
        "filerename" => kind!(device_file_events, "FileRenamed", File, FILE),
        "moduleload" => kind!(device_image_load_events, "ImageLoaded", Module, &[]),
        "driverload" => kind!(device_events, "DriverLoad", Driver, &[]),
        "ipconnect" => kind!(device_network_events, "ConnectionSuccess", Nothing, &[]),
        "iplisten" => kind!(device_network_events, "ListeningConnectionCreated", Nothing, &[]),
        "dnsresolved" | "dnsunresolved" => kind!(device_events, "DnsQueryResponse", Nothing, NAME),
        "registrykeycreate" => kind!(device_registry_events, "RegistryKeyCreated", Nothing, ENTRY),
        "registrykeydelete" => kind!(device_registry_events, "RegistryKeyDeleted", Nothing, ENTRY),
        "registryvaluecreate" | "registryvaluemodified" => {
            kind!(device_registry_events, "RegistryValueSet", Nothing, ENTRY)
        }
        "registryvaluedelete" => kind!(device_registry_events, "RegistryValueDeleted", Nothing, ENTRY),
        "login" => kind!(device_logon_events, "LogonSuccess", Nothing, LOGON),
        "openremoteprocesshandle" => kind!(device_events, "OpenProcessApiCall", Process, ACCESSED),
        "remotethreadcreation" => kind!(device_events, "CreateRemoteThreadApiCall", Process, ACCESSED),
        "taskregister" => kind!(device_events, "ScheduledTaskCreated", Nothing, &[]),
        "taskupdate" => kind!(device_events, "ScheduledTaskUpdated", Nothing, &[]),
        // What a browser or another program asked for.
        "get" | "post" | "put" | "head" | "options" | "delete" | "connect" => {
            kind!(device_network_events, "HttpConnectionInspected", Nothing, URL)
        }
        _ => Kind { table: &device_events::TABLE, action: None, target: Target::Any, columns: OTHER },
    }
}

fn decode(record: &[u8]) -> Result<Decoded, Problem> {
    let members = Members::parse(record)?;
    let machine = Machine::identified(
        "sentinelone",
        members.text("agent.uuid").as_deref(),
        members.text("endpoint.name").as_deref(),
    );
    let Some(machine) = machine else { return Ok(Decoded::Nothing("event without a machine")) };
    let time = members.time(&["event.time"])?;
    let name = members.text("event.type").ok_or("event.type is missing")?;
    let kind = kind(&name.to_lowercase().replace(' ', ""));
    let mut several = Several::default();
    let mut event = Event::new(kind.table, &machine, time, action(&kind, &name, &members));
    fill(&mut event, &kind, &members);
    for seen in besides(&members, &machine, time) {
        several.add(seen.finish())?;
    }
    members.leave(&mut event);
    several.add(event.finish())?;
    Ok(several.finish("event without a machine"))
}

/// Defender's word, which for some types follows from more than their name.
fn action<'n>(kind: &Kind, name: &'n str, members: &Members<'_>) -> &'n str {
    let is =
        |member: &str, word: &str| members.text(member).is_some_and(|text| text.eq_ignore_ascii_case(word));
    match kind.action {
        Some("ConnectionSuccess") if is("event.network.connectionStatus", "FAILURE") => "ConnectionFailed",
        Some("ConnectionSuccess") if is("event.network.direction", "INCOMING") => "InboundConnectionAccepted",
        Some("LogonSuccess") if is("event.login.loginIsSuccessful", "false") => "LogonFailed",
        Some(action) => action,
        None => name,
    }
}

fn fill(event: &mut Event, kind: &Kind, members: &Members<'_>) {
    let (hashes, path) = target(kind.target, members);
    event.file(Role::Target, &hashes, path.as_deref());
    let (hashes, path) = image(members, "src.process");
    event.file(Role::Initiating, &hashes, path.as_deref());
    event.account("InitiatingProcess", members.text("src.process.user").as_deref());
    members.fill(event, ACTING);
    members.fill(event, kind.columns);
    let word = |member: &str| members.text(member).map(|word| words(&word));
    event.set("InitiatingProcessIntegrityLevel", word("src.process.integrityLevel"));
    if kind.table.id == device_process_events::TABLE.id {
        event.account("", members.text("tgt.process.user").as_deref());
        event.set("ProcessIntegrityLevel", word("tgt.process.integrityLevel"));
    }
    if kind.table.column("LocalIP").is_some() {
        let direction = members.text("event.network.direction");
        let is_incoming = direction.is_some_and(|of| of.eq_ignore_ascii_case("INCOMING"));
        members.fill(event, if is_incoming { INCOMING } else { OUTGOING });
    }
    if kind.table.id == device_registry_events::TABLE.id {
        registry_entry(event, kind, members);
    }
    if kind.table.id == device_logon_events::TABLE.id {
        logon(event, members);
    }
    if kind.action == Some("FileRenamed") {
        let before = members.text("tgt.file.oldPath");
        event.set("PreviousFileName", before.as_deref().map(last_part));
        event.set("PreviousFolderPath", before);
    }
}

/// The file that an event happened to.
fn target<'a>(target: Target, members: &Members<'a>) -> (Hashes, Option<Cow<'a, str>>) {
    let file = || {
        let hashes = members.hashes("tgt.file.sha1", "tgt.file.sha256", "tgt.file.md5");
        (hashes, members.text("tgt.file.path"))
    };
    match target {
        Target::File => file(),
        Target::Process => image(members, "tgt.process"),
        Target::Module => {
            (members.hashes("module.sha1", "module.sha256", "module.md5"), members.text("module.path"))
        }
        Target::Driver => {
            let hashes = members.hashes("driver.pe.sha1", "driver.pe.sha256", "driver.pe.md5");
            (hashes, members.text("tgt.file.path"))
        }
        Target::Any if members.has("tgt.process.image.path") => image(members, "tgt.process"),
        Target::Any => file(),
        Target::Nothing => (Hashes::default(), None),
    }
}

/// A process's image and its path, or at least its name.
fn image<'a>(members: &Members<'a>, process: &str) -> (Hashes, Option<Cow<'a, str>>) {
    let of = |part: &str| format!("{process}.{part}");
    let hashes = members.hashes(&of("image.sha1"), &of("image.sha256"), &of("image.md5"));
    (hashes, members.text(&of("image.path")).or_else(|| members.text(&of("name"))))
}

/// What was there besides what the event happened to and who acted.
fn besides(members: &Members<'_>, machine: &Machine<'_>, time: Option<Time>) -> Vec<Event> {
    let (acting, acting_path) = image(members, "src.process");
    let (parent, parent_path) = image(members, "src.process.parent");
    let mut seen = Vec::new();
    let (acting, parent) = ((&acting, acting_path.as_deref()), (&parent, parent_path.as_deref()));
    if let Some(mut event) = Event::parent_seen(machine, time, acting, parent) {
        event.account("InitiatingProcess", members.text("src.process.parent.user").as_deref());
        members.fill(&mut event, PARENT);
        seen.push(event);
    }
    // Who acted as the system has it, where that is another.
    for process in ["osSrc.process", "osSrc.process.parent"] {
        let (hashes, path) = image(members, process);
        seen.extend(Event::seen(machine, time, PROCESS_SEEN, Role::Initiating, &hashes, path.as_deref()));
    }
    let before = members.hashes("tgt.file.oldSha1", "tgt.file.oldSha256", "tgt.file.oldMd5");
    if !before.is_empty() {
        let path = members.any(&["tgt.file.oldPath", "tgt.file.path"]);
        let mut event = Event::new(&device_file_events::TABLE, machine, time, FILE_REPLACED);
        event.file(Role::Target, &before, path.as_deref());
        seen.push(event);
    }
    seen
}

/// A key, with a value's name at its end if the event is about a value.
fn registry_entry(event: &mut Event, kind: &Kind, members: &Members<'_>) {
    let Some(path) = members.text("registry.keyPath") else { return };
    let is_value = kind.action.is_some_and(|action| action.contains("Value"));
    match path.rsplit_once('\\').filter(|_| is_value) {
        Some((key, name)) => {
            event.set("RegistryKey", Some(key));
            event.set("RegistryValueName", Some(name));
        }
        None => event.set("RegistryKey", Some(path)),
    }
}

fn logon(event: &mut Event, members: &Members<'_>) {
    event.account("", members.any(&["event.login.userName", "event.login.accountName"]).as_deref());
    // Nobody's SID stands where there is none.
    event.set("AccountSid", members.text("event.login.accountSid").filter(|sid| sid != "S-1-0-0"));
    event.set("LogonType", members.text("event.login.type").map(|name| words(&name)));
}

/// `REMOTE_INTERACTIVE` as Defender writes it: `RemoteInteractive`.
fn words(name: &str) -> String {
    category_of_tactic(&name.to_lowercase())
}

/// The process that acted.
const ACTING: &[Column] = &[
    ("src.process.pid", "InitiatingProcessId"),
    ("src.process.uid", "InitiatingProcessUniqueId"),
    ("src.process.cmdline", "InitiatingProcessCommandLine"),
    ("src.process.startTime", "InitiatingProcessCreationTime"),
    ("src.process.sessionId", "InitiatingProcessSessionId"),
    ("src.process.parent.pid", "InitiatingProcessParentId"),
    ("src.process.parent.name", "InitiatingProcessParentFileName"),
    ("src.process.parent.startTime", "InitiatingProcessParentCreationTime"),
];

/// The process that acted, as what its parent started.
const PARENT: &[Column] = &[
    ("src.process.pid", "ProcessId"),
    ("src.process.cmdline", "ProcessCommandLine"),
    ("src.process.startTime", "ProcessCreationTime"),
    ("src.process.parent.pid", "InitiatingProcessId"),
    ("src.process.parent.uid", "InitiatingProcessUniqueId"),
    ("src.process.parent.cmdline", "InitiatingProcessCommandLine"),
    ("src.process.parent.startTime", "InitiatingProcessCreationTime"),
    ("src.process.parent.sessionId", "InitiatingProcessSessionId"),
];

const CREATED: &[Column] = &[
    ("tgt.process.pid", "ProcessId"),
    ("tgt.process.uid", "ProcessUniqueId"),
    ("tgt.process.cmdline", "ProcessCommandLine"),
    ("tgt.process.startTime", "ProcessCreationTime"),
    ("tgt.process.sessionId", "CreatedProcessSessionId"),
];

/// A process that another one reached into.
const ACCESSED: &[Column] = &[
    ("tgt.process.pid", "ProcessId"),
    ("tgt.process.cmdline", "ProcessCommandLine"),
    ("tgt.process.startTime", "ProcessCreationTime"),
];

/// Of a connection the source is who began it, whichever end this machine is.
const OUTGOING: &[Column] = &[
    ("src.ip.address", "LocalIP"),
    ("src.port.number", "LocalPort"),
    ("dst.ip.address", "RemoteIP"),
    ("dst.port.number", "RemotePort"),
];

const INCOMING: &[Column] = &[
    ("dst.ip.address", "LocalIP"),
    ("dst.port.number", "LocalPort"),
    ("src.ip.address", "RemoteIP"),
    ("src.port.number", "RemotePort"),
];

const FILE: &[Column] = &[("tgt.file.size", "FileSize")];

const NAME: &[Column] = &[("event.dns.request", "RemoteUrl")];

const URL: &[Column] = &[("url.address", "RemoteUrl")];

const ENTRY: &[Column] = &[
    ("registry.value", "RegistryValueData"),
    ("registry.valueType", "RegistryValueType"),
    ("registry.oldValue", "PreviousRegistryValueData"),
];

const LOGON: &[Column] = &[
    ("event.login.accountDomain", "AccountDomain"),
    ("event.login.isAdministratorEquivalent", "IsLocalAdmin"),
    ("event.login.failureReason", "FailureReason"),
    ("src.endpoint.ip.address", "RemoteIP"),
];

const OTHER: &[Column] = &[
    ("tgt.process.pid", "ProcessId"),
    ("tgt.process.cmdline", "ProcessCommandLine"),
    ("tgt.process.startTime", "ProcessCreationTime"),
    ("tgt.file.size", "FileSize"),
    ("registry.keyPath", "RegistryKey"),
    ("registry.value", "RegistryValueData"),
    ("url.address", "RemoteUrl"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_events_are_known_with_or_without_blanks() {
        for name in ["Process Creation", "ProcessCreation"] {
            let event = format!(r#"{{"agent.uuid":"a1","event.type":"{name}","tgt.process.pid":7}}"#);
            let Ok(Decoded::Record(pintle_model::Record::Row(row))) = decode(event.as_bytes()) else {
                panic!("no row")
            };
            assert_eq!(row.text(device_events::ACTION_TYPE), Some("ProcessCreated"));
            assert_eq!(row.long(device_process_events::PROCESS_ID), Some(7));
        }
        assert_eq!(words("REMOTE_INTERACTIVE"), "RemoteInteractive");
    }
}
