//! Alerts by what they name: files, domains, addresses, users, and the machines that they are on.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails says so")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use pintle_model::shapes::{alert as a, evidence as e};
use pintle_model::{Alert, Evidence, Facts, MemberId, Record, Time};
use pintle_store::{AlertList, Listing, Options, Retention, Scope, Store};
use serde_json::Value;
use support::{
    MD5_A, SHA1_A, SHA1_B, SHA256_A, SHA256_B, TENANT, append, file_seen, hash, in_group, open,
    source_groups, time, whole,
};

/// An alert on a machine (an empty text: on none) with a piece of evidence for each of these.
fn naming(id: &str, machine: &str, evidence: &[(MemberId, &str)]) -> Record {
    let at = time("2026-06-01T00:00:00Z");
    let mut facts = Facts::default();
    facts.note_text(a::MACHINE_ID, at, Some(machine).filter(|machine| !machine.is_empty()));
    facts.note_time(a::LAST_UPDATE_TIME, at, Some(at));
    let piece = |(member, text): &(MemberId, &str)| {
        let mut facts = Facts::default();
        facts.note_text(*member, at, Some(text));
        Evidence(facts)
    };
    let evidence = evidence.iter().map(piece).collect();
    Record::Alert(Alert { id: id.parse().unwrap(), facts, evidence })
}

/// The ids of a list; `None`: what it is about is unknown.
fn ids(list: Option<AlertList>) -> Option<Vec<String>> {
    let mut list = list?;
    let mut text = b"[".to_vec();
    while let Some(piece) = list.next_piece().unwrap() {
        text.extend_from_slice(&piece);
    }
    text.push(b']');
    let alerts: Vec<Value> = serde_json::from_slice(&text).unwrap();
    Some(alerts.iter().map(|alert| alert["id"].as_str().unwrap().to_owned()).collect())
}

fn of_file(store: &Store, scope: &Scope, text: &str) -> Option<Vec<String>> {
    ids(store.file_alerts(scope, &hash(text), &Listing::ALL).unwrap())
}

fn of_domain(store: &Store, scope: &Scope, text: &str) -> Option<Vec<String>> {
    ids(store.domain_alerts(scope, &text.parse().unwrap(), &Listing::ALL).unwrap())
}

fn of_address(store: &Store, scope: &Scope, text: &str) -> Option<Vec<String>> {
    ids(store.address_alerts(scope, text.parse().unwrap(), &Listing::ALL).unwrap())
}

fn of_user(store: &Store, scope: &Scope, text: &str) -> Option<Vec<String>> {
    ids(store.user_alerts(scope, &text.parse().unwrap(), &Listing::ALL).unwrap())
}

fn some(ids: &[&str]) -> Option<Vec<String>> {
    Some(ids.iter().map(|id| (*id).to_owned()).collect())
}

#[test]
fn alerts_are_found_by_what_their_evidence_names_however_it_is_spelt() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    // The index is there before anything comes in.
    assert_eq!(of_user(&store, &whole(), "alice"), None);
    let records = vec![
        naming("a1", "m1", &[(e::URL, "https://Evil.example:80/x"), (e::ACCOUNT_NAME, "Alice")]),
        naming("a2", "m2", &[(e::URL, "http://203.0.113.7/"), (e::IP_ADDRESS, "2001:DB8:0::1")]),
        naming("a3", "", &[(e::IP_ADDRESS, "203.0.113.7"), (e::ACCOUNT_NAME, "ALICE")]),
        naming("a4", "m1", &[(e::URL, "sub.evil.example")]),
    ];
    for (nth, record) in records.into_iter().enumerate() {
        append(&store, vec![record]);
        if nth == 1 {
            assert_eq!(of_user(&store, &whole(), "alice"), some(&["a1"]));
        }
    }
    found(&store);
    drop(store);
    found(&open(folder.path()));
}

fn found(store: &Store) {
    let scope = &whole();
    assert_eq!(of_domain(store, scope, "EVIL.example."), some(&["a1"]));
    assert_eq!(of_domain(store, scope, "example"), None);
    assert_eq!(of_address(store, scope, "203.0.113.7"), some(&["a2", "a3"]));
    assert_eq!(of_address(store, scope, "2001:db8::1"), some(&["a2"]));
    assert_eq!(of_user(store, scope, "aLICE"), some(&["a1", "a3"]));
    assert_eq!(of_user(store, scope, "bob"), None);
    let on = |machine: &str| ids(store.machine_alerts(scope, machine, &Listing::ALL).unwrap());
    assert_eq!((on("m1"), on("m2"), on("m3")), (some(&["a1", "a4"]), some(&["a2"]), None));
}

