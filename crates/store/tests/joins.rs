//! Machines that are one by rules: answered as one wherever they are named or counted, and changed as one.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails says so")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use pintle_model::{MachineId, Time, shapes};
use pintle_store::{
    Comparison, Condition, DeviceGroups, DeviceRule, Filter, Listing, Literal, MachineChange, MachineRule,
    NewAlert, Operand, Options, OrderBy, Page, Refused, Retention, SameMachines, Scope, Store, TagChange,
};
use serde_json::Value;
use support::observed::{DAY, at, domain, ids, ip, logon_users, machines, stats, user, user_machines};
use support::several_ids::{
    AGENT, DEFENDER, NAME, alerts, by_name, full_names, listed, machine, same, set, telemetry, with_groups,
};
use support::{
    SHA1_A, SHA1_B, SHA256_A, TENANT, append, device, file_seen, groups, hash, machine_ids, open,
    sighting_of, time, whole,
};

#[test]
fn a_machine_of_several_ids_is_one_wherever_it_is_named_or_counted() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(&store, telemetry());
    assert_eq!(set(&store, &[full_names()]), (2, 1));
    let one = machine(&store, AGENT).unwrap();
    for id in [DEFENDER, &by_name(), &AGENT.to_uppercase(), NAME, "WS5.CORP.example"] {
        assert_eq!(machine(&store, id).as_ref(), Some(&one), "{id}");
    }
    for (member, value) in [
        ("id", DEFENDER),
        ("computerDnsName", NAME),
        ("osPlatform", "windows"),
        ("rbacGroupName", "Servers"),
        ("firstSeen", "2026-07-01T12:00:00Z"),
        ("lastSeen", "2026-07-09T12:00:00Z"),
    ] {
        assert_eq!(one[member], value, "{member}");
    }
    assert_eq!(one["machineTags"], serde_json::json!(["vip"]));
    assert_eq!(one["ipAddresses"].as_array().unwrap().len(), 1, "one adapter, told by two");
    let all = listed(&store);
    assert_eq!((all.len(), &all[0]), (2, &one));
    assert_eq!(store.list_machines(&whole(), &Listing::ALL).unwrap().left(), 2);
    assert_eq!(store.device_group_sizes(TENANT).unwrap(), [(0, 2)].into());

    let both = [DEFENDER, "other"];
    assert_eq!(machine_ids(&store, &whole(), SHA1_A).unwrap(), both);
    assert_eq!(machine_ids(&store, &whole(), SHA256_A).unwrap(), [DEFENDER]);
    assert_eq!(machines(&store, &whole(), &domain("evil.example")).unwrap(), [DEFENDER]);
    assert_eq!(user_machines(&store, &whole(), "alex").unwrap(), both);
    let moment = time("2026-07-02T12:00:00Z");
    for own in ["192.0.2.1", "192.0.2.2"] {
        assert_eq!(at(&store, &whole(), own, moment, 15), [DEFENDER]);
    }
    let span = |first: &str, last: &str| {
        let of = |day: &str| time(&format!("2026-07-{day}T12:00:00Z"));
        Some(pintle_store::Span { first: of(first), last: of(last) })
    };
    assert_eq!(sighting_of(&store, SHA1_A, DEFENDER).any_role, span("02", "06"));
    let counted = store.file_stats(&whole(), &hash(SHA1_A), DAY * 365).unwrap().unwrap();
    assert_eq!((counted.machines, counted.recent_machines, counted.ever), (2, 2, span("02", "06")));
    let evil = stats(&store, &whole(), &ip("203.0.113.7"), DAY * 365).unwrap();
    assert_eq!((evil.machines, evil.seen), (1, span("03", "05")));
    let found = store.look_up_files(&whole()).unwrap().find(&hash(SHA256_A)).unwrap().unwrap();
    assert_eq!(found.machines, 1);

    let alex = user(&store, &whole(), "alex").unwrap();
    assert_eq!(
        ["logOnMachinesCount", "mostPrevalentMachineId", "leastPrevalentMachineId"].map(|m| alex[m].clone()),
        [Value::from(2), DEFENDER.into(), "other".into()]
    );
    for id in [DEFENDER, AGENT, &by_name()] {
        let users = logon_users(&store, &whole(), id).unwrap();
        let told: Vec<_> =
            users.iter().map(|user| (&user["id"], &user["logonTypes"], &user["firstSeen"])).collect();
        let day = |day: &str| Value::from(format!("2026-07-{day}T12:00:00Z"));
        let [alex, kim, kinds, network] =
            ["corp\\alex", "corp\\kim", "Interactive, Network", "Network"].map(Value::from);
        assert_eq!(told, [(&alex, &kinds, &day("03")), (&kim, &network, &day("05"))]);
    }
    // What is told of a user who is seen on visible machines alone comes from all ids of them too.
    with_groups(&store);
    let narrowed = user(&store, &groups(&[1]).narrowing_statistics(true), "alex").unwrap();
    assert_eq!(
        [&narrowed["logonTypes"], &narrowed["logOnMachinesCount"]],
        [&Value::from("Interactive, Network"), &1.into()]
    );
}

