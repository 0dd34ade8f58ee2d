//! What an API says of a machine all at once, among what telemetry says piece by piece.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails says so")]

mod support;

use pintle_model::shapes::machine as m;
use pintle_model::tables::device_network_info as adapters;
use pintle_model::{Facts, Machine, MemberId, Record};
use pintle_store::{Batch, Folder, Purge, Purged, Store};
use serde_json::{Value, json};
use support::observed::{adapter, at, row};
use support::{
    SHA1_A, TENANT, append, batch, device, file_seen, in_group, open, options, report, shuffled, time, whole,
};

const READ: &str = "2026-06-10T00:00:00Z";
const LATER: &str = "2026-06-11T00:00:00Z";

fn address(ip: &str, mac: Option<&str>, kind: &str, status: &str) -> Value {
    json!({ "ipAddress": ip, "macAddress": mac, "type": kind, "operationalStatus": status })
}

fn whole_machine() -> Value {
    json!({
        "mergedIntoMachineId": "m9", "isPotentialDuplication": true, "isExcluded": true,
        "exclusionReason": "Other", "computerDnsName": "WS-1.corp.example",
        "firstSeen": "2026-01-02T03:04:05.1234567Z", "lastSeen": "2026-06-09T22:00:00Z",
        "osPlatform": "Windows11", "osVersion": "10.0", "osProcessor": "x64", "version": "24H2",
        "lastIpAddress": "192.0.2.7", "lastExternalIpAddress": "203.0.113.7", "agentVersion": "10.1",
        "osBuild": 26100, "healthStatus": "NoSensorData", "deviceValue": "High", "rbacGroupId": 140,
        "rbacGroupName": "Clients", "riskScore": "Medium", "exposureLevel": "High", "isAadJoined": true,
        "aadDeviceId": "00000000-0000-4000-8000-0000000000d4", "machineTags": ["a", "b"],
        "defenderAvStatus": "Updated", "onboardingStatus": "CanBeOnboarded", "osArchitecture": "64-bit",
        "managedBy": "Intune", "managedByStatus": "Success",
        "ipAddresses": [
            address("192.0.2.7", Some("00155D0A0B0C"), "Ethernet", "Up"),
            address("192.0.2.6", Some("00155D0A0B0D"), "Wireless80211", "Up"),
            address("127.0.0.1", None, "SoftwareLoopback", "Up"),
        ],
        "vmMetadata": { "vmId": "v", "cloudProvider": "Azure", "resourceId": "r", "subscriptionId": "s" },
    })
}

/// That machine with nothing in the members where that can be.
fn bare_machine() -> Value {
    let mut bare = whole_machine();
    for (name, value) in bare.as_object_mut().unwrap() {
        let (_, member) = m::SHAPE.member(name).unwrap();
        if member.is_nullable && !["firstSeen", "lastSeen"].contains(&name.as_str()) {
            *value = Value::Null;
        }
    }
    bare["machineTags"] = json!([]);
    bare["rbacGroupId"] = json!(0);
    bare
}

fn shown(store: &Store, machine: &str) -> Value {
    let members = store.machine(&whole(), machine).unwrap().unwrap();
    serde_json::from_str(&format!("{{{members}}}")).unwrap()
}

/// What is shown of m1 after these records, which is the same in any order, one by one and at once, and again
/// after the base was made anew from the archive.
fn shown_of(records: &[Record]) -> Value {
    let mut all = Vec::new();
    for seed in 0..6 {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let records = shuffled(records, seed);
        match seed {
            0 => _ = append(&store, records),
            _ => records.into_iter().for_each(|record| _ = append(&store, vec![record])),
        }
        all.push(shown(&store, "m1"));
        drop(store);
        all.push(shown(&open(folder.path()), "m1"));
        drop(Store::rebuild(Folder::lock(folder.path()).unwrap(), options(), &mut |_| {}).unwrap());
        all.push(shown(&open(folder.path()), "m1"));
    }
    assert!(all.iter().all(|one| *one == all[0]), "{all:#?}");
    all.swap_remove(0)
}

