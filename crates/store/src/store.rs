//! The store: one folder, one writer at a time, any number of readers.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use pintle_model::{AlertId, FileHash, Hashes, Record, TenantId, Time, shapes, tables};

use crate::archive::{self, Archive, ArchivedBatch, BatchId, Position};
use crate::base::{Base, Entity, Pair};
use crate::directory::{Directory, Window};
use crate::folders;
use crate::lookup::{self, Resolved};
use crate::observe::Observed;
use crate::render;
use crate::{Batch, Conflict, Error, FileMachines, Page, Receipt, Reject, Scope, Sighting, Span, Totals};

/// Where the store takes the time from; a test passes its own.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// How long things stay in answers; `None` is for ever. They are hidden, not deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Alerts, by their last update.
    pub alerts: Option<Duration>,
    /// Machines in lists and by id, by when they were last seen. `machines of a file` still
    /// names them.
    pub machines: Option<Duration>,
    /// Pairs of file and machine, by when the file was last seen there.
    pub sightings: Option<Duration>,
}

/// When closed parts of the archive are dropped. Answers stay; what is lost is `rebuild` and undo
/// for that part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArchiveCaps {
    /// Drop segments whose newest batch is older.
    pub max_age: Option<Duration>,
    /// Drop the oldest segments while the archive is larger, in bytes.
    pub max_bytes: Option<u64>,
}

/// How a store is opened.
#[derive(Clone)]
pub struct Options {
    /// The clock.
    pub clock: Clock,
    /// Retention of tenants that have none of their own.
    pub retention: Retention,
    /// Retention of single tenants.
    pub tenant_retention: BTreeMap<TenantId, Retention>,
    /// Caps of the archive.
    pub archive: ArchiveCaps,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            clock: Arc::new(|| Time::from(std::time::SystemTime::now())),
            retention: Retention::default(),
            tenant_retention: BTreeMap::new(),
            archive: ArchiveCaps::default(),
        }
    }
}

/// What a rebuild went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Batches applied again.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of archive read, of `bytes_total`.
    pub bytes: u64,
    /// Bytes of archive in all.
    pub bytes_total: u64,
}

/// The store. Cheap to share behind an `Arc`; all methods block, so async callers use a blocking
/// thread for [`Store::append`].
pub struct Store {
    folder: PathBuf,
    options: Options,
    base: Base,
    directories: RwLock<HashMap<TenantId, Directory>>,
    /// Batches written to the archive that wait for the next sync.
    queue: Mutex<Queue>,
    /// Held by the one that syncs and applies for all who wait.
    commit: Mutex<Committed>,
    /// Kept for its lock on the folder.
    _lock: File,
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
    /// Opens the folder, making it if it is not there, and applies what the archive holds beyond
    /// the base. Fails with [`Error::InUse`] if another process has it.
    pub fn open(folder: &Path, options: Options) -> Result<Store, Error> {
        let lock = folders::lock(folder)?;
        folders::recover_interrupted_rebuild(folder)?;
        Store::open_locked(folder, options, lock, &mut |_| {})
    }

    /// Makes the base again from the archive, in place. Calls `progress` after every batch. Fails
    /// if the caps have dropped a part of the archive: a rebuild would forget what it held.
    pub fn rebuild(folder: &Path, options: Options, progress: &mut dyn FnMut(Rebuilt)) -> Result<Store, Error> {
        let lock = folders::lock(folder)?;
        folders::recover_interrupted_rebuild(folder)?;
        let archived = folders::archive(folder);
        if !archive::is_complete(&archived)? {
            return Err(Error::ArchiveIncomplete(archived));
        }
        let old = Base::open(&folders::base(folder))?;
        let applied = old.applied()?;
        drop(old);
        let new = folders::start_rebuild(folder)?;
        let base = Base::open(&new)?;
        let directories = RwLock::default();
        let mut rebuilt = Rebuilt { bytes_total: archive::size_from(&archived, Position::START)?, ..Rebuilt::default() };
        replay(&archived, Position::START, applied, &base, &directories, &mut rebuilt, progress)?;
        base.persist()?;
        drop(base);
        folders::finish_rebuild(folder)?;
        Store::open_locked(folder, options, lock, &mut |_| {})
    }

