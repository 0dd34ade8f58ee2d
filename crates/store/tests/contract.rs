//! What every store promises, asked at its boundary.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that fails says so"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use pintle_model::shapes::{alert as a, evidence as e};
use pintle_model::{Record, Time};
use pintle_store::{Error, Folder, Memory, Options, Page, Retention, Scope, Store};
use support::{
    MD5_A, MD5_B, SHA1_A, SHA1_B, SHA256_A, SHA256_B, TENANT, alert, answers, append, batch, evidence_row,
    file_seen, hash, in_group, machine_ids, open, sighting_of, whole,
};

#[test]
fn a_file_is_found_by_each_of_its_hashes() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(&store, vec![file_seen("m1", "2026-01-01T00:00:00Z", SHA1_A, SHA256_A, MD5_A)]);
    for text in [SHA1_A, SHA256_A, MD5_A] {
        assert_eq!(machine_ids(&store, &whole(), text), Some(vec!["m1".into()]), "{text}");
        assert_eq!(machine_ids(&store, &whole(), &text.to_uppercase()), Some(vec!["m1".into()]));
    }
    assert_eq!(machine_ids(&store, &whole(), SHA1_B), None);
}

#[test]
fn a_record_without_the_asked_kind_counts_once_another_record_links_it_before_or_after() {
    let links = file_seen("m1", "2026-01-01T00:00:00Z", SHA1_A, SHA256_A, "");
    let lacks = file_seen("m2", "2026-01-01T00:00:01Z", "", SHA256_A, MD5_A);
    for order in [[links.clone(), lacks.clone()], [lacks, links]] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        for record in order {
            append(&store, vec![record]);
        }
        assert_eq!(machine_ids(&store, &whole(), SHA1_A), Some(vec!["m1".into(), "m2".into()]));
        assert_eq!(machine_ids(&store, &whole(), SHA256_A), Some(vec!["m1".into(), "m2".into()]));
        // m1's record lacks an MD5, and its SHA-256 has been seen beside one only.
        assert_eq!(machine_ids(&store, &whole(), MD5_A), Some(vec!["m1".into(), "m2".into()]));
    }
}

#[test]
fn links_are_not_followed_transitively() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(
        &store,
        vec![
            file_seen("m1", "2026-01-01T00:00:00Z", SHA1_A, SHA256_A, ""),
            file_seen("m2", "2026-01-01T00:00:00Z", "", SHA256_A, MD5_A),
            file_seen("m3", "2026-01-01T00:00:00Z", "", "", MD5_A),
        ],
    );
    // m3's MD5 stands beside the SHA-256 only, never beside the SHA-1.
    assert_eq!(machine_ids(&store, &whole(), SHA1_A), Some(vec!["m1".into(), "m2".into()]));
    assert_eq!(machine_ids(&store, &whole(), SHA256_A), Some(vec!["m1".into(), "m2".into(), "m3".into()]));
}

#[test]
fn a_hash_with_several_partners_is_a_conflict_that_is_named_and_not_merged() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(
        &store,
        vec![
            file_seen("m1", "2026-01-01T00:00:00Z", SHA1_A, SHA256_A, ""),
            file_seen("m2", "2026-01-01T00:00:00Z", SHA1_B, SHA256_A, ""),
            file_seen("m3", "2026-01-01T00:00:00Z", "", SHA256_A, ""),
        ],
    );
    let mut out = Vec::new();
    let found = store.file_machines(&whole(), &hash(SHA1_A), Page::ALL, &mut out).unwrap().unwrap();
    assert_eq!(found.written, 1);
    assert_eq!(found.ask_instead, [hash(SHA256_A)]);
    assert_eq!(machine_ids(&store, &whole(), SHA256_A), Some(vec!["m1".into(), "m2".into(), "m3".into()]));
    let conflicts = store.conflicts(&whole()).unwrap();
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].hash, hash(SHA256_A));
    assert_eq!(conflicts[0].partners, [hash(SHA1_A), hash(SHA1_B)]);
}