fn with(mut machine: Value, members: &Value) -> Value {
    machine.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    machine
}

#[test]
fn a_machine_is_shown_as_the_api_gave_it() {
    for given in [whole_machine(), bare_machine()] {
        let expected = with(given.clone(), &json!({ "id": "m1" }));
        assert_eq!(shown_of(&[report("m1", READ, &given)]), expected);
    }
}

#[test]
fn the_newer_of_two_reports_stands_also_where_it_says_that_there_is_nothing() {
    let (old, new) = (report("m1", READ, &whole_machine()), report("m1", LATER, &bare_machine()));
    assert_eq!(shown_of(&[old, new]), with(bare_machine(), &json!({ "id": "m1" })));
    let (old, new) = (report("m1", READ, &bare_machine()), report("m1", LATER, &whole_machine()));
    assert_eq!(shown_of(&[old, new]), with(whole_machine(), &json!({ "id": "m1" })));
    // What it does not speak of stays.
    let few = report("m1", LATER, &json!({ "riskScore": "High" }));
    let expected = with(whole_machine(), &json!({ "id": "m1", "riskScore": "High" }));
    assert_eq!(shown_of(&[report("m1", READ, &whole_machine()), few]), expected);
}

#[test]
fn of_a_report_and_telemetry_the_newer_counts() {
    let reported = report("m1", READ, &whole_machine());
    let group_and_name = |machine: &Value| {
        ["computerDnsName", "osPlatform", "machineTags", "rbacGroupId", "rbacGroupName"]
            .map(|name| machine[name].clone())
    };
    let older = device("m1", "2026-06-09T00:00:00Z", "old", &["c"], "Linux", "Servers");
    assert_eq!(
        group_and_name(&shown_of(&[reported.clone(), older])),
        group_and_name(&whole_machine()),
        "the report is newer"
    );
    let newer = device("m1", LATER, "new", &["c"], "Linux", "Servers");
    assert_eq!(
        group_and_name(&shown_of(&[reported.clone(), newer])),
        [json!("new"), json!("Linux"), json!(["c"]), Value::Null, json!("Servers")],
        "nobody gave the number of that group"
    );
    let same_group = device("m1", LATER, "new", &[], "", "Clients");
    assert_eq!(shown_of(&[reported.clone(), same_group])["rbacGroupId"], 140);
    let back = report("m1", "2026-06-12T00:00:00Z", &whole_machine());
    let moved = [reported, in_group("m1", "Servers", SHA1_A), back];
    assert_eq!(shown_of(&moved)["rbacGroupId"], 140);
}

/// What telemetry says of an adapter.
fn adapter_row(at: &str, name: &str, mac: &str, ip: &str) -> Record {
    use adapters as t;
    let listed = json!([{ "IPAddress": ip }]).to_string();
    let texts = [
        (t::NETWORK_ADAPTER_NAME, name),
        (t::MAC_ADDRESS, mac),
        (t::NETWORK_ADAPTER_TYPE, "Ethernet"),
        (t::NETWORK_ADAPTER_STATUS, "Up"),
        (t::IP_ADDRESSES, &listed),
    ];
    Record::Row(row(&t::TABLE, "m1", at, &texts))
}

