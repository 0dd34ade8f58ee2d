//! The base: what follows from the archive, laid out for the questions that are asked.
//!
//! Sorted runs of keys and values ([`run`]) lie in a folder, and a manifest says which of them make
//! the base and how much of the archive they hold ([`manifest`]). Before them stand one or two
//! deltas in memory, which take each batch as it comes ([`crate::delta`]). Folding writes a delta as
//! another run; merging makes several runs one ([`upkeep`]). All values merge in any order, any
//! number of times, to the same bytes ([`value`]), so nothing is ever looked up to be changed, and
//! what is applied twice changes nothing.

mod bits;
pub(crate) mod bytes;
mod changes;
mod check;
mod expire;
mod files;
pub(crate) mod frames;
pub(crate) mod key;
mod link;
pub(crate) mod manifest;
mod merge;
mod observables;
mod postings;
pub(crate) mod run;
mod upkeep;
pub(crate) mod value;
mod view;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};

use pintle_model::{AlertId, TenantId, Time};
use sha2::{Digest, Sha256};

use crate::archive::{ArchivedBatch, BatchId, Place, Position};
use crate::coverage::Coverage;
use crate::delta::Delta;
use crate::directory::{Directories, Directory};
use crate::edit::Edited;
use crate::entity::Entity;
use crate::folders::make_private;
use crate::known::Administered;
use crate::observe::Observed;
use crate::pair::Pair;
use crate::{Error, Memory, Receipt, Reject, Span, Totals};
use changes::{ChangeClock, changed_alerts};
use key::{Marks, Table};
use manifest::Manifest;
use run::{BlockCache, ByLength, Run};
use value::{Arrival, decode};
use view::{SharedDelta, View, read_delta};

pub(crate) use changes::{Dated, Earlier};
pub(crate) use check::check;
pub(crate) use expire::{Stays, machines_there};
pub(crate) use files::{Files, Found};
pub(crate) use link::{file_names, link};
pub(crate) use merge::Entry;
pub(crate) use observables::Seen;
pub(crate) use upkeep::Duty;

/// What the cache reckons a block with, bytes: most are four times as large, those at a run's end are not.
const BLOCK: usize = 4 << 10;
/// Files noted, with where they were seen, before readers are let in again.
const FILES_AT_ONCE: usize = 500;

/// The derived half of the store.
pub(crate) struct Base {
    folder: PathBuf,
    limits: Memory,
    view: RwLock<Arc<View>>,
    /// What is on the disk. Held while it is changed.
    manifest: Mutex<Manifest>,
    /// Held by the one that folds, and by the one that merges.
    folding: Mutex<()>,
    merging: Mutex<()>,
    /// Told when a delta was frozen, folded, or could not be.
    progress: Condvar,
    state: Mutex<State>,
}

/// How folding goes.
#[derive(Default)]
struct State {
    /// Why the last fold failed; none: it did not.
    fold_trouble: Option<Error>,
    /// Why the last merge failed. It holds nobody up: there are more runs to look into, that is all.
    merge_trouble: Option<Error>,
    /// How the disk failed, once it has: nothing more is taken in then, whatever is tried again.
    disk_trouble: Option<String>,
    /// Runs with damage that a merge came upon, by number; they are left as they are.
    damaged: BTreeMap<u64, Error>,
    /// No more upkeep: the store is being closed.
    closing: bool,
}

impl Base {
    /// Opens the base in a folder, making an empty one if there is none: with these marks, if it is
    /// made anew from what another was made of.
    pub(crate) fn open(folder: &Path, limits: Memory, marks: Option<Marks>) -> Result<Base, Error> {
        make_private(folder)?;
        let mut manifest = match Manifest::read(folder)? {
            Some(manifest) => {
                manifest.mend(folder)?;
                manifest
            }
            None if upkeep::has_runs(folder)? => {
                let (file, reason) = (manifest::path(folder), "it is missing".to_owned());
                return Err(Error::Damaged { file, offset: 0, reason });
            }
            None => {
                let manifest = Manifest::empty(marks.unwrap_or_else(Marks::new));
                manifest.write(folder)?;
                manifest
            }
        };
        upkeep::remove_strays(folder, &manifest)?;
        let open = |number: &u64| Run::open(run::path(folder, *number), *number).map(Arc::new);
        let runs = manifest.runs.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let active = Arc::new(RwLock::new(Delta::new(BTreeMap::new(), manifest.applied)));
        let cache = Arc::new(BlockCache::with_weighter(limits.cache / BLOCK, limits.cache as u64, ByLength));
        let view = View { active, frozen: None, runs, cache, marks: manifest.marks };
        if std::mem::take(&mut manifest.lacks_coverage) {
            for (tenant, counts) in &mut manifest.tenants {
                note_coverage(&view, *tenant, &mut counts.coverage)?;
            }
        }
        view.active.write().unwrap_or_else(PoisonError::into_inner).counts = manifest.tenants.clone();
        Ok(Base {
            folder: folder.to_owned(),
            limits,
            view: RwLock::new(Arc::new(view)),
            manifest: Mutex::new(manifest),
            folding: Mutex::default(),
            merging: Mutex::default(),
            progress: Condvar::new(),
            state: Mutex::default(),
        })
    }

