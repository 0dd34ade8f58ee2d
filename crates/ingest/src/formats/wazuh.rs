//! Wazuh's documents: alerts (`alerts.json`, or its index), everything that came in (`archives.json`), and
//! the Windows events that its agents send. An alert is also the event that it is about.

mod events;
mod windows;

use std::borrow::Cow;
use std::net::IpAddr;

use pintle_model::shapes::alert;
use pintle_model::{MachineId, Record, Row, Time};

use crate::alert::{Draft, Severity, THIRD_PARTY, category_of_tactic};
use crate::format::{Decoded, Format, Problem, Several};
use crate::json::{Json, Object};
use crate::machine::Machine;
use crate::time;

pub static FORMAT: Format = Format {
    name: "wazuh",
    description: "Wazuh's alerts and archives, from its files or its index, and its agents' Windows events",
    recognises: |object| {
        let is_document = object.has("decoder") && (object.has("manager") || object.has("rule"));
        let win = || object.get("win").and_then(Json::object);
        is_document && (object.has("agent") || object.has("agentless"))
            || win().is_some_and(|win| win.has("system"))
    },
    decode,
};

/// More events of one alert are not its evidence: an alert keeps as many pieces.
const MOST_EVIDENCE: usize = 1_000;

fn decode(record: &[u8]) -> Result<Decoded, Problem> {
    let document = Document(Object::parse(record)?);
    if let Some(win) = document.0.get("win") {
        return windows::event(win).ok_or("win.system is no object")?.decode();
    }
    let machine = document.machine();
    if machine.is_none() && !document.is_alert() {
        return Ok(Decoded::Nothing("event without a machine"));
    }
    // An alert on no machine names files all the same; nothing happened anywhere then.
    let somewhere = machine.clone().unwrap_or(Machine { id: MachineId::derived("wazuh", ""), name: None });
    let mut events = Several::default();
    events::note(&document, &somewhere, &mut events)?;
    let events = events.finish("document of nothing");
    if !document.is_alert() {
        return Ok(events);
    }
    let (mut records, problem) = events.parts();
    let alert = document.alert(machine.as_ref(), &records)?;
    if machine.is_none() {
        records.clear();
    }
    records.push(alert);
    Ok(match problem {
        Some(problem) => Decoded::Partly(records, problem),
        None => Decoded::Records(records),
    })
}

/// A document with the members that all kinds of them have.
struct Document<'a>(Object<'a>);

