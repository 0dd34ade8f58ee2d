//! Messages of a queue: each is an input by itself, whatever comes in it and whatever is wrong with it, but they
//! are handed over together.

use std::borrow::Cow;
use std::io::Read as _;

use pintle_model::Record;
use pintle_store::Reject;

use super::counts::Counts;
use super::run::{BATCH_BYTES, BATCH_RECORDS, MIXED, REJECT_BYTES, Run, UNRECOGNISED};
use super::{Content, Reading, Summary};
use crate::error::{DeliverError, Error};

const EMPTY: &str = "a message without a value";

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'m> {
    /// Its name, in rejects.
    pub name: String,
    /// What it says, if it says anything.
    pub value: &'m [u8],
}

/// Reads messages, each as [`read`](super::read()) reads an input. A record that is no more than a shipper's
/// envelope around a line is the record in that line. What cannot be read of a message, is of no known format
/// or is beyond a limit costs only this message, which is kept aside.
///
/// # Errors
///
/// Those that would also end the next message: [`Error::Deliver`], [`Error::Hold`], [`Error::Worker`].
pub fn read_messages<'m>(
    messages: &mut dyn Iterator<Item = Message<'m>>,
    reading: &Reading<'_>,
    deliver: &mut dyn FnMut(Vec<Record>, Vec<Reject>) -> Result<(), DeliverError>,
) -> Result<Summary, Error> {
    let mut summary = Summary::default();
    let mut gathered = Gathered { records: Vec::new(), rejects: Vec::new(), bytes: 0, deliver };
    for message in messages {
        let came = gathered.read(&message, reading)?;
        summary.add(&came);
        gathered.bytes = gathered.bytes.saturating_add(came.bytes);
        if gathered.bytes >= BATCH_BYTES as u64 {
            gathered.hand_over()?;
        }
    }
    gathered.hand_over()?;
    Ok(summary)
}

/// What was read and is not handed over yet.
struct Gathered<'d> {
    records: Vec<Record>,
    rejects: Vec<Reject>,
    /// Unpacked bytes of whole messages.
    bytes: u64,
    deliver: &'d mut dyn FnMut(Vec<Record>, Vec<Reject>) -> Result<(), DeliverError>,
}

impl Gathered<'_> {
    fn read(&mut self, message: &Message<'_>, reading: &Reading<'_>) -> Result<Summary, Error> {
        let mut came = Summary::default();
        if message.value.is_empty() {
            return Ok(self.keep_aside(came, message, EMPTY));
        }
        let of_message = Reading {
            source: &message.name,
            choice: reading.choice.clone(),
            max_bytes: reading.max_bytes,
            hold_in: reading.hold_in,
            workers: reading.workers,
            part: None,
        };
        let counts = Counts::up_to(reading.max_bytes);
        let mut take = |records, rejects| self.take(records, rejects);
        let mut progress = |summary: &Summary| came = summary.clone();
        let run = Run::new(&counts, of_message, &mut take, &mut progress).of_shippers();
        match run.read(Content::stream(message.value)) {
            Ok(summary) => Ok(summary),
            Err(Error::Unrecognised(..)) => Ok(self.keep_aside(came, message, UNRECOGNISED)),
            Err(Error::Limit(limit)) => {
                // The name would make every message's reason one of its own.
                let limit = limit.strip_prefix(&message.name).unwrap_or(&limit).trim_start();
                Ok(self.keep_aside(came, message, limit))
            }
            Err(Error::Malformed(reason)) => Ok(self.keep_aside(came, message, &reason)),
            Err(error) => Err(error),
        }
    }

    fn take(&mut self, mut records: Vec<Record>, mut rejects: Vec<Reject>) -> Result<(), DeliverError> {
        let count = |records: &Vec<Record>, rejects: &Vec<Reject>| records.len() + rejects.len();
        if count(&self.records, &self.rejects) + count(&records, &rejects) > BATCH_RECORDS {
            self.deliver()?;
        }
        self.records.append(&mut records);
        self.rejects.append(&mut rejects);
        Ok(())
    }

    /// Keeps a message aside of which reading stopped; what was taken of it before stays.
    fn keep_aside(&mut self, mut came: Summary, message: &Message<'_>, reason: &str) -> Summary {
        came.records += 1;
        came.reject(reason);
        let mut bytes = Vec::new();
        // Reading from memory does not fail.
        _ = message.value.take(REJECT_BYTES as u64).read_to_end(&mut bytes);
        let source = message.name.clone();
        self.rejects.push(Reject { source, offset: 0, reason: reason.to_owned(), bytes });
        came
    }

    fn deliver(&mut self) -> Result<(), DeliverError> {
        self.bytes = 0;
        if self.records.is_empty() && self.rejects.is_empty() {
            return Ok(());
        }
        (self.deliver)(std::mem::take(&mut self.records), std::mem::take(&mut self.rejects))
    }

    fn hand_over(&mut self) -> Result<(), Error> {
        self.deliver().map_err(Error::Deliver)
    }
}

impl Summary {
    /// Adds what another input came to.
    fn add(&mut self, other: &Summary) {
        let Summary { records, with_file_hash, file_events, without_hash, .. } = other;
        self.records += records;
        self.with_file_hash += with_file_hash;
        self.file_events += file_events;
        for (reason, count) in without_hash {
            *self.without_hash.entry(reason).or_default() += count;
        }
        for (reason, count) in &other.rejects_by_reason {
            self.reject_many(reason, *count);
        }
        for (reason, count) in &other.ignored {
            *self.ignored.entry(reason).or_default() += count;
        }
        self.bytes += other.bytes;
        self.packed_bytes += other.packed_bytes;
        if let Some(format) = &other.format {
            let before = self.format.get_or_insert_with(|| format.clone());
            if before != format {
                *before = Cow::Borrowed(MIXED);
            }
        }
    }
}
