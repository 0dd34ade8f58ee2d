//! What happened on a device: a row of the table that its class belongs to.

use pintle_model::tables::{
    device_events, device_file_events, device_image_load_events, device_info, device_logon_events,
    device_network_events, device_network_info, device_process_events, device_registry_events,
};
use pintle_model::{Hashes, Record, Table};

use super::entity::{Endpoint, File, Process, User, url};
use super::{Ocsf, at, list, number, text};
use crate::event::{Event, Role};
use crate::format::{Decoded, Problem, Several};
use crate::json::{self, Json, Object};
use crate::machine::Machine;

/// Members that are the framework's own, or that a mapping takes as a whole.
const TAKEN: &[&str] = &[
    "activity_id",
    "activity_name",
    "actor",
    "category_name",
    "category_uid",
    "class_name",
    "class_uid",
    "connection_info",
    "device",
    "driver",
    "dst_endpoint",
    "end_time",
    "file",
    "file_result",
    "metadata",
    "module",
    "observables",
    "process",
    "query",
    "reg_key",
    "reg_value",
    "src_endpoint",
    "start_time",
    "time",
    "time_dt",
    "timezone_offset",
    "type_name",
    "type_uid",
];

/// What an activity of a class becomes.
struct Mapped {
    table: &'static Table,
    action: Action,
}

/// The word for it.
enum Action {
    /// Defender's.
    Known(&'static str),
    /// The framework's.
    Own,
}

/// Decodes an event of any class but findings.
pub fn decode(ocsf: &Ocsf<'_>) -> Result<Decoded, Problem> {
    let mut several = Several::default();
    let Some(machine) = &ocsf.machine else { return Ok(several.finish("event without a machine")) };
    if matches!(ocsf.class, 5001 | 5002) {
        inventory(ocsf, machine, &mut several)?;
        return Ok(several.finish("event without a machine"));
    }
    let mapped = mapped(ocsf);
    let action = match mapped.action {
        Action::Known(action) => action.to_owned(),
        Action::Own => own_name(ocsf),
    };
    let mut event = Event::new(mapped.table, machine, ocsf.time, &action);
    let initiating = actors(ocsf, &mut event, machine, &mut several)?;
    target(ocsf, &mut event, initiating.as_ref());
    replaced(ocsf, machine, &mut several)?;
    rest(ocsf, &mut event);
    several.add(event.finish())?;
    Ok(several.finish("event without a machine"))
}

/// Which table, and which word: a line a class and activity.
fn mapped(ocsf: &Ocsf<'_>) -> Mapped {
    let known = |table, action| Mapped { table, action: Action::Known(action) };
    match (ocsf.class, ocsf.activity) {
        (1001, 1) => known(&device_file_events::TABLE, "FileCreated"),
        (1001, 2) => known(&device_file_events::TABLE, "FileRead"),
        (1001, 3) => known(&device_file_events::TABLE, "FileModified"),
        (1001, 4) => known(&device_file_events::TABLE, "FileDeleted"),
        (1001, 5) => known(&device_file_events::TABLE, "FileRenamed"),
        (1002, 1) => known(&device_events::TABLE, "DriverLoad"),
        (1005, 1) => known(&device_image_load_events::TABLE, "ImageLoaded"),
        (1006, 1) => known(&device_events::TABLE, "ScheduledTaskCreated"),
        (1006, 2) => known(&device_events::TABLE, "ScheduledTaskUpdated"),
        (1007, 1) => known(&device_process_events::TABLE, "ProcessCreated"),
        (1007, 2) => known(&device_events::TABLE, "ProcessTerminate"),
        (1007, 3) => known(&device_events::TABLE, "OpenProcessApiCall"),
        (3002, 1) if number(&ocsf.members, "status_id") == Some(2) => {
            known(&device_logon_events::TABLE, "LogonFailed")
        }
        (3002, 1) => known(&device_logon_events::TABLE, "LogonSuccess"),
        (4003, _) => known(&device_events::TABLE, "DnsQueryResponse"),
        // Mail is no connection of the device's.
        (4001 | 4002 | 4004..=4008 | 4010 | 4013 | 4014, activity) => known(
            &device_network_events::TABLE,
            match activity {
                // Other classes number what is asked for, such as the method of a request.
                4 | 5 if matches!(ocsf.class, 4001 | 4007) => "ConnectionFailed",
                7 if matches!(ocsf.class, 4001 | 4007) => "ListeningConnectionCreated",
                _ if is_inbound(ocsf) => "InboundConnectionAccepted",
                _ => "ConnectionSuccess",
            },
        ),
        // The registry is an extension's, whose number leads those of its classes.
        (201_001, 1) => known(&device_registry_events::TABLE, "RegistryKeyCreated"),
        (201_001, 4) => known(&device_registry_events::TABLE, "RegistryKeyDeleted"),
        (201_001, 5) => known(&device_registry_events::TABLE, "RegistryKeyRenamed"),
        (201_002, 2 | 3) => known(&device_registry_events::TABLE, "RegistryValueSet"),
        (201_002, 4) => known(&device_registry_events::TABLE, "RegistryValueDeleted"),
        _ => Mapped { table: &device_events::TABLE, action: Action::Own },
    }
}

/// The framework's name of what happened, or at least its number.
fn own_name(ocsf: &Ocsf<'_>) -> String {
    let names = (text(&ocsf.members, "class_name"), text(&ocsf.members, "activity_name"));
    match (text(&ocsf.members, "type_name"), names) {
        (Some(name), _) => name.into_owned(),
        (None, (Some(class), Some(activity))) => format!("{class}: {activity}"),
        (None, (Some(class), None)) => class.into_owned(),
        _ => format!("OCSF {}", ocsf.class.saturating_mul(100).saturating_add(ocsf.activity)),
    }
}

/// Puts in who did it. A process that began that one is a row of its own if its program is known by a hash.
fn actors<'a>(
    ocsf: &Ocsf<'a>,
    event: &mut Event,
    machine: &Machine<'_>,
    several: &mut Several,
) -> Result<Option<Process<'a>>, Problem> {
    let actor = at(&ocsf.members, &["actor", "process"]).and_then(Process::of);
    let is_launch = (ocsf.class, ocsf.activity) == (1007, 1);
    let target = ocsf.members.get("process").and_then(Process::of);
    let parent = target.filter(|_| is_launch).and_then(|process| process.parent());
    // Some only number the actor and describe the parent.
    let initiating = match (actor, parent) {
        (Some(actor), Some(parent)) if !actor.is_described() && parent.is_described() => Some(parent),
        (actor, parent) => actor.or(parent),
    };
    if let Some(user) = at(&ocsf.members, &["actor", "user"]).and_then(User::of) {
        user.put(event, Role::Initiating.prefix());
    }
    if let Some(initiating) = &initiating {
        initiating.put(event, Role::Initiating);
        if let Some(parent) = initiating.parent().filter(|parent| !parent.file.hashes.is_empty()) {
            let mut row = Event::new(&device_events::TABLE, machine, ocsf.time, "ParentProcessSeen");
            parent.put(&mut row, Role::Initiating);
            several.add(row.finish())?;
        }
    }
    Ok(initiating)
}

