//! Real recordings against an independently computed truth (`expected.json` beside them), file by
//! file: how many records, how many name a file, and which hash was on which machine, how often,
//! first and last. Skipped, with a notice, where the recordings are absent.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::path::PathBuf;

use pintle_ingest::{Choice, Content, Reading, Summary, read};
use pintle_model::shapes::alert;
use pintle_model::{Alert, ColumnType, HashKind, Hashes, MachineId, MemberId, Record, Row, Time};
use serde_json::Value;

/// By SHA-1 and machine: how often, first, last.
type Sightings = BTreeMap<(String, String), (u64, Option<Time>, Option<Time>)>;

struct Seen {
    /// The truth's names of machines, by the names and ids that they have here.
    known: HashMap<String, String>,
    target: Sightings,
    any_role: Sightings,
    /// What has no SHA-1, as the truth writes it, with its machines.
    without_sha1: BTreeMap<String, BTreeSet<String>>,
    machines: BTreeSet<String>,
    /// When the truth has a piece of evidence seen that has no time of its own: when its alert's events
    /// ended; in incidents, when they began.
    evidence_time: MemberId,
}

impl Seen {
    fn of(truth: &Value) -> Seen {
        let mut known = HashMap::new();
        for name in truth["machines_seen_at_all"].as_array().unwrap() {
            let name = name.as_str().unwrap();
            known.insert(name.to_owned(), name.to_owned());
            // Sources that give no name are known by the id that follows from theirs.
            for kind in ["crowdstrike", "sentinelone"] {
                known.insert(MachineId::derived(kind, name).as_str().to_owned(), name.to_owned());
            }
        }
        let (target, any_role) = (Sightings::default(), Sightings::default());
        let in_incidents = truth["format"] == "m365d-incidents";
        let evidence_time = if in_incidents { alert::FIRST_EVENT_TIME } else { alert::LAST_EVENT_TIME };
        let (without_sha1, machines) = (BTreeMap::new(), BTreeSet::new());
        Seen { known, target, any_role, without_sha1, machines, evidence_time }
    }

    /// The truth's name of the machine of that id or name.
    fn machine(&self, id: &str, name: Option<&str>) -> String {
        let known = [Some(id), name].into_iter().flatten().find_map(|name| self.known.get(name));
        known.map_or_else(|| name.unwrap_or(id).to_owned(), String::clone)
    }
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
        let summary =
            read(Content::stream(log), Reading::of("log", Choice::default()), deliver, &mut |_| {}).unwrap();
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
    for (name, truth) in expected["files"].as_object().unwrap() {
        // Placeholders of a client's unit test are no telemetry.
        if truth["records"].is_null() {
            continue;
        }
        let mut seen = Seen::of(truth);
        let summary = read(
            Content::File(File::open(folder.join(name)).unwrap()),
            Reading::of(name, Choice::default()),
            &mut |records, rejects| {
                for record in &records {
                    seen.note(record);
                }
                for reject in rejects {
                    println!("{name} at {}: {}", reject.offset, reject.reason);
                }
                Ok(())
            },
            &mut |_| {},
        );
        let summary = match summary {
            Ok(summary) => summary,
            Err(error) => {
                differences.push(error.to_string());
                continue;
            }
        };
        let is_main = expected["main_files"].as_array().unwrap().contains(&Value::from(name.as_str()));
        differences.extend(
            compare(truth, &summary, &seen, is_main).into_iter().map(|what| format!("{name}: {what}")),
        );
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Where one record says a file twice, as an event and as an alert's evidence, how often it was seen is
/// not compared: only of the formats that say each sighting once.
fn compare(truth: &Value, summary: &Summary, seen: &Seen, says_once: bool) -> Vec<String> {
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
    check("machines", format!("{:?}", seen.machines), format!("{:?}", names(&truth["machines_seen_at_all"])));

    let mut wanted = BTreeMap::new();
    for (sha1, machines) in truth["sha1_to_machines"].as_object().unwrap() {
        for (machine, times) in machines.as_object().unwrap() {
            wanted.insert((sha1.clone(), machine.clone()), times.clone());
        }
    }
    for (pair, times) in &wanted {
        // The truth gives no time where it could not read one.
        let time = |place: usize| times[place].as_str().map(|time| Time::parse(time).unwrap());
        let cut = |ours: Option<Time>, place| time(place).and(ours).map(Time::cut_to_millis);
        let count = |count| if says_once { count } else { 0 };
        let ours = seen.target.get(pair);
        let ours = ours.map(|(often, first, last)| (count(*often), cut(*first, 1), cut(*last, 2)));
        let theirs = Some((count(times[0].as_u64().unwrap()), time(1), time(2)));
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
    let mut without = BTreeMap::new();
    for (file, machines) in truth["without_sha1"].as_object().unwrap() {
        without.insert(file.clone(), names(machines));
    }
    check("without a SHA-1", format!("{:?}", seen.without_sha1), format!("{without:?}"));
    differences
}

fn names(list: &Value) -> BTreeSet<String> {
    list.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

impl Seen {
    fn note(&mut self, record: &Record) {
        match record {
            Record::Row(row) => self.row(row),
            Record::Alert(alert) => self.alert(alert),
            Record::Machine(_) => panic!("no recording has machines of an API"),
        }
    }

    fn row(&mut self, row: &Row) {
        let text = |name: &str| {
            let (column, ty) = row.table().unwrap().column(name)?;
            assert_eq!(ty, ColumnType::Text);
            row.text(column)
        };
        let Some(id) = text("DeviceId") else { return };
        let machine = self.machine(id, text("DeviceName"));
        self.machines.insert(machine.clone());
        let at = row.time(row.table().unwrap().column("Timestamp").unwrap().0);
        for prefix in ["", "InitiatingProcess"] {
            let hash = |kind: &str| text(&format!("{prefix}{kind}"));
            let hashes = Hashes::read(hash("SHA1"), hash("SHA256"), hash("MD5"));
            // What a file was before is told of, but was not what the event happened to.
            let is_target = prefix.is_empty() && text("ActionType") != Some("FileReplaced");
            self.sighting(&hashes, &machine, is_target, at);
        }
    }

    fn alert(&mut self, alert: &Alert) {
        let Some(id) = alert.facts.text(alert::MACHINE_ID) else {
            return;
        };
        let machine = self.machine(&id, alert.facts.text(alert::COMPUTER_DNS_NAME).as_deref());
        self.machines.insert(machine.clone());
        let of_alert = alert.facts.time(self.evidence_time);
        for piece in &alert.evidence {
            self.sighting(&piece.hashes(), &machine, true, piece.created().or(of_alert));
        }
    }

    fn sighting(&mut self, hashes: &Hashes, machine: &str, is_target: bool, at: Option<Time>) {
        let Some(sha1) = hashes.sha1 else {
            if let Some(file) = hashes.best_besides(HashKind::Sha1) {
                let machines = self.without_sha1.entry(format!("{file:?}")).or_default();
                machines.insert(machine.to_owned());
            }
            return;
        };
        if is_target {
            note(&mut self.target, &sha1.to_string(), machine, at);
        }
        note(&mut self.any_role, &sha1.to_string(), machine, at);
    }
}

fn note(sightings: &mut Sightings, sha1: &str, machine: &str, at: Option<Time>) {
    let (count, first, last) = sightings.entry((sha1.to_owned(), machine.to_owned())).or_insert((0, at, at));
    *count += 1;
    *first = (*first).min(at);
    *last = (*last).max(at);
}