#[test]
fn a_conflict_is_listed_once_under_the_strongest_hash_of_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(
        &store,
        vec![
            file_seen("m1", "2026-01-01T00:00:00Z", SHA1_A, SHA256_A, MD5_A),
            file_seen("m2", "2026-01-01T00:00:00Z", "", SHA256_A, MD5_B),
            file_seen("m3", "2026-01-01T00:00:00Z", SHA1_B, SHA256_B, ""),
        ],
    );
    let conflicts = store.conflicts(&whole()).unwrap();
    assert_eq!(conflicts.len(), 1, "{conflicts:?}");
    assert_eq!(conflicts[0].hash, hash(SHA1_A));
    assert_eq!(conflicts[0].partners, [hash(SHA256_A), hash(MD5_A), hash(MD5_B)]);
}

#[test]
fn answers_do_not_depend_on_order_repetition_or_rebuild() {
    let records = support::assorted_records();
    let mut expected = None;
    for seed in 0..6u64 {
        let folder = tempfile::tempdir().unwrap();
        // From a run for every batch to all in memory; from nothing that stays at hand to more than there is.
        let cache = usize::try_from(seed).unwrap() << 16;
        let memory = Memory { records: 1 + seed * seed * 20, cache, ..Memory::default() };
        let store = Store::open(folder.path(), Options { memory, ..support::options() }).unwrap();
        let shuffled = support::shuffled(&records, seed);
        let half = shuffled.len() / (usize::try_from(seed).unwrap() + 1);
        let (one, other) = shuffled.split_at(half);
        for part in [one, other, one] {
            append(&store, part.to_vec());
        }
        let found = answers(&store, &records);
        assert_eq!(*expected.get_or_insert(found.clone()), found, "order {seed}");
        let totals = store.totals(&whole()).unwrap();
        drop(store);
        let store =
            Store::rebuild(Folder::lock(folder.path()).unwrap(), support::options(), &mut |_| {}).unwrap();
        assert_eq!(answers(&store, &records), found, "rebuilt, order {seed}");
        assert_eq!(store.totals(&whole()).unwrap(), totals);
        drop(store);
        assert_eq!(answers(&open(folder.path()), &records), found, "opened again, order {seed}");
    }
}

#[test]
fn hashes_that_all_begin_the_same_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let memory = Memory { records: 500, ..Memory::default() };
    let store = Store::open(folder.path(), Options { memory, ..support::options() }).unwrap();
    // As telemetry may claim them; more than are looked at for one hash.
    let alike = |nth: usize, length: usize| format!("{}{nth:08x}", "ab".repeat(length / 2 - 4));
    for part in 0..3 {
        let seen = |nth: usize| {
            let (sha1, sha256) = (alike(nth, 40), alike(nth, 64));
            file_seen(&format!("m{nth:04}"), "2026-01-01T00:00:00Z", &sha1, &sha256, &alike(nth, 32))
        };
        append(&store, (part * 500..part * 500 + 500).map(seen).collect());
    }
    for nth in (0..1_500).step_by(83) {
        for length in [40, 64, 32] {
            let ids = machine_ids(&store, &whole(), &alike(nth, length));
            assert_eq!(ids, Some(vec![format!("m{nth:04}")]), "{nth} {length}");
        }
    }
    assert_eq!(store.conflicts(&whole()).unwrap(), []);
}

#[test]
fn the_same_batch_is_kept_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let first = append(&store, support::assorted_records());
    let size = || std::fs::metadata(folder.path().join("archive/00000001.seg")).unwrap().len();
    let before = size();
    let second = append(&store, support::assorted_records());
    assert!(!first.repeated && second.repeated);
    assert_eq!((second.new_machines, second.new_files), (0, 0));
    assert_eq!(size(), before);
    drop(store);
    assert!(append(&open(folder.path()), support::assorted_records()).repeated, "also after a restart");
}

