//! Bytes become single records, each with its byte offset: lines, arrays, envelopes, documents
//! printed over many lines, event logs. Nothing here knows a format.

mod event_log;
mod nesting;
mod splitter;
mod window;

use std::io::Read;

use encoding_rs_io::DecodeReaderBytesBuilder;

use crate::error::Stop;

/// The largest record read; a larger one is kept aside and passed over without being held.
pub const MAX_RECORD: usize = 16 * 1024 * 1024;

/// A part of the input.
#[derive(Debug)]
pub enum Piece<'a> {
    /// One record.
    Record {
        /// Where it begins, in bytes of the unpacked text (for an event log: its record number).
        offset: u64,
        /// All of it.
        bytes: &'a [u8],
    },
    /// An array or envelope without a record in it.
    Empty,
    /// Something that is no record.
    Bad {
        /// Where it begins.
        offset: u64,
        /// Why it is none.
        reason: &'static str,
        /// Its first bytes.
        bytes: &'a [u8],
    },
}

/// What takes the pieces, in order.
pub type Sink<'s> = dyn FnMut(Piece<'_>) -> Result<(), Stop> + 's;

/// How an input's records are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// A Windows event log.
    EventLog,
    /// Text, whose framing shows in its first bytes.
    Text,
}

/// Tells the layout from an input's first bytes.
pub fn layout(head: &[u8]) -> Layout {
    if head.starts_with(event_log::MAGIC) { Layout::EventLog } else { Layout::Text }
}

/// Hands the records of an unpacked input to `sink`.
pub fn split(layout: Layout, input: &mut dyn Read, sink: &mut Sink<'_>) -> Result<(), Stop> {
    match layout {
        Layout::EventLog => event_log::split(input, sink),
        Layout::Text => {
            // Without a byte order mark the bytes pass unchanged; a record that is no UTF-8 is
            // then the decoder's to refuse, so that only it is kept aside.
            let mut text = DecodeReaderBytesBuilder::new().utf8_passthru(true).strip_bom(true).build(input);
            splitter::split(&mut text, sink)
        }
    }
}
