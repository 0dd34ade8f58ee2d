//! Domains, IP addresses and users of a delta, who logged on where, and which machines had which address.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Bound;

use pintle_model::TenantId;

use super::at;
use super::sightings::{PAIR_BYTES, Sightings};
use crate::base::Entry;
use crate::base::key::{self, Marks, Table};
use crate::base::value;
use crate::entity::{Entity, most};
use crate::observable::Observable;
use crate::pair::Pair;
use crate::presence::Presence;

/// About what an observable with its key, an entity of a user, and an address of a machine take.
const THING_BYTES: usize = 400;
const LOGON_BYTES: usize = 600;
const ADDRESS_BYTES: usize = 200;

/// See the module.
#[derive(Default)]
pub(crate) struct Observables {
    things: Vec<(Observable, Entity)>,
    /// By what follows the table in the key, so that what begins alike is found together.
    by_key: BTreeMap<Box<[u8]>, u32>,
    sightings: Sightings,
    /// By machine's ordinal and user's number.
    logons: BTreeMap<(u32, u32), Entity>,
    /// By address and machine's ordinal.
    addresses: BTreeMap<(IpAddr, u32), Presence>,
    /// About what it takes.
    pub(super) bytes: usize,
}

impl Observables {
    /// Takes in what is said of an observable. Returns its number here.
    pub(crate) fn note(&mut self, marks: &Marks, thing: Observable, change: Entity) -> u32 {
        let key = key::observable(marks, &thing);
        if let Some(number) = self.by_key.get(key.as_slice()) {
            if let Some((_, entity)) = self.things.get_mut(at(*number)) {
                self.bytes += merged(entity, change);
            }
            return *number;
        }
        let number = u32::try_from(self.things.len()).unwrap_or(super::NONE);
        self.bytes += THING_BYTES + 2 * key.len() + text_bytes(&change);
        self.by_key.insert(key.into(), number);
        self.things.push((thing, change));
        number
    }

    /// Takes in that it was seen on a machine.
    pub(crate) fn note_seen(&mut self, thing: u32, machine: u32, seen: &Pair) {
        if self.sightings.note(thing, machine, seen) {
            self.bytes += PAIR_BYTES;
        }
    }

    /// Takes in what is said of a user on a machine.
    pub(crate) fn note_logon(&mut self, user: u32, machine: u32, change: Entity) {
        let logon = self.logons.entry((machine, user)).or_insert_with(|| {
            self.bytes += LOGON_BYTES;
            Entity::default()
        });
        self.bytes += merged(logon, change);
    }

    /// Takes in when a machine had an address.
    pub(crate) fn note_address(&mut self, address: IpAddr, machine: u32, presence: &Presence) {
        let known = self.addresses.entry((address, machine)).or_insert_with(|| {
            self.bytes += ADDRESS_BYTES;
            Presence::default()
        });
        // Each of its spans takes at least a record, of which a delta has a bounded number.
        known.merge(presence);
    }

    /// The observables whose keys begin so after the table, as a run has them, up to so many behind a whole
    /// key.
    pub(crate) fn beginning(
        &self,
        of: TenantId,
        rest: &[u8],
        after: Option<&[u8]>,
        most: usize,
    ) -> Vec<Entry> {
        let after = after.and_then(|key| Some(key::split(key)?.2));
        let from = after.map_or(Bound::Included(rest), Bound::Excluded);
        let begins = self
            .by_key
            .range::<[u8], _>((from, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(rest));
        begins.take(most).filter_map(|(key, number)| self.entry(of, key, *number)).collect()
    }

    fn entry(&self, of: TenantId, key: &[u8], number: u32) -> Option<Entry> {
        let (_, entity) = self.things.get(at(number))?;
        let value = value::file(entity, &self.sightings.of(number));
        Some((key::of(of, Table::Observables, key), value))
    }

    /// What is said on a machine of the user who has this key after the table.
    pub(crate) fn logon(&self, user: &[u8], machine: u32) -> Option<&Entity> {
        self.logons.get(&(machine, *self.by_key.get(user)?))
    }

    /// Appends users of a machine, as a run has them, in no order: up to so many, from one with this number
    /// here on. Returns the number from which there may be more.
    pub(crate) fn logons_on(
        &self,
        of: TenantId,
        machine: u32,
        from: u32,
        most: usize,
        out: &mut Vec<Entry>,
    ) -> Option<u32> {
        let mut last = None;
        let some = self.logons.range((machine, from)..=(machine, u32::MAX)).take(most);
        let some = some.inspect(|((_, user), _)| last = Some(*user));
        out.extend(some.filter_map(|logon| self.logon_entry(of, logon)));
        last?.checked_add(1)
    }

    fn logon_entry(&self, of: TenantId, ((machine, user), logon): (&(u32, u32), &Entity)) -> Option<Entry> {
        match &self.things.get(at(*user))?.0 {
            Observable::User(user) => Some((key::logon(of, *machine, user), logon.to_bytes())),
            Observable::Domain(_) | Observable::Ip(_) => None,
        }
    }

    /// The machines that had an address, as a run has them, up to so many behind an ordinal.
    pub(crate) fn machines_at(
        &self,
        marks: &Marks,
        of: TenantId,
        (address, after): (IpAddr, Option<u32>),
        most: usize,
    ) -> Vec<Entry> {
        let from = after.map_or(Bound::Included((address, 0)), |after| Bound::Excluded((address, after)));
        let machines = self.addresses.range((from, Bound::Included((address, u32::MAX))));
        let entry = |((address, machine), presence): (&(IpAddr, u32), &Presence)| {
            (key::address(marks, of, *address, *machine), presence.to_bytes())
        };
        machines.take(most).map(entry).collect()
    }

    /// All entries of one of its tables, in no order.
    pub(super) fn entries(&self, marks: &Marks, of: TenantId, table: Table) -> Vec<Entry> {
        match table {
            Table::Observables => self.beginning(of, b"", None, usize::MAX),
            Table::Logons => self.logons.iter().filter_map(|logon| self.logon_entry(of, logon)).collect(),
            Table::Addresses => {
                let entry = |((address, machine), presence): (&(IpAddr, u32), &Presence)| {
                    (key::address(marks, of, *address, *machine), presence.to_bytes())
                };
                self.addresses.iter().map(entry).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// About how many bytes the texts of an entity take.
fn text_bytes(entity: &Entity) -> usize {
    let (parts, facts) = (entity.parts.keys(), entity.facts.iter());
    parts.map(|name| name.len() + 48).sum::<usize>()
        + facts.map(|(_, fact)| fact.json.len() + 48).sum::<usize>()
}

/// Merges what is said; returns how many bytes more it takes then.
fn merged(known: &mut Entity, change: Entity) -> usize {
    let before = text_bytes(known);
    known.merge(change, most::LOGON_TYPES);
    text_bytes(known).saturating_sub(before)
}
