//! The entry point: one input in, batches of records and of what was kept aside out. Where a batch
//! ends depends on the input's bytes alone, so the same file always gives the same batches and a
//! repeated one is recognised.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};

use pintle_model::{ColumnId, Hashes, Record, Row, tables};
use pintle_store::Reject;

use crate::error::{DeliverError, Error, Stop};
use crate::format::{Decoded, Format};
use crate::framing::{self, Layout, Piece};
use crate::unpack::{self, Limits};

/// A batch ends after so many records and rejects, …
const BATCH_RECORDS: usize = 20_000;
/// … or so many bytes of them.
const BATCH_BYTES: usize = 16 * 1024 * 1024;
/// How much of a reject's bytes is kept.
const REJECT_BYTES: usize = 8 * 1024;
/// How many rejects of one input are kept; more are counted only.
const REJECTS: usize = 10_000;
/// Reasons counted apart; more are counted together, as a hostile input can make up any number.
const REASONS: usize = 100;
/// Records looked at before an input counts as of no known format.
const RECOGNISE_WITHIN: usize = 100;

const OTHER_REASONS: &str = "other reasons";
const UNRECOGNISED: &str = "of no known format";
const EMPTY: &str = "an empty list of records";

/// The bytes that an input may have where nobody says less.
pub const MAX_BYTES: u64 = 1 << 40;

/// How far reading has come, or how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Records read. Each is delivered, ignored or kept aside.
    pub records: u64,
    /// Records that name at least one file by a usable hash, in any role.
    pub with_file_hash: u64,
    /// Records kept aside, by reason.
    pub rejects_by_reason: BTreeMap<String, u64>,
    /// Good records with nothing to keep, by reason.
    pub ignored: BTreeMap<&'static str, u64>,
    /// Bytes read, unpacked.
    pub bytes: u64,
    /// Bytes read as they came.
    pub packed_bytes: u64,
    /// The format; `None` as long as no record was seen.
    pub format: Option<&'static str>,
}

impl Summary {
    /// All records kept aside.
    pub fn rejects(&self) -> u64 {
        self.rejects_by_reason.values().sum()
    }

    fn reject(&mut self, reason: &str) {
        let known = self.rejects_by_reason.len() < REASONS || self.rejects_by_reason.contains_key(reason);
        *self.rejects_by_reason.entry(if known { reason } else { OTHER_REASONS }.to_owned()).or_default() +=
            1;
    }
}

/// Reads one input (already opened; packed or not), decodes it and hands over batches in order.
///
/// `source` names the input in rejects and errors. Without a `format` it is told from the first
/// records; a Windows event log is always read as one. More than `max_bytes`, as they come or
/// unpacked, are refused, whatever they are. `deliver` gets at most about 20,000 records
/// or 16 MiB of input at a time; `progress` is called after every batch and at the end.
///
/// # Errors
///
/// See [`Error`]. A bad record is no error: it is kept aside and the rest goes on. Neither is a
/// packed input whose end is damaged: what came before is delivered, and the damage is a reject.
pub fn read(
    input: impl Read,
    source: &str,
    format: Option<&'static Format>,
    max_bytes: u64,
    deliver: &mut dyn FnMut(Vec<Record>, Vec<Reject>) -> Result<(), DeliverError>,
    progress: &mut dyn FnMut(&Summary),
) -> Result<Summary, Error> {
    let counts = Counts { max_bytes, ..Counts::default() };
    let packed = Counted { input, count: &counts.packed, counts: &counts, failed: &counts.failed };
    let mut run = Run {
        source,
        format,
        summary: Summary { format: format.map(|format| format.name), ..Summary::default() },
        counts: &counts,
        records: Vec::new(),
        rejects: Vec::new(),
        batch_bytes: 0,
        kept_rejects: 0,
        unrecognised: 0,
        deliver,
        progress,
    };
    match run.pieces(packed) {
        Ok(()) => {}
        // A decoder wraps what it is told, so the error itself does not say it.
        Err(Stop::Input(_)) if counts.beyond.get() => {
            let limit =
                format!("{source} has more than {max_bytes} bytes, packed or unpacked: send it in parts");
            return Err(Error::Limit(limit));
        }
        Err(Stop::Input(error)) if counts.failed.get() => {
            return Err(Error::Read(source.to_owned(), error));
        }
        Err(Stop::Input(error)) => match error
            .get_ref()
            .and_then(|error| error.downcast_ref::<unpack::Refused>())
        {
            Some(refused) => return Err(Error::Limit(format!("{source} {refused}"))),
            None => run.reject(counts.unpacked.get(), "damaged compressed data: reading stopped here", &[]),
        },
        Err(Stop::Said(Error::Limit(limit))) => {
            return Err(Error::Limit(format!("{source} {limit}")));
        }
        Err(Stop::Said(error)) => return Err(error),
    }
    if run.format.is_none() && run.unrecognised > 0 {
        return Err(Error::Unrecognised(source.to_owned()));
    }
    run.hand_over()?;
    Ok(run.summary)
}

