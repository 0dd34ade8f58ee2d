//! Which machines of a tenant are one, by an administrator's rules: ids that are one because somebody says
//! so, and machines of different kinds of source that have one name. What a rule looks at of a machine is
//! brought to one form here once; who belongs with whom is left to [`crate::directory`].

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use pintle_model::{MachineId, MemberId, TenantId, shapes};
use serde::{Deserialize, Serialize};

use crate::entity::Entity;

/// The rules of all tenants that have any.
pub(crate) type RulesByTenant = HashMap<TenantId, Arc<MachineRules>>;

/// By what machines are one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MachineRule {
    /// These ids are one machine.
    Machines(SameMachines),
    /// Machines that one name stands for are one.
    Names(SameNames),
}

/// Ids that are one machine; those that are not known (yet) change nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SameMachines {
    /// Two or more.
    pub ids: Vec<MachineId>,
    /// The one of them by which the machine goes; without, Defender's own, else the smallest, of a namespace
    /// only if all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canonical: Option<MachineId>,
}

/// Machines of different kinds of source ([`MachineKind`]) with the same full name, compared without regard
/// to case, are one: where there is exactly one of each kind that has the name. Machines of a namespace
/// ([`MachineId::is_of_namespace`]) are not looked at: who may only speak of these could take any name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SameNames {
    /// Only names that end so: a domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
    /// Whether a name without a domain stands for the one machine whose full name begins with it, and for
    /// others that have only such a name.
    pub short: bool,
}

/// What kind of source a machine is known by, as far as its id and its members tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MachineKind {
    /// Defender: the id does not follow from the name, and something is known that only Defender says.
    Defender,
    /// Another source with an id of its own, and any that speaks in a namespace.
    Agent,
    /// A source that knows the name only: the id follows from it.
    Name,
}

/// Why a rule cannot be taken: correct it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMachineRule {
    /// An id can be none.
    #[error("`{0}` can be no machine's id: that is 1 to 256 bytes without control characters or a slash")]
    Id(String),
    /// There are too few or too many ids.
    #[error("a rule names 2 to {} machines, each once", MachineRule::MAX_MACHINES)]
    Ids,
    /// The id by which the machine is to go is none of them.
    #[error("the canonical id is one of the machines that the rule names")]
    Canonical,
    /// The suffix is no domain.
    #[error("a suffix is a domain of up to {} characters", MachineRule::MAX_SUFFIX_CHARACTERS)]
    Suffix,
}

/// Why machines that a rule takes are not joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinRefused {
    /// There is no other kind.
    #[error("all of them are known by {0}, and machines of one kind are never joined by their name")]
    SameKind(MachineKind),
    /// There are several of one kind, so nobody knows which of them it is.
    #[error("several of them are known by {0}, and nothing tells which one it is")]
    Several(MachineKind),
    /// There are several full names for the short one.
    #[error("the short name stands for machines of several domains")]
    SeveralDomains,
    /// There are more of one name than are looked at.
    #[error("too many machines have this name")]
    TooMany,
    /// It is the name of every machine for itself, or an address.
    #[error("it is the name of no machine in particular")]
    NamesNoMachine,
}

impl std::fmt::Display for MachineKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            MachineKind::Defender => "Defender's id",
            MachineKind::Agent => "an agent's id",
            MachineKind::Name => "name",
        })
    }
}

impl MachineRule {
    /// The most ids of a rule.
    pub const MAX_MACHINES: usize = 16;
    /// The longest suffix of names.
    pub const MAX_SUFFIX_CHARACTERS: usize = 200;

    /// The rule in the form in which it is kept, if it keeps to these bounds: ids as derived ones are
    /// written, the suffix in lower case and without a dot before it. For whoever takes a rule from somebody.
    pub fn checked(self) -> Result<MachineRule, BadMachineRule> {
        match self {
            MachineRule::Machines(SameMachines { ids, canonical }) => {
                if let Some(bad) = ids.iter().find(|id| !MachineId::can_be(id.as_str())) {
                    return Err(BadMachineRule::Id(bad.to_string()));
                }
                let ids: Vec<MachineId> = ids.into_iter().map(as_kept).collect();
                let canonical = canonical.map(as_kept);
                let distinct: HashSet<&MachineId> = ids.iter().collect();
                if distinct.len() != ids.len() || !(2..=MachineRule::MAX_MACHINES).contains(&ids.len()) {
                    return Err(BadMachineRule::Ids);
                }
                if canonical.as_ref().is_some_and(|canonical| !distinct.contains(canonical)) {
                    return Err(BadMachineRule::Canonical);
                }
                Ok(MachineRule::Machines(SameMachines { ids, canonical }))
            }
            MachineRule::Names(SameNames { suffix, short }) => {
                let suffix = suffix.map(|suffix| fold(suffix.trim().trim_matches('.')));
                if suffix.as_deref().is_some_and(|suffix| !is_domain(suffix)) {
                    return Err(BadMachineRule::Suffix);
                }
                Ok(MachineRule::Names(SameNames { suffix, short }))
            }
        }
    }
}

