//! What a row of osquery's becomes. Its columns tell which table it is of, and so what it means: a query
//! may have any name, rename nothing as a rule, leave columns out and join others in.

use std::collections::BTreeMap;
use std::net::IpAddr;

use pintle_model::tables::{
    device_events, device_file_events, device_info, device_logon_events, device_network_events,
    device_network_info, device_process_events,
};
use pintle_model::{Hashes, Record, Table, Time};
use serde_json::json;

use super::{Report, Told, is_set, text};
use crate::event::{Event, Role};
use crate::format::{Problem, Several};
use crate::json::Object;
use crate::time;

/// A row: values by column.
pub struct Columns<'a>(pub Object<'a>);

impl<'a> Columns<'a> {
    /// The value of a column, unless it is empty.
    fn text(&self, column: &str) -> Option<std::borrow::Cow<'a, str>> {
        text(&self.0, column)
    }

    /// Whether the query asked for all of these columns.
    fn has(&self, columns: &[&str]) -> bool {
        columns.iter().all(|column| self.0.has(column))
    }

    /// Whether the query asked for any of these columns.
    fn has_any(&self, columns: &[&str]) -> bool {
        columns.iter().any(|column| self.0.has(column))
    }

    fn time(&self, column: &str) -> Option<Time> {
        self.text(column).and_then(|text| time::read(&text)).filter(|time| is_set(*time))
    }

    fn hashes(&self) -> Hashes {
        let [sha1, sha256, md5] = ["sha1", "sha256", "md5"].map(|column| self.text(column));
        Hashes::read(sha1.as_deref(), sha256.as_deref(), md5.as_deref())
    }

    /// Sets a process's program: by its path and hashes, or by the name alone of one that has no file.
    fn program(&self, event: &mut Event, role: Role) {
        match self.text("path") {
            Some(path) => event.file(role, &self.hashes(), Some(&path)),
            None => event.set(&format!("{}FileName", role.prefix()), self.text("name")),
        }
    }

    /// Sets columns of the event from those of the row, which `fields` pairs; those that it pairs with
    /// nothing were told otherwise, and what it does not name is kept as it is.
    fn fill(&self, event: &mut Event, fields: &[Field]) {
        for (name, value) in &self.0.members {
            match fields.iter().find(|(column, _)| column == name) {
                Some((_, "")) => {}
                Some((_, column)) => event.set(column, value.text()),
                None => event.additional(name, *value),
            }
        }
    }
}

/// A column of the row, and the event's column or nothing.
type Field = (&'static str, &'static str);

/// The event that a row is, if it is of a kind.
type Kind = fn(&Report<'_>, Told, &Columns<'_>) -> Option<Event>;

/// What a row may be, each by its own columns; the first that it is counts.
const KINDS: &[Kind] = &[file_change, logon, connection, process, device, adapter];

impl Report<'_> {
    /// The event that a row is.
    pub fn event(&self, told: Told, row: &Columns<'_>) -> Record {
        let known = KINDS.iter().find_map(|kind| kind(self, told, row));
        known.unwrap_or_else(|| self.other(told, row)).finish()
    }

    /// An event at the row's own time, which tables of events have, else at that of the result.
    fn begin(&self, table: &'static Table, row: &Columns<'_>, action: &str, told: Told) -> Event {
        let mut event = Event::new(table, self.machine, row.time("time").or(self.at), action);
        event.set("Query", self.query.as_deref());
        event.set("Result", Some(told.name()));
        event
    }

    /// Anything else that a query can find. A file is what has a path and a hash of its content.
    fn other(&self, told: Told, row: &Columns<'_>) -> Event {
        let mut event = self.begin(&device_events::TABLE, row, "OsqueryResult", told);
        let path = ["path", "target_path", "file_path"].into_iter().find_map(|column| row.text(column));
        let hashes = row.hashes();
        if hashes.is_empty() || path.is_none() || row.has_any(OF_ANOTHER) {
            row.fill(&mut event, OTHER);
        } else {
            event.file(Role::Target, &hashes, path.as_deref());
            row.fill(&mut event, FILE);
        }
        event
    }
}

/// Columns of tables in which a hash beside a path is not that of the file there: a certificate's, an
/// uploaded archive's, that which a package should have.
const OF_ANOTHER: &[&str] = &["common_name", "carve_guid", "package"];

const OTHER: &[Field] =
    &[("time", ""), ("pid", "ProcessId"), ("cmdline", "ProcessCommandLine"), ("username", "AccountName")];

const FILE: &[Field] = &[
    ("time", ""),
    ("path", ""),
    ("target_path", ""),
    ("file_path", ""),
    ("sha1", ""),
    ("sha256", ""),
    ("md5", ""),
    ("size", "FileSize"),
    ("pid", "ProcessId"),
    ("cmdline", "ProcessCommandLine"),
    ("username", "AccountName"),
];

