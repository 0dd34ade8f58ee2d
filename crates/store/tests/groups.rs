//! Device groups: who is in which, who sees what of it, and that a change shows whole or not at all.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails says so")]

mod support;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pintle_model::Record;
use pintle_store::{
    DeviceGroup, DeviceGroups, DeviceRule, Folder, Listing, Operator, Options, Page, Purge, Purged,
};
use pintle_store::{Scope, Store};
use serde_json::Value;
use support::{
    REST, SHA1_A, TENANT, alert, append, batch, device, entities, evidence_row, groups, in_group, list,
    machine_ids, open, rest, row, source_groups, whole,
};

const DAY: &str = "2026-06-01T00:00:00Z";
const NEXT_DAY: &str = "2026-06-02T00:00:00Z";

fn group(id: u32, rule: DeviceRule) -> DeviceGroup {
    DeviceGroup { id, name: format!("group {id}"), rule }
}

fn name_starts(with: &str) -> DeviceRule {
    DeviceRule { name: vec![row(Operator::StartsWith, with)], ..DeviceRule::default() }
}

fn tagged(tag: &str) -> DeviceRule {
    DeviceRule { tag: vec![row(Operator::Equals, tag)], ..DeviceRule::default() }
}

/// What each machine shows of its group, written in pieces as a server does it.
fn shown(store: &Store) -> BTreeMap<String, (Value, Value)> {
    let machines = entities(|out| {
        let mut list = store.list_machines(&whole(), &Listing::ALL)?;
        let written = list.left();
        while let Some(piece) = list.next_piece() {
            out.extend_from_slice(&piece);
        }
        Ok(written)
    });
    machines
        .into_iter()
        .map(|machine| {
            let id = machine["id"].as_str().unwrap().to_owned();
            (id, (machine["rbacGroupId"].clone(), machine["rbacGroupName"].clone()))
        })
        .collect()
}

fn machines(store: &Store, scope: &Scope) -> Vec<String> {
    list(|out| store.machines(scope, Page::ALL, out))
}

fn alerts(store: &Store, scope: &Scope) -> Vec<String> {
    list(|out| store.alerts(scope, Page::ALL, out))
}

/// Who sees which machines in a store with three of them: servers are group 1.
fn fill(store: &Store) {
    append(
        store,
        vec![
            in_group("m1", "Servers", SHA1_A),
            in_group("m2", "Clients", SHA1_A),
            device("m3", DAY, "kiosk.example.org", &[], "Linux", ""),
            alert("on-1", "m1", DAY, SHA1_A),
            alert("on-3", "m3", DAY, SHA1_A),
            evidence_row("nowhere", "", SHA1_A),
        ],
    );
}

