//! What reads the files of a data folder, for `fuzz`: any bytes, as if the checksum before them were right.
//! Only there where cargo fuzz builds, and no part of the product.
//!
//! Each function panics where something read breaks a promise.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "fuzzing finds by panics"
)]

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::Batch;
use crate::archive::Frame;
use crate::archive::frame::{self, ArchivedBatch, Encoded, HEADER_BYTES};
use crate::backup::contents::Contents;
use crate::base::key::{self, Table};
use crate::base::run::block::{self, Entries};
use crate::base::run::filter::Filter;
use crate::base::run::index::Index;
use crate::base::run::{Block, Run};
use crate::base::{frames, manifest, value};
use crate::observe::Observed;

/// Bytes of a run before its blocks, and at its end.
const FILE_HEADER_BYTES: usize = 12;
const TAIL_BYTES: usize = 36;

/// A batch of the archive, unpacked. What reads can be written, and reads as the same then; and all that it
/// says can be observed.
pub fn batch(plain: &[u8]) {
    let mut file = Vec::new();
    Frame::of(&Encoded(plain.to_vec())).write(&mut file).unwrap();
    let framed = frame::read(&mut &*file, file.len() as u64);
    let Some(read) = ArchivedBatch::decode(plain) else {
        return assert!(plain.is_empty() || framed.is_err(), "a frame of what is no batch");
    };
    let Ok((Some(framed), length)) = framed else { panic!("no frame of a batch") };
    assert_eq!((&framed, length), (&read, file.len() as u64));
    let ArchivedBatch { source, received, tenant, records, rejects, edits, is_live, .. } = read.clone();
    let batch = Batch { tenant, source, records, rejects, is_live };
    let (_, Encoded(written)) = ArchivedBatch::new(batch, edits, received).unwrap();
    let again = ArchivedBatch::decode(&written).expect("what is written reads");
    assert_eq!(ArchivedBatch { id: again.id, ..read.clone() }, again);
    Observed::of(&read);
}

/// A block of a run, unpacked: walked through, and a key sought in it, without restart points and with them.
pub fn block(plain: &[u8], key: &[u8]) {
    let stored = block::store(plain);
    let loaded = block::load(stored).expect("what is stored loads");
    assert_eq!(loaded, plain);
    let mut entries = Entries::of(Arc::new(Block::of(loaded)));
    let (mut before, mut is_sorted, mut expected) = (Vec::new(), true, None);
    let is_sound = loop {
        match entries.advance() {
            Some(true) => {}
            Some(false) => break true,
            None => break false,
        }
        is_sorted &= before.as_slice() < entries.key() || before.is_empty();
        before = entries.key().to_vec();
        if expected.is_none() && entries.key() >= key {
            expected = Some((before.clone(), entries.value().to_vec()));
        }
    };
    let block = Arc::new(Block::of(plain.to_vec()));
    for _ in 0..3 {
        let mut sought = Entries::of(Arc::clone(&block));
        let found = sought.seek(key);
        if is_sorted && is_sound {
            let found =
                found.expect("all entries read").then(|| (sought.key().to_vec(), sought.value().to_vec()));
            assert_eq!(found, expected);
        }
    }
}

/// The index of a run and its filter, of the same bytes.
pub fn index(bytes: &[u8], key: &[u8]) {
    if let Some(index) = Index::from_bytes(bytes) {
        let found = index.find(key);
        assert!(found < index.blocks().max(1));
        (0..=index.blocks()).for_each(|number| _ = index.block(number));
        assert_eq!(Index::from_bytes(&index.to_bytes()).map(|index| index.end()), Some(index.end()));
    }
    if let Some(filter) = Filter::from_bytes(bytes) {
        filter.may_hold(key);
    }
}

/// Values that have one key, of the table of that number: merged, once and twice.
pub fn values(table: u8, values: &[Vec<u8>]) {
    let table = Table::ALL[usize::from(table) % Table::ALL.len()];
    let Ok(merged) = value::merge(table, values) else { return };
    if values.len() > 1 {
        let twice = value::merge(table, &[merged.clone(), merged.clone()]).expect("what is merged reads");
        assert_eq!(twice, merged, "merged twice");
    }
    match table {
        Table::Files | Table::Observables => {
            if let Ok((_, postings)) = value::split_file(&merged) {
                _ = value::pairs(postings);
            }
        }
        Table::Addresses => _ = value::presence(&merged),
        Table::Machines | Table::Alerts | Table::Logons => {
            _ = value::entity([merged.as_slice()].into_iter(), 64);
        }
        _ => _ = value::decode::<value::Arrival>(&merged),
    }
}

/// A key, of whatever table it says.
pub fn key(bytes: &[u8]) {
    key::probe(bytes);
    key::split(bytes);
    key::read_machine(bytes);
    key::read_batch(bytes);
    key::read_file(bytes);
    key::read_user(bytes);
    key::read_logon(bytes);
    key::read_address(bytes);
    key::target(bytes);
    key::mark(bytes);
    frames::HourOfFrame::read(bytes, bytes);
}

/// What a manifest says, after its head.
pub fn manifest(plain: &[u8]) {
    for version in [1, 2] {
        let name = Path::new("MANIFEST");
        if let Ok(manifest) = manifest::parse(name, &manifest::framed(version, plain)) {
            manifest.notice();
        }
    }
}