/// How a table says that a file changed: by which columns it is known, and which have the word for the
/// change, the path before and after it, and the program.
struct Change {
    marks: &'static [&'static str],
    word: &'static str,
    before: &'static str,
    after: &'static str,
    program: &'static str,
}

/// `file_events` and `yara_events`, `process_file_events`, `es_process_file_events`, `ntfs_journal_events`.
const CHANGES: &[Change] = &[
    Change { marks: &["target_path"], word: "action", before: "", after: "target_path", program: "" },
    Change {
        marks: &["operation", "executable", "path"],
        word: "operation",
        before: "path",
        after: "dest_path",
        program: "executable",
    },
    Change {
        marks: &["event_type", "filename", "pid"],
        word: "event_type",
        before: "filename",
        after: "dest_filename",
        program: "path",
    },
    Change {
        marks: &["action", "old_path", "path"],
        word: "action",
        before: "old_path",
        after: "path",
        program: "",
    },
];

/// Defender's words for changes; others stay as they are.
const WORDS: &[(&str, &str)] = &[
    ("created", "FileCreated"),
    ("create", "FileCreated"),
    ("creat", "FileCreated"),
    ("mknod", "FileCreated"),
    ("filecreation", "FileCreated"),
    ("updated", "FileModified"),
    ("write", "FileModified"),
    ("truncate", "FileModified"),
    ("filewrite", "FileModified"),
    ("deleted", "FileDeleted"),
    ("unlink", "FileDeleted"),
    ("filedeletion", "FileDeleted"),
    ("moved_to", "FileRenamed"),
    ("rename", "FileRenamed"),
    ("filerename_newname", "FileRenamed"),
];

fn file_change(report: &Report<'_>, told: Told, row: &Columns<'_>) -> Option<Event> {
    let change = CHANGES.iter().find(|change| row.has(change.marks))?;
    let word = row.text(change.word)?;
    let (before, after) = (row.text(change.before), row.text(change.after));
    let (path, before) = if after.is_some() { (after, before) } else { (before, None) };
    let path = path?;
    let action = WORDS.iter().find(|(theirs, _)| word.eq_ignore_ascii_case(theirs));
    let action = action.map_or(&*word, |(_, ours)| ours);
    let mut event = report.begin(&device_file_events::TABLE, row, action, told);
    event.file(Role::Target, &row.hashes(), Some(&path));
    event.set("PreviousFolderPath", before.as_deref());
    event.set("PreviousFileName", before.as_deref().map(crate::windows::last_part));
    let program = row.text(change.program);
    event.file(Role::Initiating, &Hashes::default(), program.as_deref());
    let said = [change.before, change.after, change.program];
    let fields: Vec<Field> = said.into_iter().map(|name| (name, "")).chain(CHANGE.iter().copied()).collect();
    row.fill(&mut event, &fields);
    Some(event)
}

/// Who the file belongs to is not who changed it, so `uid` and `username` are kept as they are.
const CHANGE: &[Field] = &[
    ("time", ""),
    ("sha1", ""),
    ("sha256", ""),
    ("md5", ""),
    ("size", "FileSize"),
    ("pid", "InitiatingProcessId"),
    ("ppid", "InitiatingProcessParentId"),
    ("parent", "InitiatingProcessParentId"),
];

/// A session of a user: `logged_in_users`, `last`. The other entries of these tables are boots, terminals
/// that wait for somebody, and sessions that ended.
fn logon(report: &Report<'_>, told: Told, row: &Columns<'_>) -> Option<Event> {
    let is_session = row.has(&["tty"]) && row.has_any(&["type", "type_name"]) && row.time("time").is_some();
    let kind = row.text("type_name").or_else(|| row.text("type"))?;
    if !is_session || !matches!(&*kind, "user" | "user-process" | "7" | "active" | "disconnected") {
        return None;
    }
    let account = row.text("username").or_else(|| row.text("user"))?;
    let mut event = report.begin(&device_logon_events::TABLE, row, "LogonSuccess", told);
    event.account("", Some(&account));
    match row.text("host") {
        Some(host) if host.parse::<IpAddr>().is_ok() => event.set("RemoteIP", Some(host)),
        // `:0` and its like are displays of this machine.
        Some(host) if !host.starts_with(':') => event.set("RemoteDeviceName", Some(host)),
        _ => {}
    }
    row.program(&mut event, Role::Initiating);
    row.fill(&mut event, LOGON);
    Some(event)
}