impl<'a> Document<'a> {
    /// The value at the end of a path of members.
    fn at(&self, path: &[&str]) -> Option<Json<'a>> {
        let (first, rest) = path.split_first()?;
        self.0.get(first)?.at(rest)
    }

    /// A text there that is not empty.
    fn text(&self, path: &[&str]) -> Option<Cow<'a, str>> {
        self.at(path).and_then(Json::text).filter(|text| !text.is_empty())
    }

    /// When Wazuh's manager had the event; `@timestamp` is the index's copy. An id begins with the second.
    fn time(&self) -> Option<Time> {
        let id = || self.text(&["id"])?.split('.').next().and_then(time::read);
        let read = |name| self.text(&[name]).and_then(|text| time::read(&text));
        read("timestamp").or_else(|| read("@timestamp")).or_else(id)
    }

    /// Whether it tells of an alert: level 0 is the rules' word for what is none, and the archives have also
    /// what no rule matched.
    fn is_alert(&self) -> bool {
        let level = self.text(&["rule", "level"]);
        level.is_some_and(|level| level != "0") && self.text(&["id"]).is_some()
    }

    /// The endpoint. Where a manager watches it without an agent, it is the host that is named; where it
    /// only collects what others send (forwarded Windows events, syslog), it is who wrote the event. Else
    /// the manager's id of its agent, which numbers them from 001 on: 000 is the manager itself.
    fn machine(&self) -> Option<Machine<'a>> {
        if let Some(host) = self.text(&["agentless", "host"]) {
            return Machine::named(&host);
        }
        // Filebeat may have put itself in the place of the agent.
        let is_shipper = self.at(&["agent", "ephemeral_id"]).is_some();
        let agent = |name| self.text(&["agent", name]).filter(|_| !is_shipper);
        let (id, name) = (agent("id"), agent("name"));
        let computer = windows::system(self).and_then(windows::computer);
        if let Some(computer) = &computer
            && !name.as_ref().is_some_and(|name| is_same_computer(name, computer))
        {
            return Machine::named(computer);
        }
        if id.as_deref().is_none_or(|id| id == "000")
            && let Some(sender) = self.syslog_sender()
        {
            return Machine::named(&sender);
        }
        let manager = self.text(&["manager", "name"]);
        let id = manager.zip(id).map(|(manager, id)| format!("{manager}\0{id}"));
        Machine::identified("wazuh", id.as_deref(), name.as_deref())
    }

    /// Who sent a line of syslog to the manager, of which the location is then an address.
    fn syslog_sender(&self) -> Option<Cow<'a, str>> {
        let location = self.text(&["location"])?;
        let address: IpAddr = location.parse().ok()?;
        (!address.is_loopback()).then(|| self.text(&["predecoder", "hostname"]).unwrap_or(location))
    }

    /// The alert, with its events' files, users and addresses as evidence.
    fn alert(&self, machine: Option<&Machine<'_>>, events: &[Record]) -> Result<Record, Problem> {
        let at = self.time();
        let mut draft = Draft::new(&self.text(&["id"]).unwrap_or_default(), at)?;
        let rows = events.iter().filter_map(|event| match event {
            Record::Row(row) => Some(row),
            Record::Alert(_) | Record::Machine(_) => None,
        });
        let rows: Vec<&Row> = rows.filter(|row| !events::is_of_the_past(row)).take(MOST_EVIDENCE).collect();
        let happened = rows.iter().filter_map(|row| events::time(row));
        draft.times(happened.clone().min().or(at), happened.max().or(at), at);
        draft.text(alert::TITLE, self.text(&["rule", "description"]));
        let message = self.text(&["data", "win", "system", "message"]);
        draft.text(alert::DESCRIPTION, message.or_else(|| self.text(&["full_log"])));
        draft.text(alert::DETECTION_SOURCE, Some(THIRD_PARTY));
        draft.text(alert::DETECTOR_ID, self.text(&["rule", "id"]).map(|id| format!("wazuh:{id}")));
        draft.severity(self.text(&["rule", "level"]).and_then(|level| severity(&level)));
        let tactic = self.texts(&["rule", "mitre", "tactic"]).into_iter().next();
        draft.text(alert::CATEGORY, tactic.map(|tactic| category_of_tactic(&tactic)));
        draft.texts(alert::MITRE_TECHNIQUES, &self.texts(&["rule", "mitre", "id"]));
        // Of Defender's antivirus, which writes to the Windows log.
        draft.text(alert::THREAT_NAME, self.text(&["data", "win", "eventdata", "threat Name"]));
        if let Some(machine) = machine {
            draft.machine(machine);
        }
        rows.into_iter().for_each(|row| draft.evidence_of(row));
        Ok(draft.finish())
    }

    /// The texts in a list, or the one that is none.
    fn texts(&self, path: &[&str]) -> Vec<Cow<'a, str>> {
        let elements = self.at(path).map(Json::elements).unwrap_or_default();
        elements.into_iter().filter_map(Json::text).filter(|text| !text.is_empty()).collect()
    }
}

/// What a rule's level means: the bands of Wazuh's dashboard, of which the highest are both `High` here;
/// of the lowest, notifications and what is allowed (up to 3) are by their description no alarm.
fn severity(level: &str) -> Option<Severity> {
    let level = level.trim().parse().ok()?;
    Some(Severity::of_number(level, 4, 7, 12))
}