/// What a backup says of itself: as it stands, and with the right checksum.
pub fn contents(bytes: &[u8]) {
    let folder = Path::new("backup");
    let told = |contents: Contents| {
        contents.summary();
        for file in &contents.files {
            if let Ok(path) = file.below(folder) {
                assert!(path.starts_with(folder) && path != folder, "{}", path.display());
                assert!(!path.components().any(|part| part == std::path::Component::ParentDir));
            }
        }
    };
    if let Ok(contents) = Contents::parse(folder, bytes) {
        told(contents);
    }
    let Ok(contents) = serde_json::from_slice::<Contents>(bytes) else { return };
    let digest = Sha256::digest(serde_json::to_vec(&contents).unwrap());
    let sha256: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let sealed = serde_json::json!({ "contents": contents, "sha256": sha256 });
    let sealed = [serde_json::to_vec_pretty(&sealed).unwrap().as_slice(), b"\n"].concat();
    if let Ok(contents) = Contents::parse(folder, &sealed) {
        told(contents);
    }
}

/// A file of these bytes as a run, in the place of one that is there: opened, checked, walked through from a key
/// on. Where something stands that is as long as a block, its checksum is made right first.
pub fn run(file: &Path, bytes: &[u8], key: &[u8]) {
    let mut bytes = bytes.to_vec();
    mend(&mut bytes);
    std::fs::write(file, bytes).unwrap();
    let Ok(run) = Run::open(file.to_owned(), 1) else { return };
    _ = run.check();
    run.may_hold(key::probe(key));
    let Ok(mut cursor) = run.from(key, None) else { return };
    while cursor.is_at_entry() && cursor.advance().is_ok_and(|is_there| is_there) {}
}

/// Makes the checksums of a run right: of its blocks, one after the other, and of its end.
fn mend(bytes: &mut [u8]) {
    let number = |bytes: &[u8], at: usize| {
        bytes.get(at..).and_then(|rest| rest.first_chunk()).map(|number| u32::from_le_bytes(*number))
    };
    if let Some(tail) = bytes.len().checked_sub(TAIL_BYTES) {
        let sum = crc32fast::hash(&bytes[tail..tail + 24]);
        bytes[tail + 24..tail + 28].copy_from_slice(&sum.to_le_bytes());
    }
    let mut begin = FILE_HEADER_BYTES;
    while let Some(length) = number(bytes, begin) {
        let end = begin.saturating_add(block::HEADER_BYTES).saturating_add(length as usize);
        if end > bytes.len() {
            return;
        }
        let mut sum = crc32fast::Hasher::new();
        sum.update(&bytes[begin..begin + 8]);
        sum.update(&bytes[begin + block::HEADER_BYTES..end]);
        bytes[begin + 8..begin + 12].copy_from_slice(&sum.finalize().to_le_bytes());
        begin = end;
    }
}

/// What the files of a data folder are made of, for fuzzing to begin with.
pub struct Seeds {
    /// Batches, unpacked.
    pub batches: Vec<Vec<u8>>,
    /// Blocks of runs, unpacked.
    pub blocks: Vec<Vec<u8>>,
    /// Indexes of runs, unpacked.
    pub indexes: Vec<Vec<u8>>,
    /// Keys and their values.
    pub entries: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Seeds {
    /// Of segments of an archive and of runs.
    pub fn of(segments: &[&Path], runs: &[&Path]) -> Seeds {
        let mut seeds = Seeds { batches: vec![], blocks: vec![], indexes: vec![], entries: vec![] };
        for segment in segments {
            let bytes = std::fs::read(segment).unwrap();
            let mut rest = bytes.as_slice();
            while let Ok((Some(batch), length)) = frame::read(&mut { rest }, rest.len() as u64) {
                let packed = &rest[HEADER_BYTES..usize::try_from(length).unwrap()];
                let plain_bytes = u32::from_le_bytes(*rest[4..].first_chunk().unwrap()) as usize;
                let plain = lz4_flex::block::decompress(packed, plain_bytes).unwrap();
                assert_eq!(ArchivedBatch::decode(&plain), Some(batch));
                seeds.batches.push(plain);
                rest = &rest[usize::try_from(length).unwrap()..];
            }
        }
        for run in runs {
            let bytes = std::fs::read(run).unwrap();
            let mut begin = FILE_HEADER_BYTES;
            while let Some(header) = bytes.get(begin..).and_then(|rest| rest.first_chunk()) {
                let end = begin + usize::try_from(block::stored_length(header)).unwrap();
                let Some(plain) = bytes.get(begin..end).and_then(|stored| block::load(stored.to_vec()).ok())
                else {
                    break;
                };
                match Index::from_bytes(&plain) {
                    Some(_) => seeds.indexes.push(plain),
                    None => seeds.blocks.push(plain),
                }
                begin = end;
            }
            let run = Run::open(run.to_path_buf(), 1).unwrap();
            let mut cursor = run.from(b"", None).unwrap();
            while cursor.is_at_entry() {
                seeds.entries.push((cursor.key().to_vec(), cursor.value().to_vec()));
                cursor.advance().unwrap();
            }
        }
        seeds
    }
}

/// The number of the table that a key is of.
pub fn table_of(key: &[u8]) -> Option<u8> {
    let (_, table, _) = key::split(key)?;
    let place = Table::ALL.iter().position(|other| *other == table)?;
    u8::try_from(place).ok()
}
