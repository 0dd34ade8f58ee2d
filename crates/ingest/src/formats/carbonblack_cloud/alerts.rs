//! Alerts of Carbon Black Cloud, of the forwarder's first schema (`create_time`, `threat_cause_…`) and its
//! second, which is that of version 7 of the API (`detection_timestamp`, `process_…`).

use std::borrow::Cow;

use pintle_model::shapes::{alert, evidence};
use pintle_model::tables::device_info;
use pintle_model::{Hashes, Time};

use super::{image, machine};
use crate::alert::{Draft, Severity, THIRD_PARTY};
use crate::attack;
use crate::event::{ALERT_RELATED, Event, PARENT_SEEN, Role};
use crate::format::{Decoded, Problem, Several};
use crate::inventory;
use crate::json::{self, Json};
use crate::machine::Machine;
use crate::members::{self, Members};
use crate::windows::last_part;

/// The most indicators and tags that are looked at.
const MOST: usize = 100;

/// Whether a record is an alert rather than an event.
pub fn is_one(members: &Members<'_>) -> bool {
    members.has("id") && members.has("severity") && members.has("workflow")
}

pub fn decode(members: &Members<'_>) -> Result<Decoded, Problem> {
    let id = members.text("id").ok_or("the alert's id is missing")?;
    let first = members.time(&["first_event_timestamp", "first_event_time"])?;
    let last = members.time(&["last_event_timestamp", "last_event_time"])?;
    let raised = members.time(&["detection_timestamp", "create_time", "backend_timestamp"])?;
    let updated = members.time(&["backend_update_timestamp", "last_update_time"])?;
    let at = last.or(first).or(raised);
    let machine = machine(members);

    let mut draft = Draft::new(&id, updated.or(raised).or(last))?;
    draft.times(first, last, raised);
    draft.text(alert::TITLE, title(members));
    draft.text(alert::DESCRIPTION, members.any(&["report_description", "reason"]));
    draft.text(alert::DETECTION_SOURCE, Some(THIRD_PARTY));
    let rule = members.any(&["rule_id", "report_id", "ioc_id", "reason_code"]);
    draft.text(alert::DETECTOR_ID, rule.map(|rule| format!("carbonblack:{rule}")));
    draft.severity(members.text("severity").as_deref().and_then(severity));
    draft.text(alert::STATUS, nested(members, "workflow", &["status", "state"]).as_deref().and_then(status));
    let verdict = nested(members, "determination", &["value"]);
    draft.text(alert::CLASSIFICATION, verdict.as_deref().and_then(verdict_word));
    draft.text(alert::CATEGORY, category(members));
    draft.text(alert::THREAT_NAME, members.text("threat_name"));
    draft.texts(alert::MITRE_TECHNIQUES, &techniques(members));
    add_evidence(&mut draft, members);
    let mut several = Several::default();
    if let Some(machine) = &machine {
        draft.machine(machine);
        add_rows(&mut several, members, machine, at)?;
    }
    several.add(draft.finish())?;
    Ok(several.finish("an alert that says nothing"))
}

/// An alert's name is that of what it broke, or the reason for people.
fn title<'a>(members: &Members<'a>) -> Option<Cow<'a, str>> {
    members.any(&["report_name", "reason", "threat_name", "reason_code", "type"])
}

/// From 1 to 10; the console's handbook groups them as 1 and 2, 3 to 5, and the rest.
fn severity(number: &str) -> Option<Severity> {
    json::long(number).map(|number| Severity::of_number(number, 1, 3, 6))
}

fn status(word: &str) -> Option<&'static str> {
    Some(match word {
        "OPEN" => "New",
        "IN_PROGRESS" => "InProgress",
        "CLOSED" | "DISMISSED" => "Resolved",
        _ => return None,
    })
}

fn verdict_word(word: &str) -> Option<&'static str> {
    Some(match word {
        "TRUE_POSITIVE" => "TruePositive",
        "FALSE_POSITIVE" => "FalsePositive",
        _ => return None,
    })
}

fn category(members: &Members<'_>) -> Option<String> {
    let tactic = members.text("attack_tactic").and_then(|tactic| attack::category(&tactic));
    tactic.or_else(|| {
        let category = match &*members.text("threat_cause_threat_category")? {
            "KNOWN_MALWARE" | "NEW_MALWARE" => "Malware",
            "RISKY_PROGRAM" => "UnwantedSoftware",
            "NON_MALWARE" => "SuspiciousActivity",
            _ => return None,
        };
        Some(category.to_owned())
    })
}

