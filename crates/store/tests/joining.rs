//! Rules that make machines one: whatever came first, tried before they count, and each machine what it was
//! as soon as it is one no more.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails says so")]

mod support;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};

use pintle_model::{MachineId, Record, shapes};
use pintle_store::{
    Folder, JoinRefused, JoinsAsked, Listing, MachineKind, MachineList, MachineRule, MachineRules, Memory,
    Options, OrderBy, Purge, Purged, Retention, SameMachines, SameNames, Store,
};
use serde_json::Value;
use support::observed::DAY;
use support::several_ids::{
    AGENT, DEFENDER, NAME, by_name, everything, full_names, listed, machine, rules, same, set, telemetry,
    with_groups,
};
use support::{SHA1_A, TENANT, alert, append, device, file_seen, hash, open, options, shuffled, whole};

#[test]
fn without_rules_and_after_them_every_answer_is_what_it_was_to_the_byte() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(&store, telemetry());
    for grouped in [false, true] {
        if grouped {
            with_groups(&store);
        }
        let before = everything(&store);
        let pinned = MachineRule::Machines(SameMachines {
            ids: vec![AGENT.parse().unwrap(), "other".parse().unwrap()],
            canonical: Some("other".parse().unwrap()),
        });
        for some in [vec![full_names()], vec![same(&[AGENT, "other"])], vec![pinned, full_names()]] {
            set(&store, &some);
            let joined = everything(&store);
            assert_ne!(joined, before);
            // Once more changes nothing.
            set(&store, &some);
            assert!(everything(&store) == joined);
        }
        assert_eq!(set(&store, &[]), (4, 0));
        assert!(everything(&store) == before);
        assert_eq!(set(&store, &[same(&["unknown", AGENT])]), (4, 0), "one by itself is none of several");
        assert!(everything(&store) == before);
    }
}

#[test]
fn who_is_one_follows_from_what_is_known_whatever_came_first_and_through_every_base_made_anew() {
    let records = telemetry();
    let with_rules = || Options {
        machine_rules: HashMap::from([(TENANT, rules(&[full_names(), same(&[AGENT, "later"])]))]),
        memory: Memory { records: 5, ..Memory::default() },
        ..options()
    };
    let mut expected = None;
    for seed in 0..6 {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), with_rules()).unwrap();
        with_groups(&store);
        for record in shuffled(&records, seed) {
            append(&store, vec![record]);
        }
        let told = everything(&store);
        assert!(*expected.get_or_insert_with(|| told.clone()) == told, "seed {seed}");
        append(&store, vec![file_seen("later", "2026-07-20T00:00:00Z", SHA1_A, "", "")]);
        let told = everything(&store);
        assert_eq!(machine(&store, "later").unwrap()["id"], DEFENDER);
        store.rebuild_online(&mut |_| {}).unwrap();
        assert!(everything(&store) == told);
        let purge = Purge { tenant: TENANT, what: Purged::Machine("later".parse().unwrap()) };
        store.purge(&[purge], &mut |_| {}).unwrap();
        assert!(Some(everything(&store)) == expected);
        drop(store);
        let store = Store::open(folder.path(), with_rules()).unwrap();
        with_groups(&store);
        assert!(Some(everything(&store)) == expected);
        drop(store);
        let store = Store::rebuild(Folder::lock(folder.path()).unwrap(), with_rules(), &mut |_| {}).unwrap();
        with_groups(&store);
        assert!(Some(everything(&store)) == expected);
    }
}

