//! What has expired is hidden at once, and a job takes it out for good.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that fails says so"
)]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use pintle_model::Time;
use pintle_store::{
    AlertChange, ArchiveCaps, Expired, MachineChange, Memory, Options, Page, Retention, Store, TagChange,
};
use support::{SHA1_A, SHA1_B, alert, append, file_seen, list, machine_ids, time, whole};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A clock that stands where it is put.
#[derive(Clone)]
struct Hands(Arc<AtomicI64>);

impl Hands {
    fn at(text: &str) -> Hands {
        Hands(Arc::new(AtomicI64::new(time(text).ticks())))
    }

    fn put(&self, text: &str) {
        self.0.store(time(text).ticks(), Ordering::Relaxed);
    }
}

fn open(folder: &Path, hands: &Hands, retention: Retention) -> Store {
    let hands = Arc::clone(&hands.0);
    let clock = Arc::new(move || Time::from_ticks(hands.load(Ordering::Relaxed)));
    let memory = Memory { records: 3, ..Memory::default() };
    Store::open(folder, Options { clock, retention, memory, ..Options::default() }).unwrap()
}

fn alerts(store: &Store) -> Vec<String> {
    list(|out| store.alerts(&whole(), Page::ALL, out))
}

fn machines(store: &Store) -> Vec<String> {
    list(|out| store.machines(&whole(), Page::ALL, out))
}

/// Sightings of one file on two machines and of another on one, and two alerts, months apart.
fn fill(store: &Store) {
    append(store, vec![file_seen("old", "2026-01-05T00:00:00Z", SHA1_A, "", "")]);
    append(store, vec![file_seen("old", "2026-01-06T00:00:00Z", SHA1_B, "", "")]);
    append(store, vec![file_seen("new", "2026-01-07T00:00:00Z", SHA1_A, "", "")]);
    append(store, vec![file_seen("new", "2026-05-01T00:00:00Z", SHA1_A, "", "")]);
    append(store, vec![alert("a1", "old", "2026-01-08T00:00:00Z", SHA1_B)]);
    append(store, vec![alert("a2", "new", "2026-05-02T00:00:00Z", SHA1_A)]);
}

#[test]
fn what_has_expired_is_gone_for_good_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let hands = Hands::at("2026-05-10T00:00:00Z");
    let retention = Retention { alerts: Some(DAY * 30), machines: Some(DAY * 60), sightings: Some(DAY * 90) };
    let store = open(folder.path(), &hands, retention);
    fill(&store);
    let before = |store: &Store| {
        (
            alerts(store),
            machines(store),
            machine_ids(store, &whole(), SHA1_A),
            machine_ids(store, &whole(), SHA1_B),
        )
    };
    // Hidden at once.
    let hidden = (vec!["a2".to_owned()], vec!["new".to_owned()], Some(vec!["new".to_owned()]), None);
    assert_eq!(before(&store), hidden);
    let expired = store.expire().unwrap();
    assert_eq!(expired, Expired { alerts: 1, machines: 1, sightings: 2, files: 1 });
    assert_eq!(before(&store), hidden);
    let totals = store.totals(&whole()).unwrap();
    assert_eq!((totals.machines, totals.files, totals.alerts), (1, 1, 1));
    assert_eq!(store.expire().unwrap(), Expired::default(), "there is nothing more");
    drop(store);

    // Without a retention it would be shown again if it were still there.
    let store = open(folder.path(), &hands, Retention::default());
    assert_eq!(before(&store), hidden);
    assert_eq!(store.totals(&whole()).unwrap(), totals);
    // What comes again is new.
    let receipt = append(&store, vec![file_seen("old", "2026-05-09T00:00:00Z", SHA1_B, "", "")]);
    assert_eq!((receipt.new_machines, receipt.new_files), (1, 1));
    assert_eq!(machines(&store), ["new", "old"]);
    assert_eq!(machine_ids(&store, &whole(), SHA1_A), Some(vec!["new".into()]));
    assert_eq!(machine_ids(&store, &whole(), SHA1_B), Some(vec!["old".into()]));
    drop(store);
    let store = open(folder.path(), &hands, Retention::default());
    assert_eq!(machines(&store), ["new", "old"]);
    assert_eq!(
        machine_ids(&store, &whole(), SHA1_A),
        Some(vec!["new".into()]),
        "no machine has another's ordinal"
    );
}