/// Whether an event's computer is the agent's own: the same name, or one of them without the domain.
fn is_same_computer(agent: &str, computer: &str) -> bool {
    let (agent, computer) = (agent.trim().to_lowercase(), computer.trim().to_lowercase());
    let is_short_of =
        |short: &str, full: &str| full.strip_prefix(short).is_some_and(|rest| rest.starts_with('.'));
    agent == computer
        || (!agent.contains('.') && is_short_of(&agent, &computer))
        || (!computer.contains('.') && is_short_of(&computer, &agent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_never_who_only_passed_it_on() {
        let of = |json: &str| Document(Object::read(json).unwrap()).machine().map(|machine| machine.id);
        let agent = |id: &str| Machine::identified("wazuh", Some(&format!("m\0{id}")), None).map(|m| m.id);
        let named = |name: &str| Machine::named(name).map(|m| m.id);
        for (document, expected) in [
            (r#"{"manager":{"name":"m"},"agent":{"id":"007","name":"ws-7"}}"#, agent("007")),
            (
                r#"{"manager":{"name":"m"},"agent":{"id":"000","name":"m"},"location":"/var/log/syslog"}"#,
                agent("000"),
            ),
            // Watched, or sending, without an agent.
            (
                r#"{"manager":{"name":"m"},"agent":{"id":"000","name":"m"},"agentless":{"host":"192.0.2.9"}}"#,
                named("192.0.2.9"),
            ),
            (
                r#"{"manager":{"name":"m"},"agent":{"id":"000","name":"m"},"location":"192.0.2.1"}"#,
                named("192.0.2.1"),
            ),
            (
                r#"{"manager":{"name":"m"},"agent":{"id":"000","name":"m"},"location":"192.0.2.1","predecoder":{"hostname":"fw-1"}}"#,
                named("fw-1"),
            ),
            (
                r#"{"manager":{"name":"m"},"agent":{"id":"000","name":"m"},"location":"127.0.0.1","predecoder":{"hostname":"fw-1"}}"#,
                agent("000"),
            ),
            // Windows events: the agent's own, and forwarded ones.
            (
                r#"{"manager":{"name":"m"},"agent":{"id":"007","name":"ws-7"},"data":{"win":{"system":{"computer":"WS-7.corp.example"}}}}"#,
                agent("007"),
            ),
            (
                r#"{"manager":{"name":"m"},"agent":{"id":"007","name":"ws-7.a.example"},"data":{"win":{"system":{"computer":"WS-7.b.example"}}}}"#,
                named("ws-7.b.example"),
            ),
            (
                r#"{"manager":{"name":"m"},"agent":{"id":"007","name":"ws-7"},"data":{"win":{"system":{"computer":"WS-70"}}}}"#,
                named("ws-70"),
            ),
            // Nobody knows the agent's number, or there is none.
            (r#"{"agent":{"id":"007","name":"ws-7"}}"#, named("ws-7")),
            (r#"{"manager":{"name":"m"},"agent":{"id":"9","name":"m","ephemeral_id":"1"}}"#, None),
            (r#"{"manager":{"name":"m"}}"#, None),
        ] {
            assert_eq!(of(document), expected, "{document}");
        }
    }

    #[test]
    fn an_agents_number_is_its_managers() {
        let of = |json: &str| Document(Object::read(json).unwrap()).machine().map(|machine| machine.id);
        let (one, other) = (
            of(r#"{"manager":{"name":"m"},"agent":{"id":"007","name":"a"}}"#),
            of(r#"{"manager":{"name":"n"},"agent":{"id":"007","name":"a"}}"#),
        );
        assert_ne!(one, other);
        assert_eq!(one, of(r#"{"manager":{"name":"m"},"agent":{"id":"007","name":"renamed"}}"#));
    }

    #[test]
    fn a_level_is_a_severity() {
        let is = |level: &str| severity(level).map(Severity::name);
        for (levels, expected) in [
            (["1", "3"], "Informational"),
            (["4", "6"], "Low"),
            (["7", "11"], "Medium"),
            (["12", "16"], "High"),
        ] {
            assert_eq!(levels.map(is), [Some(expected); 2]);
        }
        assert_eq!(is("high"), None);
    }
}
