//! Documents of Winlogbeat 6. `computer_name` is the endpoint; `host.name` and `beat.hostname` are
//! the collector.

use pintle_model::Time;

use crate::format::{Decoded, Format, Problem};
use crate::json::{self, Json, Object};
use crate::windows::{Datum, WindowsEvent};

pub static FORMAT: Format = Format {
    name: "winlogbeat6",
    description: "Windows events as Winlogbeat 6 writes them",
    recognises: |object| object.has("computer_name") && object.has("event_id") && object.has("log_name"),
    decode,
};

fn decode(record: &[u8]) -> Result<Decoded, Problem> {
    let mut event = WindowsEvent::default();
    for (name, value) in Object::parse(record)?.members {
        match &*name {
            "computer_name" => event.computer = value.text().unwrap_or_default(),
            "log_name" => event.channel = value.text().unwrap_or_default(),
            "source_name" => event.provider = value.text().unwrap_or_default(),
            "event_id" => event.event_id = number(value),
            "record_number" => event.record_id = number(value),
            "@timestamp" => event.time = value.text().and_then(|text| Time::parse(&text)),
            "event_data" | "user_data" => take_data(&mut event, value),
            _ => {}
        }
    }
    event.decode()
}

/// Winlogbeat writes numbers as numbers or as text, by version and by field.
pub fn number(value: Json<'_>) -> Option<i64> {
    value.text().and_then(|text| json::long(&text))
}

/// Adds the members of an event's data.
pub fn take_data<'a>(event: &mut WindowsEvent<'a>, data: Json<'a>) {
    let members = data.object().map(|object| object.members).unwrap_or_default();
    event.data.extend(members.into_iter().map(|(name, value)| (name, Datum::Json(value))));
}
