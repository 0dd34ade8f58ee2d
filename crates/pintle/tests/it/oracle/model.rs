//! A tenant as the oracle knows it, and the rules by which somebody sees something, read as the documents
//! say them.

use std::collections::{BTreeMap, BTreeSet};

use pintle::auth::permission::Permission;
use pintle::auth::role::RolePermission;
use pintle_model::TenantId;
use pintle_store::{DeviceRule, Operator, Row};
use uuid::Uuid;

use super::joined::Rule;

pub(super) const MACHINES: u64 = 14;
pub(super) const FILES: u64 = 8;
pub(super) const ALERTS: u64 = 7;
/// Of each: domains, IP addresses, users.
pub(super) const OBSERVED: u64 = 6;
pub(super) const GROUPS: u64 = 4;
pub(super) const NAMES: [&str; 4] = ["srv", "ws", "lab", "db"];
pub(super) const DOMAINS: [&str; 3] = ["corp.example", "paris.corp.example", "lab.example"];
pub(super) const PLATFORMS: [&str; 3] = ["Windows11", "WindowsServer2022", "Linux"];
pub(super) const SOURCE_GROUPS: [&str; 3] = ["Servers", "Clients", "Lab"];
/// Addresses of machines' own.
pub(super) const ADDRESSES: u64 = 5;
pub(super) const SEVERITIES: [&str; 3] = ["Low", "Medium", "High"];
pub(super) const TAGS: [&str; 3] = ["paris", "tier-0", "lab"];

/// A machine, as the oracle knows it.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) name: String,
    pub(super) domain: &'static str,
    pub(super) platform: &'static str,
    pub(super) tags: BTreeSet<&'static str>,
    pub(super) source_group: &'static str,
    /// Which address it has.
    pub(super) address: u64,
    /// In which minute all of it was told last; of no tags nothing is told.
    pub(super) told: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Alert {
    pub(super) machine: Option<u64>,
    pub(super) files: BTreeSet<u64>,
}

#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) id: u32,
    pub(super) rule: DeviceRule,
    pub(super) seen_by: BTreeSet<u64>,
}

#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) enabled: bool,
    pub(super) groups: BTreeSet<u64>,
}

#[derive(Clone, Debug)]
pub(super) struct App {
    pub(super) id: Uuid,
    pub(super) enabled: bool,
    pub(super) own: BTreeSet<Permission>,
    pub(super) delegated: BTreeSet<Permission>,
    /// By id of the device group.
    pub(super) limit: Option<BTreeSet<u32>>,
}

/// Who asks: with which token, and what it says.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) token: String,
    pub(super) app: usize,
    /// A user, and the scopes of the token.
    pub(super) user: Option<(usize, BTreeSet<Permission>)>,
    /// What an application's token says.
    pub(super) roles: BTreeSet<Permission>,
}

/// A tenant as the oracle knows it.
#[derive(Clone)]
pub(super) struct Tenant {
    pub(super) id: TenantId,
    pub(super) name: String,
    pub(super) machines: BTreeMap<u64, Machine>,
    pub(super) sightings: BTreeMap<u64, BTreeSet<u64>>,
    /// Where a domain, an IP address and a user of one number were seen.
    pub(super) observed: BTreeMap<u64, BTreeSet<u64>>,
    /// In which minute which machine reported which address as its own.
    pub(super) addresses: Vec<(u32, u64, u64)>,
    pub(super) alerts: BTreeMap<u64, Alert>,
    /// By rank.
    pub(super) groups: Vec<Group>,
    /// What makes machines one.
    pub(super) rules: Vec<Rule>,
    pub(super) default_seen_by: BTreeSet<u64>,
    pub(super) users: Vec<User>,
    pub(super) apps: Vec<App>,
    pub(super) roles: Vec<(BTreeSet<RolePermission>, BTreeSet<u64>)>,
    pub(super) administrators: BTreeSet<u64>,
    pub(super) callers: Vec<Caller>,
}

/// Ids are the same in every tenant, so that a leak between them shows.
pub(super) fn machine_id(machine: u64) -> String {
    format!("{:040x}", 0x1111_0000 + machine)
}

pub(super) fn sha1(file: u64) -> String {
    format!("{:040x}", 0xf11e_0000 + file)
}

pub(super) fn seen_domain(nth: u64) -> String {
    format!("host-{nth}.example")
}

pub(super) fn seen_address(nth: u64) -> String {
    format!("203.0.113.{nth}")
}

pub(super) fn person(nth: u64) -> String {
    format!("person-{nth}")
}

