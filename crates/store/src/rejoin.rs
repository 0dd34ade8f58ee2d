//! What makes machines one is changed and looked at, by whoever keeps it. What a rule says is said in
//! [`crate::machine_rule`], who belongs with whom by it and how all machines change at once in the directory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pintle_model::{MachineId, TenantId, Time};

use crate::directory::{Directory, Group, Matching, Member, Refusal, rejoin};
use crate::machine_rule::{JoinRefused, MachineKind, MachineRule, MachineRules, as_kept};
use crate::store::{Store, hold, read_lock};
use crate::{Error, Scope};

/// What came of other rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rejoined {
    /// The tenant's machines as they are counted now, each once.
    pub machines: usize,
    /// Those of them that are known by several ids.
    pub joined: usize,
}

/// A machine that is known by several ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMachine {
    /// The id by which it goes.
    pub id: MachineId,
    /// The numbers of the rules by which it is one, ascending.
    pub rules: Vec<u32>,
    /// What it is made of, by id.
    pub members: Vec<MachineMember>,
}

/// A machine as one source knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineMember {
    /// Its id there.
    pub id: MachineId,
    /// Its name there, if the source gave one.
    pub name: Option<String>,
    /// What kind of source.
    pub kind: MachineKind,
    /// When it was last heard of there.
    pub last_seen: Option<Time>,
}

/// Machines of one name that a rule takes and does not join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotJoined {
    /// The name, in lower case.
    pub name: String,
    /// They, by id; of too many some.
    pub machines: Vec<MachineMember>,
    /// Why not.
    pub why: JoinRefused,
}

/// What a rule would do beside the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineRulePreview {
    /// How many machines would be one by it, or by it and others.
    pub joined: usize,
    /// The first of them by id.
    pub machines: Vec<JoinedMachine>,
    /// For how many names it would join nothing though it takes them.
    pub refused: usize,
    /// The first of these by name.
    pub refusals: Vec<NotJoined>,
    /// Ids that it names and that no machine has now.
    pub unknown: Vec<MachineId>,
}

/// Which machines of several ids are asked for.
#[derive(Clone, Debug, Default)]
pub struct JoinsAsked<'a> {
    /// Only the machine of this id or name.
    pub machine: Option<&'a str>,
    /// Only those by the rule of this number.
    pub rule: Option<u32>,
}

/// Machines looked at before others are let in.
const AT_ONCE: usize = 1_000;

impl Store {
    /// Other rules make machines one for a tenant from now on; the store keeps them until it is closed.
    /// Reads and writes go on, and all changes at one moment, before this returns. If the tenant's machines
    /// could not be read this fails, and the rules count once they can be.
    pub fn set_machine_rules(&self, tenant: TenantId, rules: MachineRules) -> Result<Rejoined, Error> {
        let rules = Arc::new(rules);
        // Held to the end: of two who set them, the later one must be the last everywhere.
        let mut all = hold(&self.administered);
        all.rules.insert(tenant, Arc::clone(&rules));
        Ok(rejoin(&self.known().directory(tenant)?, &rules))
    }

    /// The machines that are known by several ids: how many, and the first `limit` by id. For whoever makes
    /// the rules; it is asked about the whole tenant.
    pub fn joined_machines(
        &self,
        tenant: TenantId,
        asked: &JoinsAsked<'_>,
        limit: usize,
    ) -> Result<(usize, Vec<JoinedMachine>), Error> {
        let (directory, window) = (self.known().directory(tenant)?, self.machine_window(tenant));
        let directory = read_lock(&directory);
        let only = asked.machine.map(|asked| {
            directory.find(&Scope::whole(tenant), window, asked).map(|machine| machine.id.clone())
        });
        let mut joined = directory.joined_by_id();
        joined.retain(|(id, ordinal)| {
            let is_asked = only.as_ref().is_none_or(|only| only.as_ref() == Some(*id));
            is_asked && asked.rule.is_none_or(|rule| directory.rules_of(*ordinal).contains(&rule))
        });
        let machine = |(id, ordinal): &(&MachineId, u32)| JoinedMachine {
            id: MachineId::clone(id),
            rules: directory.rules_of(*ordinal).to_vec(),
            members: told(directory.members_of(directory.ordinals_of(*ordinal).into_iter())),
        };
        Ok((joined.len(), joined.iter().take(limit).map(machine).collect()))
    }

