//! An alert in the making: Defender's alert and evidence, of what any vendor says of its own. What an
//! event gives as evidence is told in `of_event`.

mod elsewhere;
mod of_event;

use std::borrow::Cow;

use pintle_model::shapes::{alert, evidence};
use pintle_model::tables::device_events;
use pintle_model::{Alert, AlertId, Evidence, Facts, Hashes, Kind, Member, MemberId, Record, Shape, Time};
use serde_json::Value;
use sha1::{Digest, Sha1};

use crate::event::{ALERT_RELATED, Event, Role, is_path};
use crate::format::{Problem, Several};
use crate::json::{Json, List};
use crate::machine::Machine;
use crate::windows::last_part;
use elsewhere::Elsewhere;
pub use elsewhere::evidence_elsewhere;

/// Defender's word for what other sensors than its own detected.
pub const THIRD_PARTY: &str = "ThirdPartySensors";

/// How much is read of an alert's member that is a list or an object: as much as is kept of its comments. Each
/// of its bytes may take many of memory.
const MOST_OF_A_MEMBER: usize = 256 * 1024;

/// An alert in the making. What it says holds as of its last update.
pub struct Draft {
    alert: Alert,
    at: Time,
    machine: Option<Machine<'static>>,
    /// Evidence on other machines than the alert's.
    elsewhere: Vec<Elsewhere>,
}

impl Draft {
    /// An alert with the vendor's `id`, updated last at `updated`.
    pub fn new(id: &str, updated: Option<Time>) -> Result<Draft, Problem> {
        let id: AlertId = id.trim().parse().map_err(|_| "the alert's id cannot be one")?;
        let at = updated.unwrap_or(Time::MIN);
        let alert = Alert { id, facts: Facts::default(), evidence: Vec::new() };
        let mut draft = Draft { alert, at, machine: None, elsewhere: Vec::new() };
        draft.time(alert::LAST_UPDATE_TIME, updated);
        Ok(draft)
    }

    /// Says as of when it holds where the source does not say when it was updated; before anything else.
    pub fn holding(mut self, time: Option<Time>) -> Draft {
        if self.at == Time::MIN {
            self.at = time.unwrap_or(Time::MIN);
        }
        self
    }

    /// Says when the events behind it began and ended, and when it was raised.
    pub fn times(&mut self, first: Option<Time>, last: Option<Time>, raised: Option<Time>) {
        self.time(alert::FIRST_EVENT_TIME, first);
        self.time(alert::LAST_EVENT_TIME, last);
        self.time(alert::ALERT_CREATION_TIME, raised);
    }

    /// Says a member that is a text.
    pub fn text(&mut self, member: MemberId, text: Option<impl AsRef<str>>) {
        self.alert.facts.note_text(member, self.at, text.as_ref().map(AsRef::as_ref));
    }

    /// Says a member that is a time.
    pub fn time(&mut self, member: MemberId, time: Option<Time>) {
        self.alert.facts.note_time(member, self.at, time);
    }

    /// Says a member that is a number.
    pub fn number(&mut self, member: MemberId, number: Option<i64>) {
        self.alert.facts.note_plain(member, self.at, number);
    }

    /// Says a member that is a list of texts, unless there are none.
    pub fn texts(&mut self, member: MemberId, texts: &[impl AsRef<str>]) {
        if !texts.is_empty() {
            let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
            self.alert.facts.note(member, self.at, Value::from(texts).to_string());
        }
    }

    /// Says what a vendor's word or number for its severity means here; none says nothing.
    pub fn severity(&mut self, severity: Option<Severity>) {
        self.text(alert::SEVERITY, severity.map(Severity::name));
    }

    /// Says a member as a source has it that writes it as the API does. `null` says that it has no
    /// value any more.
    pub fn member(&mut self, member: MemberId, value: Json<'_>) {
        note(&mut self.alert.facts, &alert::SHAPE, member, value, self.at);
    }

    /// Says a member's value, as far as it can be one of that member.
    pub fn value(&mut self, member: MemberId, value: &Value) {
        let declared = alert::SHAPE.members.get(usize::from(member.0));
        if let Some(text) = declared.and_then(|declared| declared.canonical(value)) {
            self.alert.facts.note(member, self.at, text);
        }
    }

    /// Says which machine it is about, before there is any evidence.
    pub fn machine(&mut self, machine: &Machine<'_>) {
        self.machine = Some(machine.owned());
        self.text(alert::MACHINE_ID, Some(machine.id.as_str()));
        self.text(alert::COMPUTER_DNS_NAME, machine.name.as_deref());
    }

