//! SentinelOne's threats as its API gives them (`{"data":[…]}`, or one a line): an alert with its file, and
//! what the console knew of the machine when it was asked.

use std::borrow::Cow;
use std::collections::BTreeSet;

use pintle_model::shapes::{alert, evidence};
use pintle_model::tables::device_info;
use pintle_model::{Hashes, Time};

use crate::alert::{Draft, Severity, THIRD_PARTY};
use crate::attack;
use crate::event::{ALERT_RELATED, Event, Role};
use crate::format::{Decoded, Format, Problem, Several};
use crate::inventory;
use crate::json::{Json, Object};
use crate::machine::Machine;
use crate::members;
use crate::time;

pub static FORMAT: Format = Format {
    name: "sentinelone-threats",
    description: "SentinelOne's threats as its API gives them: {\"data\":[…]}, or one a line",
    recognises: |object| object.has("threatInfo") && object.has("agentRealtimeInfo"),
    decode,
};

/// The most indicators and adapters that are looked at.
const MOST: usize = 100;

/// How much of what the indicators say becomes the alert's description.
const MAX_DESCRIPTION: usize = 8 * 1024;

fn decode(record: &[u8]) -> Result<Decoded, Problem> {
    let record = Object::parse(record)?;
    let part = |name: &str| record.get(name).filter(|value| value.object().is_some());
    let threat = part("threatInfo").ok_or("threatInfo is no object")?;
    let agent = part("agentRealtimeInfo");
    let text = |name: &str| text(Some(threat), name);
    let of_agent =
        |name: &str| self::text(agent, name).or_else(|| self::text(part("agentDetectionInfo"), name));
    let id =
        text("threatId").or_else(|| members::text(record.get("id")?)).ok_or("the threat's id is missing")?;
    let (identified, created) = (time(threat, "identifiedAt")?, time(threat, "createdAt")?);
    let updated = time(threat, "updatedAt")?.or(created).or(identified);

    let mut draft = Draft::new(&id, updated)?;
    draft.times(identified.or(created), identified.or(created), created);
    draft.text(alert::TITLE, title(threat));
    draft.text(alert::DETECTION_SOURCE, Some(THIRD_PARTY));
    draft.severity(text("confidenceLevel").and_then(|level| severity(&level)));
    draft.text(alert::STATUS, text("incidentStatus").and_then(|status| word(STATUSES, &status)));
    draft.text(alert::CLASSIFICATION, text("analystVerdict").and_then(|verdict| word(VERDICTS, &verdict)));
    let indicators = Indicators::of(record.get("indicators"));
    let class = text("classification").and_then(|class| word(CATEGORIES, &class)).map(str::to_owned);
    draft.text(alert::CATEGORY, class.or_else(|| attack::category(indicators.tactics.first()?)));
    draft.text(alert::DESCRIPTION, Some(indicators.description));
    draft.texts(alert::MITRE_TECHNIQUES, &attack::techniques(indicators.techniques));
    add_evidence(&mut draft, threat);

    let mut several = Several::default();
    let machine = Machine::identified(
        "sentinelone",
        of_agent("agentUuid").as_deref(),
        of_agent("agentComputerName").as_deref(),
    );
    if let Some(machine) = &machine {
        draft.machine(machine);
        let (hashes, path) = file(threat);
        if hashes.md5.is_some()
            && let Some(event) = Event::seen(
                machine,
                identified.or(created),
                ALERT_RELATED,
                Role::Target,
                &hashes,
                path.as_deref(),
            )
        {
            several.add(event.finish())?;
        }
        let mut report = Event::report(&device_info::TABLE, machine, updated);
        report.set("ClientVersion", of_agent("agentVersion"));
        report.set("PublicIP", of_agent("externalIp"));
        let system = of_agent("agentOsName").and_then(|name| inventory::platform(&name));
        report.set("OSPlatform", system.or_else(|| inventory::platform(&of_agent("agentOsType")?)));
        several.add(report.finish())?;
        add_adapters(&mut several, machine, updated, agent)?;
    }
    several.add(draft.finish())?;
    Ok(several.finish("a threat that says nothing"))
}

/// What it is and what it is called: `Ransomware: a.exe`.
fn title(threat: Json<'_>) -> Option<String> {
    let name = text(Some(threat), "threatName");
    match (text(Some(threat), "classification"), name) {
        (Some(class), Some(name)) => Some(format!("{class}: {name}")),
        (class, name) => class.or(name).map(Cow::into_owned),
    }
}

