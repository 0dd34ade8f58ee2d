//! A backup made while batches come in holds all that was acknowledged before, and nothing less is
//! ever called a backup.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails says so")]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use pintle_store::{BackedUp, Error, Store, restore, verify};
use support::{answers, append, assorted_records, file_seen, open, options, whole};

fn back_up(store: &Store, to: &Path) -> Result<BackedUp, Error> {
    let others = ["control.json", "not there"].map(str::to_owned);
    store.backup(to, &others, &[("given/name".to_owned(), b"given".to_vec())], &mut |_| {})
}

fn put_back(backup: &Path, to: &Path) -> Result<BackedUp, Error> {
    restore(backup, to, &mut |_| Ok(()), &mut |_| {})
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        files.extend(if path.is_dir() { self::files(&path) } else { vec![path] });
    }
    files.sort();
    files
}

/// A store with some batches in two segments and a file beside it, and a folder for what is made of it.
fn filled() -> (tempfile::TempDir, Store) {
    let top = tempfile::tempdir().unwrap();
    let store = open(&top.path().join("data"));
    for part in assorted_records().chunks(30) {
        append(&store, part.to_vec());
    }
    store.rebuild_online(&mut |_| {}).unwrap();
    fs::write(top.path().join("data/control.json"), "{}").unwrap();
    (top, store)
}

#[test]
fn what_was_acknowledged_before_is_restored_with_the_same_answers() {
    let (top, store) = filled();
    let (backup, restored) = (top.path().join("backup"), top.path().join("restored"));
    let (acknowledged, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let before = std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0u64.. {
                let sha1 = format!("{:040x}", n + 1);
                append(&store, vec![file_seen("busy", "2026-05-01T00:00:00Z", &sha1, "", "")]);
                acknowledged.store(n + 1, Ordering::SeqCst);
                if stop.load(Ordering::SeqCst) {
                    return;
                }
            }
        });
        while acknowledged.load(Ordering::SeqCst) < 5 {
            std::thread::yield_now();
        }
        let before = acknowledged.load(Ordering::SeqCst);
        let made = back_up(&store, &backup).unwrap();
        stop.store(true, Ordering::SeqCst);
        assert!(made.files >= 4 && made.bytes > 0, "{made:?}");
        before
    });
    assert!(!top.path().join("data/backup.staging").exists());
    assert_eq!(verify(&backup, &mut |_| {}).unwrap().damages, []);
    put_back(&backup, &restored).unwrap();
    assert_eq!(fs::read(restored.join("control.json")).unwrap(), b"{}");

    let restored = open(&restored);
    assert!(restored.set_aside().is_none() && restored.troubles().is_empty());
    assert_eq!(answers_of_assorted(&store), answers_of_assorted(&restored));
    for n in 0..before {
        let hash = support::hash(&format!("{:040x}", n + 1));
        let found = restored.file_sightings(&whole(), &hash).unwrap();
        assert_eq!(found, store.file_sightings(&whole(), &hash).unwrap(), "{n} of {before}");
        assert!(found.is_some());
    }
    // Sightings go on in the copy, and in the original.
    append(&restored, vec![file_seen("after", "2026-05-02T00:00:00Z", support::SHA1_A, "", "")]);
}

/// Answers that the machine which is busy meanwhile is not in.
fn answers_of_assorted(store: &Store) -> Vec<String> {
    let mut answers = answers(store, &[]);
    // The list of all machines.
    answers.pop();
    answers
}