    /// How much of the archive the base in a folder had in its runs, also if it is damaged:
    /// [`Position::START`] where that is not known. And how it marked hashes, if that is.
    pub(crate) fn reached(folder: &Path) -> Result<(Position, Option<Marks>), Error> {
        match Manifest::read(folder) {
            Ok(Some(manifest)) => Ok((manifest.applied, Some(manifest.marks))),
            Ok(None) | Err(Error::Damaged { .. }) => Ok((Position::START, None)),
            Err(error) => Err(error),
        }
    }

    /// How it marks hashes.
    pub(crate) fn marks(&self) -> Marks {
        self.view().marks
    }

    fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// How much of the archive is applied, in memory too.
    pub(crate) fn applied(&self) -> Position {
        read_delta(&self.view().active).after
    }

    /// How much of the archive is in the runs: where a crash would begin again.
    pub(crate) fn folded(&self) -> Position {
        hold(&self.manifest).applied
    }

    /// What it does not hold though the archive does.
    pub(crate) fn notice(&self) -> Option<String> {
        hold(&self.manifest).notice()
    }

    /// Goes on behind this position of the archive: what was before it is applied, or was taken out.
    /// Only for the one who writes.
    pub(crate) fn skip_to(&self, position: Position) {
        let view = self.view();
        let mut delta = view.active.write().unwrap_or_else(PoisonError::into_inner);
        delta.after = delta.after.max(position);
    }

    /// What opening or folding found wrong: damaged runs, a full disk.
    pub(crate) fn troubles(&self) -> Vec<String> {
        let view = self.view();
        let damage = view.runs.iter().filter_map(|run| run.damage()).map(|error| error.to_string());
        let state = hold(&self.state);
        let upkeep = [&state.fold_trouble, &state.merge_trouble].into_iter().flatten();
        let told = upkeep.chain(state.damaged.values()).map(ToString::to_string);
        let gone = state
            .disk_trouble
            .iter()
            .map(|trouble| format!("nothing more is taken in until a restart: {trouble}"));
        damage.chain(told).chain(gone).collect()
    }

    /// Whether a batch of this id was applied.
    pub(crate) fn knows(&self, of: TenantId, batch: &BatchId) -> Result<bool, Error> {
        let view = self.view();
        let held = |delta: &SharedDelta| {
            read_delta(delta).tenant(of).is_some_and(|tenant| tenant.batch_ids.contains_key(batch))
        };
        Ok(view.deltas().any(held) || view.stores(&key::of(of, Table::BatchIds, batch))?)
    }

    /// All tenants' machines, in these groups and one by these rules, and the damage for which some could not
    /// be read.
    pub(crate) fn directories(
        &self,
        administered: &Administered,
    ) -> Result<(HashMap<TenantId, Directory>, Option<Error>), Error> {
        let view = self.view();
        let tenants: Vec<(TenantId, u32)> = {
            let delta = read_delta(&view.active);
            delta.counts.iter().map(|(tenant, counts)| (*tenant, counts.next_ordinal)).collect()
        };
        let Administered { groups, rules } = administered;
        let mut directories: HashMap<TenantId, Directory> = HashMap::new();
        for tenant in groups.keys().chain(rules.keys()) {
            let (groups, rules) = (groups.get(tenant).cloned(), rules.get(tenant).cloned());
            let new = || Directory::new(groups.unwrap_or_default(), rules.unwrap_or_default());
            directories.entry(*tenant).or_insert_with(new);
        }
        let mut lost = None;
        for (tenant, next_ordinal) in tenants {
            let directory = directories.entry(tenant).or_default();
            match read_machines(&view, tenant, directory) {
                Ok(()) => {}
                Err(damage @ Error::Damaged { .. }) => lost = Some(damage),
                Err(error) => return Err(error),
            }
            directory.start_at(next_ordinal);
        }
        Ok((directories, lost))
    }