#[test]
fn one_writer_s_sync_serves_the_others_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let store = &store;
            scope.spawn(move || {
                for n in 0..20 {
                    let machine = format!("m{writer:02}{n:02}");
                    let receipt =
                        append(store, vec![file_seen(&machine, "2026-01-01T00:00:00Z", SHA1_A, "", "")]);
                    assert_eq!(receipt.new_machines, 1);
                    assert!(
                        machine_ids(store, &whole(), SHA1_A).unwrap().contains(&machine),
                        "acknowledged means readable"
                    );
                }
            });
        }
    });
    assert_eq!(machine_ids(&store, &whole(), SHA1_A).unwrap().len(), 160);
    let totals = store.totals(&whole()).unwrap();
    assert_eq!((totals.machines, totals.files), (160, 1));
}

#[test]
fn first_and_last_seen_are_the_extremes_and_roles_are_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(&store, vec![file_seen("m1", "2026-01-02T00:00:00Z", SHA1_A, "", "")]);
    append(&store, vec![file_seen("m1", "2026-01-01T00:00:00Z", SHA1_A, "", "")]);
    append(&store, vec![support::started_by("m1", "2026-01-09T00:00:00Z", SHA1_A)]);
    append(&store, vec![support::started_by("m2", "2026-01-09T00:00:00Z", SHA1_A)]);
    let one = sighting_of(&store, SHA1_A, "m1");
    assert_eq!(one.as_target.unwrap().first.to_string(), "2026-01-01T00:00:00Z");
    assert_eq!(one.as_target.unwrap().last.to_string(), "2026-01-02T00:00:00Z");
    assert_eq!(one.any_role.unwrap().last.to_string(), "2026-01-09T00:00:00Z");
    assert_eq!(sighting_of(&store, SHA1_A, "m2").as_target, None);
}

#[test]
fn events_of_impossible_times_are_kept_and_counted_but_move_no_first_or_last_seen() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let receipt = append(
        &store,
        vec![
            file_seen("m1", "1970-01-01T00:00:00Z", SHA1_A, "", ""),
            file_seen("m1", "2026-06-01T00:00:00Z", SHA1_A, "", ""),
            file_seen("m1", "2099-01-01T00:00:00Z", SHA1_A, "", ""),
            file_seen("m2", "2099-01-01T00:00:00Z", SHA1_A, "", ""),
        ],
    );
    assert_eq!(receipt.implausible_times, 3);
    let seen = sighting_of(&store, SHA1_A, "m1").any_role.unwrap();
    assert_eq!(
        (seen.first, seen.last),
        (support::time("2026-06-01T00:00:00Z"), support::time("2026-06-01T00:00:00Z"))
    );
    assert_eq!(sighting_of(&store, SHA1_A, "m2").any_role, None);
    let machine = store.machine(&whole(), "m1").unwrap().unwrap();
    assert!(machine.contains(r#""lastSeen":"2026-06-01T00:00:00Z""#), "{machine}");
}

#[test]
fn a_caller_sees_only_machines_and_alerts_of_their_groups() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(
        &store,
        vec![
            in_group("m1", "Servers", SHA1_A),
            in_group("m2", "Clients", SHA1_A),
            in_group("m2", "Clients", SHA1_B),
            file_seen("m3", "2026-01-01T00:00:00Z", SHA1_A, "", ""),
            alert("on-server", "m1", "2026-06-01T00:00:00Z", SHA1_A),
            alert("on-client", "m2", "2026-06-01T00:00:00Z", SHA1_A),
            evidence_row("nowhere", "", SHA1_A),
        ],
    );
    store.set_device_groups(TENANT, support::source_groups(&["servers", "Clients"])).unwrap();
    let servers = support::groups(&[1]);
    assert_eq!(machine_ids(&store, &servers, SHA1_A), Some(vec!["m1".into()]));
    assert_eq!(
        machine_ids(&store, &servers, SHA1_B),
        Some(vec![]),
        "files are tenant-wide, so this one is known"
    );
    assert!(store.machine(&servers, "m2").unwrap().is_none());
    assert_eq!(support::list(|out| store.machines(&servers, Page::ALL, out)), ["m1"]);
    assert_eq!(support::list(|out| store.alerts(&servers, Page::ALL, out)), ["on-server"]);
    assert!(store.alert(&servers, &"on-client".parse().unwrap()).unwrap().is_none());
    let mut out = Vec::new();
    assert_eq!(
        store.alert_files(&servers, &"on-client".parse().unwrap(), Page::ALL, &mut out).unwrap(),
        None
    );
    assert_eq!(
        support::list(|out| store.alerts(&whole(), Page::ALL, out)),
        ["nowhere", "on-client", "on-server"]
    );
}

