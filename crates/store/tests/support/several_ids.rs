//! A machine that three sources know, each by an id of its own, and what is answered of it.

use std::sync::atomic::AtomicBool;

use pintle_model::tables::device_process_events as t;
use pintle_model::{MachineId, Record, Row, Time};
use pintle_store::{
    AlertList, DeviceGroup, DeviceGroups, DeviceRule, Listing, MachineRule, MachineRules, Operator, Page,
    SameMachines, SameNames, Store,
};
use serde_json::Value;

use super::observed::{
    DAY, adapter, at, connection, domain, ip, logon, logon_users, machines, stats, user, user_machines,
};
use super::{
    REST, SHA1_A, SHA1_B, SHA256_A, TENANT, alert, device, entities, evidence_row, file_seen, groups, hash,
    machine_ids, rest, row, time, whole,
};

/// Defender's id of the machine, an agent's, and that of its name.
pub const DEFENDER: &str = "dddddddddddddddddddddddddddddddddddddddd";
pub const AGENT: &str = "1111111111111111111111111111111111111111";
pub const NAME: &str = "ws5.corp.example";

pub fn by_name() -> String {
    MachineId::derived("host", NAME).to_string()
}

/// What three sources say of one machine, and one source of another.
pub fn telemetry() -> Vec<Record> {
    let (name, all) = (by_name(), "2026-07-01T00:00:00Z");
    let day = |day: u32| format!("2026-07-{day:02}T12:00:00Z");
    let mut started = Row::new(&t::TABLE);
    started.set_time(t::TIMESTAMP, Time::parse(&day(7)));
    started.set_text(t::DEVICE_ID, Some(AGENT));
    started.set_text(t::SHA1, Some(SHA1_B));
    started.set_long(t::REPORT_ID, Some(7));
    vec![
        device(DEFENDER, &day(1), "WS5.corp.example", &["vip"], "Windows11", "Servers"),
        device(AGENT, &day(9), "ws5.corp.example", &[], "windows", ""),
        device(&name, &day(8), NAME, &[], "", ""),
        device("other", all, "other.corp.example", &["lab"], "Linux", "Servers"),
        file_seen(DEFENDER, &day(2), SHA1_A, "", ""),
        file_seen(AGENT, &day(6), SHA1_A, "", ""),
        file_seen(DEFENDER, &day(3), "", SHA256_A, ""),
        file_seen(&name, &day(4), "", SHA256_A, ""),
        file_seen("other", &day(3), SHA1_A, "", ""),
        Record::Row(started),
        adapter(DEFENDER, &day(2), &["192.0.2.1"]),
        adapter(AGENT, &day(2), &["192.0.2.2"]),
        connection(DEFENDER, &day(3), "203.0.113.7", "https://evil.example/a", "10.0.0.1"),
        connection(&name, &day(5), "203.0.113.7", "https://evil.example/b", "10.0.0.2"),
        logon(DEFENDER, &day(3), "CORP", "alex", "Interactive"),
        logon(AGENT, &day(4), "CORP", "alex", "Network"),
        logon(AGENT, &day(5), "CORP", "kim", "Network"),
        logon("other", &day(5), "CORP", "alex", "Network"),
        alert("on-agent", AGENT, &day(6), SHA1_A),
        alert("on-defender", DEFENDER, &day(2), SHA1_B),
        alert("on-other", "other", &day(3), SHA1_B),
        evidence_row("nowhere", "", SHA1_A),
    ]
}

pub fn rules(rules: &[MachineRule]) -> MachineRules {
    MachineRules::new((1..).zip(rules.iter().cloned()).collect())
}

pub fn full_names() -> MachineRule {
    MachineRule::Names(SameNames::default())
}

pub fn same(ids: &[&str]) -> MachineRule {
    let ids = ids.iter().map(|id| id.parse().unwrap()).collect();
    MachineRule::Machines(SameMachines { ids, canonical: None })
}

pub fn set(store: &Store, of: &[MachineRule]) -> (usize, usize) {
    let rejoined = store.set_machine_rules(TENANT, rules(of)).unwrap();
    (rejoined.machines, rejoined.joined)
}

