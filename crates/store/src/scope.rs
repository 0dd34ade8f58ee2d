//! Who is asking: the only place where device-group visibility is decided.

use std::collections::BTreeSet;
use std::sync::Arc;

use pintle_model::TenantId;

/// A tenant and the machine groups a caller may see there. Every read takes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    tenant: TenantId,
    /// `None`: all groups. Shared, because a scope is copied for every request.
    groups: Option<Arc<BTreeSet<String>>>,
}

impl Scope {
    /// The whole tenant: application tokens, administrators, the owner of the data folder.
    pub fn whole(tenant: TenantId) -> Scope {
        Scope { tenant, groups: None }
    }

    /// Only the machines in groups of these names (`rbacGroupName`), and the alerts on them. A
    /// machine in no group is not among them, and neither is an alert without a device.
    pub fn groups(tenant: TenantId, names: impl IntoIterator<Item = String>) -> Scope {
        Scope { tenant, groups: Some(Arc::new(names.into_iter().collect())) }
    }

    /// The tenant.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Whether all groups are visible.
    pub fn sees_all(&self) -> bool {
        self.groups.is_none()
    }

    /// Whether a machine of this group is visible.
    pub(crate) fn sees(&self, group: Option<&str>) -> bool {
        match &self.groups {
            None => true,
            Some(groups) => group.is_some_and(|group| groups.contains(group)),
        }
    }
}
