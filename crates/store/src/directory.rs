//! A tenant's machines in memory: what is known of each, and its JSON as the API gives it kept
//! rendered, so that a list of machines is a copy and not a serialisation. Derived from the base
//! when the store opens; machines are numbered in the order in which they were first seen, and
//! answers never show that order.

mod all;
mod blocks;
mod groups;
mod joined;
mod joins;
mod list;
mod matching;
mod regroup;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

use pintle_model::{Change, MachineId, Time, shapes};

use crate::device_group::{DeviceGroups, GroupLabel, may_move};
use crate::entity::{Entity, most};
use crate::machine_rule::MachineRules;
use crate::render::RenderedMachine;
use crate::{Page, Scope};
pub(crate) use all::Directories;
use blocks::{Block, Blocks};
pub(crate) use groups::Grouping;
use joined::Joined;
pub(crate) use joined::{Member, rejoin};
pub(crate) use joins::Joins;
pub use list::MachineList;
pub(crate) use matching::{Group, Matching, Refusal};
pub(crate) use regroup::regroup;

/// A tenant's directory as the store shares it: read for as long as it takes to write a piece of an
/// answer, never while a client is waited for.
pub(crate) type SharedDirectory = Arc<RwLock<Directory>>;

/// The machines of one tenant.
#[derive(Default)]
pub(crate) struct Directory {
    /// By ordinal, each as its source knows it; `None` where a machine was forgotten.
    machines: Vec<Option<Machine>>,
    grouping: Grouping,
    /// Which of them are one machine with others.
    joined: Joined,
    /// Machines that came, changed or went while all get other groups ([`regroup()`]).
    changed: Option<BTreeSet<u32>>,
    by_id: BTreeMap<MachineId, u32>,
    by_name: HashMap<String, Vec<u32>>,
    /// Made by the first who asks after machines came or went.
    order: OnceLock<Order>,
}

/// The order of the machines' ids.
struct Order {
    /// Ordinals; of machines that are one, that of the id by which they go.
    ordinals: Vec<u32>,
    /// By ordinal, the place of the machine in `ordinals`.
    ranks: Vec<u32>,
    /// Their JSON in this order.
    blocks: Blocks,
}

/// One machine.
pub(crate) struct Machine {
    pub(crate) id: MachineId,
    pub(crate) name: Option<String>,
    entity: Entity,
    /// What it shows of its device group; `None`: what telemetry says.
    label: Option<Arc<GroupLabel>>,
    rendered: RenderedMachine,
}

impl Machine {
    fn new(id: MachineId, entity: Entity, label: Option<Arc<GroupLabel>>) -> Machine {
        let (name, rendered) = (name(&entity), RenderedMachine::new(&id, &entity, label.as_deref()));
        Machine { id, name, entity, label, rendered }
    }

    fn render(&mut self) {
        self.rendered = RenderedMachine::new(&self.id, &self.entity, self.label.as_deref());
    }

    /// What is known of it.
    pub(crate) fn entity(&self) -> &Entity {
        &self.entity
    }

    fn last_seen(&self) -> Option<Time> {
        self.entity.span.map(|span| span.last)
    }

    /// Whether it was seen within the window; without a window, or without a time of its own, it
    /// always was.
    pub(crate) fn is_recent(&self, Window { now, length }: Window) -> bool {
        match (self.last_seen(), length) {
            (Some(last), Some(length)) => last >= now - length,
            _ => true,
        }
    }

    /// Appends its JSON object with a comma before it.
    fn write(&self, now: Time, out: &mut Vec<u8>) {
        self.rendered.write(now, out);
    }

    /// The members of its JSON object.
    pub(crate) fn members(&self, now: Time) -> String {
        let mut object = Vec::new();
        self.write(now, &mut object);
        let members = object.strip_prefix(b",{").and_then(|rest| rest.strip_suffix(b"}"));
        String::from_utf8_lossy(members.unwrap_or_default()).into_owned()
    }
}

fn name(entity: &Entity) -> Option<String> {
    entity.facts.text(shapes::machine::COMPUTER_DNS_NAME)
}

/// How a machine is counted as recent, with the clock's reading.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    pub(crate) now: Time,
    pub(crate) length: Option<Duration>,
}

impl Directory {
    /// No machines yet; those that come are in these groups, and one by these rules.
    pub(crate) fn new(groups: Arc<DeviceGroups>, rules: Arc<MachineRules>) -> Directory {
        Directory { grouping: Grouping::new(groups), joined: Joined::new(rules), ..Directory::default() }
    }

    /// Gives none of the ordinals below this to a new machine: some may have named others once.
    pub(crate) fn start_at(&mut self, next: u32) {
        let next = place(next);
        if self.machines.len() < next {
            self.machines.resize_with(next, || None);
        }
    }