#[test]
fn the_alerts_of_a_machine_are_those_of_all_its_ids_and_name_the_one_by_which_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(&store, telemetry());
    set(&store, &[full_names()]);
    let pair = |id: &str, machine: &str| (id.to_owned(), machine.to_owned());
    let on_it = [pair("on-agent", DEFENDER), pair("on-defender", DEFENDER)];
    let all = [&[pair("nowhere", "-")], &on_it[..], &[pair("on-other", "other")]].concat();
    assert_eq!(alerts(store.list_alerts(&whole(), &Listing::ALL).unwrap()), all);
    for id in [DEFENDER, AGENT, &by_name()] {
        let listed = store.machine_alerts(&whole(), id, &Listing::ALL).unwrap().unwrap();
        assert_eq!(alerts(listed), on_it, "{id}");
    }
    for id in ["on-agent", "on-defender"].map(|id| id.parse().unwrap()) {
        let alert: Value =
            serde_json::from_str(&format!("{{{}}}", store.alert(&whole(), &id).unwrap().unwrap())).unwrap();
        assert_eq!(alert["machineId"], DEFENDER);
        assert!(store.alert_machine(&whole(), &id).unwrap().unwrap().unwrap().contains(DEFENDER));
    }
    let operand = Operand::member(&shapes::alert::ASKABLE, shapes::alert::MACHINE_ID).unwrap();
    let literal = |id: &str| Literal::Text(id.to_owned());
    let asked = |condition: Condition| {
        let filter = Filter::new(&shapes::alert::ASKABLE, condition);
        let by = [OrderBy { member: shapes::alert::MACHINE_ID, descending: true }];
        let listing = Listing { filter: Some(&filter), order: &by, count: true, ..Listing::ALL };
        let list = store.list_alerts(&whole(), &listing).unwrap();
        assert_eq!(list.about().count, Some(list.left()));
        alerts(list).into_iter().map(|(id, _)| id).collect::<Vec<_>>()
    };
    for id in [DEFENDER, AGENT, &AGENT.to_uppercase(), &by_name()] {
        let is = Condition::compare(operand, Comparison::Eq, literal(id)).unwrap();
        assert_eq!(asked(is.clone()), ["on-agent", "on-defender"], "{id}");
        assert_eq!(asked(Condition::negated(is).unwrap()), ["on-other", "nowhere"], "{id}");
        let one_of = Condition::one_of(operand, vec![literal(id), literal("other")]).unwrap();
        assert_eq!(asked(one_of), ["on-other", "on-agent", "on-defender"]);
    }
    // Lists of machines take any id as well.
    let operand = Operand::member(&shapes::machine::SHAPE, shapes::machine::ID).unwrap();
    for id in [DEFENDER, AGENT, &by_name()] {
        let is = Condition::compare(operand, Comparison::Eq, literal(id)).unwrap();
        let filter = Filter::new(&shapes::machine::SHAPE, is);
        let listing = Listing { filter: Some(&filter), ..Listing::ALL };
        assert_eq!(ids(store.list_machines(&whole(), &listing).unwrap()), [DEFENDER]);
    }
}