    /// Applies what was observed in one batch, to the directory first. The caller is the only one who
    /// writes. A reader in between may see a part of the batch, which is not acknowledged yet.
    pub(crate) fn apply(
        &self,
        batch: &ArchivedBatch,
        observed: Observed,
        place: Place,
        dated: Dated<'_>,
        directories: &Directories,
    ) -> Result<Receipt, Error> {
        let tenant = batch.tenant;
        let frames = frames::of(&observed, place.begins);
        let view = self.view();
        let mut receipt = Receipt { implausible_times: observed.implausible_times, ..Receipt::default() };
        for (hashes, _) in &observed.files {
            receipt.new_files += u64::from(!view.has_file(tenant, hashes)?);
        }
        let received = batch.received.max(dated.not_before);
        let mut clock = ChangeClock { last: self.last_change(tenant), received, earlier: dated.earlier };
        let (alerts, new_alerts) = changed_alerts(&view, batch, observed.alerts, &mut clock)?;

        let machines = observed.machines.iter().map(|(_, change)| change.span);
        let events = machines.fold(None, Span::joined);
        let directory = directories.of(tenant);
        let (mut ordinals, mut changed) = (Vec::with_capacity(observed.machines.len()), Vec::new());
        let next_ordinal = {
            let mut directory = directory.write().unwrap_or_else(PoisonError::into_inner);
            for (id, change) in observed.machines {
                let ordinal = match directory.ordinal(&id) {
                    Some(known) => {
                        changed.extend(directory.note(known, change).then_some(known));
                        known
                    }
                    None => {
                        let next = directory.next_ordinal();
                        directory.put(next, id, change);
                        receipt.new_machines += 1;
                        changed.push(next);
                        next
                    }
                };
                ordinals.push(ordinal);
            }
            for edit in &batch.edits {
                if let Edited::Machine(id) = &edit.of
                    && let Some(ordinal) = directory.ordinal(id)
                    && let Some(machine) = directory.own(ordinal)
                {
                    let change = machine.entity().change_of_machine(edit, clock.next());
                    changed.extend(directory.note(ordinal, change).then_some(ordinal));
                }
            }
            directory.next_ordinal()
        };

        let write = || view.active.write().unwrap_or_else(PoisonError::into_inner);
        write().tenants.entry(tenant).or_default().machines.extend(changed);
        let mut pairs: Vec<((u32, u32), Pair)> = observed.pairs.into_iter().collect();
        pairs.sort_unstable_by_key(|((file, _), _)| *file);
        let mut pairs = pairs.into_iter().peekable();
        let mut files = (0u32..).zip(observed.files).peekable();
        while files.peek().is_some() {
            let mut delta = write();
            let held = delta.tenants.entry(tenant).or_default();
            for (place, (hashes, entity)) in files.by_ref().take(FILES_AT_ONCE) {
                let file = held.note_file(&view.marks, hashes, entity);
                while let Some(((_, machine), pair)) = pairs.next_if(|((of, _), _)| *of <= place) {
                    let ordinal = usize::try_from(machine).ok().and_then(|machine| ordinals.get(machine));
                    if let Some(ordinal) = ordinal {
                        held.note_pair(file, *ordinal, &pair);
                    }
                }
            }
        }

        self.note_observables(&view, tenant, observed.observables, &ordinals);

        let mut delta = write();
        let held = delta.tenants.entry(tenant).or_default();
        for (id, entity) in alerts {
            held.note_alert(id, entity);
        }
        for reject in &batch.rejects {
            held.note_reject(Sha256::digest(value::encode(reject)?).into(), reject);
        }
        let records = (batch.records.len() + batch.edits.len()) as u64;
        let rejects = batch.rejects.len() as u64;
        held.note_frames(frames);
        held.note_batch(batch.id, batch.received, Arrival { source: batch.source.clone(), records, rejects });
        let counts = delta.counts.entry(tenant).or_default();
        counts.totals.machines += receipt.new_machines;
        counts.totals.files += receipt.new_files;
        counts.totals.alerts += new_alerts;
        counts.next_ordinal = next_ordinal;
        counts.last_change = clock.last;
        counts.coverage.note_source(&batch.source);
        counts.coverage.note_events(events);
        delta.records += records;
        delta.after = delta.after.max(place.ends);
        Ok(receipt)
    }

    /// When something of a tenant's was last changed.
    pub(crate) fn last_change(&self, of: TenantId) -> Time {
        read_delta(&self.view().active).counts.get(&of).map_or(Time::MIN, |counts| counts.last_change)
    }

