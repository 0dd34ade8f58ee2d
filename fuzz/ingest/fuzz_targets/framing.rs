//! Any bytes as an input, packed or not: whole and a few bytes at a time it gives the same batches, and
//! every record is delivered, ignored or kept aside.

#![no_main]

use std::io::{self, Read};

use libfuzzer_sys::fuzz_target;
use pintle_ingest::{Choice, Content, Decoders, Error, Layout, Reading, Summary, Worker, Workers, read};
use pintle_model::Record;
use pintle_store::Reject;

/// More than any input that the fuzzer makes, and less than a bomb in it.
const MAX_BYTES: u64 = 4 << 20;

/// Parsers of what is not text are others' code, and run where they may fail.
struct NoWorkers;

impl Workers for NoWorkers {
    fn start(&self, _: Layout) -> io::Result<Box<dyn Worker + '_>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

struct Trickle<'a>(&'a [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.1.min(buffer.len());
        self.0.read(&mut buffer[..most])
    }
}

type Batches = Vec<(Vec<Record>, Vec<Reject>)>;

fn outcome(input: impl Read + Send, choice: Choice) -> (Result<Summary, Error>, Batches) {
    let mut batches = Batches::new();
    let mut deliver = |records, rejects| {
        batches.push((records, rejects));
        Ok(())
    };
    let reading =
        Reading { max_bytes: MAX_BYTES, workers: Some(&NoWorkers), ..Reading::of("input", choice) };
    let read = read(Content::stream(input), reading, &mut deliver, &mut |_| {});
    (read, batches)
}

fuzz_target!(|bytes: &[u8]| {
    let choice = || match bytes.len() % 2 {
        0 => Choice::default(),
        _ => Choice::Each(Decoders::default()),
    };
    let (summary, batches) = outcome(bytes, choice());
    let (trickled, same) = outcome(Trickle(bytes, 1 + bytes.len() % 13), choice());
    assert!(batches == same, "other batches of the same bytes");
    let Ok(summary) = summary else { return assert!(trickled.is_err(), "no error of the same bytes") };
    // How much of a packed input is read ahead before its damage shows is nobody's promise.
    let packed_bytes = summary.packed_bytes;
    assert_eq!(summary, Summary { packed_bytes, ..trickled.expect("no error") });
    let rejects: usize = batches.iter().map(|(_, rejects)| rejects.len()).sum();
    let ignored: u64 = summary.ignored.values().sum();
    assert!(summary.rejects() >= rejects as u64);
    assert!(summary.rejects() + ignored <= summary.records + 1, "{summary:?}");
    assert!(batches.iter().flat_map(|(_, rejects)| rejects).all(|reject| reject.bytes.len() <= 8 * 1024));
});