#[test]
fn nobody_sees_a_part_of_a_machine_whose_whole_they_may_not_see() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(&store, telemetry());
    with_groups(&store);
    let sees = |scope: &Scope| {
        let ids = [DEFENDER, AGENT].map(|id| store.machine(scope, id).unwrap().is_some());
        let alerts =
            ["on-agent", "on-defender"].map(|id| store.alert(scope, &id.parse().unwrap()).unwrap().is_some());
        (ids, alerts, machine_ids(&store, scope, SHA256_A).unwrap_or_default().len())
    };
    let (vips, others) = (groups(&[1]), groups(&[support::REST]));
    assert_eq!(
        (sees(&vips), sees(&others)),
        (([true, false], [false, true], 1), ([false, true], [true, false], 1))
    );
    set(&store, &[full_names()]);
    assert_eq!((sees(&vips), sees(&others)), (([true; 2], [true; 2], 1), ([false; 2], [false; 2], 0)));
    assert_eq!(store.device_group_sizes(TENANT).unwrap(), [(1, 1), (support::REST, 1)].into());
    // A tag that comes or goes moves all of it.
    let tags = |tags: TagChange| MachineChange { tags: Some(tags), device_value: None };
    let took =
        store.change_machines(&whole(), "kim", &[by_name()], &tags(TagChange::Remove("vip".into()))).unwrap();
    assert!(took[0].contains("UnassignedGroup"));
    assert_eq!((sees(&vips), sees(&others)), (([false; 2], [false; 2], 0), ([true; 2], [true; 2], 1)));
    append(&store, vec![device(AGENT, "2026-07-20T00:00:00Z", NAME, &["vip"], "", "")]);
    assert_eq!(sees(&vips).0, [false; 2], "it was taken from the machine, whichever source gives it");
    store.change_machines(&whole(), "kim", &[NAME.to_owned()], &tags(TagChange::Add("vip".into()))).unwrap();
    assert_eq!(sees(&vips).0, [true; 2]);
    store.set_device_groups(TENANT, DeviceGroups::none()).unwrap();
    assert_eq!(sees(&groups(&[0])).0, [true; 2]);
}

/// Who may only speak in a namespace could say anything of the machines of theirs, and such a machine may be one
/// with another's.
#[test]
fn what_is_said_in_a_namespace_moves_nobody_else_s_machine() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let of_plant = MachineId::of_namespace("plant", "m1").to_string();
    let of_site = MachineId::of_namespace("site", "m1").to_string();
    let says = |id: &str, day: u32, tags: &[&str], os: &str| {
        let at = format!("2026-07-{day:02}T00:00:00Z");
        append(&store, vec![device(id, &at, "ws5.corp.example", tags, os, "")]);
    };
    says(DEFENDER, 1, &[], "");
    with_groups(&store);
    set(&store, &[same(&[DEFENDER, &of_plant])]);
    let shows = |id: &str| {
        let machine = machine(&store, id).unwrap();
        ["rbacGroupName", "machineTags", "osPlatform"].map(|member| machine[member].clone())
    };
    let vip = serde_json::json!(["vip"]);
    says(&of_plant, 9, &["vip"], "Linux");
    // Nobody else says anything of tags and platform; and yet it is where it was.
    let expected = ["UnassignedGroup".into(), vip.clone(), "Linux".into()];
    assert_eq!(shows(DEFENDER), expected);
    with_groups(&store);
    assert_eq!(shows(&of_plant), expected);
    assert_eq!(store.device_group_sizes(TENANT).unwrap(), [(support::REST, 1)].into());
    assert!(store.machine(&groups(&[1]), DEFENDER).unwrap().is_none());
    let rule = DeviceRule { os: vec!["Linux".into()], ..DeviceRule::default() };
    assert_eq!(store.preview_device_group(TENANT, &rule, 1).unwrap().matching, 0);

    // What shows may be the same when somebody else says it, and then it counts.
    says(DEFENDER, 2, &["vip"], "Windows11");
    assert_eq!(shows(DEFENDER), ["vips".into(), vip.clone(), "Windows11".into()]);
    says(&of_plant, 10, &["lab"], "Linux");
    says(DEFENDER, 3, &["other"], "");
    says(&of_plant, 11, &["vip"], "Linux");
    let expected = ["UnassignedGroup".into(), serde_json::json!(["other"]), "Windows11".into()];
    assert_eq!(shows(&of_plant), expected);
    // People mean the machine, whichever id they name.
    let tag = MachineChange { tags: Some(TagChange::Add("vip".into())), device_value: None };
    store.change_machines(&whole(), "kim", std::slice::from_ref(&of_plant), &tag).unwrap();
    assert_eq!(shows(DEFENDER)[0], "vips");

    // Of two namespaces the one speaks by whose id the machine goes.
    says(&of_site, 1, &["lab"], "Linux");
    let pair = SameMachines {
        ids: vec![of_plant.parse().unwrap(), of_site.parse().unwrap()],
        canonical: Some(of_site.parse().unwrap()),
    };
    set(&store, &[MachineRule::Machines(pair)]);
    let tag = MachineChange { tags: Some(TagChange::Remove("vip".into())), device_value: None };
    store.change_machines(&whole(), "kim", std::slice::from_ref(&of_plant), &tag).unwrap();
    says(&of_plant, 12, &["vip", "lab"], "Windows11");
    let expected = ["UnassignedGroup".into(), serde_json::json!(["lab"]), "Linux".into()];
    assert_eq!(shows(&of_plant), expected);
    says(&of_site, 2, &["lab"], "vip");
    assert_eq!(shows(&of_site)[2], "vip");
}

