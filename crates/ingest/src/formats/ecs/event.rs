//! What happened on a machine: a row of the table that its category belongs to.

use pintle_model::tables::{
    device_events, device_file_events, device_image_load_events, device_info, device_logon_events,
    device_network_events, device_network_info, device_process_events, device_registry_events,
};
use pintle_model::{Hashes, Table, Time};

use super::fields::Fields;
use crate::event::{Event, Role};
use crate::format::{Problem, Several};
use crate::json;
use crate::machine::Machine;
use crate::windows::last_part;

/// What every document says of its agent, its host and its own way: not kept.
const NOT_KEPT: &[&str] =
    &["@timestamp", "@version", "agent.", "data_stream.", "ecs.", "elastic.", "event.ingested", "host."];

/// Addresses of one machine that are looked at.
const MAX_ADDRESSES: usize = 256;

/// Decodes an event.
pub fn decode(fields: &Fields<'_>, machine: &Machine<'_>, several: &mut Several) -> Result<(), Problem> {
    let at = time(fields)?;
    if fields.first(&["event.dataset", "data_stream.dataset"]).as_deref() == Some("endpoint.metadata") {
        return inventory(fields, machine, at, several);
    }
    let (table, action) = mapped(fields);
    let mut event = Event::new(table, machine, at, &action);
    let is_start = action == "ProcessCreated";
    if is_start {
        process(fields, &mut event, Role::Target, "process");
        account(fields, &mut event, "");
        process(fields, &mut event, Role::Initiating, "process.parent");
    } else if action == "ProcessTerminate" {
        process(fields, &mut event, Role::Target, "process");
    } else {
        process(fields, &mut event, Role::Initiating, "process");
        let prefix = if table.id == device_logon_events::TABLE.id { "" } else { Role::Initiating.prefix() };
        account(fields, &mut event, prefix);
    }
    target(fields, &mut event, table);
    if !is_start {
        let parent = fields.hashes("process.parent");
        if !parent.is_empty() {
            let mut row = Event::new(&device_events::TABLE, machine, at, "ParentProcessSeen");
            process(fields, &mut row, Role::Initiating, "process.parent");
            several.add(row.finish())?;
        }
    }
    for (name, value) in fields.rest() {
        if !NOT_KEPT.iter().any(|prefix| name.starts_with(prefix)) {
            event.additional(name, value);
        }
    }
    several.add(event.finish())
}

/// When it happened.
pub fn time(fields: &Fields<'_>) -> Result<Option<Time>, Problem> {
    match fields.text("@timestamp") {
        Some(text) => crate::time::read(&text).map(Some).ok_or_else(|| "@timestamp is no time".into()),
        None => Ok(None),
    }
}

