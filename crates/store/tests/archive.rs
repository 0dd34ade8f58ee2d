//! What the archive survives: torn ends, damage, caps, a rebuild cut short.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a test that fails says so"
)]

mod support;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pintle_model::Record;
use pintle_store::{ArchiveCaps, Error, Folder, Options, Store};
use support::{SHA1_A, append, file_seen, machine_ids, open, options, whole};

fn segment(folder: &Path) -> PathBuf {
    folder.join("archive/00000001.seg")
}

fn seen_on(machine: &str) -> Vec<Record> {
    vec![file_seen(machine, "2026-01-01T00:00:00Z", SHA1_A, "", "")]
}

fn without_base(folder: &Path) {
    fs::remove_dir_all(folder.join("base")).unwrap();
}

#[test]
fn a_lost_base_is_made_again_from_the_archive() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    append(&store, support::assorted_records());
    append(&store, seen_on("m1"));
    let expected = support::answers(&store, &[]);
    drop(store);
    without_base(folder.path());
    let mut replayed = Vec::new();
    let folder = Folder::lock(folder.path()).unwrap();
    let store = Store::open_in(folder, options(), &mut |so_far| replayed.push(so_far)).unwrap();
    assert_eq!(support::answers(&store, &[]), expected);
    let [half, all] = replayed[..] else { panic!("{replayed:?}") };
    assert!(half.bytes > 0 && half.bytes < half.bytes_total, "{half:?}");
    assert_eq!((all.batches, all.records), (2, 1 + support::assorted_records().len() as u64));
    assert_eq!((all.bytes, all.bytes_total), (half.bytes_total, half.bytes_total));
}

#[test]
fn opening_applies_only_what_the_base_lacks() {
    let folder = tempfile::tempdir().unwrap();
    append(&open(folder.path()), seen_on("m1"));
    let older = tempfile::tempdir().unwrap();
    fs::rename(folder.path().join("base"), older.path().join("base")).unwrap();
    append(&open(folder.path()), seen_on("m2"));
    without_base(folder.path());
    fs::rename(older.path().join("base"), folder.path().join("base")).unwrap();
    let mut replayed = Vec::new();
    let owned = Folder::lock(folder.path()).unwrap();
    drop(Store::open_in(owned, options(), &mut |so_far| replayed.push(so_far)).unwrap());
    assert_eq!((replayed.len(), replayed[0].records), (1, 1));
    assert_eq!(replayed[0].bytes, replayed[0].bytes_total);
}

#[test]
fn a_batch_torn_at_any_byte_is_set_aside_and_what_was_acknowledged_stays() {
    let folder = tempfile::tempdir().unwrap();
    append(&open(folder.path()), seen_on("m1"));
    let whole_length = fs::metadata(segment(folder.path())).unwrap().len();
    append(&open(folder.path()), seen_on("m2"));
    let bytes = fs::read(segment(folder.path())).unwrap();
    for length in (usize::try_from(whole_length).unwrap() + 1..bytes.len()).step_by(7) {
        let torn = tempfile::tempdir().unwrap();
        append(&open(torn.path()), seen_on("m1"));
        fs::write(segment(torn.path()), &bytes[..length]).unwrap();
        let store = open(torn.path());
        assert_eq!(machine_ids(&store, &whole(), SHA1_A), Some(vec!["m1".into()]), "cut at {length}");
        assert_eq!(fs::metadata(segment(torn.path())).unwrap().len(), whole_length);
        let aside = torn.path().join(format!("archive/00000001-{whole_length}.torn"));
        assert_eq!(store.set_aside(), Some(aside.as_path()));
        assert_eq!(fs::read(aside).unwrap(), &bytes[usize::try_from(whole_length).unwrap()..length]);
        append(&store, seen_on("m3"));
        drop(store);
        without_base(torn.path());
        assert_eq!(machine_ids(&open(torn.path()), &whole(), SHA1_A), Some(vec!["m1".into(), "m3".into()]));
    }
}

#[test]
fn a_segment_that_was_just_being_made_is_made_anew() {
    for length in [0, 5, 11] {
        let folder = tempfile::tempdir().unwrap();
        append(&open(folder.path()), seen_on("m1"));
        let header = fs::read(segment(folder.path())).unwrap()[..length].to_vec();
        fs::write(folder.path().join("archive/00000002.seg"), header).unwrap();
        append(&open(folder.path()), seen_on("m2"));
        without_base(folder.path());
        let store = open(folder.path());
        assert_eq!(machine_ids(&store, &whole(), SHA1_A), Some(vec!["m1".into(), "m2".into()]), "{length}");
    }
}

