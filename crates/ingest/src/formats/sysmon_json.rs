//! Windows events with all fields in one flat object, as NXLog writes them (and what passed
//! through Logstash after it). `Hostname` is the endpoint; `host` is the collector. `EventTime` is
//! the collector's local time without a zone, so it only serves where nothing else is there.

use std::borrow::Cow;

use pintle_model::Time;

use crate::format::{Decoded, Format, Problem};
use crate::json::{self, Json, Object};
use crate::windows::{Datum, WindowsEvent};

pub static FORMAT: Format = Format {
    name: "sysmon-json",
    description: "Windows events as flat JSON (NXLog), Sysmon above all",
    recognises: |object| object.has("EventID") && object.has("Channel") && object.has("Hostname"),
    decode,
};

fn decode(record: &[u8]) -> Result<Decoded, Problem> {
    let mut event = WindowsEvent { data: Vec::with_capacity(32), ..WindowsEvent::default() };
    let (mut system_time, mut shipped, mut local) = (None, None, None);
    for (name, value) in Object::parse(record)?.members {
        match &*name {
            "Hostname" => event.computer = text(value),
            "Channel" => event.channel = text(value),
            "SourceName" => event.provider = text(value),
            "EventID" => event.event_id = json::long(&text(value)),
            "RecordNumber" => event.record_id = json::long(&text(value)),
            "TimeCreated" => system_time = Time::parse(&text(value)),
            "@timestamp" => shipped = Time::parse(&text(value)),
            "EventTime" => local = Time::parse(&text(value)),
            // NXLog has a severity by this name; the event's own comes back under the other.
            "EventType" if is_severity(value) => {}
            "EventTypeOrignal" => event.data.push((Cow::Borrowed("EventType"), Datum::Json(value))),
            "@version"
            | "host"
            | "port"
            | "tags"
            | "Message"
            | "EventReceivedTime"
            | "SourceModuleName"
            | "SourceModuleType"
            | "Severity"
            | "SeverityValue"
            | "Level"
            | "Keywords"
            | "Version"
            | "Task"
            | "Opcode"
            | "OpcodeValue"
            | "Category"
            | "ProviderGuid"
            | "ThreadID"
            | "ExecutionProcessID"
            | "ERROR_EVT_UNRESOLVED" => {}
            _ => event.data.push((name, Datum::Json(value))),
        }
    }
    event.time = system_time.or(shipped).or(local);
    event.decode()
}

fn text(value: Json<'_>) -> Cow<'_, str> {
    value.text().unwrap_or_default()
}

fn is_severity(value: Json<'_>) -> bool {
    matches!(
        value.raw().trim_matches('"'),
        "INFO" | "WARNING" | "ERROR" | "CRITICAL" | "VERBOSE" | "DEBUG" | "AUDIT_SUCCESS" | "AUDIT_FAILURE"
    )
}