const LOGON: &[Field] = &[
    ("time", ""),
    ("username", ""),
    ("user", ""),
    ("host", ""),
    ("path", ""),
    ("name", ""),
    ("sha1", ""),
    ("sha256", ""),
    ("md5", ""),
    ("sid", "AccountSid"),
    ("pid", "InitiatingProcessId"),
    ("cmdline", "InitiatingProcessCommandLine"),
];

/// The far end of a connection: `socket_events`, `bpf_socket_events`, `process_open_sockets`.
fn connection(report: &Report<'_>, told: Told, row: &Columns<'_>) -> Option<Event> {
    if !row.has(&["remote_address", "remote_port"]) {
        return None;
    }
    let is_some = |address: &str| address.parse::<IpAddr>().is_ok_and(|address| !address.is_unspecified());
    let has_far_end = row.text("remote_address").is_some_and(|address| is_some(&address));
    let outcome = row.text("status").or_else(|| row.text("success"));
    let action = match row.text("action").as_deref() {
        Some("connect") => match outcome.as_deref() {
            Some("failed" | "0") => "ConnectionFailed",
            Some("in_progress") => "ConnectionAttempt",
            _ => "ConnectionSuccess",
        },
        Some("accept") => "InboundConnectionAccepted",
        Some("bind" | "listen") => "ListeningConnectionCreated",
        // A socket that is open: who opened it is not known.
        None if has_far_end && told != Told::Removed => "ConnectionFound",
        _ => return None,
    };
    let mut event = report.begin(&device_network_events::TABLE, row, action, told);
    if has_far_end {
        event.set("RemoteIP", row.text("remote_address"));
        event.set("RemotePort", row.text("remote_port"));
    }
    event.set("Protocol", row.text("protocol").map(|number| protocol(&number).to_owned()));
    row.program(&mut event, Role::Initiating);
    event.account("InitiatingProcess", row.text("username").as_deref());
    row.fill(&mut event, CONNECTION);
    Some(event)
}

const CONNECTION: &[Field] = &[
    ("time", ""),
    ("action", ""),
    ("remote_address", ""),
    ("remote_port", ""),
    ("protocol", ""),
    ("path", ""),
    ("name", ""),
    ("username", ""),
    ("sha1", ""),
    ("sha256", ""),
    ("md5", ""),
    ("local_address", "LocalIP"),
    ("local_port", "LocalPort"),
    ("pid", "InitiatingProcessId"),
    ("cmdline", "InitiatingProcessCommandLine"),
];

fn protocol(number: &str) -> &str {
    match number {
        "6" => "Tcp",
        "17" => "Udp",
        _ => number,
    }
}

/// A process: one that began (`process_events` and its like; `processes`, where it was not there before),
/// or one that is there.
fn process(report: &Report<'_>, told: Told, row: &Columns<'_>) -> Option<Event> {
    let is_process = row.has(&["pid"])
        && (row.has(&["cmdline"]) || row.has(&["path"]) && row.has_any(&["parent", "ppid"]))
        // Of a port that is open, a crash, an open file.
        && !row.has_any(&["port", "crash_path", "fd", "remote_address"]);
    let word = row.text("event_type").or_else(|| row.text("type"));
    let has_ended = word.as_deref().is_some_and(|word| matches!(word, "exit" | "ProcessStop"));
    if !is_process || has_ended || row.text("path").or_else(|| row.text("name")).is_none() {
        return None;
    }
    let action = match told {
        _ if row.has_any(&["time", "event_type", "syscall"]) => "ProcessCreated",
        Told::Removed => return None,
        Told::Added if !report.is_first => "ProcessCreated",
        _ => "ProcessFound",
    };
    let mut event = report.begin(&device_process_events::TABLE, row, action, told);
    row.program(&mut event, Role::Target);
    event.account("", row.text("username").as_deref());
    // Older versions count from the system's start.
    event.set_time("ProcessCreationTime", row.time("start_time"));
    row.fill(&mut event, PROCESS);
    Some(event)
}

const PROCESS: &[Field] = &[
    ("time", ""),
    ("path", ""),
    ("name", ""),
    ("username", ""),
    ("sha1", ""),
    ("sha256", ""),
    ("md5", ""),
    ("pid", "ProcessId"),
    ("cmdline", "ProcessCommandLine"),
    ("parent", "InitiatingProcessId"),
    ("ppid", "InitiatingProcessId"),
    ("pcmdline", "InitiatingProcessCommandLine"),
    ("parent_cmdline", "InitiatingProcessCommandLine"),
];

