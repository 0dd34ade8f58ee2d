//! The store: one folder, one writer at a time, any number of readers.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use pintle_model::tables::alert_info;
use pintle_model::{Record, TenantId, Time, shapes};

use crate::archive::{self, Archive, ArchivedBatch, BatchId, Encoded, Frame, Place, Position, Until};
use crate::base::{Base, Earlier};
use crate::edit::Edit;
use crate::known::{Administered, Known, Upkeep};
use crate::{Batch, Error, Folder, Memory, Options, Receipt, Retention, backup, folders, remake};

/// How far applying the archive again has come, at opening or in a rebuild.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Batches applied again.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of archive applied, of `bytes_total`.
    pub bytes: u64,
    /// Bytes of archive to apply in all, the headers of segments included.
    pub bytes_total: u64,
}

/// The store. Cheap to share behind an `Arc`; all methods block, so async callers use a blocking
/// thread for [`Store::append`].
pub struct Store {
    folder: Folder,
    options: Options,
    known: RwLock<Arc<Known>>,
    /// Folds and merges; `None` once the store is being closed.
    upkeep: Mutex<Option<Upkeep>>,
    /// Batches written to the archive that wait for the next sync.
    queue: Mutex<Queue>,
    /// Held by the one that syncs and applies for all who wait.
    commit: Mutex<Committed>,
    /// Held by whoever makes the base anew, copies it or takes out what has expired.
    pub(crate) maintenance: Mutex<()>,
    /// When somebody last changed something. Held by whoever does: what becomes of a thing depends on what
    /// it is.
    pub(crate) editing: Mutex<Time>,
    /// The device groups that count, and what makes machines one. Held while either changes, and while what is
    /// known gives way to what was made anew, so that they count there too.
    pub(crate) administered: Mutex<Administered>,
    set_aside: Option<PathBuf>,
    /// Damage in the archive that opening passed over.
    damages: Vec<String>,
}

/// A batch in the archive: its ticket, and its place there.
type Waiting = (u64, ArchivedBatch, Place);

struct Queue {
    archive: Archive,
    waiting: Vec<Waiting>,
    /// Ids in `waiting`, so that the same batch sent twice at once is kept once.
    ids: HashMap<BatchId, u64>,
    next_ticket: u64,
    failed: Option<String>,
}

struct Committed {
    /// Every ticket below is durable and applied, or failed.
    next_ticket: u64,
    /// Outcomes whose writers have not come for them yet.
    outcomes: HashMap<u64, Result<Receipt, Error>>,
    /// How much of the archive is durable and applied.
    after: Position,
}

const STOPPED_HALF_WAY: &str = "a commit stopped half-way";

/// Closes the store to writes when dropped with a reason, also on the way out of a panic.
struct CloseUnlessDone<'q> {
    queue: &'q Mutex<Queue>,
    reason: Option<String>,
}

impl Drop for CloseUnlessDone<'_> {
    fn drop(&mut self) {
        if let Some(reason) = self.reason.take() {
            hold(self.queue).failed.get_or_insert(reason);
        }
    }
}

enum Enqueued {
    /// It is in the archive, durable and applied.
    Known,
    /// Somebody else's write of the same batch is under way.
    Waiting(u64),
    /// It waits for the next sync.
    Mine(u64),
}

impl Store {
    /// Opens the folder at `path` as [`Store::open_in`] does, making it if it is not there. Fails with
    /// [`Error::InUse`] if another process has it.
    pub fn open(path: &Path, options: Options) -> Result<Store, Error> {
        Store::open_in(Folder::lock(path)?, options, &mut |_| {})
    }