#[test]
fn damage_to_what_was_applied_is_found_by_a_rebuild_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for n in 0..20 {
        append(&store, seen_on(&format!("m{n}")));
    }
    drop(store);
    let sound = fs::read(segment(folder.path())).unwrap();
    for place in (12..sound.len()).step_by(sound.len() / 37) {
        let mut bytes = sound.clone();
        bytes[place] ^= 0x10;
        fs::write(segment(folder.path()), bytes).unwrap();
        let error = Store::rebuild(Folder::lock(folder.path()).unwrap(), options(), &mut |_| {})
            .err()
            .expect("the flipped bit is found");
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("00000001.seg"), "{error}");
        let store = open(folder.path());
        assert_eq!(machine_ids(&store, &whole(), SHA1_A).unwrap().len(), 20, "the old base still answers");
    }
}

#[test]
fn a_rebuild_cut_short_at_any_step_leaves_a_base() {
    for leftovers in
        [&["base", "base.rebuilding"][..], &["base.replaced", "base.rebuilding"], &["base", "base.replaced"]]
    {
        let folder = tempfile::tempdir().unwrap();
        append(&open(folder.path()), seen_on("m1"));
        let base = folder.path().join("base");
        let kept = folder.path().join(leftovers[0]);
        if kept != base {
            fs::rename(&base, &kept).unwrap();
        }
        fs::create_dir(folder.path().join(leftovers[1])).unwrap();
        assert_eq!(
            machine_ids(&open(folder.path()), &whole(), SHA1_A),
            Some(vec!["m1".into()]),
            "{leftovers:?}"
        );
        assert!(
            !folder.path().join("base.rebuilding").exists() && !folder.path().join("base.replaced").exists()
        );
    }
}

#[test]
fn caps_drop_the_oldest_closed_segments_answers_stay_and_a_rebuild_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    append(&open(folder.path()), seen_on("m1"));
    // A second segment, as one is begun when the first is full.
    let header = fs::read(segment(folder.path())).unwrap()[..12].to_vec();
    fs::write(folder.path().join("archive/00000002.seg"), header).unwrap();
    append(&open(folder.path()), seen_on("m2"));
    let capped = Options { archive: ArchiveCaps { max_age: None, max_bytes: Some(1) }, ..options() };
    let store = Store::open(folder.path(), capped).unwrap();
    assert!(!segment(folder.path()).exists());
    assert!(folder.path().join("archive/00000002.seg").exists(), "the open segment is never dropped");
    assert_eq!(machine_ids(&store, &whole(), SHA1_A), Some(vec!["m1".into(), "m2".into()]));
    drop(store);
    let error = Store::rebuild(Folder::lock(folder.path()).unwrap(), options(), &mut |_| {}).err().unwrap();
    assert!(matches!(error, Error::ArchiveIncomplete(_)), "{error}");
    assert_eq!(machine_ids(&open(folder.path()), &whole(), SHA1_A), Some(vec!["m1".into(), "m2".into()]));
}

#[test]
fn a_rebuild_from_an_archive_that_lost_files_is_refused_and_the_base_stays() {
    for lose in ["the first segment", "everything", "an end"] {
        let folder = tempfile::tempdir().unwrap();
        append(&open(folder.path()), seen_on("m1"));
        let header = fs::read(segment(folder.path())).unwrap()[..12].to_vec();
        fs::write(folder.path().join("archive/00000002.seg"), &header).unwrap();
        append(&open(folder.path()), seen_on("m2"));
        let second = folder.path().join("archive/00000002.seg");
        match lose {
            "the first segment" => fs::remove_file(segment(folder.path())).unwrap(),
            "an end" => fs::write(&second, &header).unwrap(),
            _ => {
                fs::remove_file(segment(folder.path())).unwrap();
                fs::remove_file(&second).unwrap();
            }
        }
        let error =
            Store::rebuild(Folder::lock(folder.path()).unwrap(), options(), &mut |_| {}).err().unwrap();
        assert!(matches!(error, Error::ArchiveIncomplete(_)), "{lose}: {error}");
        assert!(folder.path().join("base").exists(), "{lose}");
    }
}

#[test]
fn a_base_that_was_just_being_made_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    append(&open(folder.path()), seen_on("m1"));
    without_base(folder.path());
    // What the engine leaves when it is stopped early: some folders, no database.
    fs::create_dir_all(folder.path().join("base.rebuilding/keyspaces/1")).unwrap();
    assert_eq!(machine_ids(&open(folder.path()), &whole(), SHA1_A), Some(vec!["m1".into()]));
}

