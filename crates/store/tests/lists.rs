//! Lists: filters, orders, cursors and counts against the plain way to do it, and while others write.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test that fails says so")]

mod support;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering as Atomic};

use pintle_model::shapes::{alert as a, evidence as e, machine as m};
use pintle_model::{Alert, Evidence, Facts, Kind, MemberId, Record, Shape, Time};
use pintle_store::{
    AlertList, Comparison, Condition, Error, Filter, Listing, Literal, Operand, OrderBy, Page, Place,
    Quantifier, Scope, Store, TextTest,
};
use serde_json::Value;
use support::{append, device, named, open, source_groups, time, whole};

/// xorshift64*.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap() % end
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

fn at(nth: usize) -> Time {
    Time::from_unix_seconds(1_767_225_600 + i64::try_from(nth).unwrap() * 3_600)
}

const IDS: usize = 60;
const TEXTS: [&str; 7] = ["High", "low", "New", "Resolved", "x@example.org", "\"q\\", "Büro"];

/// An alert of which a source says something by chance; `nth` is how new it is.
fn some_alert(chance: &mut Chance, nth: usize) -> Record {
    let told = at(nth);
    let mut facts = Facts::default();
    for member in [a::SEVERITY, a::STATUS, a::CATEGORY, a::DETECTION_SOURCE, a::ASSIGNED_TO, a::TITLE] {
        match chance.below(8) {
            0 => {}
            1 => _ = facts.note(member, told, "null"),
            // Longer than what a column takes.
            2 if chance.one_in(4) => facts.note_text(member, told, Some(&"long ".repeat(100))),
            _ => facts.note_text(member, told, Some(chance.pick(&TEXTS))),
        }
    }
    for member in [a::INCIDENT_ID, a::INVESTIGATION_ID] {
        let number = chance.pick(&["null", "0", "7", "-3", "9223372036854775807", "-9223372036854775808"]);
        _ = facts.note(member, told, number);
    }
    for member in [a::ALERT_CREATION_TIME, a::LAST_EVENT_TIME, a::LAST_UPDATE_TIME, a::RESOLVED_TIME] {
        if !chance.one_in(4) {
            facts.note_time(member, told, Some(at(chance.below(20))));
        }
    }
    if !chance.one_in(5) {
        facts.note_text(a::MACHINE_ID, told, Some(chance.pick(&["m1", "m2", "m3", "nowhere"])));
    }
    let mut evidence = Facts::default();
    evidence.note_text(e::ENTITY_TYPE, told, Some("User"));
    evidence.note_text(e::ACCOUNT_NAME, told, Some(chance.pick(&["alice", "Bob", "carol"])));
    let id = format!("Da{:03}", chance.below(IDS));
    Record::Alert(Alert { id: id.parse().unwrap(), facts, evidence: vec![Evidence(evidence)] })
}

fn literal(chance: &mut Chance, kind: Kind) -> Literal {
    match kind {
        _ if chance.one_in(6) => Literal::Null,
        Kind::Int => Literal::Int(chance.pick(&[0, 7, -3, i64::MAX, i64::MIN])),
        Kind::Time => Literal::Time(at(chance.below(20))),
        _ => Literal::Text(match chance.below(3) {
            0 => format!("dA{:03}", chance.below(IDS)),
            1 => chance.pick(&["M1", "active", "Inactive", "ws-1.example"]).to_owned(),
            _ => chance.pick(&TEXTS).to_owned(),
        }),
    }
}

