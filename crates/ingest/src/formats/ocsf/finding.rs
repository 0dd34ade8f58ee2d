//! Findings: alerts, with the artifacts they rest on as evidence.

use pintle_model::shapes::{alert, evidence};

use super::entity::{Endpoint, File, Process, User, url};
use super::{Ocsf, at, list, machine, number, text};
use crate::alert::{
    Draft, Severity, THIRD_PARTY, category_of_tactic, evidence_elsewhere, known_as, seen_by_md5,
};
use crate::format::{Decoded, Problem, Several};
use crate::json::{Json, Object};
use crate::machine::Machine;
use crate::time;

/// The class of 1.0, …
pub const SECURITY_FINDING: i64 = 2001;
/// … and the one that took its place.
pub const DETECTION_FINDING: i64 = 2004;

/// Artifacts looked at of one finding.
const MAX_ARTIFACTS: usize = 1_000;

/// Decodes a finding.
pub fn decode(ocsf: &Ocsf<'_>) -> Result<Decoded, Problem> {
    let info = ["finding_info", "finding"].iter().find_map(|name| ocsf.members.get(name)?.object());
    let info = info.ok_or("finding_info is missing")?;
    let id = text(&info, "uid").ok_or("the finding's uid is missing")?;
    let id = known_as(if ocsf.vendor.is_empty() { "ocsf" } else { &ocsf.vendor }, &id);
    let when = |name: &str| time::read(&text(&info, name)?);
    let mut draft = Draft::new(&id, when("modified_time").max(ocsf.time))?;
    draft.times(
        when("first_seen_time").or(when("created_time")).or(ocsf.time),
        when("last_seen_time").or(when("created_time")).or(ocsf.time),
        when("created_time").or(ocsf.time),
    );
    tell(ocsf, &info, &mut draft);
    let artifacts: Vec<_> =
        list(&ocsf.members, "evidences").into_iter().take(MAX_ARTIFACTS).filter_map(Json::object).collect();
    let device = |members: &Object<'_>| machine(members.get("device")?, &ocsf.members, &ocsf.vendor);
    // A finding that names no device is about the first that its evidence names.
    let own = ocsf.machine.clone().or_else(|| artifacts.iter().find_map(device));
    if let Some(own) = &own {
        draft.machine(own);
    }
    let mut several = Several::default();
    // A finding has artifacts in its list, and those of its host beside it.
    artifact(&ocsf.members, &mut draft);
    md5_alone(ocsf, own.as_ref(), &ocsf.members, &mut several)?;
    for members in &artifacts {
        let elsewhere = device(members).filter(|device| own.as_ref().is_some_and(|own| own.id != device.id));
        let Some(elsewhere) = elsewhere else {
            artifact(members, &mut draft);
            md5_alone(ocsf, own.as_ref(), members, &mut several)?;
            continue;
        };
        let title = text(&info, "title");
        for (kind, file) in files(members) {
            let path = file.path.as_deref().or(file.name.as_deref());
            let title = title.as_deref();
            several.add(evidence_elsewhere(&id, title, ocsf.time, &elsewhere, kind, &file.hashes, path))?;
        }
        md5_alone(ocsf, Some(&elsewhere), members, &mut several)?;
    }
    several.add(draft.finish())?;
    Ok(several.finish("finding without an alert"))
}

/// What the finding says of itself.
fn tell(ocsf: &Ocsf<'_>, info: &Object<'_>, draft: &mut Draft) {
    draft.text(alert::TITLE, text(info, "title").or_else(|| text(&ocsf.members, "message")));
    draft.text(alert::DESCRIPTION, text(info, "desc"));
    let severity = number(&ocsf.members, "severity_id").and_then(|id| match id {
        1 => Some(Severity::Informational),
        2 => Some(Severity::Low),
        3 => Some(Severity::Medium),
        4..=6 => Some(Severity::High),
        _ => None,
    });
    let word = || text(&ocsf.members, "severity").and_then(|word| Severity::of_word(&word));
    draft.severity(severity.or_else(word));
    let state = number(&ocsf.members, "status_id").or_else(|| number(&ocsf.members, "state_id"));
    let is_closed = ocsf.class == DETECTION_FINDING && ocsf.activity == 3;
    draft.text(
        alert::STATUS,
        match state {
            _ if is_closed => Some("Resolved"),
            Some(1) => Some("New"),
            Some(2) => Some("InProgress"),
            Some(3 | 4) => Some("Resolved"),
            _ => None,
        },
    );
    draft.time(alert::RESOLVED_TIME, ocsf.time.filter(|_| is_closed || matches!(state, Some(3 | 4))));
    let product = at(&ocsf.members, &["metadata", "product", "name"]).and_then(Json::text);
    let is_defender = ocsf.vendor == "microsoft" && product.is_some_and(|name| name.contains("Defender"));
    draft.text(alert::DETECTION_SOURCE, (!is_defender).then_some(THIRD_PARTY));
    let analytic = info.get("analytic").or_else(|| ocsf.members.get("analytic")).and_then(Json::object);
    let rule = analytic.and_then(|analytic| text(&analytic, "uid").or_else(|| text(&analytic, "name")));
    let vendor = if ocsf.vendor.is_empty() { "ocsf" } else { &ocsf.vendor };
    draft.text(alert::DETECTOR_ID, rule.map(|rule| format!("{vendor}:{rule}")));
    attacks(ocsf, info, draft);
    if let Some(malware) = list(&ocsf.members, "malware").first().and_then(|malware| malware.object()) {
        draft.text(alert::THREAT_NAME, text(&malware, "name"));
        let family = list(&malware, "classifications").first().and_then(|family| family.text());
        draft.text(alert::THREAT_FAMILY_NAME, family);
    }
}