/// A rule has ids of 40 digits in lower case, and a source may not.
#[test]
fn a_rule_names_a_machine_whose_source_writes_its_id_in_capitals() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let capitals = DEFENDER.to_uppercase();
    append(&store, vec![file_seen(&capitals, "2026-07-01T00:00:00Z", SHA1_A, "", "")]);
    append(&store, vec![file_seen(AGENT, "2026-07-01T00:00:00Z", SHA1_A, "", "")]);
    let ids = vec![AGENT.parse().unwrap(), capitals.parse().unwrap()];
    let pair = SameMachines { ids, canonical: capitals.parse().ok() };
    let rule = MachineRule::Machines(pair).checked().unwrap();
    let tried = store.preview_machine_rule(TENANT, 1, rule.clone(), 10).unwrap();
    assert_eq!((tried.joined, tried.unknown), (1, Vec::new()));
    assert_eq!(set(&store, &[rule]), (1, 1));
    assert_eq!(machine_ids(&store, &whole(), SHA1_A).unwrap(), [capitals]);
}

/// A machine takes no name that only a namespace says it has.
#[test]
fn a_name_that_is_said_in_a_namespace_finds_no_machine_that_others_call_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let of_plant = MachineId::of_namespace("plant", "m1").to_string();
    let says = |id: &str, day: u32, name: &str| {
        append(&store, vec![device(id, &format!("2026-07-{day:02}T00:00:00Z"), name, &[], "", "")]);
    };
    says(DEFENDER, 1, "ws5.corp.example");
    says("dc", 1, "dc-1.corp.example");
    says(&of_plant, 9, "dc-1.corp.example");
    set(&store, &[same(&[DEFENDER, &of_plant])]);
    let found = |name: &str| machine(&store, name).map(|machine| machine["id"].clone());
    assert_eq!(found("dc-1.corp.example"), Some("dc".into()));
    assert_eq!(found("ws5.corp.example"), Some(DEFENDER.into()));
    assert_eq!(found(&of_plant), Some(DEFENDER.into()));
    // By the name that it shows it is found, whoever says that.
    set(&store, &[same(&[AGENT, &of_plant])]);
    append(&store, vec![file_seen(AGENT, "2026-07-01T00:00:00Z", SHA1_A, "", "")]);
    says(&of_plant, 10, "panel.plant.example");
    assert_eq!(found("PANEL.plant.example"), Some(AGENT.into()));
}

