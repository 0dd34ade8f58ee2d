//! Machines that are one. Each stays what its source says of it, under its own ordinal: that is all the base
//! hears of. What is answered of any of them is the one machine that they are together; that is put together
//! here, when somebody first asks, and given up when something is heard of one of them.
//!
//! Who goes from ordinals to machines, or counts them, goes by what is here: [`Directory::get`] gives the
//! one machine for every ordinal of it, and the order of ids has it once; [`Joins`] says which ordinals are
//! one, for what was counted by ordinal. Without rules none of it costs anything.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use pintle_model::{MachineId, MemberId};

use super::joins::Members;
use super::matching::{Group, Matching};
use super::regroup::{slices, write_lock};
use super::{Directory, Grouping, Joins, Machine, SharedDirectory, place};
use crate::device_group::DeviceGroups;
use crate::entity::{Entity, MemberEntity};
use crate::filter::folded;
use crate::machine_rule::{MachineRules, Traits};
use crate::{Filter, Rejoined};

/// What makes machines one, and those that are.
#[derive(Default)]
pub(super) struct Joined {
    /// `None`: there are no rules.
    matching: Option<Box<Matching>>,
    /// What counts once it has heard of all machines ([`rejoin`]).
    next: Option<Box<Matching>>,
    /// By canonical ordinal.
    machines: HashMap<u32, Join>,
}

impl Joined {
    pub(super) fn new(rules: Arc<MachineRules>) -> Joined {
        let matching = (!rules.is_none()).then(|| Box::new(Matching::new(rules)));
        Joined { matching, ..Joined::default() }
    }
}

/// A machine of several.
struct Join {
    /// The numbers of the rules that made it, ascending.
    rules: Vec<u32>,
    machine: OnceLock<Machine>,
}

/// A machine as it is answered: kept so, or made for the answer.
pub(crate) enum Answered<'d> {
    Kept(&'d Machine),
    Made(Box<Machine>),
}

impl Deref for Answered<'_> {
    type Target = Machine;

    fn deref(&self) -> &Machine {
        match self {
            Answered::Kept(machine) => machine,
            Answered::Made(machine) => machine,
        }
    }
}

/// A machine that is one with others, for people.
pub(crate) struct Member<'d> {
    pub(crate) machine: &'d Machine,
    pub(crate) traits: Traits,
}

/// Lets these rules count for all machines, while they are asked about and heard of: who belongs with whom
/// is worked out beside what counts, and then all change at one moment. Only one may do so at a time, and
/// nobody may regroup meanwhile.
pub(crate) fn rejoin(directory: &SharedDirectory, rules: &Arc<MachineRules>) -> Rejoined {
    let all = {
        let mut directory = write_lock(directory);
        // From here on it hears what is new.
        directory.joined.next = Some(Box::new(Matching::new(Arc::clone(rules))));
        directory.next_ordinal()
    };
    for slice in slices(if rules.is_none() { 0 } else { all }) {
        let mut directory = write_lock(directory);
        for ordinal in slice {
            let traits = directory.own(ordinal).map(Machine::traits);
            if let (Some(next), Some(traits)) = (&mut directory.joined.next, traits) {
                next.learn(ordinal, Some(traits));
            }
        }
    }
    let mut directory = write_lock(directory);
    directory.joined.matching = directory.joined.next.take().filter(|_| !rules.is_none());
    directory.join_all();
    let joins = directory.grouping.joins();
    Rejoined { machines: directory.count(), joined: joins.machines() }
}

impl Machine {
    /// What rules look at of it.
    fn traits(&self) -> Traits {
        Traits::of(&self.id, &self.entity)
    }
}

impl Directory {
    /// The machine of an ordinal as its source knows it, whatever it is one with.
    pub(crate) fn own(&self, ordinal: u32) -> Option<&Machine> {
        self.machines.get(place(ordinal))?.as_ref()
    }

    /// The machine of an ordinal as it is answered.
    pub(crate) fn get(&self, ordinal: u32) -> Option<&Machine> {
        if self.joined.machines.is_empty() {
            return self.own(ordinal);
        }
        let canonical = self.grouping.joins().canonical(ordinal);
        let Some(join) = self.joined.machines.get(&canonical) else { return self.own(ordinal) };
        let id = &self.own(canonical)?.id;
        Some(join.machine.get_or_init(|| {
            let label = self.grouping.label(canonical).cloned();
            let members = self.grouping.joins().members_of(canonical);
            let entity = members.map(|members| Entity::of_one_machine(self.entities(members)));
            Machine::new(id.clone(), entity.unwrap_or_default(), label)
        }))
    }

