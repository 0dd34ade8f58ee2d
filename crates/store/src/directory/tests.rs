use std::time::Instant;

use pintle_model::{Fact, TenantId};

use super::*;
use crate::store::read_lock;
use crate::{DefaultGroup, DeviceGroup, DeviceRule, Operator, Row, Span};

fn at(seconds: i64) -> Time {
    Time::from_unix_seconds(1_700_000_000 + seconds)
}

fn id(n: u32) -> MachineId {
    // Not in the order of the numbers.
    format!("{:08x}", n.wrapping_mul(2_654_435_761)).parse().unwrap()
}

/// What a batch says that saw the machine once.
fn seen(group: Option<&str>, seconds: i64) -> Entity {
    let mut entity = Entity { span: Some(Span::at(at(seconds))), ..Entity::default() };
    entity.facts.note_text(shapes::machine::COMPUTER_DNS_NAME, at(seconds), Some("Host.example.org"));
    entity.facts.note_text(shapes::machine::RBAC_GROUP_NAME, at(seconds), group);
    entity
}

/// Groups 1 and 2 for the machines of which telemetry says a and b, 9 for the rest.
fn groups() -> Arc<DeviceGroups> {
    let group = |id: u32, name: &str| {
        let row = Row { operator: Operator::Equals, value: name.to_owned() };
        let rule = DeviceRule { source_group: vec![row], ..DeviceRule::default() };
        DeviceGroup { id, name: format!("group {name}"), rule }
    };
    let default = DefaultGroup { id: REST, name: "UnassignedGroup".to_owned() };
    Arc::new(DeviceGroups::new(vec![group(A, "a"), group(B, "b")], default))
}

const A: u32 = 1;
const B: u32 = 2;
const REST: u32 = 9;

fn directory(machines: u32) -> Directory {
    let mut directory = Directory::new(groups(), Arc::default());
    for n in 0..machines {
        directory.put(n, id(n), seen([None, Some("a"), Some("b")][n as usize % 3], 0));
    }
    directory
}

fn scope(groups: &[u32]) -> Scope {
    Scope::device_groups(TenantId::from_bytes([1; 16]), groups.iter().copied())
}

fn whole_tenant() -> Scope {
    Scope::whole(TenantId::from_bytes([1; 16]))
}

fn everything(directory: &Directory, now: Time) -> Vec<String> {
    let window = Window { now, length: None };
    let ordinals = directory.all(&whole_tenant(), window, Page::ALL);
    ordinals.into_iter().map(|ordinal| directory.get(ordinal).unwrap().members(now)).collect()
}

