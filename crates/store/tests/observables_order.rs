//! Domains, IP addresses and users: whatever order, repetition, folding, rebuilding or restarting, the
//! answers are those of a few loops over what was sent.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails says so")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pintle_model::{Record, Time};
use pintle_store::{Memory, Observable, Options, Store};
use support::observed::{
    DAY, adapter, at, connection, dns, domain, ip, logon, logon_users, machines, process, stats, user,
    user_machines,
};
use support::{append, open, options, time, whole};

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
