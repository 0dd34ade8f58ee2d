//! What is known: the base and the machines' directories, kept in step. One value, so that a base
//! made anew takes the old one's place at once.

use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use pintle_model::{AlertId, TenantId, Time};

use crate::alert_index::AlertIndexes;
use crate::archive::{self, ArchivedBatch, Place, Until};
use crate::base::key::Marks;
use crate::base::{Base, Dated, Duty, Earlier};
use crate::device_group::GroupsByTenant;
use crate::directory::{Directories, Grouping, SharedDirectory};
use crate::edit::Edited;
use crate::machine_rule::RulesByTenant;
use crate::observe::Observed;
use crate::store::{hold, read_lock};
use crate::{Error, Memory, Receipt, Replayed};

/// What administrators of the tenants say of machines. The base knows nothing of it: it counts when answers
/// are made.
#[derive(Clone, Default)]
pub(crate) struct Administered {
    /// By which device groups machines are sorted.
    pub(crate) groups: GroupsByTenant,
    /// What makes machines one.
    pub(crate) rules: RulesByTenant,
}

/// See the module.
pub(crate) struct Known {
    pub(crate) base: Arc<Base>,
    /// What the base is made anew instead of, while it is.
    earlier: Option<Earlier>,
    pub(crate) directories: Directories,
    pub(crate) alert_indexes: AlertIndexes,
    /// Why the machines could not all be read, if so.
    lost_machines: Option<Error>,
    /// When lists of alerts were last asked for. Held while a batch with alerts is applied: what a list did
    /// not show yet is to have changed after it was asked for.
    listed: Mutex<Time>,
}

impl Known {
    /// Opens the base in a folder, making an empty one if there is none ([`Base::open`]). Its machines
    /// are in these groups, and one by these rules.
    pub(crate) fn open(
        folder: &Path,
        limits: Memory,
        marks: Option<Marks>,
        administered: &Administered,
    ) -> Result<Known, Error> {
        let base = Base::open(folder, limits, marks)?;
        let (directories, lost_machines) = base.directories(administered)?;
        let directories = Directories::new(directories);
        Ok(Known {
            base: Arc::new(base),
            earlier: None,
            directories,
            alert_indexes: AlertIndexes::default(),
            lost_machines,
            listed: Mutex::new(Time::MIN),
        })
    }

    /// This, to be made what another base is.
    pub(crate) fn instead_of(self, earlier: Option<Earlier>) -> Known {
        Known { earlier, ..self }
    }

    /// Writes all to the base, which was made anew: what changes from now on changes after all that was
    /// known earlier.
    pub(crate) fn finish(&self) -> Result<(), Error> {
        self.fold()?;
        self.earlier.as_ref().map_or(Ok(()), |earlier| self.base.change_after(&earlier.base))
    }

    /// A tenant's machines. Fails if some are lost: none is answered for then.
    pub(crate) fn directory(&self, of: TenantId) -> Result<SharedDirectory, Error> {
        match &self.lost_machines {
            Some(error) => Err(error.again()),
            None => Ok(self.directories.of(of)),
        }
    }

    /// Which ordinals of a tenant are one machine, and who sees it. Fails only if some machines are lost that
    /// might be one with others.
    pub(crate) fn grouping(&self, of: TenantId) -> Result<Grouping, Error> {
        let directory = self.directories.of(of);
        let directory = read_lock(&directory);
        match &self.lost_machines {
            Some(error) if directory.machine_rules().is_some() => Err(error.again()),
            _ => Ok(directory.grouping().clone()),
        }
    }

    /// Whether more can be taken in.
    pub(crate) fn admit(&self) -> Result<(), Error> {
        match &self.lost_machines {
            Some(error) => Err(error.again()),
            None => self.base.admit(),
        }
    }

    /// What is wrong with what is on the disk, and has been noticed.
    pub(crate) fn troubles(&self) -> Vec<String> {
        self.lost_machines.iter().map(ToString::to_string).chain(self.base.troubles()).collect()
    }

    /// Applies a batch that has this place in the archive. Only one may do so at a time.
    pub(crate) fn apply(&self, batch: &ArchivedBatch, place: Place) -> Result<Receipt, Error> {
        self.apply_observed(batch, Observed::of(batch), place)
    }