/// Puts in what it happened to.
fn target(ocsf: &Ocsf<'_>, event: &mut Event, initiating: Option<&Process<'_>>) {
    let members = &ocsf.members;
    let file = |path: &[&str]| at(members, path).and_then(File::of);
    match ocsf.class {
        1007 => launched(ocsf, event, initiating),
        1002 => put_file(event, file(&["driver", "file"])),
        1005 => put_file(event, file(&["module", "file"])),
        1006 => put_file(event, file(&["job", "file"])),
        3002 => logon(members, event),
        4001..=4008 | 4010 | 4013 | 4014 => connection(ocsf, event),
        201_001 | 201_002 => registry(members, event),
        _ => {
            put_file(event, file(&["file_result"]).or_else(|| file(&["file"])));
            if let Some(process) = members.get("process").and_then(Process::of) {
                process.put(event, Role::Target);
            }
        }
    }
    if (ocsf.class, ocsf.activity) == (1001, 5)
        && let Some(before) = file(&["file"]).filter(|_| members.has("file_result"))
    {
        event.set("PreviousFolderPath", before.path.as_deref());
        event.set("PreviousFileName", before.name.as_deref());
    }
}

fn put_file(event: &mut Event, file: Option<File<'_>>) {
    if let Some(file) = file {
        file.put(event, Role::Target);
    }
}

