//! Entities as the API writes them: the inside of a JSON object, every declared member in wire
//! order, `null` where no source said anything.

pub(crate) mod user;

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;
use std::time::Duration;

use pintle_model::{Fact, Hashes, MachineId, MemberId, TenantId, Time, shapes};
use serde_json::Value;

use crate::Span;
use crate::device_group::GroupLabel;
use crate::entity::Entity;

/// A machine without a signal for longer is `Inactive`, as the API documents.
const INACTIVE_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);
const ACTIVE: &str = "\"Active\"";
const INACTIVE: &str = "\"Inactive\"";

/// A machine's JSON object as a list has it. Most of a list is then one copy a machine: only the
/// health of one that is silent for long is put in on the way, because the clock decides it, and a
/// machine that was seen again gets its new time put in here.
pub(crate) struct RenderedMachine {
    /// `,{…}`: with the comma that parts it from the machine before.
    text: Vec<u8>,
    /// Where the time of its last event stands in it.
    last_seen: Range<usize>,
    /// Where the state stands that the machine has while it is active.
    active: Range<usize>,
    /// Since when nothing was heard of it; `None`: its state is no matter of time.
    silent_since: Option<Time>,
}

impl RenderedMachine {
    /// Renders a machine. It shows this group, else what telemetry says of one.
    pub(crate) fn new(id: &MachineId, entity: &Entity, group: Option<&GroupLabel>) -> RenderedMachine {
        use shapes::machine as m;
        let given = entity.facts.json(m::HEALTH_STATUS).filter(|json| !is_matter_of_time(json));
        let last = entity.span.map(|span| span.last);
        let health = given.unwrap_or(if last.is_some() { ACTIVE } else { "\"Unknown\"" });
        let [before, between, after] = members(id, entity, group);
        let mut text = Vec::with_capacity(before.len() + between.len() + after.len() + 64);
        let mut put = |piece: &str| {
            let start = text.len();
            text.extend_from_slice(piece.as_bytes());
            start..text.len()
        };
        put(",{");
        put(&before);
        let last_seen = put(&time_or_null(last));
        put(&between);
        let active = put(health);
        put(&after);
        put("}");
        RenderedMachine { text, last_seen, active, silent_since: last.filter(|_| given.is_none()) }
    }

    /// Puts in when it was last seen, which is what nearly all telemetry changes of a machine.
    pub(crate) fn set_last_seen(&mut self, last: Time) {
        let text = time_or_null(Some(last));
        let old = self.last_seen.clone();
        self.last_seen.end = old.start + text.len();
        for place in [&mut self.active.start, &mut self.active.end] {
            *place = *place + text.len() - old.len();
        }
        self.text.splice(old, text.bytes());
        self.silent_since = self.silent_since.map(|_| last);
    }

    /// Until when it is active; `None`: its state is no matter of time.
    pub(crate) fn active_until(&self) -> Option<Time> {
        self.silent_since.map(|last| last + INACTIVE_AFTER)
    }

    /// When it was last seen, as JSON.
    pub(crate) fn last_seen(&self) -> &str {
        self.piece(&self.last_seen)
    }

    /// Its state now, as JSON.
    pub(crate) fn health(&self, now: Time) -> &str {
        let is_active = self.active_until().is_none_or(|until| now <= until);
        if is_active { self.piece(&self.active) } else { INACTIVE }
    }

    fn piece(&self, range: &Range<usize>) -> &str {
        // It was written as text.
        let piece = self.text.get(range.clone()).and_then(|piece| str::from_utf8(piece).ok());
        piece.unwrap_or("null")
    }

    /// Appends `,{…}`.
    pub(crate) fn write(&self, now: Time, out: &mut Vec<u8>) {
        if self.active_until().is_none_or(|until| now <= until) {
            out.extend_from_slice(&self.text);
            return;
        }
        out.extend_from_slice(self.text.get(..self.active.start).unwrap_or_default());
        out.extend_from_slice(INACTIVE.as_bytes());
        out.extend_from_slice(self.text.get(self.active.end..).unwrap_or_default());
    }
}

