//! What is purged was never there: a store that saw it and forgot it answers as one that did not.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that fails says so"
)]

mod support;

use std::fs;
use std::path::Path;

use pintle_model::tables::device_file_events as events;
use pintle_model::{Record, Time};
use pintle_store::{Batch, Error, Folder, Memory, Options, Page, Purge, Purged, Reject, Scope, Store};
use serde_json::json;
use support::{
    SHA1_A, SHA1_B, TENANT, alert, answers, batch, file_seen, hash, open, options, report, time, whole,
};

/// A batch's records, and where it came from.
type Sent = (&'static str, Vec<Record>);

/// A file of its own on a machine, by a user.
fn by(user: &str, machine: &str, at: &str, nth: u8) -> Record {
    let Record::Row(mut row) = file_seen(machine, at, &format!("{nth:040x}"), &format!("{nth:064x}"), "")
    else {
        unreachable!()
    };
    row.set_text(events::INITIATING_PROCESS_ACCOUNT_NAME, Some(user));
    row.set_text(events::INITIATING_PROCESS_ACCOUNT_DOMAIN, Some("CORP"));
    row.set_text(events::FOLDER_PATH, Some(&format!(r"C:\Places\of-{user}-on-{machine}\{nth}.exe")));
    Record::Row(row)
}

/// Batches that speak of the same things: two sources, three machines, two users, five months.
fn sent() -> Vec<Sent> {
    let mut sent = Vec::new();
    for part in 0..10u8 {
        let mut records = Vec::new();
        for n in 0..20 {
            let nth = part * 20 + n;
            let (user, machine) = (["alex", "kim"][usize::from(nth % 2)], format!("m{}", nth % 3));
            records.push(by(user, &machine, &format!("2026-0{}-1{}T00:00:00Z", 1 + nth % 5, nth % 10), nth));
        }
        let month = 1 + part % 5;
        records.push(alert(
            ["a1", "a2"][usize::from(part % 2)],
            &format!("m{}", part % 3),
            &format!("2026-0{month}-20T00:00:00Z"),
            SHA1_A,
        ));
        let last = format!("2026-0{month}-03T00:00:00Z");
        let address = json!([{ "ipAddress": format!("192.0.2.{part}"), "operationalStatus": "Up" }]);
        let members = json!({
            "lastSeen": last, "osBuild": part, "ipAddresses": address, "managedBy": "alex",
            "rbacGroupName": format!("g{part}"), "rbacGroupId": part, "machineTags": [format!("t{part}")],
        });
        records.push(report(
            &format!("m{}", part % 4),
            &format!("2026-07-{:02}T00:00:00Z", 1 + part),
            &members,
        ));
        records.push(file_seen("shared", &format!("2026-0{month}-02T00:00:00Z"), SHA1_B, "", ""));
        sent.push((if part % 4 == 0 { "one" } else { "other" }, records));
    }
    sent
}

fn append(store: &Store, sent: &[Sent]) {
    for (source, records) in sent.iter().filter(|(_, records)| !records.is_empty()) {
        let source = (*source).to_owned();
        store.append(Batch { source, ..batch(records.clone()) }).unwrap();
    }
}

/// Everything that can be asked, as text.
fn everything(store: &Store) -> String {
    let mut all = String::new();
    for nth in 0..200u8 {
        for text in [format!("{nth:040x}"), format!("{nth:064x}")] {
            all += &format!("{:?}", store.file(&whole(), &hash(&text)).unwrap());
            all += &format!("{:?}\n", store.file_sightings(&whole(), &hash(&text)).unwrap());
        }
    }
    let mut list = Vec::new();
    store.machines(&whole(), Page::ALL, &mut list).unwrap();
    store.alerts(&whole(), Page::ALL, &mut list).unwrap();
    for id in ["a1", "a2"] {
        all += &format!("{:?}", store.alert(&whole(), &id.parse().unwrap()).unwrap());
        store.alert_files(&whole(), &id.parse().unwrap(), Page::ALL, &mut list).unwrap();
    }
    all += &format!("{:?}", store.totals(&whole()).unwrap());
    for info in store.batches(&whole(), None, "", Page::ALL).unwrap() {
        all += &format!("{} {} {}\n", info.source, info.records, info.rejects);
    }
    all + &String::from_utf8(list).unwrap()
}

/// Options that make a run every few batches, so that what is purged is in runs and in memory.
fn few_in_memory() -> Options {
    Options { memory: Memory { records: 50, ..Memory::default() }, ..options() }
}

fn machine(record: &Record) -> String {
    match record {
        Record::Row(row) => row.text(events::DEVICE_ID).unwrap().to_owned(),
        Record::Alert(alert) => alert.facts.text(pintle_model::shapes::alert::MACHINE_ID).unwrap(),
        Record::Machine(machine) => machine.id.to_string(),
    }
}

fn user(record: &Record) -> Option<&str> {
    let Record::Row(row) = record else { return None };
    row.text(events::INITIATING_PROCESS_ACCOUNT_NAME)
}

fn at(record: &Record) -> Time {
    match record {
        Record::Row(row) => row.time(events::TIMESTAMP).unwrap(),
        Record::Alert(alert) => alert.facts.time(pintle_model::shapes::alert::LAST_UPDATE_TIME).unwrap(),
        Record::Machine(machine) => machine.facts.time(pintle_model::shapes::machine::LAST_SEEN).unwrap(),
    }
}

#[test]
fn afterwards_every_answer_is_that_of_a_store_that_never_saw_them() {
    let all = sent();
    let first_batch = {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        append(&store, &all[..1]);
        store.batches(&whole(), None, "", Page::ALL).unwrap()[0].id
    };
    let april = time("2026-04-01T00:00:00Z");
    type Stays = Box<dyn Fn(usize, &str, &Record) -> bool>;
    let cases: Vec<(Purged, Stays)> = vec![
        (Purged::Batch(first_batch), Box::new(|part, _, _| part != 0)),
        (Purged::Source("one".into()), Box::new(|_, source, _| source != "one")),
        (Purged::Machine("m1".parse().unwrap()), Box::new(|_, _, record| machine(record) != "m1")),
        (Purged::User(r"corp\ALEX".into()), Box::new(|_, _, record| user(record) != Some("alex"))),
        (Purged::User("kim".into()), Box::new(|_, _, record| user(record) != Some("kim"))),
        (Purged::Before(april), Box::new(move |_, _, record| at(record) >= april)),
        (Purged::Tenant, Box::new(|_, _, _| false)),
        (Purged::User("nobody".into()), Box::new(|_, _, _| true)),
    ];
    for (what, stays) in cases {
        let left: Vec<Sent> = all
            .iter()
            .enumerate()
            .map(|(part, (source, records))| {
                let keep = |record: &&Record| stays(part, source, record);
                (*source, records.iter().filter(keep).cloned().collect())
            })
            .collect();
        let gone = all.iter().map(|(_, records)| records.len()).sum::<usize>()
            - left.iter().map(|(_, records)| records.len()).sum::<usize>();

        let never = tempfile::tempdir().unwrap();
        let never = Store::open(never.path(), few_in_memory()).unwrap();
        append(&never, &left);
        let expected = everything(&never);

        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), few_in_memory()).unwrap();
        append(&store, &all);
        let purge = Purge { tenant: TENANT, what: what.clone() };
        let remade = store.purge(std::slice::from_ref(&purge), &mut |_| {}).unwrap();
        assert_eq!(remade.records, gone as u64, "{what:?}");
        assert_eq!(everything(&store), expected, "{what:?}");
        // It goes on as any store does, and stays so.
        store.append(batch(vec![file_seen("later", "2026-07-01T00:00:00Z", SHA1_A, "", "")])).unwrap();
        never.append(batch(vec![file_seen("later", "2026-07-01T00:00:00Z", SHA1_A, "", "")])).unwrap();
        let expected = everything(&never);
        drop(store);
        assert_eq!(everything(&open(folder.path())), expected, "{what:?}, opened again");
        let rebuilt = Store::rebuild(Folder::lock(folder.path()).unwrap(), options(), &mut |_| {}).unwrap();
        assert_eq!(everything(&rebuilt), expected, "{what:?}, rebuilt");
        // What was taken out may come again.
        append(&rebuilt, &all);
        let noted = fs::read_to_string(folder.path().join("purges.jsonl")).unwrap();
        assert_eq!(noted.lines().count(), 1, "{noted}");
        assert!(noted.contains(&format!("\"records\":{gone}")), "{noted}");
    }
}

