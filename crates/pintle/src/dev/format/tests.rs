use std::collections::BTreeSet;
use std::sync::LazyLock;

use pintle_model::shapes::alert;
use pintle_model::{Row, Time};

use super::*;
use crate::dev::generator::{Generator, Law};

/// 2026-01-16 was a Friday. The only machine names are those that `pintle generate` makes.
fn law() -> Law {
    let law = Law::fleet(5, 4, 100, Time::parse("2026-01-16T23:31:00Z").unwrap());
    Law { alerts: 6, ..law }
}

static RECORDS: LazyLock<Vec<Record>> = LazyLock::new(|| Generator::new(law()).flatten().collect());

/// Which pairs of a hash and a machine's name a record tells of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Told {
    /// By the file it is about, by the process behind it, and by alerts.
    All,
    /// By the file an event is about. Certificates are no event.
    Target,
    /// By alerts.
    Alerts,
}

type Pairs = BTreeSet<(String, String)>;

fn pairs(records: &[Record], told: Told) -> Pairs {
    let names: std::collections::BTreeMap<String, String> = RECORDS
        .iter()
        .filter_map(|record| match record {
            Record::Row(row) => Some((column(row, "DeviceId")?, column(row, "DeviceName")?)),
            Record::Alert(_) | Record::Machine(_) => None,
        })
        .collect();
    let mut pairs = Pairs::new();
    let mut note = |hash: Option<String>, machine: &Option<String>| {
        if let (Some(hash), Some(machine)) = (hash, machine) {
            pairs.insert((hash, machine.clone()));
        }
    };
    for record in records {
        match record {
            Record::Row(row) if told == Told::Target && column(row, "Signer").is_some() => {}
            Record::Row(row) => {
                let about_alert = column(row, "AlertId").is_some();
                let machine = column(row, "DeviceName");
                let target = ["SHA1", "SHA256", "MD5"];
                let initiating = ["InitiatingProcessSHA1", "InitiatingProcessSHA256", "InitiatingProcessMD5"];
                if about_alert || told != Told::Alerts {
                    target.iter().for_each(|name| note(column(row, name), &machine));
                }
                if told == Told::All {
                    initiating.iter().for_each(|name| note(column(row, name), &machine));
                }
            }
            Record::Alert(raised) if told != Told::Target => {
                let id = raised.facts.text(alert::MACHINE_ID);
                let machine = id.and_then(|id| names.get(&id).cloned());
                for piece in &raised.evidence {
                    let hashes = piece.hashes();
                    for kind in pintle_model::HashKind::ALL {
                        note(hashes.get(kind).map(|hash| hash.to_string()), &machine);
                    }
                }
            }
            Record::Alert(_) | Record::Machine(_) => {}
        }
    }
    pairs
}

fn column(row: &Row, name: &str) -> Option<String> {
    let (column, _) = row.table()?.column(name)?;
    row.text(column).map(str::to_owned)
}

fn write(format: &str, records: &[Record]) -> (Vec<u8>, u64) {
    let mut writer = Writer::new(format, 1).unwrap();
    let mut text = Vec::new();
    for record in records {
        writer.write(record, &mut text).unwrap();
    }
    (text, writer.malformed())
}

#[test]
fn what_is_written_is_read_back_but_for_the_lines_that_were_cut_off() {
    let records = &*RECORDS;
    assert!(records.len() > 10_000, "{}", records.len());
    for name in Writer::formats() {
        let told = match name {
            "mde-streaming" | "mde-hunting" => Told::All,
            "mde-alerts" => Told::Alerts,
            _ => Told::Target,
        };
        let (text, malformed) = write(name, records);
        let mut back = Vec::new();
        let mut reasons = BTreeSet::new();
        let summary = pintle_ingest::read(
            pintle_ingest::Content::stream(&text[..]),
            pintle_ingest::Reading::of(name, pintle_ingest::Choice::default()),
            &mut |batch, rejects| {
                back.extend(batch);
                reasons.extend(rejects.into_iter().map(|reject| (reject.reason, reject.bytes)));
                Ok(())
            },
            &mut |_| {},
        )
        .unwrap();
        assert_eq!(summary.format.as_deref(), Some(name));
        assert_eq!(summary.rejects(), malformed, "{name}: {reasons:?}");
        assert!(malformed > 0 || told == Told::Alerts, "{name}");
        assert!(summary.ignored.is_empty(), "{name}: {:?}", summary.ignored);
        let (wanted, got) = (pairs(records, told), pairs(&back, told));
        assert!(wanted.len() > if told == Told::Alerts { 5 } else { 10_000 }, "{name}: {}", wanted.len());
        assert_eq!(got.len(), wanted.len(), "{name}");
        assert!(got == wanted, "{name}");
    }
}

#[test]
fn rows_of_defender_come_back_as_they_were() {
    let rows: Vec<Record> =
        RECORDS.iter().filter(|record| matches!(record, Record::Row(_))).take(3_000).cloned().collect();
    for name in ["mde-streaming", "mde-hunting"] {
        let (text, _) = write(name, &rows);
        let mut back = Vec::new();
        let mut deliver = |batch, _| {
            Vec::extend(&mut back, batch);
            Ok(())
        };
        pintle_ingest::read(
            pintle_ingest::Content::stream(&text[..]),
            pintle_ingest::Reading::of(name, pintle_ingest::Choice::default()),
            &mut deliver,
            &mut |_| {},
        )
        .unwrap();
        assert!(back == rows, "{name}");
    }
}

#[test]
fn the_same_records_give_the_same_bytes() {
    let records = &*RECORDS;
    for name in Writer::formats() {
        assert!(write(name, records) == write(name, records), "{name}");
    }
}

#[test]
fn the_collector_stands_where_the_machine_could_in_one_of_a_hundred() {
    let records = &*RECORDS;
    for name in ["sysmon-json", "winlogbeat6", "winlogbeat7", "sysmon-linux-syslog"] {
        let (text, _) = write(name, records);
        let text = String::from_utf8(text).unwrap();
        let lines = text.lines().count() as f64;
        let collected = text.lines().filter(|line| line.contains("collector.")).count() as f64;
        assert!((0.006..0.014).contains(&(collected / lines)), "{name}: {}", collected / lines);
    }
}
