//! Domains, IP addresses and users: what counts as one, who is told of it, when it is forgotten.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails says so")]

mod support;

use std::sync::atomic::AtomicBool;

use pintle_model::tables::{
    alert_evidence, device_file_events, device_info, device_logon_events, device_process_events,
};
use pintle_model::{Record, Row, Time, shapes};
use pintle_store::{
    Error, Folder, Memory, Observable, Options, Purge, Purged, Retention, Scope, Store, check,
};
use serde_json::{Value, json};
use support::observed::{
    DAY, at, connection, dns, domain, ip, logon, logon_users, machines, process, row, stats, user,
    user_machines,
};
use support::{TENANT, alert, append, groups, in_group, open, options, source_groups, time, whole};

#[test]
fn a_user_is_told_with_what_sources_say_and_where_they_are_most() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(
        &store,
        vec![
            logon("m1", "2026-07-01T00:00:00Z", "CORP", "Alex", "Network"),
            logon("m1", "2026-07-03T00:00:00Z", "CORP", "Alex", "RemoteInteractive"),
            logon("m2", "2026-07-02T00:00:00Z", "CORP", "ALEX", "Interactive"),
            process("m3", "2026-07-09T00:00:00Z", "corp", "alex"),
            process("m3", "2026-07-09T01:00:00Z", "corp", "alex"),
            logon("m9", "2026-07-10T00:00:00Z", "LAB", "alex", "Network"),
        ],
    );
    let told = user(&store, &whole(), "ALEX").unwrap();
    let expected = json!({
        "id": "corp\\alex", "accountName": "alex", "accountDomain": "corp", "accountSid": "S-1-5-21-7-4",
        "firstSeen": "2026-07-01T00:00:00Z", "lastSeen": "2026-07-09T01:00:00Z",
        "mostPrevalentMachineId": "m1", "leastPrevalentMachineId": "m2",
        "logonTypes": "Interactive, Network, RemoteInteractive", "logOnMachinesCount": 3,
        "isDomainAdmin": false, "isOnlyNetworkUser": false,
    });
    assert_eq!(told, expected);
    let members: Vec<&String> = told.as_object().unwrap().keys().collect();
    assert_eq!(members.len(), shapes::user::SHAPE.members.len());
    let lab = user(&store, &whole(), "lab\\alex").unwrap();
    assert_eq!(
        (lab["isOnlyNetworkUser"].clone(), lab["logOnMachinesCount"].clone()),
        (true.into(), 1.into())
    );
    assert_eq!(user(&store, &whole(), "alex@corp.example").unwrap()["id"], "corp\\alex");
    for unknown in ["al", "alexx", "x\\alex", "sam@corp.example"] {
        assert_eq!(user(&store, &whole(), unknown), None, "{unknown}");
        assert_eq!(user_machines(&store, &whole(), unknown), None, "{unknown}");
    }
    assert_eq!(user_machines(&store, &whole(), "alex").unwrap(), ["m1", "m2", "m3", "m9"]);
    let on_m3 = &logon_users(&store, &whole(), "m3").unwrap()[0];
    for member in [
        "mostPrevalentMachineId",
        "leastPrevalentMachineId",
        "logOnMachinesCount",
        "logonTypes",
        "isOnlyNetworkUser",
    ] {
        assert_eq!(on_m3[member], Value::Null, "{member}");
    }
}