fn condition(chance: &mut Chance, shape: &'static Shape, members: &[MemberId], depth: usize) -> Condition {
    let inner = |chance: &mut Chance| condition(chance, shape, members, depth - 1);
    if depth > 0 {
        match chance.below(6) {
            0 => return Condition::every((0..2).map(|_| inner(chance)).collect()).unwrap(),
            1 | 2 => return Condition::some((0..2).map(|_| inner(chance)).collect()).unwrap(),
            3 => return Condition::negated(inner(chance)).unwrap(),
            _ => {}
        }
    }
    let member = chance.pick(members);
    if shape.members[usize::from(member.0)].kind == Kind::List {
        let (of, within) = match member {
            a::EVIDENCE => (Operand::member(&e::SHAPE, e::ACCOUNT_NAME).unwrap(), Some(&e::SHAPE)),
            _ => (Operand::ELEMENT, None),
        };
        let is = Condition::compare(of, Comparison::Eq, Literal::Text(chance.pick(&["bob", "vip"]).into()));
        return Condition::elements(member, Quantifier::Any, within, is.unwrap()).unwrap();
    }
    let operand = Operand::member(shape, member).unwrap();
    match chance.below(4) {
        0 => {
            let literals = (0..1 + chance.below(3)).map(|_| literal(chance, operand.kind())).collect();
            Condition::one_of(operand, literals).unwrap()
        }
        1 if operand.kind() == Kind::Text => {
            let test = chance.pick(&[TextTest::StartsWith, TextTest::EndsWith, TextTest::Contains]);
            Condition::text(operand, test, chance.pick(&["da0", "1", "e", "RES", ""])).unwrap()
        }
        _ => {
            use Comparison::{Eq, Ge, Gt, Le, Lt, Ne};
            let comparison = chance.pick(&[Eq, Ne, Gt, Ge, Lt, Le]);
            Condition::compare(operand, comparison, literal(chance, operand.kind())).unwrap()
        }
    }
}

fn order(chance: &mut Chance, members: &[MemberId]) -> Vec<OrderBy> {
    let by = |chance: &mut Chance| OrderBy { member: chance.pick(members), descending: chance.one_in(2) };
    (0..chance.below(3)).map(|_| by(chance)).collect()
}

/// What a member orders by, the plain way.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Null,
    Number(i64),
    Text(usize, String),
}

fn key(entity: &Value, shape: &Shape, member: MemberId) -> Key {
    let member = &shape.members[usize::from(member.0)];
    match (&entity[member.name], member.kind) {
        (Value::Number(number), _) => Key::Number(number.as_i64().unwrap()),
        (Value::Bool(is_true), _) => Key::Number((*is_true).into()),
        (Value::String(text), Kind::Time) => Key::Number(Time::parse(text).unwrap().ticks()),
        (Value::String(text), _) => {
            let lower: String = text.chars().take(200).flat_map(char::to_lowercase).collect();
            let names: &[&str] = match member.name {
                "severity" => &["unspecified", "informational", "low", "medium", "high"],
                "status" => &["unknown", "new", "inprogress", "resolved"],
                _ => &[],
            };
            let place = names.iter().position(|name| *name == lower);
            Key::Text(place.unwrap_or(if names.is_empty() { 0 } else { 99 }), lower)
        }
        _ => Key::Null,
    }
}

/// The ids of those entities that a filter takes, in order, the plain way.
fn naive(all: &[Value], shape: &Shape, filter: Option<&Filter>, order: &[OrderBy]) -> Vec<String> {
    let mut found: Vec<&Value> =
        all.iter().filter(|entity| filter.is_none_or(|filter| filter.matches(&entity.to_string()))).collect();
    found.sort_by(|one, other| {
        let by = order.iter().fold(Ordering::Equal, |known, by| {
            let order = key(one, shape, by.member).cmp(&key(other, shape, by.member));
            known.then(if by.descending { order.reverse() } else { order })
        });
        by.then_with(|| one["id"].as_str().cmp(&other["id"].as_str()))
    });
    found.into_iter().map(|entity| entity["id"].as_str().unwrap().to_owned()).collect()
}

fn values(text: &[u8]) -> Vec<Value> {
    let text = [b"[", text, b"]"].concat();
    serde_json::from_slice(&text).unwrap()
}

fn written(mut list: AlertList) -> Vec<Value> {
    let mut text = Vec::new();
    while let Some(piece) = list.next_piece().unwrap() {
        text.extend_from_slice(&piece);
    }
    values(&text)
}

fn ids(entities: &[Value]) -> Vec<String> {
    entities.iter().map(|entity| entity["id"].as_str().unwrap().to_owned()).collect()
}

/// The ids of a list, its count and where it goes on.
type Told = (Vec<String>, Option<usize>, Option<Place>);

fn alerts(store: &Store, scope: &Scope, listing: &Listing<'_>) -> Told {
    let list = store.list_alerts(scope, listing).unwrap();
    let about = list.about().clone();
    (ids(&written(list)), about.count, about.next)
}

