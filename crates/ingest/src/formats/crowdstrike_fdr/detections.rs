//! Falcon's detections: `DetectionSummaryEvent` of the event stream and `EppDetectionSummaryEvent`, which
//! took its place and which the Data Replicator delivers too. They say the same under other names.

use std::borrow::Cow;
use std::collections::BTreeSet;

use pintle_model::shapes::{alert, evidence};
use pintle_model::{Hashes, Time};

use crate::alert::{Draft, Severity, THIRD_PARTY};
use crate::attack;
use crate::event::{ALERT_RELATED, Event, Role, is_path};
use crate::format::{Decoded, Problem, Several};
use crate::inventory;
use crate::json::{self, Json};
use crate::machine::Machine;
use crate::members::{self, Members};
use crate::windows::last_part;

/// The most things of one kind that are taken from a detection's lists.
const MOST: usize = 100;

/// What Falcon calls a tactic and is none of MITRE's, and Defender's category for it.
const CATEGORIES: &[(&str, &str)] = &[
    ("Malware", "Malware"),
    ("Machine Learning", "Malware"),
    ("Post-Exploit", "SuspiciousActivity"),
    ("Exploit", "Exploit"),
];

/// Whether a record is a detection on an endpoint.
pub fn is_one(members: &Members<'_>) -> bool {
    (members.has("CompositeId") && members.has("AgentId"))
        || (members.has("DetectId") && members.has("SensorId"))
}

/// The alert that a detection is, told of at `created` if the event stream says so.
pub fn decode(members: &Members<'_>, created: Option<Time>) -> Result<Decoded, Problem> {
    let id = members.any(&["CompositeId", "DetectId"]).ok_or("the detection's id is missing")?;
    let at = match created {
        Some(created) => Some(created),
        None => members.time(&["ContextTimeStamp", "timestamp", "ProcessStartTime"])?,
    };
    let machine = Machine::identified(
        "crowdstrike",
        members.any(&["AgentId", "SensorId"]).as_deref(),
        members.any(&["Hostname", "ComputerName"]).as_deref(),
    );
    let mut draft = Draft::new(&id, at)?;
    draft.times(at, at, at);
    draft.text(alert::TITLE, members.any(&["Name", "DetectName"]));
    draft.text(alert::DESCRIPTION, members.any(&["Description", "DetectDescription"]));
    draft.text(alert::DETECTION_SOURCE, Some(THIRD_PARTY));
    draft.text(alert::DETECTOR_ID, members.text("PatternId").map(|id| format!("crowdstrike:{id}")));
    draft.severity(severity(members));
    draft.text(alert::CATEGORY, members.text("Tactic").as_deref().and_then(category));
    draft.texts(alert::MITRE_TECHNIQUES, &techniques(members));
    let mut several = Several::default();
    if let Some(machine) = &machine {
        draft.machine(machine);
        add_rows(&mut several, members, machine, at)?;
    }
    add_evidence(&mut draft, members);
    several.add(draft.finish())?;
    Ok(several.finish("a detection that says nothing"))
}

/// What Falcon's word means, or its number: up to 5 in the older event, up to 100 in the newer.
fn severity(members: &Members<'_>) -> Option<Severity> {
    let number = members.text("Severity").and_then(|number| json::long(&number));
    let named = members.text("SeverityName").and_then(|word| Severity::of_word(&word));
    named.or_else(|| {
        number.map(|number| match number {
            ..=5 => Severity::of_number(number, 2, 3, 4),
            _ => Severity::of_number(number, 20, 40, 60),
        })
    })
}

fn category(tactic: &str) -> Option<String> {
    let own = CATEGORIES.iter().find(|(name, _)| name.eq_ignore_ascii_case(tactic.trim()));
    own.map(|(_, category)| (*category).to_owned()).or_else(|| attack::category(tactic))
}

fn techniques(members: &Members<'_>) -> Vec<String> {
    let attacks = list(members, "MitreAttack");
    let ids = attacks.iter().filter_map(|attack| text(*attack, "TechniqueID"));
    attack::techniques(ids.chain(members.text("Technique")))
}

