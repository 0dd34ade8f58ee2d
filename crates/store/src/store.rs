//! The store: one folder, one writer at a time, any number of readers.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pintle_model::{AlertId, FileHash, TenantId, Time};

use crate::{Batch, Conflict, Error, FileMachines, Page, Receipt, Reject, Scope, Sighting, Totals};

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
    pub tenant_retention: std::collections::BTreeMap<TenantId, Retention>,
    /// Caps of the archive.
    pub archive: ArchiveCaps,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            clock: Arc::new(|| Time::from(std::time::SystemTime::now())),
            retention: Retention::default(),
            tenant_retention: std::collections::BTreeMap::new(),
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
pub struct Store {}

#[allow(unused_variables)]
impl Store {
    /// Opens the folder, making it if it is not there, and applies what the archive holds beyond
    /// the base. Fails with [`Error::InUse`] if another process has it.
    pub fn open(folder: &Path, options: Options) -> Result<Store, Error> { todo!() }
    /// Makes the base again from the archive, in place. Calls `progress` after every batch.
    pub fn rebuild(folder: &Path, options: Options, progress: &mut dyn FnMut(Rebuilt)) -> Result<Store, Error> { todo!() }
    /// Takes a batch. Returns when it is durable and can be read.
    pub fn append(&self, batch: Batch) -> Result<Receipt, Error> { todo!() }
    /// The machines with a record of this file, as `{…},{…}`, ascending by id. `None`: unknown hash.
    pub fn file_machines(&self, scope: &Scope, hash: &FileHash, page: Page, out: &mut Vec<u8>) -> Result<Option<FileMachines>, Error> { todo!() }
    /// The same with times, for people.
    pub fn file_sightings(&self, scope: &Scope, hash: &FileHash) -> Result<Option<(Vec<Sighting>, FileMachines)>, Error> { todo!() }
    /// What is known of a file: the members of one `file` object. `None`: unknown hash.
    pub fn file(&self, scope: &Scope, hash: &FileHash) -> Result<Option<String>, Error> { todo!() }
    /// An alert by id with its evidence: the members of one `alert` object.
    pub fn alert(&self, scope: &Scope, id: &AlertId) -> Result<Option<String>, Error> { todo!() }
    /// Alerts, ascending by id, as `{…},{…}`, `evidence` empty. Returns how many were written.
    pub fn alerts(&self, scope: &Scope, page: Page, out: &mut Vec<u8>) -> Result<usize, Error> { todo!() }
    /// The files in an alert's evidence, as `{…},{…}`. `None`: no such alert (or not visible).
    pub fn alert_files(&self, scope: &Scope, id: &AlertId, page: Page, out: &mut Vec<u8>) -> Result<Option<usize>, Error> { todo!() }
    /// A machine by id, else by name without regard to case: the members of one `machine` object.
    pub fn machine(&self, scope: &Scope, id_or_name: &str) -> Result<Option<String>, Error> { todo!() }
    /// Machines, ascending by id, as `{…},{…}`. Returns how many were written.
    pub fn machines(&self, scope: &Scope, page: Page, out: &mut Vec<u8>) -> Result<usize, Error> { todo!() }
    /// Hashes that identify no single file, ascending.
    pub fn conflicts(&self, scope: &Scope) -> Result<Vec<Conflict>, Error> { todo!() }
    /// Records kept aside, by source and offset. At most `limit`.
    pub fn rejects(&self, scope: &Scope, limit: usize) -> Result<Vec<Reject>, Error> { todo!() }
    /// How much the tenant holds.
    pub fn totals(&self, scope: &Scope) -> Result<Totals, Error> { todo!() }
    /// The folder.
    pub fn folder(&self) -> &Path { todo!() }
}
