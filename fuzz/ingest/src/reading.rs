//! What inputs are read with where it is not about decoders and workers.

use std::io::{self, Read};
use std::sync::{Arc, LazyLock};

use pintle_ingest::{Decoder, Layout, Mapping, Worker, Workers};

/// More than any input that the fuzzer makes, and less than a bomb in it.
pub const MAX_BYTES: u64 = 4 << 20;

/// Stands for all decoders most of the time: what becomes of a record is another target's.
pub static QUICK: LazyLock<Decoder> = LazyLock::new(|| {
    let mapping =
        Mapping::read("name = \"quick\"\n[machine]\nname = \"host\"\n[[event]]\n").expect("a mapping");
    Decoder::Mapping(Arc::new(mapping))
});

/// Parsers of what is not text are others' code, and run where they may fail.
pub struct NoWorkers;

impl Workers for NoWorkers {
    fn start(&self, _: Layout) -> io::Result<Box<dyn Worker + '_>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// An input that comes so many bytes at a time.
pub struct Trickle<'a>(pub &'a [u8], pub usize);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.1.min(buffer.len());
        self.0.read(&mut buffer[..most])
    }
}
