//! What can be read at one moment: the deltas and the runs. A view stays as it is for as long as
//! somebody holds it; folding and merging put another one in its place. Who holds a delta's lock asks
//! for no view: to put another in its place may need both, the view's first.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use pintle_model::{AlertId, Hashes, TenantId};

use super::key::{self, Mark, Marks, Table};
use super::merge::{Merge, Source};
use super::run::{Block, BlockCache, Run};
use super::value;
use crate::Error;
use crate::delta::Delta;
use crate::entity::{Entity, most};
use crate::pair::{self, Pair};

/// A delta that readers and one writer share.
pub(crate) type SharedDelta = Arc<RwLock<Delta>>;

pub(crate) fn read_delta(delta: &SharedDelta) -> RwLockReadGuard<'_, Delta> {
    delta.read().unwrap_or_else(PoisonError::into_inner)
}

/// See the module.
pub(crate) struct View {
    /// Takes what comes in.
    pub(crate) active: SharedDelta,
    /// Is being folded.
    pub(crate) frozen: Option<SharedDelta>,
    pub(crate) runs: Vec<Arc<Run>>,
    pub(crate) cache: Arc<BlockCache>,
    pub(crate) marks: Marks,
}

/// A set of hashes, and where it is spoken of.
pub(crate) struct FoundFile {
    pub(crate) hashes: Hashes,
    parts: Vec<Part>,
}

enum Part {
    /// A value in a block of a run.
    Stored(Arc<Block>, Range<usize>),
    /// A file in a delta, by its number there.
    Held(SharedDelta, u32),
}

impl FoundFile {
    /// Where it was seen, ascending by ordinal.
    pub(crate) fn pairs(&self, of: TenantId) -> Result<Vec<(u32, Pair)>, Error> {
        let mut lists = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            lists.push(match part {
                Part::Stored(block, place) => {
                    value::pairs(value::split_file(block.get(place.clone()).unwrap_or_default())?.1)?
                }
                Part::Held(delta, number) => {
                    read_delta(delta).tenant(of).map(|tenant| tenant.pairs(*number)).unwrap_or_default()
                }
            });
        }
        Ok(pair::merge(lists))
    }

    /// Appends the machines on which it was seen, in no order, some perhaps twice. Reads no times.
    pub(crate) fn machines(&self, of: TenantId, out: &mut Vec<u32>) -> Result<(), Error> {
        for part in &self.parts {
            match part {
                Part::Stored(block, place) => {
                    let value = block.get(place.clone()).unwrap_or_default();
                    out.append(&mut value::split_file(value)?.1.ordinals);
                }
                Part::Held(delta, number) => {
                    let delta = read_delta(delta);
                    out.extend(delta.tenant(of).into_iter().flat_map(|tenant| tenant.machines_of(*number)));
                }
            }
        }
        Ok(())
    }

    /// What is said of it.
    pub(crate) fn entity(&self, of: TenantId) -> Result<Entity, Error> {
        let mut entity = Entity::default();
        for part in &self.parts {
            let more = match part {
                Part::Stored(block, place) => {
                    Entity::from_bytes(value::split_file(block.get(place.clone()).unwrap_or_default())?.0)?
                }
                Part::Held(delta, number) => read_delta(delta)
                    .tenant(of)
                    .and_then(|tenant| tenant.entity(*number).cloned())
                    .unwrap_or_default(),
            };
            entity.merge(more, most::PATHS);
        }
        Ok(entity)
    }
}

impl View {
    pub(crate) fn deltas(&self) -> impl Iterator<Item = &SharedDelta> {
        self.frozen.iter().chain([&self.active])
    }