#[test]
fn what_counts_as_a_user_a_domain_and_an_address() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let stamp = "2026-07-01T00:00:00Z";
    let failed = {
        use device_logon_events as t;
        let texts =
            [(t::ACTION_TYPE, "LogonFailed"), (t::ACCOUNT_NAME, "mallory"), (t::REMOTE_IP, "203.0.113.8")];
        Record::Row(row(&t::TABLE, "m1", stamp, &texts))
    };
    let systems_own = {
        use device_process_events as t;
        let texts = [(t::ACCOUNT_NAME, "Système"), (t::ACCOUNT_SID, "S-1-5-18")];
        Record::Row(row(&t::TABLE, "m1", stamp, &texts))
    };
    let report = {
        let users =
            r#"[{"UserName":"Kim","DomainName":"CORP","Sid":"S-1-5-21-9"},{"UserName":"DWM-1"},7,{}]"#;
        Record::Row(row(&device_info::TABLE, "m1", stamp, &[(device_info::LOGGED_ON_USERS, users)]))
    };
    let download = {
        use device_file_events as t;
        Record::Row(row(&t::TABLE, "m1", stamp, &[(t::FILE_ORIGIN_URL, "http://origin.example/a.exe")]))
    };
    let mut evidence = Row::new(&alert_evidence::TABLE);
    for (column, text) in [
        (alert_evidence::ALERT_ID, "a1"),
        (alert_evidence::DEVICE_ID, "m1"),
        (alert_evidence::ENTITY_TYPE, "Ip"),
        (alert_evidence::REMOTE_IP, "203.0.113.9"),
        (alert_evidence::REMOTE_URL, "evidence.example"),
    ] {
        evidence.set_text(column, Some(text));
    }
    let Record::Alert(mut told) = alert("a2", "m2", stamp, support::SHA1_A) else { unreachable!() };
    let mut url = pintle_model::Facts::default();
    url.note_text(shapes::evidence::URL, Time::MIN, Some("http://203.0.113.10/x"));
    told.evidence.push(pintle_model::Evidence(url));
    let users = r#"[{"accountName":"Robin Smith","domainName":"Corp"}]"#;
    told.facts.note(shapes::alert::LOGGED_ON_USERS, Time::MIN, users);
    told.facts.note(shapes::alert::RELATED_USER, Time::MIN, r#"{"userName":"Kim","domainName":"CORP"}"#);
    append(
        &store,
        vec![
            failed,
            systems_own,
            report,
            download,
            Record::Row(evidence),
            Record::Alert(told),
            connection("m1", stamp, "::ffff:203.0.113.11", "0.0.0.0", "127.0.0.1"),
            connection("m1", stamp, "0.0.0.0", "not a host", "::ffff:10.0.0.9"),
        ],
    );
    let on = |machine: &str| Some(vec![machine.to_owned()]);
    for (asked, expected) in [
        (ip("203.0.113.8"), on("m1")),
        (ip("203.0.113.9"), on("m1")),
        (ip("203.0.113.10"), on("m2")),
        (ip("203.0.113.11"), on("m1")),
        (ip("::ffff:203.0.113.11"), on("m1")),
        (ip("10.0.0.9"), None),
        (domain("origin.example"), on("m1")),
        (domain("evidence.example"), on("m1")),
        (domain("example"), None),
    ] {
        assert_eq!(machines(&store, &whole(), &asked), expected, "{asked:?}");
    }
    let users = logon_users(&store, &whole(), "m1").unwrap();
    assert_eq!(users.iter().map(|user| user["id"].as_str().unwrap()).collect::<Vec<_>>(), ["corp\\kim"]);
    assert_eq!(users[0]["accountSid"], "S-1-5-21-9");
    assert_eq!(logon_users(&store, &whole(), "m2").unwrap()[0]["id"], "corp\\robin smith");
    assert_eq!(at(&store, &whole(), "10.0.0.9", time(stamp), 15), ["m1"]);
    assert!(at(&store, &whole(), "127.0.0.1", time(stamp), 15).is_empty());
    let of_alert =
        |id: &str| store.alert_user(&whole(), &id.parse().unwrap(), &AtomicBool::default()).unwrap();
    assert!(of_alert("a2").unwrap().unwrap().starts_with(r#""id":"corp\\kim","#));
    assert_eq!((of_alert("a1"), of_alert("a9")), (Some(None), None));

    // A purge of a user takes out all of it.
    for name in ["kim", "robin smith", "mallory"] {
        let purge = Purge { tenant: TENANT, what: Purged::User(name.into()) };
        store.purge(&[purge], &mut |_| {}).unwrap();
        assert_eq!(user(&store, &whole(), name), None, "{name}");
    }
    assert_eq!(machines(&store, &whole(), &ip("203.0.113.8")), None);
    assert_eq!(machines(&store, &whole(), &domain("origin.example")), on("m1"));
}

#[test]
fn who_sees_some_machines_is_told_of_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.set_device_groups(TENANT, source_groups(&["Seen"])).unwrap();
    let stamp = "2026-07-20T00:00:00Z";
    append(
        &store,
        vec![
            in_group("s1", "Seen", ""),
            connection("s1", stamp, "203.0.113.7", "both.example", "10.0.0.1"),
            connection("h1", "2026-07-21T00:00:00Z", "203.0.113.7", "both.example", "10.0.0.1"),
            connection("h1", stamp, "203.0.113.8", "hidden.example", "10.0.0.1"),
            logon("s1", stamp, "corp", "alex", "Network"),
            logon("h1", stamp, "corp", "alex", "Interactive"),
            logon("h1", "2026-07-25T00:00:00Z", "corp", "alex", "Interactive"),
            logon("h1", stamp, "corp", "sam", "Network"),
        ],
    );
    let (wide, narrow) = (groups(&[1]), groups(&[1]).narrowing_statistics(true));
    let one = Some(vec!["s1".to_owned()]);
    for scope in [&wide, &narrow] {
        assert_eq!(machines(&store, scope, &domain("both.example")), one);
        assert_eq!(machines(&store, scope, &ip("203.0.113.7")), one);
        assert_eq!(user_machines(&store, scope, "alex"), one);
        assert_eq!(at(&store, scope, "10.0.0.1", time(stamp), 15), ["s1"]);
        assert_eq!(
            (logon_users(&store, scope, "h1"), logon_users(&store, scope, "s1").unwrap().len()),
            (None, 1)
        );
        let alex = user(&store, scope, "alex").unwrap();
        assert_eq!(
            (&alex["mostPrevalentMachineId"], &alex["leastPrevalentMachineId"]),
            (&"s1".into(), &"s1".into())
        );
    }
    let stopped = store.user(&narrow, &"alex".parse().unwrap(), &AtomicBool::new(true));
    assert!(matches!(stopped, Err(Error::Stopped)), "nobody waits for it");
    let counted =
        |scope: &Scope, asked: &Observable| stats(&store, scope, asked, DAY * 30).map(|told| told.machines);
    for (asked, wide_count, narrow_count) in [
        (domain("both.example"), Some(2), Some(1)),
        (domain("hidden.example"), Some(1), None),
        (ip("203.0.113.8"), Some(1), None),
    ] {
        assert_eq!(
            (counted(&wide, &asked), counted(&narrow, &asked)),
            (wide_count, narrow_count),
            "{asked:?}"
        );
    }
    assert_eq!(machines(&store, &wide, &domain("hidden.example")), Some(vec![]));
    assert_eq!(machines(&store, &narrow, &domain("hidden.example")), None);
    assert_eq!(
        (user_machines(&store, &wide, "sam"), user_machines(&store, &narrow, "sam")),
        (Some(vec![]), None)
    );
    assert!(user(&store, &wide, "sam").unwrap()["mostPrevalentMachineId"].is_null());
    assert_eq!(user(&store, &narrow, "sam"), None);
    let (wide, narrow) = (user(&store, &wide, "alex").unwrap(), user(&store, &narrow, "alex").unwrap());
    assert_eq!(
        (&wide["logonTypes"], &wide["logOnMachinesCount"]),
        (&"Interactive, Network".into(), &2.into())
    );
    assert_eq!((&narrow["logonTypes"], &narrow["logOnMachinesCount"]), (&"Network".into(), &1.into()));
    assert_eq!((&wide["isDomainAdmin"], &narrow["isDomainAdmin"]), (&true.into(), &false.into()));
    assert_eq!(narrow["lastSeen"], stamp);
    // Another tenant knows nothing of it.
    let other = Scope::whole(pintle_model::TenantId::from_bytes([7; 16]));
    assert_eq!(
        (machines(&store, &other, &domain("both.example")), user(&store, &other, "alex")),
        (None, None)
    );
    assert!(at(&store, &other, "10.0.0.1", time(stamp), 15).is_empty());
}

#[test]
fn what_has_expired_is_hidden_at_once_and_leaves_the_base() {
    let folder = tempfile::tempdir().unwrap();
    let retention = Retention { sightings: Some(DAY * 10), ..Retention::default() };
    let store = Store::open(folder.path(), Options { retention, ..options() }).unwrap();
    let (old, new) = ("2026-07-15T00:00:00Z", "2026-07-30T00:00:00Z");
    append(
        &store,
        vec![
            connection("m1", old, "203.0.113.7", "old.example", "10.0.0.1"),
            connection("m1", old, "203.0.113.8", "both.example", "10.0.0.1"),
            connection("m2", new, "203.0.113.8", "both.example", "10.0.0.1"),
            logon("m1", old, "corp", "alex", "Network"),
            logon("m2", new, "corp", "sam", "Network"),
        ],
    );
    let check = |when: &str| {
        assert_eq!(machines(&store, &whole(), &domain("old.example")), None, "{when}");
        assert_eq!(machines(&store, &whole(), &domain("both.example")), Some(vec!["m2".into()]), "{when}");
        assert_eq!(stats(&store, &whole(), &ip("203.0.113.8"), DAY * 30).unwrap().machines, 1, "{when}");
        assert_eq!(
            (user(&store, &whole(), "alex"), user_machines(&store, &whole(), "alex")),
            (None, None),
            "{when}"
        );
        assert!(logon_users(&store, &whole(), "m1").unwrap().is_empty(), "{when}");
        assert_eq!(user_machines(&store, &whole(), "sam"), Some(vec!["m2".into()]), "{when}");
        assert!(at(&store, &whole(), "10.0.0.1", time(old), 15).is_empty(), "{when}");
        assert_eq!(at(&store, &whole(), "10.0.0.1", time(new), 15), ["m2"], "{when}");
    };
    check("at once");
    let expired = store.expire().unwrap();
    assert_eq!((expired.sightings, expired.files), (5, 0), "two addresses, two domains and a user on m1");
    check("out of the base");
    assert_eq!(store.expire().unwrap().sightings, 0);
    drop(store);
    // Without a retention nothing more is there than is left.
    let store = open(folder.path());
    assert_eq!(machines(&store, &whole(), &domain("old.example")), None);
    assert!(at(&store, &whole(), "10.0.0.1", time(old), 15).is_empty());
}

#[test]
fn hostile_names_are_bounded_and_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let memory = Memory { records: 300, ..Memory::default() };
    let store = Store::open(folder.path(), Options { memory, ..options() }).unwrap();
    let stamp = "2026-07-15T00:00:00Z";
    let long = "x".repeat(1 << 20);
    append(
        &store,
        vec![
            logon("m1", stamp, &long, &long, &long),
            connection("m1", stamp, &long, &long, &long),
            logon("m1", stamp, "corp", "a\u{0}b", "Network"),
            logon("m1", stamp, "corp\u{0}x", "alex", "Network"),
        ],
    );
    let users = logon_users(&store, &whole(), "m1").unwrap();
    assert_eq!(users.len(), 1);
    assert!(users[0].to_string().len() < 4_000);
    let part = |nth: u32| {
        (nth * 300..nth * 300 + 300)
            .map(|n| logon(&format!("m{n:04}"), stamp, &format!("host-{n:04}"), "administrator", "Network"))
    };
    (0..4).for_each(|nth| _ = append(&store, part(nth).collect()));
    assert_eq!(user_machines(&store, &whole(), "administrator").unwrap().len(), 1_200);
    assert_eq!(user_machines(&store, &whole(), "host-0007\\administrator").unwrap(), ["m0007"]);
    assert_eq!(user(&store, &whole(), "administrator").unwrap()["id"], "host-0000\\administrator");
}

