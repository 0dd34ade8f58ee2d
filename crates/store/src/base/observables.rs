//! What the base knows of domains, IP addresses and users.

use std::net::IpAddr;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use pintle_model::TenantId;

use super::key::{self, Table};
use super::merge::{Merge, Source};
use super::view::{SharedDelta, View, read_delta};
use super::{Base, Entry, value};
use crate::Error;
use crate::delta::TenantDelta;
use crate::entity::{Entity, most};
use crate::observable::{Observable, User};
use crate::observe;
use crate::pair::{self, Pair};
use crate::presence::Presence;

/// Observables noted, with where they were seen, before readers are let in again; and entries of a delta read
/// before the writer is.
const AT_ONCE: usize = 500;

/// What is known of an observable.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    /// What is said of it.
    pub(crate) entity: Entity,
    /// Where it was seen, ascending by ordinal.
    pub(crate) pairs: Vec<(u32, Pair)>,
}

impl Seen {
    fn of(values: &[Vec<u8>]) -> Result<Seen, Error> {
        let mut entity = Entity::default();
        let mut lists = Vec::with_capacity(values.len());
        for value in values {
            let (part, postings) = value::split_file(value)?;
            entity.merge(Entity::from_bytes(part)?, most::LOGON_TYPES);
            lists.push(value::pairs(postings)?);
        }
        Ok(Seen { entity, pairs: pair::merge(lists) })
    }
}

impl View {
    /// The entries whose keys begin so, at least as far as filters remember keys; `held` gives up to so many
    /// of a delta, those behind a key.
    fn beginning<'v>(
        &'v self,
        of: TenantId,
        prefix: Vec<u8>,
        held: impl Fn(&TenantDelta, Option<&[u8]>, usize) -> Vec<Entry> + Copy + 'v,
    ) -> Result<Merge<'v>, Error> {
        let mut sources = self.runs_beginning(&prefix)?;
        for delta in self.deltas() {
            sources.push(Source::in_pieces(move |after| {
                let delta = read_delta(delta);
                delta.tenant(of).map(|tenant| held(tenant, after, AT_ONCE)).unwrap_or_default()
            }));
        }
        Ok(Merge::of(sources, prefix))
    }

    /// The runs that may have keys that begin so, each at the first of these.
    fn runs_beginning(&self, prefix: &[u8]) -> Result<Vec<Source<'_>>, Error> {
        let runs = self.runs.iter().filter(|run| run.may_hold(key::probe(prefix)));
        runs.map(|run| Ok(Source::Run(run.from(prefix, Some(&self.cache))?))).collect()
    }

    /// The users of a machine in a delta. They do not stand in the order of their keys there, so all of them
    /// are read, but the writer is let in now and then.
    fn held_logons(&self, delta: &SharedDelta, of: TenantId, machine: u32) -> Vec<Entry> {
        let (mut entries, mut from) = (Vec::new(), Some(0));
        while let Some(user) = from {
            let delta = read_delta(delta);
            let Some(tenant) = delta.tenant(of) else { break };
            from = tenant.observables.logons_on(of, machine, user, AT_ONCE, &mut entries);
        }
        entries.sort_unstable();
        entries
    }
}

impl Base {
    /// What is known of an observable. `None`: nobody ever told of it.
    pub(crate) fn observable(&self, of: TenantId, asked: &Observable) -> Result<Option<Seen>, Error> {
        let view = self.view();
        let rest = key::observable(&view.marks, asked);
        let key = key::of(of, Table::Observables, &rest);
        let held = |delta: &TenantDelta, after: Option<&[u8]>, most: usize| {
            delta.observables.beginning(of, &rest, after, most)
        };
        let mut found = view.beginning(of, key.clone(), held)?;
        // What begins the same may follow it: a longer name of the same mark, another domain of a user.
        match found.next_group()? {
            Some((name, values)) if name == key => Seen::of(&values).map(Some),
            _ => Ok(None),
        }
    }

    /// Calls `each` with all users of a name, by domain, until it says that it has enough.
    pub(crate) fn users_named(
        &self,
        of: TenantId,
        name: &str,
        each: &mut dyn FnMut(User, Seen) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let view = self.view();
        let rest = key::users_named(&view.marks, name);
        let prefix = key::of(of, Table::Observables, &rest);
        let held = |delta: &TenantDelta, after: Option<&[u8]>, most: usize| {
            delta.observables.beginning(of, &rest, after, most)
        };
        let mut users = view.beginning(of, prefix, held)?;
        while let Some((key, values)) = users.next_group()? {
            if let Some(user) = key::read_user(&key)
                && !each(user, Seen::of(&values)?)?
            {
                break;
            }
        }
        Ok(())
    }

