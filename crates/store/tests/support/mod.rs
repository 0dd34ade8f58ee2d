//! Small telemetry and short questions for the store's tests.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a helper that fails fails its test")]

pub mod joined;
pub mod observed;
pub mod several_ids;

use std::path::Path;
use std::sync::Arc;

use pintle_model::{
    Alert, Evidence, Facts, FileHash, Hashes, Machine, Record, Row, TenantId, Time, shapes,
    tables::{alert_evidence, device_file_events, device_info, device_process_events},
};
use pintle_store::{
    Batch, DefaultGroup, DeviceGroup, DeviceGroups, DeviceRule, Error, Operator, Options, Page, Receipt,
    Scope, Sighting, Store,
};

pub const TENANT: TenantId = TenantId::from_bytes([1; 16]);
pub const SHA1_A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub const SHA1_B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
pub const SHA256_A: &str = "a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2";
pub const SHA256_B: &str = "b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2";
pub const MD5_A: &str = "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5";
pub const MD5_B: &str = "b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5";

pub fn time(text: &str) -> Time {
    Time::parse(text).unwrap()
}

/// A store whose clock stands at 1 August 2026.
pub fn options() -> Options {
    Options { clock: Arc::new(|| time("2026-08-01T00:00:00Z")), ..Options::default() }
}

pub fn open(folder: &Path) -> Store {
    Store::open(folder, options()).unwrap()
}

/// A folder copied while it may be in use: as a crash at this moment leaves it.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

pub fn whole() -> Scope {
    Scope::whole(TENANT)
}

pub fn hash(text: &str) -> FileHash {
    text.parse().unwrap()
}

pub fn batch(records: Vec<Record>) -> Batch {
    Batch { records, ..Batch::recorded(TENANT, "test") }
}

pub fn append(store: &Store, records: Vec<Record>) -> Receipt {
    store.append(batch(records)).unwrap()
}

/// A file created on a machine; an empty hash is an absent one.
pub fn file_seen(machine: &str, at: &str, sha1: &str, sha256: &str, md5: &str) -> Record {
    use device_file_events as t;
    let mut row = Row::new(&t::TABLE);
    row.set_time(t::TIMESTAMP, Time::parse(at));
    row.set_text(t::DEVICE_ID, Some(machine));
    row.set_text(t::ACTION_TYPE, Some("FileCreated"));
    row.set_text(t::FILE_NAME, Some("tool.exe"));
    row.set_text(t::FOLDER_PATH, Some(r"C:\Tools\tool.exe"));
    let hashes = Hashes::read(Some(sha1), Some(sha256), Some(md5));
    row.set_hashes(t::SHA1, t::SHA256, t::MD5, &hashes);
    Record::Row(row)
}

pub fn in_group(machine: &str, group: &str, sha1: &str) -> Record {
    let Record::Row(mut row) = file_seen(machine, "2026-01-01T00:00:00Z", sha1, "", "") else {
        unreachable!()
    };
    row.set_text(device_file_events::MACHINE_GROUP, Some(group));
    Record::Row(row)
}

/// What a machine's report says of it, as far as a rule looks at it; an empty text is an absent one.
pub fn device(machine: &str, at: &str, name: &str, tags: &[&str], os: &str, group: &str) -> Record {
    use device_info as t;
    let mut row = Row::new(&t::TABLE);
    row.set_time(t::TIMESTAMP, Time::parse(at));
    row.set_text(t::DEVICE_ID, Some(machine));
    row.set_text(t::DEVICE_NAME, Some(name));
    row.set_text(t::DEVICE_MANUAL_TAGS, Some(&serde_json::Value::from(tags).to_string()));
    row.set_text(t::OS_PLATFORM, Some(os));
    row.set_text(t::MACHINE_GROUP, Some(group));
    Record::Row(row)
}