#[test]
fn a_base_from_before_says_what_it_does_not_know_until_it_is_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture/v1");
    for part in ["archive", "base"] {
        std::fs::create_dir(folder.path().join(part)).unwrap();
        for file in std::fs::read_dir(fixture.join(part)).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), folder.path().join(part).join(file.file_name())).unwrap();
        }
    }
    let store = open(folder.path());
    let notices = store.notices();
    assert!(notices.len() == 1 && notices[0].contains("pintle rebuild"), "{notices:?}");
    for unknown in ["domains, IP addresses and users", "events that alerts can be raised about"] {
        assert!(notices[0].contains(unknown), "{notices:?}");
    }
    append(&store, vec![dns("m1", "2026-07-15T00:00:00Z", "new.example")]);
    assert_eq!(machines(&store, &whole(), &domain("new.example")), Some(vec!["m1".into()]));
    drop(store);
    let checked = check(folder.path(), &mut |_| {}).unwrap();
    assert_eq!((checked.damages.len(), &checked.notices), (0, &notices));
    assert_eq!(open(folder.path()).notices(), notices, "it stays so, whatever comes in");
    let store = Store::rebuild(Folder::lock(folder.path()).unwrap(), options(), &mut |_| {}).unwrap();
    assert_eq!(store.notices(), [""; 0]);
    assert_eq!(machines(&store, &whole(), &domain("new.example")), Some(vec!["m1".into()]));
    assert_eq!(store.check(&mut |_| {}).unwrap().notices, [""; 0]);
}

