//! Who sees what, against a naive oracle: random tenants with users, user groups, roles, device groups,
//! applications, machines and sightings, asked over HTTP by everybody about everything, while rights,
//! rules and machines change in between.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use axum::body::Body;
use axum::http::Request;
use pintle::auth::application::{NewApplication, Proof};
use pintle::auth::control::{DeviceGroupChange, RoleChange, UserChange};
use pintle::auth::permission::{Permission, Permissions};
use pintle::auth::role::RolePermission;
use pintle::auth::user::NewUser;
use pintle::config::Config;
use pintle_model::TenantId;
use pintle_store::{DeviceRule, Operator, Row};
use serde_json::Value;
use uuid::Uuid;

use crate::world::{AUDIENCE, World};

/// Cases in all.
const CASES: usize = 100_000;
/// Cases in one world: a world costs as much as some hundred of them.
const CASES_A_WORLD: usize = 2_500;
/// Cases between two changes.
const CASES_A_CHANGE: usize = 50;

const MACHINES: u64 = 14;
const FILES: u64 = 8;
const ALERTS: u64 = 7;
const GROUPS: u64 = 4;
const NAMES: [&str; 4] = ["srv", "ws", "lab", "db"];
const DOMAINS: [&str; 3] = ["corp.example", "paris.corp.example", "lab.example"];
const PLATFORMS: [&str; 3] = ["Windows11", "WindowsServer2022", "Linux"];
const SOURCE_GROUPS: [&str; 3] = ["Servers", "Clients", "Lab"];
const TAGS: [&str; 3] = ["paris", "tier-0", "lab"];

/// Splitmix: the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }

    fn some<T: Copy + Ord>(&mut self, of: &[T], percent: u64) -> BTreeSet<T> {
        of.iter().copied().filter(|_| self.chance(percent)).collect()
    }
}

/// A machine, as the oracle knows it.
#[derive(Clone, Debug)]
struct Machine {
    name: String,
    domain: &'static str,
    platform: &'static str,
    tags: BTreeSet<&'static str>,
    source_group: &'static str,
}

#[derive(Clone, Debug)]
struct Alert {
    machine: Option<u64>,
    files: BTreeSet<u64>,
}

#[derive(Clone, Debug)]
struct Group {
    name: String,
    id: u32,
    rule: DeviceRule,
    seen_by: BTreeSet<u64>,
}

#[derive(Clone, Debug)]
struct User {
    name: String,
    enabled: bool,
    groups: BTreeSet<u64>,
}

#[derive(Clone, Debug)]
struct App {
    id: Uuid,
    enabled: bool,
    own: BTreeSet<Permission>,
    delegated: BTreeSet<Permission>,
    /// By id of the device group.
    limit: Option<BTreeSet<u32>>,
}

/// Who asks: with which token, and what it says.
struct Caller {
    token: String,
    app: usize,
    /// A user, and the scopes of the token.
    user: Option<(usize, BTreeSet<Permission>)>,
    /// What an application's token says.
    roles: BTreeSet<Permission>,
}

/// A tenant as the oracle knows it.
struct Tenant {
    id: TenantId,
    name: String,
    machines: BTreeMap<u64, Machine>,
    sightings: BTreeMap<u64, BTreeSet<u64>>,
    alerts: BTreeMap<u64, Alert>,
    /// By rank.
    groups: Vec<Group>,
    default_seen_by: BTreeSet<u64>,
    users: Vec<User>,
    apps: Vec<App>,
    roles: Vec<(BTreeSet<RolePermission>, BTreeSet<u64>)>,
    administrators: BTreeSet<u64>,
    callers: Vec<Caller>,
}

/// Ids are the same in every tenant, so that a leak between them shows.
fn machine_id(machine: u64) -> String {
    format!("{:040x}", 0x1111_0000 + machine)
}

fn sha1(file: u64) -> String {
    format!("{:040x}", 0xf11e_0000 + file)
}