    /// The ordinals that name a machine.
    pub(crate) fn ordinals(&self) -> impl Iterator<Item = u32> {
        (0..).zip(&self.machines).filter(|(_, machine)| machine.is_some()).map(|(ordinal, _)| ordinal)
    }

    /// The ordinal of the next new machine.
    pub(crate) fn next_ordinal(&self) -> u32 {
        u32::try_from(self.machines.len()).unwrap_or(u32::MAX)
    }

    /// The machines whose ids come after this one, ascending; all without one.
    pub(crate) fn after(&self, id: Option<&MachineId>) -> impl Iterator<Item = &Machine> {
        let from = id.map_or(Bound::Unbounded, Bound::Excluded);
        let all = self.by_id.range::<MachineId, _>((from, Bound::Unbounded)).map(|(_, ordinal)| *ordinal);
        all.filter(|ordinal| self.is_canonical(*ordinal)).filter_map(|ordinal| self.get(ordinal))
    }

    /// The device groups of all machines that lie in the window.
    pub(crate) fn groups_of_recent(&self, window: Window) -> impl Iterator<Item = u32> {
        let all = self.ordinals().filter(|ordinal| self.is_canonical(*ordinal));
        let recent =
            all.filter(move |ordinal| self.get(*ordinal).is_some_and(|machine| machine.is_recent(window)));
        recent.filter_map(|ordinal| self.grouping.group(ordinal))
    }

    pub(crate) fn ordinal(&self, id: &MachineId) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    /// The same of an id as telemetry names it.
    pub(crate) fn ordinal_of(&self, id: &str) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    /// Puts a machine in its place, whatever stood there.
    pub(crate) fn put(&mut self, ordinal: u32, id: MachineId, entity: Entity) {
        self.start_at(ordinal.saturating_add(1));
        let place = place(ordinal);
        if self.own(ordinal).is_some_and(|known| known.id != id) {
            self.forget(ordinal);
        }
        let group = self.grouping.groups().group_of(&entity);
        let machine = Machine::new(id, entity, self.grouping.groups().label(group).cloned());
        if !self.by_id.contains_key(&machine.id) {
            self.by_id.insert(machine.id.clone(), ordinal);
            self.order.take();
        }
        let name = machine.name.clone();
        let old = self.machines.get_mut(place).and_then(|slot| slot.replace(machine));
        self.rename(ordinal, old.and_then(|old| old.name), name);
        if self.is_joined(ordinal) {
            self.heard_of_member(ordinal);
        } else {
            self.put_in_group(ordinal, Some(group));
        }
        self.match_again(ordinal, false);
        self.outdate(ordinal);
    }

    /// Notes what a batch says of a machine. Returns whether that changed anything, so that the
    /// base has to hear of it. Nearly always it is seen again and nothing else; that costs no
    /// rendering.
    pub(crate) fn note(&mut self, ordinal: u32, change: Entity) -> bool {
        let is_joined = self.is_joined(ordinal);
        let Some(machine) = self.machines.get_mut(place(ordinal)).and_then(Option::as_mut) else {
            return false;
        };
        let seen = machine.last_seen();
        let (groups, may_move) = (self.grouping.groups(), may_move(&machine.entity, &change));
        match machine.entity.merge(change, most::ADAPTERS) {
            Change::Nothing => return false,
            Change::Time => {
                if let Some(last) = machine.last_seen().filter(|last| Some(*last) != seen) {
                    machine.rendered.set_last_seen(last);
                }
            }
            Change::Value => {
                let group = (may_move && !is_joined).then(|| groups.group_of(&machine.entity));
                if let Some(group) = group {
                    machine.label = groups.label(group).cloned();
                }
                machine.render();
                let name = name(&machine.entity);
                let old = std::mem::replace(&mut machine.name, name.clone());
                self.rename(ordinal, old, name);
                if group.is_some() {
                    self.put_in_group(ordinal, group);
                }
                self.match_again(ordinal, false);
            }
        }
        if is_joined {
            self.heard_of_member(ordinal);
        }
        self.outdate(ordinal);
        true
    }

    /// Takes a machine out. Its ordinal names nothing from then on.
    pub(crate) fn forget(&mut self, ordinal: u32) {
        self.part(ordinal);
        self.match_again(ordinal, true);
        let Some(machine) = self.machines.get_mut(place(ordinal)).and_then(Option::take) else { return };
        self.by_id.remove(&machine.id);
        self.rename(ordinal, machine.name, None);
        self.put_in_group(ordinal, None);
        self.order.take();
    }