/// A process that was begun, ended, opened. CrowdStrike's exports have no member for the hashes of its
/// program, and leave them where they stood in its own event.
fn launched(ocsf: &Ocsf<'_>, event: &mut Event, initiating: Option<&Process<'_>>) {
    let Some(mut process) = ocsf.members.get("process").and_then(Process::of) else { return };
    if process.file.hashes.is_empty() && ocsf.vendor == "crowdstrike" {
        let hash = |name: &str| at(&ocsf.members, &["unmapped", name]).and_then(Json::text);
        let (sha1, sha256, md5) = (hash("SHA1HashData"), hash("SHA256HashData"), hash("MD5HashData"));
        process.file.hashes = Hashes::read(sha1.as_deref(), sha256.as_deref(), md5.as_deref());
    }
    process.put(event, Role::Target);
    // A process that nobody is named for runs for whoever began it.
    let actor = || at(&ocsf.members, &["actor", "user"]).and_then(User::of);
    if process.user().is_none()
        && let Some(user) = initiating.and_then(Process::user).or_else(actor).filter(|_| ocsf.activity == 1)
    {
        user.put(event, "");
    }
}

/// What a file was before it was changed.
fn replaced(ocsf: &Ocsf<'_>, machine: &Machine<'_>, several: &mut Several) -> Result<(), Problem> {
    let file = |name: &str| ocsf.members.get(name).and_then(File::of).filter(|file| !file.hashes.is_empty());
    if (ocsf.class, ocsf.activity) == (1001, 3)
        && let (Some(before), Some(after)) = (file("file"), file("file_result"))
        && before.hashes != after.hashes
    {
        let mut row = Event::new(&device_file_events::TABLE, machine, ocsf.time, "FileReplaced");
        before.put(&mut row, Role::Target);
        several.add(row.finish())?;
    }
    Ok(())
}

fn logon(members: &Object<'_>, event: &mut Event) {
    if let Some(user) = members.get("user").and_then(User::of) {
        user.put(event, "");
    }
    let kind = match number(members, "logon_type_id") {
        Some(2) => Some("Interactive"),
        Some(3) => Some("Network"),
        Some(4) => Some("Batch"),
        Some(5) => Some("Service"),
        Some(7) => Some("Unlock"),
        Some(8) => Some("NetworkCleartext"),
        Some(9) => Some("NewCredentials"),
        Some(10) => Some("RemoteInteractive"),
        Some(11) => Some("CachedInteractive"),
        _ => None,
    };
    event.set("LogonType", kind.map(Into::into).or_else(|| text(members, "logon_type")));
    event.set("Protocol", text(members, "auth_protocol"));
    event.set("FailureReason", text(members, "status_detail"));
    if let Some(from) = members.get("src_endpoint").and_then(Endpoint::of) {
        event.set("RemoteIP", from.ip());
        event.set("RemotePort", from.port());
        event.set("RemoteDeviceName", from.name());
    }
}

