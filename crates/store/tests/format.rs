//! The format on the disk is frozen: a folder that version 1 left is opened by every later one, with
//! the same answers. `PINTLE_RECORD=1` writes the folder and the answers anew; that is only right
//! where the format has a new version and the old folder stays beside the new one.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that fails says so"
)]

mod support;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use pintle_store::{Batch, Folder, Memory, Options, Page, Reject, Span, Store};
use support::{
    MD5_A, MD5_B, SHA1_A, SHA1_B, SHA256_A, SHA256_B, assorted_records, batch, copy_folder, hash, options,
    whole,
};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture/v1")
}

/// What is asked, as text that shows in a difference and names nothing of this version's types.
fn told(store: &Store) -> String {
    let mut told = String::new();
    for text in [SHA1_A, SHA1_B, SHA256_A, SHA256_B, MD5_A, MD5_B] {
        let ids = support::machine_ids(store, &whole(), text);
        writeln!(told, "{text} {ids:?}\n{:?}", store.file(&whole(), &hash(text)).unwrap()).unwrap();
        let (sightings, found) = store.file_sightings(&whole(), &hash(text)).unwrap().unwrap();
        writeln!(told, "{:?} {}", found.ask_instead, found.cut_short).unwrap();
        for sighting in sightings {
            let span = |span: Option<Span>| span.map(|span| format!("{} {}", span.first, span.last));
            let (target, any) = (span(sighting.as_target), span(sighting.any_role));
            writeln!(told, "{} {:?} {target:?} {any:?}", sighting.machine, sighting.name).unwrap();
        }
    }
    for conflict in store.conflicts(&whole()).unwrap() {
        writeln!(told, "{:?} {:?}", conflict.hash, conflict.partners).unwrap();
    }
    let mut lists = Vec::new();
    store.machines(&whole(), Page::ALL, &mut lists).unwrap();
    for id in ["a1", "a2"] {
        writeln!(told, "{:?}", store.alert(&whole(), &id.parse().unwrap()).unwrap()).unwrap();
        store.alert_files(&whole(), &id.parse().unwrap(), Page::ALL, &mut lists).unwrap();
    }
    told += &String::from_utf8(lists).unwrap();
    let totals = store.totals(&whole()).unwrap();
    writeln!(told, "\n{} {} {}", totals.machines, totals.files, totals.alerts).unwrap();
    for reject in store.rejects(&whole(), 10).unwrap() {
        writeln!(told, "{} {} {} {:?}", reject.source, reject.offset, reject.reason, reject.bytes).unwrap();
    }
    for info in store.batches(&whole(), None, "", Page::ALL).unwrap() {
        writeln!(told, "{} {} {} {}", info.received, info.source, info.records, info.rejects).unwrap();
    }
    told
}

/// The files in a folder whose names end so.
fn count(folder: &Path, ending: &str) -> usize {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().ends_with(ending)).count()
}

/// A folder as a kill leaves it: a closed segment of the archive and an open one, some of it in several
/// runs, some in none.
fn record() {
    let made = tempfile::tempdir().unwrap();
    let folder = made.path().join("data");
    let memory = Memory { records: 70, ..Memory::default() };
    let store = Store::open(&folder, Options { memory, ..options() }).unwrap();
    for (part, records) in assorted_records().chunks(30).enumerate() {
        let reject = Reject { source: "s".into(), offset: part as u64, reason: "no".into(), bytes: vec![7] };
        let source = format!("source {part}");
        store.append(Batch { source, rejects: vec![reject], ..batch(records.to_vec()) }).unwrap();
        if part == 1 {
            store.rebuild_online(&mut |_| {}).unwrap();
        }
    }
    while count(&folder.join("base"), ".run") < 2 {
        std::thread::yield_now();
    }
    let _ = fs::remove_dir_all(fixture());
    copy_folder(&folder, &fixture());
    fs::remove_file(fixture().join("LOCK")).unwrap();
    fs::write(fixture().join("answers.txt"), told(&store)).unwrap();
}

#[test]
fn what_version_1_left_is_opened_and_answered_the_same() {
    if std::env::var_os("PINTLE_RECORD").is_some() {
        record();
    }
    let folder = tempfile::tempdir().unwrap();
    for part in ["archive", "base"] {
        copy_folder(&fixture().join(part), &folder.path().join(part));
    }
    let expected = fs::read_to_string(fixture().join("answers.txt")).unwrap();
    assert!(count(&folder.path().join("base"), ".run") > 1, "several runs are read");
    assert!(count(&folder.path().join("archive"), ".seg") > 1, "a closed segment is among them");
    let mut replayed = 0;
    let owned = Folder::lock(folder.path()).unwrap();
    let store = Store::open_in(owned, options(), &mut |so_far| replayed = so_far.batches).unwrap();
    assert!(replayed > 0, "some of the archive is applied");
    assert_eq!(told(&store), expected);
    assert_eq!(store.troubles(), [""; 0]);
    // That version did not keep it: it follows from the machines and the batches.
    let coverage = store.coverage(&whole()).unwrap();
    let batches = store.batches(&whole(), None, "", Page::ALL).unwrap();
    assert_eq!(coverage.sources, batches.into_iter().map(|batch| batch.source).collect());
    assert!(!coverage.has_more_sources && coverage.events.is_some());
    drop(store);
    let store = Store::open(folder.path(), options()).unwrap();
    assert_eq!(store.coverage(&whole()).unwrap(), coverage, "opened again");
    drop(store);
    let store = Store::rebuild(Folder::lock(folder.path()).unwrap(), options(), &mut |_| {}).unwrap();
    assert_eq!(told(&store), expected, "rebuilt");
    assert_eq!(store.coverage(&whole()).unwrap(), coverage, "rebuilt");
}