    /// Adds a piece of evidence of one of Defender's kinds: `File`, `Process`, `User`, `Ip`, `Url`,
    /// `Registry`.
    pub fn evidence(&mut self, kind: &str) -> Piece<'_> {
        self.alert.evidence.push(Evidence::default());
        let at = self.at;
        let facts = self.alert.evidence.last_mut().map(|piece| &mut piece.0);
        let mut piece = Piece { facts, at };
        piece.text(evidence::ENTITY_TYPE, Some(kind));
        piece
    }

    /// The machine that it is about, if that was said.
    pub fn on(&self) -> Option<&Machine<'static>> {
        self.machine.as_ref()
    }

    /// Adds a piece of evidence of one of these kinds that was on `machine`; on the alert's where none is
    /// told. An alert of which no machine was said is on the first that its evidence names. What was on
    /// another needs [`Draft::finish_into`].
    pub fn evidence_on(&mut self, kind: &str, machine: Option<&Machine<'_>>) -> Piece<'_> {
        let Some(machine) = machine else { return self.evidence(kind) };
        let of_alert = self.machine.as_ref().map(|of_alert| &of_alert.id);
        if of_alert.is_none_or(|of_alert| *of_alert == machine.id) {
            if of_alert.is_none() {
                self.machine(machine);
            }
            return self.evidence(kind);
        }
        let at = self.at;
        self.elsewhere.push(Elsewhere::new(machine));
        let facts = self.elsewhere.last_mut().map(|elsewhere| &mut elsewhere.evidence);
        let mut piece = Piece { facts, at };
        piece.text(evidence::ENTITY_TYPE, Some(kind));
        piece
    }

    /// Says that it has to do with another machine too. Needs [`Draft::finish_into`].
    pub fn also_on(&mut self, machine: &Machine<'_>) {
        let mut elsewhere = Elsewhere::new(machine);
        elsewhere.evidence.note_text(evidence::ENTITY_TYPE, self.at, Some(elsewhere::MACHINE));
        self.elsewhere.push(elsewhere);
    }

    /// The alert.
    pub fn finish(mut self) -> Record {
        // What only says its kind tells nothing.
        self.alert.evidence.retain(|piece| says_more_than_its_kind(&piece.0));
        Record::Alert(self.alert)
    }

    /// Adds the alert, and for each piece of evidence that was on another machine a row of its own.
    pub fn finish_into(mut self, several: &mut Several) -> Result<(), Problem> {
        let elsewhere = std::mem::take(&mut self.elsewhere);
        let of_alert = self.alert.facts.time(alert::LAST_EVENT_TIME);
        let rows: Vec<_> =
            elsewhere.into_iter().filter_map(|one| one.row(&self.alert.id, of_alert)).collect();
        // Such a row names its own machine as the alert's, as of its time: what the alert says is newer.
        if let Some((newest, _)) = rows.iter().max_by_key(|(time, _)| *time) {
            for member in [alert::MACHINE_ID, alert::COMPUTER_DNS_NAME] {
                self.alert.facts.date(member, self.at.max(newest.unwrap_or(Time::MIN).just_after()));
            }
        }
        several.add(self.finish())?;
        rows.into_iter().try_for_each(|(_, row)| several.add(Record::Row(row)))
    }
}

/// Whether evidence says anything but its kind and what became of it.
fn says_more_than_its_kind(evidence: &Facts) -> bool {
    use evidence::{DETECTION_STATUS, ENTITY_TYPE, EVIDENCE_CREATION_TIME};
    let says_little = |member| matches!(member, ENTITY_TYPE | EVIDENCE_CREATION_TIME | DETECTION_STATUS);
    evidence.iter().any(|(member, _)| !says_little(member))
}

/// The event on its machine that a file is which an alert names by its MD5 alone: evidence has no member for
/// that. `None` for any other file.
pub fn seen_by_md5(
    machine: &Machine<'_>,
    time: Option<Time>,
    hashes: &Hashes,
    path: Option<&str>,
) -> Option<Record> {
    if hashes.md5.is_none() || hashes.sha1.is_some() || hashes.sha256.is_some() {
        return None;
    }
    let mut event = Event::new(&device_events::TABLE, machine, time, ALERT_RELATED);
    event.file(Role::Target, hashes, path);
    Some(event.finish())
}

