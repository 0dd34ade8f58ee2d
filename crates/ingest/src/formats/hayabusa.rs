//! Hayabusa's timeline, as `json-timeline` writes it (and `csv-timeline`, whose names are the same): a rule,
//! and what it says of the event that it matched. Which members there are depends on the profile; names of
//! logs, tactics and levels are abbreviated. With `AllFieldInfo` the event's data are there whole, so it is
//! read as one besides the alert.

use std::borrow::Cow;

use pintle_model::Time;

use crate::format::{Decoded, Format, Problem, Several};
use crate::json::{self, Json, Object};
use crate::sigma::{Match, tags};
use crate::time;
use crate::windows::{Datum, WindowsEvent};

pub static FORMAT: Format = Format {
    name: "hayabusa",
    description: "Hayabusa's timeline (json-timeline, as JSON or JSONL; csv-timeline)",
    recognises: |object| {
        let has = |names: &[&str]| names.iter().all(|name| object.has(name));
        has(&["Computer", "Level", "EventID"])
            && (has(&["RuleTitle", "Timestamp"]) || has(&["message", "datetime", "timestamp_desc"]))
    },
    decode,
};

/// Logs as Hayabusa abbreviates them.
const CHANNELS: &[(&str, &str)] = &[
    ("App", "Application"),
    ("AppLocker", "Microsoft-Windows-AppLocker/EXE and DLL"),
    ("BitsCli", "Microsoft-Windows-Bits-Client/Operational"),
    ("CodeInteg", "Microsoft-Windows-CodeIntegrity/Operational"),
    ("Defender", "Microsoft-Windows-Windows Defender/Operational"),
    ("DNS-Cli", "Microsoft-Windows-DNS-Client/Operational"),
    ("Firewall", "Microsoft-Windows-Windows Firewall With Advanced Security/Firewall"),
    ("NTLM", "Microsoft-Windows-NTLM/Operational"),
    ("PwSh", "Microsoft-Windows-PowerShell/Operational"),
    ("PwShClassic", "Windows PowerShell"),
    ("Sec", "Security"),
    ("SecMitig", "Microsoft-Windows-Security-Mitigations/KernelMode"),
    ("SmbCliSec", "Microsoft-Windows-SmbClient/Security"),
    ("Sys", "System"),
    ("Sysmon", "Microsoft-Windows-Sysmon/Operational"),
    ("TaskSch", "Microsoft-Windows-TaskScheduler/Operational"),
    ("WMI", "Microsoft-Windows-WMI-Activity/Operational"),
    ("WinRM", "Microsoft-Windows-WinRM/Operational"),
];

/// Tactics as Hayabusa abbreviates them.
const TACTICS: &[(&str, &str)] = &[
    ("C2", "command and control"),
    ("Collect", "collection"),
    ("CredAccess", "credential access"),
    ("Disc", "discovery"),
    ("Evas", "defense evasion"),
    ("Exec", "execution"),
    ("Exfil", "exfiltration"),
    ("Impact", "impact"),
    ("InitAccess", "initial access"),
    ("LatMov", "lateral movement"),
    ("Persis", "persistence"),
    ("PrivEsc", "privilege escalation"),
    ("Recon", "reconnaissance"),
    ("ResDev", "resource development"),
];

/// What Hayabusa calls data of events in `Details`, and what the events themselves do.
const DATA: &[(&str, &str)] = &[
    ("CmdLine", "CommandLine"),
    ("Cmdline", "CommandLine"),
    ("Hash", "Hashes"),
    ("Hashes", "Hashes"),
    ("Image", "ImageLoaded"),
    ("LID", "LogonId"),
    ("PID", "ProcessId"),
    ("ParentCmdline", "ParentCommandLine"),
    ("ParentPID", "ParentProcessId"),
    ("Path", "TargetFilename"),
    ("Proc", "Image"),
    ("Query", "QueryName"),
    ("SrcIP", "SourceIp"),
    ("SrcPort", "SourcePort"),
    ("SrcUser", "SubjectUserName"),
    ("TgtFile", "TargetFilename"),
    ("TgtHost", "DestinationHostname"),
    ("TgtIP", "DestinationIp"),
    ("TgtObj", "TargetObject"),
    ("TgtPort", "DestinationPort"),
    ("TgtUser", "TargetUserName"),
    ("Threat", "Threat Name"),
    ("User", "User"),
];

/// What stands between the parts of a text of several.
const SEPARATOR: char = '¦';

