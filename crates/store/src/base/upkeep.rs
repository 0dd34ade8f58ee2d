//! How the base is kept in shape: a full delta is frozen, a frozen one is folded into a run, and
//! runs of a size are merged, so that there are few to look into.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use pintle_model::{TenantId, Time};

use super::key::{Marks, Table};
use super::manifest::Manifest;
use super::merge::{Merge, Source};
use super::run::{self, Run, RunWriter};
use super::view::{View, read_delta};
use super::{Base, hold};
use crate::delta::Delta;
use crate::directory::Directories;
use crate::folders::sync_folder;
use crate::{Error, Expired};

/// So many runs of a size are merged.
const RUNS_A_SIZE: usize = 4;
/// Runs up to this size count as one size; after it each is four times the one before.
const SMALLEST_BYTES: u64 = 16 << 20;
/// How long after a failure folding and merging are tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What a thread of its own does for a base.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Duty {
    /// Folds what is frozen.
    Fold,
    /// Merges runs.
    Merge,
}

impl Base {
    /// Whether the delta that takes what comes in has reached its limits.
    fn is_full(&self) -> bool {
        let view = self.view();
        let delta = read_delta(&view.active);
        delta.bytes() >= self.limits.bytes || delta.records >= self.limits.records
    }

    /// Puts a new delta in the place of the active one, unless there is a frozen one still or
    /// nothing to freeze. Only the writer may call it, since a batch goes into one delta.
    pub(crate) fn freeze(&self) -> bool {
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        let next = {
            let active = read_delta(&view.active);
            if view.frozen.is_some() || active.is_empty() {
                return false;
            }
            Delta::new(active.counts.clone(), active.after)
        };
        *view = Arc::new(View {
            active: Arc::new(RwLock::new(next)),
            frozen: Some(Arc::clone(&view.active)),
            runs: view.runs.clone(),
            cache: Arc::clone(&view.cache),
            marks: view.marks,
        });
        true
    }

    /// Makes room for the next batch: freezes a full delta for the thread that folds, and waits for
    /// that one while two are full, unless it fails: then [`Base::admit`] refuses the next.
    pub(crate) fn make_room(&self) {
        while self.is_full() {
            let state = hold(&self.state);
            if self.freeze() {
                self.progress.notify_all();
                return;
            }
            if state.fold_trouble.is_some() || state.closing {
                return;
            }
            drop(self.progress.wait_timeout(state, AGAIN_AFTER));
        }
    }

    /// Whether more can be taken in. There is no room in memory while folding fails and two deltas are full, and
    /// to a disk that has failed nothing is entrusted.
    pub(crate) fn admit(&self) -> Result<(), Error> {
        let trouble = {
            let state = hold(&self.state);
            if let Some(trouble) = &state.disk_trouble {
                return Err(Error::ReadOnly(trouble.clone()));
            }
            state.fold_trouble.as_ref().map(Error::again)
        };
        match trouble {
            Some(trouble) if self.is_full() && self.view().frozen.is_some() => Err(trouble),
            _ => Ok(()),
        }
    }

    /// Folds everything that is in memory, and notes how much of the archive that was.
    pub(crate) fn fold_all(&self, directories: &Directories) -> Result<(), Error> {
        self.fold(directories)?;
        if self.freeze() {
            self.fold(directories)?;
        }
        let applied = self.applied();
        if applied != self.folded() {
            self.change(|manifest| manifest.applied = applied)?;
        }
        Ok(())
    }

    /// Notes, of a base that is opened again before it takes anything in, that what changes next does so after
    /// all that has changed in another.
    pub(crate) fn change_after(&self, other: &Base) -> Result<(), Error> {
        let last: BTreeMap<TenantId, Time> = {
            let view = other.view();
            let delta = read_delta(&view.active);
            delta.counts.iter().map(|(tenant, counts)| (*tenant, counts.last_change)).collect()
        };
        self.change(|manifest| {
            for (tenant, counts) in &mut manifest.tenants {
                counts.last_change = counts.last_change.max(last.get(tenant).copied().unwrap_or(Time::MIN));
            }
        })
    }

