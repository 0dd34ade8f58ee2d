//! Who sees what, against a naive oracle: random tenants with users, user groups, roles, device groups,
//! applications, machines of one id and of several, and sightings, asked over HTTP by everybody about
//! everything, while rights, rules and machines change in between.

mod answer;
mod change;
mod expected;
mod joined;
mod model;
mod question;
mod random;
mod telemetry;

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use axum::http::Request;
use pintle::auth::application::{NewApplication, Proof};
use pintle::auth::control::RoleChange;
use pintle::auth::permission::{Permission, Permissions};
use pintle::auth::role::RolePermission;
use pintle::auth::user::NewUser;
use pintle::config::Config;
use pintle_model::TenantId;

use self::model::{ALERTS, Alert, App, Caller, FILES, GROUPS, MACHINES, OBSERVED, Tenant, User, user_group};
use self::question::Question;
use self::random::{Random, machine};
use self::telemetry::Telemetry;
use crate::world::{AUDIENCE, World};

/// Cases in all.
const CASES: usize = 100_000;
/// Cases in one world: a world costs as much as some hundred of them.
const CASES_A_WORLD: usize = 2_500;
/// Cases between two changes.
const CASES_A_CHANGE: usize = 50;

const ASKABLE: [Permission; 9] = [
    Permission::MachineRead,
    Permission::MachineReadWrite,
    Permission::AlertRead,
    Permission::AlertReadWrite,
    Permission::FileRead,
    Permission::UserRead,
    Permission::UrlRead,
    Permission::IpRead,
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
        Play {
            world: World::new(config),
            random: Random(seed),
            tenants: Vec::new(),
            telemetry: Telemetry::default(),
            next_group: 2,
        }
    }

    async fn ingest(&mut self, tenant: TenantId) {
        let instance = self.world.instance();
        let sender = NewApplication::new(tenant, "sender", Permissions::named(["Event.Write"]));
        let sender = instance.control.create_application_with(sender, instance.now()).unwrap().0;
        let token =
            instance.issuer.issue(&sender, Proof::Secret, AUDIENCE, instance.now()).unwrap().unwrap().token;
        let Telemetry { lines, alerts, .. } = &mut self.telemetry;
        for body in [lines, alerts].map(std::mem::take).into_iter().filter(|body| !body.is_empty()) {
            let request = Request::post("/api/ingest").header("Authorization", format!("Bearer {token}"));
            let answer = self.world.send(request.body(Body::from(body)).unwrap()).await;
            assert!(answer.status == 200 && answer.body.contains(r#""rejected":0"#), "{}", answer.body);
        }
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
            observed: BTreeMap::new(),
            addresses: Vec::new(),
            alerts: BTreeMap::new(),
            groups: Vec::new(),
            rules: Vec::new(),
            default_seen_by: BTreeSet::new(),
            users: Vec::new(),
            apps: Vec::new(),
            roles: Vec::new(),
            administrators: BTreeSet::new(),
            callers: Vec::new(),
        };
        for id in 0..MACHINES {
            if random.chance(90) {
                let machine = machine(random, id, self.telemetry.minute);
                self.telemetry.machine(id, &machine);
                tenant.addresses.push((self.telemetry.minute, id, machine.address));
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
        for nth in 0..OBSERVED {
            for machine in random.some(&machines, if nth == 0 { 80 } else { 20 }) {
                self.telemetry.observed(nth, machine);
                tenant.observed.entry(nth).or_default().insert(machine);
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

    async fn ask(&mut self, narrow: bool, tally: &mut BTreeMap<&'static str, usize>) {
        let nth = usize::try_from(self.random.below(self.tenants.len() as u64)).unwrap();
        let tenant = &self.tenants[nth];
        let caller = usize::try_from(self.random.below(tenant.callers.len() as u64)).unwrap();
        let caller = &tenant.callers[caller];
        let question = Question::random(&mut self.random);
        // Names are what sources give them, whatever the machine shows.
        let path = question.path(tenant);
        let body = question.body();
        let request = if body.is_some() { Request::post(&path) } else { Request::get(&path) };
        let request = request.header("Authorization", format!("Bearer {}", caller.token));
        let answer = self.world.send(request.body(Body::from(body.unwrap_or_default())).unwrap()).await;
        let meant = question.about(|machine| tenant.one(machine));
        let (told, expected) = (
            question.told(answer.status.as_u16(), &answer.body),
            meant.expected(&tenant.as_ones(), caller, narrow),
        );
        let visible = tenant.visible_groups(caller);
        assert_eq!(
            told, expected,
            "{} {path} for {:?} of application {} (sees {visible:?}, narrowed: {narrow}):\n{:#?}\n{:?}\n{}",
            tenant.name, caller.user, caller.app, tenant.groups, tenant.rules, answer.body
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