/// Tactics and techniques.
fn attacks(ocsf: &Ocsf<'_>, info: &Object<'_>, draft: &mut Draft) {
    let mut techniques = Vec::new();
    let mut category = None;
    let attacks = [list(info, "attacks"), list(&ocsf.members, "attacks")].concat();
    for attack in attacks.into_iter().take(MAX_ARTIFACTS).filter_map(Json::object) {
        let uid = |name: &str| at(&attack, &[name, "uid"]).and_then(Json::text);
        let technique = uid("sub_technique").or_else(|| uid("technique"));
        techniques.extend(technique.filter(|technique| !techniques.contains(technique)));
        let tactics = [list(&attack, "tactic"), list(&attack, "tactics")].concat();
        let tactic = tactics.into_iter().find_map(|tactic| text(&tactic.object()?, "name"));
        category = category.or(tactic);
    }
    draft.texts(alert::MITRE_TECHNIQUES, &techniques);
    let is_malware =
        ocsf.members.get("malware").is_some_and(|malware| !matches!(malware.raw(), "null" | "[]"));
    let category = category.map(|tactic| category_of_tactic(&tactic));
    draft.text(alert::CATEGORY, category.or_else(|| is_malware.then(|| "Malware".to_owned())));
}

/// The files that an artifact is about.
fn files<'a>(members: &Object<'a>) -> Vec<(&'static str, File<'a>)> {
    let mut files = Vec::new();
    for path in [&["file"][..], &["module", "file"], &["driver", "file"], &["job", "file"]] {
        files.extend(at(members, path).and_then(File::of).map(|file| ("File", file)));
    }
    for path in [&["process"][..], &["actor", "process"]] {
        files.extend(at(members, path).and_then(Process::of).map(|process| ("Process", process.file)));
    }
    files
}

/// Adds what is in an artifact.
fn artifact(members: &Object<'_>, draft: &mut Draft) {
    for (kind, file) in files(members) {
        if kind == "File" {
            file.evidence(draft);
        }
    }
    for path in [&["process"][..], &["actor", "process"]] {
        if let Some(process) = at(members, path).and_then(Process::of) {
            process.evidence(draft);
        }
    }
    for path in [&["user"][..], &["actor", "user"]] {
        if let Some(user) = at(members, path).and_then(User::of) {
            user.evidence(draft);
        }
    }
    for end in ["src_endpoint", "dst_endpoint"] {
        let end = members.get(end).and_then(Endpoint::of);
        draft.evidence("Ip").text(evidence::IP_ADDRESS, end.as_ref().and_then(Endpoint::ip));
        draft.evidence("Url").text(evidence::URL, end.as_ref().and_then(Endpoint::name));
    }
    draft.evidence("Url").text(evidence::URL, url(members, "url"));
    let name = at(members, &["query", "hostname"]).and_then(Json::text);
    draft.evidence("Url").text(evidence::URL, name);
    let part = |path: &[&str]| at(members, path).and_then(Json::text);
    draft
        .evidence("Registry")
        .text(evidence::REGISTRY_KEY, part(&["reg_key", "path"]).or_else(|| part(&["reg_value", "path"])))
        .text(evidence::REGISTRY_VALUE_NAME, part(&["reg_value", "name"]))
        .text(evidence::REGISTRY_VALUE_TYPE, part(&["reg_value", "type"]))
        .text(evidence::REGISTRY_VALUE, part(&["reg_value", "data"]));
}

/// Evidence has no MD5: a file that is known by that alone is an event besides.
fn md5_alone(
    ocsf: &Ocsf<'_>,
    machine: Option<&Machine<'_>>,
    members: &Object<'_>,
    several: &mut Several,
) -> Result<(), Problem> {
    let Some(machine) = machine else { return Ok(()) };
    for (_, file) in files(members) {
        let path = file.path.as_deref().or(file.name.as_deref());
        if let Some(row) = seen_by_md5(machine, ocsf.time, &file.hashes, path) {
            several.add(row)?;
        }
    }
    Ok(())
}