#[test]
fn all_addresses_at_once_stand_until_something_newer_is_told_of_an_adapter() {
    let reported = report("m1", READ, &whole_machine());
    let addresses = |records: &[Record]| {
        let machine = shown_of(records);
        let listed = machine["ipAddresses"].as_array().unwrap().iter();
        let listed: Vec<String> =
            listed.map(|entry| entry["ipAddress"].as_str().unwrap().to_owned()).collect();
        (listed.join(" "), machine["lastIpAddress"].as_str().map(str::to_owned))
    };
    let said = |listed: &str, last: &str| (listed.to_owned(), Some(last.to_owned()));
    let given = "192.0.2.7 192.0.2.6 127.0.0.1";
    let old = adapter_row("2026-06-09T00:00:00Z", "Ethernet 9", "00-15-5D-0A-0B-09", "192.0.2.99");
    assert_eq!(addresses(&[reported.clone(), old.clone()]), said(given, "192.0.2.7"));
    // The same adapter by its MAC, the same address by itself, another one.
    let same_mac = adapter_row(LATER, "x", "00-15-5D-0A-0B-0C", "192.0.2.8");
    assert_eq!(
        addresses(&[reported.clone(), same_mac, old.clone()]),
        said("192.0.2.6 127.0.0.1 192.0.2.8", "192.0.2.8")
    );
    let same_address = adapter_row(LATER, "x", "00-15-5D-0A-0B-0E", "192.0.2.6");
    assert_eq!(
        addresses(&[reported.clone(), same_address.clone()]),
        said("192.0.2.7 127.0.0.1 192.0.2.6", "192.0.2.6")
    );
    let again = report("m1", "2026-06-12T00:00:00Z", &whole_machine());
    assert_eq!(addresses(&[reported.clone(), same_address, again]), said(given, "192.0.2.7"));
    // None of an adapter's names is that of the report.
    let named = adapter_row(LATER, "\0a", "00-15-5D-0A-0B-0F", "192.0.2.5");
    assert_eq!(addresses(&[reported, named]), said(&format!("{given} 192.0.2.5"), "192.0.2.5"));
    // Said to have none, and without that word what follows from its adapters.
    let listed = json!({ "ipAddresses": [address("192.0.2.7", None, "Ethernet", "Up")] });
    assert_eq!(addresses(&[report("m1", READ, &listed)]), said("192.0.2.7", "192.0.2.7"));
    let none = with(listed, &json!({ "lastIpAddress": null }));
    assert_eq!(addresses(&[report("m1", READ, &none), old]), ("192.0.2.7".to_owned(), None));
}

#[test]
fn a_reported_machine_had_its_addresses_when_it_was_last_seen() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut given = whole_machine();
    given["lastIpAddress"] = json!("192.0.2.50");
    append(&store, vec![report("m1", READ, &given), adapter("m2", LATER, &["192.0.2.7"])]);
    let had = |address: &str, moment: &str| at(&store, &whole(), address, time(moment), 15);
    for address in ["192.0.2.7", "192.0.2.6", "192.0.2.50"] {
        assert_eq!(had(address, "2026-06-09T22:14:00Z"), ["m1"], "{address}");
        assert!(had(address, "2026-06-09T22:16:00Z").is_empty(), "{address}");
        assert!(had(address, READ).is_empty(), "it was read then, and not seen: {address}");
    }
    for address in ["127.0.0.1", "203.0.113.7"] {
        assert!(had(address, "2026-06-09T22:00:00Z").is_empty(), "{address}");
    }
    assert_eq!(had("192.0.2.7", LATER), ["m2"]);
}

#[test]
fn times_that_cannot_be_believed_move_nothing() {
    let mut odd = whole_machine();
    odd["firstSeen"] = json!("1601-01-01T00:00:00Z");
    odd["lastSeen"] = json!("2099-01-01T00:00:00Z");
    odd["riskScore"] = json!("High");
    let odd = report("m1", "2099-01-01T00:00:00Z", &odd);
    let sound = report("m1", READ, &whole_machine());
    assert_eq!(shown_of(&[sound, odd.clone()]), with(whole_machine(), &json!({ "id": "m1" })));
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(append(&open(folder.path()), vec![odd]).implausible_times, 2);
}