/// Notes a member of the API's name, if the shape has it, as a source has it that writes it as the API does.
pub fn note_named(facts: &mut Facts, shape: &Shape, name: &str, value: Json<'_>, at: Time) {
    if let Some((member, _)) = shape.member(name) {
        note(facts, shape, member, value, at);
    }
}

fn note(facts: &mut Facts, shape: &Shape, member: MemberId, value: Json<'_>, at: Time) {
    let declared = shape.members.get(usize::from(member.0));
    if let Some(text) = declared.and_then(|declared| canonical(declared, value)) {
        facts.note(member, at, text);
    }
}

/// The value in the API's own writing, if it can be one of that member.
fn canonical(member: &Member, value: Json<'_>) -> Option<String> {
    let raw = value.raw();
    if raw.starts_with('[') && member.kind == Kind::List {
        return Some(elements(member, value));
    }
    if raw.starts_with(['[', '{']) && raw.len() > MOST_OF_A_MEMBER {
        return None;
    }
    match serde_json::from_str::<Value>(raw) {
        Ok(value) => member.canonical(&value),
        // Half a UTF-16 pair is all that well-formed JSON can fail by here.
        Err(_) => member.canonical(&Value::from(value.text()?)),
    }
}

/// A list's elements that can be ones of that member, as much of it as is read. One at a time is looked at, so
/// that what can be none takes no memory.
fn elements(member: &Member, list: Json<'_>) -> String {
    let mut left = MOST_OF_A_MEMBER;
    let mut text = String::from("[");
    for element in List::of(list) {
        let Some(rest) = left.checked_sub(element.raw().len() + 1) else { break };
        left = rest;
        // Half a UTF-16 pair is all that well-formed JSON can fail by here: then this one cannot be shown.
        let read = serde_json::from_str(element.raw()).ok();
        if let Some(fitting) = read.and_then(|element: Value| member.element(&element)) {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&fitting.to_string());
        }
    }
    text.push(']');
    text
}

/// A piece of evidence in the making.
pub struct Piece<'d> {
    facts: Option<&'d mut Facts>,
    at: Time,
}

impl Piece<'_> {
    /// Says a member that is a text.
    pub fn text(&mut self, member: MemberId, text: Option<impl AsRef<str>>) -> &mut Self {
        if let Some(facts) = &mut self.facts {
            facts.note_text(member, self.at, text.as_ref().map(AsRef::as_ref));
        }
        self
    }

    /// Says a member that is a time.
    pub fn time(&mut self, member: MemberId, time: Option<Time>) -> &mut Self {
        if let Some(facts) = &mut self.facts {
            facts.note_time(member, self.at, time);
        }
        self
    }

    /// Says a member that is a number.
    pub fn number(&mut self, member: MemberId, number: Option<i64>) -> &mut Self {
        if let Some(facts) = &mut self.facts {
            facts.note_plain(member, self.at, number);
        }
        self
    }

    /// Says a member as a source has it that writes it as the API does; `null` and an empty text say
    /// nothing.
    pub fn member(&mut self, member: MemberId, value: Option<Json<'_>>) -> &mut Self {
        let value = value.filter(|value| !matches!(value.raw(), "null" | "\"\""));
        if let (Some(facts), Some(value)) = (&mut self.facts, value) {
            note(facts, &evidence::SHAPE, member, value, self.at);
        }
        self
    }

    /// Says which file, by a path or a name alone: evidence of Defender's has no MD5.
    pub fn file(&mut self, hashes: &Hashes, path: Option<&str>) -> &mut Self {
        self.text(evidence::SHA1, hashes.sha1.map(|hash| hash.to_string()));
        self.text(evidence::SHA256, hashes.sha256.map(|hash| hash.to_string()));
        self.text(evidence::FILE_NAME, path.map(last_part));
        self.text(evidence::FILE_PATH, path.filter(|path| is_path(path)))
    }

    /// Says which account: `DOMAIN\name`, or a name.
    pub fn account(&mut self, account: Option<&str>) -> &mut Self {
        let (domain, name) = match account.map(|account| (account.split_once('\\'), account)) {
            Some((Some((domain, name)), _)) => (Some(domain), Some(name)),
            Some((None, name)) => (None, Some(name)),
            None => (None, None),
        };
        self.text(evidence::DOMAIN_NAME, domain).text(evidence::ACCOUNT_NAME, name)
    }
}