    /// Calls `each` with all users of a machine and what is known of them there, until it says that it
    /// has enough.
    pub(crate) fn logons_on(
        &self,
        of: TenantId,
        machine: u32,
        each: &mut dyn FnMut(User, Entity) -> bool,
    ) -> Result<(), Error> {
        let view = self.view();
        let prefix = key::logons_on(of, machine);
        let mut sources = view.runs_beginning(&prefix)?;
        sources.extend(view.deltas().map(|delta| Source::held(view.held_logons(delta, of, machine))));
        let mut logons = Merge::of(sources, prefix);
        while let Some((key, values)) = logons.next_group()? {
            if let Some((_, user)) = key::read_logon(&key)
                && !each(user, value::entity(values.iter().map(Vec::as_slice), most::LOGON_TYPES)?)
            {
                break;
            }
        }
        Ok(())
    }

    /// What is known of a user on some machines, all of it together. Ends with [`Error::Stopped`] once `stop`
    /// is set.
    pub(crate) fn logons_of(
        &self,
        of: TenantId,
        user: &User,
        machines: impl Iterator<Item = u32>,
        stop: &AtomicBool,
    ) -> Result<Entity, Error> {
        let view = self.view();
        let of_user = key::observable(&view.marks, &Observable::User(user.clone()));
        let mut known = Entity::default();
        for machine in machines {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Stopped);
            }
            let key = key::logon(of, machine, user);
            let mut sources = view.runs_beginning(&key)?;
            for delta in view.deltas() {
                let delta = read_delta(delta);
                let held = delta.tenant(of).and_then(|tenant| tenant.observables.logon(&of_user, machine));
                sources.extend(held.map(|logon| Source::held(vec![(key.clone(), logon.to_bytes())])));
            }
            let mut logons = Merge::of(sources, key.clone());
            if let Some((name, values)) = logons.next_group()?
                && name == key
            {
                known.merge(
                    value::entity(values.iter().map(Vec::as_slice), most::LOGON_TYPES)?,
                    most::LOGON_TYPES,
                );
            }
        }
        Ok(known)
    }

    /// The machines that had an address at any time, by ordinal, each with when.
    pub(crate) fn machines_at(&self, of: TenantId, address: IpAddr) -> Result<Vec<(u32, Presence)>, Error> {
        let view = self.view();
        let prefix = key::machines_at(&view.marks, of, address);
        let held = |delta: &TenantDelta, after: Option<&[u8]>, most: usize| {
            let after = after.and_then(|key| Some(key::read_address(key)?.1));
            delta.observables.machines_at(&view.marks, of, (address, after), most)
        };
        let mut machines = view.beginning(of, prefix, held)?;
        let mut found = Vec::new();
        while let Some((key, value)) = machines.next_merged()? {
            if let Some((_, ordinal)) = key::read_address(&key) {
                found.push((ordinal, value::presence(&value)?));
            }
        }
        Ok(found)
    }

    /// Takes in what a batch says of observables; `ordinals` are those of its machines.
    pub(super) fn note_observables(
        &self,
        view: &View,
        of: TenantId,
        observed: observe::Observables,
        ordinals: &[u32],
    ) {
        let ordinal = |machine: u32| ordinals.get(usize::try_from(machine).ok()?).copied();
        let hold = |delta: &SharedDelta, work: &mut dyn FnMut(&mut TenantDelta)| {
            let mut delta = delta.write().unwrap_or_else(PoisonError::into_inner);
            work(delta.tenants.entry(of).or_default());
        };
        let mut pairs: Vec<_> = observed.seen.into_iter().collect();
        pairs.sort_unstable_by_key(|((thing, _), _)| *thing);
        let mut pairs = pairs.into_iter().peekable();
        let mut logons: Vec<_> = observed.logons.into_iter().collect();
        logons.sort_unstable_by_key(|((user, _), _)| *user);
        let mut logons = logons.into_iter().peekable();
        let mut things = (0u32..).zip(observed.things).peekable();
        while things.peek().is_some() {
            hold(&view.active, &mut |held| {
                for (place, (thing, entity)) in things.by_ref().take(AT_ONCE) {
                    let held = &mut held.observables;
                    let number = held.note(&view.marks, thing, entity);
                    while let Some(((_, machine), pair)) = pairs.next_if(|((of, _), _)| *of <= place) {
                        if let Some(ordinal) = ordinal(machine) {
                            held.note_seen(number, ordinal, &pair);
                        }
                    }
                    while let Some(((_, machine), logon)) = logons.next_if(|((of, _), _)| *of <= place) {
                        if let Some(ordinal) = ordinal(machine) {
                            held.note_logon(number, ordinal, logon);
                        }
                    }
                }
            });
        }
        if !observed.addresses.is_empty() {
            hold(&view.active, &mut |held| {
                for ((address, machine), presence) in &observed.addresses {
                    if let Some(ordinal) = ordinal(*machine) {
                        held.observables.note_address(*address, ordinal, presence);
                    }
                }
            });
        }
    }
}
