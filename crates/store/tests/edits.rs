//! What people change: visible at once, above telemetry, the same after a restart, a fold and a rebuild,
//! and gone with what a purge takes out.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that fails says so"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use pintle_model::{AlertId, Time};
use pintle_store::{
    AlertChange, Batch, Folder, MachineChange, Memory, Options, Page, Purge, Purged, Refused, Scope, Store,
    TagChange,
};
use serde_json::Value;
use support::{
    SHA1_A, TENANT, alert, append, batch, device, groups, open, options, source_groups, time, whole,
};

fn id(text: &str) -> AlertId {
    text.parse().unwrap()
}

fn status(text: &str) -> AlertChange {
    AlertChange { status: Some(text.into()), ..AlertChange::default() }
}

fn tags(change: TagChange) -> MachineChange {
    MachineChange { tags: Some(change), device_value: None }
}

fn change(store: &Store, alert: &str, change: &AlertChange) {
    store.change_alerts(&whole(), "alex", &[id(alert)], change).unwrap();
}

fn change_machine(store: &Store, machine: &str, change: &MachineChange) {
    store.change_machines(&whole(), "alex", &[machine.to_owned()], change).unwrap();
}

fn shown(store: &Store, alert: &str) -> Value {
    let members = store.alert(&whole(), &id(alert)).unwrap().unwrap();
    serde_json::from_str(&format!("{{{members}}}")).unwrap()
}

fn shown_machine(store: &Store, machine: &str) -> Value {
    let members = store.machine(&whole(), machine).unwrap().unwrap();
    serde_json::from_str(&format!("{{{members}}}")).unwrap()
}

/// All alerts and machines, as text.
fn everything(store: &Store) -> String {
    let mut all = Vec::new();
    store.machines(&whole(), Page::ALL, &mut all).unwrap();
    all.push(b'\n');
    store.alerts(&whole(), Page::ALL, &mut all).unwrap();
    String::from_utf8(all).unwrap()
}

/// Options whose clock goes on by a minute at each look.
fn ticking() -> Options {
    let minutes = AtomicI64::new(0);
    let start = time("2026-07-01T00:00:00Z");
    let clock = move || {
        let minute = u64::try_from(minutes.fetch_add(1, Ordering::Relaxed)).unwrap();
        start + Duration::from_secs(60 * minute)
    };
    Options { clock: Arc::new(clock), memory: Memory { records: 3, ..Memory::default() }, ..options() }
}

#[test]
fn the_last_change_counts_whatever_telemetry_says_and_through_every_remaking() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let store = Store::open(&path, ticking()).unwrap();
    append(&store, vec![alert("a1", "m1", "2026-06-01T00:00:00Z", SHA1_A)]);
    append(&store, vec![device("m1", "2026-06-01T00:00:00Z", "ws-1", &["told"], "Linux", "")]);
    // The same change again and again is another one each time.
    for (nth, word) in ["Resolved", "New", "Resolved", "New", "Resolved"].into_iter().enumerate() {
        change(&store, "a1", &AlertChange { comment: Some(format!("{nth}")), ..status(word) });
        assert_eq!(shown(&store, "a1")["status"], word);
        append(&store, vec![alert("a1", "m1", &format!("2026-06-0{}T00:00:00Z", nth + 2), SHA1_A)]);
        assert_eq!(shown(&store, "a1")["status"], word);
        change_machine(&store, "WS-1", &tags(TagChange::Add("given".into())));
        change_machine(&store, "m1", &tags(TagChange::Remove("told".into())));
        let at = format!("2026-06-0{}T00:00:00Z", nth + 2);
        append(&store, vec![device("m1", &at, "ws-1", &["told", "new"], "Linux", "")]);
        assert_eq!(shown_machine(&store, "m1")["machineTags"], serde_json::json!(["given", "new"]));
        change_machine(&store, "m1", &tags(TagChange::Remove("given".into())));
        assert_eq!(shown_machine(&store, "m1")["machineTags"], serde_json::json!(["new"]));
    }
    let value = MachineChange { device_value: Some("High".into()), tags: None };
    change_machine(&store, "m1", &value);
    let resolved = shown(&store, "a1");
    assert_eq!(resolved["comments"].as_array().unwrap().len(), 5);
    assert!(resolved["resolvedTime"].is_string() && resolved["lastUpdateTime"].as_str() > Some("2026-07-01"));
    assert_eq!(shown_machine(&store, "m1")["deviceValue"], "High");
    let expected = everything(&store);
    store.rebuild_online(&mut |_| {}).unwrap();
    assert_eq!(everything(&store), expected, "rebuilt in use");
    drop(store);
    let store = open(&path);
    assert_eq!(everything(&store), expected, "opened again");
    drop(store);
    let store = Store::rebuild(Folder::lock(&path).unwrap(), options(), &mut |_| {}).unwrap();
    assert_eq!(everything(&store), expected, "rebuilt");
    // Who has changed last does not depend on a clock that was set back.
    drop(store);
    let behind = Options { clock: Arc::new(|| time("2026-06-15T00:00:00Z")), ..options() };
    let store = Store::open(&path, behind).unwrap();
    change(&store, "a1", &status("InProgress"));
    assert_eq!(shown(&store, "a1")["status"], "InProgress");
    assert!(shown(&store, "a1")["resolvedTime"].is_null());
}