#[test]
fn users_of_many_domains_and_of_one_machine_are_all_told_wherever_they_lie() {
    let folder = tempfile::tempdir().unwrap();
    let few = Options { memory: Memory { records: 2_000, ..Memory::default() }, ..options() };
    let store = Store::open(folder.path(), few).unwrap();
    // More than are read at once, in runs and in memory, and some in both.
    let domain = |n: usize| format!("d{:04}", n * 7_919 % 3_000);
    let logons = |from, to, day| {
        let at = format!("2026-07-{day:02}T00:00:00Z");
        (from..to).map(|n| logon("m1", &at, &domain(n), "administrator", "Network")).collect::<Vec<_>>()
    };
    for from in (0..3_000).step_by(250) {
        append(&store, logons(from, from + 250, 1));
    }
    append(&store, logons(900, 2_100, 9));
    append(&store, vec![logon("m2", "2026-07-09T00:00:00Z", "", "administrator", "Network")]);
    let told = logon_users(&store, &whole(), "m1").unwrap();
    let mut expected: Vec<String> = (0..3_000).map(|n| format!("{}\\administrator", domain(n))).collect();
    expected.sort();
    let ids: Vec<&str> = told.iter().map(|user| user["id"].as_str().unwrap()).collect();
    assert_eq!(ids, expected);
    let seen_twice = told.iter().filter(|user| user["firstSeen"] != user["lastSeen"]).count();
    assert_eq!(seen_twice, 1_200);
    assert_eq!(user_machines(&store, &whole(), "administrator").unwrap(), ["m1", "m2"]);
    for n in (0..3_000).step_by(97) {
        let asked = format!("{}\\administrator", domain(n));
        assert_eq!(user(&store, &whole(), &asked).unwrap()["id"], asked.as_str());
    }
}
