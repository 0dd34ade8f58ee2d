//! Every kind of damage is named, with its file, and nothing else is.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails says so")]

mod support;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use pintle_store::{Checked, Part, Purge, Purged, Store, check};
use support::{TENANT, append, assorted_records, file_seen, open, options};

/// A folder as closing leaves it: five batches in two segments, two runs.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for part in assorted_records().chunks(50) {
        append(&store, part.to_vec());
    }
    store.rebuild_online(&mut |_| {}).unwrap();
    append(&store, vec![file_seen("late", "2026-05-01T00:00:00Z", support::SHA1_A, "", "")]);
    drop(store);
    folder
}

fn checked(folder: &Path) -> Checked {
    check(folder, &mut |_| {}).unwrap()
}

fn flip(file: &Path, offset: u64) {
    let opened = fs::OpenOptions::new().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    opened.read_exact_at(&mut byte, offset).unwrap();
    opened.write_all_at(&[byte[0] ^ 4], offset).unwrap();
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn a_sound_folder_is_called_sound_and_stays_as_it_is() {
    let folder = folder();
    let before = files(&folder.path().join("base"));
    let mut last = Default::default();
    let found = check(folder.path(), &mut |progress| last = progress).unwrap();
    assert_eq!((&found.damages, &found.torn), (&vec![], &None));
    assert_eq!((found.batches, found.files), (5, 6), "two runs, a manifest and its copy, two segments");
    assert!(last.bytes > 0 && last.bytes <= last.bytes_total && found.bytes == last.bytes_total);
    assert_eq!(files(&folder.path().join("base")), before);
}

#[test]
fn a_flipped_bit_anywhere_is_named() {
    let folder = folder();
    for part in ["base", "archive"] {
        for file in files(&folder.path().join(part)) {
            let sound = fs::read(&file).unwrap();
            let step = (sound.len() / 40).max(1);
            for offset in (0..sound.len()).step_by(step) {
                flip(&file, offset as u64);
                let found = checked(folder.path());
                let named = found.damages.iter().any(|damage| damage.file == file);
                assert!(named && found.damages.len() == 1, "{} at {offset}: {found:?}", file.display());
                let belongs = if part == "base" { Part::Base } else { Part::Archive };
                assert_eq!(found.damages[0].part, belongs);
                fs::write(&file, &sound).unwrap();
            }
        }
    }
    assert_eq!(checked(folder.path()).damages, []);
}

#[test]
fn all_that_is_damaged_is_named_at_once() {
    let folder = folder();
    let all = ["base", "archive"].iter().flat_map(|part| files(&folder.path().join(part)));
    // Without both copies of the manifest nobody knows which runs there should be.
    let damaged: Vec<PathBuf> = all.filter(|file| !file.ends_with("MANIFEST")).collect();
    damaged.iter().for_each(|file| flip(file, fs::metadata(file).unwrap().len() / 2));
    let mut named: Vec<_> = checked(folder.path()).damages.into_iter().map(|damage| damage.file).collect();
    named.sort();
    let mut all = damaged;
    all.sort();
    assert_eq!(named, all);
}

#[test]
fn a_closed_segment_that_was_cut_where_a_frame_ends_is_named() {
    let folder = folder();
    let segment = folder.path().join("archive/00000001.seg");
    let sound = fs::read(&segment).unwrap();
    let mut ends = vec![12];
    while let Some(block) = sound.get(ends[ends.len() - 1]..).and_then(|rest| rest.first_chunk()) {
        ends.push(ends[ends.len() - 1] + 16 + u32::from_le_bytes(*block) as usize);
    }
    assert!(ends.len() > 4 && ends.pop() == Some(sound.len()), "{ends:?}");
    for end in ends {
        fs::write(&segment, &sound[..end]).unwrap();
        let found = checked(folder.path());
        assert_eq!(found.damages.iter().map(|damage| &damage.file).collect::<Vec<_>>(), [&segment]);
        let store = open(folder.path());
        // It is not read while the base holds it; making that anew would lose what is cut off.
        assert!(store.rebuild_online(&mut |_| {}).is_err(), "cut at {end}");
        drop(store);
        fs::remove_dir_all(folder.path().join("base")).unwrap();
        assert!(open(folder.path()).troubles().iter().any(|trouble| trouble.contains("end mark")));
    }
}

#[test]
fn what_is_missing_or_cut_short_is_named() {
    for part in ["base", "archive"] {
        let names = files(&folder().path().join(part));
        for nth in 0..names.len() {
            let folder = folder();
            let file = &files(&folder.path().join(part))[nth];
            let sound = fs::read(file).unwrap();
            fs::write(file, &sound[..sound.len() - 1]).unwrap();
            let found = checked(folder.path());
            assert!(found.damages.iter().any(|damage| damage.file == *file), "{part} {nth}: {found:?}");
            fs::remove_file(file).unwrap();
            let found = checked(folder.path());
            // The caps drop the oldest segments, so the first may be gone; and so may the note of what is
            // durable.
            let may_go = part == "archive" && (nth == 0 || file.ends_with("DURABLE"));
            let named = found.damages.iter().any(|damage| damage.file == *file);
            assert_eq!(named, !may_go, "{part} {nth}: {found:?}");
        }
    }
}

#[test]
fn a_batch_that_was_being_written_is_no_damage() {
    let folder = folder();
    let last = folder.path().join("archive/00000002.seg");
    let length = fs::metadata(&last).unwrap().len();
    let mut bytes = fs::read(&last).unwrap();
    bytes.extend_from_slice(&[7; 100]);
    fs::write(&last, &bytes).unwrap();
    let found = checked(folder.path());
    assert_eq!((found.damages, found.torn), (vec![], Some((last.clone(), length))));
    assert_eq!(fs::read(&last).unwrap(), bytes, "checking repairs nothing");
    let store = Store::open(folder.path(), options()).unwrap();
    assert!(store.set_aside().is_some());
}

#[test]
fn a_store_in_use_checks_itself() {
    let folder = folder();
    let store = open(folder.path());
    let purge = Purge { tenant: TENANT, what: Purged::Source("none".into()) };
    store.purge(&[purge], &mut |_| {}).unwrap();
    append(&store, vec![file_seen("m", "2026-05-02T00:00:00Z", support::SHA1_B, "", "")]);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..30 {
                let at = format!("2026-05-03T00:00:{n:02}Z");
                append(&store, vec![file_seen(&format!("w{n}"), &at, support::SHA1_A, "", "")]);
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        while !done.load(std::sync::atomic::Ordering::Relaxed) {
            assert_eq!(store.check(&mut |_| {}).unwrap().damages, []);
        }
    });
    let first = files(&folder.path().join("archive")).remove(0);
    flip(&first, 40);
    let found = store.check(&mut |_| {}).unwrap();
    assert_eq!(found.damages.iter().map(|damage| &damage.file).collect::<Vec<_>>(), [&first]);
    fs::write(folder.path().join("purges.jsonl"), b"{]\n").unwrap();
    let found = store.check(&mut |_| {}).unwrap();
    assert!(found.damages.iter().any(|damage| damage.part == Part::Other), "{found:?}");
}