#[test]
fn an_alert_that_is_opened_again_shows_no_time_of_resolving_also_if_its_source_says_one() {
    use pintle_model::{Record, shapes::alert as a};
    use pintle_store::{Comparison, Condition, Filter, Listing, Literal, Operand};
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("data"));
    let at = "2026-06-01T00:00:00Z";
    let Record::Alert(mut told) = alert("a1", "m1", at, SHA1_A) else { unreachable!() };
    told.facts.note_text(a::STATUS, time(at), Some("Resolved"));
    told.facts.note_time(a::RESOLVED_TIME, time(at), Some(time(at)));
    append(&store, vec![Record::Alert(told)]);
    assert_eq!(shown(&store, "a1")["resolvedTime"], at);
    let resolved = Operand::member(&a::ASKABLE, a::RESOLVED_TIME).unwrap();
    let is_null = Condition::compare(resolved, Comparison::Eq, Literal::Null).unwrap();
    let filter = Filter::new(&a::ASKABLE, is_null);
    let is_found = |store: &Store| {
        let listing = Listing { filter: Some(&filter), ..Listing::of(Page::ALL) };
        let mut list = store.list_alerts(&whole(), &listing).unwrap();
        list.next_piece().unwrap().is_some_and(|piece| !piece.is_empty())
    };
    assert!(!is_found(&store));
    change(&store, "a1", &status("InProgress"));
    assert_eq!(shown(&store, "a1")["resolvedTime"], Value::Null);
    assert!(is_found(&store));
}

#[test]
fn what_a_change_says_is_the_same_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let (path, crashed) = (folder.path().join("data"), folder.path().join("crashed"));
    let unfolded = Options { memory: Memory::default(), ..ticking() };
    let store = Store::open(&path, unfolded).unwrap();
    append(&store, vec![alert("a1", "m1", "2026-06-01T00:00:00Z", SHA1_A)]);
    change(&store, "a1", &AlertChange { comment: Some("done".into()), ..status("Resolved") });
    let said = |store: &Store| {
        let alert = shown(store, "a1");
        (alert["status"].clone(), alert["resolvedTime"].clone(), alert["comments"].clone())
    };
    let expected = said(&store);
    support::copy_folder(&path, &crashed);
    let later = Options { clock: Arc::new(|| time("2026-07-20T00:00:00Z")), ..options() };
    let store = Store::open(&crashed, later.clone()).unwrap();
    assert_eq!(said(&store), expected, "opened again, later");
    drop(store);
    let store = Store::rebuild(Folder::lock(&crashed).unwrap(), later, &mut |_| {}).unwrap();
    assert_eq!(said(&store), expected, "rebuilt");
}