    /// Whether those are one now that were one then.
    pub(super) fn joins_as(&self, then: &Grouping) -> bool {
        self.grouping.joins().is(then.joins())
    }

    /// The machine of an ordinal as it is answered if those are one that were one then, with what is known
    /// of them now: an answer that takes long is about one moment of the rules.
    pub(crate) fn get_as(&self, then: &Grouping, ordinal: u32) -> Option<Answered<'_>> {
        let (was, is) = (then.joins().members_of(ordinal), self.grouping.joins().members_of(ordinal));
        let is_as_then = match (was, is) {
            (Some(was), Some(is)) => Arc::ptr_eq(was, is),
            (was, is) => was.is_none() && is.is_none(),
        };
        if is_as_then {
            return self.get(ordinal).map(Answered::Kept);
        }
        let canonical = then.joins().canonical(ordinal);
        let Machine { id, entity, .. } = self.own(canonical)?;
        let of_all = was.map(|members| Entity::of_one_machine(self.entities(members)));
        let entity = of_all.unwrap_or_else(|| entity.clone());
        let machine = Machine::new(id.clone(), entity, then.label(canonical).cloned());
        Some(Answered::Made(Box::new(machine)))
    }

    /// Whether a machine goes by the name, in lower case, that an ordinal of it has: one whose word does not
    /// decide gives it none but the one that it shows.
    pub(super) fn goes_by(&self, ordinal: u32, name: &str) -> bool {
        let decides = |members: &Arc<Members>| members.deciding.contains(&ordinal);
        let shows = || self.get(ordinal)?.name.as_ref().map(|shown| shown.to_lowercase());
        self.grouping.joins().members_of(ordinal).is_none_or(decides) || shows().as_deref() == Some(name)
    }

    /// How many machines there are.
    pub(crate) fn count(&self) -> usize {
        self.by_id.len() - self.grouping.joins().others()
    }

    /// Whether a machine goes by this ordinal's id.
    pub(super) fn is_canonical(&self, ordinal: u32) -> bool {
        self.grouping.joins().canonical(ordinal) == ordinal
    }

    /// All ordinals of the machine of one.
    pub(crate) fn ordinals_of(&self, ordinal: u32) -> Vec<u32> {
        self.grouping.joins().members(ordinal)
    }

    /// The ids of the machine of an ordinal, ascending.
    pub(crate) fn ids(&self, ordinal: u32) -> Vec<MachineId> {
        self.ids_as(&self.grouping, ordinal)
    }

    /// The same as of then.
    pub(crate) fn ids_as(&self, then: &Grouping, ordinal: u32) -> Vec<MachineId> {
        let members = then.joins().members(ordinal).into_iter();
        let mut ids: Vec<MachineId> =
            members.filter_map(|member| Some(self.own(member)?.id.clone())).collect();
        ids.sort_unstable();
        ids
    }

    /// A filter whose `member` is a machine's id as it is meant: whichever of a machine's ids it names, the
    /// one by which the machine goes if these are one. `None`: as it is.
    pub(crate) fn meant(&self, joins: &Joins, filter: &Filter, member: MemberId) -> Option<Filter> {
        if joins.is_none() || !filter.reads(member) {
            return None;
        }
        let asked = filter.texts(member);
        let mut instead = BTreeMap::new();
        let mut note = |text: &str, ordinal: u32| {
            if let Some(machine) = self.own(joins.canonical(ordinal)) {
                instead.insert(text.to_owned(), machine.id.to_string());
            }
        };
        // They are in lower case, and few ids are not.
        let (found, others): (Vec<&str>, _) =
            asked.into_iter().partition(|text| self.ordinal_of(text).is_some());
        for text in found {
            if let Some(ordinal) = self.ordinal_of(text).filter(|ordinal| joins.has(*ordinal)) {
                note(text, ordinal);
            }
        }
        if !others.is_empty() {
            let others: BTreeSet<&str> = others.into_iter().collect();
            for (ordinal, _) in joins.all() {
                let text = self.own(ordinal).map(|machine| folded(machine.id.as_str()));
                if let Some(text) = text.filter(|text| others.contains(&**text)) {
                    note(&text, ordinal);
                }
            }
        }
        (!instead.is_empty()).then(|| filter.with_texts(member, &instead))
    }

    /// The numbers of the rules that made the machine of an ordinal; none if it is one by itself.
    pub(crate) fn rules_of(&self, ordinal: u32) -> &[u32] {
        let join = self.joined.machines.get(&self.grouping.joins().canonical(ordinal));
        join.map(|join| join.rules.as_slice()).unwrap_or_default()
    }

    /// The machines of several ids, ascending by the one by which they go, with its ordinal.
    pub(crate) fn joined_by_id(&self) -> Vec<(&MachineId, u32)> {
        let all = self.joined.machines.keys();
        let mut all: Vec<_> = all.filter_map(|ordinal| Some((&self.own(*ordinal)?.id, *ordinal))).collect();
        all.sort_unstable();
        all
    }

    /// The numbers of the rules that made each of them.
    pub(crate) fn rules_of_joined(&self) -> impl Iterator<Item = u32> {
        self.joined.machines.values().flat_map(|join| join.rules.iter().copied())
    }

    /// Some machines as their sources know them, by id.
    pub(crate) fn members_of(&self, ordinals: impl Iterator<Item = u32>) -> Vec<Member<'_>> {
        let machines = ordinals.filter_map(|ordinal| self.own(ordinal));
        let mut members: Vec<Member<'_>> =
            machines.map(|machine| Member { machine, traits: machine.traits() }).collect();
        members.sort_unstable_by(|one, other| one.machine.id.cmp(&other.machine.id));
        members
    }

    /// What each of some machines that are one says.
    fn entities<'d>(
        &'d self,
        members: &'d Members,
    ) -> impl Iterator<Item = MemberEntity<'d>> + Clone + use<'d> {
        members.all.iter().filter_map(|ordinal| {
            let Machine { id, entity, .. } = self.own(*ordinal)?;
            Some(MemberEntity { id, entity, decides: members.deciding.contains(ordinal) })
        })
    }

    /// What decides in which device group the machine of an ordinal is.
    pub(crate) fn deciding(&self, ordinal: u32) -> Option<Cow<'_, Entity>> {
        match self.grouping.joins().members_of(ordinal).filter(|members| !members.all_decide()) {
            Some(members) => Some(Cow::Owned(Entity::deciding(self.entities(members)))),
            None => self.get(ordinal).map(|machine| Cow::Borrowed(machine.entity())),
        }
    }

    /// Whether a machine is one with others.
    pub(super) fn is_joined(&self, ordinal: u32) -> bool {
        self.grouping.joins().has(ordinal)
    }

    /// Looks whether a machine belongs with others, or with others than before; or, if it is to be
    /// forgotten, whether others do.
    pub(super) fn match_again(&mut self, ordinal: u32, is_gone: bool) {
        if self.joined.matching.is_none() && self.joined.next.is_none() {
            return;
        }
        let traits = self.own(ordinal).filter(|_| !is_gone).map(Machine::traits);
        if let Some(next) = &mut self.joined.next {
            next.learn(ordinal, traits.clone());
        }
        if let Some(matching) = &mut self.joined.matching {
            let groups = matching.note(ordinal, traits);
            self.settle(groups);
        }
    }

    /// Something else is known of a machine that is one with others.
    pub(super) fn heard_of_member(&mut self, ordinal: u32) {
        let canonical = self.grouping.joins().canonical(ordinal);
        let is_asked_for =
            self.joined.machines.get(&canonical).is_some_and(|join| join.machine.get().is_some());
        // Nor is anything at stake, unless all are just getting groups.
        if !is_asked_for && self.grouping.groups().is_none() && self.changed.is_none() {
            return;
        }
        let Some(members) = self.grouping.joins().members_of(canonical).cloned() else { return };
        let entity = Entity::of_one_machine(self.entities(&members));
        let Some(join) = self.joined.machines.get_mut(&canonical) else { return };
        match join.machine.get_mut() {
            // Nearly always it was seen again and nothing else.
            Some(machine) if machine.entity.shows_the_same(&entity) => {
                let seen = machine.last_seen();
                machine.entity = entity;
                if let Some(last) = machine.last_seen().filter(|last| Some(*last) != seen) {
                    machine.rendered.set_last_seen(last);
                }
                // What decides may be another although it shows the same.
                if !members.all_decide() {
                    self.group_members(canonical, &members);
                }
            }
            _ => {
                join.machine = OnceLock::new();
                self.group_members(canonical, &members);
            }
        }
    }

    /// Puts the machine of these members in its device group.
    fn group_members(&mut self, canonical: u32, members: &Members) {
        let groups = self.grouping.groups();
        let group = match groups.is_none() {
            true => DeviceGroups::NO_GROUP,
            false => groups.group_of(&Entity::deciding(self.entities(members))),
        };
        if self.grouping.group(canonical) != Some(group)
            && let Some(join) = self.joined.machines.get_mut(&canonical)
        {
            join.machine = OnceLock::new();
        }
        self.put_all_in_group(canonical, group);
    }

    fn put_all_in_group(&mut self, canonical: u32, group: u32) {
        for member in self.grouping.joins().members(canonical) {
            self.put_in_group(member, Some(group));
        }
    }

    /// Makes machines one, or several again, as these groups say; all of whom one was with are in them.
    fn settle(&mut self, groups: Vec<Group>) {
        let new: Vec<Group> = groups.into_iter().filter(|group| !self.is_there(group)).collect();
        for member in new.iter().flat_map(|group| &group.members) {
            self.part(*member);
        }
        for group in new.into_iter().filter(|group| group.members.len() > 1) {
            self.join(group);
        }
    }

    fn is_there(&self, group: &Group) -> bool {
        match (group.members.as_slice(), self.joined.machines.get(&group.canonical)) {
            ([alone], _) => !self.is_joined(*alone),
            (members, Some(join)) => {
                join.rules == group.rules && self.grouping.joins().members(group.canonical) == members
            }
            (_, None) => false,
        }
    }

    /// Makes machines one as all rules say.
    fn join_all(&mut self) {
        let groups = self.joined.matching.as_ref().map(|matching| matching.joined()).unwrap_or_default();
        let stays: BTreeMap<u32, &Group> = groups.iter().map(|group| (group.canonical, group)).collect();
        let canonical: Vec<u32> = self.joined.machines.keys().copied().collect();
        for ordinal in canonical {
            if !stays.get(&ordinal).is_some_and(|group| self.is_there(group)) {
                self.part(ordinal);
            }
        }
        self.settle(groups);
    }

    fn join(&mut self, group: Group) {
        let canonical = group.canonical;
        self.grouping.joins_mut().insert(&group);
        let join = Join { rules: group.rules, machine: OnceLock::new() };
        self.joined.machines.insert(canonical, join);
        if let Some(members) = self.grouping.joins().members_of(canonical).cloned() {
            self.group_members(canonical, &members);
        }
        self.order.take();
    }

    /// Takes the machine of an ordinal apart: each is what its source says again.
    pub(super) fn part(&mut self, ordinal: u32) {
        let members = self.grouping.joins_mut().remove(ordinal);
        for member in &members.all {
            self.joined.machines.remove(member);
            let Some(machine) = self.machines.get_mut(place(*member)).and_then(Option::as_mut) else {
                continue;
            };
            let group = self.grouping.groups().group_of(&machine.entity);
            let label = self.grouping.groups().label(group);
            if machine.label.as_ref() != label {
                machine.label = label.cloned();
                machine.render();
            }
            self.put_in_group(*member, Some(group));
        }
        if !members.all.is_empty() {
            self.order.take();
        }
    }

    /// Machines of several show the device group that they are in now.
    pub(super) fn show_group_of_join(&mut self, ordinal: u32) {
        let label = self.grouping.label(ordinal).cloned();
        let Some(join) = self.joined.machines.get_mut(&ordinal) else { return };
        if join.machine.get().is_some_and(|machine| machine.label != label) {
            join.machine = OnceLock::new();
            self.outdate(ordinal);
        }
    }

    /// What makes machines one; `None`: nothing does.
    pub(crate) fn machine_rules(&self) -> Option<&MachineRules> {
        self.joined.matching.as_ref().map(|matching| matching.rules())
    }
}