#[derive(Default)]
struct Counts {
    packed: Cell<u64>,
    unpacked: Cell<u64>,
    /// The most that either may come to, …
    max_bytes: u64,
    /// … and whether one was more.
    beyond: Cell<bool>,
    failed: Cell<bool>,
}

struct Run<'a> {
    source: &'a str,
    format: Option<&'static Format>,
    summary: Summary,
    counts: &'a Counts,
    records: Vec<Record>,
    rejects: Vec<Reject>,
    batch_bytes: usize,
    kept_rejects: usize,
    unrecognised: usize,
    deliver: &'a mut dyn FnMut(Vec<Record>, Vec<Reject>) -> Result<(), DeliverError>,
    progress: &'a mut dyn FnMut(&Summary),
}

impl Run<'_> {
    fn pieces(&mut self, packed: impl Read) -> Result<(), Stop> {
        let counts = self.counts;
        let unpacked = unpack::open(packed, &counts.packed, Limits::DEFAULT)?;
        let mut unpacked =
            Counted { input: unpacked, count: &counts.unpacked, counts, failed: &Cell::new(false) };
        let head = unpack::peek::<8>(&mut unpacked)?;
        let layout = framing::layout(&head);
        if layout == Layout::EventLog {
            self.set_format(Format::of_event_logs());
        }
        framing::split(layout, &mut Cursor::new(head).chain(unpacked), &mut |piece| Ok(self.take(piece)?))
    }

    fn set_format(&mut self, format: &'static Format) {
        self.format = Some(format);
        self.summary.format = Some(format.name);
    }

    fn take(&mut self, piece: Piece<'_>) -> Result<(), Error> {
        self.summary.records += 1;
        match piece {
            Piece::Record { offset, bytes } => {
                self.batch_bytes += bytes.len();
                self.record(offset, bytes)?;
            }
            Piece::Empty => *self.summary.ignored.entry(EMPTY).or_default() += 1,
            Piece::Bad { offset, reason, bytes } => {
                self.batch_bytes += bytes.len();
                self.reject(offset, reason, bytes);
                self.doubt()?;
            }
        }
        if self.records.len() + self.rejects.len() >= BATCH_RECORDS || self.batch_bytes >= BATCH_BYTES {
            self.hand_over()?;
        }
        Ok(())
    }

    fn record(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let format = match self.format {
            Some(format) => format,
            None => match Format::of(bytes) {
                Some(format) => {
                    self.set_format(format);
                    format
                }
                None => {
                    self.reject(offset, UNRECOGNISED, bytes);
                    return self.doubt();
                }
            },
        };
        match (format.decode)(bytes) {
            Ok(Decoded::Record(record)) => {
                self.summary.with_file_hash += u64::from(names_a_file(&record));
                self.records.push(record);
            }
            Ok(Decoded::Nothing(reason)) => *self.summary.ignored.entry(reason).or_default() += 1,
            Err(problem) => self.reject(offset, problem.reason(), bytes),
        }
        Ok(())
    }

    /// Counts a piece that tells no format; after enough of them the input has none.
    fn doubt(&mut self) -> Result<(), Error> {
        if self.format.is_none() {
            self.unrecognised += 1;
            if self.unrecognised >= RECOGNISE_WITHIN {
                return Err(Error::Unrecognised(self.source.to_owned()));
            }
        }
        Ok(())
    }

    fn reject(&mut self, offset: u64, reason: &str, bytes: &[u8]) {
        self.summary.reject(reason);
        if self.kept_rejects < REJECTS {
            self.kept_rejects += 1;
            self.rejects.push(Reject {
                source: self.source.to_owned(),
                offset,
                reason: reason.to_owned(),
                bytes: bytes.get(..REJECT_BYTES).unwrap_or(bytes).to_vec(),
            });
        }
    }

    fn hand_over(&mut self) -> Result<(), Error> {
        self.batch_bytes = 0;
        self.summary.bytes = self.counts.unpacked.get();
        self.summary.packed_bytes = self.counts.packed.get();
        if !self.records.is_empty() || !self.rejects.is_empty() {
            let next = Vec::with_capacity(self.records.len().min(BATCH_RECORDS));
            let records = std::mem::replace(&mut self.records, next);
            (self.deliver)(records, std::mem::take(&mut self.rejects)).map_err(Error::Deliver)?;
        }
        (self.progress)(&self.summary);
        Ok(())
    }
}