    fn open_locked(
        folder: &Path,
        options: Options,
        lock: File,
        progress: &mut dyn FnMut(Rebuilt),
    ) -> Result<Store, Error> {
        let base = Base::open(&folders::base(folder))?;
        let directories = RwLock::new(base.directories()?);
        let archived = folders::archive(folder);
        fs::create_dir_all(&archived).map_err(Error::io(format!("making {}", archived.display())))?;
        let applied = base.applied()?;
        let mut caught_up = Rebuilt { bytes_total: archive::size_from(&archived, applied)?, ..Rebuilt::default() };
        replay(&archived, applied, applied, &base, &directories, &mut caught_up, progress)?;
        let archive = Archive::open(&archived, options.archive)?;
        archive.enforce_caps(base.applied()?, (options.clock)())?;
        let queue = Queue { archive, waiting: Vec::new(), ids: HashMap::new(), next_ticket: 0, failed: None };
        Ok(Store {
            folder: folder.to_owned(),
            options,
            base,
            directories,
            queue: Mutex::new(queue),
            commit: Mutex::default(),
            _lock: lock,
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Takes a batch. Returns when it is durable and can be read.
    ///
    /// Writers queue their batch in the archive and then compete for the commit lock; whoever
    /// gets it syncs and applies every batch that waits, so one sync serves them all.
    pub fn append(&self, batch: Batch) -> Result<Receipt, Error> {
        if batch.records.len() > Batch::MAX_RECORDS {
            return Err(Error::TooLarge { what: "records", found: batch.records.len(), limit: Batch::MAX_RECORDS });
        }
        let batch = ArchivedBatch::new(batch, (self.options.clock)())?;
        let outside = self.alerts_outside_retention(&batch);
        let repeated = |_| Receipt { repeated: true, ..Receipt::default() };
        let (ticket, is_mine) = match self.enqueue(batch)? {
            Enqueued::Known => return Ok(repeated(())),
            Enqueued::Waiting(ticket) => (ticket, false),
            Enqueued::Mine(ticket) => (ticket, true),
        };
        let mut committed = hold(&self.commit);
        if committed.next_ticket <= ticket {
            self.commit(&mut committed)?;
        }
        match committed.receipts.remove(&ticket).filter(|_| is_mine) {
            Some(receipt) => Ok(Receipt { alerts_outside_retention: outside, ..receipt }),
            None => Ok(repeated(())),
        }
    }

    fn enqueue(&self, batch: ArchivedBatch) -> Result<Enqueued, Error> {
        let mut queue = hold(&self.queue);
        if let Some(failed) = &queue.failed {
            return Err(Error::ReadOnly(failed.clone()));
        }
        if let Some(ticket) = queue.ids.get(&batch.id) {
            return Ok(Enqueued::Waiting(*ticket));
        }
        if self.base.knows(&batch.id)? {
            return Ok(Enqueued::Known);
        }
        if let Err(error) = queue.archive.append(&batch) {
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
    /// writes: after a failed sync nobody knows what is on the disk.
    fn commit(&self, committed: &mut Committed) -> Result<(), Error> {
        let result = self.commit_waiting(committed);
        if let Err(error) = &result {
            hold(&self.queue).failed.get_or_insert(error.to_string());
        }
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

    fn alerts_outside_retention(&self, batch: &ArchivedBatch) -> u64 {
        let Some(window) = self.retention(batch.tenant).alerts else { return 0 };
        let oldest = (self.options.clock)() - window;
        let updated = |record: &Record| match record {
            Record::Alert(alert) => alert.facts.time(shapes::alert::LAST_UPDATE_TIME),
            Record::Row(row) if row.table_id() == tables::alert_info::TABLE.id => row.time(tables::alert_info::TIMESTAMP),
            Record::Row(_) => None,
        };
        batch.records.iter().filter_map(updated).filter(|time| *time < oldest).count() as u64
    }

    fn retention(&self, tenant: TenantId) -> Retention {
        self.options.tenant_retention.get(&tenant).copied().unwrap_or(self.options.retention)
    }

    fn now(&self) -> Time {
        (self.options.clock)()
    }

    fn machine_window(&self, scope: &Scope) -> Window {
        Window { now: self.now(), length: self.retention(scope.tenant()).machines }
    }

    fn directory<T>(&self, scope: &Scope, read: impl FnOnce(&Directory) -> T) -> T {
        let directories = read_lock(&self.directories);
        match directories.get(&scope.tenant()) {
            Some(directory) => read(directory),
            None => read(&Directory::default()),
        }
    }

    /// What a hash stands for and where it was seen, within the retention of sightings.
    fn seen(&self, scope: &Scope, hash: &FileHash) -> Result<Option<(Resolved, BTreeMap<u32, Pair>)>, Error> {
        let Some(resolved) = lookup::resolve(&self.base, scope.tenant(), hash)? else { return Ok(None) };
        let mut pairs = lookup::pairs(&self.base, scope.tenant(), &resolved)?;
        if let Some(window) = self.retention(scope.tenant()).sightings {
            let oldest = self.now() - window;
            let was_seen = !pairs.is_empty();
            pairs.retain(|_, pair| pair.any_role.is_none_or(|span| span.last >= oldest));
            if was_seen && pairs.is_empty() {
                return Ok(None);
            }
        }
        Ok(Some((resolved, pairs)))
    }

    /// The machines with a record of this file, as `{…},{…}`, ascending by id. `None`: unknown
    /// hash. A file seen only on machines that the caller may not see is known all the same.
    pub fn file_machines(
        &self,
        scope: &Scope,
        hash: &FileHash,
        page: Page,
        out: &mut Vec<u8>,
    ) -> Result<Option<FileMachines>, Error> {
        let Some((resolved, pairs)) = self.seen(scope, hash)? else { return Ok(None) };
        let now = self.now();
        let written = self.directory(scope, |directory| directory.write_some(scope, now, pairs.into_keys(), page, out));
        Ok(Some(FileMachines { written, ask_instead: resolved.ask_instead }))
    }

    /// The same with times, for people.
    pub fn file_sightings(
        &self,
        scope: &Scope,
        hash: &FileHash,
    ) -> Result<Option<(Vec<Sighting>, FileMachines)>, Error> {
        let Some((resolved, pairs)) = self.seen(scope, hash)? else { return Ok(None) };
        let sightings: Vec<Sighting> = self.directory(scope, |directory| {
            let order = directory.in_order(scope, pairs.keys().copied());
            let sighting = |ordinal: u32| {
                let (machine, pair) = (directory.get(ordinal)?, pairs.get(&ordinal)?);
                Some(Sighting {
                    machine: machine.id.clone(),
                    name: machine.name.clone(),
                    as_target: pair.as_target,
                    any_role: pair.any_role,
                })
            };
            order.into_iter().filter_map(sighting).collect()
        });
        let found = FileMachines { written: sightings.len(), ask_instead: resolved.ask_instead };
        Ok(Some((sightings, found)))
    }

    /// What is known of a file: the members of one `file` object. `None`: unknown hash.
    pub fn file(&self, scope: &Scope, hash: &FileHash) -> Result<Option<String>, Error> {
        let Some((resolved, pairs)) = self.seen(scope, hash)? else { return Ok(None) };
        let mut entity = Entity::default();
        for set in resolved.sets() {
            entity.merge(self.base.file(scope.tenant(), set)?.unwrap_or_default(), 0);
        }
        let seen = pairs.values().fold(None, |seen, pair| Span::joined(seen, pair.any_role));
        Ok(Some(render::render_file(&resolved.hashes(), pairs.len(), seen, &entity)))
    }

    /// An alert by id with its evidence: the members of one `alert` object.
    pub fn alert(&self, scope: &Scope, id: &AlertId) -> Result<Option<String>, Error> {
        let alert = self.visible_alert(scope, id)?;
        Ok(alert.map(|entity| render::render_alert(scope.tenant(), id.as_str(), &entity, true)))
    }

    fn visible_alert(&self, scope: &Scope, id: &AlertId) -> Result<Option<Entity>, Error> {
        let alert = self.base.alert(scope.tenant(), id.as_str())?;
        Ok(alert.filter(|alert| self.is_recent(scope, alert) && self.is_visible(scope, alert)))
    }

    /// Whether the alert's last update lies within the retention. One without a `lastUpdateTime`
    /// counts by its newest event.
    fn is_recent(&self, scope: &Scope, alert: &Entity) -> bool {
        let Some(window) = self.retention(scope.tenant()).alerts else { return true };
        let updated = alert.facts.time(shapes::alert::LAST_UPDATE_TIME).or(alert.span.map(|span| span.last));
        updated.is_none_or(|updated| updated >= self.now() - window)
    }

    /// Whether the caller may see the machine that the alert is on. An alert on none is only
    /// there for those who see all.
    fn is_visible(&self, scope: &Scope, alert: &Entity) -> bool {
        scope.sees_all()
            || self.directory(scope, |directory| {
                let machine = alert.facts.text(shapes::alert::MACHINE_ID).and_then(|id| directory.ordinal(&id.parse().ok()?));
                machine.and_then(|ordinal| directory.get(ordinal)).is_some_and(|machine| machine.is_visible(scope))
            })
    }

    /// Alerts, ascending by id, as `{…},{…}`, `evidence` empty. Returns how many were written.
    pub fn alerts(&self, scope: &Scope, page: Page, out: &mut Vec<u8>) -> Result<usize, Error> {
        let mut list = List::new(out);
        let mut to_skip = page.skip;
        for entry in self.base.alerts(scope.tenant()) {
            if list.written == page.top {
                break;
            }
            let (id, alert) = entry?;
            if !self.is_recent(scope, &alert) || !self.is_visible(scope, &alert) {
                continue;
            }
            if to_skip > 0 {
                to_skip -= 1;
                continue;
            }
            list.push(&render::render_alert(scope.tenant(), &id, &alert, false));
        }
        Ok(list.written)
    }

    /// The files in an alert's evidence, as `{…},{…}`, in the order of their hashes. `None`: no
    /// such alert, or not for this caller.
    pub fn alert_files(
        &self,
        scope: &Scope,
        id: &AlertId,
        page: Page,
        out: &mut Vec<u8>,
    ) -> Result<Option<usize>, Error> {
        let Some(alert) = self.visible_alert(scope, id)? else { return Ok(None) };
        let mut list = List::new(out);
        for hashes in render::evidence_files(&alert).into_iter().skip(page.skip).take(page.top) {
            list.push(&self.evidence_file(scope, &hashes)?);
        }
        Ok(Some(list.written))
    }

    /// What is known of a file that evidence names. Its own hashes stand, whatever else is known.
    fn evidence_file(&self, scope: &Scope, named: &Hashes) -> Result<String, Error> {
        let mut hashes = *named;
        let (mut entity, mut machines, mut seen) = (Entity::default(), 0, None);
        if let Some(hash) = named.iter().next()
            && let Some((resolved, pairs)) = self.seen(scope, &hash)?
        {
            for set in resolved.sets() {
                entity.merge(self.base.file(scope.tenant(), set)?.unwrap_or_default(), 0);
            }
            let known = resolved.hashes();
            hashes = Hashes {
                sha1: named.sha1.or(known.sha1),
                sha256: named.sha256.or(known.sha256),
                md5: named.md5.or(known.md5),
            };
            machines = pairs.len();
            seen = pairs.values().fold(None, |seen, pair| Span::joined(seen, pair.any_role));
        }
        Ok(render::render_file(&hashes, machines, seen, &entity))
    }

    /// A machine by id, else by name without regard to case: the members of one `machine` object.
    pub fn machine(&self, scope: &Scope, id_or_name: &str) -> Result<Option<String>, Error> {
        let window = self.machine_window(scope);
        let members = self.directory(scope, |directory| {
            let mut out = Vec::new();
            directory.find(scope, window, id_or_name)?.write_members(window.now, &mut out);
            Some(out)
        });
        Ok(members.map(|members| String::from_utf8_lossy(&members).into_owned()))
    }

    /// Machines, ascending by id, as `{…},{…}`. Returns how many were written.
    pub fn machines(&self, scope: &Scope, page: Page, out: &mut Vec<u8>) -> Result<usize, Error> {
        let window = self.machine_window(scope);
        Ok(self.directory(scope, |directory| directory.write_all(scope, window, page, out)))
    }

    /// Hashes that identify no single file, ascending.
    pub fn conflicts(&self, scope: &Scope) -> Result<Vec<Conflict>, Error> {
        lookup::conflicts(&self.base, scope.tenant())
    }

    /// Records kept aside, by source and offset. At most `limit`.
    pub fn rejects(&self, scope: &Scope, limit: usize) -> Result<Vec<Reject>, Error> {
        let mut rejects = self.base.rejects(scope.tenant()).collect::<Result<Vec<_>, _>>()?;
        rejects.sort_by(|one, other| (&one.source, one.offset, &one.bytes).cmp(&(&other.source, other.offset, &other.bytes)));
        rejects.truncate(limit);
        Ok(rejects)
    }

    /// How much the tenant holds.
    pub fn totals(&self, scope: &Scope) -> Result<Totals, Error> {
        self.base.totals(scope.tenant())
    }
}

type Directories = RwLock<HashMap<TenantId, Directory>>;

/// Applies one batch to the base and then to the directory. A reader in between sees the base's
/// machines that the directory does not know yet as not there: the batch is not acknowledged.
fn apply(base: &Base, directories: &Directories, batch: &ArchivedBatch, after: Position) -> Result<Receipt, Error> {
    let observed = Observed::of(batch);
    let (receipt, changed) = {
        let directories = read_lock(directories);
        let nobody = Directory::default();
        base.apply(batch, observed, after, directories.get(&batch.tenant).unwrap_or(&nobody))?
    };
    let mut directories = directories.write().unwrap_or_else(PoisonError::into_inner);
    let directory = directories.entry(batch.tenant).or_default();
    for machine in changed {
        directory.put(machine.ordinal, machine.id, &machine.entity);
    }
    directory.settle();
    Ok(receipt)
}

fn replay(
    archived: &Path,
    from: Position,
    applied: Position,
    base: &Base,
    directories: &Directories,
    so_far: &mut Rebuilt,
    progress: &mut dyn FnMut(Rebuilt),
) -> Result<(), Error> {
    archive::replay(archived, from, applied, &mut |batch, after| {
        apply(base, directories, &batch, after)?;
        so_far.batches += 1;
        so_far.records += batch.records.len() as u64;
        so_far.bytes = so_far.bytes_total.saturating_sub(archive::size_from(archived, after)?.saturating_sub(after.offset));
        progress(*so_far);
        Ok(())
    })
}

/// A list of JSON objects being written.
struct List<'o> {
    out: &'o mut Vec<u8>,
    written: usize,
}

impl<'o> List<'o> {
    fn new(out: &'o mut Vec<u8>) -> List<'o> {
        List { out, written: 0 }
    }

    fn push(&mut self, members: &str) {
        self.out.extend_from_slice(if self.written == 0 { b"{" } else { b",{" });
        self.out.extend_from_slice(members.as_bytes());
        self.out.push(b'}');
        self.written += 1;
    }
}

/// The data behind these locks is whole after any panic: it is replaced, never half-changed.
fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_lock<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}
