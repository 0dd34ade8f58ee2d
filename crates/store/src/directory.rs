//! A tenant's machines in memory, each with its JSON as the API gives it kept rendered, so that
//! a list of machines is a copy and not a serialisation. Derived from the base when the store
//! opens; machines are numbered in the order in which they were first seen, and answers never
//! show that order.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use pintle_model::{MachineId, TenantId, Time};

use crate::entity::{Entity, most};
use crate::render::{RenderedMachine, render_machine};
use crate::{Page, Scope};

/// The directories of all tenants.
#[derive(Default)]
pub(crate) struct Directories(RwLock<HashMap<TenantId, Arc<RwLock<Directory>>>>);

impl Directories {
    pub(crate) fn new(directories: HashMap<TenantId, Directory>) -> Directories {
        let shared =
            directories.into_iter().map(|(tenant, directory)| (tenant, Arc::new(RwLock::new(directory))));
        Directories(RwLock::new(shared.collect()))
    }

    /// A tenant's directory; a new one for a new tenant.
    pub(crate) fn of(&self, tenant: TenantId) -> Arc<RwLock<Directory>> {
        if let Some(known) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&tenant) {
            return Arc::clone(known);
        }
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(tenant).or_default())
    }
}

/// The machines of one tenant.
#[derive(Default)]
pub(crate) struct Directory {
    by_ordinal: Vec<Option<Machine>>,
    by_id: BTreeMap<MachineId, u32>,
    by_name: HashMap<String, Vec<u32>>,
    /// Each machine's place in the order of ids; made anew when a machine was added.
    ranks: Vec<u32>,
    /// The machines in the order of ids.
    order: Vec<u32>,
}

/// One machine.
pub(crate) struct Machine {
    pub(crate) id: MachineId,
    entity: Entity,
    pub(crate) name: Option<String>,
    group: Option<String>,
    last_seen: Option<Time>,
    json: RenderedMachine,
}

impl Machine {
    fn new(id: MachineId, entity: Entity) -> Machine {
        Machine {
            name: entity.facts.text(pintle_model::shapes::machine::COMPUTER_DNS_NAME),
            group: entity.facts.text(pintle_model::shapes::machine::RBAC_GROUP_NAME),
            last_seen: entity.span.map(|span| span.last),
            json: render_machine(&id, &entity),
            id,
            entity,
        }
    }

    pub(crate) fn entity(&self) -> &Entity {
        &self.entity
    }

    /// Whether the caller may see it.
    pub(crate) fn is_visible(&self, scope: &Scope) -> bool {
        scope.sees(self.group.as_deref())
    }

    /// Whether it was seen within the window; without a window, or without a time of its own, it
    /// always was.
    fn is_recent(&self, now: Time, window: Option<Duration>) -> bool {
        match (self.last_seen, window) {
            (Some(last), Some(window)) => last >= now - window,
            _ => true,
        }
    }

    /// Appends the members of its JSON object.
    pub(crate) fn write_members(&self, now: Time, out: &mut Vec<u8>) {
        self.json.write(self.last_seen, now, out);
    }
}

/// How a machine is counted as recent, with the clock's reading.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    pub(crate) now: Time,
    pub(crate) length: Option<Duration>,
}

impl Directory {
    pub(crate) fn next_ordinal(&self) -> u32 {
        u32::try_from(self.by_ordinal.len()).unwrap_or(u32::MAX)
    }

    /// None of the ordinals below is given to a new machine.
    pub(crate) fn keep_free_below(&mut self, next: u32) {
        let next = usize::try_from(next).unwrap_or(usize::MAX);
        if self.by_ordinal.len() < next {
            self.by_ordinal.resize_with(next, || None);
        }
    }

    pub(crate) fn note(&mut self, ordinal: u32, change: Entity) -> bool {
        let Some(machine) = self.get(ordinal) else { return false };
        let (id, mut entity) = (machine.id.clone(), machine.entity.clone());
        let changed = entity.merge(change, most::ADAPTERS);
        if changed {
            self.put(ordinal, id, entity);
        }
        changed
    }

    pub(crate) fn ordinal(&self, id: &MachineId) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    pub(crate) fn get(&self, ordinal: u32) -> Option<&Machine> {
        self.by_ordinal.get(usize::try_from(ordinal).ok()?)?.as_ref()
    }