/// Whatever is noted, the directory must be one that was told all of it at once.
#[test]
fn noting_changes_bit_by_bit_ends_like_putting_the_whole() {
    let fact = |seconds: i64, json: &str| Fact { at: at(seconds), json: json.into() };
    let with_adapter = |name: &str, seconds, address: &str| {
        let json = format!(r#"[{{"ipAddress":"{address}","operationalStatus":"Up"}}]"#);
        let mut entity = seen(None, seconds);
        entity.parts.insert(name.into(), fact(seconds, &json));
        entity
    };
    let report = |seconds: i64, address: &str| {
        let mut entity = seen(None, seconds);
        entity.note_addresses(at(seconds), format!(r#"[{{"ipAddress":"{address}"}}]"#));
        entity.note_last_address(at(seconds), format!(r#""{address}""#));
        entity.note_group_number(at(seconds), "7", "\"Servers\"");
        entity.facts.note_text(shapes::machine::RBAC_GROUP_NAME, at(seconds), Some("Servers"));
        entity
    };
    let mut moved = seen(None, 39);
    moved.facts.note_text(shapes::machine::RBAC_GROUP_NAME, at(39), Some("Clients"));
    let mut renamed = seen(Some("b"), 40);
    renamed.facts.note_text(shapes::machine::COMPUTER_DNS_NAME, at(40), Some("other.example.org"));
    let mut sick = seen(None, 60);
    sick.facts.note_text(shapes::machine::HEALTH_STATUS, at(60), Some("NoSensorData"));
    let timeless = Entity::default();
    let changes = [
        (seen(Some("a"), 0), false),
        (timeless, false),
        (seen(Some("a"), 10), true),
        (seen(Some("a"), 5), false),
        (Entity { span: Some(Span::at(at(10) + Duration::from_millis(125))), ..Entity::default() }, true),
        (seen(Some("a"), -10), true),
        (with_adapter("one", 20, "192.0.2.1"), true),
        (with_adapter("two", 30, "192.0.2.2"), true),
        // Nothing but times, and yet the newest address is another one.
        (with_adapter("one", 35, "192.0.2.1"), true),
        (report(34, "192.0.2.3"), true),
        (report(36, "192.0.2.3"), true),
        (with_adapter("two", 37, "192.0.2.2"), true),
        // Again nothing but times.
        (report(38, "192.0.2.3"), true),
        (moved, true),
        (renamed, true),
        (sick, true),
        (seen(None, 70), true),
    ];
    let mut noted = directory(5);
    let mut known = noted.get(1).unwrap().entity().clone();
    for (step, (change, changes)) in changes.into_iter().enumerate() {
        known.merge(change.clone(), most::ADAPTERS);
        assert_eq!(noted.note(1, change), changes, "step {step}");
        assert_eq!(noted.get(1).map(Machine::entity), Some(&known), "step {step}");
        let mut put = directory(5);
        put.put(1, id(1), known.clone());
        for now in [at(100), at(100) + Duration::from_secs(30 * 24 * 3_600)] {
            assert_eq!(everything(&noted, now), everything(&put, now), "step {step}");
            let window = Window { now, length: None };
            for (name, scope) in [("HOST.example.org", scope(&[A])), ("other.example.org", scope(&[B]))] {
                let find = |directory: &Directory| {
                    directory.find(&scope, window, name).map(|machine| machine.id.clone())
                };
                assert_eq!(find(&noted), find(&put), "step {step}: {name}");
            }
        }
    }
    assert!(!noted.note(9, seen(None, 0)), "no such machine");
}

#[test]
fn what_is_listed_is_what_the_scope_sees_in_the_order_of_ids_however_many_there_are() {
    for machines in [0, 1, 63, 64, 65, 2_000] {
        let mut directory = directory(machines);
        for ordinal in (0..machines).step_by(7) {
            directory.forget(ordinal);
            assert!(directory.get(ordinal).is_none() && directory.ordinal(&id(ordinal)).is_none());
        }
        assert_eq!(directory.next_ordinal(), machines, "no ordinal is given twice");
        let scopes = [whole_tenant(), scope(&[A]), scope(&[A, B, 77]), scope(&[REST]), scope(&[])];
        for (scope, step, page) in scopes.iter().flat_map(|scope| {
            let pages = [Page::ALL, Page { skip: 3, top: 5 }];
            pages.into_iter().flat_map(move |page| [1, 5, 1_000].map(move |step| (scope, step, page)))
        }) {
            let asked: Vec<u32> = (0..machines + 10).step_by(step).collect();
            let mut expected: Vec<(MachineId, u32)> = asked
                .iter()
                .filter(|ordinal| {
                    let group = [REST, A, B][**ordinal as usize % 3];
                    **ordinal < machines && **ordinal % 7 != 0 && scope.sees(group)
                })
                .map(|ordinal| (id(*ordinal), *ordinal))
                .collect();
            expected.sort();
            let expected: Vec<u32> =
                expected.into_iter().map(|(_, ordinal)| ordinal).skip(page.skip).take(page.top).collect();
            assert_eq!(
                directory.some(directory.grouping(), scope, always(), asked.iter().copied(), page),
                expected,
                "{machines}, {step}"
            );
            let twice: Vec<u32> = asked.iter().rev().chain(&asked).copied().collect();
            assert_eq!(
                directory.some(directory.grouping(), scope, always(), twice.into_iter(), page),
                expected,
                "{machines}, {step}"
            );
            if step == 1 {
                let window = Window { now: at(0), length: Some(Duration::from_secs(60)) };
                assert_eq!(directory.all(scope, window, page), expected);
                let late = Window { now: at(120), ..window };
                assert!(directory.all(scope, late, page).is_empty());
                assert_eq!(
                    directory.some(directory.grouping(), scope, window, asked.iter().copied(), page),
                    expected
                );
                assert!(
                    directory.some(directory.grouping(), scope, late, asked.iter().copied(), page).is_empty()
                );
            }
            for ordinal in asked {
                let visible =
                    directory.some(directory.grouping(), scope, always(), [ordinal].into_iter(), Page::ALL)
                        == [ordinal];
                assert_eq!(directory.is_visible(scope, ordinal), visible);
            }
        }
    }
}

#[test]
fn a_machine_that_comes_after_a_list_takes_its_place_in_the_next() {
    let mut directory = directory(3);
    let listed = everything(&directory, at(0)).len();
    directory.put(3, id(3), seen(None, 0));
    let now = everything(&directory, at(0));
    assert_eq!((listed, now.len()), (3, 4));
    assert!(now.is_sorted());
}

/// Every machine counts as recent.
fn always() -> Window {
    Window { now: at(0), length: None }
}

fn list(directory: &SharedDirectory, ordinals: &[u32]) -> MachineList {
    let then = read_lock(directory).grouping().clone();
    let all = ordinals.iter().copied();
    let ordinals = read_lock(directory).some(&then, &whole_tenant(), always(), all, Page::ALL);
    MachineList::new(Arc::clone(directory), then, ordinals, at(0))
}

#[test]
fn a_list_written_in_pieces_is_the_list_written_at_once() {
    let directory: SharedDirectory = Arc::new(RwLock::new(directory(500)));
    let everyone: Vec<u32> = (0..500).collect();
    let mut whole = Vec::new();
    list(&directory, &everyone).write(&mut whole);
    let machines: Vec<serde_json::Value> =
        serde_json::from_slice(&[b"[", whole.as_slice(), b"]"].concat()).unwrap();
    assert_eq!(machines.len(), 500);
    let second: Vec<u32> = (0..500).step_by(2).collect();
    let most: Vec<u32> = (0..500).filter(|n| n % 100 != 7).collect();
    let few = [3, 77, 301];
    for ordinals in [&everyone[..], &second, &most, &few, &[]] {
        // Also when machines change between two readings, or fall silent.
        for (round, change) in
            [Entity::default(), seen(Some("c"), 10), seen(Some("c"), 20)].into_iter().enumerate()
        {
            let now = at(10) + Duration::from_secs([0, 0, 7 * 24 * 3_600][round]);
            directory.write().unwrap().note(77, change);
            let then = read_lock(&directory).grouping().clone();
            let all = ordinals.iter().copied();
            let ordinals = read_lock(&directory).some(&then, &whole_tenant(), always(), all, Page::ALL);
            let list = || MachineList::new(Arc::clone(&directory), then.clone(), ordinals.clone(), now);
            let (mut at_once, mut pieces, mut in_pieces) = (Vec::new(), list(), Vec::new());
            list().write(&mut at_once);
            while let Some(piece) = pieces.next_piece() {
                assert!(piece.len() < 2 * 64 * 1024, "{}", piece.len());
                in_pieces.extend_from_slice(&piece);
            }
            assert!(in_pieces == at_once, "{} in round {round}", ordinals.len());
        }
    }
}

#[test]
fn a_list_that_is_read_slowly_holds_up_no_writer_and_leaves_out_what_was_forgotten() {
    let directory: SharedDirectory = Arc::new(RwLock::new(directory(100)));
    let everyone: Vec<u32> = (0..100).collect();
    let (mut list, mut out) = (list(&directory, &everyone), b"[".to_vec());
    out.extend(list.next_piece().unwrap());
    let last = {
        let mut directory = directory.try_write().expect("the lock is free");
        let last = *directory.order().ordinals.last().unwrap();
        directory.forget(last);
        last
    };
    while let Some(piece) = list.next_piece() {
        out.extend(piece);
    }
    out.push(b']');
    let machines: Vec<serde_json::Value> = serde_json::from_slice(&out).unwrap();
    assert_eq!(machines.len(), 99);
    assert!(machines.iter().all(|machine| machine["id"] != id(last).as_str()));
}

#[test]
#[ignore = "a measurement: cargo test --release -p pintle-store -- --ignored --nocapture seen_again"]
fn what_it_costs_that_a_machine_is_seen_again() {
    let mut directory = directory(1_000);
    let times = 200_000;
    let changes: Vec<Entity> =
        (0..times).map(|n| seen([None, Some("a"), Some("b")][n % 1_000 % 3], n as i64 + 1)).collect();
    let began = Instant::now();
    for (n, change) in changes.into_iter().enumerate() {
        assert!(directory.note(n as u32 % 1_000, change));
    }
    println!("{} ns", began.elapsed().as_nanos() / times as u128);
}