    /// Folds the frozen delta, if there is one. Returns whether there was.
    pub(crate) fn fold(&self, directories: &Directories) -> Result<bool, Error> {
        let _only_one = hold(&self.folding);
        let view = self.view();
        let Some(frozen) = &view.frozen else { return Ok(false) };
        let number = self.next_run();
        let run = {
            let delta = read_delta(frozen);
            self.write_run(number, &view.marks, &delta, directories)?
        };
        let (applied, tenants) = {
            let delta = read_delta(frozen);
            (delta.after, delta.counts.clone())
        };
        self.change(|manifest| {
            manifest.applied = applied;
            manifest.tenants = tenants;
            manifest.runs.push(number);
        })?;
        self.change_view(|view| View {
            active: Arc::clone(&view.active),
            frozen: None,
            runs: view.runs.iter().cloned().chain([Arc::new(run)]).collect(),
            cache: Arc::clone(&view.cache),
            marks: view.marks,
        });
        Ok(true)
    }

    fn write_run(
        &self,
        number: u64,
        marks: &Marks,
        delta: &Delta,
        directories: &Directories,
    ) -> Result<Run, Error> {
        // A file has its own key and up to two links; all else is few beside them.
        let keys = delta.bytes() as u64 / 300;
        let mut writer = RunWriter::create(&self.folder, number, keys)?;
        for (tenant, held) in &delta.tenants {
            let directory = directories.of(*tenant);
            let machine = |ordinal: u32| {
                let directory = directory.read().unwrap_or_else(PoisonError::into_inner);
                let Some(machine) = directory.own(ordinal) else { return Ok(None) };
                Ok(Some((machine.id.clone(), machine.entity().to_bytes())))
            };
            for table in Table::ALL {
                for (key, value) in held.entries(marks, *tenant, table, &machine)? {
                    writer.push(&key, &value)?;
                }
            }
        }
        self.finish_run(writer)
    }

    /// Merges the runs that are due. Returns whether any were.
    pub(crate) fn merge_due(&self) -> Result<bool, Error> {
        let _only_one = hold(&self.merging);
        let view = self.view();
        let due = due(&view.runs, &hold(&self.state).damaged);
        if due.is_empty() {
            return Ok(false);
        }
        match self.merge(&due) {
            Err(damage @ Error::Damaged { .. }) => {
                let file = |number| run::path(&self.folder, number);
                let is_it = |run: &&Arc<Run>| matches!(&damage, Error::Damaged { file: damaged, .. } if *damaged == file(run.number));
                let Some(number) = due.iter().find(is_it).map(|run| run.number) else { return Err(damage) };
                hold(&self.state).damaged.insert(number, damage);
                // Without it there may be others to merge.
                Ok(true)
            }
            merged => merged,
        }
    }

    /// Makes some runs one. Returns whether it came to its end.
    fn merge(&self, due: &[Arc<Run>]) -> Result<bool, Error> {
        let number = self.next_run();
        let mut sources = Vec::with_capacity(due.len());
        for run in due {
            sources.push(Source::Run(run.from(b"", None)?));
        }
        let entries = due.iter().map(|run| run.entries).sum();
        let mut writer = RunWriter::create(&self.folder, number, entries)?;
        let mut merge = Merge::of(sources, Vec::new());
        while let Some((key, value)) = merge.next_merged()? {
            if hold(&self.state).closing {
                return Ok(false);
            }
            writer.push(&key, &value)?;
        }
        let run = self.finish_run(writer)?;
        self.replace(due, run, &BTreeMap::new())?;
        Ok(true)
    }

    /// Puts a run in the place of those it was made of, and counts what it does not have of them.
    pub(super) fn replace(
        &self,
        old: &[Arc<Run>],
        new: Run,
        gone: &BTreeMap<TenantId, Expired>,
    ) -> Result<(), Error> {
        let is_old = |number: u64| old.iter().any(|run| run.number == number);
        self.change(|manifest| {
            manifest.runs.retain(|number| !is_old(*number));
            manifest.runs.push(new.number);
            for (tenant, expired) in gone {
                if let Some(counts) = manifest.tenants.get_mut(tenant) {
                    expired.take_from(&mut counts.totals);
                }
            }
        })?;
        if !gone.is_empty() {
            self.count_gone(gone);
        }
        let new = Arc::new(new);
        self.change_view(|view| View {
            active: Arc::clone(&view.active),
            frozen: view.frozen.clone(),
            runs: view.runs.iter().filter(|run| !is_old(run.number)).cloned().chain([new]).collect(),
            cache: Arc::clone(&view.cache),
            marks: view.marks,
        });
        for run in old {
            // Who reads it still has it open. What cannot be removed now is, at the next opening.
            let _ = fs::remove_file(run::path(&self.folder, run.number));
        }
        Ok(())
    }

