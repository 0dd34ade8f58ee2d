//! Which machines the things of a delta were seen on.

use std::collections::HashMap;

use super::{NONE, at};
use crate::pair::Pair;

/// About what a pair takes, in bytes.
pub(super) const PAIR_BYTES: usize = 96;

/// Pairs of a thing and a machine. Things go by their numbers in the delta, so that a repeated sighting
/// costs one look.
#[derive(Default)]
pub(super) struct Sightings {
    pairs: Vec<Held>,
    places: HashMap<(u32, u32), u32>,
    /// By thing, the pair that came last; the others hang on it.
    last: Vec<u32>,
}

struct Held {
    machine: u32,
    before: u32,
    pair: Pair,
}

impl Sightings {
    /// Takes in a sighting. Returns whether the pair is new.
    pub(super) fn note(&mut self, thing: u32, machine: u32, seen: &Pair) -> bool {
        let next = u32::try_from(self.pairs.len()).unwrap_or(NONE);
        let place = *self.places.entry((thing, machine)).or_insert(next);
        if let Some(known) = self.pairs.get_mut(at(place)) {
            known.pair.merge(seen);
            return false;
        }
        if self.last.len() <= at(thing) {
            self.last.resize(at(thing).saturating_add(1), NONE);
        }
        let Some(last) = self.last.get_mut(at(thing)) else { return false };
        self.pairs.push(Held { machine, before: *last, pair: *seen });
        *last = next;
        true
    }

    /// The pairs of a thing, the newest first.
    fn chain(&self, thing: u32) -> impl Iterator<Item = &Held> {
        let mut next = self.last.get(at(thing)).copied().unwrap_or(NONE);
        std::iter::from_fn(move || {
            let held = self.pairs.get(at(next))?;
            next = held.before;
            Some(held)
        })
    }

    /// Where a thing was seen, ascending by ordinal.
    pub(super) fn of(&self, thing: u32) -> Vec<(u32, Pair)> {
        let mut pairs: Vec<(u32, Pair)> = self.chain(thing).map(|held| (held.machine, held.pair)).collect();
        pairs.sort_unstable_by_key(|(machine, _)| *machine);
        pairs
    }

    /// The machines on which a thing was seen, by ordinal, in no order.
    pub(super) fn machines(&self, thing: u32) -> impl Iterator<Item = u32> {
        self.chain(thing).map(|held| held.machine)
    }
}
