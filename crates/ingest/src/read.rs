//! The entry point: one input in, batches of records and of what was kept aside out. Where a batch
//! ends depends on the input's bytes alone, so the same file always gives the same batches and a
//! repeated one is recognised.

pub(crate) mod counts;
pub(crate) mod documents;
mod hashes;
pub(crate) mod messages;
pub(crate) mod run;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use pintle_model::Record;
use pintle_store::Reject;

use crate::decoder::Choice;
use crate::error::{DeliverError, Error};
use crate::framing::Growth;
use crate::worker::Workers;
use counts::Counts;
use documents::{Answers, Documents};
use run::Run;

/// Reasons counted apart; more are counted together, as a hostile input can make up any number.
const REASONS: usize = 100;
const OTHER_REASONS: &str = "other reasons";

/// The bytes that an input may have where nobody says less: a file of whoever owns the data.
pub const MAX_BYTES: u64 = 1 << 40;

/// What is read.
pub enum Content<'a> {
    /// Bytes as they come.
    Stream(Box<dyn Read + Send + 'a>),
    /// A file: a zip is read where it lies.
    File(File),
}

impl<'a> Content<'a> {
    /// Bytes as they come.
    pub fn stream(bytes: impl Read + Send + 'a) -> Content<'a> {
        Content::Stream(Box::new(bytes))
    }
}

/// A part of a file that grows by lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartOf {
    /// How the file is read.
    pub growth: Growth,
    /// Where in the file, unpacked, the part begins. Offsets are counted from the file's beginning.
    pub from: u64,
    /// Whether the content is the file from its beginning, of which what comes before the part is passed over.
    /// Else it is the part, a table's with the header before it.
    pub is_whole: bool,
}

/// How an input is read.
pub struct Reading<'a> {
    /// Its name, in rejects and errors. A member of an archive is named behind it: `a.zip:logs/b.json`.
    pub source: &'a str,
    /// What decodes it; a Windows event log is always read as one. In an archive it is chosen for each
    /// member by itself.
    pub choice: Choice,
    /// How many bytes it may have, as they come or unpacked. More are refused, whatever they are.
    pub max_bytes: u64,
    /// A folder in which a zip that comes as a stream is held while it is read, since what counts of it
    /// stands at its end; `None`: the system's folder for such. The file has no name, so it goes with the
    /// process.
    pub hold_in: Option<&'a Path>,
    /// What splits what is not text into records. `None`: that is parsed here too, where a hang or a panic
    /// of a parser is the caller's; for tests, and for inputs that are known to be text.
    pub workers: Option<&'a dyn Workers>,
    /// If the input is a part of a file that is taken part by part.
    pub part: Option<PartOf>,
}

impl<'a> Reading<'a> {
    /// Of an input of that name, with no limit but [`MAX_BYTES`] and without workers.
    pub fn of(source: &'a str, choice: Choice) -> Reading<'a> {
        Reading { source, choice, max_bytes: MAX_BYTES, hold_in: None, workers: None, part: None }
    }
}

/// How far reading has come, or how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Records read. Each is delivered, ignored or kept aside; one that can only be read in part, both
    /// delivered and kept aside.
    pub records: u64,
    /// Records that name at least one file by a usable hash, in any role.
    pub with_file_hash: u64,
    /// Events about a file, …
    pub file_events: u64,
    /// … and those of them that do not name it by a usable hash, by reason.
    pub without_hash: BTreeMap<&'static str, u64>,
    /// Records kept aside, by reason.
    pub rejects_by_reason: BTreeMap<String, u64>,
    /// Good records with nothing to keep, by reason.
    pub ignored: BTreeMap<&'static str, u64>,
    /// Bytes read, unpacked.
    pub bytes: u64,
    /// Bytes read as they came.
    pub packed_bytes: u64,
    /// The format; `None` as long as no record was seen, `mixed` where there are several.
    pub format: Option<Cow<'static, str>>,
}

impl Summary {
    /// All records kept aside.
    pub fn rejects(&self) -> u64 {
        self.rejects_by_reason.values().sum()
    }

    pub(crate) fn reject(&mut self, reason: &str) {
        self.reject_many(reason, 1);
    }

    fn reject_many(&mut self, reason: &str, count: u64) {
        let known = self.rejects_by_reason.len() < REASONS || self.rejects_by_reason.contains_key(reason);
        *self.rejects_by_reason.entry(if known { reason } else { OTHER_REASONS }.to_owned()).or_default() +=
            count;
    }
}

/// Reads one input (packed or not, an archive or not), decodes it and hands over batches in order.
///
/// `deliver` gets at most about 20,000 records or 16 MiB of input at a time; `progress` is called after
/// every batch and at the end.
///
/// # Errors
///
/// See [`Error`]. A bad record is no error: it is kept aside and the rest goes on. Neither is a
/// packed input whose end is damaged, or a worker that is lost: what came before is delivered, and the
/// damage is a reject. So is a member of an archive that cannot be read, or is of no known format while
/// another is.
pub fn read(
    content: Content<'_>,
    reading: Reading<'_>,
    deliver: &mut dyn FnMut(Vec<Record>, Vec<Reject>) -> Result<(), DeliverError>,
    progress: &mut dyn FnMut(&Summary),
) -> Result<Summary, Error> {
    let counts = Counts::up_to(reading.max_bytes);
    Run::new(&counts, reading, deliver, progress).read(content)
}

/// Reads the documents of a request of Elasticsearch's, packed or not, as [`read`] reads records; each is told
/// to `answers` in order, before it is delivered. A document that is no more than a shipper's envelope around
/// a line is the record in that line. Of no known format is a document by itself, never the request.
///
/// # Errors
///
/// See [`Error`]. A bulk request in which a document stands where an action should, or whose compression is
/// damaged, is [`Error::Malformed`]: what came before is delivered.
pub fn read_documents(
    documents: Documents,
    input: impl Read,
    reading: Reading<'_>,
    answers: &mut Answers<'_>,
    deliver: &mut dyn FnMut(Vec<Record>, Vec<Reject>) -> Result<(), DeliverError>,
    progress: &mut dyn FnMut(&Summary),
) -> Result<Summary, Error> {
    let counts = Counts::up_to(reading.max_bytes);
    Run::new(&counts, reading, deliver, progress).read_documents(documents, input, answers)
}
