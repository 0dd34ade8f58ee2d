//! What happened, of which a document of Wazuh's tells: a file or registry key that changed, a file that was
//! looked up at VirusTotal, an event of Windows or Sysmon, a result of osquery, a logon, or any other
//! line of a log.

use std::borrow::Cow;

use pintle_model::tables::{device_events, device_file_events, device_logon_events, device_registry_events};
use pintle_model::{Hashes, Record, Row, Time};

use super::{Document, windows};
use crate::event::{Event, Role};
use crate::format::{Decoded, Problem, Several};
use crate::formats::osquery;
use crate::json::{Json, Object};
use crate::machine::Machine;

/// What a file was before it changed.
const PAST: &str = "FileReplaced";

/// Adds what happened on `machine`.
pub fn note(document: &Document<'_>, machine: &Machine<'_>, events: &mut Several) -> Result<(), Problem> {
    let begun = Begun { document, machine, at: document.time() };
    if let Some(mut event) = windows::event_of(document).filter(|event| event.event_id.is_some()) {
        event.machine = Some(machine.clone());
        event.time = event.time.or(begun.at);
        if let Decoded::Record(row) = event.decode()? {
            events.add(row)?;
        }
        return Ok(());
    }
    if let Some(syscheck) = document.at(&["syscheck"]).and_then(Json::object) {
        return begun.change(&Changed(syscheck), events);
    }
    if let Some(result) = document.at(&["data", "osquery"]).and_then(Json::object) {
        return osquery::note(&result, machine, begun.at, events);
    }
    events.add(match document.at(&["data", "virustotal", "source"]).and_then(Json::object) {
        Some(source) => begun.looked_up(&source),
        None => begun.logon().unwrap_or_else(|| begun.line()),
    })
}

/// When an event happened.
pub fn time(row: &Row) -> Option<Time> {
    row.time(device_events::TIMESTAMP)
}

/// Whether a row only tells what was there before.
pub fn is_of_the_past(row: &Row) -> bool {
    row.text(device_events::ACTION_TYPE) == Some(PAST)
}

struct Begun<'d, 'a> {
    document: &'d Document<'a>,
    machine: &'d Machine<'d>,
    at: Option<Time>,
}

impl Begun<'_, '_> {
    /// A change that the integrity check found: of a file, or of the registry.
    fn change(&self, changed: &Changed<'_>, events: &mut Several) -> Result<(), Problem> {
        let path = changed.text("path").unwrap_or_default();
        // Some versions write which view of the registry it is before the key.
        let key = path.trim_start_matches("[x32] ").trim_start_matches("[x64] ");
        if key.starts_with("HKEY_") {
            return events.add(self.registry_change(changed, key));
        }
        let action = match changed.text("event").as_deref() {
            Some("added" | "readded") => "FileCreated",
            Some("deleted") => "FileDeleted",
            _ => "FileModified",
        };
        let (before, after) = (changed.hashes("before"), changed.hashes("after"));
        let was = if action == "FileDeleted" && after.is_empty() { before } else { after };
        let mut event = Event::new(&device_file_events::TABLE, self.machine, self.at, action);
        event.file(Role::Target, &was, Some(&path));
        changed.fill(&mut event, FILE);
        events.add(event.finish())?;
        if before.is_empty() || before == was {
            return Ok(());
        }
        let mut past = Event::new(&device_file_events::TABLE, self.machine, self.at, PAST);
        past.file(Role::Target, &before, Some(&path));
        past.set("FileSize", changed.text("size_before"));
        events.add(past.finish())
    }

    /// The hashes beside a registry value are those of its data, which is no file.
    fn registry_change(&self, changed: &Changed<'_>, key: &str) -> Record {
        let is_value = changed.0.has("value_name");
        let action = match changed.text("event").as_deref() {
            Some("added") if !is_value => "RegistryKeyCreated",
            Some("deleted") if !is_value => "RegistryKeyDeleted",
            Some("deleted") => "RegistryValueDeleted",
            _ if is_value => "RegistryValueSet",
            _ => "RegistryKeyModified",
        };
        let mut event = Event::new(&device_registry_events::TABLE, self.machine, self.at, action);
        event.set("RegistryKey", Some(key));
        changed.fill(&mut event, REGISTRY);
        event.finish()
    }

    /// A file that was looked up at VirusTotal. What is said there of it is the alert's.
    fn looked_up(&self, source: &Object<'_>) -> Record {
        let text = |name| source.get(name).and_then(Json::text);
        let [sha1, sha256, md5] = ["sha1", "sha256", "md5"].map(text);
        let hashes = Hashes::read(sha1.as_deref(), sha256.as_deref(), md5.as_deref());
        let mut event = Event::new(&device_events::TABLE, self.machine, self.at, "VirusTotalReport");
        event.file(Role::Target, &hashes, text("file").as_deref());
        let report = self.document.at(&["data", "virustotal"]).and_then(Json::object);
        for (name, value) in report.map(|report| report.members).unwrap_or_default() {
            if !matches!(&*name, "source" | "sha1" | "sha256" | "md5") {
                event.additional(&name, value);
            }
        }
        event.finish()
    }