#[test]
fn a_flipped_byte_anywhere_in_a_backup_is_found() {
    let (top, store) = filled();
    let backup = top.path().join("backup");
    back_up(&store, &backup).unwrap();
    for file in files(&backup) {
        let sound = fs::read(&file).unwrap();
        for offset in [0, sound.len() / 3, sound.len() - 1] {
            let mut bytes = sound.clone();
            bytes[offset] ^= 1;
            fs::write(&file, &bytes).unwrap();
            let named = match verify(&backup, &mut |_| {}) {
                Ok(verified) => verified.damages.iter().any(|damage| damage.file == file),
                Err(error) => error.to_string().contains(&*file.to_string_lossy()),
            };
            assert!(named, "{} at {offset}", file.display());
            let to = top.path().join("restored");
            let refused = put_back(&backup, &to).unwrap_err().to_string();
            assert!(refused.contains(&*file.to_string_lossy()), "{refused}");
            assert!(!to.exists() && !top.path().join("restored.restoring").exists());
        }
        fs::write(&file, &sound).unwrap();
    }
    for file in files(&backup) {
        let away = top.path().join("away");
        fs::rename(&file, &away).unwrap();
        let is_sound = verify(&backup, &mut |_| {}).is_ok_and(|verified| verified.damages.is_empty());
        assert!(!is_sound, "without {}", file.display());
        fs::rename(&away, &file).unwrap();
    }
    assert_eq!(verify(&backup, &mut |_| {}).unwrap().damages, []);
}

#[test]
fn a_place_that_is_taken_is_left_alone() {
    let (top, store) = filled();
    let taken = top.path().join("taken");
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("mine"), "").unwrap();
    for to in [taken.clone(), taken.join("mine"), top.path().join("data/inside/deep")] {
        let refused = back_up(&store, &to).unwrap_err();
        assert!(matches!(refused, Error::UnfitFolder { .. }), "{refused}");
    }
    assert!(!top.path().join("data/inside").exists());
    let backup = top.path().join("backup");
    back_up(&store, &backup).unwrap();
    assert!(matches!(put_back(&backup, &taken), Err(Error::UnfitFolder { .. })));
    assert!(matches!(put_back(&taken, &top.path().join("new")), Err(Error::NoBackup(_))));
    assert_eq!(files(&taken), [taken.join("mine")]);
    // An empty folder, a mount say, is as good as none.
    let empty = top.path().join("empty");
    fs::create_dir(&empty).unwrap();
    put_back(&backup, &empty).unwrap();
    assert!(Store::open(&empty, options()).unwrap().set_aside().is_none());
}

#[test]
fn only_the_owner_may_read_and_times_stay() {
    let (top, store) = filled();
    let (backup, restored) = (top.path().join("made/backup"), top.path().join("made/restored"));
    back_up(&store, &backup).unwrap();
    put_back(&backup, &restored).unwrap();
    for folder in [&backup, &restored] {
        for file in files(folder) {
            assert_eq!(
                fs::metadata(&file).unwrap().permissions().mode() & 0o777,
                0o600,
                "{}",
                file.display()
            );
            let within = fs::metadata(file.parent().unwrap()).unwrap();
            assert_eq!(within.permissions().mode() & 0o777, 0o700, "{}", file.display());
        }
        let segment = |folder: &Path| fs::metadata(folder.join("archive/00000001.seg")).unwrap().mtime_nsec();
        assert_eq!(segment(folder), segment(&top.path().join("data")));
    }
}

#[test]
fn a_damaged_store_is_not_backed_up_and_a_stopped_backup_leaves_nothing() {
    let (top, store) = filled();
    let (data, backup) = (top.path().join("data"), top.path().join("backup"));
    let staging = data.join("backup.staging");
    fs::create_dir(&staging).unwrap();
    assert!(matches!(back_up(&store, &backup), Err(Error::BackupUnderWay)));
    drop(store);
    let store = open(&data);
    assert!(!staging.exists(), "opening takes it away");
    let segment = data.join("archive/00000001.seg");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[60] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let refused = back_up(&store, &backup).unwrap_err().to_string();
    assert!(refused.contains(&*segment.to_string_lossy()), "{refused}");
    assert!(!backup.exists() && !staging.exists());
}

#[test]
fn a_backup_that_names_files_elsewhere_is_refused() {
    let (top, store) = filled();
    let backup = top.path().join("backup");
    back_up(&store, &backup).unwrap();
    let name = backup.join("BACKUP.json");
    let text = fs::read_to_string(&name).unwrap();
    fs::write(&name, text.replace("\"control.json\"", "\"../evil.json\"")).unwrap();
    assert!(put_back(&backup, &top.path().join("to")).is_err());
    fs::write(&name, text.replace("\"format\": 1", "\"format\": 2")).unwrap();
    assert!(matches!(verify(&backup, &mut |_| {}), Err(Error::Newer { found: 2, .. })));
}