/// Groups for the machines of which telemetry names these groups, numbered from 1; the rest is in
/// [`REST`].
pub fn source_groups(names: &[&str]) -> DeviceGroups {
    let group = |(id, name): (u32, &&str)| DeviceGroup {
        id,
        name: (*name).to_owned(),
        rule: DeviceRule { source_group: vec![row(Operator::Equals, name)], ..DeviceRule::default() },
    };
    DeviceGroups::new((1..).zip(names).map(group).collect(), rest())
}

pub const REST: u32 = 99;

pub fn rest() -> DefaultGroup {
    DefaultGroup { id: REST, name: "UnassignedGroup".into() }
}

pub fn row(operator: Operator, value: &str) -> pintle_store::Row {
    pintle_store::Row { operator, value: value.into() }
}

/// A caller who sees these groups.
pub fn groups(ids: &[u32]) -> Scope {
    Scope::device_groups(TENANT, ids.iter().copied())
}

pub fn named(machine: &str, name: &str, at: &str) -> Record {
    let Record::Row(mut row) = file_seen(machine, at, "", "", "") else { unreachable!() };
    row.set_text(device_file_events::DEVICE_NAME, Some(name));
    Record::Row(row)
}

/// A process started by a program of this hash.
pub fn started_by(machine: &str, at: &str, sha1: &str) -> Record {
    use device_process_events as t;
    let mut row = Row::new(&t::TABLE);
    row.set_time(t::TIMESTAMP, Time::parse(at));
    row.set_text(t::DEVICE_ID, Some(machine));
    row.set_text(t::INITIATING_PROCESS_SHA1, Some(sha1));
    Record::Row(row)
}

/// An alert as the API gives it, last updated and last active at `at`, with one file as evidence.
pub fn alert(id: &str, machine: &str, at: &str, sha1: &str) -> Record {
    use shapes::{alert as a, evidence as e};
    let at = time(at);
    let mut facts = Facts::default();
    facts.note_text(a::TITLE, at, Some("Suspicious file"));
    facts.note_text(a::SEVERITY, at, Some("Medium"));
    facts.note_text(a::MACHINE_ID, at, Some(machine));
    facts.note_time(a::LAST_EVENT_TIME, at, Some(at));
    facts.note_time(a::LAST_UPDATE_TIME, at, Some(at));
    let mut evidence = Facts::default();
    evidence.note_text(e::ENTITY_TYPE, at, Some("File"));
    evidence.note_text(e::SHA1, at, Some(sha1));
    evidence.note_text(e::FILE_NAME, at, Some("tool.exe"));
    Record::Alert(Alert { id: id.parse().unwrap(), facts, evidence: vec![Evidence(evidence)] })
}

/// A machine as an API gives it that was read at `read`.
pub fn report(machine: &str, read: &str, members: &serde_json::Value) -> Record {
    let mut facts = Facts::default();
    for (name, value) in members.as_object().unwrap() {
        let (member, declared) = shapes::machine::SHAPE.member(name).unwrap();
        facts.note(member, time(read), declared.canonical(value).unwrap());
    }
    Record::Machine(Machine { id: machine.parse().unwrap(), facts })
}

/// A row of `AlertEvidence` that names a file by SHA-1 or SHA-256, on 1 June 2026.
pub fn evidence_row(alert: &str, machine: &str, hash: &str) -> Record {
    use alert_evidence as t;
    let mut row = Row::new(&t::TABLE);
    row.set_time(t::TIMESTAMP, Time::parse("2026-06-01T00:00:00Z"));
    row.set_text(t::ALERT_ID, Some(alert));
    row.set_text(t::DEVICE_ID, Some(machine));
    row.set_text(t::ENTITY_TYPE, Some("File"));
    row.set_text(if hash.len() == 40 { t::SHA1 } else { t::SHA256 }, Some(hash));
    Record::Row(row)
}