#[test]
fn a_change_of_one_id_is_a_change_of_the_machine_and_stays_with_all_its_ids() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(&store, telemetry());
    let change = |id: &str, tags: Option<TagChange>, value: Option<&str>| {
        let change = MachineChange { tags, device_value: value.map(str::to_owned) };
        let changed = store.change_machines(&whole(), "kim", &[id.to_owned()], &change).unwrap();
        serde_json::from_str::<Value>(&format!("{{{}}}", changed[0])).unwrap()
    };
    let tags = |machine: &Value| Vec::from_iter(machine["machineTags"].as_array().unwrap().iter().cloned());
    let add = |tag: &str| Some(TagChange::Add(tag.to_owned()));
    change(AGENT, add("of-agent"), None);
    change(&by_name(), add("of-name"), Some("Low"));
    set(&store, &[full_names()]);
    assert_eq!(tags(&machine(&store, AGENT).unwrap()), ["of-agent", "of-name", "vip"]);
    let changed = change(AGENT, add("one"), Some("High"));
    assert_eq!((&changed["id"], &changed["deviceValue"]), (&DEFENDER.into(), &"High".into()));
    assert_eq!(tags(&changed), ["of-agent", "of-name", "one", "vip"]);
    let changed = change(DEFENDER, Some(TagChange::Remove("of-agent".into())), None);
    assert_eq!(tags(&changed), ["of-name", "one", "vip"]);
    let changed = change(&by_name(), Some(TagChange::Replace(vec!["two".into(), "one".into()])), None);
    assert_eq!(tags(&changed), ["one", "two"]);
    let missing = MachineChange { tags: Some(TagChange::Extend(vec!["x".into()])), device_value: None };
    match store.change_machines(&whole(), "kim", &[AGENT.to_owned()], &missing) {
        Err(Refused::TagsMissing(tags)) => assert_eq!(tags, ["one", "two"]),
        other => panic!("{other:?}"),
    }
    // The same again is no change, whichever id is named.
    let batches = || store.batches(&whole(), None, "", Page::ALL).unwrap().len();
    let before = batches();
    change(DEFENDER, add("one"), None);
    assert_eq!(batches(), before);
    store.rebuild_online(&mut |_| {}).unwrap();
    assert_eq!(tags(&machine(&store, DEFENDER).unwrap()), ["one", "two"]);

    set(&store, &[]);
    for id in [DEFENDER, AGENT, &by_name()] {
        let machine = machine(&store, id).unwrap();
        assert_eq!(
            (tags(&machine), &machine["deviceValue"]),
            (vec!["one".into(), "two".into()], &"High".into()),
            "{id}"
        );
    }
    assert_eq!(tags(&machine(&store, "other").unwrap()), ["lab"]);
}

#[test]
fn an_alert_is_raised_about_an_event_by_any_id_and_once_a_title() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(&store, telemetry());
    set(&store, &[full_names()]);
    let raise = |id: &str| {
        let new = NewAlert {
            machine: id.parse().unwrap(),
            at: time("2026-07-07T12:00:00Z"),
            report: 7,
            severity: "Low".into(),
            category: "Malware".into(),
            title: "Suspicious file".into(),
            description: "what it is".into(),
            recommended_action: String::new(),
        };
        store.raise_alert(&whole(), "kim", &new, &AtomicBool::default()).unwrap().map(|id| id.to_string())
    };
    // Open ones of this title on the machine take the event, the first of them.
    for id in [DEFENDER, &by_name(), AGENT] {
        assert_eq!(raise(id).as_deref(), Some("on-agent"), "{id}");
    }
    assert_eq!(raise("other"), None, "the event was not there");
    set(&store, &[]);
    assert_eq!(raise(DEFENDER), None);
    assert_eq!(raise(AGENT).as_deref(), Some("on-agent"));
}

#[test]
fn a_machine_expires_when_none_of_its_sources_hears_of_it_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let hands = Arc::new(AtomicI64::new(time("2026-08-01T00:00:00Z").ticks()));
    let clock = {
        let hands = Arc::clone(&hands);
        Arc::new(move || Time::from_ticks(hands.load(Ordering::Relaxed)))
    };
    let retention = Retention { machines: Some(DAY * 40), ..Retention::default() };
    let store = Store::open(folder.path(), Options { clock, retention, ..Options::default() }).unwrap();
    append(
        &store,
        vec![
            file_seen(DEFENDER, "2026-06-01T00:00:00Z", SHA1_A, "", ""),
            file_seen(AGENT, "2026-07-30T00:00:00Z", SHA1_B, "", ""),
        ],
    );
    assert_eq!(listed(&store).len(), 1);
    set(&store, &[same(&[DEFENDER, AGENT])]);
    let one = |store: &Store| machine(store, DEFENDER).map(|machine| machine["firstSeen"].clone());
    assert_eq!(one(&store), Some("2026-06-01T00:00:00Z".into()));
    assert_eq!(store.expire().unwrap().machines, 0);
    assert_eq!(one(&store), Some("2026-06-01T00:00:00Z".into()));
    assert_eq!(
        machine_ids(&store, &whole(), SHA1_A).unwrap(),
        [AGENT],
        "the smallest id: nobody knows better"
    );
    set(&store, &[]);
    assert_eq!((machine(&store, DEFENDER), listed(&store).len()), (None, 1), "as without the rule");
    set(&store, &[same(&[DEFENDER, AGENT])]);
    hands.store(time("2026-10-01T00:00:00Z").ticks(), Ordering::Relaxed);
    assert_eq!(one(&store), None);
    assert_eq!(store.expire().unwrap().machines, 2);
}
