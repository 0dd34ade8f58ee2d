//! The directories of all tenants.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use pintle_model::TenantId;

use super::{Directory, SharedDirectory};

/// A tenant's directory has a lock of its own, so that one who reads it holds up nobody else's.
#[derive(Default)]
pub(crate) struct Directories(RwLock<HashMap<TenantId, SharedDirectory>>);

impl Directories {
    pub(crate) fn new(directories: HashMap<TenantId, Directory>) -> Directories {
        let shared = |(tenant, directory)| (tenant, Arc::new(RwLock::new(directory)));
        Directories(RwLock::new(directories.into_iter().map(shared).collect()))
    }

    /// A tenant's directory; a new one for a new tenant.
    pub(crate) fn of(&self, tenant: TenantId) -> SharedDirectory {
        if let Some(known) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&tenant) {
            return Arc::clone(known);
        }
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(tenant).or_default())
    }
}