#[test]
fn another_tenant_s_records_and_what_comes_meanwhile_stay() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), few_in_memory()).unwrap();
    let other = pintle_model::TenantId::from_bytes([2; 16]);
    append(&store, &sent());
    store.append(Batch { tenant: other, ..batch(sent()[0].1.clone()) }).unwrap();
    let ids = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for n in 0..60 {
                let machine = format!("new{n:02}");
                store
                    .append(batch(vec![file_seen(&machine, "2026-06-01T00:00:00Z", SHA1_B, "", "")]))
                    .unwrap();
            }
        });
        store
            .purge(&[Purge { tenant: TENANT, what: Purged::Machine("shared".parse().unwrap()) }], &mut |_| {})
            .unwrap();
        writer.join().unwrap();
        support::machine_ids(&store, &whole(), SHA1_B).unwrap()
    });
    assert_eq!(ids, (0..60).map(|n| format!("new{n:02}")).collect::<Vec<_>>());
    assert_eq!(support::machine_ids(&store, &Scope::whole(other), SHA1_B).unwrap(), ["shared"]);
    drop(store);
    assert_eq!(support::machine_ids(&open(folder.path()), &whole(), SHA1_B).unwrap(), ids);
}

#[test]
fn what_was_kept_aside_and_names_the_purged_goes_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let reject = |text: &str| Reject {
        source: "one".into(),
        offset: text.len() as u64,
        reason: "no".into(),
        bytes: text.as_bytes().to_vec(),
    };
    let rejects = vec![reject("{bad \"ALEX\""), reject("{bad m1"), reject("{bad \"kim\"")];
    store.append(Batch { rejects, ..batch(Vec::new()) }).unwrap();
    let purge = |what| Purge { tenant: TENANT, what };
    let purges = [purge(Purged::User(r"CORP\alex".into())), purge(Purged::Machine("m1".parse().unwrap()))];
    assert_eq!(store.purge(&purges, &mut |_| {}).unwrap().rejects, 2);
    let left = store.rejects(&whole(), 10).unwrap();
    assert_eq!(left.iter().map(|reject| reject.bytes.as_slice()).collect::<Vec<_>>(), [b"{bad \"kim\""]);
}