#[test]
fn a_tenant_never_sees_another_s_data() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(&store, support::assorted_records());
    let other = Scope::whole(pintle_model::TenantId::from_bytes([7; 16]));
    for record in [SHA1_A, SHA256_A, MD5_A, SHA1_B, SHA256_B, MD5_B] {
        assert_eq!(machine_ids(&store, &other, record), None);
    }
    assert!(support::list(|out| store.machines(&other, Page::ALL, out)).is_empty());
    assert!(support::list(|out| store.alerts(&other, Page::ALL, out)).is_empty());
    assert_eq!(store.totals(&other).unwrap(), Default::default());
}

#[test]
fn retention_hides_alerts_by_last_update_and_machines_by_last_seen() {
    let folder = tempfile::tempdir().unwrap();
    let start = support::time("2026-06-01T00:00:00Z");
    let now = Arc::new(AtomicI64::new(start.ticks()));
    let days = |days: u64| Duration::from_secs(days * 24 * 3600);
    let options = Options {
        clock: {
            let now = now.clone();
            Arc::new(move || Time::from_ticks(now.load(Ordering::SeqCst)))
        },
        retention: Retention { alerts: Some(days(30)), machines: Some(days(60)), sightings: Some(days(90)) },
        ..Options::default()
    };
    let store = Store::open(folder.path(), options).unwrap();
    let set = |time: Time| now.store(time.ticks(), Ordering::SeqCst);
    append(
        &store,
        vec![
            file_seen("m1", "2026-06-01T00:00:00Z", SHA1_A, "", ""),
            alert("a1", "m1", "2026-06-01T00:00:00Z", SHA1_A),
        ],
    );
    append(&store, vec![evidence_row("rows-only", "m1", SHA1_A)]);
    let alert_there = |id: &str| store.alert(&whole(), &id.parse().unwrap()).unwrap().is_some();
    let second = Duration::from_secs(1);

    set(start + days(30));
    assert!(alert_there("a1") && alert_there("rows-only"));
    set(start + days(30) + second);
    assert!(!alert_there("a1"), "one second past its window");
    assert!(!alert_there("rows-only"), "an alert without lastUpdateTime counts by its newest Timestamp");
    assert!(support::list(|out| store.alerts(&whole(), Page::ALL, out)).is_empty());
    append(&store, vec![alert("a1", "m1", "2026-07-01T00:00:00Z", SHA1_A)]);
    assert!(alert_there("a1"), "back after an update");

    set(start + days(90));
    // The update's last event is the machine's last sign of life: 1 July.
    set(support::time("2026-07-01T00:00:00Z") + days(60) + second);
    assert!(support::list(|out| store.machines(&whole(), Page::ALL, out)).is_empty());
    assert!(store.machine(&whole(), "m1").unwrap().is_none());
    assert_eq!(machine_ids(&store, &whole(), SHA1_A), Some(vec![]), "the file is known, its machine is old");
    set(support::time("2026-07-01T00:00:00Z") + days(90) + second);
    assert_eq!(machine_ids(&store, &whole(), SHA1_A), None);

    let old = alert("a2", "m1", "2026-01-01T00:00:00Z", SHA1_A);
    for repeated in [false, true] {
        let late = append(&store, vec![old.clone()]);
        assert_eq!((late.repeated, late.alerts_outside_retention), (repeated, 1));
    }
    let updated = alert("a2", "m1", "2026-09-20T00:00:00Z", SHA1_A);
    let late = append(&store, vec![updated, old]);
    assert_eq!(late.alerts_outside_retention, 0, "its newest update lies within");
}

