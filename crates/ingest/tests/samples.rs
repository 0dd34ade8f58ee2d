//! Every sample beside the decoders gives what stands beside it. `PINTLE_RECORD=1` writes that
//! anew; review the difference as you would code.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use pintle_ingest::{Choice, Content, Decoders, Reading, read};
use pintle_model::shapes::{alert, evidence, machine};
use pintle_model::{Cell, Facts, MemberId, Record, Shape};
use serde_json::{Map, Value, json};

fn samples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/formats/samples");
    let mut samples: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    samples.sort();
    samples
}

fn input(sample: &Path) -> PathBuf {
    let files = fs::read_dir(sample).unwrap().map(|entry| entry.unwrap().path());
    files.into_iter().find(|file| file.file_stem().is_some_and(|stem| stem == "input")).unwrap()
}

#[test]
fn every_sample_gives_the_records_beside_it() {
    for sample in samples() {
        let name = sample.file_name().unwrap().to_str().unwrap();
        let (mut records, mut rejects) = (Vec::new(), Vec::new());
        let summary = read(
            Content::File(fs::File::open(input(&sample)).unwrap()),
            Reading::of(name, Choice::default()),
            &mut |batch, aside| {
                records.extend(batch.iter().map(render));
                rejects.extend(
                    aside.iter().map(|reject| json!({"offset": reject.offset, "reason": reject.reason})),
                );
                Ok(())
            },
            &mut |_| {},
        )
        .unwrap();
        assert!(
            name.starts_with(&*summary.format.clone().unwrap()),
            "{name} was taken for {:?}",
            summary.format
        );
        let given = json!({
            "read": summary.records,
            "with_file_hash": summary.with_file_hash,
            "ignored": summary.ignored,
            "rejects": rejects,
            "records": records,
        });
        let beside = sample.join("records.json");
        if std::env::var_os("PINTLE_RECORD").is_some() {
            fs::write(&beside, serde_json::to_string_pretty(&given).unwrap() + "\n").unwrap();
        }
        let wanted: Value = serde_json::from_slice(&fs::read(&beside).unwrap()).unwrap();
        assert_eq!(given, wanted, "{name}");
    }
}

#[test]
fn every_format_has_a_sample() {
    let samples = samples();
    for decoder in Decoders::default().iter() {
        let has = samples.iter().any(|sample| sample.file_name().unwrap() == decoder.name());
        assert!(has, "{} has no sample", decoder.name());
    }
}

fn render(record: &Record) -> Value {
    match record {
        Record::Row(row) => {
            let table = row.table().unwrap();
            let mut cells = Map::new();
            cells.insert("".into(), table.name.into());
            for (column, cell) in row.cells() {
                let value = match cell {
                    Cell::Text(text) => Value::from(text),
                    Cell::Long(number) => Value::from(number),
                    Cell::Bool(value) => Value::from(value),
                    Cell::Time(time) => Value::from(time.to_string()),
                };
                cells.insert(table.columns[usize::from(column.0)].name.into(), value);
            }
            cells.into()
        }
        Record::Alert(alert) => json!({
            "": "alert",
            "id": alert.id.as_str(),
            "facts": facts(&alert.facts, &alert::SHAPE),
            "evidence": alert.evidence.iter().map(|piece| facts(&piece.0, &evidence::SHAPE)).collect::<Vec<_>>(),
        }),
        Record::Machine(machine) => json!({
            "": "machine",
            "id": machine.id.as_str(),
            "read": machine.read_at().map(|at| at.to_string()),
            "facts": facts(&machine.facts, &machine::SHAPE),
        }),
    }
}

fn facts(facts: &Facts, shape: &Shape) -> Value {
    let mut members = Map::new();
    for (place, member) in (0..).zip(shape.members) {
        if let Some(json) = facts.json(MemberId(place)) {
            members.insert(member.name.into(), serde_json::from_str(json).unwrap());
        }
    }
    members.into()
}
