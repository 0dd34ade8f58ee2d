//! The permissions of the API: one table with each one's value, its name for people, and the name
//! it has in user tokens. Names compare without case, since published pages print several
//! spellings.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! permissions {
    ($($variant:ident $value:literal $delegated:literal $display:literal)*) => {
        /// A permission an application can be given.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Permission {
            $(#[doc = concat!("`", $value, "`: ", $display, ".")] $variant),*
        }

        impl Permission {
            /// Every permission, in the order in which they are listed to people.
            pub const ALL: &[Permission] = &[$(Permission::$variant),*];

            /// The value in an application token's `roles`.
            pub fn value(self) -> &'static str {
                match self { $(Permission::$variant => $value),* }
            }

            /// The value in a user token's `scp`: Alert and Machine drop `.All` there.
            pub fn delegated(self) -> &'static str {
                match self { $(Permission::$variant => $delegated),* }
            }

            /// What it allows, for people.
            pub fn display_name(self) -> &'static str {
                match self { $(Permission::$variant => $display),* }
            }
        }
    };
}

permissions! {
    AlertRead "Alert.Read.All" "Alert.Read" "Read all alerts"
    AlertReadWrite "Alert.ReadWrite.All" "Alert.ReadWrite" "Read and write all alerts"
    MachineRead "Machine.Read.All" "Machine.Read" "Read all machine profiles"
    MachineReadWrite "Machine.ReadWrite.All" "Machine.ReadWrite" "Read and write all machine information"
    MachineIsolate "Machine.Isolate" "Machine.Isolate" "Isolate machines"
    MachineScan "Machine.Scan" "Machine.Scan" "Scan machines"
    MachineCollectForensics "Machine.CollectForensics" "Machine.CollectForensics" "Collect forensics"
    MachineRestrictExecution "Machine.RestrictExecution" "Machine.RestrictExecution" "Restrict code execution"
    MachineStopAndQuarantine "Machine.StopAndQuarantine" "Machine.StopAndQuarantine" "Stop and quarantine files"
    MachineLiveResponse "Machine.LiveResponse" "Machine.LiveResponse" "Run live response on machines"
    MachineOffboard "Machine.Offboard" "Machine.Offboard" "Offboard machines"
    FileRead "File.Read.All" "File.Read.All" "Read all file profiles"
    IpRead "Ip.Read.All" "Ip.Read.All" "Read all IP address profiles"
    UrlRead "Url.Read.All" "Url.Read.All" "Read all URL and domain profiles"
    UserRead "User.Read.All" "User.Read.All" "Read all user profiles"
    AdvancedQueryRead "AdvancedQuery.Read.All" "AdvancedQuery.Read" "Run advanced queries"
    TiRead "Ti.Read.All" "Ti.Read" "Read all indicators"
    TiReadWriteOwn "Ti.ReadWrite" "Ti.ReadWrite" "Read and write indicators of this application"
    TiReadWrite "Ti.ReadWrite.All" "Ti.ReadWrite.All" "Read and write all indicators"
    VulnerabilityRead "Vulnerability.Read.All" "Vulnerability.Read" "Read vulnerability information"
    SoftwareRead "Software.Read.All" "Software.Read" "Read software information"
    SecurityRecommendationRead "SecurityRecommendation.Read.All" "SecurityRecommendation.Read" "Read security recommendations"
    SecurityConfigurationRead "SecurityConfiguration.Read.All" "SecurityConfiguration.Read" "Read security configuration"
    SecurityConfigurationReadWrite "SecurityConfiguration.ReadWrite.All" "SecurityConfiguration.ReadWrite" "Read and write security configuration"
    ScoreRead "Score.Read.All" "Score.Read" "Read exposure scores"
    RemediationTasksRead "RemediationTasks.Read.All" "RemediationTasks.Read" "Read remediation tasks"
    LibraryManage "Library.Manage" "Library.Manage" "Manage live response library files"
    EventWrite "Event.Write" "Event.Write" "Send telemetry"
    IntegrationConfigurationReadWrite "IntegrationConfiguration.ReadWrite" "IntegrationConfiguration.ReadWrite" "Read and write integration configuration"
    Administration "Administration.ReadWrite.All" "Administration.ReadWrite" "Administer applications, users, roles and device groups"
    ServerAdministration "ServerAdministration.ReadWrite.All" "ServerAdministration.ReadWrite.All" "Administer the tenants and the signing keys of the server"
}

impl Permission {
    /// The permission of that value in a user token, whatever its case.
    pub fn delegated_as(value: &str) -> Option<Permission> {
        Permission::ALL.iter().copied().find(|permission| permission.delegated().eq_ignore_ascii_case(value))
    }

    /// The permission of that value, whatever its case.
    pub fn named(value: &str) -> Option<Permission> {
        Permission::ALL.iter().copied().find(|permission| permission.value().eq_ignore_ascii_case(value))
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.value())
    }
}

/// A set of permissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permissions(u64);

impl Permissions {
    /// Those of these values that are permissions; others (an outside issuer's own roles, a newer
    /// version's) are left out.
    pub fn named<'a>(values: impl IntoIterator<Item = &'a str>) -> Permissions {
        values.into_iter().filter_map(Permission::named).collect()
    }

    /// Those of these values of user tokens that are permissions.
    pub fn delegated_as<'a>(values: impl IntoIterator<Item = &'a str>) -> Permissions {
        values.into_iter().filter_map(Permission::delegated_as).collect()
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the permission is among them.
    pub fn contains(self, permission: Permission) -> bool {
        self.0 & bit(permission) != 0
    }

    /// Whether any of these is among them.
    pub fn contains_any(self, any: &[Permission]) -> bool {
        any.iter().any(|permission| self.contains(*permission))
    }

    /// What both sets hold.
    pub fn intersection(self, other: Permissions) -> Permissions {
        Permissions(self.0 & other.0)
    }

    /// What either set holds.
    pub fn union(self, other: Permissions) -> Permissions {
        Permissions(self.0 | other.0)
    }

    /// The permissions, in the table's order.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |permission| self.contains(*permission))
    }
}

fn bit(permission: Permission) -> u64 {
    1 << permission as u8
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Permissions {
        Permissions(permissions.into_iter().fold(0, |set, permission| set | bit(permission)))
    }
}

impl Serialize for Permissions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Permission::value))
    }
}

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Permissions, D::Error> {
        let values = Vec::<String>::deserialize(deserializer)?;
        values
            .iter()
            .map(|value| {
                Permission::named(value)
                    .ok_or_else(|| serde::de::Error::custom(format!("`{value}` is no permission of the API")))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_compare_without_case_and_a_set_keeps_the_tables_order() {
        assert_eq!(Permission::named("URL.READ.all"), Some(Permission::UrlRead));
        assert_eq!(Permission::named("Alerts.Read.All"), None);
        let set = Permissions::named(["machine.readwrite.all", "Something.Else", "Alert.Read.All"]);
        let values: Vec<&str> = set.iter().map(Permission::value).collect();
        assert_eq!(values, ["Alert.Read.All", "Machine.ReadWrite.All"]);
    }

    #[test]
    fn every_permission_has_its_own_bit() {
        let all: Permissions = Permission::ALL.iter().copied().collect();
        assert_eq!(all.iter().count(), Permission::ALL.len());
    }
}