/// An id of 40 digits is found in any case, and kept in lower case.
pub(crate) fn as_kept(id: MachineId) -> MachineId {
    let is_hex = id.as_str().len() == 40 && id.as_str().bytes().all(|digit| digit.is_ascii_hexdigit());
    let lower = is_hex.then(|| id.as_str().to_ascii_lowercase().parse().ok()).flatten();
    lower.unwrap_or(id)
}

fn is_domain(text: &str) -> bool {
    let characters = text.chars().take(MachineRule::MAX_SUFFIX_CHARACTERS + 1).count();
    (1..=MachineRule::MAX_SUFFIX_CHARACTERS).contains(&characters)
        && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// The rules of one tenant as they count.
#[derive(Clone, Debug, Default)]
pub struct MachineRules {
    /// Ascending by number.
    all: Vec<(u32, MachineRule)>,
    /// The place of the rule that names a machine.
    named: HashMap<MachineId, usize>,
}

impl MachineRules {
    /// These rules, each with a number that no other has. Of several that name a machine the one with the
    /// smallest number counts.
    pub fn new(mut all: Vec<(u32, MachineRule)>) -> MachineRules {
        all.sort_by_key(|(number, _)| *number);
        let mut named = HashMap::new();
        for (place, (_, rule)) in all.iter().enumerate() {
            if let MachineRule::Machines(SameMachines { ids, .. }) = rule {
                for id in ids {
                    named.entry(id.clone()).or_insert(place);
                }
            }
        }
        MachineRules { all, named }
    }

    /// No rules at all.
    pub fn none() -> MachineRules {
        MachineRules::default()
    }

    /// Whether there are none.
    pub(crate) fn is_none(&self) -> bool {
        self.all.is_empty()
    }

    /// These with another one, which takes the place of the one of its number.
    pub(crate) fn with(&self, number: u32, rule: MachineRule) -> MachineRules {
        let others = self.all.iter().filter(|(other, _)| *other != number).cloned();
        MachineRules::new(others.chain([(number, rule)]).collect())
    }

    /// The place of the rule that names a machine.
    pub(crate) fn naming(&self, id: &MachineId) -> Option<usize> {
        self.named.get(id).or_else(|| self.named.get(&as_kept(id.clone()))).copied()
    }

    /// The number of the rule in a place.
    pub(crate) fn number(&self, place: usize) -> Option<u32> {
        self.all.get(place).map(|(number, _)| *number)
    }

    /// What the rule in a place names, if it names machines.
    pub(crate) fn machines(&self, place: usize) -> Option<&SameMachines> {
        match self.all.get(place) {
            Some((_, MachineRule::Machines(machines))) => Some(machines),
            _ => None,
        }
    }

    /// Whether any goes by names.
    pub(crate) fn goes_by_names(&self) -> bool {
        self.all.iter().any(|(_, rule)| matches!(rule, MachineRule::Names(_)))
    }

    /// The first rule that takes a full name.
    pub(crate) fn taking_full(&self, name: &str) -> Option<u32> {
        let mut names = self.names().filter(|(_, names)| names.takes(name));
        names.next().map(|(number, _)| number)
    }

    /// The first rule that takes a short name for which this full one stands; without one, only a rule that
    /// takes all names does.
    pub(crate) fn taking_short(&self, full: Option<&str>) -> Option<u32> {
        let takes = |names: &SameNames| match full {
            Some(full) => names.takes(full),
            None => names.suffix.is_none(),
        };
        let mut names = self.names().filter(|(_, names)| names.short && takes(names));
        names.next().map(|(number, _)| number)
    }

    fn names(&self) -> impl Iterator<Item = (u32, &SameNames)> {
        self.all.iter().filter_map(|(number, rule)| match rule {
            MachineRule::Names(names) => Some((*number, names)),
            MachineRule::Machines(_) => None,
        })
    }
}

impl SameNames {
    fn takes(&self, full: &str) -> bool {
        let Some(suffix) = &self.suffix else { return true };
        full.strip_suffix(suffix.as_str()).is_some_and(|host| host.ends_with('.'))
    }
}

/// To lower case, one character at a time, as names of device groups' rules are.
fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// What rules look at of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Traits {
    pub(crate) id: MachineId,
    /// The name that it may go by.
    pub(crate) name: Option<Name>,
    pub(crate) kind: MachineKind,
    /// Whether it is of a namespace: it has no name to go by, and nothing depends on what it says it is.
    pub(crate) is_of_namespace: bool,
}

