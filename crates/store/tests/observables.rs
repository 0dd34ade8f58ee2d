//! Domains, IP addresses and users: whatever order, repetition, folding, rebuilding or restarting, the
//! answers are those of a few loops over what was sent.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails says so")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use pintle_model::tables::{
    alert_evidence, device_events, device_file_events, device_info, device_logon_events,
    device_network_events, device_network_info, device_process_events,
};
use pintle_model::{ColumnId, Record, Row, Table, Time, shapes};
use pintle_store::{
    Folder, MachineList, Memory, Observable, Options, Page, Prevalence, Purge, Purged, Retention, Scope,
    Store, check,
};
use serde_json::{Value, json};
use support::{TENANT, alert, append, groups, in_group, open, options, source_groups, time, whole};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn row(table: &Table, machine: &str, at: &str, texts: &[(ColumnId, &str)]) -> Row {
    let mut row = Row::new(table);
    row.set_time(device_events::TIMESTAMP, Time::parse(at));
    row.set_text(device_events::DEVICE_ID, Some(machine));
    for (column, text) in texts {
        row.set_text(*column, Some(text));
    }
    row
}

fn connection(machine: &str, at: &str, remote: &str, url: &str, local: &str) -> Record {
    use device_network_events as t;
    let texts = [(t::REMOTE_IP, remote), (t::REMOTE_URL, url), (t::LOCAL_IP, local)];
    Record::Row(row(&t::TABLE, machine, at, &texts))
}

fn dns(machine: &str, at: &str, name: &str) -> Record {
    Record::Row(row(&device_events::TABLE, machine, at, &[(device_events::REMOTE_URL, name)]))
}

fn logon(machine: &str, at: &str, domain: &str, name: &str, kind: &str) -> Record {
    use device_logon_events as t;
    let texts = [
        (t::ACTION_TYPE, "LogonSuccess"),
        (t::ACCOUNT_DOMAIN, domain),
        (t::ACCOUNT_NAME, name),
        (t::LOGON_TYPE, kind),
    ];
    let mut row = row(&t::TABLE, machine, at, &texts);
    row.set_text(t::ACCOUNT_SID, Some(&format!("S-1-5-21-7-{}", name.len())));
    row.set_bool(t::IS_LOCAL_ADMIN, Some(kind == "Interactive"));
    Record::Row(row)
}

fn process(machine: &str, at: &str, domain: &str, name: &str) -> Record {
    use device_process_events as t;
    Record::Row(row(&t::TABLE, machine, at, &[(t::ACCOUNT_DOMAIN, domain), (t::ACCOUNT_NAME, name)]))
}

fn adapter(machine: &str, at: &str, addresses: &[&str]) -> Record {
    use device_network_info as t;
    let listed: Vec<Value> = addresses.iter().map(|address| json!({ "IPAddress": address })).collect();
    let listed = Value::from(listed).to_string();
    Record::Row(row(
        &t::TABLE,
        machine,
        at,
        &[(t::NETWORK_ADAPTER_NAME, "Ethernet"), (t::IP_ADDRESSES, &listed)],
    ))
}

fn ids(list: MachineList) -> Vec<String> {
    let (mut list, mut out) = (list, b"[".to_vec());
    list.write(&mut out);
    out.push(b']');
    let listed: Vec<Value> = serde_json::from_slice(&out).unwrap();
    listed.iter().map(|machine| machine["id"].as_str().unwrap().to_owned()).collect()
}

fn domain(text: &str) -> Observable {
    Observable::Domain(text.parse().unwrap())
}

fn ip(text: &str) -> Observable {
    Observable::ip(text).unwrap()
}

fn machines(store: &Store, scope: &Scope, asked: &Observable) -> Option<Vec<String>> {
    store.list_observable_machines(scope, asked, Page::ALL).unwrap().map(|(list, _)| ids(list))
}