#[test]
fn a_cap_by_age_goes_by_the_clock() {
    let folder = tempfile::tempdir().unwrap();
    append(&open(folder.path()), seen_on("m1"));
    let header = fs::read(segment(folder.path())).unwrap()[..12].to_vec();
    fs::write(folder.path().join("archive/00000002.seg"), header).unwrap();
    append(&open(folder.path()), seen_on("m2"));
    let written = pintle_model::Time::from(fs::metadata(segment(folder.path())).unwrap().modified().unwrap());
    let day = Duration::from_secs(24 * 3600);
    for (age, stays) in [(day - Duration::from_secs(60), true), (day + Duration::from_secs(60), false)] {
        let capped = Options {
            clock: std::sync::Arc::new(move || written + age),
            archive: ArchiveCaps { max_age: Some(day), max_bytes: None },
            ..options()
        };
        drop(Store::open(folder.path(), capped).unwrap());
        assert_eq!(segment(folder.path()).exists(), stays);
    }
}

#[test]
fn what_lies_in_the_data_folder_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let top = tempfile::tempdir().unwrap();
    let folder = top.path().join("data");
    append(&open(&folder), seen_on("m1"));
    assert_eq!(mode(&folder), 0o700);
    let torn = fs::metadata(segment(&folder)).unwrap().len();
    fs::OpenOptions::new().append(true).open(segment(&folder)).unwrap().write_all(b"torn").unwrap();
    drop(open(&folder));
    let check = || {
        assert_eq!(mode(&folder.join("archive")), 0o700);
        assert_eq!(mode(&folder.join("base")), 0o700);
        assert_eq!(mode(&segment(&folder)), 0o600);
        assert_eq!(mode(&folder.join(format!("archive/00000001-{torn}.torn"))), 0o600);
    };
    check();
    drop(Store::rebuild(Folder::lock(&folder).unwrap(), options(), &mut |_| {}).unwrap());
    check();

    // A folder that was there belongs to whoever made it.
    let given = top.path().join("given");
    fs::create_dir(&given).unwrap();
    fs::set_permissions(&given, fs::Permissions::from_mode(0o755)).unwrap();
    drop(open(&given));
    assert_eq!(mode(&given), 0o755);
}

#[test]
fn damage_to_what_was_not_applied_yet_is_no_torn_end_and_the_rest_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for n in 0..20 {
        append(&store, seen_on(&format!("m{n:02}")));
    }
    drop(store);
    without_base(folder.path());
    let sound = fs::read(segment(folder.path())).unwrap();
    let note = folder.path().join("archive/DURABLE");
    let durable = fs::read(&note).unwrap();
    let frame = (sound.len() - 12) / 20;
    for place in (12..sound.len()).step_by(frame / 3) {
        let mut bytes = sound.clone();
        bytes[place] ^= 0x10;
        fs::write(segment(folder.path()), &bytes).unwrap();
        fs::write(&note, &durable).unwrap();
        let store = open(folder.path());
        let found = machine_ids(&store, &whole(), SHA1_A).unwrap();
        assert_eq!((found.len(), store.set_aside()), (19, None), "{place}: {found:?}");
        let troubles = store.troubles();
        assert!(troubles.len() == 1 && troubles[0].contains("00000001.seg"), "{troubles:?}");
        append(&store, seen_on("later"));
        drop(store);
        assert_eq!(fs::read(segment(folder.path())).unwrap()[..bytes.len()], bytes, "nothing is cut off");
        assert!(Store::rebuild(Folder::lock(folder.path()).unwrap(), options(), &mut |_| {}).is_err());
        without_base(folder.path());
    }
}

#[test]
fn an_archive_that_lost_its_end_is_named_and_goes_on_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for n in 0..10 {
        append(&store, vec![file_seen(&format!("m{n}"), "2026-01-01T00:00:00Z", SHA1_A, "", "")]);
    }
    drop(store);
    let segment = folder.path().join("archive/00000001.seg");
    let bytes = fs::read(&segment).unwrap();
    fs::write(&segment, &bytes[..bytes.len() / 2]).unwrap();
    let store = open(folder.path());
    let troubles = store.troubles();
    assert!(troubles.len() == 1 && troubles[0].contains("00000001.seg"), "{troubles:?}");
    append(&store, vec![file_seen("later", "2026-01-01T00:00:00Z", SHA1_A, "", "")]);
    assert_eq!(machine_ids(&store, &whole(), SHA1_A).unwrap().len(), 11, "the base has what was lost");
    // As a kill leaves it: nothing more was folded.
    let killed = tempfile::tempdir().unwrap();
    for part in ["archive", "base"] {
        fs::create_dir(killed.path().join(part)).unwrap();
        for entry in fs::read_dir(folder.path().join(part)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), killed.path().join(part).join(entry.file_name())).unwrap();
        }
    }
    assert_eq!(machine_ids(&open(killed.path()), &whole(), SHA1_A).unwrap().len(), 11);
    let rebuilt = Store::rebuild(Folder::lock(killed.path()).unwrap(), options(), &mut |_| {});
    assert!(rebuilt.is_err_and(|error| error.to_string().contains("00000001.seg")));
}