    fn rename(&mut self, ordinal: u32, old: Option<String>, new: Option<String>) {
        if old == new {
            return;
        }
        if let Some(name) = old.map(|name| name.to_lowercase())
            && let Some(ordinals) = self.by_name.get_mut(&name)
        {
            ordinals.retain(|other| *other != ordinal);
            if ordinals.is_empty() {
                self.by_name.remove(&name);
            }
        }
        if let Some(name) = new {
            self.by_name.entry(name.to_lowercase()).or_default().push(ordinal);
        }
    }

    fn put_in_group(&mut self, ordinal: u32, group: Option<u32>) {
        self.grouping.put(ordinal, group);
        if let Some(changed) = &mut self.changed {
            changed.insert(ordinal);
        }
    }

    /// Which device groups the machines are in now.
    pub(crate) fn grouping(&self) -> &Grouping {
        &self.grouping
    }

    /// Whether the caller may see the machine of an ordinal.
    pub(crate) fn is_visible(&self, scope: &Scope, ordinal: u32) -> bool {
        self.grouping.sees(scope, ordinal)
    }

    /// The machine of this id, else the one of this name that was seen last.
    pub(crate) fn find(&self, scope: &Scope, window: Window, id_or_name: &str) -> Option<&Machine> {
        self.find_by_id(scope, window, id_or_name).or_else(|| {
            let name = id_or_name.to_lowercase();
            let ordinals = self.by_name.get(&name)?.iter().filter(|ordinal| self.goes_by(**ordinal, &name));
            let named = ordinals.filter_map(|ordinal| self.there(scope, window, *ordinal));
            named.max_by(|one, other| {
                one.last_seen().cmp(&other.last_seen()).then_with(|| other.id.cmp(&one.id))
            })
        })
    }

    /// The machine of this id, as it is written or in lower case.
    pub(crate) fn find_by_id(&self, scope: &Scope, window: Window, id: &str) -> Option<&Machine> {
        let by_id = |text: &str| self.there(scope, window, self.ordinal(&text.parse().ok()?)?);
        by_id(id).or_else(|| by_id(&id.to_lowercase()))
    }

    /// The machine of this ordinal, if the caller may see it and it lies in the window.
    fn there(&self, scope: &Scope, window: Window, ordinal: u32) -> Option<&Machine> {
        let machine = self.get(ordinal).filter(|machine| machine.is_recent(window));
        machine.filter(|_| self.is_visible(scope, ordinal))
    }

    /// All machines that the caller may see and that lie in the window, in the order of their ids.
    pub(crate) fn all(&self, scope: &Scope, window: Window, page: Page) -> Vec<u32> {
        let is_listed = |ordinal: &u32| self.is_listed(scope, window, *ordinal);
        let listed = self.order().ordinals.iter().copied().filter(is_listed);
        listed.skip(page.skip).take(page.top).collect()
    }

    /// Whether a machine is one that the caller may see and that lies in the window.
    pub(crate) fn is_listed(&self, scope: &Scope, window: Window, ordinal: u32) -> bool {
        let is_recent = || self.get(ordinal).is_some_and(|machine| machine.is_recent(window));
        self.is_visible(scope, ordinal) && (window.length.is_none() || is_recent())
    }

    /// The same if those are one that were one then, and seen by whom they were seen then if others are now.
    pub(crate) fn is_listed_as(&self, then: &Grouping, scope: &Scope, window: Window, ordinal: u32) -> bool {
        if self.joins_as(then) {
            return self.is_listed(scope, window, ordinal);
        }
        let is_recent = || self.get_as(then, ordinal).is_some_and(|machine| machine.is_recent(window));
        then.sees(scope, ordinal) && (window.length.is_none() || is_recent())
    }