#[test]
fn a_change_of_the_rules_moves_machines_and_their_alerts() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fill(&store);
    let alert_groups = |store: &Store| {
        let listed = entities(|out| store.alerts(&whole(), Page::ALL, out));
        let of_list = listed.iter().map(|alert| alert["rbacGroupName"].clone()).collect::<Vec<_>>();
        let by_id = ["nowhere", "on-1", "on-3"].map(|id| {
            let text = store.alert(&whole(), &id.parse().unwrap()).unwrap().unwrap();
            serde_json::from_str::<Value>(&format!("{{{text}}}")).unwrap()["rbacGroupName"].clone()
        });
        assert_eq!(of_list, by_id);
        by_id.map(|group| group.as_str().map(str::to_owned))
    };
    let text = |text: &str| Some(text.to_owned());
    let show = |id: Value, name: Value| (id, name);
    let of = |store: &Store| shown(store).into_values().collect::<Vec<_>>();

    let told = [
        show(Value::Null, "Servers".into()),
        show(Value::Null, "Clients".into()),
        show(0.into(), Value::Null),
    ];
    assert_eq!(of(&store), told, "without device groups telemetry is believed");
    assert_eq!(machines(&store, &groups(&[0])), ["m1", "m2", "m3"]);
    assert_eq!(alerts(&store, &groups(&[0])), ["on-1", "on-3"], "and not the one that is on no machine");
    assert_eq!(alert_groups(&store), [None, None, None]);

    let changed = store.set_device_groups(TENANT, source_groups(&["servers"])).unwrap();
    assert_eq!((changed.machines, changed.moved), (3, 3));
    let rest = || show(REST.into(), "UnassignedGroup".into());
    assert_eq!(of(&store), [show(1.into(), "servers".into()), rest(), rest()]);
    assert_eq!(alert_groups(&store), [None, text("servers"), text("UnassignedGroup")]);
    let seen = |ids: &[u32]| (machines(&store, &groups(ids)), alerts(&store, &groups(ids)));
    let both = |machines: &[&str], alerts: &[&str]| {
        let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        (owned(machines), owned(alerts))
    };
    assert_eq!(seen(&[1]), both(&["m1"], &["on-1"]));
    assert_eq!(seen(&[0]), both(&[], &[]), "who saw the machines in no group sees none of those in groups");
    assert_eq!(seen(&[REST]), both(&["m2", "m3"], &["on-3"]));

    let linux = DeviceRule { os: vec!["linux".into()], ..DeviceRule::default() };
    let other = DeviceGroups::new(vec![group(2, linux)], support::rest());
    assert_eq!(store.set_device_groups(TENANT, other.clone()).unwrap().moved, 2);
    assert_eq!(of(&store), [rest(), rest(), show(2.into(), "group 2".into())]);
    assert_eq!(seen(&[1]), both(&[], &[]));
    assert_eq!(seen(&[2]), both(&["m3"], &["on-3"]));
    assert!(store.alert(&groups(&[2]), &"on-1".parse().unwrap()).unwrap().is_none());
    assert!(store.machine(&groups(&[2]), "m1").unwrap().is_none());
    assert!(store.machine(&groups(&[2]), "KIOSK.example.org").unwrap().is_some());
    assert_eq!(machine_ids(&store, &groups(&[2, REST]), SHA1_A).unwrap(), ["m1", "m2", "m3"]);
    assert_eq!(store.set_device_groups(TENANT, other).unwrap().moved, 0);
    let sizes = BTreeMap::from([(2, 1), (REST, 2)]);
    assert_eq!(store.device_group_sizes(TENANT).unwrap(), sizes);

    assert_eq!(store.set_device_groups(TENANT, DeviceGroups::none()).unwrap().moved, 3);
    assert_eq!(of(&store), told);
    assert_eq!(alert_groups(&store), [None, None, None]);
    assert_eq!(store.device_group_sizes(TENANT).unwrap(), BTreeMap::from([(0, 3)]));
}

#[test]
fn a_group_that_is_renamed_shows_its_new_name_and_moves_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fill(&store);
    let named = |name: &str| {
        let rule = DeviceRule { source_group: vec![row(Operator::Equals, "Servers")], ..Default::default() };
        DeviceGroups::new(vec![DeviceGroup { id: 1, name: name.into(), rule }], rest())
    };
    store.set_device_groups(TENANT, named("Before")).unwrap();
    assert_eq!(shown(&store)["m1"].1, "Before");
    assert_eq!(store.set_device_groups(TENANT, named("After")).unwrap().moved, 0);
    assert_eq!(shown(&store)["m1"].1, "After");
}

#[test]
fn what_is_heard_of_a_machine_moves_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let linux = DeviceRule { os: vec!["Linux".into()], ..DeviceRule::default() };
    let source = DeviceRule { source_group: vec![row(Operator::Equals, "Lab")], ..DeviceRule::default() };
    let ranked =
        vec![group(1, tagged("vip")), group(2, name_starts("srv")), group(3, source), group(4, linux)];
    store.set_device_groups(TENANT, DeviceGroups::new(ranked, rest())).unwrap();
    let mut day = 0;
    let mut hear = |name: &str, tags: &[&str], os: &str, source: &str| {
        day += 1;
        append(&store, vec![device("m1", &format!("2026-05-{day:02}T00:00:00Z"), name, tags, os, source)]);
        let (id, _) = shown(&store).remove("m1").unwrap();
        let id = u32::try_from(id.as_u64().unwrap()).unwrap();
        assert_eq!(machines(&store, &groups(&[id])), ["m1"]);
        assert!(
            machines(&store, &groups(&(0..100).filter(|other| *other != id).collect::<Vec<_>>())).is_empty()
        );
        id
    };
    assert_eq!(hear("desk", &[], "", ""), REST);
    assert_eq!(hear("desk", &[], "Linux", ""), 4);
    assert_eq!(hear("desk", &[], "Linux", "Lab"), 3);
    assert_eq!(hear("srv-1", &[], "Linux", "Lab"), 2);
    assert_eq!(hear("srv-1", &["VIP"], "Linux", "Lab"), 1);
    assert_eq!(hear("desk", &["other"], "Windows11", "Office"), REST);
}

fn with_groups(groups: DeviceGroups) -> Options {
    Options { device_groups: HashMap::from([(TENANT, groups)]), ..support::options() }
}

