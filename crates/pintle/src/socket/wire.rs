//! What goes over the socket, both ways.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pintle_store::Totals;
use serde::{Deserialize, Serialize};

use crate::keep::Passphrase;

/// A refusal's body.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) error: String,
}

/// Which tenant, by name or GUID.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OfTenant {
    pub(crate) tenant: String,
}

/// A part of a list of a tenant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) tenant: String,
    pub(crate) top: usize,
    pub(crate) skip: usize,
}

/// A line of the answer to what takes long: how far it has come, and at the end what came of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LongLine<T> {
    Progress(pintle_store::Progress),
    Done(T),
    Failed(String),
}

/// Which section of the settings is fetched from.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Pull {
    pub(crate) name: String,
}

/// Where a backup goes, a path that does not depend on who reads it, and what its secrets are encrypted
/// with.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Backup {
    pub(crate) to: PathBuf,
    /// For the secrets; without it they stay out.
    #[serde(default)]
    pub(crate) passphrase: Option<Passphrase>,
}

/// What is ingested: the query of a request whose body is the input's bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ingest {
    pub(crate) tenant: String,
    pub(crate) source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) format: Option<String>,
    /// How many bytes of the body come before the input: a mapping, which decodes it.
    #[serde(default)]
    pub(crate) mapping_bytes: usize,
}

/// A line of the answer to an ingest: how far it has come, and at the end what came of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IngestLine {
    /// Durable records, and bytes of the input, as it came, that have been read for them.
    Progress {
        records: u64,
        packed_bytes: u64,
    },
    Report(Box<Report>),
}

/// What came of one input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The input's name.
    pub(crate) source: String,
    /// The format as recognised or given.
    pub(crate) format: Option<String>,
    /// Records read and durable.
    pub(crate) records: u64,
    /// Of these, with the hash of a file.
    pub(crate) with_file_hash: u64,
    /// Records left out on purpose (no file, no machine), by reason.
    pub(crate) ignored: BTreeMap<String, u64>,
    /// Records kept aside, by reason.
    pub(crate) kept_aside: BTreeMap<String, u64>,
    /// Bytes, unpacked.
    pub(crate) bytes: u64,
    /// Batches that were here already.
    pub(crate) repeated_batches: u64,
    /// Sums over the batches.
    pub(crate) new: New,
    /// Events whose time cannot be: they moved no first or last seen.
    pub(crate) implausible_times: u64,
    /// Alerts that lie outside the configured retention already.
    pub(crate) alerts_outside_retention: u64,
    /// Why it ended early, if it did.
    pub(crate) error: Option<String>,
}

/// What was not known before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct New {
    pub(crate) machines: u64,
    pub(crate) files: u64,
}

/// The hashes asked for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Search {
    pub(crate) tenant: String,
    pub(crate) hashes: Vec<String>,
}

/// A line of the answer to a search: one hash.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Found {
    /// `sha1`, `sha256` or `md5`.
    pub(crate) kind: String,
    /// In lower-case hex.
    pub(crate) hash: String,
    /// Whether it is known at all.
    pub(crate) found: bool,
    /// Where it was seen, by machine id.
    pub(crate) machines: Vec<SeenOn>,
    /// Hashes of other kinds to ask for as well, since their records could not be counted here.
    pub(crate) ask_instead: Vec<NamedHash>,
}

/// A machine that has seen a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SeenOn {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    /// When the file was what an event was about.
    pub(crate) as_target: Option<Between>,
    /// When it had any role in an event.
    pub(crate) any_role: Option<Between>,
}

/// First and last time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Between {
    pub(crate) first_seen: String,
    pub(crate) last_seen: String,
}

/// A hash and its kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NamedHash {
    pub(crate) kind: String,
    pub(crate) hash: String,
}

impl From<pintle_model::FileHash> for NamedHash {
    fn from(hash: pintle_model::FileHash) -> NamedHash {
        NamedHash { kind: hash.kind().name().to_owned(), hash: hash.to_string() }
    }
}

/// A hash with several partners of one kind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Conflict {
    #[serde(flatten)]
    pub(crate) hash: NamedHash,
    pub(crate) partners: Vec<NamedHash>,
}

/// A record kept aside.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Reject {
    pub(crate) source: String,
    pub(crate) offset: u64,
    pub(crate) reason: String,
    /// Its first bytes as text, what is no UTF-8 replaced.
    pub(crate) text: String,
}

/// How much a tenant holds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) machines: u64,
    pub(crate) files: u64,
    pub(crate) alerts: u64,
}

impl From<Totals> for Held {
    fn from(totals: Totals) -> Held {
        let Totals { machines, files, alerts } = totals;
        Held { machines, files, alerts }
    }
}

/// Which batches to list: those of a tenant, from a time on, of sources whose name holds a text.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BatchesAsked {
    pub(crate) tenant: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<String>,
    #[serde(default)]
    pub(crate) source: String,
    pub(crate) top: usize,
    pub(crate) skip: usize,
}

/// A batch that came in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Batch {
    /// When it was taken in.
    pub(crate) time: String,
    /// 64 hex digits.
    pub(crate) id: String,
    pub(crate) source: String,
    pub(crate) records: u64,
    pub(crate) kept_aside: u64,
}

/// What to purge, as it was named.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PurgeAsked {
    pub(crate) tenant: String,
    pub(crate) what: ToPurge,
}

/// A kind and how one of it was named.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ToPurge {
    /// An id or the first digits of one.
    Batch(String),
    Source(String),
    /// An id or a name.
    Machine(String),
    User(String),
    Before(String),
    Tenant,
}

/// What a purge would take out, before anything is done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PurgePlan {
    /// What to send back to have it done.
    pub(crate) purge: pintle_store::Purge,
    /// The tenant's name.
    pub(crate) tenant: String,
    /// What is meant, in words.
    pub(crate) meant: String,
    /// How much, where that is known without reading the archive.
    pub(crate) size: Option<PurgeSize>,
}

/// How much a purge would take out.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct PurgeSize {
    pub(crate) batches: u64,
    pub(crate) records: u64,
    pub(crate) kept_aside: u64,
}

/// What came of making the base anew, with or without a purge.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Remade {
    /// Records taken out.
    pub(crate) records: u64,
    /// Records kept aside that were taken out.
    pub(crate) kept_aside: u64,
    /// Batches of which nothing is left.
    pub(crate) batches: u64,
    /// Records that stay.
    pub(crate) records_left: u64,
    /// Batches that stay.
    pub(crate) batches_left: u64,
    pub(crate) seconds: f64,
}

/// What is forgotten by age, and how the job stands that does it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Retention {
    /// A tenant each.
    pub(crate) windows: Vec<Windows>,
    /// The archive's caps.
    pub(crate) archive_max_age: Option<String>,
    pub(crate) archive_max_bytes: Option<String>,
    /// When it is to run next. `None`: nothing is configured to be forgotten.
    pub(crate) next_run: Option<String>,
    pub(crate) last_run: Option<RetentionRun>,
    pub(crate) paused: Option<Paused>,
}

/// A run of the job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RetentionRun {
    pub(crate) at: String,
    pub(crate) seconds: f64,
    /// What went.
    #[serde(flatten)]
    pub(crate) expired: pintle_store::Expired,
}

/// Why the job stands still: the clock is not where it should be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Paused {
    pub(crate) since: String,
    pub(crate) expected: String,
    pub(crate) found: String,
}

/// How long a tenant's things stay; `None` is for ever.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Windows {
    pub(crate) tenant: String,
    pub(crate) alerts: Option<String>,
    pub(crate) machines: Option<String>,
    pub(crate) sightings: Option<String>,
}