#[test]
fn rules_are_tried_and_what_is_joined_is_told_with_the_rule_that_did_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut records = telemetry();
    for (id, name) in [("twin-1", "twin.corp.example"), ("twin-2", "TWIN.corp.example"), ("short", "ws5")] {
        records.push(device(id, "2026-07-01T00:00:00Z", name, &[], "Linux", ""));
    }
    append(&store, records);
    let preview = |rule: MachineRule, limit| store.preview_machine_rule(TENANT, 7, rule, limit).unwrap();
    let names = preview(full_names(), 10);
    assert_eq!((names.joined, names.refused, names.unknown.len()), (1, 1, 0));
    let one = &names.machines[0];
    assert_eq!((one.id.as_str(), one.rules.as_slice()), (DEFENDER, &[7][..]));
    let told: Vec<_> = one.members.iter().map(|member| (member.id.to_string(), member.kind)).collect();
    let mut expected = vec![
        (AGENT.to_owned(), MachineKind::Agent),
        (by_name(), MachineKind::Name),
        (DEFENDER.to_owned(), MachineKind::Defender),
    ];
    expected.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(told, expected);
    let refused = &names.refusals[0];
    assert_eq!(
        (refused.name.as_str(), refused.why),
        ("twin.corp.example", JoinRefused::SameKind(MachineKind::Agent))
    );
    assert_eq!(refused.machines.len(), 2);
    let short = MachineRule::Names(SameNames { suffix: Some("corp.example".into()), short: true });
    let tried = preview(short, 10);
    assert_eq!((tried.joined, tried.refused), (1, 2));
    assert_eq!(tried.refusals[1].why, JoinRefused::Several(MachineKind::Agent));
    assert_eq!((preview(full_names(), 0).joined, preview(full_names(), 0).machines.len()), (1, 0));
    let unknown = preview(same(&["twin-1", "nobody"]), 10);
    assert_eq!((unknown.joined, unknown.unknown), (0, vec!["nobody".parse().unwrap()]));
    assert_eq!(listed(&store).len(), 7, "nothing was changed");

    assert_eq!(set(&store, &[full_names(), same(&["twin-1", "twin-2"])]), (4, 2));
    let joined = |asked: &JoinsAsked<'_>| {
        let (count, machines) = store.joined_machines(TENANT, asked, 10).unwrap();
        assert_eq!(count, machines.len());
        machines.into_iter().map(|joined| (joined.id.to_string(), joined.rules)).collect::<Vec<_>>()
    };
    let (one, twins) = ((DEFENDER.to_owned(), vec![1]), ("twin-1".to_owned(), vec![2]));
    assert_eq!(joined(&JoinsAsked::default()), [one.clone(), twins.clone()]);
    assert_eq!(joined(&JoinsAsked { rule: Some(2), ..JoinsAsked::default() }), std::slice::from_ref(&twins));
    assert_eq!(joined(&JoinsAsked { machine: Some("TWIN-2".to_lowercase().as_str()), rule: None }), [twins]);
    assert_eq!(joined(&JoinsAsked { machine: Some(&by_name()), rule: None }), [one]);
    for none in ["short", "nobody"] {
        assert_eq!(joined(&JoinsAsked { machine: Some(none), rule: None }), [], "{none}");
    }
    assert_eq!(store.machine_rule_sizes(TENANT).unwrap(), [(1, 1), (2, 1)].into());
    let ids: Vec<String> =
        store.machine_ids(&whole(), NAME).unwrap().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(ids.len(), 3);
    assert_eq!(store.machine_ids(&whole(), "nobody").unwrap(), None);
    // With what is joined already, a name may be certain.
    let with_twins = preview(full_names(), 10);
    assert_eq!((with_twins.joined, with_twins.refused), (0, 0), "rule 1 takes all of them before");
}

const PAIRS: usize = 1_500;

/// Two machines of a name, as Defender knows it and as its name is.
fn pair(n: usize) -> [String; 2] {
    [format!("d{n:05}"), MachineId::derived("host", &format!("host-{n}.corp.example")).to_string()]
}

/// What is said of the two, of the second a day later.
fn reports(n: usize, day: usize) -> [Record; 2] {
    let at = |day: usize| format!("2026-07-{day:02}T00:00:00Z");
    let (name, [one, other]) = (format!("host-{n}.corp.example"), pair(n));
    [
        device(&one, &at(day), &name, &[], "Windows11", "Servers"),
        device(&other, &at(day + 1), &name, &[], "", ""),
    ]
}

/// Every machine of pairs, with a file that was seen on it.
fn pairs(store: &Store) {
    append(store, (0..PAIRS).flat_map(|n| reports(n, 1)).collect());
    let seen = |id: String| file_seen(&id, "2026-07-01T00:00:00Z", SHA1_A, "", "");
    append(store, (0..PAIRS).flat_map(|n| pair(n).map(seen)).collect());
}

/// The machines of a list, those of its first piece as they were when `meanwhile` was not yet done.
fn drained(mut list: MachineList, meanwhile: impl FnOnce()) -> Vec<Value> {
    let mut out = b"[".to_vec();
    out.extend(list.next_piece().unwrap());
    meanwhile();
    while let Some(piece) = list.next_piece() {
        out.extend_from_slice(&piece);
    }
    out.push(b']');
    serde_json::from_slice(&out).unwrap()
}

/// Each of some machines once, by its id and by when it was seen.
fn told(machines: &[Value]) -> BTreeSet<(String, String)> {
    let text = |machine: &Value, member: &str| machine[member].as_str().unwrap().to_owned();
    let all: BTreeSet<_> = machines.iter().map(|one| (text(one, "id"), text(one, "lastSeen"))).collect();
    assert_eq!(all.len(), machines.len(), "one is there twice");
    all
}