    /// The files that lead with a hash of this mark; at most about `most`, those with the smallest keys.
    pub(crate) fn led_by(&self, of: TenantId, mark: Mark, most: usize) -> Result<Vec<FoundFile>, Error> {
        let prefix = key::led_by(of, mark);
        let mut found: BTreeMap<Hashes, Vec<Part>> = BTreeMap::new();
        for run in self.runs.iter().filter(|run| run.may_hold(&prefix)) {
            let mut taken = 0;
            let mut cursor = run.from(&prefix, Some(&self.cache))?;
            while taken < most && cursor.is_at_entry() && cursor.key().starts_with(&prefix) {
                if let Some(hashes) = key::read_file(cursor.key()) {
                    let (block, place) = cursor.place();
                    found.entry(hashes).or_default().push(Part::Stored(block, place));
                    taken += 1;
                }
                cursor.advance()?;
            }
        }
        for delta in self.deltas() {
            let held = read_delta(delta);
            let Some(tenant) = held.tenant(of) else { continue };
            for (number, hashes, _) in tenant.marked(mark).filter(|(.., leads)| *leads) {
                found.entry(*hashes).or_default().push(Part::Held(Arc::clone(delta), number));
            }
        }
        Ok(found.into_iter().take(most).map(|(hashes, parts)| FoundFile { hashes, parts }).collect())
    }

    /// The marks of the leading hashes of files that hold a hash of this mark besides; at most `most`,
    /// the smallest.
    pub(crate) fn linked(&self, of: TenantId, mark: Mark, most: usize) -> Result<BTreeSet<Mark>, Error> {
        let prefix = key::links_from(of, mark);
        let mut targets = BTreeSet::new();
        for run in self.runs.iter().filter(|run| run.may_hold(&prefix)) {
            let mut cursor = run.from(&prefix, Some(&self.cache))?;
            let mut taken = 0;
            while taken < most && cursor.is_at_entry() && cursor.key().starts_with(&prefix) {
                targets.extend(key::target(cursor.key()));
                taken += 1;
                cursor.advance()?;
            }
        }
        for delta in self.deltas() {
            let held = read_delta(delta);
            let Some(tenant) = held.tenant(of) else { continue };
            let others = tenant.marked(mark).filter(|(.., leads)| !leads);
            let leads = others.filter_map(|(_, hashes, _)| hashes.iter().next());
            targets.extend(leads.map(|lead| self.marks.of(&lead)));
        }
        while targets.len() > most {
            targets.pop_last();
        }
        Ok(targets)
    }

    /// Whether this very set of hashes is known.
    pub(crate) fn has_file(&self, of: TenantId, hashes: &Hashes) -> Result<bool, Error> {
        let held = |delta: &SharedDelta| {
            read_delta(delta).tenant(of).is_some_and(|tenant| tenant.number_of(hashes).is_some())
        };
        Ok(self.deltas().any(held) || self.stores(&key::file(&self.marks, of, hashes))?)
    }

    /// Whether any run has this key.
    pub(crate) fn stores(&self, key: &[u8]) -> Result<bool, Error> {
        for run in self.runs.iter().filter(|run| run.may_hold(key::probe(key))) {
            let cursor = run.from(key, Some(&self.cache))?;
            if cursor.is_at_entry() && cursor.key() == key {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The values that runs have under this key.
    pub(crate) fn stored(&self, key: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        let mut values = Vec::new();
        for run in self.runs.iter().filter(|run| run.may_hold(key::probe(key))) {
            let cursor = run.from(key, Some(&self.cache))?;
            if cursor.is_at_entry() && cursor.key() == key {
                values.push(cursor.value().to_vec());
            }
        }
        Ok(values)
    }

    /// An alert.
    pub(crate) fn alert(&self, of: TenantId, id: &AlertId) -> Result<Option<Entity>, Error> {
        let mut values = self.stored(&key::of(of, Table::Alerts, id.as_str().as_bytes()))?;
        for delta in self.deltas() {
            if let Some(held) = read_delta(delta).tenant(of).and_then(|tenant| tenant.alerts.get(id)) {
                values.push(held.to_bytes());
            }
        }
        let is_known = !values.is_empty();
        is_known.then(|| value::entity(values.iter().map(Vec::as_slice), most::EVIDENCE)).transpose()
    }

    /// All entries of a table, ascending. Machines that changed lately are only in the directory.
    pub(crate) fn scan(&self, of: TenantId, table: Table) -> Result<Merge<'_>, Error> {
        let prefix = key::table(of, table);
        let mut sources = Vec::new();
        for run in &self.runs {
            sources.push(Source::Run(run.from(&prefix, None)?));
        }
        for delta in self.deltas() {
            if let Some(tenant) = read_delta(delta).tenant(of) {
                sources.push(Source::held(tenant.entries(&self.marks, of, table, &|_| Ok(None))?));
            }
        }
        Ok(Merge::of(sources, prefix))
    }
}
