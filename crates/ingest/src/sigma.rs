//! What a rule found in Windows events, as tools that run Sigma over event logs tell it: an alert.
//!
//! Such a match has no id of its own. It gets one from the tool, the rule and the event that it is in, so that
//! the same match is the same alert however often a log is looked through: `TOOL-` and the SHA-1 of the rule's
//! id, the machine's, the log's name in lower case and the event's number (its time, if it has none), with NUL
//! between them; of several events the one whose text of these three is the first.

use pintle_model::shapes::{alert, evidence};
use pintle_model::{Hashes, Time};

use crate::alert::{Draft, Severity, THIRD_PARTY, category_of_tactic, evidence_elsewhere, seen_by_md5, sha1};
use crate::format::{Problem, Several};
use crate::json;
use crate::machine::Machine;
use crate::sysmon;
use crate::windows::WindowsEvent;

/// Events of a match that give its alert evidence, which no alert keeps more of; tags of a rule that are read.
const MAX_EVENTS: usize = 1_000;

/// A match.
pub struct Match<'a> {
    /// Who found it, as ids and detectors name it.
    pub tool: &'static str,
    /// The rule's id, or what comes next to one.
    pub rule: &'a str,
    /// The rule's title.
    pub title: &'a str,
    /// How bad it is, in the tool's word.
    pub level: Option<&'a str>,
    /// Tactics in the words of MITRE ATT&CK.
    pub tactics: Vec<String>,
    /// Techniques by their ids.
    pub techniques: Vec<String>,
    /// When it was, if its events do not say.
    pub time: Option<Time>,
    /// What else tells it from others of the rule where there is no event.
    pub place: &'a str,
    /// The events.
    pub events: &'a [WindowsEvent<'a>],
    /// Whether they are rows besides.
    pub are_rows: bool,
}

impl Match<'_> {
    /// Adds the alert, and what else is known by it.
    pub fn tell(&self, several: &mut Several) -> Result<(), Problem> {
        let mut keyed: Vec<_> = self.events.iter().map(|event| (self.key(event), event)).collect();
        keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
        let time = |event: &WindowsEvent<'_>| event.happened().or(self.time);
        let first = self.events.iter().filter_map(time).min().or(self.time);
        let last = self.events.iter().filter_map(time).max().or(self.time);
        let key = match keyed.first() {
            Some((key, _)) => key.clone(),
            None => format!("{}\0{}", self.place, self.time.map(|at| at.to_string()).unwrap_or_default()),
        };
        let id = format!("{}-{}", self.tool, sha1(&[self.rule, &key]));
        let mut draft = Draft::new(&id, last)?;
        draft.times(first, last, last);
        self.describe(&mut draft);
        let machine = keyed.first().and_then(|(_, event)| Machine::named(&event.computer));
        if let Some(machine) = &machine {
            draft.machine(machine);
        }
        for (_, event) in keyed.iter().take(MAX_EVENTS) {
            let Some(its) = Machine::named(&event.computer) else { continue };
            let found = Found::of(event);
            if machine.as_ref().is_some_and(|machine| machine.id == its.id) {
                found.evidence(event, &mut draft);
            } else {
                found.elsewhere(&id, self.title, time(event), &its, several)?;
            }
            for (hashes, path) in found.files().filter(|_| !self.are_rows) {
                if let Some(row) = seen_by_md5(&its, time(event), hashes, path) {
                    several.add(row)?;
                }
            }
        }
        several.add(draft.finish())
    }

    /// What tells an event from all others.
    fn key(&self, event: &WindowsEvent<'_>) -> String {
        let machine = Machine::named(&event.computer).map(|machine| machine.id.as_str().to_owned());
        let number = match event.record_id {
            Some(number) => number.to_string(),
            None => event.happened().or(self.time).map(|at| at.to_string()).unwrap_or_default(),
        };
        format!("{}\0{}\0{number}", machine.unwrap_or_default(), event.channel.to_lowercase())
    }

    fn describe(&self, draft: &mut Draft) {
        draft.text(alert::TITLE, Some(self.title));
        draft.severity(self.level.and_then(Severity::of_word));
        draft.text(alert::STATUS, Some("New"));
        draft.text(alert::DETECTION_SOURCE, Some(THIRD_PARTY));
        draft.text(alert::DETECTOR_ID, Some(format!("{}:{}", self.tool, self.rule)));
        draft.text(alert::CATEGORY, self.tactics.first().map(|tactic| category_of_tactic(tactic)));
        draft.texts(alert::MITRE_TECHNIQUES, &self.techniques);
        let threat = self.events.iter().find_map(|event| event.get("Threat Name"));
        draft.text(alert::THREAT_NAME, threat);
    }
}

