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
    /// Nothing to keep, and why; it is counted.
    Nothing(&'static str),
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
