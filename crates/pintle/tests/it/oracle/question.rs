//! What is asked, and what should come back.

use std::collections::BTreeSet;

use pintle::auth::permission::Permission;
use serde_json::Value;

use super::model::{
    ALERTS, Alert, Caller, FILES, MACHINES, Machine, OBSERVED, PLATFORMS, TAGS, Tenant, address, alert_id,
    domain, machine_id, person, seen_address, seen_domain, sha1, user,
};
use super::random::Random;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Question {
    Machines,
    Machine(u64),
    MachineByName(u64),
    Alerts,
    Alert(u64),
    AlertFiles(u64),
    File(u64),
    FileMachines(u64),
    AlertMachine(u64),
    FileStats(u64),
    Tagged(&'static str),
    OfPlatform(&'static str),
    /// All files in one call; with their machines or without.
    LookUp(bool),
    /// Alerts with the greatest id first: a page of so many, counted in all.
    LastAlerts(u64),
    /// The same by the title, which is always the same, and then by id.
    AlertsByTitle(u64),
    MachineAlerts(u64),
    MachineAlertsCount(u64),
    FileAlerts(u64),
    UserAlerts(u64),
    AddressAlerts(u64),
    DomainAlerts(u64),
    DomainMachines(u64),
    IpMachines(u64),
    UserMachines(u64),
    DomainStats(u64),
    IpStats(u64),
    LogonUsers(u64),
}

/// What comes back: a status, and with 200 the ids of what is listed with its counts.
pub(super) type Told = (u16, Vec<String>);

impl Question {
    pub(super) fn random(random: &mut Random) -> Question {
        // One more than there are, so that some are unknown.
        let (machine, alert, file) =
            (random.below(MACHINES + 1), random.below(ALERTS + 1), random.below(FILES + 1));
        let nth = random.below(OBSERVED + 1);
        match random.below(29) {
            0 => Question::Machines,
            1 => Question::Machine(machine),
            2 => Question::MachineByName(machine),
            3 => Question::Alerts,
            4 => Question::Alert(alert),
            5 | 6 => Question::AlertFiles(alert),
            7 => Question::File(file),
            8 => Question::AlertMachine(alert),
            9 => Question::FileStats(file),
            10 => Question::Tagged(random.one(&TAGS)),
            11 => Question::OfPlatform(random.one(&PLATFORMS)),
            12 => Question::LastAlerts(1 + alert),
            13 => Question::AlertsByTitle(1 + alert),
            14 => Question::MachineAlerts(machine),
            15 => Question::MachineAlertsCount(machine),
            16 | 17 => Question::FileAlerts(file),
            18 => Question::UserAlerts(alert % 4),
            19 => Question::AddressAlerts(alert % 5),
            20 => Question::DomainAlerts(alert % 6),
            21 => Question::LookUp(random.chance(50)),
            22 => Question::DomainMachines(nth),
            23 => Question::IpMachines(nth),
            24 => Question::UserMachines(nth),
            25 => Question::DomainStats(nth),
            26 => Question::IpStats(nth),
            27 => Question::LogonUsers(machine),
            _ => Question::FileMachines(file),
        }
    }

    pub(super) fn path(self, tenant: &Tenant) -> String {
        match self {
            Question::Machines => "/api/machines".to_owned(),
            Question::Machine(id) => format!("/api/machines/{}", machine_id(id)),
            Question::MachineByName(id) => {
                let name =
                    tenant.machines.get(&id).map(|machine| format!("{}.{}", machine.name, machine.domain));
                format!("/api/machines/{}", name.unwrap_or_else(|| "nobody".to_owned()))
            }
            Question::Alerts => "/api/alerts".to_owned(),
            Question::Alert(id) => format!("/api/alerts/{}", alert_id(id)),
            Question::AlertFiles(id) => format!("/api/alerts/{}/files", alert_id(id)),
            Question::Tagged(tag) => format!("/api/machines/findbytag?tag={tag}"),
            Question::OfPlatform(os) => format!("/api/machines?$filter=osPlatform+eq+'{os}'"),
            Question::AlertMachine(id) => format!("/api/alerts/{}/machine", alert_id(id)),
            Question::FileStats(id) => format!("/api/files/{}/stats", sha1(id)),
            Question::File(id) => format!("/api/files/{}", sha1(id)),
            Question::LastAlerts(top) => format!("/api/alerts?$orderby=id+desc&$count=true&$top={top}"),
            Question::AlertsByTitle(skip) => format!("/api/alerts?$orderby=title&$count=true&$skip={skip}"),
            Question::MachineAlerts(id) => format!("/api/machines/{}/alerts", machine_id(id)),
            Question::MachineAlertsCount(id) => format!("/api/machines/{}/alerts/$count", machine_id(id)),
            Question::FileAlerts(id) => format!("/api/files/{}/alerts?$expand=evidence", sha1(id)),
            // Beyond those that alerts name, so that some are unknown.
            Question::UserAlerts(id) => format!("/api/users/User-{id}/alerts"),
            Question::AddressAlerts(id) => format!("/api/ips/198.51.100.{id}/alerts"),
            Question::DomainAlerts(id) => format!("/api/domains/D{id}.example/alerts"),
            Question::FileMachines(id) => format!("/api/files/{}/machines", sha1(id)),
            Question::LookUp(_) => "/api/files/lookup".to_owned(),
            Question::DomainMachines(nth) => format!("/api/domains/{}/machines", seen_domain(nth)),
            Question::IpMachines(nth) => format!("/api/ips/{}/machines", seen_address(nth)),
            Question::UserMachines(nth) => format!("/api/users/{}/machines", person(nth)),
            Question::DomainStats(nth) => format!("/api/domains/{}/stats", seen_domain(nth)),
            Question::IpStats(nth) => format!("/api/ips/{}/stats", seen_address(nth)),
            Question::LogonUsers(id) => format!("/api/machines/{}/logonusers", machine_id(id)),
        }
    }

    /// What is sent, if it is a POST.
    pub(super) fn body(self) -> Option<String> {
        let Question::LookUp(machines) = self else { return None };
        let hashes: Vec<String> = (0..=FILES).map(sha1).collect();
        Some(serde_json::json!({"hashes": hashes, "machines": machines}).to_string())
    }

    pub(super) fn needs(self) -> &'static [Permission] {
        match self {
            Question::Machines
            | Question::Machine(_)
            | Question::MachineByName(_)
            | Question::FileMachines(_)
            | Question::AlertMachine(_)
            | Question::DomainMachines(_)
            | Question::IpMachines(_)
            | Question::UserMachines(_)
            | Question::Tagged(_)
            | Question::OfPlatform(_) => &[Permission::MachineRead, Permission::MachineReadWrite],
            Question::Alerts
            | Question::Alert(_)
            | Question::LastAlerts(_)
            | Question::AlertsByTitle(_)
            | Question::MachineAlerts(_)
            | Question::MachineAlertsCount(_)
            | Question::FileAlerts(_)
            | Question::UserAlerts(_)
            | Question::AddressAlerts(_)
            | Question::DomainAlerts(_) => &[Permission::AlertRead, Permission::AlertReadWrite],
            Question::AlertFiles(_) | Question::File(_) | Question::FileStats(_) | Question::LookUp(_) => {
                &[Permission::FileRead]
            }
            Question::DomainStats(_) => &[Permission::UrlRead],
            Question::IpStats(_) => &[Permission::IpRead],
            Question::LogonUsers(_) => &[Permission::UserRead],
        }
    }

    pub(super) fn expected(self, tenant: &Tenant, caller: &Caller, narrow: bool) -> Told {
        let Some((permissions, by_role)) = tenant.may(caller) else { return (401, Vec::new()) };
        if !self.needs().iter().any(|permission| permissions.contains(permission)) || !by_role {
            return (403, Vec::new());
        }
        let visible = tenant.visible_groups(caller);
        let label = |machine: u64| {
            let known = &tenant.machines[&machine];
            if !tenant.has_groups() {
                return known.source_group.to_owned();
            }
            let id = tenant.group_of(known);
            let named = tenant.groups.iter().find(|group| group.id == id);
            named.map_or("UnassignedGroup".to_owned(), |group| group.name.clone())
        };
        let shown = |machine: u64| format!("{} {}", machine_id(machine), label(machine));
        // Without device groups it shows what telemetry says of the alert, which is nothing here.
        let alert_shown = |id: u64| {
            let machine = tenant.alerts[&id].machine.filter(|_| tenant.has_groups());
            format!("{} {}", alert_id(id), machine.map_or("-".to_owned(), label))
        };
        let alert = |id: u64| {
            let alert = tenant.alerts.get(&id)?;
            let seen = match alert.machine {
                Some(machine) => tenant.sees(&visible, machine),
                None => visible.is_none(),
            };
            seen.then_some(alert)
        };
        // The machines that count of a file, and whether it is known at all.
        let counted_of = |on: Option<&BTreeSet<u64>>| -> Option<BTreeSet<u64>> {
            if narrow && visible.is_some() {
                let seen: BTreeSet<u64> = on
                    .into_iter()
                    .flatten()
                    .copied()
                    .filter(|machine| tenant.sees(&visible, *machine))
                    .collect();
                return (!seen.is_empty()).then_some(seen);
            }
            on.cloned()
        };
        let counted = |file: u64| counted_of(tenant.sightings.get(&file));
        let observed = |nth: u64| counted_of(tenant.observed.get(&nth));
        let file_shown = |file: u64| format!("{} {}", sha1(file), counted(file).map_or(0, |on| on.len()));
        let unknown = (404, Vec::new());
        // Those that the caller may see of some alerts.
        let listed = |fits: &dyn Fn(u64, &Alert) -> bool| -> Vec<u64> {
            let fitting = tenant.alerts.iter().filter(|(id, alert)| fits(**id, alert)).map(|(id, _)| *id);
            fitting.filter(|id| alert(*id).is_some()).collect()
        };
        let shown_alerts = |ids: Vec<u64>| ids.into_iter().map(alert_shown).collect::<Vec<_>>();
        // What alerts name is known also from a hidden one, unless hidden ones count for nothing.
        let related = |fits: &dyn Fn(u64, &Alert) -> bool| {
            let seen = listed(fits);
            let told = tenant.alerts.iter().any(|(id, alert)| fits(*id, alert));
            let is_known = !seen.is_empty() || told && !(narrow && visible.is_some());
            if is_known { (200, shown_alerts(seen)) } else { (404, Vec::new()) }
        };
        match self {
            Question::Machines => {
                let seen = tenant.machines.keys().filter(|machine| tenant.sees(&visible, **machine));
                (200, seen.map(|machine| shown(*machine)).collect())
            }
            Question::Tagged(_) | Question::OfPlatform(_) => {
                let fits = |machine: &Machine| match self {
                    Question::Tagged(tag) => machine.tags.contains(tag),
                    _ => matches!(self, Question::OfPlatform(os) if os == machine.platform),
                };
                let fitting = tenant.machines.iter().filter(|(_, machine)| fits(machine)).map(|(id, _)| *id);
                (200, fitting.filter(|id| tenant.sees(&visible, *id)).map(shown).collect())
            }
            Question::Machine(id) | Question::MachineByName(id) => {
                let known = tenant.machines.contains_key(&id) && tenant.sees(&visible, id);
                if known { (200, vec![shown(id)]) } else { unknown }
            }
            Question::Alerts => {
                let seen = tenant.alerts.keys().copied().filter(|id| alert(*id).is_some());
                (200, seen.map(alert_shown).collect())
            }
            Question::LastAlerts(top) => {
                let mut seen = listed(&|_, _| true);
                let count = seen.len().to_string();
                seen.reverse();
                seen.truncate(usize::try_from(top).unwrap());
                (200, [vec![count], shown_alerts(seen)].concat())
            }
            Question::AlertsByTitle(skip) => {
                let mut seen = listed(&|_, _| true);
                let count = seen.len().to_string();
                seen.drain(..seen.len().min(usize::try_from(skip).unwrap()));
                (200, [vec![count], shown_alerts(seen)].concat())
            }
            Question::MachineAlerts(id) | Question::MachineAlertsCount(id) => {
                if !tenant.machines.contains_key(&id) || !tenant.sees(&visible, id) {
                    return unknown;
                }
                let seen = listed(&|_, alert| alert.machine == Some(id));
                match self {
                    Question::MachineAlerts(_) => (200, shown_alerts(seen)),
                    _ => (200, vec![seen.len().to_string()]),
                }
            }
            Question::FileAlerts(id) => counted(id)
                .map_or(unknown, |_| (200, shown_alerts(listed(&|_, alert| alert.files.contains(&id))))),
            Question::UserAlerts(of) => related(&|id, _| user(id) == format!("user-{of}")),
            Question::AddressAlerts(of) => related(&|id, _| address(id) == format!("198.51.100.{of}")),
            Question::DomainAlerts(of) => related(&|id, _| domain(id) == format!("d{of}.example")),
            Question::Alert(id) => alert(id).map_or(unknown, |_| (200, vec![alert_shown(id)])),
            Question::AlertFiles(id) => alert(id)
                .map_or(unknown, |alert| (200, alert.files.iter().map(|file| file_shown(*file)).collect())),
            Question::File(id) | Question::FileStats(id) => {
                counted(id).map_or(unknown, |_| (200, vec![file_shown(id)]))
            }
            Question::AlertMachine(id) => {
                let machine = alert(id).and_then(|alert| alert.machine);
                machine.map_or(unknown, |machine| (200, vec![shown(machine)]))
            }
            Question::LookUp(machines) => {
                let reads = [Permission::MachineRead, Permission::MachineReadWrite];
                if machines && !reads.iter().any(|permission| permissions.contains(permission)) {
                    return (403, Vec::new());
                }
                let line = |(file, on): (u64, BTreeSet<u64>)| {
                    let seen = on.iter().filter(|machine| machines && tenant.sees(&visible, **machine));
                    let seen: Vec<String> = seen.map(|machine| machine_id(*machine)).collect();
                    format!("{} {} {}", sha1(file), on.len(), seen.join(","))
                };
                let known = (0..=FILES).filter_map(|file| Some((file, counted(file)?)));
                (200, known.map(line).collect())
            }
            Question::FileMachines(_)
            | Question::DomainMachines(_)
            | Question::IpMachines(_)
            | Question::UserMachines(_) => {
                let on = match self {
                    Question::FileMachines(file) => counted(file),
                    Question::DomainMachines(nth)
                    | Question::IpMachines(nth)
                    | Question::UserMachines(nth) => observed(nth),
                    _ => unreachable!(),
                };
                on.map_or(unknown, |on| {
                    let seen = on.into_iter().filter(|machine| tenant.sees(&visible, *machine));
                    (200, seen.map(shown).collect())
                })
            }
            Question::DomainStats(nth) => {
                observed(nth).map_or(unknown, |on| (200, vec![format!("{} {}", seen_domain(nth), on.len())]))
            }
            Question::IpStats(nth) => {
                observed(nth).map_or(unknown, |on| (200, vec![format!("{} {}", seen_address(nth), on.len())]))
            }
            Question::LogonUsers(id) => {
                if !tenant.machines.contains_key(&id) || !tenant.sees(&visible, id) {
                    return unknown;
                }
                let there = tenant.observed.iter().filter(|(_, on)| on.contains(&id));
                (200, there.map(|(nth, _)| format!("corp\\{} -", person(*nth))).collect())
            }
        }
    }

    /// The same of an answer.
    pub(super) fn told(self, status: u16, body: &str) -> Told {
        if status != 200 {
            return (status, Vec::new());
        }
        if let Question::LookUp(machines) = self {
            let line = |line: &str| {
                let hit: Value = serde_json::from_str(line).unwrap();
                assert_eq!(hit.get("machineIds").is_some(), machines, "{line}");
                let ids = hit["machineIds"].as_array().into_iter().flatten();
                let ids: Vec<&str> = ids.map(|id| id.as_str().unwrap()).collect();
                format!("{} {} {}", hit["hash"].as_str().unwrap(), hit["machines"], ids.join(","))
            };
            return (status, body.lines().map(line).collect());
        }
        if let Question::MachineAlertsCount(_) = self {
            return (status, vec![body.to_owned()]);
        }
        let body: Value = serde_json::from_str(body).unwrap();
        let text = |entity: &Value, member: &str| entity[member].as_str().unwrap_or("-").to_owned();
        let shown = |entity: &Value| match self {
            Question::File(_) | Question::AlertFiles(_) => {
                format!("{} {}", text(entity, "sha1"), entity["globalPrevalence"])
            }
            Question::FileStats(_) => {
                // The number has to be the text's.
                assert_eq!(text(entity, "orgPrevalence"), entity["organizationPrevalence"].to_string());
                format!("{} {}", text(entity, "sha1"), entity["organizationPrevalence"])
            }
            Question::DomainStats(_) | Question::IpStats(_) => {
                assert_eq!(text(entity, "orgPrevalence"), entity["organizationPrevalence"].to_string());
                let named = if matches!(self, Question::IpStats(_)) { "ipAddress" } else { "host" };
                format!("{} {}", text(entity, named), entity["organizationPrevalence"])
            }
            _ => format!("{} {}", text(entity, "id"), text(entity, "rbacGroupName")),
        };
        let count = body.get("@odata.count").map(ToString::to_string);
        let listed: Vec<String> = match body.get("value") {
            Some(list) => list.as_array().unwrap().iter().map(shown).collect(),
            None => vec![shown(&body)],
        };
        (status, count.into_iter().chain(listed).collect())
    }
}
