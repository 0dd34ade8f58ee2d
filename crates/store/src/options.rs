//! How a store is opened: its clock, what it hides after how long, what it drops.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use pintle_model::{TenantId, Time};

use crate::{DeviceGroups, MachineRules};

/// Where the store takes the time from; a test passes its own.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// How long things stay in answers; `None` is for ever. They are hidden at once, and taken out by
/// [`Store::expire`](crate::Store::expire).
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
    /// What is kept in memory.
    pub memory: Memory,
    /// The device groups of tenants that have any. The store keeps them nowhere: whoever opens it does,
    /// and gives later ones to [`Store::set_device_groups`](crate::Store::set_device_groups).
    pub device_groups: HashMap<TenantId, DeviceGroups>,
    /// What makes machines one, of tenants that have any such rules; kept as the groups are, and later ones
    /// given to [`Store::set_machine_rules`](crate::Store::set_machine_rules).
    pub machine_rules: HashMap<TenantId, MachineRules>,
}

/// How much is kept in memory: what is new before it goes to the base (repeats are folded together there), and
/// what was read of the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// About how many bytes. Twice as much is there while it is being written.
    pub bytes: usize,
    /// How many records: bounds what is applied again after a crash.
    pub records: u64,
    /// How many bytes of the base that were read stay at hand, unpacked.
    pub cache: usize,
}

impl Default for Memory {
    fn default() -> Memory {
        Memory { bytes: 128 << 20, records: 500_000, cache: 128 << 20 }
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            clock: Arc::new(|| Time::from(std::time::SystemTime::now())),
            retention: Retention::default(),
            tenant_retention: BTreeMap::new(),
            archive: ArchiveCaps::default(),
            memory: Memory::default(),
            device_groups: HashMap::new(),
            machine_rules: HashMap::new(),
        }
    }
}
