//! Roles: what users may do, by the user groups they are in. A user token needs the permission of
//! its scope *and* the role permission of the route (`RolePermission`); the names are those of the
//! portal that the API's pages refer to.

use std::collections::BTreeSet;
use std::fmt;

use pintle_model::TenantId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

macro_rules! role_permissions {
    ($($variant:ident $value:literal $display:literal)*) => {
        /// What a role may allow its users.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum RolePermission {
            $(#[doc = concat!("`", $value, "`: ", $display, ".")] $variant),*
        }

        impl RolePermission {
            /// Every one, in the order in which they are listed to people.
            pub const ALL: &[RolePermission] = &[$(RolePermission::$variant),*];

            /// Its name on the command line and in files.
            pub fn value(self) -> &'static str {
                match self { $(RolePermission::$variant => $value),* }
            }

            /// What it is called where people see it.
            pub fn display_name(self) -> &'static str {
                match self { $(RolePermission::$variant => $display),* }
            }
        }
    };
}

role_permissions! {
    ViewData "view-data" "View data - Security operations"
    ViewVulnerabilities "view-vulnerabilities" "View data - Vulnerability management"
    ActiveRemediation "active-remediation" "Active remediation actions - Security operations"
    ExceptionHandling "exception-handling" "Active remediation actions - Exception handling"
    RemediationHandling "remediation-handling" "Active remediation actions - Remediation handling"
    ApplicationHandling "application-handling" "Active remediation actions - Application handling"
    SecurityBaselines "security-baselines" "Manage security baselines assessment profiles"
    AlertsInvestigation "alerts-investigation" "Alerts investigation"
    ManageSystemSettings "manage-system-settings" "Manage portal system settings"
    ManageSecuritySettings "manage-security-settings" "Manage security settings in Security Center"
    LiveResponseBasic "live-response-basic" "Live response - Basic"
    LiveResponseAdvanced "live-response-advanced" "Live response - Advanced"
}

impl RolePermission {
    /// The permission of that name, whatever its case.
    pub fn named(value: &str) -> Option<RolePermission> {
        RolePermission::ALL.iter().copied().find(|permission| permission.value().eq_ignore_ascii_case(value))
    }
}

impl fmt::Display for RolePermission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.value())
    }
}

impl Serialize for RolePermission {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.value())
    }
}

impl<'de> Deserialize<'de> for RolePermission {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RolePermission, D::Error> {
        let value = String::deserialize(deserializer)?;
        RolePermission::named(&value)
            .ok_or_else(|| serde::de::Error::custom(format!("`{value}` is no permission of a role")))
    }
}

/// Permissions given to the users of some user groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its id.
    pub id: Uuid,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its name, no other role's of the tenant.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// What its users may do.
    pub permissions: BTreeSet<RolePermission>,
    /// Whose members have it.
    pub user_groups: BTreeSet<Uuid>,
    /// Whether it is the tenant's administrator role: it holds every permission, sees every device
    /// whatever the groups, and stays.
    #[serde(default)]
    pub is_administrator: bool,
}

impl Role {
    /// The name of the built-in administrator role.
    pub const ADMINISTRATOR: &str = "Administrator";

    /// A tenant's administrator role, with nobody in it.
    pub(super) fn administrator(tenant: TenantId) -> Role {
        Role {
            id: Uuid::new_v4(),
            tenant,
            name: Role::ADMINISTRATOR.to_owned(),
            description: "May do everything and sees every device".to_owned(),
            permissions: RolePermission::ALL.iter().copied().collect(),
            user_groups: BTreeSet::new(),
            is_administrator: true,
        }
    }
}