/// The id of an alert that its vendor knows as `id`: that itself, or `KIND-` and its SHA-1 where it cannot be
/// one here (one with a `/`, such as Elastic Defend's, would end a URL's part).
pub fn known_as<'i>(kind: &str, id: &'i str) -> Cow<'i, str> {
    let id = id.trim();
    if AlertId::can_be(id) { id.into() } else { format!("{kind}-{}", sha1(&[id])).into() }
}

/// The SHA-1 of some texts with NUL between them, in hexadecimal.
pub fn sha1(texts: &[&str]) -> String {
    Sha1::digest(texts.join("\0")).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Defender's severities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing bad by itself.
    Informational,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// The highest there is.
    High,
}

impl Severity {
    /// What a vendor's word means, in any case; `None` for a word that says nothing.
    pub fn of_word(word: &str) -> Option<Severity> {
        Some(match word.trim().to_ascii_lowercase().as_str() {
            "informational" | "information" | "info" | "none" => Severity::Informational,
            "low" | "minor" => Severity::Low,
            "medium" | "moderate" | "med" | "major" => Severity::Medium,
            "high" | "critical" | "crit" | "fatal" | "severe" => Severity::High,
            _ => return None,
        })
    }

    /// What a number means on a scale of which `low`, `medium` and `high` are the least of each.
    pub fn of_number(number: i64, low: i64, medium: i64, high: i64) -> Severity {
        if number >= high {
            Severity::High
        } else if number >= medium {
            Severity::Medium
        } else if number >= low {
            Severity::Low
        } else {
            Severity::Informational
        }
    }

    /// The API's word.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Informational => "Informational",
            Severity::Low => "Low",
            Severity::Medium => "Medium",
            Severity::High => "High",
        }
    }
}

/// The category that Defender has for a tactic of MITRE ATT&CK, however it is written: `Defense Evasion`,
/// `defense-evasion`, `defense_evasion` and `DefenseEvasion` are one.
pub fn category_of_tactic(tactic: &str) -> String {
    let words = tactic.split([' ', '-', '_']).filter(|word| !word.is_empty());
    words
        .map(|word| {
            let mut characters = word.chars();
            let first = characters.next().map(|first| first.to_ascii_uppercase());
            first.into_iter().chain(characters).collect::<String>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tactic_is_one_category_however_it_is_written() {
        for tactic in ["Defense Evasion", "defense-evasion", "defense_evasion", "DefenseEvasion"] {
            assert_eq!(category_of_tactic(tactic), "DefenseEvasion");
        }
        assert_eq!(category_of_tactic("Command and Control"), "CommandAndControl");
    }

    #[test]
    fn what_an_alert_says_of_its_machine_is_newer_than_evidence_elsewhere() {
        let time = |second| Some(Time::from_unix_seconds(second));
        let mut draft = Draft::new("a1", time(10)).unwrap();
        draft.machine(&Machine::named("ws-1").unwrap());
        draft.text(alert::TITLE, Some("t"));
        let mut several = Several::default();
        for second in [5, 20] {
            let machine = Machine::named("ws-2");
            let mut piece = draft.evidence_on("Ip", machine.as_ref());
            piece.time(evidence::EVIDENCE_CREATION_TIME, time(second));
            piece.text(evidence::IP_ADDRESS, Some("203.0.113.1"));
        }
        let same = Machine::named("WS-1");
        draft.evidence_on("Ip", same.as_ref()).text(evidence::IP_ADDRESS, Some("203.0.113.2"));
        draft.evidence_on("Url", Machine::named("ws-3").as_ref());
        draft.finish_into(&mut several).unwrap();
        let crate::format::Decoded::Records(records) = several.finish("") else { panic!("no records") };
        let [Record::Alert(alert), Record::Row(_), Record::Row(_)] = records.as_slice() else {
            panic!("{records:?}")
        };
        assert_eq!(alert.evidence.len(), 1);
        assert!(alert.facts.at(alert::MACHINE_ID) > time(20));
        assert_eq!(alert.facts.at(alert::TITLE), time(10));
    }

    #[test]
    fn evidence_that_says_nothing_is_none() {
        let mut draft = Draft::new("a1", None).unwrap();
        draft.evidence("File").file(&Hashes::default(), Some("C:\\a\\b.exe"));
        draft.evidence("Ip").text(evidence::IP_ADDRESS, None::<&str>);
        let Record::Alert(alert) = draft.finish() else { panic!("no alert") };
        assert_eq!(alert.evidence.len(), 1);
        assert_eq!(alert.evidence[0].0.text(evidence::FILE_NAME).as_deref(), Some("b.exe"));
    }
}
