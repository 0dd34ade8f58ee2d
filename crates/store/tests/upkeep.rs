//! What folding and merging promise: they change no answer, and damage stops neither.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails says so")]

mod support;

use std::path::Path;
use std::time::Duration;

use pintle_store::{Memory, Options, Store};
use support::{SHA1_A, answers, append, file_seen, machine_ids, open, whole};

/// The runs of the base in a data folder.
fn runs(folder: &Path) -> usize {
    let base = std::fs::read_dir(folder.join("base")).unwrap();
    base.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|is| is == "run")).count()
}

#[test]
fn folding_and_merging_while_it_is_asked_changes_no_answer() {
    // One file is known by its SHA-1 alone, so that no later record takes machines from it again.
    const ALONE: &str = "cccccccccccccccccccccccccccccccccccccccc";
    let mut records = support::assorted_records();
    for n in 0..100 {
        let seen = file_seen(&format!("m{n:03}"), "2026-01-01T00:00:00Z", ALONE, "", "");
        records.insert(n * 2, seen);
    }
    let in_memory = tempfile::tempdir().unwrap();
    let expected = open(in_memory.path());
    append(&expected, records.clone());
    let expected = answers(&expected, &records);

    let folder = tempfile::tempdir().unwrap();
    // Every batch becomes a run, and of every four one is made.
    let options = || Options { memory: Memory { records: 1, ..Memory::default() }, ..support::options() };
    let store = Store::open(folder.path(), options()).unwrap();
    std::thread::scope(|scope| {
        let writer =
            scope.spawn(|| records.iter().for_each(|record| _ = append(&store, vec![record.clone()])));
        while !writer.is_finished() {
            let seen = machine_ids(&store, &whole(), ALONE).unwrap_or_default();
            let again = machine_ids(&store, &whole(), ALONE).unwrap_or_default();
            assert!(again.starts_with(&seen), "what was seen stays: {seen:?} {again:?}");
        }
    });
    assert_eq!(answers(&store, &records), expected);
    assert_eq!(machine_ids(&store, &whole(), ALONE).unwrap().len(), 100);
    store.close().unwrap();
    drop(store);
    let runs = runs(folder.path());
    assert!(runs < records.len() / 2, "{runs} runs of {} batches", records.len());
    let store = Store::open(folder.path(), options()).unwrap();
    assert_eq!(answers(&store, &records), expected);
}

#[test]
fn a_damaged_run_is_left_out_of_merges_and_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let options = || Options { memory: Memory { records: 1, ..Memory::default() }, ..support::options() };
    let many = |nth: usize| {
        file_seen("m", "2026-01-01T00:00:00Z", &format!("{nth:040x}"), &format!("{nth:064x}"), "")
    };
    append(&Store::open(folder.path(), options()).unwrap(), (0..2_000).map(many).collect());
    // Past the block with the machine.
    let run = folder.path().join("base/00000001.run");
    let mut bytes = std::fs::read(&run).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&run, &bytes).unwrap();

    let store = Store::open(folder.path(), options()).unwrap();
    for n in 0..40 {
        append(&store, vec![file_seen("m", "2026-01-02T00:00:00Z", SHA1_A, "", &format!("{n:032x}"))]);
    }
    let patience = std::time::Instant::now() + Duration::from_secs(60);
    let runs = || runs(folder.path());
    while runs() > 12 || store.troubles().is_empty() {
        assert!(std::time::Instant::now() < patience, "{} runs, {:?}", runs(), store.troubles());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(
        store.troubles().iter().all(|trouble| trouble.contains("00000001.run")),
        "{:?}",
        store.troubles()
    );
    assert!(run.exists(), "what reads of it is still read");
    assert_eq!(machine_ids(&store, &whole(), SHA1_A), Some(vec!["m".into()]));
}