#[test]
fn an_alert_s_evidence_is_united_and_its_newest_update_wins() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(&store, vec![alert("a1", "m1", "2026-06-02T00:00:00Z", SHA1_B)]);
    append(
        &store,
        vec![alert("a1", "m1", "2026-06-01T00:00:00Z", SHA1_A), evidence_row("a1", "m1", SHA256_A)],
    );
    let text = store.alert(&whole(), &"a1".parse().unwrap()).unwrap().unwrap();
    let alert: serde_json::Value = serde_json::from_str(&format!("{{{text}}}")).unwrap();
    assert_eq!(alert["lastUpdateTime"], "2026-06-02T00:00:00Z");
    assert_eq!(alert["evidence"].as_array().unwrap().len(), 3);
    let mut out = Vec::new();
    assert_eq!(store.alert_files(&whole(), &"a1".parse().unwrap(), Page::ALL, &mut out).unwrap(), Some(3));
}

#[test]
fn an_update_of_evidence_wins_by_the_alert_s_last_update_and_keeps_it_one_piece() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for (at, status) in [("2026-06-02T00:00:00Z", "Prevented"), ("2026-06-01T00:00:00Z", "Detected")] {
        let Record::Alert(mut update) = alert("a1", "m1", at, SHA1_A) else { unreachable!() };
        let evidence = &mut update.evidence[0].0;
        evidence.note_time(e::EVIDENCE_CREATION_TIME, Time::MIN, Some(support::time("2026-05-31T00:00:00Z")));
        evidence.note_text(e::DETECTION_STATUS, Time::MIN, Some(status));
        append(&store, vec![Record::Alert(update)]);
    }
    let text = store.alert(&whole(), &"a1".parse().unwrap()).unwrap().unwrap();
    let alert: serde_json::Value = serde_json::from_str(&format!("{{{text}}}")).unwrap();
    assert_eq!(alert["evidence"].as_array().unwrap().len(), 1);
    assert_eq!(alert["evidence"][0]["detectionStatus"], "Prevented");
}

#[test]
fn hostile_lengths_are_cut_so_that_no_answer_and_no_memory_grows_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let long = "x".repeat(4 << 20);
    let Record::Alert(mut hostile) = alert("a1", "m1", "2026-06-01T00:00:00Z", SHA1_A) else {
        unreachable!()
    };
    hostile.facts.note_text(a::DESCRIPTION, support::time("2026-06-01T00:00:00Z"), Some(&long));
    for member in [e::PROCESS_COMMAND_LINE, e::FILE_PATH, e::URL, e::REGISTRY_VALUE, e::ACCOUNT_NAME] {
        hostile.evidence[0].0.note_text(member, Time::MIN, Some(&long));
    }
    append(&store, vec![support::named("m1", &long, "2026-01-01T00:00:00Z"), Record::Alert(hostile)]);
    append(&store, vec![in_group("m2", &long, SHA1_A)]);
    let mut out = Vec::new();
    store.machines(&whole(), Page::ALL, &mut out).unwrap();
    assert!(out.len() < 10_000, "{}", out.len());
    let alert = store.alert(&whole(), &"a1".parse().unwrap()).unwrap().unwrap();
    assert!(alert.len() < 100_000, "{}", alert.len());
    assert_eq!(machine_ids(&store, &whole(), SHA1_A), Some(vec!["m1".into(), "m2".into()]));
}

