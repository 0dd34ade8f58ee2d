//! What has expired leaves the base: all runs are made one without it.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use pintle_model::TenantId;

use super::key::{self, Table};
use super::merge::{Merge, Source};
use super::run::RunWriter;
use super::value;
use super::{Base, hold};
use crate::entity::Entity;
use crate::retention::Cutoffs;
use crate::{Error, Expired};

/// What stays of one tenant.
pub(crate) struct Stays {
    pub(crate) cutoffs: Cutoffs,
    /// By ordinal, whether the machine is there. Those beyond came later.
    pub(crate) machines: Vec<bool>,
}

impl Stays {
    fn has_machine(&self, ordinal: u32) -> bool {
        let place = usize::try_from(ordinal).unwrap_or(usize::MAX);
        self.machines.get(place).copied().unwrap_or(true)
    }
}

/// What becomes of an entry.
enum Fate {
    Stays,
    Becomes(Vec<u8>),
    Goes,
}

impl Base {
    /// Makes all runs one, without what has expired. What is in memory is left to the next time.
    /// Returns what went, of each tenant.
    pub(crate) fn expire(
        &self,
        stays: &BTreeMap<TenantId, Stays>,
    ) -> Result<BTreeMap<TenantId, Expired>, Error> {
        let _no_merge = hold(&self.merging);
        let view = self.view();
        let mut gone: BTreeMap<TenantId, Expired> = BTreeMap::new();
        if view.runs.is_empty() {
            return Ok(gone);
        }
        let mut sources = Vec::with_capacity(view.runs.len());
        for run in &view.runs {
            sources.push(Source::Run(run.from(b"", None)?));
        }
        let number = self.next_run();
        let entries = view.runs.iter().map(|run| run.entries).sum();
        let mut writer = RunWriter::create(&self.folder, number, entries)?;
        let mut merge = Merge::of(sources, Vec::new());
        while let Some((key, value)) = merge.next_merged()? {
            if hold(&self.state).closing {
                return Ok(BTreeMap::new());
            }
            let of =
                key::split(&key).and_then(|(tenant, table, _)| Some((tenant, table, stays.get(&tenant)?)));
            let fate = match of {
                Some((tenant, table, stays)) => {
                    decide(table, &key, &value, stays, gone.entry(tenant).or_default())?
                }
                None => Fate::Stays,
            };
            match fate {
                Fate::Stays => writer.push(&key, &value)?,
                Fate::Becomes(value) => writer.push(&key, &value)?,
                Fate::Goes => {}
            }
        }
        let run = self.finish_run(writer)?;
        // Nobody may fold meanwhile: it would write counts from before.
        let _no_fold = hold(&self.folding);
        self.replace(&view.runs, run, &gone)?;
        Ok(gone)
    }

    /// Takes what went from the counts of the deltas, which those on the disk follow.
    pub(super) fn count_gone(&self, gone: &BTreeMap<TenantId, Expired>) {
        let view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        for delta in view.deltas() {
            let mut delta = delta.write().unwrap_or_else(PoisonError::into_inner);
            for (tenant, expired) in gone {
                if let Some(counts) = delta.counts.get_mut(tenant) {
                    expired.take_from(&mut counts.totals);
                }
            }
        }
    }
}

fn decide(table: Table, key: &[u8], value: &[u8], stays: &Stays, gone: &mut Expired) -> Result<Fate, Error> {
    match table {
        Table::Machines => {
            let is_there = key::read_machine(key).is_none_or(|(_, ordinal)| stays.has_machine(ordinal));
            gone.machines += u64::from(!is_there);
            Ok(if is_there { Fate::Stays } else { Fate::Goes })
        }
        Table::Alerts => {
            let is_there = stays.cutoffs.keeps_alert(&Entity::from_bytes(value)?);
            gone.alerts += u64::from(!is_there);
            Ok(if is_there { Fate::Stays } else { Fate::Goes })
        }
        Table::Logons => {
            let of_machine = key::read_logon(key).is_none_or(|(ordinal, _)| stays.has_machine(ordinal));
            // Its sighting is counted where the user's are.
            let is_there = of_machine && stays.cutoffs.keeps_span(Entity::from_bytes(value)?.span);
            Ok(if is_there { Fate::Stays } else { Fate::Goes })
        }
        Table::Addresses => {
            if !key::read_address(key).is_none_or(|(_, ordinal)| stays.has_machine(ordinal)) {
                return Ok(Fate::Goes);
            }
            let mut presence = value::presence(value)?;
            let some_went = stays.cutoffs.sightings().is_some_and(|oldest| presence.forget_before(oldest));
            Ok(match some_went {
                false => Fate::Stays,
                true if presence.is_empty() => Fate::Goes,
                true => Fate::Becomes(presence.to_bytes()),
            })
        }
        Table::Files | Table::Observables => {
            let (entity, postings) = value::split_file(value)?;
            let mut pairs = value::pairs(postings)?;
            let before = pairs.len();
            pairs.retain(|(ordinal, pair)| stays.has_machine(*ordinal) && stays.cutoffs.keeps_pair(pair));
            gone.sightings += (before - pairs.len()) as u64;
            if pairs.len() == before {
                return Ok(Fate::Stays);
            }
            // A file that was seen and now never was is unknown. Links to it stay, and lead nowhere.
            if pairs.is_empty() {
                gone.files += u64::from(table == Table::Files);
                return Ok(Fate::Goes);
            }
            Ok(Fate::Becomes(value::file(&Entity::from_bytes(entity)?, &pairs)))
        }
        Table::Links | Table::Rejects | Table::Batches | Table::BatchIds | Table::Frames => Ok(Fate::Stays),
    }
}

/// For [`Base::expire`]: which machines are there, by ordinal.
pub(crate) fn machines_there(directory: &crate::directory::Directory) -> Vec<bool> {
    let mut there = vec![false; usize::try_from(directory.next_ordinal()).unwrap_or(usize::MAX)];
    for ordinal in directory.ordinals() {
        if let Some(slot) = there.get_mut(usize::try_from(ordinal).unwrap_or(usize::MAX)) {
            *slot = true;
        }
    }
    there
}
