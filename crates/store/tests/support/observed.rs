//! Telemetry that names domains, IP addresses and users, and short questions about them.

use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use pintle_model::tables::{
    device_events, device_logon_events, device_network_events, device_network_info, device_process_events,
};
use pintle_model::{ColumnId, Record, Row, Table, Time};
use pintle_store::{Listing, MachineList, Observable, Page, Prevalence, Scope, Store};
use serde_json::{Value, json};

pub const DAY: Duration = Duration::from_secs(24 * 3600);

pub fn row(table: &Table, machine: &str, at: &str, texts: &[(ColumnId, &str)]) -> Row {
    let mut row = Row::new(table);
    row.set_time(device_events::TIMESTAMP, Time::parse(at));
    row.set_text(device_events::DEVICE_ID, Some(machine));
    for (column, text) in texts {
        row.set_text(*column, Some(text));
    }
    row
}

pub fn connection(machine: &str, at: &str, remote: &str, url: &str, local: &str) -> Record {
    use device_network_events as t;
    let texts = [(t::REMOTE_IP, remote), (t::REMOTE_URL, url), (t::LOCAL_IP, local)];
    Record::Row(row(&t::TABLE, machine, at, &texts))
}

pub fn dns(machine: &str, at: &str, name: &str) -> Record {
    Record::Row(row(&device_events::TABLE, machine, at, &[(device_events::REMOTE_URL, name)]))
}

pub fn logon(machine: &str, at: &str, domain: &str, name: &str, kind: &str) -> Record {
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

pub fn process(machine: &str, at: &str, domain: &str, name: &str) -> Record {
    use device_process_events as t;
    Record::Row(row(&t::TABLE, machine, at, &[(t::ACCOUNT_DOMAIN, domain), (t::ACCOUNT_NAME, name)]))
}

pub fn adapter(machine: &str, at: &str, addresses: &[&str]) -> Record {
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

pub fn ids(list: MachineList) -> Vec<String> {
    let (mut list, mut out) = (list, b"[".to_vec());
    list.write(&mut out);
    out.push(b']');
    let listed: Vec<Value> = serde_json::from_slice(&out).unwrap();
    listed.iter().map(|machine| machine["id"].as_str().unwrap().to_owned()).collect()
}

pub fn domain(text: &str) -> Observable {
    Observable::Domain(text.parse().unwrap())
}

pub fn ip(text: &str) -> Observable {
    Observable::ip(text).unwrap()
}

pub fn machines(store: &Store, scope: &Scope, asked: &Observable) -> Option<Vec<String>> {
    store.list_observable_machines(scope, asked, &Listing::ALL).unwrap().map(|(list, _)| ids(list))
}

pub fn user_machines(store: &Store, scope: &Scope, name: &str) -> Option<Vec<String>> {
    store.list_user_machines(scope, &name.parse().unwrap(), &Listing::ALL).unwrap().map(|(list, _)| ids(list))
}

pub fn stats(store: &Store, scope: &Scope, asked: &Observable, look_back: Duration) -> Option<Prevalence> {
    store.observable_stats(scope, asked, look_back).unwrap()
}

pub fn user(store: &Store, scope: &Scope, name: &str) -> Option<Value> {
    let members = store.user(scope, &name.parse().unwrap(), &AtomicBool::default()).unwrap()?;
    Some(serde_json::from_str(&format!("{{{members}}}")).unwrap())
}

pub fn logon_users(store: &Store, scope: &Scope, machine: &str) -> Option<Vec<Value>> {
    let mut out = b"[".to_vec();
    let written = store.logon_users(scope, machine, Page::ALL, &mut out).unwrap()?;
    out.push(b']');
    let users: Vec<Value> = serde_json::from_slice(&out).unwrap();
    assert_eq!(users.len(), written);
    Some(users)
}

pub fn at(store: &Store, scope: &Scope, address: &str, at: Time, minutes: u64) -> Vec<String> {
    let (address, within): (IpAddr, _) = (address.parse().unwrap(), Duration::from_secs(minutes * 60));
    ids(store.list_machines_at(scope, address, at, within, &Listing::ALL).unwrap().0)
}