#[test]
fn one_that_was_stopped_is_brought_to_its_end_at_the_next_opening() {
    let purge = Purge { tenant: TENANT, what: Purged::Source("one".into()) };
    let expected = {
        let never = tempfile::tempdir().unwrap();
        let store = open(never.path());
        let left: Vec<Sent> = sent().into_iter().filter(|(source, _)| *source != "one").collect();
        append(&store, &left);
        everything(&store)
    };
    let filled = |folder: &Path| append(&open(folder), &sent());
    // Right at the beginning, with leftovers that mean nothing.
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let journal = |stage: &str| serde_json::json!({ "purges": [purge], "stage": stage }).to_string();
    fs::write(folder.path().join("remake.json"), journal("begun")).unwrap();
    fs::create_dir(folder.path().join("archive.remade")).unwrap();
    fs::write(folder.path().join("archive.remade/00000001.seg"), b"half").unwrap();
    fs::create_dir(folder.path().join("base.rebuilding")).unwrap();
    assert_eq!(everything(&open(folder.path())), expected);
    assert!(!folder.path().join("remake.json").exists() && !folder.path().join("archive.remade").exists());

    // At an opening that does not come to its end, before the purge is done again.
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    fs::write(folder.path().join("remake.json"), journal("begun")).unwrap();
    for name in ["base/MANIFEST", "base/MANIFEST.copy"] {
        fs::write(folder.path().join(name), b"no manifest").unwrap();
    }
    assert!(Store::open(folder.path(), options()).is_err());
    let rebuilt = Store::rebuild(Folder::lock(folder.path()).unwrap(), options(), &mut |_| {}).unwrap();
    assert_eq!(everything(&rebuilt), expected);
    assert!(!folder.path().join("remake.json").exists());

    // In the middle of putting the new in the place of the old: the new is what the purge made.
    let done = tempfile::tempdir().unwrap();
    filled(done.path());
    open(done.path()).purge(std::slice::from_ref(&purge), &mut |_| {}).unwrap();
    for swapped in [&[][..], &["archive"], &["archive", "base"]] {
        let folder = tempfile::tempdir().unwrap();
        filled(folder.path());
        // What the running purge had ended.
        let header = fs::read(folder.path().join("archive/00000001.seg")).unwrap()[..12].to_vec();
        fs::write(folder.path().join("archive/00000002.seg"), header).unwrap();
        for (part, made) in [("archive", "archive.remade"), ("base", "base.rebuilding")] {
            let to = folder.path().join(if swapped.contains(&part) { part } else { made });
            fs::create_dir_all(&to).unwrap();
            if part == "base" && swapped.contains(&part) {
                fs::remove_dir_all(&to).unwrap();
                fs::create_dir(&to).unwrap();
            }
            for entry in fs::read_dir(done.path().join(part)).unwrap() {
                let entry = entry.unwrap();
                fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
        fs::write(folder.path().join("remake.json"), journal("ready")).unwrap();
        assert_eq!(everything(&open(folder.path())), expected, "{swapped:?}");
        assert!(!folder.path().join("remake.json").exists());
        assert_eq!(everything(&open(folder.path())), expected, "{swapped:?}");
    }
}

#[test]
fn a_base_is_made_anew_while_it_is_asked_and_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), few_in_memory()).unwrap();
    append(&store, &sent());
    let before = everything(&store);
    store.rebuild_online(&mut |_| {}).unwrap();
    assert_eq!(everything(&store), before);
    assert!(!folder.path().join("purges.jsonl").exists(), "nothing was purged");
    assert_eq!(answers(&store, &[]), answers(&store, &[]));
}

#[test]
fn without_all_of_the_archive_nothing_is_purged_and_it_says_so() {
    let folder = tempfile::tempdir().unwrap();
    append(&open(folder.path()), &sent());
    let header = fs::read(folder.path().join("archive/00000001.seg")).unwrap()[..12].to_vec();
    fs::write(folder.path().join("archive/00000002.seg"), header).unwrap();
    let store = open(folder.path());
    store.append(batch(vec![file_seen("later", "2026-07-01T00:00:00Z", SHA1_A, "", "")])).unwrap();
    fs::remove_file(folder.path().join("archive/00000001.seg")).unwrap();
    let before = everything(&store);
    let refused = store.purge(&[Purge { tenant: TENANT, what: Purged::Tenant }], &mut |_| {});
    assert!(matches!(refused, Err(Error::ArchiveIncomplete(_))), "{refused:?}");
    assert_eq!(everything(&store), before);
}