#[test]
fn a_list_that_is_written_while_rules_change_is_of_one_moment_of_the_rules() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    pairs(&store);
    let all = || store.list_machines(&whole(), &Listing::ALL).unwrap();
    let by_name = [OrderBy { member: shapes::machine::COMPUTER_DNS_NAME, descending: true }];
    let ordered = || {
        let listing = Listing { order: &by_name, ..Listing::ALL };
        store.list_file_machines(&whole(), &hash(SHA1_A), &listing).unwrap().unwrap().0
    };
    let apart = || assert_eq!(set(&store, &[]).1, 0);
    let joined = || assert_eq!(set(&store, &[full_names()]).1, PAIRS);
    let two = told(&drained(all(), || {}));
    assert_eq!(two.len(), 2 * PAIRS);
    joined();
    let one = told(&drained(all(), || {}));
    assert_eq!(one.len(), PAIRS);
    assert!(one.iter().all(|(_, seen)| seen == "2026-07-02T00:00:00Z"));
    for _ in 0..2 {
        assert!(told(&drained(all(), apart)) == one);
        assert!(told(&drained(all(), joined)) == two);
        assert!(told(&drained(ordered(), apart)) == one);
        assert!(told(&drained(ordered(), joined)) == two);
    }
    // Of a list of ids alone the same holds.
    let scope = whole();
    let question = store.look_up_files(&scope).unwrap();
    let mut ids = question.machine_ids(question.find(&hash(SHA1_A)).unwrap().unwrap()).unwrap();
    apart();
    let mut listed = Vec::new();
    while ids.next_some(100, &mut |id| listed.push(id.to_owned())) {}
    assert!(listed == (0..PAIRS).map(|n| pair(n)[0].clone()).collect::<Vec<_>>());
}

/// Pairs of machines are one or two while everybody asks and more is heard of them.
#[test]
fn who_asks_while_rules_change_sees_all_as_before_or_all_as_after() {
    let folder = tempfile::tempdir().unwrap();
    let retention = Retention { sightings: Some(DAY * 100_000), ..Retention::default() };
    let store = Store::open(folder.path(), Options { retention, ..options() }).unwrap();
    pairs(&store);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut counts = BTreeSet::new();
            while !stop.load(Ordering::Relaxed) {
                counts.insert(store.list_machines(&whole(), &Listing::ALL).unwrap().left());
                let sizes = store.device_group_sizes(TENANT).unwrap();
                counts.insert(sizes.values().sum());
                let by_file = store.list_file_machines(&whole(), &hash(SHA1_A), &Listing::ALL);
                let (by_file, found) = by_file.unwrap().unwrap();
                let by_file = told(&drained(by_file, || {})).len();
                assert_eq!(by_file, found.written);
                counts.insert(by_file);
                counts.insert(store.file_sightings(&whole(), &hash(SHA1_A)).unwrap().unwrap().0.len());
            }
            counts
        });
        let counting = scope.spawn(|| {
            let mut counts = BTreeSet::new();
            while !stop.load(Ordering::Relaxed) {
                counts.insert(store.joined_machines(TENANT, &JoinsAsked::default(), 0).unwrap().0);
                counts.extend(store.machine_rule_sizes(TENANT).unwrap().into_values());
            }
            counts
        });
        let telling = scope.spawn(|| {
            let mut day = 1;
            while !stop.load(Ordering::Relaxed) {
                day += 1;
                append(&store, (0..100).flat_map(|n| reports(n * 7 % PAIRS, day % 28 + 1)).collect());
            }
        });
        for round in 0..6 {
            let rules = if round % 2 == 0 { vec![full_names()] } else { Vec::new() };
            let expected = if round % 2 == 0 { (PAIRS, PAIRS) } else { (2 * PAIRS, 0) };
            assert_eq!(set(&store, &rules), expected);
            if round % 3 == 0 {
                with_groups(&store);
            }
        }
        stop.store(true, Ordering::Relaxed);
        telling.join().unwrap();
        assert!(counting.join().unwrap().is_subset(&[0, PAIRS].into()));
        assert!(asking.join().unwrap().is_subset(&[PAIRS, 2 * PAIRS].into()));
    });
}

/// Where some machines are lost, nobody knows which are one: what counts them is refused, if any may be.
#[test]
fn what_counts_machines_is_refused_where_some_are_lost_that_may_be_one_with_others() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let report = |n: usize| device(&format!("m{n:04}"), "2026-07-01T00:00:00Z", NAME, &[], "Linux", "");
    append(&store, (0..2_000).map(report).collect());
    append(&store, vec![file_seen("m0001", "2026-07-01T00:00:00Z", SHA1_A, "", "")]);
    append(&store, vec![alert("a1", "m0001", "2026-07-02T00:00:00Z", SHA1_A)]);
    drop(store);
    let run = std::fs::read_dir(folder.path().join("base")).unwrap().map(|entry| entry.unwrap().path());
    let run = run.filter(|path| path.extension().is_some_and(|kind| kind == "run")).max().unwrap();
    let mut bytes = std::fs::read(&run).unwrap();
    bytes[300] ^= 1;
    std::fs::write(&run, bytes).unwrap();
    let (hash, id) = (hash(SHA1_A), "a1".parse().unwrap());
    let store = open(folder.path());
    assert!(store.machine(&whole(), "m0001").is_err(), "the machines are lost");
    assert!(store.file(&whole(), &hash).is_ok() && store.alert(&whole(), &id).is_ok());
    drop(store);
    let machine_rules = HashMap::from([(TENANT, rules(&[same(&["m0001", "m0002"])]))]);
    let store = Store::open(folder.path(), Options { machine_rules, ..options() }).unwrap();
    assert!(store.file(&whole(), &hash).is_err() && store.alert(&whole(), &id).is_err());
    assert!(store.set_machine_rules(TENANT, MachineRules::none()).is_err());
}
