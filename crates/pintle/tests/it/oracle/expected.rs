//! What should come back: the oracle's own truth, from what was sent and from the rules alone.

use std::collections::BTreeSet;

use pintle::auth::permission::Permission;

use super::answer::Told;
use super::model::{
    Alert, Caller, FILES, Machine, Tenant, address, alert_id, domain, machine_id, own_address, person,
    related_user, seen_address, seen_domain, severity, sha1, user,
};
use super::question::Question;

/// A tenant as somebody may see it.
struct Sight<'t> {
    tenant: &'t Tenant,
    /// The device groups; `None`: everything.
    visible: Option<BTreeSet<u32>>,
    /// Whether what they may not see counts for nothing.
    narrows: bool,
}

const UNKNOWN: Told = (404, Vec::new());

impl Sight<'_> {
    fn sees(&self, machine: u64) -> bool {
        self.tenant.sees(&self.visible, machine)
    }

    /// The group that a machine is shown with.
    fn label(&self, machine: u64) -> String {
        let known = &self.tenant.machines[&machine];
        if !self.tenant.has_groups() {
            return known.source_group.to_owned();
        }
        let id = self.tenant.group_of(known);
        let named = self.tenant.groups.iter().find(|group| group.id == id);
        named.map_or("UnassignedGroup".to_owned(), |group| group.name.clone())
    }

    /// Those that they may see of some machines.
    fn machines(&self, of: impl IntoIterator<Item = u64>) -> Vec<String> {
        let seen = of.into_iter().filter(|machine| self.sees(*machine));
        seen.map(|machine| format!("{} {}", machine_id(machine), self.label(machine))).collect()
    }

    /// A machine that they name.
    fn machine(&self, id: u64) -> Option<u64> {
        (self.tenant.machines.contains_key(&id) && self.sees(id)).then_some(id)
    }

    fn machines_that(&self, fits: impl Fn(&Machine) -> bool) -> Vec<String> {
        let fitting = self.tenant.machines.iter().filter(|(_, machine)| fits(machine));
        self.machines(fitting.map(|(id, _)| *id))
    }

    /// An alert is seen with its machine; one without, by those who see everything.
    fn alert(&self, id: u64) -> Option<&Alert> {
        let seen = |alert: &&Alert| alert.machine.map_or(self.visible.is_none(), |on| self.sees(on));
        self.tenant.alerts.get(&id).filter(seen)
    }

    fn alerts(&self, fits: impl Fn(u64, &Alert) -> bool) -> Vec<u64> {
        let fitting = self.tenant.alerts.iter().filter(|(id, alert)| fits(**id, alert)).map(|(id, _)| *id);
        fitting.filter(|id| self.alert(*id).is_some()).collect()
    }

    fn shown(&self, alerts: Vec<u64>, with_evidence: bool) -> Vec<String> {
        let shown = |id: u64| {
            let alert = &self.tenant.alerts[&id];
            // Without device groups it shows what telemetry says of the alert, which is nothing here.
            let group = alert.machine.filter(|_| self.tenant.has_groups()).map(|on| self.label(on));
            let related = related_user(id).map(person);
            let on = alert.machine.map(machine_id);
            let [on, group, related] =
                [on, group, related].map(|text| text.unwrap_or_else(|| "-".to_owned()));
            let mut evidence = vec![user(id), address(id), format!("https://{}/x", domain(id))];
            evidence.extend(alert.files.iter().map(|file| sha1(*file)));
            evidence.sort();
            evidence.retain(|_| with_evidence);
            format!("{} {on} {group} {related} [{}]", alert_id(id), evidence.join(","))
        };
        alerts.into_iter().map(shown).collect()
    }

    /// What alerts name is known also from a hidden one, unless hidden ones count for nothing.
    fn related(&self, fits: impl Fn(u64) -> bool) -> Option<Vec<u64>> {
        let seen = self.alerts(|id, _| fits(id));
        let told = self.tenant.alerts.keys().any(|id| fits(*id));
        (!seen.is_empty() || told && !(self.narrows && self.visible.is_some())).then_some(seen)
    }

    /// The machines that count of those where something was, and whether it is known at all.
    fn counted(&self, on: Option<&BTreeSet<u64>>) -> Option<BTreeSet<u64>> {
        if !(self.narrows && self.visible.is_some()) {
            return on.cloned();
        }
        let seen: BTreeSet<u64> =
            on.into_iter().flatten().copied().filter(|machine| self.sees(*machine)).collect();
        (!seen.is_empty()).then_some(seen)
    }

    fn with_file(&self, file: u64) -> Option<BTreeSet<u64>> {
        self.counted(self.tenant.sightings.get(&file))
    }

    fn with_observed(&self, nth: u64) -> Option<BTreeSet<u64>> {
        self.counted(self.tenant.observed.get(&nth))
    }

    fn file(&self, file: u64) -> String {
        format!("{} {}", sha1(file), self.with_file(file).map_or(0, |on| on.len()))
    }

    /// A user, on how many machines, and on which most and least. All were there once, so it is the first
    /// that they may see.
    fn user(&self, nth: u64) -> String {
        let on = self.with_observed(nth).unwrap_or_default();
        let first = on.iter().copied().find(|machine| self.sees(*machine)).map(machine_id);
        let first = first.unwrap_or_else(|| "-".to_owned());
        format!("corp\\{} {} {first} {first}", person(nth), on.len())
    }

    /// The machines that reported an address so many minutes about another.
    fn with_address(&self, of: u64, at: u32, within: u32) -> Vec<String> {
        let near = self.tenant.addresses.iter().filter(|(minute, _, address)| {
            own_address(*address) == own_address(of) && minute.abs_diff(at) <= within
        });
        let machines: BTreeSet<u64> = near.map(|(_, machine, _)| *machine).collect();
        self.machines(machines)
    }
}