    /// Those of some machines that the caller may see and that lie in the window, each once, in the order
    /// of their ids; those are one that were one then.
    pub(crate) fn some(
        &self,
        then: &Grouping,
        scope: &Scope,
        window: Window,
        ordinals: impl ExactSizeIterator<Item = u32>,
        page: Page,
    ) -> Vec<u32> {
        if !self.joins_as(then) {
            let canonical: BTreeSet<u32> = ordinals.map(|ordinal| then.joins().canonical(ordinal)).collect();
            let listed = canonical.into_iter().filter(|one| self.is_listed_as(then, scope, window, *one));
            let with_id = listed.filter_map(|ordinal| Some((&self.own(ordinal)?.id, ordinal)));
            let listed: BTreeMap<&MachineId, u32> = with_id.collect();
            return listed.into_values().skip(page.skip).take(page.top).collect();
        }
        let order = self.order();
        let few = ordinals.len() * FEW < order.ordinals.len();
        let ranks = ordinals.filter_map(|ordinal| {
            let rank = order.ranks.get(place(ordinal)).filter(|rank| **rank != NO_RANK)?;
            self.is_listed(scope, window, ordinal).then_some(*rank)
        });
        let ordinal = |rank: u32| order.ordinals.get(place(rank)).copied();
        if few {
            let mut ranks: Vec<u32> = ranks.collect();
            ranks.sort_unstable();
            ranks.dedup();
            return ranks.into_iter().filter_map(ordinal).skip(page.skip).take(page.top).collect();
        }
        let mut bits = vec![0u64; order.ordinals.len().div_ceil(64)];
        for rank in ranks {
            if let Some(word) = bits.get_mut(place(rank / 64)) {
                *word |= 1 << (rank % 64);
            }
        }
        let mut listed = Vec::with_capacity(bits.iter().map(|word| place(word.count_ones())).sum());
        listed.extend(set_bits(&bits).filter_map(ordinal).skip(page.skip).take(page.top));
        listed
    }

    /// The place of a machine in the order of ids; `None` if there is none of this ordinal.
    fn rank(&self, ordinal: u32) -> Option<usize> {
        self.order().ranks.get(place(ordinal)).filter(|rank| **rank != NO_RANK).map(|rank| place(*rank))
    }

    /// Those at the start of a list that lie in one block; `None` at the end of the list.
    fn run(&self, list: &[u32]) -> Option<Run> {
        // What was forgotten since lies in the block of whatever is before it.
        let gone = list.iter().take_while(|ordinal| self.rank(**ordinal).is_none()).count();
        let block = match list.get(gone).and_then(|first| self.rank(*first)) {
            Some(first) => first / blocks::MACHINES,
            None => {
                return (!list.is_empty()).then_some(Run {
                    length: list.len(),
                    block: 0,
                    is_whole_block: false,
                });
            }
        };
        let ordinals = self.order().ordinals.chunks(blocks::MACHINES).nth(block).unwrap_or_default();
        if list.starts_with(ordinals) {
            return Some(Run { length: ordinals.len(), block, is_whole_block: true });
        }
        let is_in = |ordinal: &&u32| self.rank(**ordinal).is_none_or(|rank| rank / blocks::MACHINES == block);
        Some(Run { length: list.iter().take_while(is_in).count(), block, is_whole_block: false })
    }

    /// A block of machines.
    fn joined(&self, block: usize, now: Time) -> Option<Block> {
        let order = self.order();
        let ordinals = order.ordinals.chunks(blocks::MACHINES).nth(block)?;
        order.blocks.joined(block, now, ordinals.iter().filter_map(|ordinal| self.get(*ordinal)))
    }

    /// A machine's JSON is another one now.
    fn outdate(&mut self, ordinal: u32) {
        if let Some(Order { ranks, blocks, .. }) = self.order.get_mut()
            && let Some(rank) = ranks.get(place(ordinal))
        {
            blocks.give_up(place(*rank) / blocks::MACHINES);
        }
    }

    fn order(&self) -> &Order {
        self.order.get_or_init(|| {
            let all = self.by_id.values().copied();
            let ordinals: Vec<u32> = all.filter(|ordinal| self.is_canonical(*ordinal)).collect();
            let mut ranks = vec![NO_RANK; self.machines.len()];
            for (rank, ordinal) in (0..).zip(&ordinals) {
                if let Some(slot) = ranks.get_mut(place(*ordinal)) {
                    *slot = rank;
                }
            }
            for (ordinal, canonical) in self.grouping.joins().all() {
                let rank = ranks.get(place(canonical)).copied().unwrap_or(NO_RANK);
                if let Some(slot) = ranks.get_mut(place(ordinal)) {
                    *slot = rank;
                }
            }
            Order { blocks: Blocks::of(ordinals.len()), ordinals, ranks }
        })
    }
}

/// Some machines of a list that lie in one block.
struct Run {
    /// How many, those counted that were forgotten since.
    length: usize,
    block: usize,
    /// Whether they are all of it.
    is_whole_block: bool,
}

/// The rank of an ordinal that names no machine.
const NO_RANK: u32 = u32::MAX;

/// One in so many machines are few: to sort them is quicker than to mark them among all.
const FEW: usize = 256;

/// The places of the bits that are set, ascending.
fn set_bits(words: &[u64]) -> impl Iterator<Item = u32> {
    (0u32..).step_by(64).zip(words).flat_map(|(first, word)| {
        let mut word = *word;
        std::iter::from_fn(move || {
            let bit = (word != 0).then(|| word.trailing_zeros())?;
            word &= word - 1;
            Some(first + bit)
        })
    })
}

fn place(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