/// A machine's name as rules compare it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name {
    /// What stands before the first dot.
    pub(crate) short: Box<str>,
    /// All of it; `None`: there is no dot in it.
    pub(crate) full: Option<Box<str>>,
}

impl Name {
    fn of(text: &str) -> Option<Name> {
        let name = fold(text.trim().trim_end_matches('.'));
        if name.parse::<IpAddr>().is_ok() {
            return Some(Name { short: name.clone().into(), full: Some(name.into()) });
        }
        match name.split_once('.') {
            Some((short, _)) if !short.is_empty() => {
                Some(Name { short: short.into(), full: Some(name.into()) })
            }
            _ if name.is_empty() || name.starts_with('.') => None,
            _ => Some(Name { short: name.into(), full: None }),
        }
    }

    /// Whether it names no machine in particular: an address is another's tomorrow, and this is the name of
    /// every machine for itself.
    pub(crate) fn is_of_no_machine(&self) -> bool {
        &*self.short == "localhost" || self.short.parse::<IpAddr>().is_ok()
    }
}

impl Traits {
    pub(crate) fn of(id: &MachineId, machine: &Entity) -> Traits {
        if id.is_of_namespace() {
            return Traits { id: id.clone(), name: None, kind: MachineKind::Agent, is_of_namespace: true };
        }
        let name = machine.facts.text(shapes::machine::COMPUTER_DNS_NAME);
        let kind = MachineKind::of(id, name.as_deref(), machine);
        Traits { id: id.clone(), name: name.as_deref().and_then(Name::of), kind, is_of_namespace: false }
    }
}

/// What only Defender says of a machine.
const OF_DEFENDER: [MemberId; 3] =
    [shapes::machine::RBAC_GROUP_NAME, shapes::machine::ONBOARDING_STATUS, shapes::machine::EXPOSURE_LEVEL];

impl MachineKind {
    fn of(id: &MachineId, name: Option<&str>, machine: &Entity) -> MachineKind {
        if name.is_some_and(|name| MachineId::derived("host", name.trim()) == *id) {
            return MachineKind::Name;
        }
        let is_said = |member: &MemberId| machine.facts.text(*member).is_some();
        if OF_DEFENDER.iter().any(is_said) { MachineKind::Defender } else { MachineKind::Agent }
    }
}

#[cfg(test)]
mod tests {
    use pintle_model::Time;

    use super::*;

    fn ids(ids: &[&str]) -> Vec<MachineId> {
        ids.iter().map(|id| id.parse().unwrap()).collect()
    }

    fn names(suffix: Option<&str>, short: bool) -> MachineRule {
        MachineRule::Names(SameNames { suffix: suffix.map(str::to_owned), short })
    }