fn machines(store: &Store, scope: &Scope, listing: &Listing<'_>) -> Told {
    let mut list = store.list_machines(scope, listing).unwrap();
    let (about, mut text) = (list.about().clone(), Vec::new());
    list.write(&mut text);
    (ids(&values(&text)), about.count, about.next)
}

/// A page of a list, its count, and a walk by cursor are what a naive sort of all gives.
fn check(
    chance: &mut Chance,
    listed: &dyn Fn(&Listing<'_>) -> Told,
    expected: &[String],
    filter: Option<&Filter>,
    order: &[OrderBy],
) {
    let page = Page { skip: chance.below(expected.len() + 2), top: 1 + chance.below(30) };
    let of_page: Vec<String> = expected.iter().skip(page.skip).take(page.top).cloned().collect();
    let count = chance.one_in(2);
    let (found, counted, next) = listed(&Listing { filter, order, count, ..Listing::of(page) });
    assert_eq!(found, of_page, "{filter:?} {order:?} {page:?}");
    assert_eq!(counted, count.then_some(expected.len()), "{filter:?}");
    assert_eq!(next.is_some(), page.skip + page.top < expected.len());
    let (mut walked, mut after) = (Vec::new(), None);
    let top = 1 + expected.len() / 3;
    loop {
        let listing = Listing {
            filter,
            order,
            after: after.as_ref(),
            count: true,
            ..Listing::of(Page { skip: 0, top })
        };
        let (found, counted, next) = listed(&listing);
        assert_eq!(counted, Some(expected.len()));
        walked.extend(found);
        // As a cursor is kept by a client.
        let Some(next) = next else { break };
        after = Some(serde_json::from_str(&serde_json::to_string(&next).unwrap()).unwrap());
    }
    assert_eq!(walked, expected, "{filter:?} {order:?}");
}

const ALERT_MEMBERS: [MemberId; 13] = [
    a::ID,
    a::ID,
    a::INCIDENT_ID,
    a::INVESTIGATION_ID,
    a::ASSIGNED_TO,
    a::SEVERITY,
    a::STATUS,
    a::CATEGORY,
    a::DETECTION_SOURCE,
    a::ALERT_CREATION_TIME,
    a::LAST_EVENT_TIME,
    a::LAST_UPDATE_TIME,
    a::EVIDENCE,
];
const ALERT_ORDERS: [MemberId; 9] = [
    a::ID,
    a::SEVERITY,
    a::STATUS,
    a::INCIDENT_ID,
    a::ALERT_CREATION_TIME,
    a::RESOLVED_TIME,
    a::TITLE,
    a::MACHINE_ID,
    a::ASSIGNED_TO,
];

#[test]
fn lists_of_alerts_are_what_a_naive_sort_gives_while_alerts_come_and_change() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.set_device_groups(support::TENANT, source_groups(&["one"])).unwrap();
    let in_one = device("m1", "2026-01-01T00:00:00Z", "ws-1.example", &[], "Linux", "one");
    append(&store, vec![in_one, named("m2", "ws-2.example", "2026-01-01T00:00:00Z")]);
    let scopes = [whole(), support::groups(&[1])];
    let mut chance = Chance(0x1157);
    for round in 0..25 {
        append(&store, (0..3).map(|_| some_alert(&mut chance, round)).collect());
        for scope in &scopes {
            let listed = ids(&written(store.list_alerts(scope, &Listing::ALL).unwrap()));
            assert!(listed.is_sorted());
            let by_id = |id: &String| {
                let members = store.alert(scope, &id.parse().unwrap()).unwrap().unwrap();
                serde_json::from_str(&format!("{{{members}}}")).unwrap()
            };
            let all: Vec<Value> = listed.iter().map(by_id).collect();
            for _ in 0..12 {
                let depth = chance.below(4);
                let filter = Filter::new(&a::SHAPE, condition(&mut chance, &a::SHAPE, &ALERT_MEMBERS, depth));
                let filter = (!chance.one_in(6)).then_some(&filter);
                let order = order(&mut chance, &ALERT_ORDERS);
                let expected = naive(&all, &a::SHAPE, filter, &order);
                check(&mut chance, &|listing| alerts(&store, scope, listing), &expected, filter, &order);
            }
        }
    }
}