pub fn machine(store: &Store, id: &str) -> Option<Value> {
    let members = store.machine(&whole(), id).unwrap();
    members.map(|members| serde_json::from_str(&format!("{{{members}}}")).unwrap())
}

pub fn listed(store: &Store) -> Vec<Value> {
    entities(|out| store.machines(&whole(), Page::ALL, out))
}

pub fn alerts(mut list: AlertList) -> Vec<(String, String)> {
    let mut out = b"[".to_vec();
    while let Some(piece) = list.next_piece().unwrap() {
        out.extend_from_slice(&piece);
    }
    out.push(b']');
    let all: Vec<Value> = serde_json::from_slice(&out).unwrap();
    let text = |alert: &Value, member: &str| alert[member].as_str().unwrap_or("-").to_owned();
    all.iter().map(|alert| (text(alert, "id"), text(alert, "machineId"))).collect()
}

/// Every answer there is about the telemetry, whoever asks.
pub fn everything(store: &Store) -> Vec<String> {
    let mut all = Vec::new();
    let stop = AtomicBool::default();
    for scope in [whole(), groups(&[1]).narrowing_statistics(true), groups(&[REST])] {
        let mut list = Vec::new();
        store.machines(&scope, Page::ALL, &mut list).unwrap();
        store.alerts(&scope, Page::ALL, &mut list).unwrap();
        for id in [DEFENDER, AGENT, &by_name(), "other", "ws5", NAME] {
            all.push(format!("{:?}", store.machine(&scope, id).unwrap()));
            all.push(format!("{:?}", logon_users(store, &scope, id)));
            let alerts = store.machine_alerts(&scope, id, &Listing::ALL).unwrap().map(alerts);
            all.push(format!("{alerts:?}"));
        }
        for id in ["on-agent", "on-defender", "on-other", "nowhere"].map(|id| id.parse().unwrap()) {
            all.push(format!("{:?}", store.alert(&scope, &id).unwrap()));
            all.push(format!("{:?}", store.alert_machine(&scope, &id).unwrap()));
            all.push(format!("{:?}", store.alert_user(&scope, &id, &stop).unwrap()));
            store.alert_files(&scope, &id, Page::ALL, &mut list).unwrap();
        }
        for text in [SHA1_A, SHA1_B, SHA256_A] {
            let hash = hash(text);
            all.push(format!("{:?}", store.file(&scope, &hash).unwrap()));
            all.push(format!("{:?}", store.file_stats(&scope, &hash, DAY * 30).unwrap()));
            all.push(format!("{:?}", store.file_sightings(&scope, &hash).unwrap()));
            all.push(format!("{:?}", machine_ids(store, &scope, text)));
            let found = store.look_up_files(&scope).unwrap().find(&hash).unwrap();
            all.push(format!("{:?}", found.map(|found| (found.machines, found.seen))));
        }
        for asked in [domain("evil.example"), ip("203.0.113.7")] {
            all.push(format!(
                "{:?} {:?}",
                machines(store, &scope, &asked),
                stats(store, &scope, &asked, DAY * 30)
            ));
        }
        for name in ["alex", "kim"] {
            all.push(format!("{:?} {:?}", user(store, &scope, name), user_machines(store, &scope, name)));
        }
        let moment = time("2026-07-02T12:00:00Z");
        all.push(format!("{:?}", ["192.0.2.1", "192.0.2.2"].map(|own| at(store, &scope, own, moment, 15))));
        all.push(format!("{:?}", store.device_group_sizes(TENANT).unwrap()));
        all.push(String::from_utf8(list).unwrap());
    }
    all
}

pub fn with_groups(store: &Store) {
    let rule = DeviceRule { tag: vec![row(Operator::Equals, "vip")], ..DeviceRule::default() };
    let group = DeviceGroup { id: 1, name: "vips".into(), rule };
    store.set_device_groups(TENANT, DeviceGroups::new(vec![group], rest())).unwrap();
}
