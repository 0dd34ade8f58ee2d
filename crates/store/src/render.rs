//! Entities as the API writes them: the inside of a JSON object, every declared member in wire
//! order, `null` where no source said anything.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use pintle_model::{Fact, Hashes, MachineId, MemberId, TenantId, Time, shapes};
use serde_json::Value;

use crate::Span;
use crate::entity::Entity;

/// A machine without a signal for longer is `Inactive`, as the API documents.
const INACTIVE_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

/// A machine's members with room for its health, which the clock decides unless the source says.
pub(crate) struct RenderedMachine {
    before_health: Box<str>,
    /// What the source says: anything but the two states that are a matter of time.
    given_health: Option<Box<str>>,
    after_health: Box<str>,
}

impl RenderedMachine {
    pub(crate) fn write(&self, last_seen: Option<Time>, now: Time, out: &mut Vec<u8>) {
        out.extend_from_slice(self.before_health.as_bytes());
        let health = match (&self.given_health, last_seen) {
            (Some(given), _) => given,
            (None, Some(last)) if last >= now - INACTIVE_AFTER => "\"Active\"",
            (None, Some(_)) => "\"Inactive\"",
            (None, None) => "\"Unknown\"",
        };
        out.extend_from_slice(health.as_bytes());
        out.extend_from_slice(self.after_health.as_bytes());
    }
}

/// Renders a machine. Members that the API never leaves `null` get the value of a machine nobody
/// said anything about: not excluded, not merged, in no group, onboarded (it reports here).
pub(crate) fn render_machine(id: &MachineId, entity: &Entity) -> RenderedMachine {
    use shapes::machine as m;
    const HEALTH_GOES_HERE: &str = "\u{0}";
    let mut text = String::with_capacity(1024);
    let addresses = ip_addresses(entity);
    entity.facts.write_members(&m::SHAPE, &mut text, |member| {
        let known = entity.facts.json(member).filter(|json| *json != "null");
        match member {
            m::ID => Some(quoted(id.as_str())),
            m::FIRST_SEEN => Some(time_or_null(entity.span.map(|span| span.first))),
            m::LAST_SEEN => Some(time_or_null(entity.span.map(|span| span.last))),
            m::HEALTH_STATUS => Some(HEALTH_GOES_HERE.into()),
            m::IS_POTENTIAL_DUPLICATION | m::IS_EXCLUDED if known.is_none() => Some("false".into()),
            // 0 is "in no group"; the number of a group that a source only names is unknown.
            m::RBAC_GROUP_ID if known.is_none() && is_in_no_group(entity) => Some("0".into()),
            m::MACHINE_TAGS if known.is_none() => Some("[]".into()),
            m::ONBOARDING_STATUS if known.is_none() => Some("\"Onboarded\"".into()),
            m::IP_ADDRESSES => Some(addresses.list.clone().into()),
            m::LAST_IP_ADDRESS if known.is_none() => addresses.last.as_deref().map(quoted),
            _ => None,
        }
    });
    let (before, after) = text.split_once(HEALTH_GOES_HERE).unwrap_or((&text, ""));
    let given = entity.facts.json(m::HEALTH_STATUS);
    RenderedMachine {
        before_health: before.into(),
        given_health: given
            .filter(|given| !matches!(*given, "null" | "\"Active\"" | "\"Inactive\""))
            .map(Into::into),
        after_health: after.into(),
    }
}

/// Defender writes the name of the default group for a machine in none.
fn is_in_no_group(machine: &Entity) -> bool {
    let group = machine.facts.text(shapes::machine::RBAC_GROUP_NAME);
    group.is_none_or(|group| group == "UnassignedGroup")
}

struct Addresses {
    list: String,
    last: Option<String>,
}

/// All adapters' newest addresses, and the first address of the adapter heard of last.
fn ip_addresses(entity: &Entity) -> Addresses {
    let mut all = Vec::new();
    let mut newest: Option<(Time, String)> = None;
    for adapter in entity.parts.values() {
        let Ok(Value::Array(entries)) = serde_json::from_str(&adapter.json) else { continue };
        let up = entries.iter().find(|entry| {
            entry.get("operationalStatus") == Some(&"Up".into())
                && entry.get("type") != Some(&"SoftwareLoopback".into())
        });
        if let Some(address) = up.and_then(|entry| entry.get("ipAddress")?.as_str())
            && newest.as_ref().is_none_or(|(at, _)| adapter.at > *at)
        {
            newest = Some((adapter.at, address.to_owned()));
        }
        all.extend(entries);
    }
    Addresses { list: Value::Array(all).to_string(), last: newest.map(|(_, address)| address) }
}