    /// Opens the store of a folder, making one if there is none, and applies what the archive holds
    /// beyond the base: after a crash a little, without a base all. Calls `progress` after every
    /// batch of that.
    pub fn open_in(
        folder: Folder,
        mut options: Options,
        progress: &mut dyn FnMut(Replayed),
    ) -> Result<Store, Error> {
        let unfinished = remake::recover(&folder)?;
        backup::remove_staging(&folder)?;
        let groups = std::mem::take(&mut options.device_groups).into_iter();
        let rules = std::mem::take(&mut options.machine_rules).into_iter();
        let administered = Administered {
            groups: groups.map(|(of, groups)| (of, Arc::new(groups))).collect(),
            rules: rules.map(|(of, rules)| (of, Arc::new(rules))).collect(),
        };
        let (_, marks) = Base::reached(&folder.base())?;
        let is_made_anew = marks.is_none();
        let known = Arc::new(Known::open(&folder.base(), options.memory, None, &administered)?);
        let upkeep = Upkeep::start(&known)?;
        let archived = folder.archive();
        folders::make_private(&archived)?;
        // What is synced in the archive is only as durable as the archive's own name.
        folders::sync_folder(folder.path())?;
        archive::sync_last(&archived)?;
        let applied = known.base.applied();
        let mut caught_up =
            Replayed { bytes_total: archive::size_from(&archived, applied)?, ..Replayed::default() };
        let mut damages = Vec::new();
        // The rest can be read; who rebuilds or purges must know that something is missing.
        let mut pass_over = |damage: Error| {
            damages.push(damage.to_string());
            Ok(())
        };
        let whole = applied.max(archive::durable(&archived));
        let until = Until::End { whole };
        if caught_up.bytes_total > 0 {
            // What nobody saw before everything stopped is to be seen by who asks for what changed since. Where
            // the base is gone, nobody knows what that is, and it is made as a rebuild makes it.
            if !is_made_anew {
                known.note_listed((options.clock)());
            }
            // Machines that are not known would be taken for new ones.
            known.admit()?;
        }
        let set_aside = upkeep.catch_up(&archived, until, &mut caught_up, progress, &mut pass_over)?;
        let mut archive = Archive::open(&archived, options.archive)?;
        if archive.end() < whole {
            let file = archive::path(&archived, archive.end().segment);
            let reason = "it is cut short: there was more of it".to_owned();
            damages.push(Error::Damaged { file, offset: archive.end().offset, reason }.to_string());
            archive.go_on_behind(whole)?;
        }
        // It was synced before it was read.
        archive.begin()?;
        archive.enforce_caps(known.base.folded(), (options.clock)())?;
        let committed = Committed { next_ticket: 0, outcomes: HashMap::new(), after: archive.end() };
        let queue = Queue { archive, waiting: Vec::new(), ids: HashMap::new(), next_ticket: 0, failed: None };
        let store = Store {
            folder,
            options,
            upkeep: Mutex::new(Some(upkeep)),
            known: RwLock::new(known),
            queue: Mutex::new(queue),
            commit: Mutex::new(committed),
            maintenance: Mutex::default(),
            editing: Mutex::new(Time::MIN),
            administered: Mutex::new(administered),
            set_aside,
            damages,
        };
        if let Some(purges) = unfinished {
            store.remake(&purges, progress)?;
        }
        Ok(store)
    }

    /// Makes the base again from the archive, in place. Calls `progress` after every batch. Fails
    /// if the caps have dropped a part of the archive: a rebuild would forget what it held.
    pub fn rebuild(
        folder: Folder,
        options: Options,
        progress: &mut dyn FnMut(Replayed),
    ) -> Result<Store, Error> {
        // A purge that was stopped is done again when the new base is opened.
        remake::recover(&folder)?;
        let archived = folder.archive();
        let (applied, marks) = Base::reached(&folder.base())?;
        if let Some(lacking) = archive::incomplete(&archived, applied)? {
            return Err(Error::ArchiveIncomplete(lacking));
        }
        // Opening what is made says what counts.
        let administered = Administered::default();
        // One that cannot be opened has nothing to say: that may be why it is made anew.
        let earlier = marks.and_then(|_| Base::open(&folder.base(), options.memory, None).ok());
        let earlier = earlier.map(|base| Earlier { base: Arc::new(base), is_purged: false });
        let known = Known::open(&folder.start_rebuild()?, options.memory, marks, &administered)?;
        let known = Arc::new(known.instead_of(earlier));
        let upkeep = Upkeep::start(&known)?;
        let mut rebuilt =
            Replayed { bytes_total: archive::size_from(&archived, Position::START)?, ..Replayed::default() };
        let whole = applied.max(archive::durable(&archived));
        upkeep.catch_up(&archived, Until::End { whole }, &mut rebuilt, progress, &mut Err)?;
        drop(upkeep);
        known.finish()?;
        drop(known);
        folder.finish_rebuild()?;
        Store::open_in(folder, options, progress)
    }

