//! Who asks over and over for the alerts that changed since what they saw last misses nothing, whatever
//! happens meanwhile.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails says so")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use pintle_model::{MemberId, Time, shapes::alert as a};
use pintle_store::{
    AlertChange, AlertList, Batch, Comparison, Condition, Extras, Filter, Folder, Listing, Literal, Memory,
    Operand, Options, OrderBy, Page, Place, Purge, Purged, Store,
};
use serde_json::Value;
use support::{SHA1_A, TENANT, alert, options, whole};

/// Options whose clock stands where it is put, and a base that folds often.
fn options_at(clock: &Arc<AtomicI64>) -> Options {
    let clock = Arc::clone(clock);
    Options {
        clock: Arc::new(move || Time::from_unix_seconds(clock.load(Ordering::Relaxed))),
        memory: Memory { records: 3, ..Memory::default() },
        ..options()
    }
}

struct House {
    _folder: tempfile::TempDir,
    path: std::path::PathBuf,
    clock: Arc<AtomicI64>,
    store: Option<Store>,
}

impl House {
    fn new() -> House {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicI64::new(1_782_864_000));
        let path = folder.path().join("data");
        let store = Store::open(&path, options_at(&clock)).unwrap();
        House { _folder: folder, path, clock, store: Some(store) }
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    fn wait(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
    }

    fn reopened(&mut self, again: impl FnOnce(&Path, Options) -> Store) {
        drop(self.store.take());
        self.store = Some(again(&self.path, options_at(&self.clock)));
    }

    /// Live telemetry of an alert.
    fn hear(&self, id: &str, source: &str, at: &str) {
        let records = vec![alert(id, "m1", at, SHA1_A)];
        self.store().append(Batch { records, ..Batch::live(TENANT, source) }).unwrap();
    }

    fn comment(&self, id: &str) {
        let change = AlertChange { comment: Some("seen".into()), ..AlertChange::default() };
        self.store().change_alerts(&whole(), "alex", &[id.parse().unwrap()], &change).unwrap();
    }

    /// Asks for a list that is not written yet.
    fn ask(&self, since: i64, order: &[OrderBy], top: usize, after: Option<&Place>) -> AlertList {
        let member = Operand::member(&a::ASKABLE, a::SEQUENCE).unwrap();
        let changed = Condition::compare(member, Comparison::Gt, Literal::Int(since)).unwrap();
        let filter = Filter::new(&a::ASKABLE, changed);
        let page = Page { skip: 0, top };
        let listing = Listing { filter: Some(&filter), order, after, ..Listing::of(page) };
        let extras = Extras { sequence: true, ..Extras::default() };
        self.store().list_alerts(&whole(), &listing).unwrap().with(extras)
    }

    fn all(&self) -> Vec<Seen> {
        written(self.ask(-1, &[], usize::MAX, None))
    }
}

/// An alert's id, when it changed by number and by time.
type Seen = (String, i64, String);

fn written(mut list: AlertList) -> Vec<Seen> {
    let mut text = vec![b'['];
    while let Some(piece) = list.next_piece().unwrap() {
        text.extend_from_slice(&piece);
    }
    text.push(b']');
    let alerts: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let seen = |alert: &Value| {
        (text(&alert["id"]), alert["sequence"].as_i64().unwrap(), text(&alert["lastUpdateTime"]))
    };
    alerts.iter().map(seen).collect()
}

fn ids(seen: &[Seen]) -> Vec<&str> {
    seen.iter().map(|(id, ..)| &**id).collect()
}

fn by(member: MemberId) -> Vec<OrderBy> {
    vec![OrderBy { member, descending: false }]
}

const AT: &str = "2026-06-01T00:00:00Z";

#[test]
fn what_changes_between_asking_and_reading_is_found_by_who_asks_next() {
    for order in [Vec::new(), by(a::SEQUENCE), by(a::LAST_UPDATE_TIME)] {
        for top in [1, 2, 10] {
            let house = House::new();
            for id in ["a1", "a2", "a3"] {
                house.wait(60);
                house.hear(id, "siem", AT);
            }
            house.wait(60);
            let list = house.ask(0, &order, top, None);
            house.wait(60);
            // The first of the list changes after the last, which is not in it if it is short.
            house.comment("a3");
            house.wait(60);
            house.comment("a1");
            let seen = written(list);
            assert_eq!(seen[0].0, "a1");
            let (sequence, updated) = (seen.last().unwrap().1, &seen.last().unwrap().2);
            house.wait(60);
            let next = house.ask(sequence, &order, 10, None);
            let next = written(next);
            assert!(ids(&next).contains(&"a3"), "{order:?} {top}: {seen:?} {next:?}");
            // In the order of changes, those behind the page are found as well.
            let behind = ["a1", "a2", "a3"].into_iter().skip(if order.is_empty() { 3 } else { top });
            let missed: Vec<&str> = behind.filter(|id| !ids(&next).contains(id)).collect();
            assert!(missed.is_empty(), "{order:?} {top}: {seen:?} {next:?}");
            let a3 = next.iter().find(|(id, ..)| id == "a3").unwrap();
            assert!(a3.2 > *updated, "{order:?} {top}: by its time too: {seen:?} {a3:?}");
        }
    }
}