#[test]
fn an_answer_that_looked_at_only_some_of_too_many_partners_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let records =
        (0..1100).map(|n| file_seen("m1", "2026-01-01T00:00:00Z", SHA1_A, &format!("{n:064x}"), ""));
    append(&store, records.skip(1).collect());
    append(&store, vec![file_seen("m1", "2026-01-01T00:00:00Z", SHA1_B, SHA256_B, "")]);
    let cut_short = |text| {
        store.file_machines(&whole(), &hash(text), Page::ALL, &mut Vec::new()).unwrap().unwrap().cut_short
    };
    assert!(cut_short(SHA1_A));
    assert!(!cut_short(SHA1_B));
}

#[test]
fn a_machine_goes_by_its_name_too_and_the_one_seen_last_answers() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(
        &store,
        vec![
            support::named("m1", "Desk-1.example.org", "2026-01-01T00:00:00Z"),
            support::named("m2", "desk-1.example.org", "2026-01-05T00:00:00Z"),
        ],
    );
    let id = |name: &str| store.machine(&whole(), name).unwrap().map(|text| text[..10].to_owned());
    assert_eq!(id("DESK-1.example.org").as_deref(), Some(r#""id":"m2","#));
    assert_eq!(id("m1").as_deref(), Some(r#""id":"m1","#));
    assert_eq!(id("desk-1"), None, "short and full names are not joined");
}

#[test]
fn lists_are_paged_in_the_order_of_ids() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for machine in ["m5", "m1", "m3", "m2", "m4"] {
        append(&store, vec![file_seen(machine, "2026-01-01T00:00:00Z", SHA1_A, "", "")]);
    }
    let page = |skip, top| support::list(|out| store.machines(&whole(), Page { skip, top }, out));
    assert_eq!(page(0, 2), ["m1", "m2"]);
    assert_eq!(page(3, 9), ["m4", "m5"]);
    assert!(page(9, 9).is_empty());
}

#[test]
fn a_folder_belongs_to_one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    assert!(matches!(Store::open(folder.path(), support::options()), Err(Error::InUse(_))));
    drop(store);
    open(folder.path());
}

#[test]
fn what_a_newer_version_wrote_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let segment = folder.path().join("archive/00000001.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[8] = 99;
    std::fs::write(&segment, bytes).unwrap();
    let error = Store::open(folder.path(), support::options()).err().unwrap();
    assert!(matches!(error, Error::Newer { found: 99, known: 1, .. }), "{error}");
    assert!(error.to_string().contains("00000001.seg"), "{error}");
}

#[test]
fn records_kept_aside_are_listed_and_rejected_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let reject = pintle_store::Reject {
        source: "f.jsonl".into(),
        offset: 7,
        reason: "no JSON".into(),
        bytes: b"{\xff".to_vec(),
    };
    for records in [vec![], support::assorted_records()] {
        store.append(pintle_store::Batch { rejects: vec![reject.clone()], ..batch(records) }).unwrap();
    }
    assert_eq!(store.rejects(&whole(), 10).unwrap(), std::slice::from_ref(&reject));

    let at = |source: &str, offset| pintle_store::Reject { source: source.into(), offset, ..reject.clone() };
    let rejects = vec![at("g.jsonl", 1), at("f.jsonl", 70), at("e.jsonl", 900), at("f.jsonl", 8)];
    store.append(pintle_store::Batch { rejects, ..batch(vec![]) }).unwrap();
    let first = [at("e.jsonl", 900), reject.clone(), at("f.jsonl", 8), at("f.jsonl", 70)];
    assert_eq!(store.rejects(&whole(), 4).unwrap(), first);
}

#[test]
fn too_many_records_at_once_are_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let record: Record = file_seen("m1", "2026-01-01T00:00:00Z", SHA1_A, "", "");
    let error = store.append(batch(vec![record; pintle_store::Batch::MAX_RECORDS + 1])).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }));
    assert_eq!(machine_ids(&store, &whole(), SHA1_A), None);
}
