//! Which machines are one by some rules, as a few loops over all of them say.

use std::collections::{BTreeMap, BTreeSet};

use pintle_model::MachineId;
use pintle_store::{MachineRule, SameMachines, SameNames};

/// What rules look at of a machine.
pub struct Known {
    /// As it was said; empty: nobody did.
    pub name: String,
    /// Whether something was said that only Defender says.
    pub is_of_defender: bool,
}

/// Machines that are one, with the id by which the machine goes.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct One {
    pub id: String,
    pub members: BTreeSet<String>,
    pub rules: BTreeSet<u32>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Defender,
    Agent,
    Name,
}

type Machines = BTreeMap<String, Known>;

fn kind(id: &str, known: &Known) -> Kind {
    if !known.name.is_empty() && MachineId::derived("host", &known.name).as_str() == id {
        return Kind::Name;
    }
    if known.is_of_defender { Kind::Defender } else { Kind::Agent }
}

/// What is said of the machines of a namespace counts for nothing.
fn counts(id: &str) -> bool {
    !id.parse::<MachineId>().unwrap().is_of_namespace()
}

/// The host and, if there is one, the whole name, of some machines that are one already.
fn name(unit: &One, machines: &Machines) -> Option<(String, Option<String>)> {
    let names: BTreeSet<String> = unit
        .members
        .iter()
        .filter(|id| counts(id))
        .map(|id| machines[id].name.to_lowercase())
        .filter(|name| !name.is_empty())
        .collect();
    let (full, short): (Vec<String>, Vec<String>) = names.into_iter().partition(|name| name.contains('.'));
    match (&full[..], &short[..]) {
        ([full], _) => Some((full.split('.').next().unwrap().to_owned(), Some(full.clone()))),
        ([], [short]) => Some((short.clone(), None)),
        _ => None,
    }
}

/// Whether there is one of each kind.
fn are_fit(units: &[&One], machines: &Machines) -> bool {
    let mut seen = Vec::new();
    for unit in units {
        let members = unit.members.iter().filter(|id| counts(id));
        let kinds: BTreeSet<Kind> = members.map(|id| kind(id, &machines[id])).collect();
        seen.extend(kinds);
    }
    seen.len() == seen.iter().collect::<BTreeSet<_>>().len()
}

fn takes(rule: &SameNames, full: &str) -> bool {
    rule.suffix.as_ref().is_none_or(|suffix| full.ends_with(&format!(".{suffix}")))
}

/// All machines as they are one, also those that are one by themselves.
pub fn joined(machines: &Machines, rules: &[(u32, MachineRule)]) -> Vec<One> {
    let mut units: Vec<One> = Vec::new();
    let mut said: BTreeMap<String, String> = BTreeMap::new();
    for (number, rule) in rules {
        let MachineRule::Machines(SameMachines { ids, canonical }) = rule else { continue };
        let ids = ids.iter().map(ToString::to_string);
        let members: BTreeSet<String> = ids.filter(|id| machines.contains_key(id)).collect();
        if let Some(canonical) = canonical.as_ref().map(ToString::to_string) {
            members.iter().filter(|_| members.contains(&canonical)).for_each(|id| {
                said.insert(id.clone(), canonical.clone());
            });
        }
        let rules = if members.len() > 1 { BTreeSet::from([*number]) } else { BTreeSet::new() };
        units.push(One { id: String::new(), members, rules });
    }
    let named: BTreeSet<String> = units.iter().flat_map(|unit| unit.members.clone()).collect();
    for id in machines.keys().filter(|id| !named.contains(*id)) {
        units.push(One { id: String::new(), members: BTreeSet::from([id.clone()]), rules: BTreeSet::new() });
    }
    units.retain(|unit| !unit.members.is_empty());

    let names: Vec<(u32, &SameNames)> = rules
        .iter()
        .filter_map(|(number, rule)| match rule {
            MachineRule::Names(names) => Some((*number, names)),
            MachineRule::Machines(_) => None,
        })
        .collect();
    let name_of: Vec<_> = units.iter().map(|unit| name(unit, machines)).collect();
    // Which units are one, by their places, and by which rules of names.
    let mut ones: Vec<(BTreeSet<usize>, BTreeSet<u32>)> = Vec::new();
    let fulls: BTreeSet<&String> = name_of.iter().flatten().filter_map(|(_, full)| full.as_ref()).collect();
    for full in fulls {
        let there: BTreeSet<usize> = (0..units.len())
            .filter(|place| name_of[*place].as_ref().is_some_and(|(_, name)| name.as_ref() == Some(full)))
            .collect();
        let rule = names.iter().find(|(_, rule)| takes(rule, full));
        let alike: Vec<&One> = there.iter().map(|place| &units[*place]).collect();
        if let Some((number, _)) = rule.filter(|_| there.len() > 1 && are_fit(&alike, machines)) {
            ones.push((there, BTreeSet::from([*number])));
        }
    }
    let shorts: BTreeSet<&String> = name_of.iter().flatten().map(|(short, _)| short).collect();
    for short in shorts {
        let there: BTreeSet<usize> = (0..units.len())
            .filter(|place| name_of[*place].as_ref().is_some_and(|(name, _)| name == short))
            .collect();
        let fulls: BTreeSet<&String> =
            there.iter().filter_map(|place| name_of[*place].as_ref().unwrap().1.as_ref()).collect();
        let has_short = there.iter().any(|place| name_of[*place].as_ref().unwrap().1.is_none());
        let full = fulls.first();
        let rule = names
            .iter()
            .find(|(_, rule)| rule.short && full.map_or(rule.suffix.is_none(), |full| takes(rule, full)));
        let alike: Vec<&One> = there.iter().map(|place| &units[*place]).collect();
        let is_sure = has_short && fulls.len() < 2 && there.len() > 1 && are_fit(&alike, machines);
        if let Some((number, _)) = rule.filter(|_| is_sure) {
            let mut by = BTreeSet::from([*number]);
            ones.retain(|(others, of_others)| {
                let is_part = others.is_subset(&there);
                by.extend(of_others.iter().filter(|_| is_part));
                !is_part
            });
            ones.push((there, by));
        }
    }
    let in_one: BTreeSet<usize> = ones.iter().flat_map(|(places, _)| places.clone()).collect();
    ones.extend(
        (0..units.len())
            .filter(|place| !in_one.contains(place))
            .map(|place| (BTreeSet::from([place]), BTreeSet::new())),
    );
    let mut all: Vec<One> = ones
        .into_iter()
        .map(|(places, mut rules)| {
            let members: BTreeSet<String> =
                places.iter().flat_map(|place| units[*place].members.clone()).collect();
            rules.extend(places.iter().flat_map(|place| units[*place].rules.clone()));
            // Rules that name machines come in the order of their numbers, and so do units.
            let said = places.iter().find_map(|place| said.get(units[*place].members.first().unwrap()));
            let mut count = members.iter().filter(|id| counts(id));
            let of_defender = count.clone().find(|id| kind(id, &machines[*id]) == Kind::Defender);
            let id = said.or(of_defender).or(count.next()).or(members.first()).unwrap().clone();
            One { id, members, rules }
        })
        .collect();
    all.sort();
    all
}
