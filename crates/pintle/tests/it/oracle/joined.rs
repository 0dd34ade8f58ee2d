//! The tenant in which machines always were as they are one by its rules.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use pintle_store::{MachineRule, SameMachines};

use super::model::{MACHINES, Machine, Tenant, machine_id};
use super::random::Random;

/// A rule: which machines are one, and by whose id it goes if that is said.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) machines: BTreeSet<u64>,
    pub(super) canonical: Option<u64>,
}

impl Rule {
    /// A rule about machines that are in none of these.
    pub(super) fn random(random: &mut Random, name: String, others: &[Rule]) -> Option<Rule> {
        let is_free = |id: &u64| others.iter().all(|other| !other.machines.contains(id));
        let mut free: Vec<u64> = (0..=MACHINES).filter(is_free).collect();
        let several = 2 + random.below(3);
        if (free.len() as u64) < several {
            return None;
        }
        let mut one = || free.swap_remove(usize::try_from(random.below(free.len() as u64)).unwrap());
        let machines: BTreeSet<u64> = (0..several).map(|_| one()).collect();
        let said: Vec<u64> = machines.iter().copied().collect();
        let canonical = random.chance(50).then(|| random.one(&said));
        Some(Rule { name, machines, canonical })
    }

    pub(super) fn as_given(&self) -> MachineRule {
        let id = |machine: &u64| machine_id(*machine).parse().unwrap();
        let canonical = self.canonical.as_ref().map(id);
        MachineRule::Machines(SameMachines { ids: self.machines.iter().map(id).collect(), canonical })
    }
}

impl Tenant {
    /// The machine that a machine is, by the number of the id by which it goes.
    pub(super) fn one(&self, machine: u64) -> u64 {
        let Some(rule) = self.rules.iter().find(|rule| rule.machines.contains(&machine)) else {
            return machine;
        };
        if !self.machines.contains_key(&machine) {
            return machine;
        }
        let known = |id: &u64| self.machines.contains_key(id);
        // All of them are Defender's, so without a word the smallest id it is.
        rule.canonical.filter(known).or_else(|| rule.machines.iter().copied().find(known)).unwrap()
    }

    /// The tenant in which they always were one.
    pub(super) fn as_ones(&self) -> Tenant {
        let one = |machine: u64| self.one(machine);
        let all = |seen: &BTreeMap<u64, BTreeSet<u64>>| {
            let of = |machines: &BTreeSet<u64>| machines.iter().map(|machine| one(*machine)).collect();
            seen.iter().map(|(thing, machines)| (*thing, of(machines))).collect()
        };
        let mut members: BTreeMap<u64, Vec<&Machine>> = BTreeMap::new();
        for (id, machine) in &self.machines {
            members.entry(one(*id)).or_default().push(machine);
        }
        let mut tenant = self.clone();
        tenant.machines = members.into_iter().map(|(id, members)| (id, merged(&members))).collect();
        tenant.sightings = all(&self.sightings);
        tenant.observed = all(&self.observed);
        tenant.addresses.iter_mut().for_each(|(_, machine, _)| *machine = one(*machine));
        tenant.alerts.values_mut().for_each(|alert| alert.machine = alert.machine.map(one));
        tenant
    }
}

/// What was told last counts, and of what was told at once the smaller text.
fn merged(members: &[&Machine]) -> Machine {
    let newest = |text: &dyn Fn(&Machine) -> String| {
        let rank =
            |machine: &&&Machine| (machine.told, Reverse(serde_json::json!(text(machine)).to_string()));
        *members.iter().max_by_key(rank).unwrap()
    };
    let name = newest(&|machine| format!("{}.{}", machine.name, machine.domain));
    let tags = members.iter().filter(|machine| !machine.tags.is_empty());
    let tags =
        tags.max_by_key(|machine| (machine.told, Reverse(serde_json::json!(machine.tags).to_string())));
    Machine {
        platform: newest(&|machine| machine.platform.to_owned()).platform,
        source_group: newest(&|machine| machine.source_group.to_owned()).source_group,
        tags: tags.map(|machine| machine.tags.clone()).unwrap_or_default(),
        ..Machine::clone(name)
    }
}