/// What the alert itself has no place for: the file by its MD5, the machine's address.
fn add_rows(
    several: &mut Several,
    members: &Members<'_>,
    machine: &Machine<'_>,
    at: Option<Time>,
) -> Result<(), Problem> {
    let (file, path) = file(members);
    if file.md5.is_some()
        && let Some(mut event) = Event::seen(machine, at, ALERT_RELATED, Role::Target, &file, path.as_deref())
    {
        event.set("ProcessCommandLine", members.text("CommandLine"));
        several.add(event.finish())?;
    }
    let addresses = ["LocalIP", "LocalIPv6"].into_iter().filter_map(|name| members.text(name));
    let mac = members.text("MACAddress");
    if let Some(adapter) = inventory::adapter(machine, at, None, mac.as_deref(), addresses) {
        several.add(adapter)?;
    }
    Ok(())
}

/// The file or the process's image, and its path. In the older event the path is the folder's.
fn file<'a>(members: &Members<'a>) -> (Hashes, Option<Cow<'a, str>>) {
    let hashes = members.hashes("SHA1String", "SHA256String", "MD5String");
    let path = match (members.text("FilePath"), members.text("FileName")) {
        (Some(path), Some(name)) if !last_part(&path).eq_ignore_ascii_case(&name) => {
            let separator = if path.contains('\\') { "\\" } else { "/" };
            let folder = path.trim_end_matches(['\\', '/']);
            Some(Cow::Owned([folder, separator, &*name].concat()))
        }
        (path, name) => path.or(name),
    };
    (hashes, path)
}

fn add_evidence(draft: &mut Draft, members: &Members<'_>) {
    let (hashes, path) = file(members);
    let is_process = members.text("ProcessId").is_some_and(|id| id != "0");
    let parent = members.any(&["ParentImageFilePath", "ParentImageFileName"]);
    draft
        .evidence(if is_process { "Process" } else { "File" })
        .file(&hashes, path.as_deref())
        .text(evidence::PROCESS_COMMAND_LINE, members.text("CommandLine"))
        .text(evidence::PARENT_PROCESS_FILE_NAME, parent.as_deref().map(last_part))
        .text(evidence::PARENT_PROCESS_FILE_PATH, parent.filter(|parent| is_path(parent)));
    draft
        .evidence("User")
        .text(evidence::ACCOUNT_NAME, members.text("UserName"))
        .text(evidence::DOMAIN_NAME, members.any(&["LogonDomain", "MachineDomain"]))
        .text(evidence::USER_SID, members.text("UserId").filter(|id| id.starts_with("S-")));
    for quarantined in list(members, "QuarantineFiles") {
        let hash = text(quarantined, "SHA256HashData");
        let hashes = Hashes::read(None, hash.as_deref(), None);
        draft.evidence("File").file(&hashes, text(quarantined, "ImageFileName").as_deref());
    }
    for name in ["ExecutablesWritten", "FilesWritten"] {
        for written in list(members, name) {
            let (folder, name) = (text(written, "FilePath"), text(written, "FileName"));
            let path = folder.zip(name).map(|(folder, name)| [folder, name].concat());
            draft.evidence("File").file(&Hashes::default(), path.as_deref());
        }
    }
    add_observables(draft, members);
}

/// Addresses and names that the process reached, and the indicator that gave it away.
fn add_observables(draft: &mut Draft, members: &Members<'_>) {
    let (kind, indicator) = (members.text("IOCType"), members.text("IOCValue"));
    let of_kind = |kinds: &[&str]| {
        indicator.as_deref().filter(|_| kind.as_deref().is_some_and(|kind| kinds.contains(&kind)))
    };
    let reached = list(members, "NetworkAccesses");
    let asked = list(members, "DnsRequests");
    let mut addresses: BTreeSet<_> = reached.iter().filter_map(|of| text(*of, "RemoteAddress")).collect();
    addresses.extend(of_kind(&["ipv4", "ipv6"]).map(Cow::from));
    let mut names: BTreeSet<_> = asked.iter().filter_map(|of| text(*of, "DomainName")).collect();
    names.extend(of_kind(&["domain"]).map(Cow::from));
    for address in addresses {
        draft.evidence("Ip").text(evidence::IP_ADDRESS, Some(address));
    }
    for name in names {
        draft.evidence("Url").text(evidence::URL, Some(name));
    }
}

/// The elements of a list, as many as are taken.
fn list<'a>(members: &Members<'a>, name: &str) -> Vec<Json<'a>> {
    let mut elements = members.value(name).map(Json::elements).unwrap_or_default();
    elements.truncate(MOST);
    elements
}

fn text<'a>(value: Json<'a>, name: &str) -> Option<Cow<'a, str>> {
    members::text(value.at(&[name])?)
}
