//! Documents of Winlogbeat 7 and 8 and of Elastic Agent: the event is under `winlog`.
//! `winlog.computer_name` is the endpoint; `host.name` and `agent.hostname` are the collector.
//!
//! Elastic's pipelines move much of what Sysmon says out of the event's data into members of its Common
//! Schema, from version 8 on even the hashes: what is missing is taken from there.

use std::borrow::Cow;

use pintle_model::Time;

use super::winlogbeat6::{number, take_data};
use crate::format::{Decoded, Format, Problem};
use crate::json::{Json, Object};
use crate::sysmon;
use crate::windows::{Datum, WindowsEvent};

pub static FORMAT: Format = Format {
    name: "winlogbeat7",
    description: "Windows events as Winlogbeat 7 and later write them, one a line or in an `events` list",
    // An alert about such a document carries all of it.
    recognises: |object| object.has("winlog") && !super::ecs::is_detection(object),
    decode,
};

fn decode(record: &[u8]) -> Result<Decoded, Problem> {
    let document = Object::parse(record)?;
    let winlog = document.get("winlog").and_then(Json::object).ok_or("winlog is no object")?;
    let mut event = WindowsEvent::default();
    let time = |value: Json<'_>| value.text().and_then(|text| Time::parse(&text));
    let mut created = None;
    for (name, value) in winlog.members {
        match &*name {
            "computer_name" => event.computer = value.text().unwrap_or_default(),
            "channel" => event.channel = value.text().unwrap_or_default(),
            "provider_name" => event.provider = value.text().unwrap_or_default(),
            "event_id" => event.event_id = number(value),
            "record_id" => event.record_id = number(value),
            "time_created" => created = time(value),
            "event_data" | "user_data" => take_data(&mut event, value),
            _ => {}
        }
    }
    // `@timestamp` may have been set anew on the way.
    event.time = created.or_else(|| document.get("@timestamp").and_then(time));
    if sysmon::wrote(&event) {
        put_back(&mut event, &document);
    }
    event.decode()
}

/// What an event of Sysmon says, and where in the schema: for all events, …
const MOVED: &[(&str, &[&str])] = &[
    ("Image", &["process", "executable"]),
    ("ProcessGuid", &["process", "entity_id"]),
    ("ProcessId", &["process", "pid"]),
];
/// … for a process that began, …
const MOVED_OF_PROCESS: &[(&str, &[&str])] = &[
    ("CommandLine", &["process", "command_line"]),
    ("CurrentDirectory", &["process", "working_directory"]),
    ("ParentCommandLine", &["process", "parent", "command_line"]),
    ("ParentImage", &["process", "parent", "executable"]),
    ("ParentProcessGuid", &["process", "parent", "entity_id"]),
    ("ParentProcessId", &["process", "parent", "pid"]),
];
/// … a connection, …
const MOVED_OF_CONNECTION: &[(&str, &[&str])] = &[
    ("DestinationHostname", &["destination", "domain"]),
    ("DestinationIp", &["destination", "ip"]),
    ("DestinationPort", &["destination", "port"]),
    ("Protocol", &["network", "transport"]),
    ("SourceIp", &["source", "ip"]),
    ("SourcePort", &["source", "port"]),
];
/// … an image, …
const MOVED_OF_IMAGE: &[(&str, &[&str])] =
    &[("ImageLoaded", &["dll", "path"]), ("ImageLoaded", &["file", "path"])];
/// … the registry, …
const MOVED_OF_REGISTRY: &[(&str, &[&str])] = &[("TargetObject", &["registry", "path"])];
/// … a name that was looked up, …
const MOVED_OF_QUERY: &[(&str, &[&str])] = &[("QueryName", &["dns", "question", "name"])];
/// … and a file.
const MOVED_OF_FILE: &[(&str, &[&str])] = &[("TargetFilename", &["file", "path"])];

/// Puts data back that the schema took.
fn put_back<'a>(event: &mut WindowsEvent<'a>, document: &Object<'a>) {
    let at = |path: &[&str]| {
        let (first, rest) = path.split_first()?;
        document.get(first)?.at(rest)
    };
    let (moved, files): (_, &[&str]) = match event.event_id {
        Some(1) => (MOVED_OF_PROCESS, &["process"]),
        Some(3) => (MOVED_OF_CONNECTION, &[]),
        Some(6 | 7) => (MOVED_OF_IMAGE, &["dll", "file"]),
        Some(12..=14) => (MOVED_OF_REGISTRY, &[]),
        Some(22) => (MOVED_OF_QUERY, &[]),
        Some(2 | 11 | 15 | 23 | 26..=29) => (MOVED_OF_FILE, &["file"]),
        // The others' mappings have no place for them, or they are about something else.
        _ => return,
    };
    for (name, path) in MOVED.iter().chain(moved) {
        if event.get(name).is_none()
            && let Some(value) = at(path)
        {
            event.data.push(((*name).into(), Datum::Json(value)));
        }
    }
    let user = (at(&["user", "domain"]).and_then(Json::text), at(&["user", "name"]).and_then(Json::text));
    if event.get("User").is_none()
        && let (domain, Some(name)) = user
    {
        let user = domain.map_or_else(|| name.to_string(), |domain| format!("{domain}\\{name}"));
        event.data.push(("User".into(), Datum::Text(user.into())));
    }
    if event.get("Hashes").is_none()
        && event.get("Hash").is_none()
        && let Some(hashes) = files.iter().find_map(|file| hashes(at(&[file, "hash"])?))
    {
        event.data.push(("Hashes".into(), Datum::Text(hashes)));
    }
}

/// A file's hashes as Sysmon writes them.
fn hashes(hash: Json<'_>) -> Option<Cow<'static, str>> {
    let part = |kind: &str| Some(format!("{}={}", kind.to_uppercase(), hash.at(&[kind])?.text()?));
    let parts: Vec<_> = ["sha1", "md5", "sha256"].into_iter().filter_map(part).collect();
    (!parts.is_empty()).then(|| parts.join(",").into())
}
