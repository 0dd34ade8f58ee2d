//! What is asked.

use pintle::auth::permission::Permission;

use super::model::{
    ADDRESSES, ALERTS, FILES, MACHINES, OBSERVED, PLATFORMS, SEVERITIES, TAGS, Tenant, alert_id, machine_id,
    own_address, person, seen_address, seen_domain, sha1, time,
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
    User(u64),
    AlertUser(u64),
    AlertDomains(u64),
    AlertIps(u64),
    /// Whose this address was at this minute.
    FindByIp(u64, u32),
    /// The same in the old form.
    Find(u64, u32),
    AlertsNaming(u64),
    AlertsOf(&'static str),
    /// This alert and the next.
    AlertsById(u64),
    /// How many on a machine name a file.
    MachineAlertsNaming(u64, u64),
    /// Alerts on this machine, by a filter.
    AlertsOn(u64),
    /// This machine, by a filter.
    MachinesById(u64),
}

impl Question {
    pub(super) fn random(random: &mut Random) -> Question {
        // One more than there are, so that some are unknown.
        let (machine, alert, file) =
            (random.below(MACHINES + 1), random.below(ALERTS + 1), random.below(FILES + 1));
        let nth = random.below(OBSERVED + 1);
        let minute = u32::try_from(random.below(40)).unwrap();
        match random.below(41) {
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
            28 => Question::User(nth),
            29 => Question::AlertUser(alert),
            30 => Question::AlertDomains(alert),
            31 => Question::AlertIps(alert),
            32 => Question::FindByIp(random.below(ADDRESSES + 1), minute),
            33 => Question::Find(random.below(ADDRESSES + 1), minute),
            34 => Question::AlertsNaming(file),
            35 => Question::AlertsOf(random.one(&SEVERITIES)),
            36 => Question::AlertsById(alert),
            37 => Question::MachineAlertsNaming(machine, file),
            38 => Question::AlertsOn(machine),
            39 => Question::MachinesById(machine),
            _ => Question::FileMachines(file),
        }
    }

    /// The same about another machine, where it is about one.
    pub(super) fn about(self, other: impl Fn(u64) -> u64) -> Question {
        match self {
            Question::Machine(id) => Question::Machine(other(id)),
            Question::MachineByName(id) => Question::MachineByName(other(id)),
            Question::MachineAlerts(id) => Question::MachineAlerts(other(id)),
            Question::MachineAlertsCount(id) => Question::MachineAlertsCount(other(id)),
            Question::MachineAlertsNaming(id, file) => Question::MachineAlertsNaming(other(id), file),
            Question::LogonUsers(id) => Question::LogonUsers(other(id)),
            Question::AlertsOn(id) => Question::AlertsOn(other(id)),
            Question::MachinesById(id) => Question::MachinesById(other(id)),
            of_none => of_none,
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
            Question::OfPlatform(os) => format!("/api/machines?$filter=osPlatform+eq+'{os}'&$count=true"),
            Question::AlertMachine(id) => format!("/api/alerts/{}/machine", alert_id(id)),
            Question::FileStats(id) => format!("/api/files/{}/stats", sha1(id)),
            Question::File(id) => format!("/api/files/{}", sha1(id)),
            Question::LastAlerts(top) => {
                format!("/api/alerts?$orderby=id+desc&$expand=evidence&$count=true&$top={top}")
            }
            Question::AlertsByTitle(skip) => format!("/api/alerts?$orderby=title&$count=true&$skip={skip}"),
            Question::MachineAlerts(id) => format!("/api/machines/{}/alerts", machine_id(id)),
            Question::MachineAlertsCount(id) => format!("/api/machines/{}/alerts/$count", machine_id(id)),
            Question::FileAlerts(id) => format!("/api/files/{}/alerts?$expand=evidence", sha1(id)),
            // Beyond those that alerts name, so that some are unknown.
            Question::UserAlerts(id) => format!("/api/users/User-{id}/alerts?$expand=evidence"),
            Question::AddressAlerts(id) => format!("/api/ips/198.51.100.{id}/alerts"),
            Question::DomainAlerts(id) => format!("/api/domains/D{id}.example/alerts?$expand=evidence"),
            Question::FileMachines(id) => format!("/api/files/{}/machines", sha1(id)),
            Question::LookUp(_) => "/api/files/lookup".to_owned(),
            Question::DomainMachines(nth) => format!("/api/domains/{}/machines", seen_domain(nth)),
            Question::IpMachines(nth) => format!("/api/ips/{}/machines", seen_address(nth)),
            Question::UserMachines(nth) => format!("/api/users/{}/machines", person(nth)),
            Question::DomainStats(nth) => format!("/api/domains/{}/stats", seen_domain(nth)),
            Question::IpStats(nth) => format!("/api/ips/{}/stats", seen_address(nth)),
            Question::LogonUsers(id) => format!("/api/machines/{}/logonusers", machine_id(id)),
            Question::User(nth) => format!("/api/users/{}", person(nth)),
            Question::AlertUser(id) => format!("/api/alerts/{}/user", alert_id(id)),
            Question::AlertDomains(id) => format!("/api/alerts/{}/domains", alert_id(id)),
            Question::AlertIps(id) => format!("/api/alerts/{}/ips", alert_id(id)),
            Question::FindByIp(of, at) => {
                format!("/api/machines/findbyip(ip='{}',timestamp={})", own_address(of), time(at))
            }
            Question::Find(of, at) => {
                format!("/api/machines/find(timestamp={},key='{}')", time(at), own_address(of))
            }
            Question::AlertsNaming(file) => {
                format!("/api/alerts?$filter=evidence/any(x:+x/sha1+eq+'{}')&$count=true", sha1(file))
            }
            Question::AlertsOf(severity) => {
                format!("/api/alerts?$filter=severity+eq+'{severity}'&$expand=evidence&$count=true")
            }
            Question::AlertsById(id) => {
                format!("/api/alerts?$filter=id+in+('{}','{}')&$count=true", alert_id(id), alert_id(id + 1))
            }
            Question::AlertsOn(id) => {
                format!("/api/alerts?$filter=machineId+eq+'{}'&$count=true", machine_id(id))
            }
            Question::MachinesById(id) => {
                format!("/api/machines?$filter=id+eq+'{}'&$count=true", machine_id(id))
            }
            Question::MachineAlertsNaming(id, file) => format!(
                "/api/machines/{}/alerts/$count?$filter=evidence/any(x:+x/sha1+eq+'{}')",
                machine_id(id),
                sha1(file)
            ),
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
            | Question::FindByIp(..)
            | Question::Find(..)
            | Question::MachinesById(_)
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
            | Question::AlertsNaming(_)
            | Question::AlertsOf(_)
            | Question::AlertsById(_)
            | Question::AlertsOn(_)
            | Question::MachineAlertsNaming(..)
            | Question::DomainAlerts(_) => &[Permission::AlertRead, Permission::AlertReadWrite],
            Question::AlertFiles(_) | Question::File(_) | Question::FileStats(_) | Question::LookUp(_) => {
                &[Permission::FileRead]
            }
            Question::DomainStats(_) | Question::AlertDomains(_) => &[Permission::UrlRead],
            Question::IpStats(_) | Question::AlertIps(_) => &[Permission::IpRead],
            Question::LogonUsers(_) | Question::User(_) | Question::AlertUser(_) => &[Permission::UserRead],
        }
    }

    /// Whether users may ask it too: the pages of two have no delegated permission.
    pub(super) fn is_for_users(self) -> bool {
        !matches!(self, Question::User(_) | Question::Find(..))
    }

    /// Whether alerts come with their evidence: because it is asked for, or always.
    pub(super) fn shows_evidence(self) -> bool {
        matches!(
            self,
            Question::Alert(_)
                | Question::LastAlerts(_)
                | Question::MachineAlerts(_)
                | Question::FileAlerts(_)
                | Question::UserAlerts(_)
                | Question::DomainAlerts(_)
                | Question::AlertsOf(_)
        )
    }
}
