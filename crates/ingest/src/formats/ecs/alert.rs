//! Alerts: Elastic Defend's own, and those that Elastic Security's rules raised about any document, which
//! they carry.

use pintle_model::Hashes;
use pintle_model::shapes::{alert, evidence};

use super::event::{path, sysmon_hashes, time};
use super::fields::Fields;
use crate::alert::{Draft, Severity, THIRD_PARTY, category_of_tactic, known_as, seen_by_md5};
use crate::format::{Problem, Several};
use crate::json::{Json, Object};
use crate::machine::Machine;
use crate::windows::last_part;

/// Libraries and techniques looked at of one alert.
const MAX_LISTED: usize = 256;

/// Whether a document is an alert: it has an id then.
pub fn is_one(fields: &Fields<'_>) -> bool {
    fields.has_below("kibana.alert.rule") || fields.says("event.kind", "alert")
}

/// Decodes an alert.
pub fn decode(
    fields: &Fields<'_>,
    machine: Option<&Machine<'_>>,
    several: &mut Several,
) -> Result<(), Problem> {
    let Some(id) = fields.first(&["kibana.alert.uuid", "event.id"]) else { return Ok(()) };
    let at = time(fields)?;
    let updated = ["kibana.alert.workflow_status_updated_at", "kibana.alert.last_detected"];
    let updated = updated.iter().filter_map(|name| fields.time(name)).max().max(at);
    let mut draft = Draft::new(&known_as("elastic", &id), updated)?;
    let happened = fields.time("kibana.alert.original_time").or(at);
    draft.times(happened, happened, fields.time("kibana.alert.start").or(at));
    describe(fields, &mut draft);
    if let Some(machine) = machine {
        draft.machine(machine);
    }
    let files = files(fields);
    for (kind, name, hashes, path) in &files {
        if *kind == "Process" {
            process(fields, name, hashes, path.as_deref(), &mut draft);
        } else {
            draft.evidence(kind).file(hashes, path.as_deref());
        }
    }
    rest(fields, &mut draft);
    if let Some(machine) = machine {
        for (_, _, hashes, path) in &files {
            if let Some(row) = seen_by_md5(machine, happened, hashes, path.as_deref()) {
                several.add(row)?;
            }
        }
    }
    several.add(draft.finish())
}

/// What the alert says of itself.
fn describe(fields: &Fields<'_>, draft: &mut Draft) {
    let title = ["kibana.alert.rule.name", "rule.name", "message", "event.code"];
    draft.text(alert::TITLE, fields.first(&title));
    let description =
        ["kibana.alert.rule.description", "kibana.alert.rule.parameters.description", "rule.description"];
    draft.text(alert::DESCRIPTION, fields.first(&description).or_else(|| fields.text("kibana.alert.reason")));
    let word = fields.text("kibana.alert.severity").and_then(|word| Severity::of_word(&word));
    // These count to 100, in the steps of Elastic's own words; other sensors have scales of their own.
    let own =
        if fields.says("event.module", "endpoint") { "event.risk_score" } else { "event.risk_score_norm" };
    let number = fields.number("kibana.alert.risk_score").or_else(|| fields.number(own));
    draft.severity(word.or_else(|| number.map(|number| Severity::of_number(number, 1, 22, 48))));
    let status = match fields.text("kibana.alert.workflow_status").as_deref() {
        Some("open") => Some("New"),
        Some("acknowledged" | "in-progress") => Some("InProgress"),
        Some("closed") => Some("Resolved"),
        _ => (!fields.has_below("kibana.alert")).then_some("New"),
    };
    draft.text(alert::STATUS, status);
    draft.text(alert::DETECTION_SOURCE, Some(THIRD_PARTY));
    let rule = ["kibana.alert.rule.rule_id", "kibana.alert.rule.uuid", "rule.id", "event.code"];
    draft.text(alert::DETECTOR_ID, fields.first(&rule).map(|rule| format!("elastic:{rule}")));
    let threat = ["file.Ext.malware_signature.primary.signature.name", "winlog.event_data.Threat Name"];
    draft.text(alert::THREAT_NAME, fields.first(&threat));
    threats(fields, draft);
}

/// Tactics and techniques, in lists of objects or member by member.
fn threats(fields: &Fields<'_>, draft: &mut Draft) {
    let (mut tactics, mut techniques) = (Vec::new(), Vec::new());
    for list in ["kibana.alert.rule.threat", "kibana.alert.rule.parameters.threat", "threat"] {
        let threats = fields.get(list).map(Json::elements).unwrap_or_default();
        for threat in threats.into_iter().take(MAX_LISTED).filter_map(Json::object) {
            let name = threat.get("tactic").and_then(|tactic| tactic.at(&["name"])?.text());
            tactics.extend(name);
            techniques.extend(techniques_of(&threat));
        }
    }
    tactics.extend(fields.texts("threat.tactic.name"));
    let subs = fields.texts("threat.technique.subtechnique.id");
    techniques.extend(subs.iter().map(|id| id.to_string()));
    let whole = fields.texts("threat.technique.id").into_iter();
    // A technique of which a part is told is told by that.
    techniques.extend(whole.filter(|id| !subs.iter().any(|sub| sub.starts_with(&**id))).map(|id| id.into()));
    techniques.sort();
    techniques.dedup();
    techniques.truncate(MAX_LISTED);
    draft.texts(alert::MITRE_TECHNIQUES, &techniques);
    let category = tactics.first().map(|tactic| category_of_tactic(tactic));
    let is_malware = fields.says("event.category", "malware");
    draft.text(alert::CATEGORY, category.or_else(|| is_malware.then(|| "Malware".to_owned())));
}

