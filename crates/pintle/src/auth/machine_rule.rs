//! What makes machines one, as it is kept.

use pintle_store::{MachineRule as Rule, MachineRules};
use serde::{Deserialize, Serialize};

/// A rule by which machines are one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineRule {
    /// Its number, never used again.
    pub id: u32,
    /// Its name, no other's of the tenant.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// What it says.
    pub rule: Rule,
}

/// All such rules of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantMachineRules {
    /// The id of the next one.
    pub(super) next_id: u32,
    /// By id.
    pub rules: Vec<MachineRule>,
}

impl Default for TenantMachineRules {
    fn default() -> TenantMachineRules {
        TenantMachineRules { next_id: 1, rules: Vec::new() }
    }
}

impl TenantMachineRules {
    /// The one of that name or id; names compare without case.
    pub fn find(&self, name_or_id: &str) -> Option<&MachineRule> {
        let (id, name) = (name_or_id.parse::<u32>().ok(), name_or_id.trim().to_lowercase());
        self.rules.iter().find(|rule| Some(rule.id) == id || rule.name.to_lowercase() == name)
    }

    /// The same as the store needs it.
    pub fn compiled(&self) -> MachineRules {
        MachineRules::new(self.rules.iter().map(|rule| (rule.id, rule.rule.clone())).collect())
    }
}