    /// A logon, which the rules tell by a group, whatever wrote the line.
    fn logon(&self) -> Option<Record> {
        let groups = self.document.texts(&["rule", "groups"]);
        let action = groups.iter().find_map(|group| match &**group {
            "authentication_success" => Some("LogonSuccess"),
            "authentication_failed" => Some("LogonFailed"),
            _ => None,
        })?;
        self.account()?;
        let event = Event::new(&device_logon_events::TABLE, self.machine, self.at, action);
        Some(self.told(event))
    }

    /// Any other line.
    fn line(&self) -> Record {
        self.told(Event::new(&device_events::TABLE, self.machine, self.at, "WazuhEvent"))
    }

    /// The event with what decoders find in lines of all kinds, and the line.
    fn told(&self, mut event: Event) -> Record {
        let text = |name| self.document.text(&["data", name]);
        event.set("RemoteIP", text("srcip"));
        event.set("RemotePort", text("srcport"));
        event.account("", self.account().as_deref());
        for (name, path) in
            [("decoder", &["decoder", "name"][..]), ("location", &["location"]), ("data", &["data"])]
        {
            if let Some(value) = self.document.at(path) {
                event.additional(name, value);
            }
        }
        // The longest last: it may be left out.
        if let Some(line) = self.document.at(&["full_log"]) {
            event.additional("full_log", line);
        }
        event.finish()
    }

    /// The user whom a line is about: who is logged on, or else who tries to.
    fn account(&self) -> Option<Cow<'_, str>> {
        let name =
            self.document.text(&["data", "dstuser"]).or_else(|| self.document.text(&["data", "srcuser"]))?;
        // `root(uid=0)`, as sessions are told of.
        let bare = name.split('(').next().unwrap_or_default().trim();
        (!bare.is_empty()).then(|| Cow::Owned(bare.to_owned()))
    }
}

/// What the integrity check says of a change.
struct Changed<'a>(Object<'a>);

/// A member, and the event's column or nothing where it is told otherwise.
type Field = (&'static str, &'static str);

const FILE: &[Field] = &[("path", ""), ("event", ""), ("audit", ""), ("size_after", "FileSize")];

const REGISTRY: &[Field] = &[
    ("path", ""),
    ("event", ""),
    ("audit", ""),
    ("value_name", "RegistryValueName"),
    ("value_type", "RegistryValueType"),
];

/// Who made the change, where an audit tells: members of `audit`.
const AUDIT: &[(&[&str], &str)] = &[
    (&["process", "id"], "InitiatingProcessId"),
    (&["process", "ppid"], "InitiatingProcessParentId"),
    (&["process", "parent_name"], "InitiatingProcessParentFileName"),
    (&["process", "cwd"], "CurrentDirectory"),
    (&["login_user", "name"], "LoginUser"),
];

impl<'a> Changed<'a> {
    fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        self.0.get(name).and_then(Json::text).filter(|text| !text.is_empty())
    }

    /// The hashes `before` or `after` the change.
    fn hashes(&self, when: &str) -> Hashes {
        let [sha1, sha256, md5] = ["sha1", "sha256", "md5"].map(|kind| self.text(&format!("{kind}_{when}")));
        Hashes::read(sha1.as_deref(), sha256.as_deref(), md5.as_deref())
    }

    /// Sets columns, and who made the change; what has no column is kept, but for the hashes.
    fn fill(&self, event: &mut Event, fields: &[Field]) {
        for (name, value) in &self.0.members {
            match fields.iter().find(|(member, _)| member == name) {
                Some((_, "")) => {}
                Some((_, column)) => event.set(column, value.text()),
                None if ["sha1_", "sha256_", "md5_"].iter().any(|kind| name.starts_with(kind)) => {}
                None => event.additional(name, *value),
            }
        }
        let Some(audit) = self.0.get("audit") else { return };
        let text = |path: &[&str]| audit.at(path).and_then(Json::text).filter(|text| !text.is_empty());
        event.file(Role::Initiating, &Hashes::default(), text(&["process", "name"]).as_deref());
        let user = text(&["effective_user", "name"]).or_else(|| text(&["user", "name"]));
        event.account(Role::Initiating.prefix(), user.as_deref());
        for (path, column) in AUDIT {
            event.set(column, text(path).map(|value| last_of(column, value)));
        }
    }
}

/// The name alone where a column wants no path.
fn last_of<'a>(column: &str, value: Cow<'a, str>) -> Cow<'a, str> {
    if column.ends_with("FileName") { crate::windows::last_part(&value).to_owned().into() } else { value }
}
