//! Event logs for fuzzing: a chunk without its end, which is zeros, and without the log's header. So it is
//! small enough to be changed often.

use std::collections::BTreeSet;

#[path = "../../../crates/ingest/tests/event_log/log.rs"]
#[allow(dead_code, reason = "the tests need more of it")]
mod log;

use log::{CHUNK, Chunk, HEADER, TEXT};

/// A log of one chunk that begins like this: whole, or cut off there.
pub fn of(chunk: &[u8], is_whole: bool) -> Vec<u8> {
    let mut log = log::log(&[]);
    log.extend_from_slice(&chunk[..chunk.len().min(CHUNK)]);
    if is_whole {
        log.resize(HEADER + CHUNK, 0);
    }
    log
}

/// What fuzzing begins with.
pub fn seeds() -> BTreeSet<Vec<u8>> {
    let templates = Chunk::from(1).record(|xml| {
        let template = xml.template(|xml| {
            xml.open("Event", &[]).open("Data", &[("Name", "a")]).place(0, TEXT).close().close();
        });
        let text: Vec<u8> = "a text".encode_utf16().flat_map(u16::to_le_bytes).collect();
        xml.values(&[(TEXT, &text)]);
        xml.instance(template).values(&[(TEXT, &text)]);
    });
    let chunks = [Chunk::of(1, 1), Chunk::of(1, 4), templates];
    let seeds = chunks.into_iter().map(|chunk| {
        let mut chunk = chunk.done();
        let end = chunk.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        chunk.truncate(end);
        chunk
    });
    seeds.flat_map(|chunk| [0, 1].map(|how| [chunk.as_slice(), &[how]].concat())).collect()
}