#[test]
fn a_user_s_alerts_are_found_by_every_form_of_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let records = [
        ("a1", "Alex", "CORP"),
        ("a2", "alex", "lab"),
        ("a3", "ALEX", ""),
        ("a4", "lab\\Alex", ""),
        ("a5", "sam@corp.example", "CORP"),
        ("a6", "sam", "CORP"),
    ];
    for (alert, name, domain) in records {
        let mut facts = Facts::default();
        let at = time("2026-06-01T00:00:00Z");
        facts.note_text(e::ACCOUNT_NAME, at, Some(name));
        facts.note_text(e::DOMAIN_NAME, at, Some(domain).filter(|domain| !domain.is_empty()));
        let Record::Alert(alert) = naming(alert, "m1", &[]) else { unreachable!() };
        append(&store, vec![Record::Alert(Alert { evidence: vec![Evidence(facts)], ..alert })]);
    }
    for (asked, expected) in [
        ("alex", some(&["a1", "a2", "a3", "a4"])),
        ("corp\\ALEX", some(&["a1"])),
        ("LAB\\alex", some(&["a2", "a4"])),
        ("alex@corp.example", some(&["a1", "a2", "a3", "a4"])),
        ("corp\\alex@corp.example", some(&["a1"])),
        ("other\\alex", None),
        ("sam@corp.example", some(&["a5"])),
        ("sam@other.example", some(&["a6"])),
        ("kim@corp.example", None),
        ("@corp.example", None),
    ] {
        assert_eq!(of_user(&store, &whole(), asked), expected, "{asked}");
    }
}

#[test]
fn a_file_s_alerts_follow_the_rule_of_identity_in_any_order_of_arrival() {
    let link = file_seen("m1", "2026-01-01T00:00:00Z", SHA1_A, SHA256_A, MD5_A);
    let second = file_seen("m1", "2026-01-01T00:00:00Z", SHA1_B, SHA256_A, "");
    let by_sha256 = naming("a1", "m1", &[(e::SHA256, SHA256_A)]);
    let by_sha1 = naming("a2", "", &[(e::SHA1, SHA1_A)]);
    let other = naming("a3", "m1", &[(e::SHA256, SHA256_B)]);
    let records = vec![link, by_sha256, by_sha1, other];
    for seed in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        for record in support::shuffled(&records, seed) {
            append(&store, vec![record]);
            // Whatever is asked in between changes nothing.
            of_file(&store, &whole(), SHA1_A);
        }
        assert_eq!(of_file(&store, &whole(), SHA1_A), some(&["a1", "a2"]));
        assert_eq!(of_file(&store, &whole(), &SHA256_A.to_uppercase()), some(&["a1", "a2"]));
        assert_eq!(of_file(&store, &whole(), MD5_A), some(&["a1", "a2"]));
        assert_eq!(of_file(&store, &whole(), SHA256_B), some(&["a3"]));
        assert_eq!(of_file(&store, &whole(), SHA1_B), None);
        // From now on the SHA-256 may mean either.
        append(&store, vec![second.clone()]);
        assert_eq!(of_file(&store, &whole(), SHA1_A), some(&["a2"]));
        assert_eq!(of_file(&store, &whole(), SHA1_B), some(&[]));
    }
}

#[test]
fn hidden_alerts_are_left_out_and_make_nothing_known_where_they_count_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(
        &store,
        vec![
            in_group("m1", "one", ""),
            in_group("m2", "two", ""),
            naming("a1", "m1", &[(e::ACCOUNT_NAME, "both"), (e::SHA1, SHA1_A)]),
            naming("a2", "m2", &[(e::ACCOUNT_NAME, "both"), (e::SHA1, SHA1_A), (e::SHA1, SHA1_B)]),
            naming("a3", "m2", &[(e::ACCOUNT_NAME, "hidden"), (e::URL, "hidden.example")]),
        ],
    );
    store.set_device_groups(TENANT, source_groups(&["one", "two"])).unwrap();
    let some_see = support::groups(&[1]);
    let narrowed = some_see.clone().narrowing_statistics(true);
    for scope in [&some_see, &narrowed] {
        assert_eq!(of_user(&store, scope, "both"), some(&["a1"]));
        assert_eq!(of_file(&store, scope, SHA1_A), some(&["a1"]));
        assert!(store.machine_alerts(scope, "m2", &Listing::ALL).unwrap().is_none());
    }
    assert_eq!(of_user(&store, &some_see, "hidden"), some(&[]));
    assert_eq!(of_domain(&store, &some_see, "hidden.example"), some(&[]));
    assert_eq!(of_file(&store, &some_see, SHA1_B), some(&[]));
    assert_eq!(of_user(&store, &narrowed, "hidden"), None);
    assert_eq!(of_domain(&store, &narrowed, "hidden.example"), None);
    assert_eq!(of_file(&store, &narrowed, SHA1_B), None);
}

#[test]
fn what_has_expired_is_listed_and_known_no_more_before_and_after_it_is_taken_out() {
    let folder = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicI64::new(time("2026-06-02T00:00:00Z").ticks()));
    let clock = Arc::clone(&now);
    let options = Options {
        clock: Arc::new(move || Time::from_ticks(clock.load(Ordering::SeqCst))),
        retention: Retention { alerts: Some(Duration::from_secs(30 * 24 * 3600)), ..Retention::default() },
        ..Options::default()
    };
    let store = Store::open(folder.path(), options).unwrap();
    append(&store, vec![naming("a1", "m1", &[(e::ACCOUNT_NAME, "alice")])]);
    assert_eq!(of_user(&store, &whole(), "alice"), some(&["a1"]));
    now.store(time("2026-08-02T00:00:00Z").ticks(), Ordering::SeqCst);
    for _ in 0..2 {
        assert_eq!(of_user(&store, &whole(), "alice"), None);
        assert_eq!(ids(Some(store.list_alerts(&whole(), &Listing::ALL).unwrap())), some(&[]));
        let on = store.machine_alerts(&whole(), "m1", &Listing::ALL).unwrap();
        assert_eq!(ids(on), some(&[]));
        store.expire().unwrap();
    }
}