fn decode(record: &[u8]) -> Result<Decoded, Problem> {
    let found = Object::parse(record)?;
    let text = |name: &str| {
        let text = found.get(name).and_then(Json::text);
        text.filter(|text| !matches!(text.trim(), "" | "-"))
    };
    let title = text("RuleTitle").or_else(|| text("message")).ok_or("RuleTitle is missing")?;
    let rule = ["RuleID", "RuleFile"].iter().find_map(|name| text(name)).unwrap_or_else(|| title.clone());
    let time = text("Timestamp").or_else(|| text("datetime")).ok_or("Timestamp is missing")?;
    let time = read_time(&time).ok_or("Timestamp is no time")?;
    let channel = text("Channel").unwrap_or_default();
    let channel = long_name(CHANNELS, &channel).map_or(channel, Cow::Borrowed);
    // A rule over several events names all their machines.
    let computer = text("Computer").unwrap_or_default();
    let computer: Cow<'_, str> = match computer.split_once(SEPARATOR) {
        Some((first, _)) => first.trim().to_owned().into(),
        None => computer,
    };
    let number = |name: &str| text(name).and_then(|text| json::long(&text));
    let whole = found.get("AllFieldInfo").and_then(Json::object);
    let is_whole = whole.is_some();
    let event_id = number("EventID");
    let data = match whole {
        Some(data) => data.members.into_iter().map(|(name, value)| (name, Datum::Json(value))).collect(),
        None => data(&found, event_id),
    };
    let event = WindowsEvent {
        computer,
        channel,
        event_id,
        record_id: number("RecordID"),
        time: Some(time),
        data,
        ..WindowsEvent::default()
    };
    let mut several = Several::default();
    let mut is_row = false;
    if is_whole
        && event_id.is_some()
        && let Decoded::Record(row) = event.decode()?
    {
        several.add(row)?;
        is_row = true;
    }
    let (tactics, techniques) = mitre(&found);
    let level = text("Level");
    let found = Match {
        tool: "hayabusa",
        rule: &rule,
        title: &title,
        level: level.as_deref().map(known_level),
        tactics,
        techniques,
        time: Some(time),
        place: "",
        events: std::slice::from_ref(&event),
        are_rows: is_row,
    };
    found.tell(&mut several)?;
    Ok(several.finish("nothing found"))
}

/// The event's data, as far as the rule tells them.
fn data<'a>(found: &Object<'a>, event_id: Option<i64>) -> Vec<(Cow<'a, str>, Datum<'a>)> {
    let mut data = Vec::new();
    for member in ["Details", "ExtraFieldInfo"] {
        let Some(value) = found.get(member) else { continue };
        match value.object() {
            Some(object) => {
                data.extend(object.members.into_iter().map(|(name, value)| (name, Datum::Json(value))));
            }
            None => data.extend(value.text().into_iter().flat_map(|text| parts(&text))),
        }
    }
    for (name, _) in &mut data {
        // What began is told as a path by older rules.
        let is_program = matches!(event_id, Some(1 | 4688)) && name == "Path";
        let own = if is_program { Some("Image") } else { long_name(DATA, name) };
        *name = own.map_or_else(|| name.clone(), Cow::Borrowed);
    }
    data
}

/// `Name: value ¦ Name: value`.
fn parts(text: &str) -> Vec<(Cow<'static, str>, Datum<'static>)> {
    let parts = text.split(SEPARATOR).filter_map(|part| part.trim().split_once(": "));
    parts
        .map(|(name, value)| (name.trim().to_owned().into(), Datum::Text(value.trim().to_owned().into())))
        .collect()
}

/// Tactics and techniques, each a list, or a text of several.
fn mitre(found: &Object<'_>) -> (Vec<String>, Vec<String>) {
    let words = |name: &str| -> Vec<String> {
        let texts = found.get(name).map(Json::elements).unwrap_or_default();
        let texts: Vec<_> = texts.into_iter().filter_map(Json::text).collect();
        texts.iter().flat_map(|text| text.split(SEPARATOR)).map(|word| word.trim().to_owned()).collect()
    };
    let tactics = words("MitreTactics");
    let tactics = tactics.iter().map(|tactic| long_name(TACTICS, tactic).unwrap_or(tactic).to_owned());
    let techniques = words("MitreTags");
    (
        tactics.filter(|tactic| !matches!(tactic.as_str(), "" | "-")).collect(),
        tags(techniques.iter().map(String::as_str)).1,
    )
}

fn known_level(level: &str) -> &str {
    // Above critical is what is critical on a machine that is.
    if matches!(level.trim(), "emer" | "emergency") { "critical" } else { level }
}

fn long_name(names: &[(&'static str, &'static str)], short: &str) -> Option<&'static str> {
    names.iter().find(|(name, _)| *name == short).map(|(_, long)| *long)
}

/// A time, of which the zone may stand apart: `2026-01-15 09:30:00.123 +01:00`.
fn read_time(text: &str) -> Option<Time> {
    let joined = text.trim().rsplit_once(' ').filter(|(_, zone)| zone.starts_with(['+', '-']));
    match joined {
        Some((before, zone)) => time::read(&format!("{}{zone}", before.trim_end())),
        None => time::read(text),
    }
}