    /// Puts a machine in its place: a known one anew, or the next one.
    pub(crate) fn put(&mut self, ordinal: u32, id: MachineId, entity: Entity) {
        let machine = Machine::new(id, entity);
        let Ok(place) = usize::try_from(ordinal) else { return };
        if let Some(Some(known)) = self.by_ordinal.get_mut(place) {
            let old = std::mem::replace(known, machine);
            let (old, new) = (old.name, known.name.clone());
            if old != new {
                self.forget_name(old, ordinal);
                self.learn_name(new, ordinal);
            }
            return;
        }
        self.learn_name(machine.name.clone(), ordinal);
        self.by_id.insert(machine.id.clone(), ordinal);
        self.keep_free_below(ordinal + 1);
        if let Some(slot) = self.by_ordinal.get_mut(place) {
            *slot = Some(machine);
        }
    }

    fn learn_name(&mut self, name: Option<String>, ordinal: u32) {
        if let Some(name) = name {
            self.by_name.entry(name.to_lowercase()).or_default().push(ordinal);
        }
    }

    fn forget_name(&mut self, name: Option<String>, ordinal: u32) {
        let Some(name) = name.map(|name| name.to_lowercase()) else { return };
        if let Some(ordinals) = self.by_name.get_mut(&name) {
            ordinals.retain(|other| *other != ordinal);
            if ordinals.is_empty() {
                self.by_name.remove(&name);
            }
        }
    }

    /// To be called after machines were put and before the directory is read again.
    pub(crate) fn settle(&mut self) {
        if self.order.len() == self.by_id.len() {
            return;
        }
        self.order = self.by_id.values().copied().collect();
        self.ranks = vec![0; self.by_ordinal.len()];
        for (rank, ordinal) in (0u32..).zip(&self.order) {
            let place = usize::try_from(*ordinal).unwrap_or(usize::MAX);
            if let Some(slot) = self.ranks.get_mut(place) {
                *slot = rank;
            }
        }
    }

    /// The machine of this id, else the one of this name that was seen last.
    pub(crate) fn find(&self, scope: &Scope, window: Window, id_or_name: &str) -> Option<&Machine> {
        let is_there =
            |machine: &&Machine| machine.is_visible(scope) && machine.is_recent(window.now, window.length);
        let by_id = |text: &str| self.get(self.ordinal(&text.parse().ok()?)?);
        let lower = id_or_name.to_lowercase();
        by_id(id_or_name).filter(is_there).or_else(|| by_id(&lower).filter(is_there)).or_else(|| {
            let named = self.by_name.get(&lower)?.iter().filter_map(|ordinal| self.get(*ordinal));
            named
                .filter(is_there)
                .max_by(|one, other| one.last_seen.cmp(&other.last_seen).then_with(|| other.id.cmp(&one.id)))
        })
    }

    /// Writes the machines of these ordinals that the caller may see, ascending by id, as
    /// `{…},{…}`. Returns how many.
    pub(crate) fn write_some(
        &self,
        scope: &Scope,
        now: Time,
        ordinals: impl Iterator<Item = u32>,
        page: Page,
        out: &mut Vec<u8>,
    ) -> usize {
        let visible = self.ranked(scope, ordinals);
        let machines = visible.into_iter().filter_map(|(_, ordinal)| self.get(ordinal));
        write_list(machines.skip(page.skip).take(page.top), now, out)
    }

    /// These machines, if visible, in the order of their ids.
    pub(crate) fn in_order(&self, scope: &Scope, ordinals: impl Iterator<Item = u32>) -> Vec<u32> {
        self.ranked(scope, ordinals).into_iter().map(|(_, ordinal)| ordinal).collect()
    }

    fn ranked(&self, scope: &Scope, ordinals: impl Iterator<Item = u32>) -> Vec<(u32, u32)> {
        let mut ranked: Vec<(u32, u32)> = ordinals
            .filter_map(|ordinal| {
                let place = usize::try_from(ordinal).ok()?;
                let visible = scope.sees_all() || self.by_ordinal.get(place)?.as_ref()?.is_visible(scope);
                let rank = self.ranks.get(place).filter(|_| visible)?;
                Some((*rank, ordinal))
            })
            .collect();
        ranked.sort_unstable();
        ranked
    }

    /// Writes all machines that the caller may see and that lie in the window, ascending by id.
    pub(crate) fn write_all(&self, scope: &Scope, window: Window, page: Page, out: &mut Vec<u8>) -> usize {
        let listed = self
            .order
            .iter()
            .filter_map(|ordinal| self.get(*ordinal))
            .filter(|machine| machine.is_visible(scope) && machine.is_recent(window.now, window.length));
        write_list(listed.skip(page.skip).take(page.top), window.now, out)
    }
}

fn write_list<'m>(machines: impl Iterator<Item = &'m Machine>, now: Time, out: &mut Vec<u8>) -> usize {
    let mut written = 0;
    for machine in machines {
        out.extend_from_slice(if written == 0 { b"{" } else { b",{" });
        machine.write_members(now, out);
        out.push(b'}');
        written += 1;
    }
    written
}
