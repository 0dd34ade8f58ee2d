//! What is written: batches in, receipts out.

use std::ops::AddAssign;

use pintle_model::{Record, TenantId};
use serde::{Deserialize, Serialize};

/// Records accepted or refused together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Whose records these are: the token's or the command line's tenant, never the record's.
    pub tenant: TenantId,
    /// Where they came from: a file's name, an inlet.
    pub source: String,
    /// The records, at most [`Batch::MAX_RECORDS`].
    pub records: Vec<Record>,
    /// What was kept aside on the way.
    pub rejects: Vec<Reject>,
    /// Whether it comes as it happens: what it says of alerts is then known since it is here, if not
    /// by the source's own word.
    pub is_live: bool,
}

impl Batch {
    /// Where what people change and raise here comes from: no telemetry is taken in under this name. (It was
    /// `api` before, a name that telemetry may have.)
    pub const PEOPLE: &str = "(people)";
    /// Where alerts come from that Pintle raises itself: no telemetry is taken in under this name either.
    pub const PINTLE: &str = "(pintle)";
    /// The most records a batch may hold.
    pub const MAX_RECORDS: usize = 100_000;

    /// Whether telemetry cannot come under this name.
    pub fn is_reserved(source: &str) -> bool {
        source == Batch::PEOPLE || source == Batch::PINTLE
    }

    /// Nothing yet, of what was recorded elsewhere and before.
    pub fn recorded(tenant: TenantId, source: impl Into<String>) -> Batch {
        let source = source.into();
        Batch { tenant, source, records: Vec::new(), rejects: Vec::new(), is_live: false }
    }

    /// Nothing yet, of what comes as it happens.
    pub fn live(tenant: TenantId, source: impl Into<String>) -> Batch {
        Batch { is_live: true, ..Batch::recorded(tenant, source) }
    }
}

/// A record that could not be read, kept aside. Ordered by where it was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reject {
    /// The file or inlet it came from.
    pub source: String,
    /// Where in it, in bytes of the unpacked stream (for EVTX: the record number).
    pub offset: u64,
    /// Why, in words that say what to do.
    pub reason: String,
    /// Its first bytes.
    pub bytes: Vec<u8>,
}

/// What a batch changed. Returned only once the batch is durable and can be read. Those of several
/// batches add up, beginning with the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The same batch was here already and nothing was kept again; of a sum: any of them was.
    pub repeated: bool,
    /// Machines not seen before.
    pub new_machines: u64,
    /// Files (distinct sets of hashes) not seen before.
    pub new_files: u64,
    /// Events more than 24 h in the future or before 1990: kept, but they moved no first or last
    /// seen.
    pub implausible_times: u64,
    /// Alerts that lie outside the configured retention already.
    pub alerts_outside_retention: u64,
}

impl AddAssign for Receipt {
    fn add_assign(&mut self, other: Receipt) {
        let Receipt { repeated, new_machines, new_files, implausible_times, alerts_outside_retention } =
            other;
        self.repeated |= repeated;
        self.new_machines += new_machines;
        self.new_files += new_files;
        self.implausible_times += implausible_times;
        self.alerts_outside_retention += alerts_outside_retention;
    }
}

/// How much a tenant holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Machines.
    pub machines: u64,
    /// Distinct sets of file hashes.
    pub files: u64,
    /// Alerts.
    pub alerts: u64,
}