fn user_machines(store: &Store, scope: &Scope, name: &str) -> Option<Vec<String>> {
    store.list_user_machines(scope, &name.parse().unwrap(), Page::ALL).unwrap().map(|(list, _)| ids(list))
}

fn stats(store: &Store, scope: &Scope, asked: &Observable, look_back: Duration) -> Option<Prevalence> {
    store.observable_stats(scope, asked, look_back).unwrap()
}

fn user(store: &Store, scope: &Scope, name: &str) -> Option<Value> {
    let members = store.user(scope, &name.parse().unwrap()).unwrap()?;
    Some(serde_json::from_str(&format!("{{{members}}}")).unwrap())
}

fn logon_users(store: &Store, scope: &Scope, machine: &str) -> Option<Vec<Value>> {
    let mut out = b"[".to_vec();
    let written = store.logon_users(scope, machine, Page::ALL, &mut out).unwrap()?;
    out.push(b']');
    let users: Vec<Value> = serde_json::from_slice(&out).unwrap();
    assert_eq!(users.len(), written);
    Some(users)
}

fn at(store: &Store, scope: &Scope, address: &str, at: Time, minutes: u64) -> Vec<String> {
    let (address, within): (IpAddr, _) = (address.parse().unwrap(), Duration::from_secs(minutes * 60));
    ids(store.list_machines_at(scope, address, at, within, Page::ALL).unwrap().0)
}

const DOMAINS: [&str; 4] = ["evil.example", "cdn.example", "a.evil.example", "never.example"];
const ADDRESSES: [&str; 4] = ["203.0.113.7", "2001:db8::7", "198.51.100.1", "192.0.2.99"];
const OWN: [&str; 3] = ["10.0.0.1", "10.0.0.2", "fd00::5"];
const USERS: [&str; 4] = ["alex", "alexa", "sam", "nobody"];
const USER_DOMAINS: [&str; 3] = ["corp", "lab", ""];
const KINDS: [&str; 3] = ["Network", "Interactive", "RemoteInteractive"];
const MACHINES: u64 = 6;

