//! The device groups of a tenant as they are kept: each with a rule, a rank, and the user groups that
//! may see its machines. Which machines a rule takes is left to the store.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use pintle_store::{DefaultGroup, DeviceGroups, DeviceRule};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How far a machine's threats are remediated without asking. Kept and shown, as the portal does;
/// nothing here remediates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemediationLevel {
    /// Nothing without approval, and nothing is investigated.
    None,
    /// Approval for all folders.
    SemiAllFolders,
    /// Approval for all but temporary folders.
    SemiNonTemporaryFolders,
    /// Approval for core folders of the system.
    SemiCoreFolders,
    /// Everything, the default of tenants since August 2020.
    #[default]
    Full,
}

impl RemediationLevel {
    /// Every level, from none to full.
    pub const ALL: [RemediationLevel; 5] = [
        RemediationLevel::None,
        RemediationLevel::SemiAllFolders,
        RemediationLevel::SemiNonTemporaryFolders,
        RemediationLevel::SemiCoreFolders,
        RemediationLevel::Full,
    ];

    /// Its name on the command line and in files.
    pub fn value(self) -> &'static str {
        match self {
            RemediationLevel::None => "none",
            RemediationLevel::SemiAllFolders => "semi-all-folders",
            RemediationLevel::SemiNonTemporaryFolders => "semi-non-temporary-folders",
            RemediationLevel::SemiCoreFolders => "semi-core-folders",
            RemediationLevel::Full => "full",
        }
    }
}

impl fmt::Display for RemediationLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.value())
    }
}

impl FromStr for RemediationLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<RemediationLevel, String> {
        let found = RemediationLevel::ALL.into_iter().find(|level| level.value().eq_ignore_ascii_case(text));
        found.ok_or_else(|| {
            let all: Vec<&str> = RemediationLevel::ALL.into_iter().map(RemediationLevel::value).collect();
            format!("`{text}` is no remediation level: there is {}", all.join(", "))
        })
    }
}

/// A device group with a rank.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceGroup {
    /// The number that machines show, never used again.
    pub id: u32,
    /// The name that machines and alerts show.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// How far threats are remediated.
    #[serde(default)]
    pub remediation: RemediationLevel,
    /// Which machines it takes, unless one of a higher rank does.
    pub rule: DeviceRule,
    /// Whose users see its machines; none: everybody's.
    #[serde(default)]
    pub user_groups: BTreeSet<Uuid>,
}

/// All device groups of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantDeviceGroups {
    /// The id of the next one.
    pub(super) next_id: u32,
    /// By rank, the highest first.
    pub ranked: Vec<DeviceGroup>,
    /// The one that takes the rest: it has no rank, and no rule of its own.
    pub default: DeviceGroup,
}

/// The name of the default group, as the API's preview edition had it.
pub const DEFAULT_NAME: &str = "UnassignedGroup";

impl Default for TenantDeviceGroups {
    fn default() -> TenantDeviceGroups {
        let default = DeviceGroup {
            id: 1,
            name: DEFAULT_NAME.to_owned(),
            description: "Machines that no other group takes".to_owned(),
            remediation: RemediationLevel::default(),
            rule: DeviceRule::default(),
            user_groups: BTreeSet::new(),
        };
        TenantDeviceGroups { next_id: 2, ranked: Vec::new(), default }
    }
}

impl TenantDeviceGroups {
    /// All of them, the default group last.
    pub fn all(&self) -> impl Iterator<Item = &DeviceGroup> {
        self.ranked.iter().chain(std::iter::once(&self.default))
    }

    /// Whether there is any beside a default group that everybody sees: without, machines show the group
    /// that telemetry names, and everybody sees all.
    pub fn are_in_use(&self) -> bool {
        !self.ranked.is_empty() || !self.default.user_groups.is_empty()
    }

    /// The ids of those that members of some user groups see; `None`: all there are.
    pub fn visible_to(&self, user_groups: &BTreeSet<Uuid>) -> Option<BTreeSet<u32>> {
        let sees = |group: &&DeviceGroup| {
            group.user_groups.is_empty() || !group.user_groups.is_disjoint(user_groups)
        };
        if !self.are_in_use() || self.all().all(|group| sees(&group)) {
            return None;
        }
        Some(self.all().filter(sees).map(|group| group.id).collect())
    }

    /// The same as the store needs it.
    pub fn compiled(&self) -> DeviceGroups {
        if !self.are_in_use() {
            return DeviceGroups::none();
        }
        let of_store = |group: &DeviceGroup| pintle_store::DeviceGroup {
            id: group.id,
            name: group.name.clone(),
            rule: group.rule.clone(),
        };
        let default = DefaultGroup { id: self.default.id, name: self.default.name.clone() };
        DeviceGroups::new(self.ranked.iter().map(of_store).collect(), default)
    }
}