#[test]
fn what_a_record_has_room_for_is_bounded() {
    let mut facts = Facts::default();
    let tags: Vec<String> = (0..100_000).rev().map(|n| format!("{n:06}{}", "ü".repeat(300))).collect();
    let entry = |n: u32| {
        let mut entry = address(&format!("10.0.{}.{}", n >> 8, n & 255), Some("M"), "Ethernet", "Up");
        entry["macAddress"] = "M".repeat(10_000).into();
        entry["more"] = json!("y".repeat(1_000));
        entry
    };
    let addresses: Vec<Value> = (0..1_000).map(entry).collect();
    let long = "z".repeat(100_000);
    for (member, value) in [
        (m::MACHINE_TAGS, json!(tags)),
        (m::IP_ADDRESSES, json!(addresses)),
        (m::LAST_IP_ADDRESS, json!(long)),
        (m::RBAC_GROUP_NAME, json!(long)),
        (m::VM_METADATA, json!({ "vmId": long, "more": long })),
        // Members that no source has: what people set of a name, and nothing at all.
        (MemberId(m::COMPUTER_DNS_NAME.0 | 0x80), json!("by people")),
        (MemberId(0x7d), json!({ "given": ["x"], "taken": [] })),
        (m::ID, json!("other")),
    ] {
        facts.note(member, time(READ), value.to_string());
    }
    let machine = shown_of(&[Record::Machine(Machine { id: "m1".parse().unwrap(), facts })]);
    let tags = machine["machineTags"].as_array().unwrap();
    assert_eq!((tags.len(), tags[0].as_str().unwrap().chars().count()), (1_500, 200));
    assert!(tags[0].as_str().unwrap().starts_with("000000"), "the smallest stay");
    let entries = machine["ipAddresses"].as_array().unwrap();
    assert_eq!((entries.len(), entries[0].as_object().unwrap().len()), (128, 4));
    assert_eq!(entries[0]["macAddress"].as_str().unwrap().len(), 256);
    assert_eq!(machine["rbacGroupName"].as_str().unwrap().len(), 1_024);
    assert_eq!(machine["vmMetadata"].as_object().unwrap().len(), 4);
    assert_eq!(machine["vmMetadata"]["vmId"].as_str().unwrap().len(), 1_024);
    let unsaid = ["lastIpAddress", "computerDnsName"].map(|name| machine[name].clone());
    assert_eq!((unsaid, machine["id"].as_str()), ([Value::Null, Value::Null], Some("m1")));
}

#[test]
fn many_adapters_do_not_push_out_what_was_told_of_all() {
    let rows = (0..200).map(|n| adapter_row("2026-06-09T00:00:00Z", &format!("\u{1}{n}"), "", "192.0.2.99"));
    let records: Vec<Record> = rows.chain([report("m1", READ, &whole_machine())]).collect();
    assert_eq!(shown_of(&records), with(whole_machine(), &json!({ "id": "m1" })));
}

#[test]
fn a_purge_takes_out_what_an_api_said_of_a_machine() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let source = |name: &str, records| {
        store.append(Batch { source: name.to_owned(), ..batch(records) }).unwrap();
    };
    source("api", vec![report("m1", READ, &whole_machine()), report("m2", READ, &whole_machine())]);
    let old = with(whole_machine(), &json!({ "firstSeen": null, "lastSeen": "2026-02-01T00:00:00Z" }));
    source("old", vec![report("m3", READ, &old)]);
    source("telemetry", vec![file_seen("m2", "2026-05-01T00:00:00Z", SHA1_A, "", "")]);
    let known = || ["m1", "m2", "m3"].map(|id| store.machine(&whole(), id).unwrap().is_some());
    let purge = |what: Purged| {
        store.purge(&[Purge { tenant: TENANT, what }], &mut |_| {}).unwrap();
    };
    purge(Purged::User("Clients".to_owned()));
    assert_eq!(known(), [true, true, true]);
    purge(Purged::Machine("m1".parse().unwrap()));
    assert_eq!(known(), [false, true, true]);
    assert!(at(&store, &whole(), "192.0.2.7", time("2026-06-09T22:00:00Z"), 15) == ["m2"]);
    purge(Purged::Before(time("2026-03-01T00:00:00Z")));
    assert_eq!(known(), [false, true, false], "it was last seen before");
    purge(Purged::Source("api".to_owned()));
    assert_eq!(shown(&store, "m2")["riskScore"], Value::Null);
}
