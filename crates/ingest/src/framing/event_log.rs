//! Windows event logs (EVTX): binary, in chunks of 64 KiB, any of which may be dirty or cut off.
//! The records come out as the JSON that the `evtx` crate prints.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};

use evtx::{EvtxParser, ParserSettings};

use super::{Piece, Sink};
use crate::error::Stop;

/// The first bytes of an event log.
pub const MAGIC: &[u8] = b"ElfFile\0";

/// Bytes before the first chunk.
const HEADER: usize = 4096;
/// Bytes of a chunk. Its records refer to each other and to nothing outside it.
const CHUNK: usize = 64 * 1024;
/// Bytes of it before its first record.
const CHUNK_HEADER: usize = 512;
/// Bytes of chunks that are parsed together, as a log of their own: enough that the templates they
/// share are compiled seldom.
const PART: usize = 64 * CHUNK;

/// Bytes of records that a log may come to: times its own, …
const RATIO: u64 = 100;
/// … and in any case. Real chunks come to four times their size, but records may share a template
/// that repeats a long name, so that 64 KiB come to 64 MiB.
const FREE: u64 = 64 << 20;

const DAMAGED_LOG: &str = "damaged event log: its header cannot be read";
const DAMAGED: &str = "damaged record or chunk of an event log";
const CUT_OFF: &str = "cut-off event log: its last records are missing";
const GAVE_UP: &str = "damaged event log: a part of it cannot be read";
const TOO_MUCH: &str = "event log whose records come to more than 100 times its size: reading stopped here";

/// Hands the records of a log to `sink`. However long the log is, a part of it is held.
pub fn split(input: &mut dyn Read, sink: &mut Sink<'_>) -> Result<(), Stop> {
    let mut header = Vec::with_capacity(HEADER);
    let came = Read::take(&mut *input, HEADER as u64).read_to_end(&mut header)?;
    header.resize(HEADER, 0);
    if !matches!(catch_unwind(|| EvtxParser::from_buffer(header.clone())), Ok(Ok(_))) {
        return sink(Piece::Bad { offset: 0, reason: DAMAGED_LOG, bytes: &[] });
    }
    let mut log = Log { last: 0, read: came as u64, given: 0, sink };
    let mut is_cut_off = came < HEADER;
    loop {
        let mut part = Vec::with_capacity(HEADER + PART);
        part.extend_from_slice(&header);
        let came = Read::take(&mut *input, PART as u64).read_to_end(&mut part)?;
        log.read += came as u64;
        if !came.is_multiple_of(CHUNK) {
            is_cut_off = true;
            // The parser would pass over a part of a chunk in silence. Filled up with zeros it gives
            // its records.
            let last = HEADER + came - came % CHUNK;
            let whole = whole_records(part.get(last..).unwrap_or_default());
            part.truncate(last + whole);
            part.resize(last + CHUNK, 0);
        }
        if !log.part(part)? {
            return log.bad(TOO_MUCH);
        }
        if came < PART {
            break;
        }
    }
    if is_cut_off { log.bad(CUT_OFF) } else { Ok(()) }
}

/// How much of a chunk that was cut off is before the record that the cut goes through: with zeros
/// for its end, that one could be read as another than it was.
fn whole_records(chunk: &[u8]) -> usize {
    let mut at = CHUNK_HEADER;
    while let Some([b'*', b'*', 0, 0, size @ ..]) = chunk.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let size = usize::try_from(u32::from_le_bytes(*size)).unwrap_or(usize::MAX);
        match at.checked_add(size) {
            Some(end) if size > 0 && end <= chunk.len() => at = end,
            _ => return at,
        }
    }
    if chunk.len() - at.min(chunk.len()) < 8 { at.min(chunk.len()) } else { chunk.len() }
}

struct Log<'s, 'k> {
    /// The number of the last record.
    last: u64,
    /// Bytes of the log so far.
    read: u64,
    /// Bytes of records so far.
    given: u64,
    sink: &'s mut Sink<'k>,
}

impl Log<'_, '_> {
    /// A header and some chunks. `false` when the records have come to too much.
    fn part(&mut self, part: Vec<u8>) -> Result<bool, Stop> {
        let Ok(Ok(parser)) = catch_unwind(|| EvtxParser::from_buffer(part)) else {
            return self.bad(GAVE_UP).map(|()| true);
        };
        let mut parser = parser.with_configuration(ParserSettings::new().indent(false));
        let mut records = parser.records_json_bytes();
        loop {
            // The parser reads hostile bytes; should it panic, this part ends and the others go on.
            match catch_unwind(AssertUnwindSafe(|| records.next())) {
                Ok(None) => return Ok(true),
                Ok(Some(Ok(record))) => {
                    self.last = record.event_record_id;
                    self.given += record.data.len() as u64;
                    if self.given > FREE.max(self.read.saturating_mul(RATIO)) {
                        return Ok(false);
                    }
                    (self.sink)(Piece::Record { offset: self.last, bytes: &record.data })?;
                }
                Ok(Some(Err(_))) => self.bad(DAMAGED)?,
                Err(_) => return self.bad(GAVE_UP).map(|()| true),
            }
        }
    }

    fn bad(&mut self, reason: &'static str) -> Result<(), Stop> {
        (self.sink)(Piece::Bad { offset: self.last, reason, bytes: &[] })
    }
}