#[test]
fn lists_of_machines_are_what_a_naive_sort_gives() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let members =
        [m::ID, m::COMPUTER_DNS_NAME, m::LAST_SEEN, m::HEALTH_STATUS, m::RBAC_GROUP_ID, m::MACHINE_TAGS];
    let orders = [m::ID, m::COMPUTER_DNS_NAME, m::LAST_SEEN, m::FIRST_SEEN, m::IS_EXCLUDED, m::RBAC_GROUP_ID];
    let mut chance = Chance(0x2468);
    for round in 0..30 {
        // Some of them are silent for more than a week.
        let at = chance.pick(&["2026-01-01T02:00:00Z", "2026-01-01T00:00:00Z", "2026-07-31T00:00:00Z"]);
        let id = chance.pick(&["m1", "M1", "m2", "m3", "ws-1", "dA001"]);
        let name = chance.pick(&["ws-1.example", "Ws-2.example"]);
        append(&store, vec![device(id, at, name, &["VIP"][..chance.below(2)], "", "")]);
        if round == 15 {
            store.set_device_groups(support::TENANT, source_groups(&["one"])).unwrap();
        }
        let mut text = Vec::new();
        store.machines(&whole(), Page::ALL, &mut text).unwrap();
        let all = values(&text);
        for _ in 0..20 {
            let depth = chance.below(4);
            let filter = Filter::new(&m::SHAPE, condition(&mut chance, &m::SHAPE, &members, depth));
            let filter = (!chance.one_in(6)).then_some(&filter);
            let order = order(&mut chance, &orders);
            let expected = naive(&all, &m::SHAPE, filter, &order);
            check(&mut chance, &|listing| machines(&store, &whole(), listing), &expected, filter, &order);
        }
    }
}

/// Alerts of ids from `from` on, created between `at(0)` and `at(100)`; their status is told at `told`.
fn many(from: usize, count: usize, status: &str, told: usize) -> Vec<Record> {
    let alert = |nth: usize| {
        let told = at(told);
        let mut facts = Facts::default();
        facts.note_text(a::STATUS, told, Some(status));
        facts.note_time(a::ALERT_CREATION_TIME, at(0), Some(at(nth * 7_919 % 100)));
        Record::Alert(Alert { id: format!("d{nth:07}").parse().unwrap(), facts, evidence: Vec::new() })
    };
    (from..from + count).map(alert).collect()
}

/// So many times new alerts come while a walk goes on.
const NEW_ONES: usize = 150;

/// Walks lists while others write, and finds each alert that was there before exactly once.
fn walk_while_others_write(alerts_before: usize, page: usize, rounds: usize) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for from in (0..alerts_before).step_by(20_000) {
        append(&store, many(from, (alerts_before - from).min(20_000), "New", 0));
    }
    let (done, written) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut nth = 0;
            while !done.load(Atomic::Relaxed) {
                nth += 1;
                // New ones behind the others, not for ever: a walk that never comes to the end ends nothing.
                if nth <= NEW_ONES {
                    append(&store, many(alerts_before + nth * 10, 10, "New", 0));
                }
                // And changes of old ones.
                append(&store, many(nth * 31 % alerts_before, 5, ["Resolved", "InProgress"][nth % 2], nth));
                written.fetch_add(1, Atomic::Relaxed);
            }
        });
        let by = |member, descending| vec![OrderBy { member, descending }];
        for _ in 0..rounds {
            for order in [Vec::new(), by(a::ALERT_CREATION_TIME, true), by(a::ALERT_CREATION_TIME, false)] {
                let (mut seen, mut after) = (BTreeMap::<String, usize>::new(), None);
                loop {
                    let listing = Listing {
                        order: &order,
                        after: after.as_ref(),
                        ..Listing::of(Page { skip: 0, top: page })
                    };
                    let (found, _, next) = alerts(&store, &whole(), &listing);
                    found.into_iter().for_each(|id| *seen.entry(id).or_default() += 1);
                    after = next;
                    if after.is_none() {
                        break;
                    }
                }
                assert!(seen.values().all(|times| *times == 1), "{order:?}");
                let missed = (0..alerts_before).find(|nth| !seen.contains_key(&format!("d{nth:07}")));
                assert_eq!(missed, None, "{order:?}");
            }
            // New ones have greater ids, so in the order of ids no page moves.
            let (mut seen, mut skip) = (BTreeSet::new(), 0);
            loop {
                let (found, ..) = alerts(&store, &whole(), &Listing::of(Page { skip, top: page }));
                skip += found.len();
                let is_last = found.len() < page;
                seen.extend(found);
                if is_last {
                    break;
                }
            }
            assert_eq!((0..alerts_before).find(|nth| !seen.contains(&format!("d{nth:07}"))), None);
        }
        done.store(true, Atomic::Relaxed);
    });
    assert!(written.load(Atomic::Relaxed) > 3, "nobody wrote meanwhile");
}