/// Whether a record names a file by a usable hash, in any role.
fn names_a_file(record: &Record) -> bool {
    match record {
        Record::Row(row) => names_a_file_in(row),
        Record::Alert(alert) => alert.evidence.iter().any(|piece| !piece.hashes().is_empty()),
    }
}

fn names_a_file_in(row: &Row) -> bool {
    let Some(columns) = HASH_COLUMNS.get(usize::from(row.table_id().0)) else {
        return false;
    };
    columns.iter().any(|[sha1, sha256, md5]| {
        let text = |column: &Option<ColumnId>| column.and_then(|column| row.text(column));
        let is_usable = |hashes: Hashes| !hashes.is_empty();
        // Whichever comes first is enough.
        text(sha1).is_some_and(|text| is_usable(Hashes::read(Some(text), None, None)))
            || text(sha256).is_some_and(|text| is_usable(Hashes::read(None, Some(text), None)))
            || text(md5).is_some_and(|text| is_usable(Hashes::read(None, None, Some(text))))
    })
}

/// By table: the columns of the SHA-1, SHA-256 and MD5 of its two roles.
static HASH_COLUMNS: std::sync::LazyLock<Vec<[[Option<ColumnId>; 3]; 2]>> = std::sync::LazyLock::new(|| {
    let roles = [
        ["SHA1", "SHA256", "MD5"],
        ["InitiatingProcessSHA1", "InitiatingProcessSHA256", "InitiatingProcessMD5"],
    ];
    let columns = |table: &&pintle_model::Table| {
        roles.map(|names| names.map(|name| table.column(name).map(|(column, _)| column)))
    };
    tables::ALL.iter().map(columns).collect()
});

/// Counts the bytes read, ends where they are too many, and remembers whether reading failed at
/// this very place.
struct Counted<'c, R> {
    input: R,
    count: &'c Cell<u64>,
    counts: &'c Counts,
    failed: &'c Cell<bool>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.input.read(buffer) {
            Ok(count) => {
                self.count.set(self.count.get() + count as u64);
                if self.count.get() > self.counts.max_bytes {
                    self.counts.beyond.set(true);
                    return Err(io::Error::other("too many bytes"));
                }
                Ok(count)
            }
            Err(error) => {
                self.failed.set(error.kind() != io::ErrorKind::Interrupted);
                Err(error)
            }
        }
    }
}