#[test]
fn the_groups_hold_from_the_start_and_through_every_base_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let servers = || with_groups(source_groups(&["Servers"]));
    let holds = |store: &Store| {
        let ids: Vec<Value> = shown(store).into_values().map(|(id, _)| id).collect();
        assert_eq!(ids, [1, REST, REST].map(Value::from));
        assert_eq!(machines(store, &groups(&[1])), ["m1"]);
        assert_eq!(alerts(store, &groups(&[1])), ["on-1"]);
    };
    // Before anything is known of the tenant.
    let store = Store::open(folder.path(), servers()).unwrap();
    fill(&store);
    holds(&store);
    drop(store);
    let store = Store::open(folder.path(), servers()).unwrap();
    holds(&store);
    store.rebuild_online(&mut |_| {}).unwrap();
    holds(&store);
    append(&store, vec![in_group("m4", "Servers", SHA1_A)]);
    assert_eq!(machines(&store, &groups(&[1])), ["m1", "m4"]);
    let purge = Purge { tenant: TENANT, what: Purged::Machine("m4".parse().unwrap()) };
    store.purge(&[purge], &mut |_| {}).unwrap();
    holds(&store);
    drop(store);
    // All of it from the archive.
    std::fs::remove_dir_all(folder.path().join("base")).unwrap();
    holds(&Store::open(folder.path(), servers()).unwrap());
    holds(&Store::rebuild(Folder::lock(folder.path()).unwrap(), servers(), &mut |_| {}).unwrap());

    let store = open(folder.path());
    assert_eq!(shown(&store)["m1"].0, Value::Null, "the store keeps no groups");
    store.set_device_groups(TENANT, source_groups(&["Servers"])).unwrap();
    store.rebuild_online(&mut |_| {}).unwrap();
    holds(&store);
}

#[test]
fn groups_that_change_while_the_base_is_made_anew_hold_in_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), with_groups(source_groups(&["Clients"]))).unwrap();
    fill(&store);
    let mut changes = 0;
    store
        .rebuild_online(&mut |_| {
            changes += 1;
            let changed = store.set_device_groups(TENANT, source_groups(&["Servers"])).unwrap();
            assert_eq!(changed.machines, 3);
        })
        .unwrap();
    assert!(changes > 0);
    assert_eq!(machines(&store, &groups(&[1])), ["m1"]);
    assert_eq!(shown(&store)["m1"], (1.into(), "Servers".into()));
}

#[test]
fn a_preview_says_what_a_rule_alone_takes() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let report =
        |n: usize| device(&format!("m{n:04}"), DAY, &format!("host-{}-{n}", n % 2), &[], "Linux", "");
    append(&store, (0..2_500).map(report).collect());
    store.set_device_groups(TENANT, DeviceGroups::new(vec![group(1, name_starts("host"))], rest())).unwrap();
    for limit in [0, 2, 10_000] {
        let preview = store.preview_device_group(TENANT, &name_starts("HOST-1"), limit).unwrap();
        assert_eq!((preview.matching, preview.machines.len()), (1_250, limit.min(1_250)));
        let first: Vec<String> = preview.machines.iter().take(2).map(|(id, _)| id.to_string()).collect();
        assert_eq!(first, ["m0001", "m0003"][..limit.min(2)]);
        assert!(preview.machines.iter().all(|(_, name)| name.as_ref().unwrap().starts_with("host-1-")));
    }
    assert_eq!(store.preview_device_group(TENANT, &DeviceRule::default(), 10).unwrap(), Default::default());
    assert_eq!(store.device_group_sizes(TENANT).unwrap(), BTreeMap::from([(1, 2_500)]));
}

