//! A standing inlet: where a shipper sends telemetry, with keys of its own that open nothing else.

use pintle_ingest::Namespace;
use pintle_model::{TenantId, Time};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::secret::SecretHash;

/// A standing inlet. Its serialised form is the file's, with the hashes of its keys: show its fields
/// instead.
#[derive(Clone, Serialize, Deserialize)]
pub struct Inlet {
    /// Its id, which its shippers send with the key.
    pub id: Uuid,
    /// The tenant whose data comes in by it.
    pub tenant: TenantId,
    /// Its name, no other inlet's of the tenant.
    pub name: String,
    /// The format or mapping of all that it takes; `None`: whichever the records tell.
    #[serde(default)]
    pub format: Option<String>,
    /// The namespace of the machines and alerts that it can speak of; `None`: any.
    #[serde(default)]
    pub namespace: Option<Namespace>,
    /// Whether it takes anything.
    pub enabled: bool,
    /// When it was made.
    pub created: Time,
    pub(super) keys: Vec<StoredKey>,
}

/// One key of an inlet, as it is kept.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct StoredKey {
    pub(super) id: Uuid,
    pub(super) hash: SecretHash,
    pub(super) created: Time,
    #[serde(default)]
    pub(super) expires: Option<Time>,
    #[serde(default)]
    pub(super) last_used: Option<Time>,
}

/// A key of an inlet, without what is secret of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InletKey {
    /// By which it is named.
    pub id: Uuid,
    /// When it was made.
    pub created: Time,
    /// When it ends.
    pub expires: Option<Time>,
    /// When something came with it last; after a restart that may be ten minutes out of date.
    pub last_used: Option<Time>,
}

/// An inlet to make.
#[derive(Clone, Debug)]
pub struct NewInlet {
    /// Its tenant.
    pub tenant: TenantId,
    /// Its name.
    pub name: String,
    /// The format of all that it takes.
    pub format: Option<String>,
    /// Its machine namespace.
    pub namespace: Option<Namespace>,
    /// When its first key ends.
    pub key_expires: Option<Time>,
}