fn techniques(members: &Members<'_>) -> Vec<String> {
    let mut named: Vec<_> = members.text("attack_technique").into_iter().collect();
    for name in ["ttps", "report_tags"] {
        named.extend(list(members, name).into_iter().filter_map(members::text));
    }
    for indicator in list(members, "threat_indicators") {
        let ttps = indicator.at(&["ttps"]).map(Json::elements).unwrap_or_default();
        named.extend(ttps.into_iter().take(MOST).filter_map(members::text));
    }
    attack::techniques(named)
}

fn add_evidence(draft: &mut Draft, members: &Members<'_>) {
    let (process, path) = image(members, "process");
    draft
        .evidence("Process")
        .file(&process, path.as_deref())
        .number(evidence::PROCESS_ID, number(members, "process_pid"))
        .text(evidence::PROCESS_COMMAND_LINE, members.text("process_cmdline"))
        .number(evidence::PARENT_PROCESS_ID, number(members, "parent_pid"))
        .text(evidence::PARENT_PROCESS_FILE_NAME, members.text("parent_name").as_deref().map(last_part))
        .text(evidence::PARENT_PROCESS_FILE_PATH, members.text("parent_name"));
    let (child, path) = image(members, "childproc");
    draft
        .evidence("Process")
        .file(&child, path.as_deref())
        .text(evidence::PROCESS_COMMAND_LINE, members.text("childproc_cmdline"));
    for (file, name) in files(members, &process) {
        draft.evidence("File").file(&file, name.as_deref());
    }
    let user = members.any(&["process_username", "device_username"]);
    draft.evidence("User").account(user.as_deref());
    draft.evidence("Ip").text(evidence::IP_ADDRESS, members.text("netconn_remote_ip"));
    draft.evidence("Url").text(evidence::URL, members.text("netconn_remote_domain"));
}

/// Files that are named besides the process's own, each once.
fn files<'a>(members: &Members<'a>, process: &Hashes) -> Vec<(Hashes, Option<Cow<'a, str>>)> {
    let mut named = vec![image(members, "blocked"), image(members, "threat_cause_actor")];
    for indicator in list(members, "threat_indicators") {
        let of = |name: &str| members::text(indicator.at(&[name])?);
        named.push((Hashes::read(None, of("sha256").as_deref(), of("md5").as_deref()), of("process_name")));
    }
    let mut files: Vec<(Hashes, _)> = Vec::new();
    for (file, name) in named {
        let is_known = file.sha256 == process.sha256 || files.iter().any(|(known, _)| *known == file);
        if !file.is_empty() && !is_known {
            files.push((file, name));
        }
    }
    files
}

/// What the alert itself has no place for: files by their MD5, the parent, the machine.
fn add_rows(
    several: &mut Several,
    members: &Members<'_>,
    machine: &Machine<'_>,
    at: Option<Time>,
) -> Result<(), Problem> {
    for prefix in ["process", "childproc", "threat_cause_actor", "blocked"] {
        let (file, path) = image(members, prefix);
        if file.md5.is_some()
            && let Some(seen) = Event::seen(machine, at, ALERT_RELATED, Role::Target, &file, path.as_deref())
        {
            several.add(seen.finish())?;
        }
    }
    let (parent, path) = image(members, "parent");
    if let Some(mut seen) = Event::seen(machine, at, PARENT_SEEN, Role::Initiating, &parent, path.as_deref())
    {
        seen.set("InitiatingProcessId", members.text("parent_pid"));
        seen.set("InitiatingProcessCommandLine", members.text("parent_cmdline"));
        several.add(seen.finish())?;
    }
    let mut report = Event::report(&device_info::TABLE, machine, at);
    report.set("PublicIP", members.text("device_external_ip"));
    let system = members.any(&["device_os_version", "device_os"]);
    report.set("OSPlatform", system.and_then(|name| inventory::platform(&name)));
    several.add(report.finish())?;
    if let Some(adapter) = inventory::adapter(machine, at, None, None, members.text("device_internal_ip")) {
        several.add(adapter)?;
    }
    Ok(())
}

fn number(members: &Members<'_>, name: &str) -> Option<i64> {
    members.text(name).and_then(|number| json::long(&number))
}

/// The first of several members of a member that has a text.
fn nested<'a>(members: &Members<'a>, name: &str, within: &[&str]) -> Option<Cow<'a, str>> {
    let value = members.value(name)?;
    within.iter().find_map(|name| members::text(value.at(&[name])?))
}

fn list<'a>(members: &Members<'a>, name: &str) -> Vec<Json<'a>> {
    let mut elements = members.value(name).map(Json::elements).unwrap_or_default();
    elements.truncate(MOST);
    elements
}