#[test]
fn a_walk_finds_each_alert_once_while_others_write() {
    walk_while_others_write(1_500, 400, 1);
}

#[test]
#[ignore = "takes minutes: the same at full size"]
fn a_walk_over_200_000_alerts_finds_each_once_while_others_write() {
    walk_while_others_write(200_000, 10_000, 1);
}

#[test]
fn a_change_is_seen_by_the_next_who_asks_and_stays_when_the_base_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(&store, many(0, 50, "New", 0));
    let resolved = Filter::new(
        &a::SHAPE,
        Condition::compare(
            Operand::member(&a::SHAPE, a::STATUS).unwrap(),
            Comparison::Eq,
            Literal::Text("resolved".into()),
        )
        .unwrap(),
    );
    let listing = Listing { filter: Some(&resolved), count: true, ..Listing::ALL };
    assert_eq!(alerts(&store, &whole(), &listing).1, Some(0));
    append(&store, many(5, 5, "Resolved", 1));
    let changed = alerts(&store, &whole(), &listing).0;
    assert!(!changed.is_empty());
    store.rebuild_online(&mut |_| {}).unwrap();
    assert_eq!(alerts(&store, &whole(), &listing).0, changed);
    drop(store);
    assert_eq!(alerts(&open(folder.path()), &whole(), &listing).0, changed);
}

#[test]
fn very_many_changes_are_all_seen_by_the_next_who_asks() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(&store, many(0, 2_500, "New", 0));
    let listed = |status: &str| {
        let status_is = Condition::compare(
            Operand::member(&a::SHAPE, a::STATUS).unwrap(),
            Comparison::Eq,
            Literal::Text(status.into()),
        );
        let filter = Filter::new(&a::SHAPE, status_is.unwrap());
        let listing = Listing { filter: Some(&filter), count: true, ..Listing::ALL };
        let (ids, count, _) = alerts(&store, &whole(), &listing);
        assert_eq!(count, Some(ids.len()));
        ids
    };
    let ids = |numbers: std::ops::Range<usize>| numbers.map(|nth| format!("d{nth:07}")).collect::<Vec<_>>();
    assert_eq!(listed("New"), ids(0..2_500));
    // More than are read again at once, old ones and new ones, these in two goes.
    append(&store, many(100, 3_000, "Resolved", 1));
    append(&store, many(3_100, 1_500, "Resolved", 1));
    assert_eq!((listed("New"), listed("Resolved")), (ids(0..100), ids(100..4_600)));
    append(&store, many(0, 4_700, "InProgress", 2));
    assert_eq!((listed("Resolved"), listed("InProgress")), (ids(0..0), ids(0..4_700)));
}

#[test]
fn a_list_that_was_settled_shows_alerts_as_they_are_when_their_turn_comes() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(&store, many(0, 3, "New", 0));
    let list = store.list_alerts(&whole(), &Listing::ALL).unwrap();
    assert_eq!(list.left(), 3);
    let mut facts = Facts::default();
    facts.note_text(a::STATUS, time("2026-07-01T00:00:00Z"), Some("Resolved"));
    let id = "d0000001".parse().unwrap();
    append(&store, vec![Record::Alert(Alert { id, facts, evidence: Vec::new() })]);
    append(&store, many(3, 3, "New", 0));
    let shown: Vec<String> =
        written(list).iter().map(|alert| alert["status"].as_str().unwrap().to_owned()).collect();
    assert_eq!(shown, ["New", "Resolved", "New"]);
}

#[test]
fn work_for_nobody_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(&store, many(0, 10, "New", 0));
    let stop = AtomicBool::new(true);
    let listing = Listing { stop: Some(&stop), ..Listing::ALL };
    assert!(matches!(store.list_alerts(&whole(), &listing), Err(Error::Stopped)));
}