pub(super) fn alert_id(alert: u64) -> String {
    format!("da63900000000000000{alert}_1")
}

/// The user, the address and the domain that an alert names; some share them.
pub(super) fn user(alert: u64) -> String {
    format!("user-{}", alert % 3)
}

pub(super) fn address(alert: u64) -> String {
    format!("198.51.100.{}", alert % 4)
}

pub(super) fn domain(alert: u64) -> String {
    format!("d{}.example", alert % 5)
}

/// Whom an alert is about, one of those who were seen on machines or of whom nothing is known; or nobody.
pub(super) fn related_user(alert: u64) -> Option<u64> {
    (alert % 4 != 3).then_some(alert % (OBSERVED + 1))
}

pub(super) fn severity(alert: u64) -> &'static str {
    SEVERITIES[usize::try_from(alert % 3).unwrap()]
}

pub(super) fn own_address(nth: u64) -> String {
    format!("10.0.0.{nth}")
}

/// A minute of telemetry as a point in time.
pub(super) fn time(minute: u32) -> String {
    format!("2026-01-{:02}T{:02}:{:02}:00Z", 2 + minute / 1440, minute / 60 % 24, minute % 60)
}

pub(super) fn user_group(group: u64) -> String {
    format!("group-{group}")
}

/// What a rule takes, read as its documentation says it.
pub(super) fn takes(rule: &DeviceRule, machine: &Machine) -> bool {
    let is = |row: &Row, text: &str| {
        let (text, value) = (text.to_lowercase(), row.value.to_lowercase());
        match row.operator {
            Operator::Equals => text == value,
            Operator::StartsWith => text.starts_with(&value),
            Operator::EndsWith => text.ends_with(&value),
            Operator::Contains => text.contains(&value),
        }
    };
    let any = |rows: &[Row], texts: &[&str]| {
        rows.is_empty() || rows.iter().any(|row| texts.iter().any(|text| is(row, text)))
    };
    let whole = format!("{}.{}", machine.name, machine.domain);
    let tags: Vec<&str> = machine.tags.iter().copied().collect();
    *rule != DeviceRule::default()
        && any(&rule.name, &[&whole, &machine.name])
        && any(&rule.domain, &[machine.domain])
        && any(&rule.tag, &tags)
        && (rule.os.is_empty() || rule.os.iter().any(|os| os.eq_ignore_ascii_case(machine.platform)))
        && any(&rule.source_group, &[machine.source_group])
}
impl Tenant {
    pub(super) fn has_groups(&self) -> bool {
        !self.groups.is_empty() || !self.default_seen_by.is_empty()
    }

    /// The default group is 1.
    pub(super) fn group_of(&self, machine: &Machine) -> u32 {
        self.groups.iter().find(|group| takes(&group.rule, machine)).map_or(1, |group| group.id)
    }

    /// `None`: everything.
    pub(super) fn visible_groups(&self, caller: &Caller) -> Option<BTreeSet<u32>> {
        let Some((user, _)) = &caller.user else { return self.apps[caller.app].limit.clone() };
        let groups = &self.users[*user].groups;
        if !self.has_groups() || !groups.is_disjoint(&self.administrators) {
            return None;
        }
        let sees = |seen_by: &BTreeSet<u64>| seen_by.is_empty() || !seen_by.is_disjoint(groups);
        let mut visible: BTreeSet<u32> =
            self.groups.iter().filter(|group| sees(&group.seen_by)).map(|group| group.id).collect();
        visible.extend(sees(&self.default_seen_by).then_some(1));
        (visible.len() <= self.groups.len()).then_some(visible)
    }

    /// The permissions that count, and whether View data is among the role's; `None`: 401.
    pub(super) fn may(&self, caller: &Caller) -> Option<(BTreeSet<Permission>, bool)> {
        let app = &self.apps[caller.app];
        if !app.enabled {
            return None;
        }
        let Some((user, scopes)) = &caller.user else { return Some((&caller.roles & &app.own, true)) };
        let user = &self.users[*user];
        if !user.enabled {
            return None;
        }
        let by_role = self.roles.iter().any(|(permissions, groups)| {
            permissions.contains(&RolePermission::ViewData) && !groups.is_disjoint(&user.groups)
        });
        Some((scopes & &app.delegated, by_role || !self.administrators.is_disjoint(&user.groups)))
    }

    pub(super) fn sees(&self, visible: &Option<BTreeSet<u32>>, machine: u64) -> bool {
        let Some(visible) = visible else { return true };
        self.has_groups()
            && self.machines.get(&machine).is_some_and(|known| visible.contains(&self.group_of(known)))
    }
}