/// Tactics and techniques of a rule's tags, such as `attack.defense_evasion` and `attack.t1070.001`; groups
/// and software (`attack.g0016`) are neither.
pub fn tags<'t>(tags: impl Iterator<Item = &'t str>) -> (Vec<String>, Vec<String>) {
    let (mut tactics, mut techniques) = (Vec::new(), Vec::new());
    for tag in tags.take(MAX_EVENTS) {
        let tag = tag.trim();
        let name = tag.strip_prefix("attack.").unwrap_or(tag);
        let is_number = |rest: &str| rest.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
        match name.split_at_checked(1) {
            Some(("t" | "T", rest)) if is_number(rest) => techniques.push(name.to_ascii_uppercase()),
            Some((_, rest)) if is_number(rest) => {}
            _ if tag.starts_with("attack.") => tactics.push(name.to_owned()),
            _ => {}
        }
    }
    (tactics, techniques)
}

/// The process and the file in an event.
pub struct Found {
    process: Option<(Hashes, String)>,
    file: Option<(Hashes, Option<String>)>,
}

impl Found {
    /// Looks at an event's data.
    pub fn of(event: &WindowsEvent<'_>) -> Found {
        let id = event.event_id.unwrap_or_default();
        let is_sysmon = sysmon::wrote(event);
        let has_hashes = is_sysmon && id != 24 && !(id == 15 && sysmon::is_named_stream(event));
        let hashes = event.get("Hashes").or_else(|| event.get("Hash")).filter(|_| has_hashes);
        let hashes = hashes.map(|text| Hashes::read_sysmon(&text)).unwrap_or_default();
        let is_start = is_sysmon && id == 1;
        let images = ["NewProcessName", "Image", "SourceImage", "ProcessName", "Process Name", "Application"];
        let image = images.iter().find_map(|name| event.get(name)).map(|image| image.into_owned());
        let files = ["TargetFilename", "ImageLoaded", "Path", "ImagePath", "ServiceFileName"];
        let path = files.iter().find_map(|name| event.get(name)).map(|path| plain_path(&path));
        let of_process = if is_start { hashes } else { Hashes::default() };
        let file = match path {
            Some(path) => Some((if is_start { Hashes::default() } else { hashes }, Some(path))),
            None if !is_start && !hashes.is_empty() => Some((hashes, None)),
            None => None,
        };
        Found { process: image.map(|image| (of_process, image)), file }
    }

    /// Both, with what identifies them.
    fn files(&self) -> impl Iterator<Item = (&Hashes, Option<&str>)> {
        let process = self.process.iter().map(|(hashes, path)| (hashes, Some(path.as_str())));
        process.chain(self.file.iter().map(|(hashes, path)| (hashes, path.as_deref())))
    }

