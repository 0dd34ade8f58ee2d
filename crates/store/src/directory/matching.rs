//! Which machines belong together by a tenant's rules. It follows from the rules and from what is known of
//! the machines now, whatever came first; and when something new is heard of a machine, only those are
//! looked at that it may concern.
//!
//! First the machines that a rule names are one *unit*; every other machine is a unit of its own. Then units
//! of one full name are one, and then units of one short name, where exactly one of each kind has it. What
//! machines of a namespace say counts for neither: they are one with others where a rule names them.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use pintle_model::MachineId;

use crate::JoinRefused;
use crate::machine_rule::{MachineKind, MachineRules, Name, Traits, as_kept};

/// See the module.
pub(crate) struct Matching {
    rules: Arc<MachineRules>,
    goes_by_names: bool,
    /// The machines that may belong with others, by ordinal.
    known: HashMap<u32, Traits>,
    /// Those that a rule names, by its place.
    named: HashMap<usize, BTreeSet<u32>>,
    /// The name that a unit goes by.
    names: HashMap<Unit, Name>,
    /// The units of a short name, by their full one.
    by_name: HashMap<Box<str>, Units>,
}

type Units = BTreeMap<Option<Box<str>>, BTreeSet<Unit>>;

/// What is one already when names are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Unit {
    /// A machine that no rule names.
    Machine(u32),
    /// The machines that the rule in this place names.
    Named(usize),
}

/// Machines that are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// Ordinals, ascending.
    pub(crate) members: Vec<u32>,
    /// The member by whose id the machine goes.
    pub(crate) canonical: u32,
    /// Those whose word counts before the others', ascending: all that are of no namespace, and if there are
    /// none the canonical one. Who may only speak in a namespace must not speak for others' machines.
    pub(crate) deciding: Vec<u32>,
    /// The numbers of the rules that made it, ascending.
    pub(crate) rules: Vec<u32>,
}

/// Machines that a rule takes and yet does not join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The rule's number.
    pub(crate) rule: u32,
    /// The name that they have.
    pub(crate) name: Box<str>,
    /// Ordinals, ascending, some of them if they are too many.
    pub(crate) machines: Vec<u32>,
    pub(crate) why: JoinRefused,
}

/// More units of one name are not looked at: there are only so many kinds.
const MOST: usize = 64;

/// The rule that takes some units, and what comes of it.
type Taken<T> = Option<(u32, Result<T, JoinRefused>)>;

impl Matching {
    /// No machines yet.
    pub(crate) fn new(rules: Arc<MachineRules>) -> Matching {
        Matching {
            goes_by_names: rules.goes_by_names(),
            rules,
            known: HashMap::new(),
            named: HashMap::new(),
            names: HashMap::new(),
            by_name: HashMap::new(),
        }
    }

    pub(crate) fn rules(&self) -> &MachineRules {
        &self.rules
    }

    /// What is known of a machine now, nothing if it is gone, and what follows from it: how those belong
    /// together for whom something may be another way than before, each of them in one group, alone or with
    /// others.
    pub(crate) fn note(&mut self, ordinal: u32, traits: Option<Traits>) -> Vec<Group> {
        let known = self.known.get(&ordinal);
        if known == traits.as_ref() {
            return Vec::new();
        }
        let ids = [known, traits.as_ref()].into_iter().flatten().map(|traits| &traits.id);
        let units: BTreeSet<Unit> = ids.map(|id| self.unit(ordinal, id)).collect();
        let mut touched = BTreeSet::new();
        units.iter().for_each(|unit| self.reach(*unit, &mut touched));
        let before: Vec<Name> = units.iter().filter_map(|unit| self.names.get(unit).cloned()).collect();
        self.learn(ordinal, traits);
        units.iter().for_each(|unit| self.reach(*unit, &mut touched));
        before.iter().for_each(|name| self.reach_name(name, &mut touched));
        self.groups(&touched)
    }

    /// The same without asking what follows.
    pub(crate) fn learn(&mut self, ordinal: u32, traits: Option<Traits>) {
        if let Some(old) = self.known.remove(&ordinal) {
            let unit = self.unit(ordinal, &old.id);
            self.leave(unit);
            if let Unit::Named(place) = unit {
                self.named.entry(place).or_default().remove(&ordinal);
                self.enter(unit);
            }
        }
        if let Some(new) = traits {
            let unit = self.unit(ordinal, &new.id);
            // Nobody asks for what no rule goes by.
            if !self.goes_by_names && matches!(unit, Unit::Machine(_)) {
                return;
            }
            self.leave(unit);
            self.known.insert(ordinal, new);
            if let Unit::Named(place) = unit {
                self.named.entry(place).or_default().insert(ordinal);
            }
            self.enter(unit);
        }
    }

    /// All machines that belong with others.
    pub(crate) fn joined(&self) -> Vec<Group> {
        let known = self.known.iter().map(|(ordinal, traits)| self.unit(*ordinal, &traits.id));
        let mut groups = self.groups(&known.collect());
        groups.retain(|group| group.members.len() > 1);
        groups
    }