#[test]
fn a_change_is_made_of_all_or_none_and_only_of_what_the_caller_sees() {
    let folder = tempfile::tempdir().unwrap();
    let device_groups = [(TENANT, source_groups(&["a", "b"]))].into();
    let store = Store::open(&folder.path().join("data"), Options { device_groups, ..options() }).unwrap();
    for (machine, group) in [("m1", "a"), ("m2", "b")] {
        append(&store, vec![device(machine, "2026-06-01T00:00:00Z", machine, &["old"], "Linux", group)]);
        append(&store, vec![alert(&format!("on-{machine}"), machine, "2026-06-01T00:00:00Z", SHA1_A)]);
    }
    let before = everything(&store);
    let unknown = |refused: Result<_, Refused>| match refused {
        Err(Refused::Unknown(unknown)) => unknown,
        _ => panic!("it was not refused for what is unknown"),
    };
    let sees_a = groups(&[1]);
    let ids = [id("on-m1"), id("on-m2"), id("none")];
    let refused = store.change_alerts(&sees_a, "kim", &ids, &status("New"));
    assert_eq!(unknown(refused), ["on-m2", "none"]);
    let names = ["m1", "m2", "m3"].map(str::to_owned);
    let refused = store.change_machines(&sees_a, "kim", &names, &tags(TagChange::Add("x".into())));
    assert_eq!(unknown(refused.map(|_| ())), ["m2", "m3"]);
    let other = Scope::whole(pintle_model::TenantId::from_bytes([9; 16]));
    let refused = store.change_machines(&other, "kim", &names[..1], &tags(TagChange::Add("x".into())));
    assert_eq!(unknown(refused.map(|_| ())), ["m1"]);
    let refused =
        store.change_machines(&whole(), "kim", &names[..1], &tags(TagChange::Extend(vec!["x".into()])));
    assert!(matches!(refused, Err(Refused::TagsMissing(missing)) if missing == ["old"]));
    assert_eq!(everything(&store), before);
    store.change_machines(&sees_a, "kim", &names[..1], &tags(TagChange::Replace(vec!["x".into()]))).unwrap();
    assert_eq!(shown_machine(&store, "m1")["machineTags"], serde_json::json!(["x"]));
}

#[test]
fn a_tag_that_comes_and_goes_with_each_incident_never_takes_the_place_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let (path, crashed) = (folder.path().join("data"), folder.path().join("crashed"));
    let store = Store::open(&path, ticking()).unwrap();
    append(&store, vec![device("m1", "2026-06-01T00:00:00Z", "ws-1", &["told"], "Linux", "")]);
    change_machine(&store, "m1", &tags(TagChange::Remove("told".into())));
    change_machine(&store, "m1", &tags(TagChange::Add("zebra".into())));
    for round in 0..4 {
        let incidents = (0..400).map(|n| format!("INC{round}{n}")).chain(["zebra".to_owned()]);
        change_machine(&store, "m1", &tags(TagChange::Replace(incidents.collect())));
        assert_eq!(shown_machine(&store, "m1")["machineTags"].as_array().unwrap().len(), 401);
        change_machine(&store, "m1", &tags(TagChange::Replace(vec!["zebra".into()])));
    }
    for tag in ["INC5", "AAA"] {
        change_machine(&store, "m1", &tags(TagChange::Add(tag.into())));
        assert_eq!(shown_machine(&store, "m1")["machineTags"], serde_json::json!([tag, "zebra"]));
        change_machine(&store, "m1", &tags(TagChange::Remove(tag.into())));
    }
    let expected = everything(&store);
    assert_eq!(shown_machine(&store, "m1")["machineTags"], serde_json::json!(["zebra"]));
    support::copy_folder(&path, &crashed);
    assert_eq!(everything(&open(&crashed)), expected, "after a crash");
    drop(store);
    let store = Store::rebuild(Folder::lock(&path).unwrap(), ticking(), &mut |_| {}).unwrap();
    assert_eq!(everything(&store), expected, "rebuilt");
    // Telemetry may still give what people did not take away from it.
    append(&store, vec![device("m1", "2026-06-02T00:00:00Z", "ws-1", &["told", "INC00"], "Linux", "")]);
    assert_eq!(shown_machine(&store, "m1")["machineTags"], serde_json::json!(["INC00", "zebra"]));
}

