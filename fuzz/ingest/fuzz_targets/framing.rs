//! Any bytes as an input, packed or not: whole and a few bytes at a time it gives the same batches, and
//! every record is delivered, ignored or kept aside. The last byte says how it is read, and whether once more in
//! pieces. What becomes of a record is another target's, so that one quick decoder stands for all most of the
//! time.

#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use pintle_fuzz_ingest::reading::{MAX_BYTES, NoWorkers, QUICK, Trickle};
use pintle_ingest::{Choice, Content, Decoders, Error, Growth, PartOf, Reading, Summary, read};
use pintle_model::Record;
use pintle_store::Reject;

/// Why what is packed was not read to its end.
const DAMAGED: &str = "damaged compressed data: reading stopped here";

/// Bytes of a piece, where an input comes in pieces.
const PIECES: [usize; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 7, 13, 64, 250, 509];

/// How an input is read.
#[derive(Clone)]
struct How {
    choice: Choice,
    part: Option<PartOf>,
}

impl How {
    fn of(how: u8, input: &[u8]) -> How {
        let choice = match how % 8 {
            0 => Choice::default(),
            1 => Choice::Each(Decoders::default()),
            _ => Choice::Only(QUICK.clone()),
        };
        let growth = Growth::of(input);
        let is_growing = matches!(growth, Growth::Lines | Growth::Table(_)) && how & 8 != 0;
        let from = input.len() as u64 * u64::from(how >> 5) / 8;
        let part = is_growing.then_some(PartOf { growth, from, is_whole: true });
        How { choice, part }
    }
}

type Batches = Vec<(Vec<Record>, Vec<Reject>)>;

fn outcome(input: impl Read + Send, how: How) -> (Result<Summary, Error>, Batches) {
    let mut batches = Batches::new();
    let mut deliver = |records, rejects| {
        batches.push((records, rejects));
        Ok(())
    };
    let reading = Reading {
        max_bytes: MAX_BYTES,
        workers: Some(&NoWorkers),
        part: how.part,
        ..Reading::of("input", how.choice)
    };
    let read = read(Content::stream(input), reading, &mut deliver, &mut |_| {});
    (read, batches)
}

/// How often reading stopped at damage.
fn stops(summary: Option<&Summary>) -> u64 {
    let stops = summary.and_then(|summary| summary.rejects_by_reason.get(DAMAGED));
    stops.copied().unwrap_or_default()
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&selector, bytes)) = bytes.split_last() else { return };
    let how = How::of(selector, bytes);
    let (summary, batches) = outcome(bytes, how.clone());
    let piece = PIECES[usize::from(selector >> 4)];
    if piece > 0 {
        let (again, same) = outcome(Trickle(bytes, piece), how);
        // How much of a packed input is read ahead before its damage shows is nobody's promise.
        let read = |summary: &Result<Summary, Error>| {
            summary.as_ref().ok().map(|summary| Summary { packed_bytes: 0, ..summary.clone() })
        };
        let (one, other) = (read(&summary), read(&again));
        if stops(one.as_ref()) == 0 && stops(other.as_ref()) == 0 {
            assert!(batches == same, "other batches of the same bytes");
            assert_eq!(one, other);
        }
    }
    let Ok(summary) = summary else { return };
    let rejects: usize = batches.iter().map(|(_, rejects)| rejects.len()).sum();
    let ignored: u64 = summary.ignored.values().sum();
    assert!(summary.rejects() >= rejects as u64);
    // Where reading stops is no record.
    assert!(summary.rejects() - stops(Some(&summary)) + ignored <= summary.records, "{summary:?}");
    assert!(batches.iter().flat_map(|(_, rejects)| rejects).all(|reject| reject.bytes.len() <= 8 * 1024));
});