/// What was sent, as lists to be looked through.
#[derive(Default)]
struct Model {
    records: Vec<Record>,
    /// Thing, machine, time.
    seen: Vec<(Observable, String, Time)>,
    /// Name, domain, machine, time, kind.
    logons: Vec<(&'static str, &'static str, String, Time, Option<&'static str>)>,
    own: Vec<(&'static str, String, Time)>,
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % most
    }

    fn one(&mut self, of: &[&'static str]) -> &'static str {
        // The last is never sent.
        of[usize::try_from(self.below(of.len() as u64 - 1)).unwrap()]
    }
}

impl Model {
    fn random(seed: u64, records: usize) -> Model {
        let (mut dice, mut model) = (Dice(seed), Model::default());
        for _ in 0..records {
            let machine = format!("m{}", dice.below(MACHINES));
            let at = time("2026-07-01T00:00:00Z") + Duration::from_secs(60 * dice.below(60 * 24 * 30));
            model.send(&mut dice, machine, at);
        }
        model
    }

    fn send(&mut self, dice: &mut Dice, machine: String, at: Time) {
        let text = at.to_string();
        let name = dice.one(&USERS);
        let user_domain = USER_DOMAINS[usize::try_from(dice.below(3)).unwrap()];
        let upper = |text: &str, dice: &mut Dice| {
            if dice.below(2) == 0 { text.to_uppercase() } else { text.to_owned() }
        };
        match dice.below(5) {
            0 => {
                let (remote, host) = (dice.one(&ADDRESSES), dice.one(&DOMAINS));
                let own = OWN[usize::try_from(dice.below(3)).unwrap()];
                let url = format!("https://{}:8443/x", upper(host, dice));
                self.records.push(connection(&machine, &text, &upper(remote, dice), &url, own));
                self.seen.push((ip(remote), machine.clone(), at));
                self.seen.push((domain(host), machine.clone(), at));
                self.own.push((own, machine, at));
            }
            1 => {
                let host = dice.one(&DOMAINS);
                self.records.push(dns(&machine, &text, &upper(host, dice)));
                self.seen.push((domain(host), machine, at));
            }
            2 => {
                let kind = KINDS[usize::try_from(dice.below(3)).unwrap()];
                self.records.push(logon(
                    &machine,
                    &text,
                    &upper(user_domain, dice),
                    &upper(name, dice),
                    kind,
                ));
                self.logons.push((name, user_domain, machine, at, Some(kind)));
            }
            3 => {
                self.records.push(process(&machine, &text, user_domain, &upper(name, dice)));
                self.logons.push((name, user_domain, machine, at, None));
            }
            _ => {
                let own: Vec<&'static str> = OWN.into_iter().filter(|_| dice.below(2) == 0).collect();
                self.records.push(adapter(&machine, &text, &own));
                self.own.extend(own.into_iter().map(|own| (own, machine.clone(), at)));
            }
        }
    }

    fn check(&self, store: &Store, about: &str) {
        let scope = whole();
        for asked in DOMAINS.map(domain).into_iter().chain(ADDRESSES.map(ip)) {
            let seen = || self.seen.iter().filter(|(thing, ..)| *thing == asked);
            let on: BTreeSet<String> = seen().map(|(_, machine, _)| machine.clone()).collect();
            let expected = (!on.is_empty()).then(|| on.into_iter().collect::<Vec<_>>());
            assert_eq!(machines(store, &scope, &asked), expected, "{about}: {asked:?}");
            for days in [3, 9, 40] {
                let look_back = DAY * days;
                let told = stats(store, &scope, &asked, look_back);
                let mut last: BTreeMap<&str, (Time, Time)> = BTreeMap::new();
                for (_, machine, at) in seen() {
                    let span = last.entry(machine).or_insert((*at, *at));
                    *span = (span.0.min(*at), span.1.max(*at));
                }
                let since = time("2026-08-01T00:00:00Z") - look_back;
                let recent: Vec<_> = last.values().filter(|(_, last)| *last >= since).collect();
                let span = told.and_then(|told| told.seen).map(|span| (span.first, span.last));
                let first = recent.iter().map(|(first, _)| *first).min();
                assert_eq!(
                    told.map(|told| told.machines),
                    expected.as_ref().map(|_| recent.len()),
                    "{about}: {asked:?}"
                );
                assert_eq!(span, first.zip(recent.iter().map(|(_, last)| *last).max()), "{about}: {asked:?}");
            }
        }
        for name in USERS {
            let of = |domain: Option<&str>| {
                let logons = self.logons.iter();
                let on: BTreeSet<String> = logons
                    .filter(|(other, of, ..)| *other == name && domain.is_none_or(|domain| *of == domain))
                    .map(|(_, _, machine, ..)| machine.clone())
                    .collect();
                (!on.is_empty()).then(|| on.into_iter().collect::<Vec<_>>())
            };
            assert_eq!(user_machines(store, &scope, name), of(None), "{about}: {name}");
            for domain in USER_DOMAINS {
                let told = user_machines(store, &scope, &format!("{}\\{name}", domain.to_uppercase()));
                assert_eq!(told, of(Some(domain)), "{about}: {domain}\\{name}");
            }
        }
        for machine in (0..MACHINES).map(|nth| format!("m{nth}")) {
            let mut users: BTreeMap<String, (Time, Time, BTreeSet<&str>)> = BTreeMap::new();
            for (name, domain, _, at, kind) in self.logons.iter().filter(|(_, _, of, ..)| *of == machine) {
                let id = if domain.is_empty() { (*name).to_owned() } else { format!("{domain}\\{name}") };
                let known = users.entry(id).or_insert((*at, *at, BTreeSet::new()));
                (known.0, known.1) = (known.0.min(*at), known.1.max(*at));
                known.2.extend(kind);
            }
            let told = logon_users(store, &scope, &machine).unwrap().into_iter().map(|user| {
                let text = |member: &str| user[member].as_str().map(str::to_owned);
                (
                    text("id").unwrap(),
                    text("firstSeen").unwrap(),
                    text("lastSeen").unwrap(),
                    text("logonTypes"),
                )
            });
            let expected = users.into_iter().map(|(id, (first, last, kinds))| {
                let kinds: Vec<&str> = kinds.into_iter().collect();
                (
                    id,
                    first.to_string(),
                    last.to_string(),
                    Some(kinds.join(", ")).filter(|kinds| !kinds.is_empty()),
                )
            });
            assert_eq!(told.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{about}: {machine}");
        }
        for own in OWN {
            for step in 0..1_200 {
                let moment = time("2026-06-30T12:00:00Z") + Duration::from_secs(37 * 60 * step);
                let near = |at: &Time| at.ticks().abs_diff(moment.ticks()) <= 15 * 60 * 10_000_000;
                let reported = self.own.iter().filter(|(address, _, at)| *address == own && near(at));
                let on: BTreeSet<String> = reported.map(|(_, machine, _)| machine.clone()).collect();
                assert_eq!(
                    at(store, &scope, own, moment, 15),
                    on.into_iter().collect::<Vec<_>>(),
                    "{about}: {own}"
                );
            }
        }
    }
}

/// Everything that is told, as bytes.
fn answers(store: &Store) -> Vec<String> {
    let mut told = Vec::new();
    for name in USERS {
        told.push(format!("{:?}", user(store, &whole(), name)));
        told.push(format!("{:?}", user(store, &whole(), &format!("corp\\{name}"))));
    }
    for machine in 0..MACHINES {
        told.push(format!("{:?}", logon_users(store, &whole(), &format!("m{machine}"))));
    }
    for asked in DOMAINS.map(domain).into_iter().chain(ADDRESSES.map(ip)) {
        told.push(format!("{:?}", stats(store, &whole(), &asked, DAY * 10)));
    }
    told
}

#[test]
fn answers_do_not_depend_on_order_repetition_folding_rebuild_or_restart() {
    let model = Model::random(7, 400);
    let mut expected = None;
    for seed in 0..5u64 {
        let folder = tempfile::tempdir().unwrap();
        // From a run for every batch to all in memory.
        let memory = Memory { records: 1 + seed * seed * 60, ..Memory::default() };
        let store = Store::open(folder.path(), Options { memory, ..options() }).unwrap();
        let shuffled = support::shuffled(&model.records, seed);
        for part in shuffled.chunks(70).chain(shuffled.chunks(110)) {
            append(&store, part.to_vec());
        }
        model.check(&store, &format!("order {seed}"));
        let told = answers(&store);
        assert_eq!(expected.get_or_insert_with(|| told.clone()), &told, "order {seed}");
        store.rebuild_online(&mut |_| {}).unwrap();
        assert_eq!(answers(&store), told, "rebuilt, order {seed}");
        drop(store);
        let store = open(folder.path());
        model.check(&store, &format!("opened again, order {seed}"));
        assert_eq!(answers(&store), told, "opened again, order {seed}");
        assert_eq!(store.notices(), [""; 0]);
    }
}

#[test]
fn a_user_is_told_with_what_sources_say_and_where_they_are_most() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(
        &store,
        vec![
            logon("m1", "2026-07-01T00:00:00Z", "CORP", "Alex", "Network"),
            logon("m1", "2026-07-03T00:00:00Z", "CORP", "Alex", "RemoteInteractive"),
            logon("m2", "2026-07-02T00:00:00Z", "CORP", "ALEX", "Interactive"),
            process("m3", "2026-07-09T00:00:00Z", "corp", "alex"),
            process("m3", "2026-07-09T01:00:00Z", "corp", "alex"),
            logon("m9", "2026-07-10T00:00:00Z", "LAB", "alex", "Network"),
        ],
    );
    let told = user(&store, &whole(), "ALEX").unwrap();
    let expected = json!({
        "id": "corp\\alex", "accountName": "alex", "accountDomain": "corp", "accountSid": "S-1-5-21-7-4",
        "firstSeen": "2026-07-01T00:00:00Z", "lastSeen": "2026-07-09T01:00:00Z",
        "mostPrevalentMachineId": "m1", "leastPrevalentMachineId": "m2",
        "logonTypes": "Interactive, Network, RemoteInteractive", "logOnMachinesCount": 3,
        "isDomainAdmin": false, "isOnlyNetworkUser": false,
    });
    assert_eq!(told, expected);
    let members: Vec<&String> = told.as_object().unwrap().keys().collect();
    assert_eq!(members.len(), shapes::user::SHAPE.members.len());
    let lab = user(&store, &whole(), "lab\\alex").unwrap();
    assert_eq!(
        (lab["isOnlyNetworkUser"].clone(), lab["logOnMachinesCount"].clone()),
        (true.into(), 1.into())
    );
    assert_eq!(user(&store, &whole(), "alex@corp.example").unwrap()["id"], "corp\\alex");
    for unknown in ["al", "alexx", "x\\alex", "sam@corp.example"] {
        assert_eq!(user(&store, &whole(), unknown), None, "{unknown}");
        assert_eq!(user_machines(&store, &whole(), unknown), None, "{unknown}");
    }
    assert_eq!(user_machines(&store, &whole(), "alex").unwrap(), ["m1", "m2", "m3", "m9"]);
    let on_m3 = &logon_users(&store, &whole(), "m3").unwrap()[0];
    for member in [
        "mostPrevalentMachineId",
        "leastPrevalentMachineId",
        "logOnMachinesCount",
        "logonTypes",
        "isOnlyNetworkUser",
    ] {
        assert_eq!(on_m3[member], Value::Null, "{member}");
    }
}

#[test]
fn what_counts_as_a_user_a_domain_and_an_address() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let stamp = "2026-07-01T00:00:00Z";
    let failed = {
        use device_logon_events as t;
        let texts =
            [(t::ACTION_TYPE, "LogonFailed"), (t::ACCOUNT_NAME, "mallory"), (t::REMOTE_IP, "203.0.113.8")];
        Record::Row(row(&t::TABLE, "m1", stamp, &texts))
    };
    let systems_own = {
        use device_process_events as t;
        let texts = [(t::ACCOUNT_NAME, "Système"), (t::ACCOUNT_SID, "S-1-5-18")];
        Record::Row(row(&t::TABLE, "m1", stamp, &texts))
    };
    let report = {
        let users =
            r#"[{"UserName":"Kim","DomainName":"CORP","Sid":"S-1-5-21-9"},{"UserName":"DWM-1"},7,{}]"#;
        Record::Row(row(&device_info::TABLE, "m1", stamp, &[(device_info::LOGGED_ON_USERS, users)]))
    };
    let download = {
        use device_file_events as t;
        Record::Row(row(&t::TABLE, "m1", stamp, &[(t::FILE_ORIGIN_URL, "http://origin.example/a.exe")]))
    };
    let mut evidence = Row::new(&alert_evidence::TABLE);
    for (column, text) in [
        (alert_evidence::ALERT_ID, "a1"),
        (alert_evidence::DEVICE_ID, "m1"),
        (alert_evidence::ENTITY_TYPE, "Ip"),
        (alert_evidence::REMOTE_IP, "203.0.113.9"),
        (alert_evidence::REMOTE_URL, "evidence.example"),
    ] {
        evidence.set_text(column, Some(text));
    }
    let Record::Alert(mut told) = alert("a2", "m2", stamp, support::SHA1_A) else { unreachable!() };
    let mut url = pintle_model::Facts::default();
    url.note_text(shapes::evidence::URL, Time::MIN, Some("http://203.0.113.10/x"));
    told.evidence.push(pintle_model::Evidence(url));
    let users = r#"[{"accountName":"Robin Smith","domainName":"Corp"}]"#;
    told.facts.note(shapes::alert::LOGGED_ON_USERS, Time::MIN, users);
    told.facts.note(shapes::alert::RELATED_USER, Time::MIN, r#"{"userName":"Kim","domainName":"CORP"}"#);
    append(
        &store,
        vec![
            failed,
            systems_own,
            report,
            download,
            Record::Row(evidence),
            Record::Alert(told),
            connection("m1", stamp, "::ffff:203.0.113.11", "0.0.0.0", "127.0.0.1"),
            connection("m1", stamp, "0.0.0.0", "not a host", "::ffff:10.0.0.9"),
        ],
    );
    let on = |machine: &str| Some(vec![machine.to_owned()]);
    for (asked, expected) in [
        (ip("203.0.113.8"), on("m1")),
        (ip("203.0.113.9"), on("m1")),
        (ip("203.0.113.10"), on("m2")),
        (ip("203.0.113.11"), on("m1")),
        (ip("::ffff:203.0.113.11"), on("m1")),
        (ip("10.0.0.9"), None),
        (domain("origin.example"), on("m1")),
        (domain("evidence.example"), on("m1")),
        (domain("example"), None),
    ] {
        assert_eq!(machines(&store, &whole(), &asked), expected, "{asked:?}");
    }
    let users = logon_users(&store, &whole(), "m1").unwrap();
    assert_eq!(users.iter().map(|user| user["id"].as_str().unwrap()).collect::<Vec<_>>(), ["corp\\kim"]);
    assert_eq!(users[0]["accountSid"], "S-1-5-21-9");
    assert_eq!(logon_users(&store, &whole(), "m2").unwrap()[0]["id"], "corp\\robin smith");
    assert_eq!(at(&store, &whole(), "10.0.0.9", time(stamp), 15), ["m1"]);
    assert!(at(&store, &whole(), "127.0.0.1", time(stamp), 15).is_empty());
    let of_alert = |id: &str| store.alert_user(&whole(), &id.parse().unwrap()).unwrap();
    assert!(of_alert("a2").unwrap().unwrap().starts_with(r#""id":"corp\\kim","#));
    assert_eq!((of_alert("a1"), of_alert("a9")), (Some(None), None));

    // A purge of a user takes out all of it.
    for name in ["kim", "robin smith", "mallory"] {
        let purge = Purge { tenant: TENANT, what: Purged::User(name.into()) };
        store.purge(&[purge], &mut |_| {}).unwrap();
        assert_eq!(user(&store, &whole(), name), None, "{name}");
    }
    assert_eq!(machines(&store, &whole(), &ip("203.0.113.8")), None);
    assert_eq!(machines(&store, &whole(), &domain("origin.example")), on("m1"));
}

#[test]
fn who_sees_some_machines_is_told_of_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.set_device_groups(TENANT, source_groups(&["Seen"])).unwrap();
    let stamp = "2026-07-20T00:00:00Z";
    append(
        &store,
        vec![
            in_group("s1", "Seen", ""),
            connection("s1", stamp, "203.0.113.7", "both.example", "10.0.0.1"),
            connection("h1", "2026-07-21T00:00:00Z", "203.0.113.7", "both.example", "10.0.0.1"),
            connection("h1", stamp, "203.0.113.8", "hidden.example", "10.0.0.1"),
            logon("s1", stamp, "corp", "alex", "Network"),
            logon("h1", stamp, "corp", "alex", "Interactive"),
            logon("h1", "2026-07-25T00:00:00Z", "corp", "alex", "Interactive"),
            logon("h1", stamp, "corp", "sam", "Network"),
        ],
    );
    let (wide, narrow) = (groups(&[1]), groups(&[1]).narrowing_statistics(true));
    let one = Some(vec!["s1".to_owned()]);
    for scope in [&wide, &narrow] {
        assert_eq!(machines(&store, scope, &domain("both.example")), one);
        assert_eq!(machines(&store, scope, &ip("203.0.113.7")), one);
        assert_eq!(user_machines(&store, scope, "alex"), one);
        assert_eq!(at(&store, scope, "10.0.0.1", time(stamp), 15), ["s1"]);
        assert_eq!(
            (logon_users(&store, scope, "h1"), logon_users(&store, scope, "s1").unwrap().len()),
            (None, 1)
        );
        let alex = user(&store, scope, "alex").unwrap();
        assert_eq!(
            (&alex["mostPrevalentMachineId"], &alex["leastPrevalentMachineId"]),
            (&"s1".into(), &"s1".into())
        );
    }
    let counted =
        |scope: &Scope, asked: &Observable| stats(&store, scope, asked, DAY * 30).map(|told| told.machines);
    for (asked, wide_count, narrow_count) in [
        (domain("both.example"), Some(2), Some(1)),
        (domain("hidden.example"), Some(1), None),
        (ip("203.0.113.8"), Some(1), None),
    ] {
        assert_eq!(
            (counted(&wide, &asked), counted(&narrow, &asked)),
            (wide_count, narrow_count),
            "{asked:?}"
        );
    }
    assert_eq!(machines(&store, &wide, &domain("hidden.example")), Some(vec![]));
    assert_eq!(machines(&store, &narrow, &domain("hidden.example")), None);
    assert_eq!(
        (user_machines(&store, &wide, "sam"), user_machines(&store, &narrow, "sam")),
        (Some(vec![]), None)
    );
    assert!(user(&store, &wide, "sam").unwrap()["mostPrevalentMachineId"].is_null());
    assert_eq!(user(&store, &narrow, "sam"), None);
    let (wide, narrow) = (user(&store, &wide, "alex").unwrap(), user(&store, &narrow, "alex").unwrap());
    assert_eq!(
        (&wide["logonTypes"], &wide["logOnMachinesCount"]),
        (&"Interactive, Network".into(), &2.into())
    );
    assert_eq!((&narrow["logonTypes"], &narrow["logOnMachinesCount"]), (&"Network".into(), &1.into()));
    assert_eq!((&wide["isDomainAdmin"], &narrow["isDomainAdmin"]), (&true.into(), &false.into()));
    assert_eq!(narrow["lastSeen"], stamp);
    // Another tenant knows nothing of it.
    let other = Scope::whole(pintle_model::TenantId::from_bytes([7; 16]));
    assert_eq!(
        (machines(&store, &other, &domain("both.example")), user(&store, &other, "alex")),
        (None, None)
    );
    assert!(at(&store, &other, "10.0.0.1", time(stamp), 15).is_empty());
}

#[test]
fn what_has_expired_is_hidden_at_once_and_leaves_the_base() {
    let folder = tempfile::tempdir().unwrap();
    let retention = Retention { sightings: Some(DAY * 10), ..Retention::default() };
    let store = Store::open(folder.path(), Options { retention, ..options() }).unwrap();
    let (old, new) = ("2026-07-15T00:00:00Z", "2026-07-30T00:00:00Z");
    append(
        &store,
        vec![
            connection("m1", old, "203.0.113.7", "old.example", "10.0.0.1"),
            connection("m1", old, "203.0.113.8", "both.example", "10.0.0.1"),
            connection("m2", new, "203.0.113.8", "both.example", "10.0.0.1"),
            logon("m1", old, "corp", "alex", "Network"),
            logon("m2", new, "corp", "sam", "Network"),
        ],
    );
    let check = |when: &str| {
        assert_eq!(machines(&store, &whole(), &domain("old.example")), None, "{when}");
        assert_eq!(machines(&store, &whole(), &domain("both.example")), Some(vec!["m2".into()]), "{when}");
        assert_eq!(stats(&store, &whole(), &ip("203.0.113.8"), DAY * 30).unwrap().machines, 1, "{when}");
        assert_eq!(
            (user(&store, &whole(), "alex"), user_machines(&store, &whole(), "alex")),
            (None, None),
            "{when}"
        );
        assert!(logon_users(&store, &whole(), "m1").unwrap().is_empty(), "{when}");
        assert_eq!(user_machines(&store, &whole(), "sam"), Some(vec!["m2".into()]), "{when}");
        assert!(at(&store, &whole(), "10.0.0.1", time(old), 15).is_empty(), "{when}");
        assert_eq!(at(&store, &whole(), "10.0.0.1", time(new), 15), ["m2"], "{when}");
    };
    check("at once");
    let expired = store.expire().unwrap();
    assert_eq!((expired.sightings, expired.files), (5, 0), "two addresses, two domains and a user on m1");
    check("out of the base");
    assert_eq!(store.expire().unwrap().sightings, 0);
    drop(store);
    // Without a retention nothing more is there than is left.
    let store = open(folder.path());
    assert_eq!(machines(&store, &whole(), &domain("old.example")), None);
    assert!(at(&store, &whole(), "10.0.0.1", time(old), 15).is_empty());
}

#[test]
fn hostile_names_are_bounded_and_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let memory = Memory { records: 300, ..Memory::default() };
    let store = Store::open(folder.path(), Options { memory, ..options() }).unwrap();
    let stamp = "2026-07-15T00:00:00Z";
    let long = "x".repeat(1 << 20);
    append(
        &store,
        vec![
            logon("m1", stamp, &long, &long, &long),
            connection("m1", stamp, &long, &long, &long),
            logon("m1", stamp, "corp", "a\u{0}b", "Network"),
            logon("m1", stamp, "corp\u{0}x", "alex", "Network"),
        ],
    );
    let users = logon_users(&store, &whole(), "m1").unwrap();
    assert_eq!(users.len(), 1);
    assert!(users[0].to_string().len() < 4_000);
    let part = |nth: u32| {
        (nth * 300..nth * 300 + 300)
            .map(|n| logon(&format!("m{n:04}"), stamp, &format!("host-{n:04}"), "administrator", "Network"))
    };
    (0..4).for_each(|nth| _ = append(&store, part(nth).collect()));
    assert_eq!(user_machines(&store, &whole(), "administrator").unwrap().len(), 1_200);
    assert_eq!(user_machines(&store, &whole(), "host-0007\\administrator").unwrap(), ["m0007"]);
    assert_eq!(user(&store, &whole(), "administrator").unwrap()["id"], "host-0000\\administrator");
}

#[test]
fn a_base_from_before_says_what_it_does_not_know_until_it_is_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture/v1");
    for part in ["archive", "base"] {
        std::fs::create_dir(folder.path().join(part)).unwrap();
        for file in std::fs::read_dir(fixture.join(part)).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), folder.path().join(part).join(file.file_name())).unwrap();
        }
    }
    let store = open(folder.path());
    let notices = store.notices();
    assert!(notices.len() == 1 && notices[0].contains("pintle rebuild"), "{notices:?}");
    append(&store, vec![dns("m1", "2026-07-15T00:00:00Z", "new.example")]);
    assert_eq!(machines(&store, &whole(), &domain("new.example")), Some(vec!["m1".into()]));
    drop(store);
    let checked = check(folder.path(), &mut |_| {}).unwrap();
    assert_eq!((checked.damages.len(), &checked.notices), (0, &notices));
    assert_eq!(open(folder.path()).notices(), notices, "it stays so, whatever comes in");
    let store = Store::rebuild(Folder::lock(folder.path()).unwrap(), options(), &mut |_| {}).unwrap();
    assert_eq!(store.notices(), [""; 0]);
    assert_eq!(machines(&store, &whole(), &domain("new.example")), Some(vec!["m1".into()]));
    assert_eq!(store.check(&mut |_| {}).unwrap().notices, [""; 0]);
}