#[test]
fn no_machine_gets_more_tags_than_it_can_keep_and_of_many_none_is_tagged_then() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("data"));
    for machine in ["m1", "m2"] {
        append(&store, vec![device(machine, "2026-06-01T00:00:00Z", machine, &["told"], "Linux", "")]);
    }
    let many = |count| (0..count).map(|n| format!("{n:04}")).chain(["told".to_owned()]);
    let replace = |count| tags(TagChange::Replace(many(count).collect()));
    let scope = whole();
    let too_many = |refused: Result<_, Refused>| match refused {
        Err(Refused::TooManyTags(machine, most)) => (machine.to_string(), most),
        other => panic!("it was not refused for too many tags: {other:?}"),
    };
    let refused = store.change_machines(&scope, "alex", &["m2".into()], &replace(1_001));
    assert_eq!(too_many(refused), ("m2".to_owned(), 1_000));
    change_machine(&store, "m2", &replace(1_000));
    let before = everything(&store);
    let add = tags(TagChange::Add("AAA".into()));
    let refused = store.change_machines(&scope, "alex", &["m1".into(), "m2".into()], &add);
    assert_eq!(too_many(refused), ("m2".to_owned(), 1_000));
    assert_eq!(everything(&store), before, "all or none");
    change_machine(&store, "m2", &tags(TagChange::Remove("0000".into())));
    change_machine(&store, "m2", &add);
    assert_eq!(shown_machine(&store, "m2")["machineTags"].as_array().unwrap().len(), 1_001);
}

#[test]
fn a_tag_that_people_give_moves_a_machine_to_the_group_that_takes_it() {
    use pintle_store::{DeviceGroup, DeviceGroups, DeviceRule, Operator};
    let folder = tempfile::tempdir().unwrap();
    let tagged = DeviceRule { tag: vec![support::row(Operator::Equals, "vip")], ..DeviceRule::default() };
    let vip = DeviceGroup { id: 1, name: "vip".into(), rule: tagged };
    let device_groups = [(TENANT, DeviceGroups::new(vec![vip], support::rest()))].into();
    let store = Store::open(&folder.path().join("data"), Options { device_groups, ..options() }).unwrap();
    append(&store, vec![device("m1", "2026-06-01T00:00:00Z", "ws-1", &[], "Linux", "")]);
    assert!(store.machine(&groups(&[1]), "m1").unwrap().is_none());
    change_machine(&store, "m1", &tags(TagChange::Add("VIP".into())));
    assert_eq!(shown_machine(&store, "m1")["rbacGroupName"], "vip");
    assert!(store.machine(&groups(&[1]), "m1").unwrap().is_some());
    // Who sees only the group that it leaves is told of it once more, also if they name it twice.
    append(&store, vec![device("m0", "2026-06-01T00:00:00Z", "ws-0", &["VIP"], "Linux", "")]);
    let (sees_vip, names) = (groups(&[1]), ["ws-1", "m1", "m0"].map(str::to_owned));
    let changed =
        store.change_machines(&sees_vip, "kim", &names, &tags(TagChange::Remove("VIP".into()))).unwrap();
    assert_eq!(changed, ["m0", "m1"].map(|id| store.machine(&whole(), id).unwrap().unwrap()));
    assert!(store.machine(&sees_vip, "m1").unwrap().is_none());
    let again = store.change_machines(&sees_vip, "kim", &names[1..2], &tags(TagChange::Add("VIP".into())));
    assert!(matches!(again, Err(Refused::Unknown(unknown)) if unknown == ["m1"]));
}