fn alert_id(alert: u64) -> String {
    format!("da63900000000000000{alert}_1")
}

fn user_group(group: u64) -> String {
    format!("group-{group}")
}

fn row(random: &mut Random, values: &[&'static str]) -> Row {
    let value = random.one(values);
    let (operator, value) = match random.below(4) {
        0 => (Operator::Equals, value),
        1 => (Operator::StartsWith, value.get(..2).unwrap()),
        2 => (Operator::EndsWith, value.get(value.len() - 2..).unwrap()),
        _ => (Operator::Contains, value.get(1..value.len().min(3)).unwrap()),
    };
    let value = if random.chance(30) { value.to_uppercase() } else { value.to_owned() };
    Row { operator, value }
}

fn rule(random: &mut Random) -> DeviceRule {
    let mut rule = DeviceRule::default();
    for _ in 0..=random.below(2) {
        match random.below(5) {
            0 => rule.name.push(row(random, &NAMES)),
            1 => rule.domain.push(row(random, &DOMAINS)),
            2 => rule.tag.push(row(random, &TAGS)),
            3 => rule.os.push(random.one(&PLATFORMS).to_owned()),
            _ => rule.source_group.push(row(random, &SOURCE_GROUPS)),
        }
    }
    rule
}

/// What a rule takes, read as its documentation says it.
fn takes(rule: &DeviceRule, machine: &Machine) -> bool {
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
    fn has_groups(&self) -> bool {
        !self.groups.is_empty() || !self.default_seen_by.is_empty()
    }

    /// The default group is 1.
    fn group_of(&self, machine: &Machine) -> u32 {
        self.groups.iter().find(|group| takes(&group.rule, machine)).map_or(1, |group| group.id)
    }

    /// `None`: everything.
    fn visible_groups(&self, caller: &Caller) -> Option<BTreeSet<u32>> {
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
    fn may(&self, caller: &Caller) -> Option<(BTreeSet<Permission>, bool)> {
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

    fn sees(&self, visible: &Option<BTreeSet<u32>>, machine: u64) -> bool {
        let Some(visible) = visible else { return true };
        self.has_groups()
            && self.machines.get(&machine).is_some_and(|known| visible.contains(&self.group_of(known)))
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
enum Question {
    Machines,
    Machine(u64),
    MachineByName(u64),
    Alerts,
    Alert(u64),
    AlertFiles(u64),
    File(u64),
    FileMachines(u64),
}

/// What comes back: a status, and with 200 the ids of what is listed with its counts.
type Told = (u16, Vec<String>);

impl Question {
    fn random(random: &mut Random) -> Question {
        // One more than there are, so that some are unknown.
        let (machine, alert, file) =
            (random.below(MACHINES + 1), random.below(ALERTS + 1), random.below(FILES + 1));
        match random.below(10) {
            0 => Question::Machines,
            1 => Question::Machine(machine),
            2 => Question::MachineByName(machine),
            3 => Question::Alerts,
            4 => Question::Alert(alert),
            5 | 6 => Question::AlertFiles(alert),
            7 => Question::File(file),
            _ => Question::FileMachines(file),
        }
    }

    fn path(self, tenant: &Tenant) -> String {
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
            Question::File(id) => format!("/api/files/{}", sha1(id)),
            Question::FileMachines(id) => format!("/api/files/{}/machines", sha1(id)),
        }
    }

    fn needs(self) -> &'static [Permission] {
        match self {
            Question::Machines
            | Question::Machine(_)
            | Question::MachineByName(_)
            | Question::FileMachines(_) => &[Permission::MachineRead, Permission::MachineReadWrite],
            Question::Alerts | Question::Alert(_) => &[Permission::AlertRead, Permission::AlertReadWrite],
            Question::AlertFiles(_) | Question::File(_) => &[Permission::FileRead],
        }
    }

    fn expected(self, tenant: &Tenant, caller: &Caller, narrow: bool) -> Told {
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
        let counted = |file: u64| -> Option<BTreeSet<u64>> {
            let on = tenant.sightings.get(&file);
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
        let file_shown = |file: u64| format!("{} {}", sha1(file), counted(file).map_or(0, |on| on.len()));
        let unknown = (404, Vec::new());
        match self {
            Question::Machines => {
                let seen = tenant.machines.keys().filter(|machine| tenant.sees(&visible, **machine));
                (200, seen.map(|machine| shown(*machine)).collect())
            }
            Question::Machine(id) | Question::MachineByName(id) => {
                let known = tenant.machines.contains_key(&id) && tenant.sees(&visible, id);
                if known { (200, vec![shown(id)]) } else { unknown }
            }
            Question::Alerts => {
                let seen = tenant.alerts.keys().copied().filter(|id| alert(*id).is_some());
                (200, seen.map(alert_shown).collect())
            }
            Question::Alert(id) => alert(id).map_or(unknown, |_| (200, vec![alert_shown(id)])),
            Question::AlertFiles(id) => alert(id)
                .map_or(unknown, |alert| (200, alert.files.iter().map(|file| file_shown(*file)).collect())),
            Question::File(id) => counted(id).map_or(unknown, |_| (200, vec![file_shown(id)])),
            Question::FileMachines(id) => counted(id).map_or(unknown, |on| {
                let seen = on.into_iter().filter(|machine| tenant.sees(&visible, *machine));
                (200, seen.map(shown).collect())
            }),
        }
    }

    /// The same of an answer.
    fn told(self, status: u16, body: &str) -> Told {
        if status != 200 {
            return (status, Vec::new());
        }
        let body: Value = serde_json::from_str(body).unwrap();
        let text = |entity: &Value, member: &str| entity[member].as_str().unwrap_or("-").to_owned();
        let shown = |entity: &Value| match self {
            Question::File(_) | Question::AlertFiles(_) => {
                format!("{} {}", text(entity, "sha1"), entity["globalPrevalence"])
            }
            _ => format!("{} {}", text(entity, "id"), text(entity, "rbacGroupName")),
        };
        let listed = match body.get("value") {
            Some(list) => list.as_array().unwrap().iter().map(shown).collect(),
            None => vec![shown(&body)],
        };
        (status, listed)
    }
}

/// Telemetry in the envelope of the streaming API.
struct Telemetry {
    lines: String,
    minute: u32,
}

impl Telemetry {
    fn line(&mut self, table: &str, properties: Value) {
        let at = format!(
            "2026-01-{:02}T{:02}:{:02}:00Z",
            2 + self.minute / 1440,
            self.minute / 60 % 24,
            self.minute % 60
        );
        let mut properties = properties;
        properties["Timestamp"] = at.as_str().into();
        let line = serde_json::json!({
            "time": at, "tenantId": Uuid::nil(), "operationName": "Publish",
            "category": format!("AdvancedHunting-{table}"), "properties": properties,
        });
        writeln!(self.lines, "{line}").unwrap();
    }

    fn machine(&mut self, id: u64, machine: &Machine) {
        let tags = serde_json::to_string(&machine.tags).unwrap();
        let info = serde_json::json!({
            "DeviceId": machine_id(id), "DeviceName": format!("{}.{}", machine.name, machine.domain),
            "OSPlatform": machine.platform, "MachineGroup": machine.source_group, "DeviceManualTags": tags,
        });
        self.line("DeviceInfo", info);
    }

    fn sighting(&mut self, file: u64, id: u64) {
        let seen = serde_json::json!({
            "DeviceId": machine_id(id), "ActionType": "FileCreated", "FileName": "a.exe", "FolderPath": "C:\\a.exe",
            "SHA1": sha1(file),
        });
        self.line("DeviceFileEvents", seen);
    }

    fn alert(&mut self, id: u64, alert: &Alert) {
        let info = serde_json::json!({
            "AlertId": alert_id(id), "Title": "Suspicious tool", "Category": "Execution", "Severity": "Medium",
            "ServiceSource": "Microsoft Defender for Endpoint", "DetectionSource": "EDR",
        });
        self.line("AlertInfo", info);
        let device = alert.machine.map(machine_id);
        if device.is_some() {
            let machine = serde_json::json!({
                "AlertId": alert_id(id), "EntityType": "Machine", "EvidenceRole": "Impacted", "DeviceId": device,
            });
            self.line("AlertEvidence", machine);
        }
        for file in &alert.files {
            let evidence = serde_json::json!({
                "AlertId": alert_id(id), "EntityType": "File", "EvidenceRole": "Related", "FileName": "a.exe",
                "SHA1": sha1(*file), "DeviceId": device,
            });
            self.line("AlertEvidence", evidence);
        }
    }
}

fn machine(random: &mut Random, id: u64) -> Machine {
    Machine {
        name: format!("{}-{id}", random.one(&NAMES)),
        domain: random.one(&DOMAINS),
        platform: random.one(&PLATFORMS),
        tags: if random.chance(20) { BTreeSet::from([random.one(&TAGS)]) } else { random.some(&TAGS, 30) },
        source_group: random.one(&SOURCE_GROUPS),
    }
}

const ASKABLE: [Permission; 6] = [
    Permission::MachineRead,
    Permission::MachineReadWrite,
    Permission::AlertRead,
    Permission::AlertReadWrite,
    Permission::FileRead,
    Permission::EventWrite,
];

fn set(permissions: &BTreeSet<Permission>) -> Permissions {
    permissions.iter().copied().collect()
}

/// A world and what the oracle knows of it.
struct Play {
    world: World,
    random: Random,
    tenants: Vec<Tenant>,
    telemetry: Telemetry,
    /// Ids of device groups are never used again.
    next_group: u32,
}

impl Play {
    fn new(seed: u64, narrow: bool) -> Play {
        let mut config = Config::default();
        config.scope.narrow_statistics = narrow;
        config.quota.enabled = false;
        let telemetry = Telemetry { lines: String::new(), minute: 0 };
        Play {
            world: World::new(config),
            random: Random(seed),
            tenants: Vec::new(),
            telemetry,
            next_group: 2,
        }
    }

    async fn ingest(&mut self, tenant: TenantId) {
        let instance = self.world.instance();
        let sender = NewApplication::new(tenant, "sender", Permissions::named(["Event.Write"]));
        let sender = instance.control.create_application_with(sender, instance.now()).unwrap().0;
        let token =
            instance.issuer.issue(&sender, Proof::Secret, AUDIENCE, instance.now()).unwrap().unwrap().token;
        let lines = std::mem::take(&mut self.telemetry.lines);
        let request = Request::post("/api/ingest").header("Authorization", format!("Bearer {token}"));
        let answer = self.world.send(request.body(Body::from(lines)).unwrap()).await;
        assert!(answer.status == 200 && answer.body.contains(r#""rejected":0"#), "{}", answer.body);
        self.telemetry.minute += 1;
    }

    async fn tenant(&mut self, name: &str) {
        let random = &mut self.random;
        let control = &self.world.instance().control;
        let id = match control.tenant(name) {
            Some(tenant) => tenant.id,
            None => control.create_tenant(None, name).unwrap().id,
        };
        let mut tenant = Tenant {
            id,
            name: name.to_owned(),
            machines: BTreeMap::new(),
            sightings: BTreeMap::new(),
            alerts: BTreeMap::new(),
            groups: Vec::new(),
            default_seen_by: BTreeSet::new(),
            users: Vec::new(),
            apps: Vec::new(),
            roles: Vec::new(),
            administrators: BTreeSet::new(),
            callers: Vec::new(),
        };
        for id in 0..MACHINES {
            if random.chance(90) {
                let machine = machine(random, id);
                self.telemetry.machine(id, &machine);
                tenant.machines.insert(id, machine);
            }
        }
        let machines: Vec<u64> = tenant.machines.keys().copied().collect();
        for file in 0..FILES {
            for machine in random.some(&machines, if file == 0 { 90 } else { 15 }) {
                self.telemetry.sighting(file, machine);
                tenant.sightings.entry(file).or_default().insert(machine);
            }
        }
        let files: Vec<u64> = (0..FILES).collect();
        for id in 0..ALERTS {
            let machine = random.chance(80).then(|| random.one(&machines));
            let alert = Alert { machine, files: random.some(&files, 30) };
            for file in &alert.files {
                // Evidence on a machine is a sighting as well.
                tenant.sightings.entry(*file).or_default().extend(machine);
            }
            self.telemetry.alert(id, &alert);
            tenant.alerts.insert(id, alert);
        }
        self.tenants.push(tenant);
        self.ingest(id).await;
        self.people();
    }

    /// Users, roles, applications and a caller of each kind for the newest tenant.
    fn people(&mut self) {
        let random = &mut self.random;
        let tenant = self.tenants.last_mut().unwrap();
        let (control, issuer, now) =
            (&self.world.instance().control, &self.world.instance().issuer, self.world.instance().now());
        let all: Vec<u64> = (0..GROUPS).collect();
        for group in 0..GROUPS {
            control.create_user_group(tenant.id, &user_group(group), "").unwrap();
        }
        if random.chance(30) {
            tenant.administrators.insert(random.below(GROUPS));
            let give = tenant.administrators.iter().map(|group| user_group(*group)).collect();
            control
                .change_role(tenant.id, "Administrator", RoleChange { give, ..RoleChange::default() })
                .unwrap();
        }
        for role in 0..3 {
            let permissions =
                random.some(&[RolePermission::ViewData, RolePermission::AlertsInvestigation], 85);
            let groups = random.some(&all, 40);
            let new = RoleChange {
                name: Some(format!("role-{role}")),
                permissions: Some(permissions.clone()),
                give: groups.iter().map(|group| user_group(*group)).collect(),
                ..RoleChange::default()
            };
            control.create_role(tenant.id, new).unwrap();
            tenant.roles.push((permissions, groups));
        }
        for user in 0..5 {
            let (name, groups) = (format!("user-{user}"), random.some(&all, 40));
            let user_groups = groups.iter().map(|group| user_group(*group)).collect();
            let new =
                NewUser { tenant: tenant.id, name: name.clone(), display_name: String::new(), user_groups };
            control.create_user(new, now).unwrap();
            tenant.users.push(User { name, enabled: true, groups });
        }
        for app in 0..4 {
            let (own, delegated) = (random.some(&ASKABLE, 80), random.some(&ASKABLE, 90));
            let new = NewApplication {
                delegated: set(&delegated),
                ..NewApplication::new(tenant.id, &format!("app-{app}"), set(&own))
            };
            let id = control.create_application_with(new, now).unwrap().0.id;
            tenant.apps.push(App { id, enabled: true, own, delegated, limit: None });
        }
        for app in 0..tenant.apps.len() {
            let application = control.application(tenant.apps[app].id).unwrap();
            let token = issuer.issue(&application, Proof::Secret, AUDIENCE, now).unwrap().unwrap().token;
            tenant.callers.push(Caller { token, app, user: None, roles: tenant.apps[app].own.clone() });
            for user in 0..tenant.users.len() {
                let scopes = random.some(&ASKABLE, 85);
                let known = control.user(tenant.id, &tenant.users[user].name).unwrap();
                let token = issuer.issue_for(&known, &application, None, set(&scopes), AUDIENCE, now);
                let token = token.unwrap().unwrap().token;
                tenant.callers.push(Caller {
                    token,
                    app,
                    user: Some((user, scopes)),
                    roles: BTreeSet::new(),
                });
            }
        }
    }

    /// Something changes.
    async fn change(&mut self) {
        let nth = usize::try_from(self.random.below(self.tenants.len() as u64)).unwrap();
        let instance = std::sync::Arc::clone(self.world.instance());
        let control = &instance.control;
        let random = &mut self.random;
        let tenant = &mut self.tenants[nth];
        let (id, all): (TenantId, Vec<u64>) = (tenant.id, (0..GROUPS).collect());
        let names =
            |groups: &BTreeSet<u64>| groups.iter().map(|group| user_group(*group)).collect::<Vec<_>>();
        match random.below(11) {
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
            _ => {
                let known: Vec<u64> = tenant.machines.keys().copied().collect();
                let number = random.one(&known);
                let changed = machine(random, number);
                // A list of no tags says nothing of those there were.
                let tags = if changed.tags.is_empty() {
                    tenant.machines[&number].tags.clone()
                } else {
                    changed.tags.clone()
                };
                let changed = Machine { tags, ..changed };
                self.telemetry.machine(number, &changed);
                tenant.machines.insert(number, changed);
                self.ingest(id).await;
            }
        }
    }

    async fn ask(&mut self, narrow: bool, tally: &mut BTreeMap<&'static str, usize>) {
        let nth = usize::try_from(self.random.below(self.tenants.len() as u64)).unwrap();
        let tenant = &self.tenants[nth];
        let caller = usize::try_from(self.random.below(tenant.callers.len() as u64)).unwrap();
        let caller = &tenant.callers[caller];
        let question = Question::random(&mut self.random);
        let path = question.path(tenant);
        let request = Request::get(&path).header("Authorization", format!("Bearer {}", caller.token));
        let answer = self.world.send(request.body(Body::empty()).unwrap()).await;
        let (told, expected) =
            (question.told(answer.status.as_u16(), &answer.body), question.expected(tenant, caller, narrow));
        let visible = tenant.visible_groups(caller);
        assert_eq!(
            told, expected,
            "{} {path} for {:?} of application {} (sees {visible:?}, narrowed: {narrow}):\n{:#?}\n{}",
            tenant.name, caller.user, caller.app, tenant.groups, answer.body
        );
        let kind = match (told.0, visible.is_some(), told.1.is_empty()) {
            (200, true, false) => "200, narrowed, something",
            (200, true, true) => "200, narrowed, nothing",
            (200, false, _) => "200, whole",
            (404, true, _) => "404, narrowed",
            (404, false, _) => "404, whole",
            (403, ..) => "403",
            (401, ..) => "401",
            _ => "other",
        };
        *tally.entry(kind).or_default() += 1;
    }
}

#[tokio::test]
async fn everybody_sees_what_a_naive_oracle_says_they_see() {
    let mut tally = BTreeMap::new();
    let worlds = CASES.div_ceil(CASES_A_WORLD) as u64;
    for seed in 0..worlds {
        let narrow = seed % 2 == 1;
        let mut play = Play::new(seed, narrow);
        for tenant in ["default", "customer-a"] {
            play.tenant(tenant).await;
        }
        for case in 0..CASES_A_WORLD {
            if case % CASES_A_CHANGE == 0 {
                play.change().await;
            }
            play.ask(narrow, &mut tally).await;
        }
    }
    println!("{tally:#?}");
    assert_eq!(tally.values().sum::<usize>(), CASES);
    // Every kind of answer was given often enough to mean something.
    for kind in [
        "200, narrowed, something",
        "200, narrowed, nothing",
        "200, whole",
        "404, narrowed",
        "404, whole",
        "403",
        "401",
    ] {
        assert!(tally.get(kind).is_some_and(|count| *count >= CASES / 100), "{kind}: {tally:?}");
    }
}
