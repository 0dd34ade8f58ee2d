//! What is asked of whatever reads hostile bytes, beside that it does not panic; and what its fuzzing
//! begins with.

pub mod event_log;
pub mod grown;
pub mod reading;
pub mod seeds;

use std::io::{self, Read};

use pintle_ingest::{Decoder, Layout, work};
use pintle_model::tables::device_events;
use pintle_model::{Cell, Facts, MachineId, Record, Row};
use serde::de::IgnoredAny;

/// The most that one record may become, and the most evidence in it.
const MOST: usize = 10_000;
/// The longest reason for keeping a record aside.
const REASON: usize = 512;

/// How many bytes may come of so many: what one member says may stand in several columns.
pub fn most(bytes: usize) -> usize {
    16 * 1024 + 32 * bytes
}

/// Decodes a record and checks what comes of it: the same again (of one in eight, since it costs as much as
/// all else), no more of it than a record may become, and no more than `most` bytes in all, beside half a
/// kilobyte each.
pub fn decode(decoder: &Decoder, record: &[u8], most: usize) {
    let decoded = decoder.decode(record);
    if record.len().is_multiple_of(8) {
        assert_eq!(decoded, decoder.decode(record), "decoded twice");
    }
    let (records, problem) = match decoded {
        Ok(decoded) => decoded.parts(),
        Err(problem) => (Vec::new(), Some(problem)),
    };
    if let Some(problem) = problem {
        assert!(problem.reason().len() <= REASON, "{}", problem.reason());
    }
    assert!(records.len() <= MOST, "{} records", records.len());
    let bytes: usize = records.iter().map(bytes).sum();
    assert!(
        bytes <= most + records.len() * 512,
        "{} bytes became {bytes} in {} records",
        record.len(),
        records.len()
    );
    // Defender's own rows have what their source wrote.
    let is_written_here = !decoder.name().starts_with("mde-");
    for record in &records {
        match record {
            Record::Row(row) => check_row(row, is_written_here),
            Record::Alert(alert) => {
                assert!(alert.evidence.len() <= MOST, "{} pieces of evidence", alert.evidence.len());
                check_facts(&alert.facts);
                alert.evidence.iter().for_each(|piece| check_facts(&piece.0));
            }
            Record::Machine(machine) => check_facts(&machine.facts),
        }
    }
}

/// What a worker said of an input.
pub struct Frame {
    kind: u8,
    /// What belongs to it: the record, or a reason and what was no record.
    pub bytes: Vec<u8>,
}

impl Frame {
    /// Whether it is a record.
    pub fn is_record(&self) -> bool {
        self.kind == 2
    }
}

/// Has an input parsed as a worker does, but for the questions for more of it.
pub fn worked(layout: Layout, input: &[u8]) -> io::Result<Vec<Frame>> {
    let length = u32::try_from(input.len()).map_err(io::Error::other)?.to_le_bytes();
    // Nothing in one block would be the end.
    let blocks = if input.is_empty() { vec![0; 4] } else { [&length[..], input, &[0; 4]].concat() };
    let mut said = Vec::new();
    work(layout, &mut &blocks[..], &mut said)?;
    let mut rest = &said[..];
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let mut head = [0; 13];
        rest.read_exact(&mut head)?;
        let length = u32::from_le_bytes([head[9], head[10], head[11], head[12]]) as usize;
        let (bytes, after) = rest.split_at(length);
        if head[0] != 1 {
            frames.push(Frame { kind: head[0], bytes: bytes.to_vec() });
        }
        rest = after;
    }
    Ok(frames)
}

/// Checks what a worker said of an input: that it came to an end, to no more than so many bytes of records, and
/// that each is JSON. What others' code writes of an event log need not be, and is for the decoder to refuse.
pub fn check_worked(layout: Layout, input: &[u8], most: usize) {
    let frames = worked(layout, input).expect("a worker ends");
    // It is at its end, or beyond a limit.
    assert!(frames.last().is_some_and(|frame| matches!(frame.kind, 5 | 6)), "a worker says when it is done");
    let records = frames.iter().filter(|frame| frame.is_record());
    let mut bytes = 0;
    for record in records {
        bytes += record.bytes.len();
        assert!(
            layout == Layout::EventLog || serde_json::from_slice::<IgnoredAny>(&record.bytes).is_ok(),
            "no JSON: {:?}",
            String::from_utf8_lossy(&record.bytes)
        );
    }
    assert!(bytes <= most, "{} bytes became {bytes}", input.len());
}

/// Bytes of what a record says.
fn bytes(record: &Record) -> usize {
    let of_facts = |facts: &Facts| facts.iter().map(|(_, fact)| fact.json.len()).sum::<usize>();
    match record {
        Record::Row(row) => {
            row.cells().map(|(_, cell)| if let Cell::Text(text) = cell { text.len() } else { 8 }).sum()
        }
        Record::Alert(alert) => {
            of_facts(&alert.facts) + alert.evidence.iter().map(|piece| of_facts(&piece.0)).sum::<usize>()
        }
        Record::Machine(machine) => of_facts(&machine.facts),
    }
}

fn check_row(row: &Row, is_written_here: bool) {
    let table = row.table().expect("a table");
    let text = |column: &str| row.text(table.column(column)?.0);
    if let Some(machine) = row.text(device_events::DEVICE_ID).filter(|_| is_written_here) {
        assert!(machine.parse::<MachineId>().is_ok(), "no id of a machine: {machine:?}");
    }
    if let Some(fields) = text("AdditionalFields").filter(|_| is_written_here) {
        assert!(is_json(fields), "AdditionalFields are no JSON: {fields}");
    }
}

fn check_facts(facts: &Facts) {
    for (_, fact) in facts.iter() {
        assert!(is_json(&fact.json), "no JSON: {}", fact.json);
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}