/// Whether a state is one of those that follow from when the machine was last seen.
fn is_matter_of_time(health: &str) -> bool {
    matches!(health, "null" | ACTIVE | INACTIVE)
}

/// A machine's members before the time of its last event, from there to its health, and after it.
/// Those that the API never leaves `null` get the value of a machine nobody said anything about:
/// not excluded, not merged, in no group, onboarded (it reports here).
fn members(id: &MachineId, entity: &Entity, group: Option<&GroupLabel>) -> [String; 3] {
    use shapes::machine as m;
    const SOMETHING_GOES_HERE: &str = "\u{0}";
    let mut text = String::with_capacity(1024);
    let addresses = ip_addresses(entity);
    entity.facts.write_members(&m::SHAPE, &mut text, |member| {
        let known = entity.facts.json(member).filter(|json| *json != "null");
        match member {
            m::ID => Some(quoted(id.as_str())),
            m::FIRST_SEEN => Some(time_or_null(entity.span.map(|span| span.first))),
            m::LAST_SEEN | m::HEALTH_STATUS => Some(SOMETHING_GOES_HERE.into()),
            m::IS_POTENTIAL_DUPLICATION | m::IS_EXCLUDED if known.is_none() => Some("false".into()),
            m::RBAC_GROUP_ID => Some(match (group, entity.group_number()) {
                (Some(group), _) => group.id.to_string().into(),
                (None, Some(number)) => number.into(),
                // 0 is "in no group"; the number of a group that a source only names is unknown.
                (None, None) => if is_in_no_group(entity) { "0" } else { "null" }.into(),
            }),
            m::RBAC_GROUP_NAME => group.map(|group| quoted(&group.name)),
            m::MACHINE_TAGS => Some(Value::from_iter(entity.tags().shown()).to_string().into()),
            m::ONBOARDING_STATUS if known.is_none() => Some("\"Onboarded\"".into()),
            m::IP_ADDRESSES => Some(addresses.list.clone().into()),
            m::LAST_IP_ADDRESS if known.is_none() => addresses.last.as_deref().map(quoted),
            _ => entity.shown(member).map(Cow::Borrowed),
        }
    });
    // JSON has no such character but as an escape.
    let mut pieces = text.splitn(3, SOMETHING_GOES_HERE).map(str::to_owned);
    std::array::from_fn(|_| pieces.next().unwrap_or_default())
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

/// All adapters' newest addresses, and the first address of the adapter heard of last. What was told of all
/// adapters at once stands where nothing newer was told of one of them.
fn ip_addresses(entity: &Entity) -> Addresses {
    let reported = entity.addresses();
    let is_newer = |adapter: &&Fact| reported.is_none_or(|reported| adapter.at > reported.at);
    // What was said to be the last address, or that there was none, goes before what follows from the list.
    let mut newest = entity.last_address().map(|last| (last.at, serde_json::from_str(&last.json).ok()));
    let mut read = |adapter: &Fact| {
        let entries: Vec<Value> = serde_json::from_str(&adapter.json).unwrap_or_default();
        let up = entries.iter().find(|entry| {
            entry.get("operationalStatus") == Some(&"Up".into())
                && entry.get("type") != Some(&"SoftwareLoopback".into())
        });
        if let Some(address) = up.and_then(|entry| entry.get("ipAddress")?.as_str())
            && newest.as_ref().is_none_or(|(at, _)| adapter.at > *at)
        {
            newest = Some((adapter.at, Some(address.to_owned())));
        }
        entries
    };
    let mut all = reported.map(&mut read).unwrap_or_default();
    let newer: Vec<Value> = entity.adapters().filter(is_newer).flat_map(read).collect();
    if !all.is_empty() {
        let told: HashSet<&str> = newer.iter().flat_map(adapter_and_address).collect();
        all.retain(|entry| !adapter_and_address(entry).any(|known| told.contains(known)));
    }
    all.extend(newer);
    Addresses { list: Value::Array(all).to_string(), last: newest.and_then(|(_, address)| address) }
}

/// By what an entry is known again in a newer report.
fn adapter_and_address(entry: &Value) -> impl Iterator<Item = &str> {
    let texts = ["macAddress", "ipAddress"].into_iter().filter_map(|member| entry.get(member)?.as_str());
    texts.filter(|text| !text.is_empty())
}

/// Which group an alert shows.
#[derive(Clone, Copy, Default)]
pub(crate) enum AlertGroup<'g> {
    /// The one that telemetry names: the tenant has no device groups.
    #[default]
    AsTold,
    /// That of its machine; `None`: it is on none.
    Is(Option<&'g GroupLabel>),
}

/// What an alert shows of the machine that it is on.
#[derive(Clone, Default)]
pub(crate) struct AlertMachine<'g> {
    pub(crate) group: AlertGroup<'g>,
    /// The id by which the machine goes; `None`: the one that telemetry gives.
    pub(crate) id: Option<MachineId>,
}

