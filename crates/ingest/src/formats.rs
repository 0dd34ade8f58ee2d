//! The formats, one decoder a file. A decoder is a pure function from one record's bytes to a
//! [`Record`]; which decoder an input needs is told from the names in its first records.

mod azure_windowsevent;
mod evtx;
mod mde_alerts;
mod mde_hunting;
mod mde_streaming;
mod sysmon_json;
mod sysmon_linux_syslog;
mod winlogbeat6;
mod winlogbeat7;

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

/// Every format; when several recognise a record, the first does.
pub static FORMATS: &[&Format] = &[
    &mde_streaming::FORMAT,
    &mde_alerts::FORMAT,
    &winlogbeat7::FORMAT,
    &winlogbeat6::FORMAT,
    &evtx::FORMAT,
    &azure_windowsevent::FORMAT,
    &sysmon_linux_syslog::FORMAT,
    &sysmon_json::FORMAT,
    &mde_hunting::FORMAT,
];

impl Format {
    /// The format of that name, compared without case.
    pub fn named(name: &str) -> Option<&'static Format> {
        FORMATS.iter().copied().find(|format| format.name.eq_ignore_ascii_case(name))
    }

    /// The format of the records of an event log.
    pub(crate) fn of_event_logs() -> &'static Format {
        &evtx::FORMAT
    }

    /// The format that a record is of, told by its members' names.
    pub(crate) fn of(record: &[u8]) -> Option<&'static Format> {
        let object = Object::parse(record).ok()?;
        FORMATS.iter().copied().find(|format| (format.recognises)(&object))
    }
}