fn counting(rows: Vec<String>) -> Told {
    (200, [vec![rows.len().to_string()], rows].concat())
}

impl Question {
    pub(super) fn expected(self, tenant: &Tenant, caller: &Caller, narrow: bool) -> Told {
        let Some((permissions, by_role)) = tenant.may(caller) else { return (401, Vec::new()) };
        let may_ask = by_role && (caller.user.is_none() || self.is_for_users());
        if !may_ask || !self.needs().iter().any(|permission| permissions.contains(permission)) {
            return (403, Vec::new());
        }
        let reads = [Permission::MachineRead, Permission::MachineReadWrite];
        let reads_machines = reads.iter().any(|permission| permissions.contains(permission));
        if matches!(self, Question::LookUp(true)) && !reads_machines {
            return (403, Vec::new());
        }
        let sight = Sight { tenant, visible: tenant.visible_groups(caller), narrows: narrow };
        self.of_machines(&sight).or_else(|| self.of_alerts(&sight)).unwrap_or_else(|| self.of_others(&sight))
    }

    /// Lists of machines, and one; `None`: not what is asked.
    fn of_machines(self, sight: &Sight<'_>) -> Option<Told> {
        let on = |machines: Option<BTreeSet<u64>>| {
            machines.map_or(UNKNOWN, |machines| (200, sight.machines(machines)))
        };
        Some(match self {
            Question::Machines => (200, sight.machines_that(|_| true)),
            Question::Tagged(tag) => (200, sight.machines_that(|machine| machine.tags.contains(tag))),
            Question::MachinesById(id) => {
                counting(sight.machine(id).map_or(Vec::new(), |id| sight.machines([id])))
            }
            Question::OfPlatform(os) => counting(sight.machines_that(|machine| machine.platform == os)),
            Question::Machine(id) | Question::MachineByName(id) => {
                on(sight.machine(id).map(|id| BTreeSet::from([id])))
            }
            Question::AlertMachine(id) => {
                on(sight.alert(id).and_then(|alert| alert.machine).map(|id| BTreeSet::from([id])))
            }
            Question::FileMachines(file) => on(sight.with_file(file)),
            Question::DomainMachines(nth) | Question::IpMachines(nth) | Question::UserMachines(nth) => {
                on(sight.with_observed(nth))
            }
            Question::FindByIp(of, at) => (200, sight.with_address(of, at, 15)),
            Question::Find(of, at) => match sight.with_address(of, at, 16) {
                none if none.is_empty() => UNKNOWN,
                found => (200, found),
            },
            _ => return None,
        })
    }

