//! Windows event logs (EVTX): binary, in chunks of 64 KiB, any of which may be dirty or cut off.
//! The records come out as the JSON that the `evtx` crate prints.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};

use evtx::{EvtxParser, ParserSettings};

use super::{Piece, Sink};
use crate::Error;
use crate::error::Stop;

/// The first bytes of an event log.
pub const MAGIC: &[u8] = b"ElfFile\0";

/// The largest event log read: it is held in memory, because its records refer back and forth.
const MAX_EVENT_LOG: u64 = 512 * 1024 * 1024;

/// Bytes before the first chunk.
const HEADER: usize = 4096;
/// Bytes of a chunk.
const CHUNK: usize = 64 * 1024;

const DAMAGED_LOG: &str = "damaged event log: its header cannot be read";
const DAMAGED: &str = "damaged record or chunk of an event log";
const CUT_OFF: &str = "cut-off event log: its last records are missing";
const GAVE_UP: &str = "damaged event log: reading stopped here";

pub fn split(input: &mut dyn Read, sink: &mut Sink<'_>) -> Result<(), Stop> {
    let mut log = Vec::new();
    input.take(MAX_EVENT_LOG + 1).read_to_end(&mut log)?;
    if log.len() as u64 > MAX_EVENT_LOG {
        let limit = format!("is an event log larger than {} MiB; export it in parts", MAX_EVENT_LOG >> 20);
        return Err(Stop::Said(Error::Limit(limit)));
    }
    // A log that was cut off ends in a part of a chunk, which the parser would pass over in
    // silence. Filled up with zeros it gives the records that are whole.
    let whole = HEADER + log.len().saturating_sub(HEADER).next_multiple_of(CHUNK);
    let is_cut_off = whole > log.len();
    log.resize(whole, 0);
    let Ok(Ok(parser)) = catch_unwind(|| EvtxParser::from_buffer(log)) else {
        return sink(Piece::Bad { offset: 0, reason: DAMAGED_LOG, bytes: &[] });
    };
    let mut parser = parser.with_configuration(ParserSettings::new().indent(false));
    let mut records = parser.records_json_bytes();
    let mut last = 0;
    loop {
        // The parser reads hostile bytes; should it panic, this log ends and the others go on.
        match catch_unwind(AssertUnwindSafe(|| records.next())) {
            Ok(None) if is_cut_off => return sink(Piece::Bad { offset: last, reason: CUT_OFF, bytes: &[] }),
            Ok(None) => return Ok(()),
            Ok(Some(Ok(record))) => {
                last = record.event_record_id;
                sink(Piece::Record { offset: last, bytes: &record.data })?;
            }
            Ok(Some(Err(_))) => sink(Piece::Bad { offset: last, reason: DAMAGED, bytes: &[] })?,
            Err(_) => {
                return sink(Piece::Bad { offset: last, reason: GAVE_UP, bytes: &[] });
            }
        }
    }
}