/// Which table, and which word.
fn mapped(fields: &Fields<'_>) -> (&'static Table, String) {
    let is = |category| fields.says("event.category", category);
    let of_type = |kind| fields.says("event.type", kind);
    let action = fields.text("event.action").unwrap_or_default().to_lowercase();
    let did = |words: &[&str]| words.contains(&action.as_str());
    let own = || match (action.as_str(), fields.first(&["event.dataset", "event.code"])) {
        ("", Some(dataset)) => dataset.into_owned(),
        ("", None) => "EcsEvent".to_owned(),
        (action, _) => action.to_owned(),
    };
    let is_failure = fields.says("event.outcome", "failure");
    let (table, known): (&'static Table, Option<&str>) = if is("driver")
        && (of_type("start") || did(&["load"]))
    {
        (&device_events::TABLE, Some("DriverLoad"))
    } else if is("library") && (of_type("start") || did(&["load"])) {
        (&device_image_load_events::TABLE, Some("ImageLoaded"))
    } else if is("registry") {
        let key = fields.text("registry.value").is_none();
        match () {
            () if of_type("deletion") && key => (&device_registry_events::TABLE, Some("RegistryKeyDeleted")),
            () if of_type("deletion") => (&device_registry_events::TABLE, Some("RegistryValueDeleted")),
            () if of_type("creation") && key => (&device_registry_events::TABLE, Some("RegistryKeyCreated")),
            () if of_type("change") || of_type("creation") => {
                (&device_registry_events::TABLE, Some("RegistryValueSet"))
            }
            () => (&device_events::TABLE, None),
        }
    } else if is("file") {
        match () {
            () if did(&["rename", "moved"]) => (&device_file_events::TABLE, Some("FileRenamed")),
            () if of_type("deletion") => (&device_file_events::TABLE, Some("FileDeleted")),
            () if of_type("creation") && !did(&["overwrite"]) => {
                (&device_file_events::TABLE, Some("FileCreated"))
            }
            () if of_type("creation") || of_type("change") => {
                (&device_file_events::TABLE, Some("FileModified"))
            }
            () => (&device_events::TABLE, None),
        }
    } else if fields.has_below("dns.question") {
        (&device_events::TABLE, Some("DnsQueryResponse"))
    } else if is("network") && fields.has_below("destination") {
        (&device_network_events::TABLE, Some(connection(fields, is_failure)))
    } else if (is("authentication") || is("session"))
        && (of_type("start") || did(&["log_on", "logged-in", "logon-failed", "ssh_login", "user_login"]))
    {
        (&device_logon_events::TABLE, Some(if is_failure { "LogonFailed" } else { "LogonSuccess" }))
    } else if is("process") && of_type("start") {
        (&device_process_events::TABLE, Some("ProcessCreated"))
    } else if is("process") && of_type("end") {
        (&device_events::TABLE, Some("ProcessTerminate"))
    } else {
        (&device_events::TABLE, None)
    };
    (table, known.map_or_else(own, str::to_owned))
}

fn connection(fields: &Fields<'_>, is_failure: bool) -> &'static str {
    match is_failure {
        true => "ConnectionFailed",
        false if is_inbound(fields) => "InboundConnectionAccepted",
        false => "ConnectionSuccess",
    }
}

/// Whether the other end began the connection: the schema's `source` is who did.
fn is_inbound(fields: &Fields<'_>) -> bool {
    let direction = fields.text("network.direction");
    matches!(direction.as_deref(), Some("ingress" | "inbound" | "incoming"))
        || fields.says("event.action", "connection_accepted")
}

/// Puts in the process that `name` is about.
fn process(fields: &Fields<'_>, event: &mut Event, role: Role, name: &str) {
    let text = |part: &str| fields.text(&format!("{name}.{part}"));
    let path = text("executable").or_else(|| text("name"));
    event.file(role, &fields.hashes(name), path.as_deref().filter(|path| path.contains(['\\', '/'])));
    event.set(&format!("{}FileName", role.prefix()), path.as_deref().map(last_part));
    let column = |part: &str| match role {
        Role::Target => format!("Process{part}"),
        Role::Initiating => format!("InitiatingProcess{part}"),
    };
    event.set(&column("Id"), text("pid"));
    // On Linux there may be the arguments alone.
    let arguments = || fields.texts(&format!("{name}.args")).join(" ").into();
    event.set(&column("CommandLine"), Some(text("command_line").unwrap_or_else(arguments)));
    event.set_time(&column("CreationTime"), fields.time(&format!("{name}.start")));
    if role == Role::Initiating {
        event.set("InitiatingProcessParentId", text("parent.pid"));
        let parent = text("parent.executable").or_else(|| text("parent.name"));
        event.set("InitiatingProcessParentFileName", parent.as_deref().map(last_part));
    }
}

fn account(fields: &Fields<'_>, event: &mut Event, prefix: &str) {
    event.set(&format!("{prefix}AccountName"), fields.first(&["user.name", "process.user.name"]));
    event.set(&format!("{prefix}AccountDomain"), fields.text("user.domain"));
    // On Linux and macOS the id is a number, which identifies nobody elsewhere.
    let sid = fields.text("user.id").filter(|id| id.starts_with("S-1-"));
    event.set(&format!("{prefix}AccountSid"), sid);
}

/// Puts in what it happened to.
fn target(fields: &Fields<'_>, event: &mut Event, table: &'static Table) {
    if table.id == device_file_events::TABLE.id {
        put_file(fields, event, "file");
        let before = fields.first(&["file.Ext.original.path", "file.Ext.original.name"]);
        event.set("PreviousFolderPath", before.as_deref().filter(|path| path.contains(['\\', '/'])));
        event.set("PreviousFileName", before.as_deref().map(last_part));
    } else if table.id == device_image_load_events::TABLE.id {
        put_library(fields, event);
    } else if table.id == device_registry_events::TABLE.id {
        registry(fields, event);
    } else if table.id == device_network_events::TABLE.id {
        ends(fields, event);
    } else if table.id == device_logon_events::TABLE.id {
        logon(fields, event);
    } else if table.id == device_events::TABLE.id {
        if fields.has_below("dll") {
            put_library(fields, event);
        } else if fields.has_below("file") {
            put_file(fields, event, "file");
        }
        event
            .set("RemoteUrl", fields.first(&["dns.question.name", "url.full", "url.original", "url.domain"]));
        event.set("RegistryKey", fields.text("registry.path"));
    }
}

fn put_file(fields: &Fields<'_>, event: &mut Event, name: &str) {
    let path = fields.text(&format!("{name}.path"));
    event.file(Role::Target, &fields.hashes(name), path.as_deref());
    if path.is_none() {
        event.set("FileName", fields.text(&format!("{name}.name")));
    }
    event.set("FileSize", fields.text(&format!("{name}.size")));
}

/// A library is a `dll`; integrations of other sensors call it a file.
fn put_library(fields: &Fields<'_>, event: &mut Event) {
    put_file(fields, event, if fields.has_below("dll") { "dll" } else { "file" });
}

fn registry(fields: &Fields<'_>, event: &mut Event) {
    let key = fields.text("registry.key").map(|key| match fields.text("registry.hive") {
        Some(hive) => format!("{hive}\\{key}"),
        None => key.into_owned(),
    });
    event.set("RegistryKey", key.or_else(|| fields.text("registry.path").map(|path| path.into_owned())));
    event.set("RegistryValueName", fields.text("registry.value"));
    event.set("RegistryValueType", fields.text("registry.data.type"));
    event.set("RegistryValueData", fields.first(&["registry.data.strings", "registry.data.bytes"]));
}

fn ends(fields: &Fields<'_>, event: &mut Event) {
    let (here, there) =
        if is_inbound(fields) { ("destination", "source") } else { ("source", "destination") };
    let text = |end: &str, part: &str| fields.text(&format!("{end}.{part}"));
    event.set("RemoteIP", text(there, "ip"));
    event.set("RemotePort", text(there, "port"));
    let url = fields.first(&["url.full", "url.original", "url.domain"]);
    event.set("RemoteUrl", url.or_else(|| text(there, "domain")));
    event.set("LocalIP", text(here, "ip"));
    event.set("LocalPort", text(here, "port"));
    let protocol = fields.text("network.transport").map(|name| name.to_lowercase());
    event.set(
        "Protocol",
        match protocol.as_deref() {
            Some("tcp") => Some("Tcp"),
            Some("udp") => Some("Udp"),
            Some("icmp" | "ipv6-icmp") => Some("Icmp"),
            other => other,
        },
    );
}

fn logon(fields: &Fields<'_>, event: &mut Event) {
    event.set("LogonType", fields.first(&["process.Ext.session_info.logon_type", "winlog.logon.type"]));
    event.set("Protocol", fields.text("process.Ext.session_info.authentication_package"));
    event.set("FailureReason", fields.first(&["process.Ext.session_info.failure_reason", "event.reason"]));
    event.set("RemoteIP", fields.first(&["source.ip", "process.Ext.session_info.client_address"]));
    event.set("RemotePort", fields.text("source.port"));
    event.set("RemoteDeviceName", fields.first(&["source.domain", "process.Ext.session_info.workstation"]));
}

/// What a machine is, and its addresses: Elastic does not say which adapter has which.
fn inventory(
    fields: &Fields<'_>,
    machine: &Machine<'_>,
    at: Option<Time>,
    several: &mut Several,
) -> Result<(), Problem> {
    let mut info = Event::new(&device_info::TABLE, machine, at, "");
    info.set("OSPlatform", fields.first(&["host.os.name", "host.os.platform"]));
    info.set("OSVersion", fields.text("host.os.version"));
    info.set("OSDistribution", fields.text("host.os.Ext.variant"));
    info.set("OSArchitecture", fields.text("host.architecture"));
    info.set("ClientVersion", fields.text("agent.version"));
    let build = fields.text("host.os.build").filter(|build| json::long(build).is_some());
    info.set("OSBuild", build);
    several.add(info.finish())?;
    let addresses = fields.texts("host.ip").into_iter().take(MAX_ADDRESSES);
    let addresses: Vec<_> = addresses.map(|ip| serde_json::json!({ "IPAddress": ip })).collect();
    let mac = fields.text("host.mac");
    if !addresses.is_empty() {
        let mut adapter = Event::new(&device_network_info::TABLE, machine, at, "");
        adapter.set("NetworkAdapterName", mac.is_none().then_some("host"));
        adapter.set("MacAddress", mac);
        adapter.set("IPAddresses", Some(serde_json::Value::from(addresses).to_string()));
        several.add(adapter.finish())?;
    }
    Ok(())
}

/// The path by which a file is named.
pub fn path<'a>(fields: &Fields<'a>, name: &str) -> Option<std::borrow::Cow<'a, str>> {
    let part = if name.starts_with("process") { "executable" } else { "path" };
    fields.first(&[&format!("{name}.{part}"), &format!("{name}.name")])
}

/// The hashes of what Sysmon wrote about, where Winlogbeat left them to the event's data alone.
pub fn sysmon_hashes(fields: &Fields<'_>) -> Hashes {
    let text = fields.first(&["winlog.event_data.Hashes", "winlog.event_data.Hash"]);
    let is_file = fields.text("winlog.event_id").as_deref() != Some("24");
    text.filter(|_| is_file).map(|text| Hashes::read_sysmon(&text)).unwrap_or_default()
}
