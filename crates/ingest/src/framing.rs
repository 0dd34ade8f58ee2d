//! Bytes become single records, each with its byte offset: lines, arrays, envelopes, documents
//! printed over many lines, tables (CSV), event logs, Parquet. Nothing here knows a format.

mod csv;
mod event_log;
mod growth;
mod nesting;
mod parquet;
mod splitter;
pub(crate) mod window;

use std::io::Read;

pub use growth::Growth;

use encoding_rs_io::DecodeReaderBytesBuilder;

use crate::error::Stop;

/// The largest record read; a larger one is kept aside and passed over without being held.
pub const MAX_RECORD: usize = 16 * 1024 * 1024;

pub(crate) const TOO_LONG: &str = "longer than 16 MiB";

/// A part of the input.
#[derive(Debug)]
pub enum Piece<'a> {
    /// One record.
    Record {
        /// Where it begins, in bytes of the unpacked text (for an event log: its record number; for
        /// Parquet: the number of its row, from 0 on).
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
        reason: &'a str,
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
    /// Rows kept by columns.
    Parquet,
    /// Text, whose framing shows in its first bytes.
    Text,
    /// Lines, whatever the first of them looks like.
    Lines,
}

impl Layout {
    /// Those that are not text.
    const BINARY: &[Layout] = &[Layout::EventLog, Layout::Parquet];

    /// Whether it is parsed by a worker.
    pub(crate) fn is_binary(self) -> bool {
        Layout::BINARY.contains(&self)
    }

    /// The one of that [name](Layout::name) that is not text.
    pub fn binary(name: &str) -> Option<Layout> {
        Layout::BINARY.iter().copied().find(|layout| layout.name() == name)
    }

    /// A name for programs.
    pub fn name(self) -> &'static str {
        match self {
            Layout::EventLog => "event-log",
            Layout::Parquet => "parquet",
            Layout::Text => "text",
            Layout::Lines => "lines",
        }
    }

    /// What an input of this layout is called.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Layout::EventLog => "event log",
            Layout::Parquet => "Parquet file",
            Layout::Text | Layout::Lines => "text",
        }
    }

    /// How many bytes of memory reading an input may take, with all that the program itself has.
    pub fn memory(self) -> u64 {
        match self {
            // What the parser holds of a chunk, whatever is in it, comes to some 150 MiB.
            Layout::EventLog | Layout::Text | Layout::Lines => 512 << 20,
            // The whole file, its unpacked pages, and a row that is being written.
            Layout::Parquet => 2 << 30,
        }
    }
}

/// Tells the layout from an input's first bytes.
pub fn layout(head: &[u8]) -> Layout {
    if head.starts_with(event_log::MAGIC) {
        Layout::EventLog
    } else if head.starts_with(&parquet::MAGIC) {
        Layout::Parquet
    } else {
        Layout::Text
    }
}

/// Hands the records of an unpacked input to `sink`.
pub fn split(layout: Layout, input: &mut dyn Read, sink: &mut Sink<'_>) -> Result<(), Stop> {
    match layout {
        Layout::EventLog => event_log::split(input, sink),
        Layout::Parquet => parquet::split(input, sink),
        Layout::Text | Layout::Lines => {
            // Without a byte order mark the bytes pass unchanged; a record that is no UTF-8 is
            // then the decoder's to refuse, so that only it is kept aside. Lines are never UTF-16, so
            // that one of them that begins with its mark costs no other.
            let is_lines = layout == Layout::Lines;
            let mut text = DecodeReaderBytesBuilder::new();
            let mut text = text.utf8_passthru(true).strip_bom(true).bom_sniffing(!is_lines).build(input);
            splitter::split(&mut text, is_lines, sink)
        }
    }
}
