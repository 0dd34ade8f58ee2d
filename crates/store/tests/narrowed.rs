//! Answers about files for callers whose statistics are narrowed to the machines they see.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails says so")]

mod support;

use std::time::Duration;

use pintle_store::{FileMachines, Options, Page, Retention, Scope, Store};
use serde_json::Value;
use support::{
    MD5_A, SHA1_A, SHA1_B, SHA256_A, SHA256_B, TENANT, alert, append, entities, evidence_row, file_seen,
    groups, hash, in_group, machine_ids, open, options, source_groups, whole,
};

/// A store in which `seen` machines are in group 1 and all others are not.
fn store_with(folder: &std::path::Path, seen: &[&str], options: Options) -> Store {
    let store = Store::open(folder, options).unwrap();
    store.set_device_groups(TENANT, source_groups(&["Seen"])).unwrap();
    append(&store, seen.iter().map(|machine| in_group(machine, "Seen", "")).collect());
    store
}

fn narrowed() -> Scope {
    groups(&[1]).narrowing_statistics(true)
}

fn file(store: &Store, scope: &Scope, text: &str) -> Option<Value> {
    let members = store.file(scope, &hash(text)).unwrap()?;
    Some(serde_json::from_str(&format!("{{{members}}}")).unwrap())
}

fn found(store: &Store, scope: &Scope, text: &str) -> Option<FileMachines> {
    store.file_machines(scope, &hash(text), Page::ALL, &mut Vec::new()).unwrap()
}

#[test]
fn statistics_are_counted_over_the_visible_machines_only_where_the_scope_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(folder.path(), &["s1", "s2"], options());
    append(
        &store,
        vec![
            file_seen("s1", "2026-03-02T00:00:00Z", SHA1_A, "", ""),
            file_seen("s2", "2026-03-03T00:00:00Z", SHA1_A, "", ""),
            file_seen("h1", "2026-03-01T00:00:00Z", SHA1_A, "", ""),
            file_seen("h2", "2026-03-04T00:00:00Z", SHA1_A, SHA256_A, ""),
            file_seen("h2", "2026-03-04T00:00:00Z", SHA1_B, "", MD5_A),
            evidence_row("nowhere", "", SHA256_B),
        ],
    );
    let told = |scope: &Scope| {
        let file = file(&store, scope, SHA1_A).unwrap();
        ["globalPrevalence", "globalFirstObserved", "globalLastObserved", "sha256"].map(|m| file[m].clone())
    };
    let everywhere: [Value; 4] =
        [4.into(), "2026-03-01T00:00:00Z".into(), "2026-03-04T00:00:00Z".into(), SHA256_A.into()];
    let here: [Value; 4] =
        [2.into(), "2026-03-02T00:00:00Z".into(), "2026-03-03T00:00:00Z".into(), Value::Null];
    assert_eq!(told(&whole()), everywhere);
    assert_eq!(told(&groups(&[1])), everywhere, "files are tenant-wide");
    assert_eq!(told(&whole().narrowing_statistics(true)), everywhere, "who sees all counts all");
    assert_eq!(told(&narrowed()), here);

    // Seen on a hidden machine, and by nobody on any.
    for text in [SHA1_B, MD5_A, SHA256_A, SHA256_B] {
        assert!(file(&store, &groups(&[1]), text).is_some(), "{text}");
        // By the hidden machine's word the visible ones' SHA-1 means this SHA-256.
        let linked = if text == SHA256_A { vec!["s1".to_owned(), "s2".to_owned()] } else { vec![] };
        assert_eq!(machine_ids(&store, &groups(&[1]), text), Some(linked), "{text}");
        assert_eq!(file(&store, &narrowed(), text), None, "{text}");
        assert_eq!(found(&store, &narrowed(), text), None, "{text}");
        assert!(store.file_sightings(&narrowed(), &hash(text)).unwrap().is_none(), "{text}");
    }
}