/// SentinelOne grades how sure it is, not how bad it would be.
fn severity(confidence: &str) -> Option<Severity> {
    match confidence {
        "malicious" => Some(Severity::High),
        "suspicious" => Some(Severity::Medium),
        _ => None,
    }
}

const STATUSES: &[(&str, &str)] =
    &[("unresolved", "New"), ("in_progress", "InProgress"), ("resolved", "Resolved")];

const VERDICTS: &[(&str, &str)] = &[("true_positive", "TruePositive"), ("false_positive", "FalsePositive")];

const CATEGORIES: &[(&str, &str)] = &[
    ("Ransomware", "Ransomware"),
    ("Exploit", "Exploit"),
    ("PUA", "UnwantedSoftware"),
    ("Adware", "UnwantedSoftware"),
    ("Malware", "Malware"),
    ("Trojan", "Malware"),
    ("Worm", "Malware"),
    ("Virus", "Malware"),
    ("Backdoor", "Malware"),
    ("Rootkit", "Malware"),
    ("Infostealer", "Malware"),
    ("Cryptominer", "Malware"),
    ("Downloader", "Malware"),
];

fn word(words: &[(&str, &'static str)], text: &str) -> Option<&'static str> {
    words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, ours)| *ours)
}

fn file(threat: Json<'_>) -> (Hashes, Option<Cow<'_, str>>) {
    let [sha1, sha256, md5] = ["sha1", "sha256", "md5"].map(|name| text(Some(threat), name));
    (Hashes::read(sha1.as_deref(), sha256.as_deref(), md5.as_deref()), text(Some(threat), "filePath"))
}

fn add_evidence(draft: &mut Draft, threat: Json<'_>) {
    let (hashes, path) = file(threat);
    let arguments = text(Some(threat), "maliciousProcessArguments");
    draft
        .evidence(if arguments.is_some() { "Process" } else { "File" })
        .file(&hashes, path.as_deref())
        .text(evidence::PROCESS_COMMAND_LINE, arguments);
    // Where the file came from, or who started it.
    draft.evidence("Process").text(evidence::FILE_NAME, text(Some(threat), "originatorProcess"));
    draft.evidence("User").account(text(Some(threat), "processUser").as_deref());
}

fn add_adapters(
    several: &mut Several,
    machine: &Machine<'_>,
    at: Option<Time>,
    agent: Option<Json<'_>>,
) -> Result<(), Problem> {
    let adapters = agent.and_then(|agent| agent.at(&["networkInterfaces"])).map(Json::elements);
    for adapter in adapters.unwrap_or_default().into_iter().take(MOST) {
        let list = |name: &str| adapter.at(&[name]).map(Json::elements).unwrap_or_default();
        let addresses = list("inet").into_iter().chain(list("inet6")).filter_map(members::text);
        let (name, mac) = (text(Some(adapter), "name"), text(Some(adapter), "physical"));
        if let Some(row) = inventory::adapter(machine, at, name.as_deref(), mac.as_deref(), addresses) {
            several.add(row)?;
        }
    }
    Ok(())
}

/// What gave the threat away.
#[derive(Default)]
struct Indicators<'a> {
    description: String,
    tactics: Vec<Cow<'a, str>>,
    techniques: BTreeSet<Cow<'a, str>>,
}

impl<'a> Indicators<'a> {
    fn of(list: Option<Json<'a>>) -> Indicators<'a> {
        let mut told = Indicators::default();
        for indicator in list.map(Json::elements).unwrap_or_default().into_iter().take(MOST) {
            let description = text(Some(indicator), "description").unwrap_or_default();
            if told.description.len() + description.len() < MAX_DESCRIPTION {
                told.description.push_str(if told.description.is_empty() { "" } else { "; " });
                told.description.push_str(&description);
            }
            let tactics = indicator.at(&["tactics"]).map(Json::elements).unwrap_or_default();
            for tactic in tactics.into_iter().take(MOST) {
                told.tactics.extend(text(Some(tactic), "name"));
                let techniques = tactic.at(&["techniques"]).map(Json::elements).unwrap_or_default();
                told.techniques
                    .extend(techniques.into_iter().take(MOST).filter_map(|of| text(Some(of), "name")));
            }
        }
        told
    }
}

fn text<'a>(value: Option<Json<'a>>, name: &str) -> Option<Cow<'a, str>> {
    members::text(value?.at(&[name])?)
}

fn time(value: Json<'_>, name: &str) -> Result<Option<Time>, Problem> {
    let Some(text) = text(Some(value), name) else { return Ok(None) };
    time::read(&text).map(Some).ok_or_else(|| format!("{name} is no time").into())
}