#[test]
fn what_changes_on_a_page_that_was_read_is_found_by_who_asks_after_the_last_page() {
    let house = House::new();
    for id in ["a1", "a2", "a3"] {
        house.wait(60);
        house.hear(id, "siem", AT);
    }
    let first = house.ask(0, &[], 2, None);
    let place = first.about().next.clone().unwrap();
    // As a client brings it back.
    let place: Place = serde_json::from_str(&serde_json::to_string(&place).unwrap()).unwrap();
    let mut seen = written(first);
    house.wait(60);
    house.comment("a1");
    house.wait(60);
    house.comment("a3");
    house.wait(60);
    seen.extend(written(house.ask(0, &[], 2, Some(&place))));
    assert_eq!(ids(&seen), ["a1", "a2", "a3"]);
    let greatest = seen.iter().map(|(_, sequence, _)| *sequence).max().unwrap();
    let latest = seen.iter().map(|(.., updated)| updated).max().unwrap();
    let next = written(house.ask(greatest, &[], 10, None));
    assert_eq!(ids(&next), ["a1", "a3"]);
    assert!(next.iter().all(|(.., updated)| updated > latest), "{seen:?} {next:?}");
}

/// Alerts that were taken in before lists were asked for which do not have them, so that they changed later
/// than they came.
fn changed_after_lists() -> House {
    let house = House::new();
    for id in ["a1", "a2", "a3", "a4"] {
        house.wait(120);
        written(house.ask(0, &[], 10, None));
        house.wait(-60);
        house.hear(id, "siem", AT);
        house.comment("a1");
    }
    house.hear("a2", "other", "2026-06-02T00:00:00Z");
    house.wait(-60);
    house
}

#[test]
fn a_base_that_is_made_anew_says_when_alerts_changed_as_the_one_before_did() {
    let mut house = changed_after_lists();
    let before = house.all();
    house.store().rebuild_online(&mut |_| {}).unwrap();
    assert_eq!(house.all(), before);
    house
        .reopened(|path, options| Store::rebuild(Folder::lock(path).unwrap(), options, &mut |_| {}).unwrap());
    assert_eq!(house.all(), before);
    // And what changes now does so after all that.
    house.comment("a4");
    let greatest = before.iter().map(|(_, sequence, _)| *sequence).max().unwrap();
    assert_eq!(ids(&written(house.ask(greatest, &[], 10, None))), ["a4"]);
}

#[test]
fn a_purge_leaves_what_it_takes_nothing_of_as_it_was_and_the_rest_as_if_it_had_not_come() {
    let house = changed_after_lists();
    let before = house.all();
    let purge = Purge { tenant: TENANT, what: Purged::Source("other".into()) };
    house.store().purge(&[purge], &mut |_| {}).unwrap();
    let after = house.all();
    for (earlier, now) in before.iter().zip(&after) {
        match &*earlier.0 {
            "a2" => assert!(now.1 < earlier.1, "{earlier:?} {now:?}"),
            _ => assert_eq!(earlier, now),
        }
    }
    house.comment("a4");
    let greatest = before.iter().map(|(_, sequence, _)| *sequence).max().unwrap();
    assert_eq!(ids(&written(house.ask(greatest, &[], 10, None))), ["a4"]);
}

#[test]
fn alerts_of_a_base_that_was_lost_changed_when_their_telemetry_came() {
    let mut house = House::new();
    for (id, at) in [("a1", AT), ("a2", AT), ("a1", "2026-06-02T00:00:00Z")] {
        house.wait(60);
        house.hear(id, "siem", at);
    }
    house.wait(60);
    house.comment("a2");
    let before = house.all();
    house.wait(3_600);
    house.reopened(|path, options| {
        std::fs::remove_dir_all(path.join("base")).unwrap();
        Store::open(path, options).unwrap()
    });
    assert_eq!(house.all(), before);
}