#[test]
fn what_a_purge_takes_out_takes_its_changes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("data"), ticking()).unwrap();
    append(&store, vec![alert("a1", "m1", "2026-06-01T00:00:00Z", SHA1_A)]);
    append(&store, vec![device("m1", "2026-06-01T00:00:00Z", "ws-1", &[], "Linux", "")]);
    append(&store, vec![device("m2", "2026-06-01T00:00:00Z", "ws-2", &[], "Linux", "")]);
    let clean = everything(&store);
    let owned = AlertChange { assigned_to: Some("kim@corp.example".into()), ..AlertChange::default() };
    change(&store, "a1", &owned);
    let scope = whole();
    store.change_alerts(&scope, "Kim@corp.example", &[id("a1")], &status("New")).unwrap();
    store
        .change_machines(&scope, "kim@corp.example", &["m1".into()], &tags(TagChange::Add("x".into())))
        .unwrap();
    assert_ne!(everything(&store), clean);
    let purge = |what| store.purge(&[Purge { tenant: TENANT, what }], &mut |_| {}).unwrap();
    // But with no source: what people do has a name of its own, which telemetry cannot have.
    let changed = everything(&store);
    let disguised = Batch { source: Batch::PEOPLE.into(), ..batch(Vec::new()) };
    assert!(matches!(store.append(disguised), Err(pintle_store::Error::ReservedSource(_))));
    for source in [Batch::PEOPLE, "api"] {
        assert_eq!(purge(Purged::Source(source.into())).records, 0);
    }
    assert_eq!(everything(&store), changed);
    let purged = purge(Purged::User("kim@corp.example".into()));
    assert_eq!((purged.records, purged.batches), (3, 3));
    assert_eq!(everything(&store), clean);
    change_machine(&store, "m1", &tags(TagChange::Add("x".into())));
    change(&store, "a1", &status("New"));
    purge(Purged::Machine("m1".parse().unwrap()));
    assert!(store.alert(&scope, &id("a1")).unwrap().is_none(), "no change brings back what is gone");
    assert!(store.machine(&scope, "m1").unwrap().is_none());
}

#[test]
fn an_alert_that_came_late_on_a_live_inlet_was_updated_when_it_came_and_another_when_its_source_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let store = Store::open(&path, ticking()).unwrap();
    let old = "2026-06-01T00:00:00Z";
    let live = |records| store.append(Batch { is_live: true, ..batch(records) }).unwrap();
    live(vec![alert("live", "m1", old, SHA1_A)]);
    append(&store, vec![alert("recorded", "m1", old, SHA1_A)]);
    live(vec![alert("ahead", "m1", "2026-07-01T20:00:00Z", SHA1_A)]);
    let updated =
        |store: &Store, id: &str| Time::parse(shown(store, id)["lastUpdateTime"].as_str().unwrap()).unwrap();
    let came = updated(&store, "live");
    assert!(came >= time("2026-07-01T00:00:00Z"));
    assert_eq!(updated(&store, "recorded"), time(old));
    assert!(updated(&store, "ahead") < time("2026-07-01T01:00:00Z"), "its source's clock is ahead");
    append(&store, vec![alert("ahead", "m1", "2026-07-01T21:00:00Z", SHA1_A)]);
    assert_eq!(updated(&store, "ahead"), time("2026-07-01T21:00:00Z"), "history is believed");
    // To hear it again, in another batch, is no update.
    live(vec![alert("live", "m1", old, SHA1_A), alert("recorded", "m1", old, SHA1_A)]);
    assert_eq!((updated(&store, "live"), updated(&store, "recorded")), (came, time(old)));
    live(vec![alert("live", "m1", "2026-06-02T00:00:00Z", SHA1_A)]);
    assert!(updated(&store, "live") > came);
    let expected = everything(&store);
    drop(store);
    let store = Store::rebuild(Folder::lock(&path).unwrap(), ticking(), &mut |_| {}).unwrap();
    assert_eq!(everything(&store), expected);
}

#[test]
fn a_change_of_an_alert_with_much_evidence_takes_no_more_than_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let evidence = |nth: usize| support::evidence_row("a1", "m1", &format!("{nth:08x}").repeat(5));
    append(&store, vec![alert("a1", "m1", "2026-06-01T00:00:00Z", SHA1_A)]);
    append(&store, (0..1_000).map(|nth| evidence(nth * 7_919 + 1)).collect());
    drop(store);
    let bytes = || {
        let files = std::fs::read_dir(folder.path().join("base")).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len()).sum::<u64>()
    };
    let before = bytes();
    let store = open(folder.path());
    change(&store, "a1", &AlertChange { comment: Some("seen".into()), ..status("Resolved") });
    append(&store, vec![evidence(0)]);
    drop(store);
    let grown = bytes() - before;
    assert!(grown < before / 4, "{grown} bytes beside {before}");
    let now = shown(&open(folder.path()), "a1");
    assert_eq!(now["status"], "Resolved");
    assert_eq!(now["evidence"].as_array().unwrap().len(), 1_000);
}