    /// Lists of alerts, and one, and their numbers; `None`: not what is asked.
    fn of_alerts(self, sight: &Sight<'_>) -> Option<Told> {
        let shown = |ids: Vec<u64>| sight.shown(ids, self.shows_evidence());
        let known = |ids: Option<Vec<u64>>| ids.map_or(UNKNOWN, |ids| (200, shown(ids)));
        let number = |ids: Vec<u64>| (200, vec![ids.len().to_string()]);
        Some(match self {
            Question::Alerts => (200, shown(sight.alerts(|_, _| true))),
            Question::Alert(id) => known(sight.alert(id).map(|_| vec![id])),
            Question::LastAlerts(top) => {
                let mut seen = sight.alerts(|_, _| true);
                let count = seen.len().to_string();
                seen.reverse();
                seen.truncate(usize::try_from(top).unwrap());
                (200, [vec![count], shown(seen)].concat())
            }
            Question::AlertsByTitle(skip) => {
                let mut seen = sight.alerts(|_, _| true);
                let count = seen.len().to_string();
                seen.drain(..seen.len().min(usize::try_from(skip).unwrap()));
                (200, [vec![count], shown(seen)].concat())
            }
            Question::AlertsNaming(file) => {
                counting(shown(sight.alerts(|_, alert| alert.files.contains(&file))))
            }
            Question::AlertsOf(wanted) => counting(shown(sight.alerts(|id, _| severity(id) == wanted))),
            Question::AlertsOn(id) => counting(shown(sight.alerts(|_, alert| alert.machine == Some(id)))),
            Question::AlertsById(one) => counting(shown(sight.alerts(|id, _| [one, one + 1].contains(&id)))),
            Question::MachineAlerts(id) => {
                known(sight.machine(id).map(|id| sight.alerts(|_, alert| alert.machine == Some(id))))
            }
            Question::MachineAlertsCount(id) => {
                let on_it = |id| sight.alerts(|_, alert| alert.machine == Some(id));
                sight.machine(id).map_or(UNKNOWN, |id| number(on_it(id)))
            }
            Question::MachineAlertsNaming(id, file) => {
                let fits = |id, alert: &Alert| alert.machine == Some(id) && alert.files.contains(&file);
                sight.machine(id).map_or(UNKNOWN, |id| number(sight.alerts(|_, alert| fits(id, alert))))
            }
            Question::FileAlerts(file) => {
                let naming = |_| sight.alerts(|_, alert| alert.files.contains(&file));
                known(sight.with_file(file).map(naming))
            }
            Question::UserAlerts(of) => known(sight.related(|id| user(id) == format!("user-{of}"))),
            Question::AddressAlerts(of) => {
                known(sight.related(|id| address(id) == format!("198.51.100.{of}")))
            }
            Question::DomainAlerts(of) => known(sight.related(|id| domain(id) == format!("d{of}.example"))),
            _ => return None,
        })
    }

    /// Files, users, domains and addresses.
    fn of_others(self, sight: &Sight<'_>) -> Told {
        let of_alert = |id: u64, rows: &dyn Fn(&Alert) -> Vec<String>| {
            sight.alert(id).map_or(UNKNOWN, |alert| (200, rows(alert)))
        };
        let common = |nth: u64, name: String| {
            sight.with_observed(nth).map_or(UNKNOWN, |on| (200, vec![format!("{name} {}", on.len())]))
        };
        match self {
            Question::File(file) | Question::FileStats(file) => {
                sight.with_file(file).map_or(UNKNOWN, |_| (200, vec![sight.file(file)]))
            }
            Question::LookUp(machines) => {
                let line = |(file, on): (u64, BTreeSet<u64>)| {
                    let seen = on.iter().filter(|machine| machines && sight.sees(**machine));
                    let seen: Vec<String> = seen.map(|machine| machine_id(*machine)).collect();
                    format!("{} {} {}", sha1(file), on.len(), seen.join(","))
                };
                let known = (0..=FILES).filter_map(|file| Some((file, sight.with_file(file)?)));
                (200, known.map(line).collect())
            }
            Question::AlertFiles(id) => {
                of_alert(id, &|alert| alert.files.iter().map(|file| sight.file(*file)).collect())
            }
            Question::AlertDomains(id) => of_alert(id, &|_| vec![domain(id)]),
            Question::AlertIps(id) => of_alert(id, &|_| vec![address(id)]),
            Question::AlertUser(id) => match sight.alert(id).and_then(|_| related_user(id)) {
                Some(nth) => (200, vec![sight.user(nth)]),
                None => UNKNOWN,
            },
            Question::User(nth) => sight.with_observed(nth).map_or(UNKNOWN, |_| (200, vec![sight.user(nth)])),
            Question::DomainStats(nth) => common(nth, seen_domain(nth)),
            Question::IpStats(nth) => common(nth, seen_address(nth)),
            Question::LogonUsers(id) => {
                let there = |id| sight.tenant.observed.iter().filter(move |(_, on)| on.contains(&id));
                // Of a user on one machine it is not told where else they are.
                let row = |nth: u64| format!("corp\\{} null - -", person(nth));
                let rows = |id| there(id).map(|(nth, _)| row(*nth)).collect();
                sight.machine(id).map_or(UNKNOWN, |id| (200, rows(id)))
            }
            other => panic!("nobody says what {other:?} should come to"),
        }
    }
}