    /// The folder, for what is done to all of it.
    pub(crate) fn owned_folder(&self) -> &Folder {
        &self.folder
    }

    /// Ends the last segment of the archive. Returns where the next one begins, before which all is
    /// durable and applied.
    pub(crate) fn end_segment(&self) -> Result<Position, Error> {
        let mut committed = hold(&self.commit);
        let (waiting, rolled) = {
            let mut queue = hold(&self.queue);
            if let Some(failed) = &queue.failed {
                return Err(Error::ReadOnly(failed.clone()));
            }
            (std::mem::take(&mut queue.waiting), queue.archive.roll())
        };
        match rolled {
            Ok(segment) => {
                self.apply_or_close(&mut committed, waiting)?;
                committed.after = Position::start_of(segment);
                Ok(committed.after)
            }
            Err(error) => {
                let taken_back = self.take_back(&mut committed, waiting, &error);
                self.close_if_of_disk(&error);
                self.close_if_failed(taken_back)?;
                Err(error)
            }
        }
    }

    /// Folds all that came in until now; writers wait only until it is set apart.
    pub(crate) fn fold_now(&self) -> Result<(), Error> {
        let known = self.known();
        known.base.fold(&known.directories)?;
        {
            let _no_writer = hold(&self.commit);
            known.base.freeze();
        }
        known.base.fold(&known.directories).map(|_| ())
    }

    /// Drops what the archive's caps say.
    pub(crate) fn drop_archived(&self) -> Result<(), Error> {
        let folded = self.known().base.folded();
        hold(&self.queue).archive.enforce_caps(folded, self.now())
    }

