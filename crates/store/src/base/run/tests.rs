use std::fs::OpenOptions;

use pintle_model::TenantId;

use super::*;
use crate::base::key::Table;

fn keys() -> Vec<(Vec<u8>, Vec<u8>)> {
    let tenant = TenantId::from_bytes([3; 16]);
    let mut entries: Vec<_> = (0..2_000u32)
        .map(|n| {
            let rest = n.wrapping_mul(2_654_435_761).to_be_bytes();
            (
                key::of(tenant, Table::Alerts, &rest),
                format!("value {n} {}", "x".repeat(n as usize % 50)).into(),
            )
        })
        .collect();
    entries.sort();
    entries.push((key::of(tenant, Table::Rejects, b"large"), vec![9; 100_000]));
    entries
}

fn write(folder: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let entries = keys();
    let mut writer = RunWriter::create(folder, 1, entries.len() as u64).unwrap();
    for (key, value) in &entries {
        writer.push(key, value).unwrap();
    }
    assert_eq!(writer.finish().unwrap().entries, entries.len() as u64);
    entries
}

fn open(folder: &Path) -> Run {
    Run::open(path(folder, 1), 1).unwrap()
}

fn get(run: &Run, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    if !run.may_hold(key::probe(key)) {
        return Ok(None);
    }
    let cursor = run.from(key, None)?;
    Ok((cursor.is_at_entry() && cursor.key() == key).then(|| cursor.value().to_vec()))
}

#[test]
fn every_key_is_found_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let entries = write(folder.path());
    let run = open(folder.path());
    run.check().unwrap();
    let cache = BlockCache::with_weighter(100, 1 << 16, ByLength);
    for (key, value) in &entries {
        assert_eq!(get(&run, key).unwrap().as_ref(), Some(value));
        let cursor = run.from(key, Some(&cache)).unwrap();
        assert_eq!((cursor.key(), cursor.value()), (key.as_slice(), value.as_slice()));
        let mut absent = key.clone();
        absent.push(0);
        assert_eq!(get(&run, &absent).unwrap(), None);
    }
    assert!(!run.from(&[0xff; 40], None).unwrap().is_at_entry());
}

#[test]
fn a_run_that_was_not_finished_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = RunWriter::create(folder.path(), 1, 1).unwrap();
    writer.push(&keys()[0].0, b"value").unwrap();
    drop(writer);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Whatever is changed in the file: each key is answered rightly or refused, and a check notices.
fn is_never_wrong(folder: &Path, entries: &[(Vec<u8>, Vec<u8>)], what: &str) {
    let run = open(folder);
    let check = run.check();
    assert!(matches!(check, Err(Error::Damaged { .. })), "{what}: {check:?}");
    for (key, value) in entries.iter().step_by(97).chain(entries.last()) {
        match get(&run, key) {
            Ok(found) => assert_eq!(found.as_ref(), Some(value), "{what}"),
            Err(Error::Damaged { file, .. }) => assert_eq!(file, path(folder, 1)),
            Err(other) => panic!("{what}: {other}"),
        }
    }
}

#[test]
fn damage_anywhere_is_noticed_and_gives_no_wrong_answer() {
    let folder = tempfile::tempdir().unwrap();
    let entries = write(folder.path());
    let name = path(folder.path(), 1);
    let sound = std::fs::read(&name).unwrap();
    for place in (0..sound.len()).step_by(sound.len() / 150).chain(sound.len() - 60..sound.len()) {
        let mut flipped = sound.clone();
        flipped[place] ^= 1 << (place % 8);
        std::fs::write(&name, &flipped).unwrap();
        is_never_wrong(folder.path(), &entries, &format!("a flipped bit at {place}"));
    }
    for place in (0..sound.len()).step_by(sound.len() / 40) {
        std::fs::write(&name, &sound).unwrap();
        OpenOptions::new().write(true).open(&name).unwrap().set_len(place as u64).unwrap();
        is_never_wrong(folder.path(), &entries, &format!("cut at {place}"));
    }
    for page in (0..sound.len()).step_by(4096) {
        let mut zeroed = sound.clone();
        zeroed[page..].iter_mut().take(4096).for_each(|byte| *byte = 0);
        std::fs::write(&name, &zeroed).unwrap();
        is_never_wrong(folder.path(), &entries, &format!("a zeroed page at {page}"));
    }
}

#[test]
fn without_its_index_all_of_a_run_reads_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let entries = write(folder.path());
    let name = path(folder.path(), 1);
    let mut bytes = std::fs::read(&name).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&name, &bytes).unwrap();
    let run = open(folder.path());
    assert!(run.damage().is_some());
    for (key, value) in &entries {
        assert_eq!(get(&run, key).unwrap().as_ref(), Some(value));
    }
}
