//! Questions about files, whose parts see the base at one moment.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use pintle_model::{FileHash, Hashes, TenantId};

use super::key::{self, Mark, Table};
use super::merge;
use super::view::{FoundFile, View};
use crate::Error;
use crate::entity::Entity;
use crate::pair::Pair;

/// A question about files: see [`Base::files`].
pub(crate) struct Files {
    pub(super) view: Arc<View>,
    pub(crate) of: TenantId,
    /// The files that lead with a hash of a mark, for those that were asked for already.
    pub(super) known: HashMap<Mark, Arc<Vec<FoundFile>>>,
}

impl Files {
    /// Another question about what there was at the same moment.
    pub(crate) fn again(&self) -> Files {
        Files { view: Arc::clone(&self.view), of: self.of, known: HashMap::new() }
    }

    /// The files that hold this hash, up to `most`, as (where they were found, place there).
    pub(crate) fn with(&mut self, hash: &FileHash, most: usize) -> Result<Vec<Found>, Error> {
        let mark = self.view.marks.of(hash);
        let mut leads = vec![mark];
        // No file is led by another hash than its SHA-1 when it has one.
        if !matches!(hash, FileHash::Sha1(_)) {
            leads.extend(self.view.linked(self.of, mark, most)?);
        }
        self.holding(hash, &leads, most)
    }

    /// Those of them that this hash leads, which costs the least to find: nothing says so elsewhere.
    pub(crate) fn led_by(&mut self, hash: &FileHash, most: usize) -> Result<Vec<Found>, Error> {
        let lead = self.view.marks.of(hash);
        self.holding(hash, &[lead], most)
    }

    /// The files that hold this hash among those that lead with a hash of some marks.
    fn holding(&mut self, hash: &FileHash, leads: &[Mark], most: usize) -> Result<Vec<Found>, Error> {
        let mut found = Vec::new();
        for lead in leads {
            let there = match self.known.get(lead) {
                Some(there) => Arc::clone(there),
                None => {
                    let there = Arc::new(self.view.led_by(self.of, *lead, most)?);
                    self.known.insert(*lead, Arc::clone(&there));
                    there
                }
            };
            for place in 0..there.len() {
                let one = Found { there: Arc::clone(&there), place };
                if one.hashes().get(hash.kind()) == Some(*hash) && found.len() < most {
                    found.push(one);
                }
            }
        }
        Ok(found)
    }

    /// Every hash that stands in more than one set, with these sets, in no order. A walk over all
    /// hashes, one hash's sets in memory at a time.
    pub(crate) fn shared(
        &mut self,
        most: usize,
        each: &mut dyn FnMut(FileHash, &[Hashes]),
    ) -> Result<(), Error> {
        let view = Arc::clone(&self.view);
        let mut led = Grouped::of(view.scan(self.of, Table::Files)?)?;
        let mut linked = Grouped::of(view.scan(self.of, Table::Links)?)?;
        loop {
            let least = [&led, &linked].into_iter().filter_map(Grouped::mark).min();
            let Some(mark) = least else { return Ok(()) };
            let mut sets: Vec<Hashes> =
                led.take(mark, most)?.iter().filter_map(|key| key::read_file(key)).collect();
            let targets = linked.take(mark, most)?;
            if sets.len() + targets.len() < 2 {
                continue;
            }
            for target in targets.iter().filter_map(|link| key::target(link)) {
                let there = view.led_by(self.of, target, most)?;
                sets.extend(there.iter().map(|file| file.hashes));
            }
            sets.sort_unstable();
            sets.dedup();
            let mut by_hash: BTreeMap<FileHash, Vec<Hashes>> = BTreeMap::new();
            for set in &sets {
                for hash in set.iter().filter(|hash| view.marks.of(hash) == mark) {
                    by_hash.entry(hash).or_default().push(*set);
                }
            }
            for (hash, sets) in by_hash.iter().filter(|(_, sets)| sets.len() > 1) {
                each(*hash, sets);
            }
        }
    }
}

/// A file found: a place in what was found together.
#[derive(Clone)]
pub(crate) struct Found {
    there: Arc<Vec<FoundFile>>,
    place: usize,
}

impl Found {
    fn file(&self) -> Option<&FoundFile> {
        self.there.get(self.place)
    }

    pub(crate) fn hashes(&self) -> Hashes {
        self.file().map(|file| file.hashes).unwrap_or_default()
    }

    /// Where it was seen, ascending by ordinal.
    pub(crate) fn pairs(&self, of: TenantId) -> Result<Vec<(u32, Pair)>, Error> {
        self.file().map_or(Ok(Vec::new()), |file| file.pairs(of))
    }

    /// Appends the machines on which it was seen, in no order, some perhaps twice.
    pub(crate) fn machines(&self, of: TenantId, out: &mut Vec<u32>) -> Result<(), Error> {
        self.file().map_or(Ok(()), |file| file.machines(of, out))
    }

    /// What is said of it.
    pub(crate) fn entity(&self, of: TenantId) -> Result<Entity, Error> {
        self.file().map_or_else(|| Ok(Entity::default()), |file| file.entity(of))
    }
}

/// Keys of one table, those with the same mark together.
struct Grouped<'v> {
    keys: merge::Merge<'v>,
    next: Option<Vec<u8>>,
}

impl<'v> Grouped<'v> {
    fn of(mut keys: merge::Merge<'v>) -> Result<Grouped<'v>, Error> {
        let next = keys.next_group()?.map(|(key, _)| key);
        Ok(Grouped { keys, next })
    }

    fn mark(&self) -> Option<Mark> {
        key::mark(self.next.as_deref()?)
    }

    /// The keys with this mark, up to `most` of them.
    fn take(&mut self, mark: Mark, most: usize) -> Result<Vec<Vec<u8>>, Error> {
        let mut taken = Vec::new();
        while self.mark() == Some(mark) {
            let key = std::mem::replace(&mut self.next, self.keys.next_group()?.map(|(key, _)| key));
            if taken.len() < most {
                taken.extend(key);
            }
        }
        Ok(taken)
    }
}
