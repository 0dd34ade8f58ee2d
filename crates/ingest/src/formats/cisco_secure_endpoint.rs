//! Events of Cisco Secure Endpoint's API (once AMP for Endpoints): one of them with the page it came on
//! (`{"version":…,"metadata":…,"data":{…}}`), the API's own list, or the event alone.
//!
//! A record with a severity, a detection or a malicious file is an alert too; what else a connector says
//! (policies, scans) is an event only.

use std::borrow::Cow;

use pintle_model::shapes::{alert, evidence};
use pintle_model::tables::{device_events, device_info, device_network_events};
use pintle_model::{Hashes, Record, Time};

use crate::alert::{Draft, Severity, THIRD_PARTY};
use crate::attack;
use crate::event::{Event, Role};
use crate::format::{Decoded, Format, Problem, Several};
use crate::inventory;
use crate::json::{Json, Object};
use crate::machine::Machine;
use crate::members::{self, Members};
use crate::time;

pub static FORMAT: Format = Format {
    name: "cisco-secure-endpoint",
    description: "events of Cisco Secure Endpoint's API, in its list, one a line, or alone",
    recognises: |object| {
        let is_event = |object: &Object<'_>| object.has("event_type_id") && object.has("computer");
        is_event(object) || object.get("data").and_then(Json::object).is_some_and(|data| is_event(&data))
    },
    decode,
};

/// The most addresses, tactics and techniques of one event.
const MOST: usize = 100;

/// A file and what is said of it beside its hashes.
#[derive(Default)]
struct File<'a> {
    hashes: Hashes,
    path: Option<Cow<'a, str>>,
}

fn decode(record: &[u8]) -> Result<Decoded, Problem> {
    let record = Object::parse(record)?;
    let event = match record.get("data") {
        Some(data) => data.object().ok_or("data is no object")?,
        None => record,
    };
    let members = Members::of(event);
    let name = members.text("event_type").ok_or("event_type is missing")?;
    let time = members.time(&["date", "timestamp"])?;
    let computer = members.value("computer");
    let id = members.text("connector_guid").or_else(|| text(computer, "connector_guid"));
    let hostname = text(computer, "hostname");
    let machine = Machine::identified("cisco", id.as_deref().filter(|id| is_guid(id)), hostname.as_deref());
    let file = File::of(members.value("file"));
    let network = members.value("network_info");

    let mut several = Several::default();
    if let Some(machine) = &machine {
        several.add(row(&members, machine, time, &name, &file))?;
        if !file.hashes.is_empty() && network.is_some() {
            // The row is one of a connection, which has no file but the one that made it.
            several.add(detected(&members, machine, time, &name, &file).finish())?;
        }
        add_machine(&mut several, machine, time, computer)?;
    }
    if let Some(id) = alert_id(&members) {
        several.add(alert(&members, &id, machine.as_ref(), time, &name, &file)?)?;
    }
    Ok(several.finish("event without a machine"))
}