    fn apply_observed(
        &self,
        batch: &ArchivedBatch,
        observed: Observed,
        place: Place,
    ) -> Result<Receipt, Error> {
        let edited = batch.edits.iter().filter_map(|edit| match &edit.of {
            Edited::Alert(id) => Some(id),
            Edited::Machine(_) => None,
        });
        let alerts: Vec<AlertId> = observed.alerts.keys().chain(edited).cloned().collect();
        let listed = (!alerts.is_empty()).then(|| hold(&self.listed));
        let after = listed.as_deref().map_or(Time::MIN, |listed| listed.just_after());
        let dated = Dated { not_before: after, earlier: self.earlier.as_ref() };
        let receipt = self.base.apply(batch, observed, place, dated, &self.directories)?;
        self.alert_indexes.note(batch.tenant, alerts.iter());
        Ok(receipt)
    }

    /// Notes that a list of alerts is asked for now. What comes afterwards changes afterwards, as times go,
    /// so that who asks for what changed since misses nothing.
    pub(crate) fn note_listed(&self, now: Time) {
        let mut listed = hold(&self.listed);
        *listed = now.max(*listed);
    }

    /// When lists of alerts were last asked for.
    pub(crate) fn last_listed(&self) -> Time {
        *hold(&self.listed)
    }

    /// The same, when a list of one tenant's alerts is asked for. Returns the moment that parts what it has
    /// from what comes afterwards: all that is known now changed at it or before.
    pub(crate) fn listed(&self, of: TenantId, now: Time) -> Time {
        let mut listed = hold(&self.listed);
        *listed = now.max(*listed);
        listed.max(self.base.last_change(of))
    }

    /// Writes what is only in memory to the base.
    pub(crate) fn fold(&self) -> Result<(), Error> {
        self.base.fold_all(&self.directories)
    }
}

/// Batches that are read and wait to be applied while the archive is.
const READ_AHEAD: usize = 2;

/// The threads that fold and merge. Dropping it ends them.
pub(crate) struct Upkeep {
    known: Arc<Known>,
    threads: Vec<JoinHandle<()>>,
}

impl Upkeep {
    pub(crate) fn start(known: &Arc<Known>) -> Result<Upkeep, Error> {
        let mut upkeep = Upkeep { known: Arc::clone(known), threads: Vec::new() };
        for (name, duty) in [("pintle-fold", Duty::Fold), ("pintle-merge", Duty::Merge)] {
            let known = Arc::clone(known);
            let work = move || known.base.keep_up(duty, &known.directories);
            let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
            upkeep.threads.push(thread.map_err(Error::io("starting a thread"))?);
        }
        Ok(upkeep)
    }

    /// Applies the archive from where the base has come to, on a thread of its own while the next
    /// batches are read. `damaged` decides whether damage is passed over. Calls `progress` after every
    /// batch. Returns where a torn end was put.
    pub(crate) fn catch_up(
        &self,
        archived: &Path,
        until: Until,
        so_far: &mut Replayed,
        progress: &mut dyn FnMut(Replayed),
        damaged: &mut dyn FnMut(Error) -> Result<(), Error>,
    ) -> Result<Option<PathBuf>, Error> {
        let known = &*self.known;
        let from = known.base.applied();
        std::thread::scope(|scope| {
            let (read, waiting) = sync_channel::<(ArchivedBatch, Observed, Place)>(READ_AHEAD);
            let applying = scope.spawn(move || {
                for (batch, observed, place) in waiting {
                    known.apply_observed(&batch, observed, place)?;
                    known.base.make_room();
                    known.base.admit()?;
                }
                Ok(())
            });
            let mut each = |batch: ArchivedBatch, after, bytes| {
                let observed = Observed::of(&batch);
                so_far.batches += 1;
                so_far.records += batch.records.len() as u64;
                so_far.bytes += bytes;
                // It has failed, and says why when it is joined.
                read.send((batch, observed, Place::ending_at(after, bytes))).map_err(|_| stopped())?;
                progress(*so_far);
                Ok(())
            };
            let replayed = archive::replay(archived, from, until, &mut each, damaged);
            drop(read);
            applying.join().map_err(|_| stopped())??;
            replayed
        })
    }
}

fn stopped() -> Error {
    Error::Engine("applying the archive stopped".to_owned())
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.known.base.close();
        for thread in self.threads.drain(..) {
            // One that panicked has nothing more to do either.
            let _ = thread.join();
        }
    }
}
