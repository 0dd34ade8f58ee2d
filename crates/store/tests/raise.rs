//! Alerts raised about events, which are found in the archive wherever it has come to be.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails says so")]

mod support;

use std::sync::atomic::AtomicBool;

use pintle_model::tables::device_process_events as t;
use pintle_model::{AlertId, Cell, Record, Row, Time};
use pintle_store::{Error, Folder, Memory, NewAlert, Options, Purge, Purged, Scope, Store};
use serde_json::Value;
use support::{SHA1_A, TENANT, append, device, groups, options, source_groups, time, whole};

/// A process started on a machine, with a number; two events may have one number.
fn started(machine: &str, at: Time, report: i64) -> Record {
    let mut row = Row::new(&t::TABLE);
    row.set(t::TIMESTAMP, Cell::Time(at));
    row.set_text(t::DEVICE_ID, Some(machine));
    row.set_text(t::FILE_NAME, Some("a.exe"));
    row.set_text(t::FOLDER_PATH, Some(r"C:\Tools\a.exe"));
    row.set_text(t::SHA1, Some(SHA1_A));
    row.set_long(t::PROCESS_ID, Some(7));
    row.set_text(t::ACCOUNT_NAME, Some("kim"));
    row.set_text(t::INITIATING_PROCESS_FILE_NAME, Some("cmd.exe"));
    row.set_long(t::REPORT_ID, Some(report));
    Record::Row(row)
}

fn hours(hours: i64) -> Time {
    Time::from_ticks(time("2026-05-01T00:00:00.1234567Z").ticks() + hours * 36_000_000_000)
}

fn new(machine: &str, at: Time, report: i64, title: &str) -> NewAlert {
    NewAlert {
        machine: machine.parse().unwrap(),
        at,
        report,
        severity: "Low".into(),
        category: "Malware".into(),
        title: title.into(),
        description: "what it is".into(),
        recommended_action: "what to do".into(),
    }
}

fn raise(store: &Store, scope: &Scope, new: &NewAlert) -> Option<AlertId> {
    store.raise_alert(scope, "alex", new, &AtomicBool::default()).unwrap()
}

#[test]
fn an_event_is_found_in_any_batch_through_every_remaking_and_by_nothing_but_all_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let small = Options { memory: Memory { records: 60, ..Memory::default() }, ..options() };
    let store = Store::open(&path, small.clone()).unwrap();
    // Days apart in one batch, and an hour each in others.
    append(&store, (0..100).map(|n| started("m1", hours(n * 30), n)).collect());
    for n in 0..100 {
        append(&store, vec![started("m1", hours(n), 500 + n), started("m2", hours(n), 500 + n)]);
    }
    let mut nth = 0;
    let mut is_found = |store: &Store, machine: &str, at: Time, report: i64| {
        nth += 1;
        let raised = raise(store, &whole(), &new(machine, at, report, &format!("{nth}")));
        raised.is_some()
    };
    let mut all_are_found = |store: &Store, when: &str| {
        for n in [0, 1, 50, 99] {
            assert!(is_found(store, "m1", hours(n * 30), n), "{when}, {n}");
            assert!(is_found(store, "m2", hours(n), 500 + n), "{when}, {n}");
            let almost = Time::from_ticks(hours(n).ticks() + 1);
            let others = [("m1", almost, 500 + n), ("m2", hours(n), n), ("m3", hours(n), 500 + n)];
            for (machine, at, report) in others {
                assert!(!is_found(store, machine, at, report), "{when}, {machine}, {n}");
            }
        }
    };
    all_are_found(&store, "at first");
    store.rebuild_online(&mut |_| {}).unwrap();
    all_are_found(&store, "rebuilt in use");
    let purge = Purge { tenant: TENANT, what: Purged::Before(hours(-1)) };
    store.purge(&[purge], &mut |_| {}).unwrap();
    all_are_found(&store, "purged");
    drop(store);
    let store = Store::rebuild(Folder::lock(&path).unwrap(), small, &mut |_| {}).unwrap();
    all_are_found(&store, "rebuilt");
    assert!(raise(&store, &groups(&[5]), &new("m1", hours(0), 0, "x")).is_none());
}

