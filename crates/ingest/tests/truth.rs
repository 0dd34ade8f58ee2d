//! Real recordings against an independently computed truth (`expected.json` beside them), file by
//! file: how many records, how many name a file, and which hash was on which machine, how often,
//! first and last. Skipped, with a notice, where the recordings are absent.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use pintle_ingest::{MAX_BYTES, Summary, read};
use pintle_model::shapes::alert;
use pintle_model::{Alert, ColumnType, Hashes, Record, Row, Time};
use serde_json::Value;

/// By SHA-1 and machine: how often, first, last.
type Sightings = BTreeMap<(String, String), (u64, Option<Time>, Option<Time>)>;

#[derive(Default)]
struct Seen {
    target: Sightings,
    any_role: Sightings,
    machines: std::collections::BTreeSet<String>,
}

fn recordings() -> Option<PathBuf> {
    let folder = std::env::var_os("PINTLE_SHARED_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    if folder.join("expected.json").exists() {
        return Some(folder);
    }
    // Where they must be there, such as in CI, a run without them is no pass.
    let required = std::env::var_os("PINTLE_REQUIRE_RECORDINGS").is_some();
    assert!(!required, "no recordings in {}", folder.display());
    println!("skipped: no recordings in {}", folder.display());
    None
}

#[test]
fn a_damaged_event_log_gives_what_is_whole_in_it() {
    let Some(folder) = recordings() else { return };
    let whole = std::fs::read(folder.join("evtx/attack__Sysmon_UACME_64.evtx")).unwrap();
    let of = |log: &[u8]| {
        let mut delivered = 0;
        let deliver = &mut |records: Vec<Record>, _| {
            delivered += records.len() as u64;
            Ok(())
        };
        let summary = read(log, "log", None, MAX_BYTES, deliver, &mut |_| {}).unwrap();
        (delivered, summary.rejects())
    };
    let (all, none) = of(&whole);
    assert_eq!(none, 0);

    let mut scratched = whole.clone();
    scratched[4096 + 65536 + 4000..][..2000].fill(0xaa);
    let (some, aside) = of(&scratched);
    assert!(some > all / 2 && some < all && aside > 0, "{some} of {all}, {aside} kept aside");

    let (some, aside) = of(&whole[..4096 + 2 * 65536 + 30_000]);
    assert!(some > 0 && some < all && aside > 0, "{some} of {all}, {aside} kept aside");
}