/// A scrubbed recording has one word in the place of every connector's GUID.
fn is_guid(id: &str) -> bool {
    let is_digit = |(place, byte): (usize, u8)| match place {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    id.len() == 36 && id.bytes().enumerate().all(is_digit)
}

impl<'a> File<'a> {
    fn of(value: Option<Json<'a>>) -> File<'a> {
        let hash = |kind: &str| members::text(value?.at(&["identity", kind])?);
        let [sha1, sha256, md5] = ["sha1", "sha256", "md5"].map(hash);
        let path = text(value, "file_path").or_else(|| text(value, "file_name"));
        File {
            hashes: Hashes::read(sha1.as_deref(), sha256.as_deref(), md5.as_deref()),
            path: path.map(plain),
        }
    }
}

/// A path without the mark by which Windows is told to take it as it is.
fn plain(path: Cow<'_, str>) -> Cow<'_, str> {
    path.strip_prefix("\\\\?\\").map(|path| Cow::Owned(path.to_owned())).unwrap_or(path)
}

/// What happened.
fn row(
    members: &Members<'_>,
    machine: &Machine<'_>,
    time: Option<Time>,
    name: &str,
    file: &File<'_>,
) -> Record {
    let Some(network) = members.value("network_info") else {
        let mut row = detected(members, machine, time, name, file);
        leave(&mut row, members);
        return row.finish();
    };
    let mut row = Event::new(&device_network_events::TABLE, machine, time, name);
    // Of the process that made the connection only its name is taken; its hashes stay with the rest.
    let process = network.at(&["parent"]);
    row.set("InitiatingProcessFileName", text(process, "file_name"));
    row.set("InitiatingProcessId", text(process, "process_id"));
    for (member, column) in [
        ("remote_ip", "RemoteIP"),
        ("remote_port", "RemotePort"),
        ("local_ip", "LocalIP"),
        ("local_port", "LocalPort"),
    ] {
        row.set(column, text(Some(network), member));
    }
    row.set("RemoteUrl", text(Some(network), "dirty_url"));
    let protocol = network.at(&["nfm", "protocol"]).and_then(members::text);
    row.set("Protocol", protocol.map(|name| if name == "TCP" { "Tcp".into() } else { name }));
    row.additional("network_info", network);
    leave(&mut row, members);
    row.finish()
}

/// What happened to a file.
fn detected(
    members: &Members<'_>,
    machine: &Machine<'_>,
    time: Option<Time>,
    name: &str,
    file: &File<'_>,
) -> Event {
    let action = match name {
        _ if members.has("detection") => "AntivirusDetection",
        _ if name.starts_with("Scan Completed") => "AntivirusScanCompleted",
        _ => name,
    };
    let mut row = Event::new(&device_events::TABLE, machine, time, action);
    row.file(Role::Target, &file.hashes, file.path.as_deref());
    acted(&mut row, members.value("file").and_then(|file| file.at(&["parent"])));
    row.set("event_type", Some(name).filter(|name| *name != action));
    row
}

/// The process that did it.
fn acted(row: &mut Event, process: Option<Json<'_>>) {
    let file = File::of(process);
    row.file(Role::Initiating, &file.hashes, file.path.as_deref());
    row.set("InitiatingProcessId", text(process, "process_id"));
}

/// Keeps what no column takes. What is left out is pages of text that are the same for every event of a
/// tactic, a technique or a hunt, and the time once more.
fn leave(row: &mut Event, members: &Members<'_>) {
    row.set("disposition", text(members.value("file"), "disposition"));
    for name in ["tactics", "techniques", "threat_hunting", "timestamp"] {
        members.pass(name);
    }
    members.leave(row);
}

/// The machine's addresses, and the one that it has on the outside.
fn add_machine(
    several: &mut Several,
    machine: &Machine<'_>,
    time: Option<Time>,
    computer: Option<Json<'_>>,
) -> Result<(), Problem> {
    if let Some(outside) = text(computer, "external_ip") {
        let mut report = Event::report(&device_info::TABLE, machine, time);
        report.set("PublicIP", Some(outside));
        several.add(report.finish())?;
    }
    for adapter in list(computer.and_then(|computer| computer.at(&["network_addresses"]))) {
        let mac = text(Some(adapter), "mac");
        let address = text(Some(adapter), "ip");
        if let Some(adapter) = inventory::adapter(machine, time, None, mac.as_deref(), address) {
            several.add(adapter)?;
        }
    }
    Ok(())
}

/// The id of the alert that an event is, if it is one. What its hunters find has a report's id only.
fn alert_id<'a>(members: &Members<'a>) -> Option<Cow<'a, str>> {
    let disposition = text(members.value("file"), "disposition");
    let is_one = members.has("severity")
        || members.has("detection")
        || disposition.is_some_and(|word| word.eq_ignore_ascii_case("malicious"));
    let hunt = || text(members.value("threat_hunting"), "incident_report_guid");
    is_one.then(|| members.text("id").or_else(hunt)).flatten()
}

fn alert(
    members: &Members<'_>,
    id: &str,
    machine: Option<&Machine<'_>>,
    time: Option<Time>,
    name: &str,
    file: &File<'_>,
) -> Result<Record, Problem> {
    let hunt = members.value("threat_hunting");
    let indication = members.value("cloud_ioc");
    let detection = members.text("detection");
    let mut draft = Draft::new(id, time)?;
    let began = members.time(&["start_date", "start_timestamp"])?;
    let began = began.or_else(|| time::read(&text(hunt, "incident_start_time")?));
    draft.times(began.or(time), time, time);
    let about = detection.clone().or_else(|| text(indication, "short_description"));
    let title = text(hunt, "incident_title").map(Cow::into_owned);
    draft.text(
        alert::TITLE,
        title.or_else(|| Some(about.map_or(name.into(), |about| format!("{name}: {about}")))),
    );
    let description = text(indication, "description").or_else(|| text(hunt, "incident_summary"));
    draft.text(alert::DESCRIPTION, description.or_else(|| text(members.value("error"), "description")));
    draft.text(alert::DETECTION_SOURCE, Some(THIRD_PARTY));
    draft.text(alert::DETECTOR_ID, members.text("event_type_id").map(|id| format!("cisco:{id}")));
    draft.severity(members.text("severity").as_deref().and_then(Severity::of_word));
    draft.text(alert::THREAT_NAME, detection.as_deref());
    let (tactics, techniques) = (named(members.value("tactics")), named(members.value("techniques")));
    let tactic = tactics.iter().find_map(|tactic| attack::category(tactic));
    draft.text(alert::CATEGORY, tactic.or_else(|| detection.map(|_| "Malware".to_owned())));
    draft.texts(alert::MITRE_TECHNIQUES, &attack::techniques(techniques));
    if let Some(machine) = machine {
        draft.machine(machine);
    }
    add_evidence(&mut draft, members, file);
    Ok(draft.finish())
}

fn add_evidence(draft: &mut Draft, members: &Members<'_>, file: &File<'_>) {
    let mut piece = draft.evidence("File");
    piece.file(&file.hashes, file.path.as_deref());
    // The path may be a URL, in which the name has other letters.
    piece.text(evidence::FILE_NAME, text(members.value("file"), "file_name"));
    let network = members.value("network_info");
    let process = network.and_then(|network| network.at(&["parent"]));
    draft
        .evidence("Process")
        .text(evidence::FILE_NAME, text(process, "file_name"))
        .number(evidence::PROCESS_ID, text(process, "process_id").and_then(|id| crate::json::long(&id)));
    draft.evidence("Ip").text(evidence::IP_ADDRESS, text(network, "remote_ip"));
    draft.evidence("Url").text(evidence::URL, text(network, "dirty_url"));
    let user = text(members.value("computer"), "user");
    let is_principal = user.as_deref().is_some_and(|user| user.contains('@'));
    let mut piece = draft.evidence("User");
    if is_principal {
        piece.text(evidence::USER_PRINCIPAL_NAME, user.as_deref());
    }
    piece.account(user.as_deref().map(|user| user.split_once('@').map_or(user, |(name, _)| name)));
}

/// Tactics or techniques: ids, or objects with an id.
fn named(value: Option<Json<'_>>) -> Vec<Cow<'_, str>> {
    let each = list(value);
    each.filter_map(|one| text(Some(one), "external_id").or_else(|| members::text(one))).collect()
}

fn list(value: Option<Json<'_>>) -> impl Iterator<Item = Json<'_>> {
    value.map(Json::elements).unwrap_or_default().into_iter().take(MOST)
}

fn text<'a>(value: Option<Json<'a>>, name: &str) -> Option<Cow<'a, str>> {
    members::text(value?.at(&[name])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_one_by_its_form() {
        assert!(is_guid("3f0a1b2c-4d5e-4f60-8a9b-0c1d2e3f4a5b"));
        for id in ["scrubbed", "", "3f0a1b2c4d5e4f608a9b0c1d2e3f4a5b", "3f0a1b2c-4d5e-4f60-8a9b-0c1d2e3f4a5ß"]
        {
            assert!(!is_guid(id), "{id}");
        }
    }
}