fn techniques_of(threat: &Object<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let ids = |value: Option<Json<'_>>| -> Vec<String> {
        let elements = value.map(Json::elements).unwrap_or_default().into_iter().take(MAX_LISTED);
        elements.filter_map(|element| Some(element.at(&["id"])?.text()?.into_owned())).collect()
    };
    let techniques = threat.get("technique").map(Json::elements).unwrap_or_default();
    for technique in techniques.into_iter().take(MAX_LISTED) {
        let parts = ids(technique.at(&["subtechnique"]));
        found.extend(if parts.is_empty() { ids(Some(technique)) } else { parts });
    }
    found
}

/// A kind of evidence, the member that it is, what identifies it and where it is.
type File = (&'static str, &'static str, Hashes, Option<String>);

/// The files in the document that the alert is about.
fn files(fields: &Fields<'_>) -> Vec<File> {
    let mut files = Vec::new();
    // Of an event of Sysmon that Winlogbeat passed on: of the process that began, or of the file.
    let of_sysmon = sysmon_hashes(fields);
    let is_start = fields.text("winlog.event_id").as_deref() == Some("1");
    for (kind, name) in
        [("Process", "process"), ("Process", "process.parent"), ("File", "file"), ("File", "dll")]
    {
        let mut hashes = fields.hashes(name);
        if hashes.is_empty() && (name == "process") == is_start && matches!(name, "process" | "file") {
            hashes = of_sysmon;
        }
        let data = match name {
            "process" => fields.text("winlog.event_data.Image"),
            "file" => fields.first(&["winlog.event_data.TargetFilename", "winlog.event_data.ImageLoaded"]),
            _ => None,
        };
        let path = path(fields, name).or(data).map(|path| path.into_owned());
        if !hashes.is_empty() || path.is_some() {
            files.push((kind, name, hashes, path));
        }
    }
    // Alerts about memory list the libraries of the process.
    let libraries = fields.get("dll").map(Json::elements).unwrap_or_default();
    for library in libraries.into_iter().take(MAX_LISTED) {
        let text = |path: &[&str]| library.at(path).and_then(Json::text);
        let (sha1, sha256, md5) =
            (text(&["hash", "sha1"]), text(&["hash", "sha256"]), text(&["hash", "md5"]));
        let hashes = Hashes::read(sha1.as_deref(), sha256.as_deref(), md5.as_deref());
        let path = text(&["path"]).or_else(|| text(&["name"])).map(|path| path.into_owned());
        if !hashes.is_empty() {
            files.push(("File", "dll", hashes, path));
        }
    }
    files
}

fn process(fields: &Fields<'_>, name: &str, hashes: &Hashes, at: Option<&str>, draft: &mut Draft) {
    let text = |part: &str| fields.text(&format!("{name}.{part}"));
    let parent = path(fields, &format!("{name}.parent"));
    let is_own = name == "process";
    draft
        .evidence("Process")
        .file(hashes, at)
        .number(evidence::PROCESS_ID, fields.number(&format!("{name}.pid")))
        .text(evidence::PROCESS_COMMAND_LINE, text("command_line"))
        .time(evidence::PROCESS_CREATION_TIME, fields.time(&format!("{name}.start")))
        .number(evidence::PARENT_PROCESS_ID, fields.number(&format!("{name}.parent.pid")))
        .text(evidence::PARENT_PROCESS_FILE_NAME, parent.as_deref().map(last_part))
        .text(evidence::PARENT_PROCESS_FILE_PATH, parent.as_deref())
        .text(evidence::ACCOUNT_NAME, fields.text("user.name").filter(|_| is_own))
        .text(evidence::DOMAIN_NAME, fields.text("user.domain").filter(|_| is_own));
}

/// Users, addresses, names and keys.
fn rest(fields: &Fields<'_>, draft: &mut Draft) {
    draft
        .evidence("User")
        .text(evidence::ACCOUNT_NAME, fields.text("user.name"))
        .text(evidence::DOMAIN_NAME, fields.text("user.domain"))
        .text(evidence::USER_SID, fields.text("user.id").filter(|id| id.starts_with("S-1-")));
    for end in ["source.ip", "destination.ip"] {
        draft.evidence("Ip").text(evidence::IP_ADDRESS, fields.text(end));
    }
    for name in ["url.full", "url.original", "dns.question.name", "destination.domain"] {
        draft.evidence("Url").text(evidence::URL, fields.text(name));
    }
    draft
        .evidence("Registry")
        .text(evidence::REGISTRY_KEY, fields.first(&["registry.key", "registry.path"]))
        .text(evidence::REGISTRY_HIVE, fields.text("registry.hive"))
        .text(evidence::REGISTRY_VALUE_NAME, fields.text("registry.value"))
        .text(evidence::REGISTRY_VALUE_TYPE, fields.text("registry.data.type"))
        .text(evidence::REGISTRY_VALUE, fields.text("registry.data.strings"));
}
