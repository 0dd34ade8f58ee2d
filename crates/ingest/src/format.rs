//! What a format is: a name, how to tell it, and a decoder. Which ones there are stands in
//! `formats`.

use std::borrow::Cow;
use std::fmt;

use pintle_model::Record;

use crate::json::Object;

/// A format of telemetry.
pub struct Format {
    /// The name, as `--format` takes it.
    pub name: &'static str,
    /// What it is, in a line.
    pub description: &'static str,
    /// Whether a record with these members is of this format.
    pub(crate) recognises: fn(&Object<'_>) -> bool,
    /// Decodes one record.
    pub decode: fn(&[u8]) -> Result<Decoded, Problem>,
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What a decoder makes of a good record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// Something to keep.
    Record(Record),
    /// Several things to keep: what happened, and the alert about it.
    Records(Vec<Record>),
    /// Nothing to keep, and why; it is counted.
    Nothing(&'static str),
    /// What is good of a record of which a part cannot be read, and what is wrong with that: it is kept, and
    /// the record is kept aside besides.
    Partly(Vec<Record>, Problem),
}

impl Decoded {
    /// What is kept, and what is wrong with a part that cannot be.
    pub fn parts(self) -> (Vec<Record>, Option<Problem>) {
        match self {
            Decoded::Record(record) => (vec![record], None),
            Decoded::Records(records) => (records, None),
            Decoded::Nothing(_) => (Vec::new(), None),
            Decoded::Partly(records, problem) => (records, Some(problem)),
        }
    }
}

/// What one record becomes where it may be more than one thing.
#[derive(Default)]
pub struct Several {
    records: Vec<Record>,
    counted: usize,
    problem: Option<Problem>,
}

impl Several {
    /// The most that one record may become: a hostile one can name millions of things in its 16 MiB.
    const MOST: usize = 10_000;

    /// Adds what the record says.
    pub fn add(&mut self, record: Record) -> Result<(), Problem> {
        self.count()?;
        self.records.push(record);
        Ok(())
    }

    /// Counts something that will be a part of what is added, such as a piece of an alert's evidence.
    pub fn count(&mut self) -> Result<(), Problem> {
        if self.counted >= Several::MOST {
            return Err("more than 10,000 events or pieces of evidence in one record".into());
        }
        self.counted += 1;
        Ok(())
    }

    /// Says that a part of the record cannot be read; what is said first is told.
    pub fn lacks(&mut self, problem: Problem) {
        self.problem.get_or_insert(problem);
    }

    /// What it is in all; `nothing` says why it may be nothing.
    pub fn finish(mut self, nothing: &'static str) -> Decoded {
        if let Some(problem) = self.problem {
            return Decoded::Partly(self.records, problem);
        }
        match self.records.len() {
            0 => Decoded::Nothing(nothing),
            1 => self.records.pop().map_or(Decoded::Nothing(nothing), Decoded::Record),
            _ => Decoded::Records(self.records),
        }
    }
}

/// Why a record cannot be decoded, in words that say what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(Cow<'static, str>);

impl Problem {
    /// The reason.
    pub fn reason(&self) -> &str {
        &self.0
    }
}

impl From<&'static str> for Problem {
    fn from(reason: &'static str) -> Problem {
        Problem(Cow::Borrowed(reason))
    }
}

impl From<String> for Problem {
    fn from(reason: String) -> Problem {
        Problem(Cow::Owned(reason))
    }
}