/// Renders an alert. `evidence` is `[]` unless asked for, as in the API's lists.
pub(crate) fn render_alert(of: TenantId, id: &str, entity: &Entity, with_evidence: bool) -> String {
    use shapes::alert as a;
    let mut text = String::with_capacity(2048);
    entity.facts.write_members(&a::SHAPE, &mut text, |member| {
        let known = entity.facts.json(member).filter(|json| *json != "null");
        let from_span = |time: fn(&Span) -> Time| Some(time_or_null(entity.span.as_ref().map(time)));
        match member {
            a::ID => Some(quoted(id)),
            a::EVIDENCE if with_evidence => Some(evidence_list(entity).into()),
            a::EVIDENCE => Some("[]".into()),
            _ if known.is_some() => None,
            a::SEVERITY => Some("\"UnSpecified\"".into()),
            a::STATUS => Some("\"Unknown\"".into()),
            a::TITLE => Some("\"\"".into()),
            a::AAD_TENANT_ID => Some(format!("\"{of}\"").into()),
            a::ALERT_CREATION_TIME | a::FIRST_EVENT_TIME => from_span(|span| span.first),
            a::LAST_EVENT_TIME | a::LAST_UPDATE_TIME => from_span(|span| span.last),
            a::MITRE_TECHNIQUES | a::LOGGED_ON_USERS | a::COMMENTS | a::DOMAINS => Some("[]".into()),
            _ => None,
        }
    });
    text
}

/// The evidence in the order in which it was attached, then by its bytes.
fn evidence_list(entity: &Entity) -> String {
    let created = |json: &str| {
        let evidence: Value = serde_json::from_str(json).ok()?;
        Time::parse(evidence.get("evidenceCreationTime")?.as_str()?)
    };
    let mut evidence: Vec<_> = entity.parts.values().map(|fact| (created(&fact.json), &*fact.json)).collect();
    evidence.sort_unstable();
    let objects: Vec<&str> = evidence.into_iter().map(|(_, json)| json).collect();
    format!("[{}]", objects.join(","))
}

/// The files that an alert's evidence names, once each, in the order of their hashes.
pub(crate) fn evidence_files(alert: &Entity) -> BTreeSet<Hashes> {
    let hashes = |fact: &Fact| {
        let evidence: Value = serde_json::from_str(&fact.json).ok()?;
        let text = |name: &str| evidence.get(name).and_then(Value::as_str);
        Some(Hashes::read(text("sha1"), text("sha256"), None))
    };
    alert.parts.values().filter_map(hashes).filter(|hashes| !hashes.is_empty()).collect()
}

/// Renders a file: the hashes that are certain, how many machines of the tenant have it, when
/// they did, and what sensors say of its content.
pub(crate) fn render_file(hashes: &Hashes, machines: usize, seen: Option<Span>, entity: &Entity) -> String {
    use shapes::file as f;
    let hash =
        |hash: Option<String>| Some(hash.map_or("null".into(), |hash| Cow::Owned(format!("\"{hash}\""))));
    let mut text = String::with_capacity(768);
    entity.facts.write_members(&f::SHAPE, &mut text, |member: MemberId| match member {
        f::SHA1 => hash(hashes.sha1.map(|hash| hash.to_string())),
        f::SHA256 => hash(hashes.sha256.map(|hash| hash.to_string())),
        f::MD5 => hash(hashes.md5.map(|hash| hash.to_string())),
        f::GLOBAL_PREVALENCE => Some(machines.to_string().into()),
        f::GLOBAL_FIRST_OBSERVED => Some(time_or_null(seen.map(|span| span.first))),
        f::GLOBAL_LAST_OBSERVED => Some(time_or_null(seen.map(|span| span.last))),
        _ => None,
    });
    text
}

fn quoted<'a>(text: &str) -> Cow<'a, str> {
    Value::from(text).to_string().into()
}

fn time_or_null<'a>(time: Option<Time>) -> Cow<'a, str> {
    time.map_or("null".into(), |time| format!("\"{time}\"").into())
}