    pub(super) fn finish_run(&self, writer: RunWriter) -> Result<Run, Error> {
        let run = writer.finish()?;
        sync_folder(&self.folder)?;
        Ok(run)
    }

    pub(super) fn next_run(&self) -> u64 {
        let mut manifest = hold(&self.manifest);
        manifest.next_run += 1;
        manifest.next_run - 1
    }

    /// Changes the manifest on the disk, then the one in memory.
    fn change(&self, change: impl FnOnce(&mut Manifest)) -> Result<(), Error> {
        let mut manifest = hold(&self.manifest);
        let mut next = manifest.clone();
        change(&mut next);
        next.runs.sort_unstable();
        next.write(&self.folder)?;
        *manifest = next;
        Ok(())
    }

    fn change_view(&self, change: impl FnOnce(&View) -> View) {
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        *view = Arc::new(change(&view));
    }

    /// Does its duty until [`Base::close`]; for a thread of its own.
    pub(crate) fn keep_up(&self, duty: Duty, directories: &Directories) {
        loop {
            let done = match duty {
                Duty::Fold => self.fold(directories),
                Duty::Merge => self.merge_due(),
            };
            let mut state = hold(&self.state);
            if let Err(error) = &done
                && error.is_of_disk()
            {
                state.disk_trouble.get_or_insert(error.to_string());
            }
            let trouble = match duty {
                Duty::Fold => &mut state.fold_trouble,
                Duty::Merge => &mut state.merge_trouble,
            };
            match done {
                Ok(true) => {
                    *trouble = None;
                    self.progress.notify_all();
                    if state.closing {
                        return;
                    }
                    continue;
                }
                Ok(false) => {}
                Err(error) => {
                    *trouble = Some(error);
                    self.progress.notify_all();
                }
            }
            if state.closing {
                return;
            }
            drop(self.progress.wait_timeout(state, AGAIN_AFTER));
        }
    }

    /// Ends [`Base::keep_up`].
    pub(crate) fn close(&self) {
        hold(&self.state).closing = true;
        self.progress.notify_all();
    }
}

/// The runs to be merged: all up to the smallest size of which there are enough.
fn due(runs: &[Arc<Run>], damaged: &BTreeMap<u64, Error>) -> Vec<Arc<Run>> {
    let size = |run: &Run| (run.length / SMALLEST_BYTES).checked_ilog(4).map_or(0, |size| size + 1);
    // A damaged run is left as it is: a rebuild makes it anew.
    let sound = || runs.iter().filter(|run| run.damage().is_none() && !damaged.contains_key(&run.number));
    let largest = sound().map(|run| size(run)).max().unwrap_or(0);
    let enough = (0..=largest).find(|of| sound().filter(|run| size(run) == *of).count() >= RUNS_A_SIZE);
    let Some(enough) = enough else { return Vec::new() };
    sound().filter(|run| size(run) <= enough).cloned().collect()
}

/// The numbers and names of the runs in a folder.
fn runs_in(folder: &Path) -> Result<Vec<(u64, PathBuf)>, Error> {
    let what = || format!("listing {}", folder.display());
    let mut runs = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io(what()))? {
        let path = entry.map_err(Error::io(what()))?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        let is_run = path.extension().is_some_and(|extension| extension == "run");
        runs.extend(number.filter(|_| is_run).map(|number| (number, path)));
    }
    Ok(runs)
}

/// Whether there are any runs in a folder.
pub(super) fn has_runs(folder: &Path) -> Result<bool, Error> {
    Ok(!runs_in(folder)?.is_empty())
}

/// Takes away what a fold, a merge or a removal left when it was stopped.
pub(super) fn remove_strays(folder: &Path, manifest: &Manifest) -> Result<(), Error> {
    for (number, path) in runs_in(folder)? {
        if !manifest.runs.contains(&number) {
            fs::remove_file(&path).map_err(Error::io(format!("removing {}", path.display())))?;
        }
    }
    Ok(())
}