    /// Adds what an event has to an alert: process, file, user, address, name, registry.
    pub fn evidence(&self, event: &WindowsEvent<'_>, draft: &mut Draft) {
        let get = |name: &str| event.get(name);
        let number = |name: &str| get(name).and_then(|text| json::long(&text));
        if let Some((hashes, path)) = &self.process {
            // 4688 numbers the new process apart, and calls its parent the process.
            let is_4688 = get("NewProcessId").is_some();
            let (own, parent) =
                if is_4688 { ("NewProcessId", "ProcessId") } else { ("ProcessId", "ParentProcessId") };
            let parent_path = get("ParentImage").or_else(|| get("ParentProcessName"));
            draft
                .evidence("Process")
                .file(hashes, Some(path))
                .number(evidence::PROCESS_ID, number(own))
                .text(evidence::PROCESS_COMMAND_LINE, get("CommandLine"))
                .number(evidence::PARENT_PROCESS_ID, number(parent))
                .text(
                    evidence::PARENT_PROCESS_FILE_NAME,
                    parent_path.as_deref().map(crate::windows::last_part),
                )
                .text(evidence::PARENT_PROCESS_FILE_PATH, parent_path.as_deref())
                .account(get("User").as_deref());
        }
        if let Some((hashes, path)) = &self.file {
            draft.evidence("File").file(hashes, path.as_deref());
        }
        draft.evidence("User").account(get("User").as_deref());
        for whose in ["Target", "Subject"] {
            draft
                .evidence("User")
                .text(evidence::ACCOUNT_NAME, get(&format!("{whose}UserName")))
                .text(evidence::DOMAIN_NAME, get(&format!("{whose}DomainName")))
                .text(evidence::USER_SID, get(&format!("{whose}UserSid")));
        }
        let is_inbound = matches!(get("Initiated").as_deref(), Some("false" | "False"));
        let there = if is_inbound { "SourceIp" } else { "DestinationIp" };
        for name in [there, "IpAddress", "DestAddress"] {
            draft.evidence("Ip").text(evidence::IP_ADDRESS, get(name));
        }
        for name in ["QueryName", "DestinationHostname"] {
            draft.evidence("Url").text(evidence::URL, get(name));
        }
        registry(event, draft);
    }

    /// The same of a machine that is not the alert's.
    fn elsewhere(
        &self,
        id: &str,
        title: &str,
        at: Option<Time>,
        machine: &Machine<'_>,
        several: &mut Several,
    ) -> Result<(), Problem> {
        if let Some((hashes, path)) = &self.process {
            several.add(evidence_elsewhere(id, Some(title), at, machine, "Process", hashes, Some(path)))?;
        }
        if let Some((hashes, path)) = &self.file {
            several.add(evidence_elsewhere(id, Some(title), at, machine, "File", hashes, path.as_deref()))?;
        }
        Ok(())
    }
}

/// Sysmon names a value by its key and name; its event 13 gives the value in `Details`.
fn registry(event: &WindowsEvent<'_>, draft: &mut Draft) {
    let Some(object) = event.get("TargetObject") else { return };
    let mut piece = draft.evidence("Registry");
    match object.rsplit_once('\\') {
        Some((key, name)) if event.event_id != Some(12) => {
            piece
                .text(evidence::REGISTRY_KEY, Some(key))
                .text(evidence::REGISTRY_VALUE_NAME, Some(name))
                .text(evidence::REGISTRY_VALUE, event.get("Details"));
        }
        _ => _ = piece.text(evidence::REGISTRY_KEY, Some(object)),
    }
}

/// Defender's log writes `file:_C:\a.exe`, and several with `;` between them.
fn plain_path(path: &str) -> String {
    let first = path.split_once("file:_").map_or(path, |(_, rest)| rest);
    first.split_once(';').map_or(first, |(first, _)| first).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_tactics_techniques_or_neither() {
        let of = ["attack.defense_evasion", "attack.t1070.001", "attack.g0016", "car.2016", "T1003", "S0002"];
        let (tactics, techniques) = tags(of.into_iter());
        assert_eq!(tactics, ["defense_evasion"]);
        assert_eq!(techniques, ["T1070.001", "T1003"]);
    }
}