/// What the machine is: `os_version`, `system_info`; what of osquery runs there: `osquery_info`.
fn device(report: &Report<'_>, told: Told, row: &Columns<'_>) -> Option<Event> {
    let is_system = row.has(&["platform", "version"])
        && row.has_any(&["major", "build", "codename", "platform_like", "arch"]);
    let is_agent = row.has(&["build_platform", "version"]);
    let is_hardware = row.has_any(&["hardware_model", "cpu_brand"]);
    if told == Told::Removed || !(is_system || is_agent || is_hardware) {
        return None;
    }
    let mut event = report.begin(&device_info::TABLE, row, "", told);
    let mut fields = DEVICE.to_vec();
    if is_system {
        let (platform, name) = (row.text("platform"), row.text("name").unwrap_or_default());
        event.set("OSPlatform", platform.as_deref().map(|platform| os_platform(platform, &name)));
        event.set("OSDistribution", Some(&name));
        event.set("OSArchitecture", row.text("arch").as_deref().map(architecture));
        fields.extend([("version", "OSVersion"), ("platform", ""), ("name", ""), ("arch", "")]);
    } else if is_agent {
        fields.push(("version", "ClientVersion"));
    }
    row.fill(&mut event, &fields);
    Some(event)
}

const DEVICE: &[Field] = &[
    ("time", ""),
    ("build", "OSBuild"),
    ("codename", "OSVersionInfo"),
    ("hardware_model", "Model"),
    ("hardware_vendor", "Vendor"),
    ("uuid", "HardwareUuid"),
];

/// Defender's name of a system: `macOS`, `Linux`, `Windows11`, `WindowsServer2022`.
fn os_platform(platform: &str, name: &str) -> String {
    match platform {
        "darwin" => "macOS".into(),
        "windows" => {
            let mut words = name.split(' ').skip_while(|word| *word != "Windows");
            let is_version =
                |word: &&str| *word == "Server" || word.starts_with(|c: char| c.is_ascii_digit());
            let first = words.next().unwrap_or("Windows");
            std::iter::once(first).chain(words.take_while(is_version)).collect()
        }
        "freebsd" => "FreeBSD".into(),
        _ => "Linux".into(),
    }
}

fn architecture(name: &str) -> &str {
    match name {
        "x86_64" | "amd64" => "64-bit",
        _ => name,
    }
}

/// An adapter without an address: `interface_details`. It goes by its MAC address alone, since a report under
/// the adapter's name would say that it has no IP address.
fn adapter(report: &Report<'_>, told: Told, row: &Columns<'_>) -> Option<Event> {
    let is_adapter = row.has(&["interface", "mac"])
        && row.has_any(&["mtu", "flags", "friendly_name", "ipackets"])
        && !row.has_any(&["address", "destination"]);
    let mac = row.text("mac").filter(|mac| is_mac(mac))?;
    if told == Told::Removed || !is_adapter {
        return None;
    }
    let mut event = report.begin(&device_network_info::TABLE, row, "", told);
    event.set("MacAddress", Some(mac));
    Some(event)
}

/// Whether a MAC address is that of an adapter, which the loopback's is not.
fn is_mac(mac: &str) -> bool {
    !mac.bytes().all(|byte| matches!(byte, b'0' | b':' | b'-'))
}

/// The adapters that rows of `interface_addresses` tell of, one address a row, and their addresses.
#[derive(Default)]
pub struct Adapters(BTreeMap<String, Adapter>);

#[derive(Default)]
struct Adapter {
    mac: Option<String>,
    addresses: Vec<String>,
}

impl Adapters {
    /// Takes a row, if it is an address of an adapter. The neighbours' addresses (`arp_cache`) come with
    /// the name of an adapter too, but without a mask.
    pub fn take(&mut self, row: &Columns<'_>) -> bool {
        if !row.has(&["interface", "address"]) || !row.has_any(&["mask", "broadcast", "point_to_point"]) {
            return false;
        }
        let (Some(name), Some(address)) = (row.text("interface"), row.text("address")) else { return false };
        // `fe80::1%en0`: which adapter that is, is said already.
        let bare = address.split('%').next().unwrap_or_default();
        if !bare.parse::<IpAddr>().is_ok_and(|address| !address.is_loopback()) {
            return false;
        }
        let adapter = self.0.entry(name.into_owned()).or_default();
        adapter.addresses.push(bare.to_owned());
        if let Some(mac) = row.text("mac").filter(|mac| is_mac(mac)) {
            adapter.mac = Some(mac.into_owned());
        }
        true
    }

    /// Adds a report of each.
    pub fn finish(self, report: &Report<'_>, events: &mut Several) -> Result<(), Problem> {
        for (name, adapter) in self.0 {
            let mut event = Event::new(&device_network_info::TABLE, report.machine, report.at, "");
            event.set("NetworkAdapterName", Some(name));
            event.set("MacAddress", adapter.mac);
            let addresses = adapter.addresses.iter().map(|address| json!({"IPAddress": address}));
            event.set("IPAddresses", Some(addresses.collect::<serde_json::Value>().to_string()));
            events.add(event.finish())?;
        }
        Ok(())
    }
}
