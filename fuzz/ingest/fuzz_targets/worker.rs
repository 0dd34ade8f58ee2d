//! Any bytes as what a worker says: its owner takes nothing at its word.

#![no_main]

use std::io::{self, Read, Write};

use libfuzzer_sys::fuzz_target;
use pintle_ingest::{Choice, Content, Layout, Reading, Worker, Workers, read};

struct Says<'a>(&'a [u8]);

impl Workers for Says<'_> {
    fn start(&self, _: Layout) -> io::Result<Box<dyn Worker + '_>> {
        Ok(Box::new(Says(self.0)))
    }
}

impl Read for Says<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Says<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Worker for Says<'_> {
    fn end(&mut self) -> String {
        "it said no more".to_owned()
    }
}

fuzz_target!(|said: &[u8]| {
    let mut delivered = 0;
    let mut deliver = |records: Vec<_>, rejects: Vec<_>| {
        delivered += records.len() + rejects.len();
        Ok(())
    };
    let input = &b"ElfFile\0what follows"[..];
    let workers = Says(said);
    let reading = Reading { workers: Some(&workers), ..Reading::of("input", Choice::default()) };
    let summary = read(Content::stream(input), reading, &mut deliver, &mut |_| {});
    if let Ok(summary) = summary {
        assert!(delivered as u64 <= summary.records, "{summary:?}");
    }
});