/// Whether the other end began the connection.
fn is_inbound(ocsf: &Ocsf<'_>) -> bool {
    match at(&ocsf.members, &["connection_info", "direction_id"]).and_then(|id| json::long(&id.text()?)) {
        Some(1) => true,
        Some(2) => false,
        _ => {
            let device = ocsf.members.get("device").and_then(Json::object);
            let end = |name| ocsf.members.get(name).and_then(Endpoint::of);
            device.is_some_and(|device| {
                let is = |name| end(name).is_some_and(|end: Endpoint<'_>| end.is(&device));
                is("dst_endpoint") && !is("src_endpoint")
            })
        }
    }
}

fn connection(ocsf: &Ocsf<'_>, event: &mut Event) {
    let members = &ocsf.members;
    let (here, there) = match is_inbound(ocsf) {
        true => ("dst_endpoint", "src_endpoint"),
        false => ("src_endpoint", "dst_endpoint"),
    };
    let end = |name| members.get(name).and_then(Endpoint::of);
    let name = at(members, &["query", "hostname"]).and_then(Json::text);
    let request = at(members, &["http_request"]).and_then(Json::object);
    let url = request.and_then(|request| url(&request, "url")).or_else(|| url(members, "url"));
    if let Some(there) = end(there) {
        event.set("RemoteIP", there.ip());
        event.set("RemotePort", there.port());
        event.set("RemoteUrl", name.or(url).or_else(|| there.name()));
    } else {
        event.set("RemoteUrl", name.or(url));
    }
    if let Some(here) = end(here) {
        event.set("LocalIP", here.ip());
        event.set("LocalPort", here.port());
    }
    let info = |name| at(members, &["connection_info", name]).and_then(Json::text);
    let protocol = info("protocol_name").map(|name| name.to_ascii_lowercase());
    let protocol = match (protocol.as_deref(), info("protocol_num").as_deref()) {
        (Some("tcp"), _) | (None, Some("6")) => Some("Tcp"),
        (Some("udp"), _) | (None, Some("17")) => Some("Udp"),
        (Some("icmp"), _) | (None, Some("1")) => Some("Icmp"),
        (other, _) => other,
    };
    event.set("Protocol", protocol);
}

fn registry(members: &Object<'_>, event: &mut Event) {
    let part = |path: &[&str]| at(members, path).and_then(Json::text);
    event.set("RegistryKey", part(&["reg_key", "path"]).or_else(|| part(&["reg_value", "path"])));
    event.set("RegistryValueName", part(&["reg_value", "name"]));
    event.set("RegistryValueType", part(&["reg_value", "type"]));
    event.set("RegistryValueData", part(&["reg_value", "data"]));
    event.set("PreviousRegistryKey", part(&["prev_reg_key", "path"]));
    event.set("PreviousRegistryValueName", part(&["prev_reg_value", "name"]));
    event.set("PreviousRegistryValueData", part(&["prev_reg_value", "data"]));
}

/// What else an event says.
fn rest(ocsf: &Ocsf<'_>, event: &mut Event) {
    for path in [&["metadata", "uid"][..], &["metadata", "event_code"], &["metadata", "product", "name"]] {
        if let Some(value) = at(&ocsf.members, path) {
            event.additional(&path.join("."), value);
        }
    }
    for (name, value) in &ocsf.members.members {
        if !TAKEN.contains(&&**name) {
            event.additional(name, *value);
        }
    }
}

/// What a device is, and its adapters.
fn inventory(ocsf: &Ocsf<'_>, machine: &Machine<'_>, several: &mut Several) -> Result<(), Problem> {
    let Some(device) = ocsf.members.get("device").and_then(Json::object) else { return Ok(()) };
    let mut info = Event::new(&device_info::TABLE, machine, ocsf.time, "");
    let os = |name| at(&device, &["os", name]).and_then(Json::text);
    info.set("OSPlatform", os("name").or_else(|| os("type")));
    info.set("OSVersion", os("version"));
    info.set("OSBuild", os("build").filter(|build| json::long(build).is_some()));
    info.set("OSArchitecture", at(&device, &["hw_info", "cpu_architecture"]).and_then(Json::text));
    info.set("ClientVersion", at(&ocsf.members, &["metadata", "product", "version"]).and_then(Json::text));
    info.set("Model", text(&device, "model"));
    info.set("Vendor", text(&device, "vendor_name"));
    info.set("DeviceType", text(&device, "type"));
    several.add(info.finish())?;
    let mut adapters = 0;
    for adapter in list(&device, "network_interfaces").into_iter().filter_map(Json::object) {
        let name = text(&adapter, "name").or_else(|| text(&adapter, "uid"));
        let addresses = [text(&adapter, "ip"), text(&adapter, "ip_address")];
        let addresses: Vec<&str> = addresses.iter().flatten().map(|ip| &**ip).collect();
        several.add(adapter_row(
            ocsf,
            machine,
            name.as_deref(),
            text(&adapter, "mac").as_deref(),
            &addresses,
        ))?;
        adapters += 1;
    }
    if let Some(ip) = text(&device, "ip").filter(|_| adapters == 0) {
        several.add(adapter_row(ocsf, machine, None, text(&device, "mac").as_deref(), &[&ip]))?;
    }
    Ok(())
}

fn adapter_row(
    ocsf: &Ocsf<'_>,
    machine: &Machine<'_>,
    name: Option<&str>,
    mac: Option<&str>,
    addresses: &[&str],
) -> Record {
    let mut row = Event::new(&device_network_info::TABLE, machine, ocsf.time, "");
    // An adapter has a name or a MAC address; where neither is told, the address stands for it.
    row.set("NetworkAdapterName", name.or_else(|| addresses.first().copied().filter(|_| mac.is_none())));
    row.set("MacAddress", mac);
    let addresses: Vec<_> = addresses.iter().map(|ip| serde_json::json!({ "IPAddress": ip })).collect();
    row.set("IPAddresses", (!addresses.is_empty()).then(|| serde_json::Value::from(addresses).to_string()));
    row.finish()
}