    fn close_if_failed<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &result {
            hold(&self.queue).failed.get_or_insert(error.to_string());
        }
        result
    }

    /// Takes no more writes if it is the disk that failed, even though nothing is lost by that: what a disk says
    /// that it wrote after it has failed once is not to be believed.
    fn close_if_of_disk(&self, error: &Error) {
        if error.is_of_disk() {
            hold(&self.queue).failed.get_or_insert(error.to_string());
        }
    }

    /// How far the archive is durable and applied.
    pub(crate) fn committed(&self) -> Position {
        hold(&self.commit).after
    }

    /// Lets nobody write while `work` runs, which is told how far the archive is durable and applied.
    pub(crate) fn without_writers<T>(
        &self,
        work: impl FnOnce(Position) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let committed = hold(&self.commit);
        work(committed.after)
    }

    /// Lets nobody write while `change` runs, which is told how far the archive is durable and applied;
    /// and what administrators say of machines; what it returns is what is known from then on. If it fails, the
    /// store takes no more writes.
    pub(crate) fn replace_known(
        &self,
        change: impl FnOnce(Position, &Administered) -> Result<Known, Error>,
    ) -> Result<(), Error> {
        let committed = hold(&self.commit);
        let mut upkeep = hold(&self.upkeep);
        // The old base must be left alone before its folder is another's.
        let is_kept_up = upkeep.take().is_some();
        let administered = hold(&self.administered);
        let known = Arc::new(self.close_if_failed(change(committed.after, &administered))?);
        known.note_listed(self.now().max(self.known().last_listed()));
        if is_kept_up {
            *upkeep = Some(self.close_if_failed(Upkeep::start(&known))?);
        }
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(())
    }

    pub(crate) fn memory(&self) -> Memory {
        self.options.memory
    }

    pub(crate) fn known(&self) -> Arc<Known> {
        Arc::clone(&read_lock(&self.known))
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where opening put the torn end of the archive, if it had one: batches that were being
    /// written when everything stopped and were never acknowledged.
    pub fn set_aside(&self) -> Option<&Path> {
        self.set_aside.as_deref()
    }

    /// What is wrong with what is on the disk, and has been noticed: damaged files, a fold that fails
    /// for want of space. Nothing of it keeps the rest from being read.
    pub fn troubles(&self) -> Vec<String> {
        self.damages.iter().cloned().chain(self.known().troubles()).collect()
    }

    /// What is not answered for though it is in the archive, and what would change that. Nothing of it is
    /// wrong.
    pub fn notices(&self) -> Vec<String> {
        self.known().base.notice().into_iter().collect()
    }

    /// Whether something that was acknowledged is missing.
    pub(crate) fn lacks_some(&self) -> bool {
        !self.damages.is_empty()
    }

    /// Takes a batch. Returns when it is durable and can be read.
    ///
    /// Writers queue their batch in the archive and then compete for the commit lock; whoever
    /// gets it syncs and applies every batch that waits, so one sync serves them all.
    pub fn append(&self, batch: Batch) -> Result<Receipt, Error> {
        if batch.source == Batch::PEOPLE {
            return Err(Error::ReservedSource(Batch::PEOPLE));
        }
        self.append_with(batch, Vec::new())
    }

    /// The same, with changes by people.
    pub(crate) fn append_with(&self, batch: Batch, edits: Vec<Edit>) -> Result<Receipt, Error> {
        if batch.records.len() + edits.len() > Batch::MAX_RECORDS {
            return Err(Error::TooLarge {
                what: "records",
                found: batch.records.len() + edits.len(),
                limit: Batch::MAX_RECORDS,
            });
        }
        self.known().admit()?;
        let (batch, encoded) = ArchivedBatch::new(batch, edits, (self.options.clock)())?;
        let (tenant, id) = (batch.tenant, batch.id);
        let outside = self.alerts_outside_retention(&batch);
        let repeated = Receipt { repeated: true, alerts_outside_retention: outside, ..Receipt::default() };
        let (ticket, is_mine) = match self.enqueue(batch, &encoded)? {
            Enqueued::Known => return Ok(repeated),
            Enqueued::Waiting(ticket) => (ticket, false),
            Enqueued::Mine(ticket) => (ticket, true),
        };
        let mut committed = hold(&self.commit);
        if committed.next_ticket <= ticket {
            self.commit(&mut committed)?;
        }
        if is_mine {
            let outcome = committed.outcomes.remove(&ticket);
            let receipt = outcome.unwrap_or_else(|| Err(Error::ReadOnly(STOPPED_HALF_WAY.into())))?;
            return Ok(Receipt { alerts_outside_retention: outside, ..receipt });
        }
        drop(committed);
        // The other writer's may have failed.
        match self.known().base.knows(tenant, &id)? {
            true => Ok(repeated),
            false => Err(Error::ReadOnly("the same batch was being written and failed".into())),
        }
    }

    fn enqueue(&self, batch: ArchivedBatch, encoded: &Encoded) -> Result<Enqueued, Error> {
        let known = self.known();
        if known.base.knows(batch.tenant, &batch.id)? {
            return Ok(Enqueued::Known);
        }
        let frame = Frame::of(encoded);
        let mut queue = hold(&self.queue);
        if let Some(failed) = &queue.failed {
            return Err(Error::ReadOnly(failed.clone()));
        }
        if let Some(ticket) = queue.ids.get(&batch.id) {
            return Ok(Enqueued::Waiting(*ticket));
        }
        // Once more: it may have been applied while the frame was made.
        if known.base.knows(batch.tenant, &batch.id)? {
            return Ok(Enqueued::Known);
        }
        if let Err(error) = queue.archive.append(&frame) {
            if !queue.archive.is_sound() || error.is_of_disk() {
                queue.failed = Some(error.to_string());
            }
            return Err(error);
        }
        let ticket = queue.next_ticket;
        queue.next_ticket += 1;
        queue.ids.insert(batch.id, ticket);
        let place = Place::ending_at(queue.archive.end(), frame.len());
        queue.waiting.push((ticket, batch, place));
        Ok(Enqueued::Mine(ticket))
    }

    /// Syncs the archive and applies every batch that waits. If the sync fails, none of them is taken:
    /// what they wrote is cut off again, and if that fails as well the store takes no more writes,
    /// since nobody knows then what is on the disk.
    fn commit(&self, committed: &mut Committed) -> Result<(), Error> {
        let (waiting, syncer) = {
            let mut queue = hold(&self.queue);
            if let Some(failed) = &queue.failed {
                return Err(Error::ReadOnly(failed.clone()));
            }
            let syncer = queue.archive.syncer()?;
            (std::mem::take(&mut queue.waiting), syncer)
        };
        match syncer.sync() {
            Ok(()) => {
                let noted = hold(&self.queue).archive.note_durable(syncer.end);
                noted.unwrap_or_else(|error| self.close_if_of_disk(&error));
                self.apply_or_close(committed, waiting)
            }
            Err(error) => {
                let taken_back = self.take_back(committed, waiting, &error);
                self.close_if_of_disk(&error);
                self.close_if_failed(taken_back)
            }
        }
    }

    /// Applies what is durable. A failure closes the store to writes, and so does a panic, since the
    /// batches taken from the queue would never be applied.
    fn apply_or_close(&self, committed: &mut Committed, waiting: Vec<Waiting>) -> Result<(), Error> {
        let mut guard = CloseUnlessDone { queue: &self.queue, reason: Some(STOPPED_HALF_WAY.into()) };
        let result = self.apply_all(committed, waiting);
        guard.reason = result.as_ref().err().map(ToString::to_string);
        result
    }

    fn apply_all(&self, committed: &mut Committed, waiting: Vec<Waiting>) -> Result<(), Error> {
        let known = self.known();
        for (ticket, batch, place) in waiting {
            let (receipt, after) = (known.apply(&batch, place)?, place.ends);
            hold(&self.queue).ids.remove(&batch.id);
            committed.outcomes.insert(ticket, Ok(receipt));
            committed.next_ticket = ticket + 1;
            if after.segment != committed.after.segment {
                self.drop_archived()?;
            }
            committed.after = after;
            known.base.make_room();
        }
        Ok(())
    }

    /// Fails everybody who waits, and cuts off what they wrote.
    fn take_back(
        &self,
        committed: &mut Committed,
        waiting: Vec<Waiting>,
        error: &Error,
    ) -> Result<(), Error> {
        let mut queue = hold(&self.queue);
        let later = std::mem::take(&mut queue.waiting);
        for (ticket, _, _) in waiting.into_iter().chain(later) {
            committed.outcomes.insert(ticket, Err(error.again()));
        }
        committed.next_ticket = queue.next_ticket;
        queue.ids.clear();
        queue.archive.take_back(committed.after)
    }

    /// Writes what is only in memory to the base, so that the next start has nothing to catch up with,
    /// and ends the threads. Dropping the store does the same, but tells nobody of a failure.
    pub fn close(&self) -> Result<(), Error> {
        let _no_writer = hold(&self.commit);
        drop(hold(&self.upkeep).take());
        self.known().fold()
    }

    /// How many alerts would not be found now, by the newest that the batch says of each.
    fn alerts_outside_retention(&self, batch: &ArchivedBatch) -> u64 {
        let Some(window) = self.retention(batch.tenant).alerts else { return 0 };
        if batch.is_live {
            // It is as if it was updated now.
            return 0;
        }
        let oldest = (self.options.clock)() - window;
        let updated = |record: &Record| match record {
            Record::Alert(alert) => {
                Some((alert.id.to_string(), alert.facts.time(shapes::alert::LAST_UPDATE_TIME)?))
            }
            Record::Row(row) if row.table_id() == alert_info::TABLE.id => {
                Some((row.text(alert_info::ALERT_ID)?.to_owned(), row.time(alert_info::TIMESTAMP)?))
            }
            Record::Row(_) | Record::Machine(_) => None,
        };
        let mut newest = BTreeMap::new();
        for (id, at) in batch.records.iter().filter_map(updated) {
            let known = newest.entry(id).or_insert(at);
            *known = at.max(*known);
        }
        newest.into_values().filter(|at| *at < oldest).count() as u64
    }

    pub(crate) fn retention(&self, tenant: TenantId) -> Retention {
        self.options.tenant_retention.get(&tenant).copied().unwrap_or(self.options.retention)
    }

    pub(crate) fn now(&self) -> Time {
        (self.options.clock)()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // The archive has it all; without this the next start takes longer.
        let _ = self.close();
    }
}

/// A panic leaves the data behind these locks usable: the store is closed to writes by then
/// ([`CloseUnlessDone`]), and reads see what was there.
pub(crate) fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn read_lock<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}