#[test]
fn an_open_alert_of_the_same_title_on_the_same_machine_takes_the_event() {
    let folder = tempfile::tempdir().unwrap();
    let store = support::open(&folder.path().join("data"));
    append(&store, vec![started("m1", hours(5), 1), started("m1", hours(3), 2), started("m2", hours(3), 2)]);
    let raise = |new: &NewAlert| raise(&store, &whole(), new).unwrap();
    let first = raise(&new("m1", hours(5), 1, "same"));
    assert_eq!(raise(&new("m1", hours(3), 2, "same")), first);
    let others = [raise(&new("m1", hours(3), 2, "other")), raise(&new("m2", hours(3), 2, "same"))];
    assert!(!others.contains(&first) && others[0] != others[1]);
    let members = store.alert(&whole(), &first).unwrap().unwrap();
    let alert: Value = serde_json::from_str(&format!("{{{members}}}")).unwrap();
    assert_eq!(alert["firstEventTime"], hours(3).to_string());
    assert_eq!(alert["lastEventTime"], hours(5).to_string());
    assert_eq!(alert["relatedUser"]["userName"], "kim");
    assert_eq!(alert["comments"].as_array().unwrap().len(), 2);
    assert_eq!(alert["comments"][0]["comment"], "Recommended action: what to do");
    let kinds: Vec<&str> =
        alert["evidence"].as_array().unwrap().iter().map(|one| one["entityType"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "Process").count(), 2, "{kinds:?}");
    let process = alert["evidence"].as_array().unwrap().iter().find(|one| one["sha1"] == SHA1_A).unwrap();
    assert_eq!((&process["filePath"], &process["processId"]), (&r"C:\Tools".into(), &7.into()));
}

#[test]
fn a_machine_that_is_hidden_is_not_reached_by_another_whose_name_is_its_id() {
    let folder = tempfile::tempdir().unwrap();
    let device_groups = [(TENANT, source_groups(&["a", "b"]))].into();
    let store = Store::open(&folder.path().join("data"), Options { device_groups, ..options() }).unwrap();
    append(&store, vec![started("hidden", hours(5), 1), started("seen", hours(5), 2)]);
    append(&store, vec![device("hidden", "2026-05-01T00:00:00Z", "ws-1", &[], "Linux", "b")]);
    append(&store, vec![device("seen", "2026-05-01T00:00:00Z", "hidden", &[], "Linux", "a")]);
    let sees_a = groups(&[1]);
    assert!(store.machine(&sees_a, "hidden").unwrap().unwrap().contains("\"id\":\"seen\""));
    let raise =
        |scope: &Scope, machine, report| raise(&store, scope, &new(machine, hours(5), report, "title"));
    assert!(raise(&sees_a, "hidden", 1).is_none());
    assert!(raise(&whole(), "ws-1", 1).is_none(), "a name is no id");
    let raised = raise(&whole(), "HIDDEN", 1).unwrap();
    let members = store.alert(&whole(), &raised).unwrap().unwrap();
    assert!(members.contains("\"machineId\":\"hidden\""), "{members}");
    assert_eq!(raise(&whole(), "hidden", 1), Some(raised));
    assert!(raise(&sees_a, "seen", 2).is_some());
}

#[test]
fn a_search_for_which_nobody_waits_ends() {
    let folder = tempfile::tempdir().unwrap();
    let store = support::open(&folder.path().join("data"));
    append(&store, vec![started("m1", hours(5), 1)]);
    let new = new("m1", hours(5), 1, "title");
    let stopped = store.raise_alert(&whole(), "alex", &new, &AtomicBool::new(true));
    assert!(matches!(stopped, Err(Error::Stopped)));
    assert_eq!(store.totals(&whole()).unwrap().alerts, 0);
    assert!(raise(&store, &whole(), &new).is_some());
}