/// What an alert shows only to who asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Its evidence instead of `[]`, as in the API's lists.
    pub evidence: bool,
    /// `sequence`, which the API's alert has not.
    pub sequence: bool,
}

/// Renders an alert.
pub(crate) fn render_alert(
    of: TenantId,
    id: &str,
    entity: &Entity,
    machine: &AlertMachine<'_>,
    extras: Extras,
) -> String {
    use shapes::alert as a;
    let mut text = String::with_capacity(2048);
    entity.facts.write_members(&a::SHAPE, &mut text, |member| {
        let known = entity.shown(member).filter(|json| *json != "null");
        let from_span = |time: fn(&Span) -> Time| Some(time_or_null(entity.span.as_ref().map(time)));
        match member {
            a::ID => Some(quoted(id)),
            a::EVIDENCE if extras.evidence => Some(evidence_list(entity).into()),
            a::EVIDENCE => Some("[]".into()),
            a::MACHINE_ID if let Some(id) = &machine.id => Some(quoted(id.as_str())),
            a::RBAC_GROUP_NAME => match machine.group {
                AlertGroup::AsTold => None,
                AlertGroup::Is(group) => Some(group.map_or("null".into(), |group| quoted(&group.name))),
            },
            a::LAST_UPDATE_TIME => Some(time_or_null(entity.last_update())),
            a::COMMENTS if let Some(comments) = entity.comments() => Some(comments.into()),
            _ if known.is_some() => known.map(Cow::Borrowed),
            a::SEVERITY => Some("\"UnSpecified\"".into()),
            a::STATUS => Some("\"Unknown\"".into()),
            a::TITLE => Some("\"\"".into()),
            a::AAD_TENANT_ID => Some(format!("\"{of}\"").into()),
            a::ALERT_CREATION_TIME | a::FIRST_EVENT_TIME => from_span(|span| span.first),
            a::LAST_EVENT_TIME => from_span(|span| span.last),
            a::MITRE_TECHNIQUES | a::LOGGED_ON_USERS | a::COMMENTS | a::DOMAINS => Some("[]".into()),
            // Also a `null` of people: that an alert is open again stands above when it was resolved.
            _ => entity.shown(member).map(Cow::Borrowed),
        }
    });
    if extras.sequence {
        text.push_str(&format!(",\"sequence\":{}", entity.sequence()));
    }
    text
}

/// The evidence in the order in which it was attached, then by its bytes.
fn evidence_list(entity: &Entity) -> String {
    let created = |json: &str| {
        let evidence: Value = serde_json::from_str(json).ok()?;
        Time::parse(evidence.get("evidenceCreationTime")?.as_str()?)
    };
    let mut evidence: Vec<_> = entity.told().map(|(_, fact)| (created(&fact.json), &*fact.json)).collect();
    evidence.sort_unstable();
    let objects: Vec<&str> = evidence.into_iter().map(|(_, json)| json).collect();
    format!("[{}]", objects.join(","))
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