#[test]
fn every_recording_gives_exactly_the_sightings_that_are_in_it() {
    let Some(folder) = recordings() else { return };
    let expected = File::open(folder.join("expected.json")).unwrap();
    let expected: Value = serde_json::from_reader(std::io::BufReader::new(expected)).unwrap();
    let mut differences = Vec::new();
    for name in expected["main_files"].as_array().unwrap() {
        let name = name.as_str().unwrap();
        let mut seen = Seen::default();
        let defender = name.contains("mde-");
        let summary = read(
            File::open(folder.join(name)).unwrap(),
            name,
            None,
            MAX_BYTES,
            &mut |records, rejects| {
                for record in &records {
                    seen.note(record, defender);
                }
                for reject in rejects {
                    println!("{name} at {}: {}", reject.offset, reject.reason);
                }
                Ok(())
            },
            &mut |_| {},
        )
        .unwrap_or_else(|error| panic!("{name}: {error}"));
        differences.extend(
            compare(&expected["files"][name], &summary, &seen)
                .into_iter()
                .map(|what| format!("{name}: {what}")),
        );
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn compare(truth: &Value, summary: &Summary, seen: &Seen) -> Vec<String> {
    let mut differences = Vec::new();
    let mut check = |what: &str, ours: String, theirs: String| {
        if ours != theirs {
            differences.push(format!("{what} is {ours}, in truth {theirs}"));
        }
    };
    check("records", summary.records.to_string(), truth["records"].to_string());
    check(
        "records with a file hash",
        summary.with_file_hash.to_string(),
        truth["records_with_file_hash"].to_string(),
    );
    // Tables that Pintle does not keep are rejects here and plain records there.
    let of_other_tables: u64 = summary
        .rejects_by_reason
        .iter()
        .filter(|(reason, _)| reason.starts_with("table "))
        .map(|(_, count)| count)
        .sum();
    check(
        "unparsable",
        (summary.rejects() - of_other_tables).to_string(),
        truth["unparsable_records"].to_string(),
    );
    check(
        "machines",
        format!("{:?}", seen.machines),
        format!(
            "{:?}",
            truth["machines_seen_at_all"]
                .as_array()
                .unwrap()
                .iter()
                .map(|m| m.as_str().unwrap())
                .collect::<std::collections::BTreeSet<_>>()
        ),
    );

    let mut wanted = BTreeMap::new();
    for (sha1, machines) in truth["sha1_to_machines"].as_object().unwrap() {
        for (machine, times) in machines.as_object().unwrap() {
            wanted.insert((sha1.clone(), machine.clone()), times.clone());
        }
    }
    for (pair, times) in &wanted {
        let ours = seen.target.get(pair).map(|(count, first, last)| {
            (*count, first.map(Time::cut_to_millis), last.map(Time::cut_to_millis))
        });
        let time = |place: usize| Time::parse(times[place].as_str().unwrap());
        let theirs = Some((times[0].as_u64().unwrap(), time(1), time(2)));
        check(&format!("{pair:?}"), format!("{ours:?}"), format!("{theirs:?}"));
    }
    for pair in seen.target.keys().filter(|pair| !wanted.contains_key(pair)) {
        check("a sighting", format!("{pair:?}"), "none".into());
    }
    let mut extra = Vec::new();
    for (sha1, machines) in truth["sha1_to_machines_any_role_extra"].as_object().unwrap() {
        extra.extend(
            machines.as_array().unwrap().iter().map(|m| (sha1.clone(), m.as_str().unwrap().to_owned())),
        );
    }
    let ours: Vec<_> = seen.any_role.keys().filter(|pair| !seen.target.contains_key(pair)).cloned().collect();
    check("seen in another role only", format!("{ours:?}"), format!("{extra:?}"));
    differences
}

impl Seen {
    fn note(&mut self, record: &Record, defender: bool) {
        match record {
            Record::Row(row) => self.row(row, defender),
            Record::Alert(alert) => self.alert(alert),
        }
    }

    fn row(&mut self, row: &Row, defender: bool) {
        let text = |name: &str| {
            let (column, ty) = row.table().unwrap().column(name)?;
            assert_eq!(ty, ColumnType::Text);
            row.text(column)
        };
        let Some(machine) = (if defender { text("DeviceId") } else { text("DeviceName") }) else {
            return;
        };
        self.machines.insert(machine.to_owned());
        let at = row.time(row.table().unwrap().column("Timestamp").unwrap().0);
        for prefix in ["", "InitiatingProcess"] {
            let hash = |kind: &str| text(&format!("{prefix}{kind}"));
            let Some(sha1) = Hashes::read(hash("SHA1"), hash("SHA256"), hash("MD5")).sha1 else {
                continue;
            };
            if prefix.is_empty() {
                note(&mut self.target, &sha1.to_string(), machine, at);
            }
            note(&mut self.any_role, &sha1.to_string(), machine, at);
        }
    }

    fn alert(&mut self, alert: &Alert) {
        let Some(machine) = alert.facts.text(alert::MACHINE_ID) else {
            return;
        };
        self.machines.insert(machine.clone());
        // A piece without a time of its own was seen when the alert's events ended.
        let of_alert = alert.facts.time(alert::LAST_EVENT_TIME);
        for piece in &alert.evidence {
            if let Some(sha1) = piece.hashes().sha1 {
                note(&mut self.target, &sha1.to_string(), &machine, piece.created().or(of_alert));
                note(&mut self.any_role, &sha1.to_string(), &machine, piece.created().or(of_alert));
            }
        }
    }
}

fn note(sightings: &mut Sightings, sha1: &str, machine: &str, at: Option<Time>) {
    let (count, first, last) = sightings.entry((sha1.to_owned(), machine.to_owned())).or_insert((0, at, at));
    *count += 1;
    *first = (*first).min(at);
    *last = (*last).max(at);
}
