//! Something changes between two questions: rights, rules, machines.

use std::collections::BTreeSet;

use pintle::auth::control::{DeviceGroupChange, MachineRuleChange, RoleChange, UserChange};
use pintle::auth::role::RolePermission;
use pintle_model::TenantId;

use super::joined::Rule;
use super::model::{Caller, GROUPS, Group, Machine, user_group};
use super::random::{machine, rule};
use super::{ASKABLE, Play, set};
use crate::world::AUDIENCE;

impl Play {
    /// Something changes.
    pub(super) async fn change(&mut self) {
        let nth = usize::try_from(self.random.below(self.tenants.len() as u64)).unwrap();
        let instance = std::sync::Arc::clone(self.world.instance());
        let control = &instance.control;
        let random = &mut self.random;
        let tenant = &mut self.tenants[nth];
        let (id, all): (TenantId, Vec<u64>) = (tenant.id, (0..GROUPS).collect());
        let names =
            |groups: &BTreeSet<u64>| groups.iter().map(|group| user_group(*group)).collect::<Vec<_>>();
        match random.below(14) {
            0..=2 if tenant.groups.len() < 5 => {
                let (rule, seen_by) = (rule(random), random.some(&all, 40));
                let rank = usize::try_from(random.below(tenant.groups.len() as u64 + 1)).unwrap();
                let name = format!("devices-{}", self.next_group);
                let new = DeviceGroupChange {
                    name: Some(name.clone()),
                    rule: Some(rule.clone()),
                    rank: Some(rank + 1),
                    give: names(&seen_by),
                    ..DeviceGroupChange::default()
                };
                self.next_group += 1;
                let made = control.create_device_group(id, new).unwrap();
                tenant.groups.insert(rank, Group { name, id: made.id, rule, seen_by });
                instance.regroup(id).unwrap();
            }
            3 if !tenant.groups.is_empty() => {
                let place = usize::try_from(random.below(tenant.groups.len() as u64)).unwrap();
                let gone = tenant.groups.remove(place);
                control.delete_device_group(id, &gone.name).unwrap();
                for app in &mut tenant.apps {
                    if let Some(limit) = &mut app.limit {
                        limit.remove(&gone.id);
                    }
                }
                instance.regroup(id).unwrap();
            }
            4 if !tenant.groups.is_empty() => {
                let place = usize::try_from(random.below(tenant.groups.len() as u64)).unwrap();
                let (mut group, rule, seen_by) =
                    (tenant.groups.remove(place), rule(random), random.some(&all, 40));
                let rank = usize::try_from(random.below(tenant.groups.len() as u64 + 1)).unwrap();
                let change = DeviceGroupChange {
                    rule: Some(rule.clone()),
                    rank: Some(rank + 1),
                    give: names(&seen_by),
                    take: names(&(&group.seen_by - &seen_by)),
                    everybody: seen_by.is_empty(),
                    ..DeviceGroupChange::default()
                };
                control.change_device_group(id, &group.name, change).unwrap();
                (group.rule, group.seen_by) = (rule, seen_by);
                tenant.groups.insert(rank, group);
                instance.regroup(id).unwrap();
            }
            5 => {
                let seen_by = random.some(&all, 30);
                let (give, take) = (names(&seen_by), names(&(&tenant.default_seen_by - &seen_by)));
                let everybody = seen_by.is_empty();
                let change = DeviceGroupChange { give, take, everybody, ..DeviceGroupChange::default() };
                control.change_device_group(id, "UnassignedGroup", change).unwrap();
                tenant.default_seen_by = seen_by;
                instance.regroup(id).unwrap();
            }
            6 => {
                let number = usize::try_from(random.below(5)).unwrap();
                let (enabled, groups) = (random.chance(85), random.some(&all, 40));
                let user = &mut tenant.users[number];
                let change = UserChange {
                    enabled: Some(enabled),
                    join: names(&groups),
                    leave: names(&(&user.groups - &groups)),
                    ..UserChange::default()
                };
                let changed = control.change_user(id, &user.name, change).unwrap();
                (user.enabled, user.groups) = (enabled, groups);
                // Tokens from before they were disabled are never good again, so they sign in anew.
                let theirs =
                    |caller: &&mut Caller| caller.user.as_ref().is_some_and(|(known, _)| *known == number);
                for caller in tenant.callers.iter_mut().filter(theirs).filter(|_| enabled) {
                    let application = control.application(tenant.apps[caller.app].id).unwrap();
                    let scopes = caller.user.as_ref().map(|(_, scopes)| set(scopes)).unwrap();
                    let now = instance.now();
                    let token =
                        instance.issuer.issue_for(&changed, &application, None, scopes, AUDIENCE, now);
                    caller.token = token.unwrap().unwrap().token;
                }
            }
            7 => {
                let role = usize::try_from(random.below(3)).unwrap();
                let (permissions, groups) =
                    (random.some(&[RolePermission::ViewData], 85), random.some(&all, 40));
                let change = RoleChange {
                    permissions: Some(permissions.clone()),
                    give: names(&groups),
                    take: names(&(&tenant.roles[role].1 - &groups)),
                    ..RoleChange::default()
                };
                control.change_role(id, &format!("role-{role}"), change).unwrap();
                tenant.roles[role] = (permissions, groups);
            }
            8 => {
                let app = usize::try_from(random.below(4)).unwrap();
                let app = &mut tenant.apps[app];
                let groups: Vec<u32> = tenant.groups.iter().map(|group| group.id).chain([1]).collect();
                app.limit = random.chance(60).then(|| random.some(&groups, 60));
                (app.enabled, app.own, app.delegated) =
                    (random.chance(90), random.some(&ASKABLE, 80), random.some(&ASKABLE, 80));
                let changed = control.change_application(app.id, |application| {
                    application.enabled = app.enabled;
                    application.permissions = set(&app.own);
                    application.delegated = set(&app.delegated);
                    application.device_groups = app.limit.clone();
                });
                changed.unwrap();
            }
            9 | 10 => {
                let name = format!("one-{}", self.next_group);
                self.next_group += 1;
                if let Some(rule) = Rule::random(random, name, &tenant.rules) {
                    let says = MachineRuleChange {
                        name: Some(rule.name.clone()),
                        rule: Some(rule.as_given()),
                        ..MachineRuleChange::default()
                    };
                    if tenant.rules.len() < 3 {
                        control.create_machine_rule(id, says).unwrap();
                        tenant.rules.push(rule);
                    } else {
                        let place = usize::try_from(random.below(3)).unwrap();
                        control.change_machine_rule(id, &tenant.rules[place].name, says).unwrap();
                        tenant.rules[place] = rule;
                    }
                    instance.rejoin(id).unwrap();
                }
            }
            11 if !tenant.rules.is_empty() => {
                let place = usize::try_from(random.below(tenant.rules.len() as u64)).unwrap();
                control.delete_machine_rule(id, &tenant.rules.remove(place).name).unwrap();
                instance.rejoin(id).unwrap();
            }
            _ => {
                let known: Vec<u64> = tenant.machines.keys().copied().collect();
                let number = random.one(&known);
                let changed = machine(random, number, self.telemetry.minute);
                // A list of no tags says nothing of those there were.
                let tags = if changed.tags.is_empty() {
                    tenant.machines[&number].tags.clone()
                } else {
                    changed.tags.clone()
                };
                let changed = Machine { tags, ..changed };
                self.telemetry.machine(number, &changed);
                tenant.addresses.push((self.telemetry.minute, number, changed.address));
                tenant.machines.insert(number, changed);
                self.ingest(id).await;
            }
        }
    }
}
