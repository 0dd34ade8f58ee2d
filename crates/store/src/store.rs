//! The store: one folder, one writer at a time, any number of readers.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use pintle_model::tables::alert_info;
use pintle_model::{Record, TenantId, Time, shapes};

use crate::archive::{self, Archive, ArchivedBatch, BatchId, Encoded, Frame, Position};
use crate::base::Base;
use crate::directory::SharedDirectory;
use crate::observe::Observed;
use crate::{Batch, Error, Folder, Options, Receipt, Retention, folders};

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
    pub(crate) base: Base,
    pub(crate) directories: Directories,
    /// Batches written to the archive that wait for the next sync.
    queue: Mutex<Queue>,
    /// Held by the one that syncs and applies for all who wait.
    commit: Mutex<Committed>,
    set_aside: Option<PathBuf>,
}

struct Queue {
    archive: Archive,
    waiting: Vec<(u64, ArchivedBatch, Position)>,
    /// Ids in `waiting`, so that the same batch sent twice at once is kept once.
    ids: HashMap<BatchId, u64>,
    next_ticket: u64,
    failed: Option<String>,
}

#[derive(Default)]
struct Committed {
    /// Every ticket below is durable and applied.
    next_ticket: u64,
    /// Receipts whose writers have not come for them yet.
    receipts: HashMap<u64, Receipt>,
    /// Records applied since the base was last made durable.
    unpersisted: u64,
    /// The segment in which the last batch ended.
    segment: u32,
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

/// The base is made durable after this many records, which bounds what is applied again after a
/// power cut.
const PERSIST_EVERY: u64 = 500_000;

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
        options: Options,
        progress: &mut dyn FnMut(Replayed),
    ) -> Result<Store, Error> {
        folder.recover_interrupted_rebuild()?;
        if !folder.base().exists() {
            // The engine does not open what it was stopped in the middle of making, so a base takes
            // its name once it is whole.
            Base::open(&folder.start_rebuild()?)?.persist()?;
            folder.finish_rebuild()?;
        }
        let base = Base::open(&folder.base())?;
        let directories = RwLock::new(base.directories()?);
        let archived = folder.archive();
        folders::make_private(&archived)?;
        // What is synced in the archive is only as durable as the archive's own name.
        folders::sync_folder(folder.path())?;
        archive::sync_last(&archived)?;
        let applied = base.applied()?;
        let mut caught_up =
            Replayed { bytes_total: archive::size_from(&archived, applied)?, ..Replayed::default() };
        let set_aside = replay(&archived, applied, applied, &base, &directories, &mut caught_up, progress)?;
        let archive = Archive::open(&archived, options.archive)?;
        if caught_up.batches > 0 {
            // Before the caps may drop what was applied just now.
            base.persist()?;
        }
        archive.enforce_caps(base.applied()?, (options.clock)())?;
        let segment = archive.end().segment;
        let queue = Queue { archive, waiting: Vec::new(), ids: HashMap::new(), next_ticket: 0, failed: None };
        let committed = Committed { segment, ..Committed::default() };
        Ok(Store {
            folder,
            options,
            base,
            directories,
            queue: Mutex::new(queue),
            commit: Mutex::new(committed),
            set_aside,
        })
    }

    /// Makes the base again from the archive, in place. Calls `progress` after every batch. Fails
    /// if the caps have dropped a part of the archive: a rebuild would forget what it held.
    pub fn rebuild(
        folder: Folder,
        options: Options,
        progress: &mut dyn FnMut(Replayed),
    ) -> Result<Store, Error> {
        folder.recover_interrupted_rebuild()?;
        let archived = folder.archive();
        let applied = Base::open(&folder.base())?.applied()?;
        if !archive::is_complete(&archived, applied)? {
            return Err(Error::ArchiveIncomplete(archived));
        }
        let base = Base::open(&folder.start_rebuild()?)?;
        let directories = RwLock::default();
        let mut rebuilt =
            Replayed { bytes_total: archive::size_from(&archived, Position::START)?, ..Replayed::default() };
        replay(&archived, Position::START, applied, &base, &directories, &mut rebuilt, progress)?;
        base.persist()?;
        drop(base);
        folder.finish_rebuild()?;
        Store::open_in(folder, options, &mut |_| {})
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

    /// Takes a batch. Returns when it is durable and can be read.
    ///
    /// Writers queue their batch in the archive and then compete for the commit lock; whoever
    /// gets it syncs and applies every batch that waits, so one sync serves them all.
    pub fn append(&self, batch: Batch) -> Result<Receipt, Error> {
        if batch.records.len() > Batch::MAX_RECORDS {
            return Err(Error::TooLarge {
                what: "records",
                found: batch.records.len(),
                limit: Batch::MAX_RECORDS,
            });
        }
        let (batch, encoded) = ArchivedBatch::new(batch, (self.options.clock)())?;
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
        if !is_mine {
            return Ok(repeated);
        }
        match committed.receipts.remove(&ticket) {
            Some(receipt) => Ok(Receipt { alerts_outside_retention: outside, ..receipt }),
            None => Err(Error::ReadOnly(STOPPED_HALF_WAY.into())),
        }
    }

    fn enqueue(&self, batch: ArchivedBatch, encoded: &Encoded) -> Result<Enqueued, Error> {
        if self.base.knows(&batch.id)? {
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
        if self.base.knows(&batch.id)? {
            return Ok(Enqueued::Known);
        }
        if let Err(error) = queue.archive.append(&frame) {
            queue.failed = Some(error.to_string());
            return Err(error);
        }
        let ticket = queue.next_ticket;
        queue.next_ticket += 1;
        queue.ids.insert(batch.id, ticket);
        let after = queue.archive.end();
        queue.waiting.push((ticket, batch, after));
        Ok(Enqueued::Mine(ticket))
    }

    /// Syncs the archive and applies every batch that waits. A failure closes the store to
    /// writes, since nobody knows then what is on the disk; and so does a panic, since the batches
    /// taken from the queue would never be applied.
    fn commit(&self, committed: &mut Committed) -> Result<(), Error> {
        let mut guard = CloseUnlessDone { queue: &self.queue, reason: Some(STOPPED_HALF_WAY.into()) };
        let result = self.commit_waiting(committed);
        guard.reason = result.as_ref().err().map(ToString::to_string);
        result
    }

    fn commit_waiting(&self, committed: &mut Committed) -> Result<(), Error> {
        let (waiting, syncer) = {
            let mut queue = hold(&self.queue);
            if let Some(failed) = &queue.failed {
                return Err(Error::ReadOnly(failed.clone()));
            }
            (std::mem::take(&mut queue.waiting), queue.archive.syncer()?)
        };
        syncer.sync()?;
        for (ticket, batch, after) in waiting {
            let records = batch.records.len() as u64;
            let receipt = apply(&self.base, &self.directories, &batch, after)?;
            hold(&self.queue).ids.remove(&batch.id);
            committed.receipts.insert(ticket, receipt);
            committed.next_ticket = ticket + 1;
            committed.unpersisted += records;
            if committed.unpersisted >= PERSIST_EVERY || after.segment != committed.segment {
                self.base.persist()?;
                committed.unpersisted = 0;
                committed.segment = after.segment;
                hold(&self.queue).archive.enforce_caps(after, self.now())?;
            }
        }
        Ok(())
    }

    /// How many alerts would not be found now, by the newest that the batch says of each.
    fn alerts_outside_retention(&self, batch: &ArchivedBatch) -> u64 {
        let Some(window) = self.retention(batch.tenant).alerts else { return 0 };
        let oldest = (self.options.clock)() - window;
        let updated = |record: &Record| match record {
            Record::Alert(alert) => {
                Some((alert.id.to_string(), alert.facts.time(shapes::alert::LAST_UPDATE_TIME)?))
            }
            Record::Row(row) if row.table_id() == alert_info::TABLE.id => {
                Some((row.text(alert_info::ALERT_ID)?.to_owned(), row.time(alert_info::TIMESTAMP)?))
            }
            Record::Row(_) => None,
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

/// A tenant's directory has a lock of its own, so that one who reads it holds up nobody else's.
type Directories = RwLock<HashMap<TenantId, SharedDirectory>>;

/// Applies one batch to the base and then to the directory. A reader in between sees the base's
/// machines that the directory does not know yet as not there: the batch is not acknowledged.
fn apply(
    base: &Base,
    directories: &Directories,
    batch: &ArchivedBatch,
    after: Position,
) -> Result<Receipt, Error> {
    let observed = Observed::of(batch);
    let known = read_lock(directories).get(&batch.tenant).cloned();
    let directory = match known {
        Some(directory) => directory,
        None => Arc::clone(write_lock(directories).entry(batch.tenant).or_default()),
    };
    let (receipt, changed) = base.apply(batch, observed, after, &read_lock(&directory))?;
    let mut directory = write_lock(&directory);
    for machine in changed {
        directory.put(machine.ordinal, machine.id, machine.entity);
    }
    Ok(receipt)
}

fn replay(
    archived: &Path,
    from: Position,
    applied: Position,
    base: &Base,
    directories: &Directories,
    so_far: &mut Replayed,
    progress: &mut dyn FnMut(Replayed),
) -> Result<Option<PathBuf>, Error> {
    archive::replay(archived, from, applied, &mut |batch, after, bytes| {
        apply(base, directories, &batch, after)?;
        so_far.batches += 1;
        so_far.records += batch.records.len() as u64;
        so_far.bytes += bytes;
        progress(*so_far);
        Ok(())
    })
}

/// A panic leaves the data behind these locks usable: the store is closed to writes by then
/// ([`CloseUnlessDone`]), and reads see what was there.
fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn read_lock<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write_lock<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