    /// All that rules take and do not join, by name.
    pub(crate) fn refusals(&self) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        for (short, units) in &self.by_name {
            for (full, units) in units.iter().filter_map(|(full, units)| Some((full.as_deref()?, units))) {
                if let Some((rule, Err(why))) = self.by_full(full, units) {
                    refusals.push(self.refusal(rule, full, units.iter(), why));
                }
            }
            if let Some((rule, Err(why))) = self.by_short(units) {
                refusals.push(self.refusal(rule, short, units.values().flatten(), why));
            }
        }
        refusals.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        refusals
    }

    fn refusal<'u>(
        &self,
        rule: u32,
        name: &str,
        units: impl Iterator<Item = &'u Unit>,
        why: JoinRefused,
    ) -> Refusal {
        let mut machines: Vec<u32> = units.take(MOST).flat_map(|unit| self.members(*unit)).collect();
        machines.sort_unstable();
        Refusal { rule, name: name.into(), machines, why }
    }

    fn unit(&self, ordinal: u32, id: &MachineId) -> Unit {
        self.rules.naming(id).map_or(Unit::Machine(ordinal), Unit::Named)
    }

    /// The machines of a unit, ascending.
    fn members(&self, unit: Unit) -> Vec<u32> {
        match unit {
            Unit::Machine(ordinal) if self.known.contains_key(&ordinal) => vec![ordinal],
            Unit::Machine(_) => Vec::new(),
            Unit::Named(place) => self.named.get(&place).into_iter().flatten().copied().collect(),
        }
    }

    fn traits(&self, unit: Unit) -> impl Iterator<Item = &Traits> {
        self.members(unit).into_iter().filter_map(|ordinal| self.known.get(&ordinal))
    }

    /// The only full name of its machines, else their only short one; `None`: they differ, or have none.
    fn name_of(&self, unit: Unit) -> Option<Name> {
        let names: BTreeSet<&Name> = self.traits(unit).filter_map(|traits| traits.name.as_ref()).collect();
        let full: Vec<&Name> = names.iter().copied().filter(|name| name.full.is_some()).collect();
        match (full.as_slice(), names.len()) {
            ([name], _) => Some(Name::clone(name)),
            ([], 1) => names.first().map(|name| Name::clone(name)),
            _ => None,
        }
    }

    /// Takes a unit out of those of its name.
    fn leave(&mut self, unit: Unit) {
        let Some(name) = self.names.remove(&unit) else { return };
        if let Some(units) = self.by_name.get_mut(&name.short) {
            if let Some(alike) = units.get_mut(&name.full) {
                alike.remove(&unit);
                if alike.is_empty() {
                    units.remove(&name.full);
                }
            }
            if units.is_empty() {
                self.by_name.remove(&name.short);
            }
        }
    }

    fn enter(&mut self, unit: Unit) {
        if let Some(name) = self.name_of(unit).filter(|_| self.goes_by_names) {
            let units = self.by_name.entry(name.short.clone()).or_default();
            units.entry(name.full.clone()).or_default().insert(unit);
            self.names.insert(unit, name);
        }
    }

    /// Adds a unit and those for whom it makes a difference that it has its name. Where there are more than
    /// may be one, nothing was one before and nothing is afterwards.
    fn reach(&self, unit: Unit, touched: &mut BTreeSet<Unit>) {
        touched.insert(unit);
        if let Some(name) = self.names.get(&unit) {
            self.reach_name(name, touched);
        }
    }

    fn reach_name(&self, name: &Name, touched: &mut BTreeSet<Unit>) {
        let Some(units) = self.by_name.get(&name.short) else { return };
        let are_few = |units: &BTreeSet<Unit>| units.len() <= MOST + 1;
        touched.extend(units.get(&name.full).filter(|alike| are_few(alike)).into_iter().flatten());
        // A second full name may have come, or gone.
        let full_names = units.keys().filter(|full| full.is_some()).take(3).count();
        if full_names <= 2 && units.values().map(BTreeSet::len).sum::<usize>() <= MOST + 1 {
            touched.extend(units.values().flatten());
        }
    }

    /// How some units belong together, of which none belongs with others than these.
    fn groups(&self, units: &BTreeSet<Unit>) -> Vec<Group> {
        let mut left = units.clone();
        let names: BTreeSet<&Name> = units.iter().filter_map(|unit| self.names.get(unit)).collect();
        let mut groups = Vec::new();
        for name in names {
            let Some(alike) = self.by_name.get(&name.short) else { continue };
            if let Some((rule, Ok(all))) = self.by_short(alike)
                && all.is_subset(&left)
            {
                all.iter().for_each(|unit| _ = left.remove(unit));
                // Those that have the full name may be one by another rule already.
                let full = alike.iter().find_map(|(full, units)| Some((full.as_deref()?, units)));
                let by_full = full.and_then(|(full, units)| self.by_full(full, units));
                groups.push(self.group(&all, by_full.map(|(rule, _)| rule).into_iter().chain([rule])));
            }
            if let Some(full) = &name.full
                && let Some(alike) = alike.get(&name.full).filter(|alike| alike.is_subset(&left))
                && let Some((rule, Ok(()))) = self.by_full(full, alike)
            {
                alike.iter().for_each(|unit| _ = left.remove(unit));
                groups.push(self.group(alike, [rule]));
            }
        }
        groups.extend(left.into_iter().map(|unit| self.group(&BTreeSet::from([unit]), [])));
        groups.retain(|group| !group.members.is_empty());
        groups
    }

    fn group(&self, units: &BTreeSet<Unit>, by: impl IntoIterator<Item = u32>) -> Group {
        let mut members: Vec<u32> = units.iter().flat_map(|unit| self.members(*unit)).collect();
        members.sort_unstable();
        let named = units.iter().filter_map(|unit| match unit {
            Unit::Named(place) if self.members(*unit).len() > 1 => self.rules.number(*place),
            _ => None,
        });
        let rules: BTreeSet<u32> = named.chain(by).collect();
        let canonical = self.canonical(units, &members);
        let is_trusted = |ordinal: &u32| self.known.get(ordinal).is_some_and(|of| !of.is_of_namespace);
        let mut deciding: Vec<u32> = members.iter().copied().filter(is_trusted).collect();
        if deciding.is_empty() {
            deciding.push(canonical);
        }
        Group { members, canonical, deciding, rules: rules.into_iter().collect() }
    }

    /// The member by whose id a machine goes: what the first rule says that names one there, else Defender's
    /// own, else the one with the smallest id, one of a namespace only if all are: its source chose it.
    fn canonical(&self, units: &BTreeSet<Unit>, members: &[u32]) -> u32 {
        let said = units.iter().filter_map(|unit| match unit {
            Unit::Named(place) => self.rules.machines(*place)?.canonical.as_ref(),
            Unit::Machine(_) => None,
        });
        let of = |ordinal: &u32| self.known.get(ordinal);
        // A source may write it in capitals; in small letters it goes before that.
        let id_is = |ordinal: &&u32, id: &MachineId| {
            of(ordinal).is_some_and(|traits| traits.id == *id || as_kept(traits.id.clone()) == *id)
        };
        let id_of = |ordinal: &&u32| of(ordinal).map(|traits| Reverse(&traits.id));
        let named = |id: &MachineId| members.iter().filter(|ordinal| id_is(ordinal, id)).min_by_key(id_of);
        let said = said.filter_map(named).next();
        let first = || {
            members.iter().min_by_key(|ordinal| {
                let rank = |traits: &Traits| (traits.is_of_namespace, traits.kind != MachineKind::Defender);
                of(ordinal).map(|traits| (rank(traits), &traits.id))
            })
        };
        said.or_else(first).copied().unwrap_or(u32::MAX)
    }

    /// What comes of the units of a full name.
    fn by_full(&self, full: &str, units: &BTreeSet<Unit>) -> Taken<()> {
        if units.len() < 2 {
            return None;
        }
        let rule = self.rules.taking_full(full)?;
        Some((rule, self.fit(units)))
    }

    /// What comes of all units of a short name, if some of them have no other.
    fn by_short(&self, units: &Units) -> Taken<BTreeSet<Unit>> {
        if !units.contains_key(&None) {
            return None;
        }
        let mut full_names = units.keys().filter_map(Option::as_deref);
        let (full, other) = (full_names.next(), full_names.next());
        let rule = self.rules.taking_short(full).or_else(|| self.rules.taking_short(Some(other?)))?;
        if other.is_some() {
            return Some((rule, Err(JoinRefused::SeveralDomains)));
        }
        let count = units.values().map(BTreeSet::len).sum::<usize>();
        if count > MOST {
            return Some((rule, Err(JoinRefused::TooMany)));
        }
        let all: BTreeSet<Unit> = units.values().flatten().copied().collect();
        let fit = self.fit(&all).map(|()| all);
        (count > 1).then_some((rule, fit))
    }

    /// Whether units of one name may be one: of each kind there is one.
    fn fit(&self, units: &BTreeSet<Unit>) -> Result<(), JoinRefused> {
        if units.len() > MOST {
            return Err(JoinRefused::TooMany);
        }
        if units.first().and_then(|unit| self.names.get(unit)).is_some_and(Name::is_of_no_machine) {
            return Err(JoinRefused::NamesNoMachine);
        }
        let mut of_kind: BTreeMap<MachineKind, usize> = BTreeMap::new();
        for unit in units {
            let known = self.traits(*unit).filter(|traits| !traits.is_of_namespace);
            let kinds: BTreeSet<MachineKind> = known.map(|traits| traits.kind).collect();
            kinds.into_iter().for_each(|kind| *of_kind.entry(kind).or_default() += 1);
        }
        match of_kind.iter().find(|(_, units)| **units > 1) {
            None => Ok(()),
            Some((kind, _)) if of_kind.len() == 1 => Err(JoinRefused::SameKind(*kind)),
            Some((kind, _)) => Err(JoinRefused::Several(*kind)),
        }
    }
}