/// Half of the machines are seen by one sort of groups, a quarter by another, none without. The rest is in a group
/// that nobody sees, and its machines are given other names meanwhile.
#[test]
fn who_asks_while_groups_change_sees_all_as_before_or_all_as_after() {
    const ALL: usize = 20_000;
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let name = |n: usize| if n < ALL / 2 { format!("a{}-{n}", n % 2) } else { format!("z-{n}") };
    let report = |n: usize| device(&format!("m{n:05}"), DAY, &name(n), &[], "", "");
    for part in 0..4 {
        append(&store, (part * ALL / 4..(part + 1) * ALL / 4).map(report).collect());
    }
    append(&store, (0..40).map(|n| alert(&format!("a{n:02}"), &format!("m{n:05}"), DAY, SHA1_A)).collect());
    let sort = |visible: &str| {
        let ranked = vec![group(1, name_starts(visible)), group(2, name_starts("x"))];
        DeviceGroups::new(ranked, rest())
    };
    store.set_device_groups(TENANT, sort("a0")).unwrap();
    let (stop, acknowledged, seen) = (AtomicBool::new(false), AtomicUsize::new(0), groups(&[1]));
    let is_on = || !stop.load(Ordering::Relaxed);
    std::thread::scope(|scope| {
        let ask = |ask: &'static (dyn Fn(&Store, &Scope) -> usize + Sync)| {
            let (store, seen, is_on) = (&store, &seen, &is_on);
            scope.spawn(move || {
                let (mut counts, mut asked) = (BTreeSet::new(), 0);
                while is_on() {
                    counts.insert(ask(store, seen));
                    asked += 1;
                }
                (counts, asked)
            })
        };
        let listed = ask(&|store, scope| store.list_machines(scope, &Listing::ALL).unwrap().left());
        let alerts = ask(&|store, scope| store.alerts(scope, Page::ALL, &mut Vec::new()).unwrap());
        let renaming = scope.spawn(|| {
            let mut renamed = 0;
            while is_on() && renamed < ALL / 2 {
                let rename = |n: usize| device(&format!("m{n:05}"), NEXT_DAY, "x", &[], "", "");
                let from = ALL / 2 + renamed;
                store.append(batch((from..from + 50).map(rename).collect::<Vec<Record>>())).unwrap();
                renamed += 50;
                acknowledged.store(renamed, Ordering::SeqCst);
            }
            renamed
        });
        let mut lost = 0;
        for n in 0..12 {
            let sorts = [sort("a"), DeviceGroups::none(), sort("a0")];
            store.set_device_groups(TENANT, sorts[n % 3].clone()).unwrap();
            let renamed = if n % 3 == 1 { 0 } else { acknowledged.load(Ordering::SeqCst) };
            let there = store.device_group_sizes(TENANT).unwrap().get(&2).copied().unwrap_or_default();
            lost += renamed.saturating_sub(there);
        }
        stop.store(true, Ordering::Relaxed);
        let renamed = renaming.join().unwrap();
        assert!(renamed > 0);
        assert_eq!(lost, 0, "machines that got other names meanwhile are not in their group");
        let expected: [BTreeSet<usize>; 2] =
            [BTreeSet::from([0, ALL / 4, ALL / 2]), BTreeSet::from([0, 20, 40])];
        for (asking, expected) in [listed, alerts].into_iter().zip(expected) {
            let (counts, asked) = asking.join().unwrap();
            println!("asked {asked} times while {renamed} machines got other names: {counts:?}");
            assert!(counts.is_subset(&expected), "{counts:?}");
            assert!(asked > 10, "{asked}");
        }
        // The last sort: what is shown and what is visible, also of those renamed meanwhile.
        let expected = BTreeMap::from([(1, ALL / 4), (2, renamed), (REST, ALL - ALL / 4 - renamed)]);
        assert_eq!(
            store.device_group_sizes(TENANT).unwrap(),
            BTreeMap::from_iter(expected.clone().into_iter().filter(|(_, size)| *size > 0))
        );
        let mut told = BTreeMap::new();
        for (id, _) in shown(&store).into_values() {
            *told.entry(u32::try_from(id.as_u64().unwrap()).unwrap()).or_default() += 1;
        }
        assert_eq!(told, expected);
    });
}

#[test]
fn of_several_who_change_the_groups_at_once_one_is_the_last_in_everything() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(&store, (0..2_000).map(|n| device(&format!("m{n:04}"), DAY, "host", &[], "", "")).collect());
    for _ in 0..5 {
        std::thread::scope(|scope| {
            for id in 1..=4 {
                let store = &store;
                scope.spawn(move || {
                    let sort = DeviceGroups::new(vec![group(id, name_starts("host"))], rest());
                    assert_eq!(store.set_device_groups(TENANT, sort).unwrap().machines, 2_000);
                });
            }
        });
        let sizes = store.device_group_sizes(TENANT).unwrap();
        assert_eq!(sizes.len(), 1, "{sizes:?}");
        let id = Value::from(*sizes.keys().next().unwrap());
        assert!(shown(&store).into_values().all(|(shown, _)| shown == id));
        append(&store, vec![device("m0000", DAY, "host", &["x"], "", "")]);
        assert_eq!(shown(&store)["m0000"].0, id, "the rules are that one's too");
        store.rebuild_online(&mut |_| {}).unwrap();
        assert_eq!(store.device_group_sizes(TENANT).unwrap(), sizes, "and those of a base made anew");
    }
}