#[test]
fn what_people_changed_goes_with_what_expires_and_is_known_again_from_the_archive() {
    let folder = tempfile::tempdir().unwrap();
    let hands = Hands::at("2026-02-01T00:00:00Z");
    let retention = Retention { alerts: Some(DAY * 30), machines: Some(DAY * 30), ..Retention::default() };
    let store = open(folder.path(), &hands, retention);
    let (machine, id) = ("old".to_owned(), "a1".parse().unwrap());
    append(&store, vec![file_seen(&machine, "2026-01-31T00:00:00Z", SHA1_A, "", "")]);
    append(&store, vec![alert("a1", "old", "2026-01-31T00:00:00Z", SHA1_A)]);
    let tags = Some(TagChange::Add("given".into()));
    let change = MachineChange { tags, device_value: Some("High".into()) };
    store.change_machines(&whole(), "alex", std::slice::from_ref(&machine), &change).unwrap();
    let change = AlertChange { comment: Some("seen before".into()), ..AlertChange::default() };
    store.change_alerts(&whole(), "alex", std::slice::from_ref(&id), &change).unwrap();
    let is_changed = |store: &Store| {
        let machine = store.machine(&whole(), &machine).unwrap().unwrap();
        let alert = store.alert(&whole(), &id).unwrap().unwrap();
        (machine.contains("given"), machine.contains("High"), alert.contains("seen before"))
    };
    assert_eq!(is_changed(&store), (true, true, true));
    hands.put("2026-05-10T00:00:00Z");
    store.expire().unwrap();
    append(&store, vec![file_seen(&machine, "2026-05-09T00:00:00Z", SHA1_A, "", "")]);
    append(&store, vec![alert("a1", "old", "2026-05-09T00:00:00Z", SHA1_A)]);
    assert_eq!(is_changed(&store), (false, false, false));
    store.rebuild_online(&mut |_| {}).unwrap();
    assert_eq!(is_changed(&store), (true, true, true));
}

#[test]
fn an_hour_decides() {
    let folder = tempfile::tempdir().unwrap();
    let hands = Hands::at("2026-01-30T00:00:00Z");
    let retention = Retention { sightings: Some(DAY * 30), ..Retention::default() };
    let store = open(folder.path(), &hands, retention);
    append(&store, vec![file_seen("m1", "2026-01-05T12:00:00Z", SHA1_A, "", "")]);
    hands.put("2026-02-04T11:59:59Z");
    assert_eq!(store.expire().unwrap(), Expired::default());
    assert!(machine_ids(&store, &whole(), SHA1_A).is_some());
    hands.put("2026-02-04T12:00:01Z");
    assert!(machine_ids(&store, &whole(), SHA1_A).is_none());
    assert_eq!(store.expire().unwrap(), Expired { sightings: 1, files: 1, ..Expired::default() });
    assert_eq!(machines(&store), ["m1"], "machines have no retention here");
}

#[test]
fn without_any_retention_nothing_is_taken_out_but_the_archive_keeps_to_its_caps() {
    let folder = tempfile::tempdir().unwrap();
    let hands = Hands::at("2026-05-10T00:00:00Z");
    let clock = {
        let hands = Arc::clone(&hands.0);
        Arc::new(move || Time::from_ticks(hands.load(Ordering::Relaxed)))
    };
    let archive = ArchiveCaps { max_age: None, max_bytes: Some(1) };
    let store = Store::open(folder.path(), Options { clock, archive, ..Options::default() }).unwrap();
    fill(&store);
    drop(store);
    // The first segment is closed, which a full one would be.
    let segment = |number: u32| folder.path().join(format!("archive/{number:08}.seg"));
    let header = std::fs::read(segment(1)).unwrap()[..12].to_vec();
    std::fs::write(segment(2), header).unwrap();
    let clock = Arc::new(move || time("2026-05-10T00:00:00Z"));
    let store = Store::open(folder.path(), Options { clock, archive, ..Options::default() }).unwrap();
    append(&store, vec![file_seen("later", "2026-05-09T00:00:00Z", SHA1_B, "", "")]);
    assert_eq!(store.expire().unwrap(), Expired::default());
    assert!(!segment(1).exists() && segment(2).exists());
    assert_eq!(machines(&store), ["later", "new", "old"]);
}

#[test]
fn what_comes_in_while_the_expired_is_taken_out_stays() {
    let folder = tempfile::tempdir().unwrap();
    let hands = Hands::at("2026-05-10T00:00:00Z");
    let retention = Retention { machines: Some(DAY * 60), sightings: Some(DAY * 60), ..Retention::default() };
    let store = open(folder.path(), &hands, retention);
    for n in 0..40 {
        append(&store, vec![file_seen(&format!("m{n:02}"), "2026-01-05T00:00:00Z", SHA1_A, "", "")]);
    }
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for n in 0..40 {
                append(&store, vec![file_seen(&format!("m{n:02}"), "2026-05-05T00:00:00Z", SHA1_B, "", "")]);
            }
        });
        while !writer.is_finished() {
            store.expire().unwrap();
        }
    });
    store.expire().unwrap();
    let all: Vec<String> = (0..40).map(|n| format!("m{n:02}")).collect();
    assert_eq!(machine_ids(&store, &whole(), SHA1_B).as_ref(), Some(&all));
    assert_eq!(machine_ids(&store, &whole(), SHA1_A), None);
    let totals = store.totals(&whole()).unwrap();
    drop(store);
    let store = open(folder.path(), &hands, Retention::default());
    assert_eq!(machines(&store), all);
    assert_eq!(machine_ids(&store, &whole(), SHA1_B), Some(all));
    assert_eq!((store.totals(&whole()).unwrap(), totals.machines, totals.files), (totals, 40, 1));
}
