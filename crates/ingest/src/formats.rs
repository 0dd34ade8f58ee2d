//! The formats, one decoder a file. A decoder is a pure function from one record's bytes to a
//! [`Record`](pintle_model::Record); which decoder an input needs is told from the names in its first records.

mod azure_windowsevent;
mod evtx;
mod mde_alerts;
mod mde_hunting;
mod mde_streaming;
mod sysmon_json;
mod sysmon_linux_syslog;
mod winlogbeat6;
mod winlogbeat7;

use crate::format::Format;
use crate::json::Object;

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