/// Records that disagree, repeat, link and conflict.
pub fn assorted_records() -> Vec<Record> {
    let mut records = Vec::new();
    for n in 0..40 {
        let machine = format!("m{}", n * 7 % 11);
        let at = format!("2026-0{}-1{}T00:00:0{}Z", 1 + n % 6, n % 10, n % 7);
        let sha1 = [SHA1_A, SHA1_B, ""][n % 3];
        let sha256 = ["", SHA256_A, SHA256_B, SHA256_A][n % 4];
        let md5 = [MD5_A, "", MD5_B][n % 5 % 3];
        records.push(file_seen(&machine, &at, sha1, sha256, md5));
        records.push(named(&machine, ["one.example.org", "two.example.org"][n % 2], &at));
        records.push(started_by(&machine, &at, sha1));
        records.push(alert(["a1", "a2"][n % 2], &machine, &at, [SHA1_A, SHA1_B][n % 2]));
        records.push(evidence_row("a1", &machine, SHA256_B));
    }
    records
}

/// The same records in another order: a Fisher-Yates walk over a small linear generator.
pub fn shuffled(records: &[Record], seed: u64) -> Vec<Record> {
    let mut shuffled = records.to_vec();
    let mut state = seed;
    for last in (1..shuffled.len()).rev() {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        shuffled.swap(last, usize::try_from(state >> 33).unwrap() % (last + 1));
    }
    shuffled
}

/// Every answer there is about these records, as bytes.
pub fn answers(store: &Store, _: &[Record]) -> Vec<String> {
    let scope = whole();
    let mut answers = Vec::new();
    let mut list = Vec::new();
    store.machines(&scope, Page::ALL, &mut list).unwrap();
    store.alerts(&scope, Page::ALL, &mut list).unwrap();
    for text in [SHA1_A, SHA1_B, SHA256_A, SHA256_B, MD5_A, MD5_B] {
        let found = store.file_machines(&scope, &hash(text), Page::ALL, &mut list).unwrap();
        answers.push(format!("{text} {found:?} {:?}", store.file_sightings(&scope, &hash(text)).unwrap()));
        answers.push(format!("{:?}", store.file(&scope, &hash(text)).unwrap()));
    }
    for id in ["a1", "a2"] {
        answers.push(store.alert(&scope, &id.parse().unwrap()).unwrap().unwrap());
        store.alert_files(&scope, &id.parse().unwrap(), Page::ALL, &mut list).unwrap().unwrap();
    }
    answers.push(format!("{:?}", store.conflicts(&scope).unwrap()));
    answers.push(format!("{:?}", store.coverage(&scope).unwrap()));
    answers.push(String::from_utf8(list).unwrap());
    answers
}

/// The ids in a list of entities.
pub fn list(write: impl FnOnce(&mut Vec<u8>) -> Result<usize, Error>) -> Vec<String> {
    entities(write).iter().map(|entity| entity["id"].as_str().unwrap().to_owned()).collect()
}

/// A list of entities.
pub fn entities(write: impl FnOnce(&mut Vec<u8>) -> Result<usize, Error>) -> Vec<serde_json::Value> {
    let mut out = b"[".to_vec();
    let written = write(&mut out).unwrap();
    out.push(b']');
    let entities: Vec<serde_json::Value> = serde_json::from_slice(&out).unwrap();
    assert_eq!(entities.len(), written);
    entities
}

/// The ids of a file's machines; `None` for an unknown hash.
pub fn machine_ids(store: &Store, scope: &Scope, text: &str) -> Option<Vec<String>> {
    let mut known = true;
    let ids = list(|out| {
        let found = store.file_machines(scope, &hash(text), Page::ALL, out)?;
        known = found.is_some();
        Ok(found.map_or(0, |found| found.written))
    });
    known.then_some(ids)
}

/// A file's sighting on one machine.
pub fn sighting_of(store: &Store, text: &str, machine: &str) -> Sighting {
    let (sightings, _) = store.file_sightings(&whole(), &hash(text)).unwrap().unwrap();
    sightings.into_iter().find(|sighting| sighting.machine.as_str() == machine).unwrap()
}