    /// How many machines each rule had a part in making one, by its number; those with none are not among
    /// them.
    pub fn machine_rule_sizes(&self, tenant: TenantId) -> Result<BTreeMap<u32, usize>, Error> {
        let directory = self.known().directory(tenant)?;
        let directory = read_lock(&directory);
        let mut sizes = BTreeMap::new();
        for rule in directory.rules_of_joined() {
            *sizes.entry(rule).or_default() += 1;
        }
        Ok(sizes)
    }

    /// What a rule of this number would do beside the others that count, in the place of one that has the
    /// number: the first `limit` of what it would and would not join. Changes nothing.
    pub fn preview_machine_rule(
        &self,
        tenant: TenantId,
        number: u32,
        rule: MachineRule,
        limit: usize,
    ) -> Result<MachineRulePreview, Error> {
        let shared = self.known().directory(tenant)?;
        let named = match &rule {
            MachineRule::Machines(machines) => machines.ids.clone(),
            MachineRule::Names(_) => Vec::new(),
        };
        let (rules, all) = {
            let directory = read_lock(&shared);
            let none = MachineRules::none();
            let rules = directory.machine_rules().unwrap_or(&none);
            (rules.with(number, rule), directory.next_ordinal())
        };
        let mut matching = Matching::new(Arc::new(rules));
        let (mut next, mut known) = (0, BTreeSet::new());
        while next < all {
            let directory = read_lock(&shared);
            let until = next.saturating_add(u32::try_from(AT_ONCE).unwrap_or(u32::MAX)).min(all);
            for ordinal in next..until {
                for member in directory.members_of([ordinal].into_iter()) {
                    let id = as_kept(member.traits.id.clone());
                    known.extend([id].into_iter().filter(|id| named.contains(id)));
                    matching.learn(ordinal, Some(member.traits));
                }
            }
            next = until;
        }
        let mut joined: Vec<Group> = matching.joined();
        joined.retain(|group| group.rules.contains(&number));
        let mut refused: Vec<Refusal> = matching.refusals();
        refused.retain(|refusal| refusal.rule == number);
        let directory = read_lock(&shared);
        let id = |group: &Group| directory.own(group.canonical).map(|machine| machine.id.clone());
        joined.sort_by_cached_key(id);
        Ok(MachineRulePreview {
            joined: joined.len(),
            refused: refused.len(),
            machines: joined.into_iter().take(limit).filter_map(|group| shown(&directory, group)).collect(),
            refusals: refused
                .into_iter()
                .take(limit)
                .map(|refusal| not_joined(&directory, refusal))
                .collect(),
            unknown: named.into_iter().filter(|id| !known.contains(id)).collect(),
        })
    }

    /// All ids of the machine of an id or a name, ascending, if the caller may see it; `None`: no such
    /// machine, or not for this caller.
    pub fn machine_ids(&self, scope: &Scope, id_or_name: &str) -> Result<Option<Vec<MachineId>>, Error> {
        let window = self.machine_window(scope.tenant());
        let directory = self.known().directory(scope.tenant())?;
        let directory = read_lock(&directory);
        let machine = directory.find(scope, window, id_or_name);
        Ok(machine.and_then(|machine| Some(directory.ids(directory.ordinal(&machine.id)?))))
    }
}

fn shown(directory: &Directory, group: Group) -> Option<JoinedMachine> {
    let id = directory.own(group.canonical)?.id.clone();
    let members = told(directory.members_of(group.members.into_iter()));
    Some(JoinedMachine { id, rules: group.rules, members })
}

fn not_joined(directory: &Directory, refusal: Refusal) -> NotJoined {
    let machines = told(directory.members_of(refusal.machines.into_iter()));
    NotJoined { name: refusal.name.into(), machines, why: refusal.why }
}

fn told(members: Vec<Member<'_>>) -> Vec<MachineMember> {
    let member = |Member { machine, traits }: Member<'_>| MachineMember {
        id: traits.id,
        name: machine.name.clone(),
        kind: traits.kind,
        last_seen: machine.entity().span.map(|span| span.last),
    };
    members.into_iter().map(member).collect()
}
