//! All recordings together through the commands: the conflicts, and first and last seen of every
//! file on every machine, exactly as the truth has them.

use std::collections::BTreeMap;

use pintle_model::Time;
use serde_json::Value;

use crate::command::{run_on, run_with_input};
use crate::recordings::{Names, Recordings, known_as, names};

/// First and last time, by machine.
type Times = BTreeMap<String, (Time, Time)>;

#[test]
fn search_gives_the_conflicts_and_the_times_of_all_recordings_together() {
    let Some(recordings) = Recordings::find() else { return };
    let top = tempfile::tempdir().unwrap();
    let data = top.path().join("data");
    let files: Vec<_> = recordings
        .files()
        .into_iter()
        .map(|file| recordings.path(file).to_str().unwrap().to_owned())
        .collect();
    let arguments: Vec<&str> =
        ["ingest", "--json"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let ingested = run_on(&data, &arguments);
    // Rows of tables that are not kept are kept aside.
    assert_eq!(ingested.code, 5, "{}", ingested.err);
    let report = ingested.json();
    assert_eq!((&report["inputs"], &report["failed"]), (&files.len().into(), &Value::Array(Vec::new())));
    let records = recordings.files().into_iter().map(|file| recordings.of(file)["records"].as_u64().unwrap());
    assert_eq!(report["records"], records.sum::<u64>());

    let conflicts = run_on(&data, &["search", "--conflicts", "--json"]);
    assert_eq!(conflicts.code, 0, "{}", conflicts.err);
    let mut listed = listed(&conflicts.json());
    // The truth lists files that stand beside several others; an MD5 that several SHA-256s have is one more
    // conflict here, since a question about it has several answers.
    let combined = recordings.expected["combined"].as_object().unwrap();
    listed.retain(|identity, _| match identity.strip_prefix("md5:") {
        Some(md5) => {
            let with = combined.values().filter(|entry| names(&entry["md5"]).contains(md5)).count();
            assert!(with > 1, "{identity} has one file");
            false
        }
        None => true,
    });
    assert_eq!(listed, expected_conflicts(&recordings.expected["conflicts"]));

    let mut known = Names::new();
    for file in recordings.files() {
        known.extend(names(&recordings.of(file)["machines_seen_at_all"]));
    }
    let expected = expected_times(&recordings);
    assert!(expected.len() > 2000, "{}", expected.len());
    let hashes: String = expected.keys().map(|sha1| format!("{sha1}\n")).collect();
    let found = run_with_input(&data, &["search", "--json"], &hashes);
    assert_eq!(found.code, 0, "{}", found.err);
    assert_eq!(found.out.lines().count(), expected.len());
    for (line, (sha1, times)) in found.out.lines().zip(&expected) {
        let found: Value = serde_json::from_str(line).unwrap();
        assert_eq!(found["hash"], *sha1);
        let mut found = as_target(&found, &known);
        let machines = names(&recordings.expected["combined"][sha1]["machines_target"]);
        assert_eq!(found.keys().cloned().collect::<Names>(), machines, "{sha1}");
        // The truth has no times of records that name the file without its SHA-1.
        found.retain(|machine, _| times.contains_key(machine));
        assert_eq!(found, *times, "{sha1}");
    }
    let (one, _) = expected.first_key_value().unwrap();
    let unknown = "0123456789abcdef0123456789abcdef01234567";
    assert_eq!(run_on(&data, &["search", "--json", one, unknown]).code, 0);
    assert_eq!(run_on(&data, &["search", "--json", unknown]).code, 1);
}

/// Per file, the SHA-256s and MD5s that it stands beside. A file without SHA-1 goes by another
/// hash, with its kind before it.
type Conflicts = BTreeMap<String, (Names, Names)>;

fn expected_conflicts(truth: &Value) -> Conflicts {
    let conflicts = truth.as_array().unwrap().iter();
    conflicts
        .map(|conflict| {
            let identity = conflict["sha1"].as_str().unwrap().to_owned();
            (identity, (names(&conflict["sha256"]), names(&conflict["md5"])))
        })
        .collect()
}

fn listed(conflicts: &Value) -> Conflicts {
    let mut listed = Conflicts::new();
    for conflict in conflicts.as_array().unwrap() {
        let identity = match (conflict["kind"].as_str().unwrap(), conflict["hash"].as_str().unwrap()) {
            ("sha1", hash) => hash.to_owned(),
            (kind, hash) => format!("{kind}:{hash}"),
        };
        let hashes = conflict["partners"].as_array().unwrap().iter().chain([conflict]);
        let of_kind = |kind: &str| -> Names {
            let hashes = hashes.clone().filter(|hash| hash["kind"] == kind);
            hashes.map(|hash| hash["hash"].as_str().unwrap().to_owned()).collect()
        };
        let twice = listed.insert(identity, (of_kind("sha256"), of_kind("md5")));
        assert!(twice.is_none(), "{conflict} and {twice:?}");
    }
    listed
}

/// Over all recordings, when each SHA-1 was what an event on a machine was about.
fn expected_times(recordings: &Recordings) -> BTreeMap<String, Times> {
    let mut files: BTreeMap<String, Times> = BTreeMap::new();
    for file in recordings.files() {
        // Of these alerts' evidence the truth has the time of their first event; here it is that of the last,
        // as for every alert whose evidence has none of its own.
        if recordings.of(file)["format"] == "m365d-incidents" {
            continue;
        }
        for (sha1, machines) in recordings.of(file)["sha1_to_machines"].as_object().unwrap() {
            for (machine, seen) in machines.as_object().unwrap() {
                // The truth has no time where it could not read one.
                let time = |nth: usize| seen[nth].as_str().map(|time| Time::parse(time).unwrap());
                let (Some(first), Some(last)) = (time(1), time(2)) else { continue };
                let times = files.entry(sha1.clone()).or_default().entry(machine.clone());
                let (earliest, latest) = times.or_insert((first, last));
                (*earliest, *latest) = (first.min(*earliest), last.max(*latest));
            }
        }
    }
    files
}

fn as_target(found: &Value, known: &Names) -> Times {
    let machines = found["machines"].as_array().unwrap().iter();
    machines
        .filter(|machine| !machine["as_target"].is_null())
        .map(|machine| {
            let time = |member: &str| cut_to_milliseconds(machine["as_target"][member].as_str().unwrap());
            (known_as(machine, "name", known), (time("first_seen"), time("last_seen")))
        })
        .collect()
}

fn cut_to_milliseconds(time: &str) -> Time {
    let ticks = Time::parse(time).unwrap().ticks();
    Time::from_ticks(ticks - ticks.rem_euclid(10_000))
}