#[test]
fn no_hint_names_a_hash_that_the_caller_does_not_know() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(folder.path(), &["s1", "s2"], options());
    append(
        &store,
        vec![
            file_seen("s1", "2026-03-01T00:00:00Z", SHA1_A, "", MD5_A),
            // The caller knows of nothing that links this hash to the file.
            file_seen("h1", "2026-03-01T00:00:00Z", SHA1_A, SHA256_A, ""),
            file_seen("h1", "2026-03-01T00:00:00Z", SHA1_B, SHA256_A, ""),
            file_seen("h1", "2026-03-01T00:00:00Z", "", SHA256_A, ""),
        ],
    );
    assert_eq!(found(&store, &groups(&[1]), SHA1_A).unwrap().ask_instead, [hash(SHA256_A)]);
    assert_eq!(found(&store, &narrowed(), SHA1_A).unwrap().ask_instead, []);
    // Once all of the conflict is on machines that the caller sees, it is named.
    append(
        &store,
        vec![
            file_seen("s1", "2026-03-01T00:00:00Z", SHA1_A, SHA256_A, ""),
            file_seen("s2", "2026-03-01T00:00:00Z", "", SHA256_A, ""),
        ],
    );
    assert_eq!(found(&store, &narrowed(), SHA1_A).unwrap().ask_instead, []);
    append(&store, vec![file_seen("s2", "2026-03-01T00:00:00Z", SHA1_B, SHA256_A, "")]);
    assert_eq!(found(&store, &narrowed(), SHA1_A).unwrap().ask_instead, [hash(SHA256_A)]);
    let (_, found) = store.file_sightings(&narrowed(), &hash(SHA1_A)).unwrap().unwrap();
    assert_eq!(found.ask_instead, [hash(SHA256_A)]);
}

#[test]
fn an_alert_s_files_say_no_more_of_hidden_machines() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(folder.path(), &["s1"], options());
    append(
        &store,
        vec![
            alert("a1", "s1", "2026-06-01T00:00:00Z", SHA1_A),
            file_seen("h1", "2026-03-01T00:00:00Z", SHA1_A, SHA256_A, ""),
        ],
    );
    let file = |scope: &Scope| {
        let list = |out: &mut Vec<u8>| {
            Ok(store.alert_files(scope, &"a1".parse().unwrap(), Page::ALL, out)?.unwrap())
        };
        let file = entities(list).remove(0);
        (file["globalPrevalence"].as_u64(), file["sha256"].clone(), file["globalFirstObserved"].clone())
    };
    assert_eq!(file(&groups(&[1])), (Some(2), SHA256_A.into(), "2026-03-01T00:00:00Z".into()));
    assert_eq!(file(&narrowed()), (Some(1), Value::Null, "2026-06-01T00:00:00Z".into()));
}

#[test]
fn what_has_expired_where_the_caller_sees_it_is_unknown_whatever_is_seen_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    // The clock stands at 1 August.
    let sightings = Some(Duration::from_secs(60 * 24 * 3600));
    let retention = Retention { sightings, ..Retention::default() };
    let store = store_with(folder.path(), &["s1"], Options { retention, ..options() });
    append(
        &store,
        vec![
            file_seen("s1", "2026-05-01T00:00:00Z", SHA1_A, "", ""),
            file_seen("h1", "2026-07-01T00:00:00Z", SHA1_A, "", ""),
            file_seen("s1", "2026-07-01T00:00:00Z", SHA1_B, "", ""),
        ],
    );
    assert_eq!(machine_ids(&store, &groups(&[1]), SHA1_A), Some(vec![]));
    assert_eq!(machine_ids(&store, &narrowed(), SHA1_A), None);
    assert_eq!(file(&store, &narrowed(), SHA1_A), None);
    assert_eq!(machine_ids(&store, &narrowed(), SHA1_B), Some(vec!["s1".into()]));
}

#[test]
fn what_is_counted_follows_the_groups() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(&store, vec![in_group("m1", "Seen", SHA1_A), in_group("m2", "Hidden", SHA1_A)]);
    let prevalence =
        |store: &Store| file(store, &narrowed(), SHA1_A).map(|file| file["globalPrevalence"].clone());
    assert_eq!(prevalence(&store), None, "without device groups, group 1 has no machine");
    store.set_device_groups(TENANT, source_groups(&["Seen"])).unwrap();
    assert_eq!(prevalence(&store), Some(1.into()));
    store.rebuild_online(&mut |_| {}).unwrap();
    assert_eq!(prevalence(&store), Some(1.into()));
}