    /// Those of whom anything came in.
    pub(crate) fn tenants(&self) -> Vec<TenantId> {
        read_delta(&self.view().active).counts.keys().copied().collect()
    }

    /// Where the batches are that may hold an event of this moment, the newest first.
    pub(crate) fn frames_holding(&self, of: TenantId, moment: Time) -> Result<Vec<Position>, Error> {
        frames::holding(&self.view(), of, moment)
    }

    /// How much a tenant holds.
    pub(crate) fn totals(&self, of: TenantId) -> Totals {
        read_delta(&self.view().active).counts.get(&of).map(|counts| counts.totals).unwrap_or_default()
    }

    /// What a tenant's telemetry covers.
    pub(crate) fn coverage(&self, of: TenantId) -> Arc<Coverage> {
        read_delta(&self.view().active)
            .counts
            .get(&of)
            .map(|counts| Arc::clone(&counts.coverage))
            .unwrap_or_default()
    }

    /// Asks one question about files, whose parts see the base at one moment.
    pub(crate) fn files(&self, of: TenantId) -> Files {
        Files { view: self.view(), of, known: HashMap::new() }
    }

    /// An alert.
    pub(crate) fn alert(&self, of: TenantId, id: &AlertId) -> Result<Option<Entity>, Error> {
        self.view().alert(of, id)
    }

    /// Calls `each` with all alerts, ascending by id, until it says that it has enough.
    pub(crate) fn alerts(
        &self,
        of: TenantId,
        each: &mut dyn FnMut(&str, Entity) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let view = self.view();
        let mut alerts = view.scan(of, Table::Alerts)?;
        while let Some((key, value)) = alerts.next_merged()? {
            let id = key::split(&key).map(|(_, _, id)| String::from_utf8_lossy(id)).unwrap_or_default();
            if !each(&id, Entity::from_bytes(&value)?)? {
                break;
            }
        }
        Ok(())
    }

    /// Calls `each` with all records kept aside.
    pub(crate) fn rejects(&self, of: TenantId, each: &mut dyn FnMut(Reject)) -> Result<(), Error> {
        let view = self.view();
        let mut rejects = view.scan(of, Table::Rejects)?;
        while let Some((_, value)) = rejects.next_merged()? {
            each(decode(&value)?);
        }
        Ok(())
    }

    /// Calls `each` with all batches in the order of arrival.
    pub(crate) fn batches(
        &self,
        of: TenantId,
        each: &mut dyn FnMut(Time, BatchId, Arrival),
    ) -> Result<(), Error> {
        let view = self.view();
        let mut batches = view.scan(of, Table::Batches)?;
        while let Some((key, value)) = batches.next_merged()? {
            if let Some((received, id)) = key::read_batch(&key) {
                each(received, id, decode(&value)?);
            }
        }
        Ok(())
    }
}

fn read_machines(view: &View, of: TenantId, directory: &mut Directory) -> Result<(), Error> {
    let mut machines = view.scan(of, Table::Machines)?;
    while let Some((key, value)) = machines.next_merged()? {
        // Of a machine that was forgotten and seen again, the later one counts.
        if let Some((id, ordinal)) = key::read_machine(&key) {
            if let Some(forgotten) = directory.ordinal(&id) {
                directory.forget(forgotten);
            }
            directory.put(ordinal, id, Entity::from_bytes(&value)?);
        }
    }
    Ok(())
}

/// Notes what a tenant's telemetry covers that was folded before anybody did. What lies in damaged blocks
/// is left out, as from every answer.
fn note_coverage(view: &View, of: TenantId, coverage: &mut Arc<Coverage>) -> Result<(), Error> {
    let note = |table: Table, note: &mut dyn FnMut(&[u8]) -> Result<(), Error>| {
        let mut entries = view.scan(of, table)?;
        loop {
            match entries.next_merged() {
                Ok(Some((_, value))) => note(&value)?,
                Ok(None) | Err(Error::Damaged { .. }) => return Ok::<_, Error>(()),
                Err(error) => return Err(error),
            }
        }
    };
    note(Table::Machines, &mut |value| {
        coverage.note_events(Entity::from_bytes(value)?.span);
        Ok(())
    })?;
    note(Table::Batches, &mut |value| {
        coverage.note_source(&decode::<Arrival>(value)?.source);
        Ok(())
    })
}

/// A panic leaves what is behind these locks usable: it is replaced as a whole.
fn hold<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