    #[test]
    fn a_rule_is_kept_in_one_form_and_within_its_bounds() {
        let machines = |list: &[&str], canonical: Option<&str>| {
            let canonical = canonical.map(|id| id.parse().unwrap());
            MachineRule::Machines(SameMachines { ids: ids(list), canonical }).checked()
        };
        let many: Vec<String> = (0..17).map(|n| n.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(machines(&many[..16], Some("7")).is_ok());
        for bad in [&many[..], &["a"], &[], &["a", "a"]] {
            assert_eq!(machines(bad, None), Err(BadMachineRule::Ids));
        }
        assert_eq!(machines(&["a", "b"], Some("c")), Err(BadMachineRule::Canonical));
        let json = r#"{"machines": {"ids": ["a/b", "c"]}}"#;
        let hostile: MachineRule = serde_json::from_str(json).unwrap();
        assert_eq!(hostile.checked(), Err(BadMachineRule::Id("a/b".into())));
        let upper = "98BE21A395A246D80AAD631F9451B5EF91654A3C";
        let kept = machines(&[upper, "Own-Id"], Some(upper)).unwrap();
        let lower = upper.to_lowercase();
        let expected = SameMachines { ids: ids(&[&lower, "Own-Id"]), canonical: lower.parse().ok() };
        assert_eq!(kept, MachineRule::Machines(expected));
        assert_eq!(machines(&[upper, &lower], None), Err(BadMachineRule::Ids), "they are one id");
        assert_eq!(names(Some(".Corp.Example. "), true).checked(), Ok(names(Some("corp.example"), true)));
        for bad in ["", " . ", "a b", "a\tb", &"x".repeat(201)] {
            assert_eq!(names(Some(bad), false).checked(), Err(BadMachineRule::Suffix), "{bad:?}");
        }
    }

    #[test]
    fn a_suffix_is_a_domain_and_no_part_of_a_word() {
        let rules = MachineRules::new(vec![(7, names(Some("example.org"), true)), (9, names(None, false))]);
        assert_eq!(rules.taking_full("a.example.org"), Some(7));
        assert_eq!(rules.taking_full("a.b.example.org"), Some(7));
        assert_eq!(rules.taking_full("a.badexample.org"), Some(9));
        assert_eq!(rules.taking_full("example.org"), Some(9));
        assert_eq!(rules.taking_short(Some("a.example.org")), Some(7));
        assert_eq!(rules.taking_short(Some("a.other.org")), None);
        assert_eq!(rules.taking_short(None), None);
        assert_eq!(rules.with(9, names(None, true)).taking_short(None), Some(9));
    }

    #[test]
    fn a_name_is_told_apart_from_what_names_no_machine() {
        let name = |text: &str| {
            Name::of(text).map(|name| (name.short.to_string(), name.full.as_deref().map(str::to_owned)))
        };
        let full = |short: &str, full: &str| Some((short.to_owned(), Some(full.to_owned())));
        assert_eq!(name("WS5.Corp.example."), full("ws5", "ws5.corp.example"));
        assert_eq!(name(" WS5 "), Some(("ws5".to_owned(), None)));
        assert_eq!([name(""), name(" . "), name(".x")], [None, None, None]);
        assert_eq!(name("192.0.2.7"), full("192.0.2.7", "192.0.2.7"));
        for (text, is) in [
            ("localhost", true),
            ("localhost.localdomain", true),
            ("192.0.2.7", true),
            ("2001:DB8::1", true),
            ("local", false),
            ("ws5.localhost.example", false),
        ] {
            assert_eq!(Name::of(text).unwrap().is_of_no_machine(), is, "{text}");
        }
    }

    #[test]
    fn a_machine_s_kind_follows_from_its_id_and_what_is_said_of_it() {
        let machine = |name: &str, group: Option<&str>| {
            let mut machine = Entity::default();
            machine.facts.note_text(shapes::machine::COMPUTER_DNS_NAME, Time::MIN, Some(name));
            machine.facts.note_text(shapes::machine::RBAC_GROUP_NAME, Time::MIN, group);
            machine
        };
        let kind = |id: &MachineId, machine: &Entity| Traits::of(id, machine).kind;
        let (by_name, own) = (MachineId::derived("host", "ws5"), MachineId::derived("osquery", "7"));
        assert_eq!(kind(&by_name, &machine("WS5", None)), MachineKind::Name);
        assert_eq!(kind(&by_name, &machine("ws5", Some("Servers"))), MachineKind::Name);
        assert_eq!(kind(&own, &machine("ws5", None)), MachineKind::Agent);
        assert_eq!(kind(&own, &machine("ws5", Some("Servers"))), MachineKind::Defender);
        assert_eq!(kind(&own, &Entity::default()), MachineKind::Agent);
        let kept_apart = MachineId::of_namespace("plant-7", by_name.as_str());
        let traits = Traits::of(&kept_apart, &machine("ws5", Some("Servers")));
        assert_eq!((traits.kind, traits.name, traits.is_of_namespace), (MachineKind::Agent, None, true));
    }
}
