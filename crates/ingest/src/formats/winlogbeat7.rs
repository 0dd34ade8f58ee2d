//! Documents of Winlogbeat 7 and 8 and of Elastic Agent: the event is under `winlog`.
//! `winlog.computer_name` is the endpoint; `host.name` and `agent.hostname` are the collector.

use pintle_model::Time;

use super::winlogbeat6::{number, take_data};
use crate::format::{Decoded, Format, Problem};
use crate::json::{Json, Object};
use crate::windows::WindowsEvent;

pub static FORMAT: Format = Format {
    name: "winlogbeat7",
    description: "Windows events as Winlogbeat 7 and later write them, one a line or in an `events` list",
    recognises: |object| object.has("winlog"),
    decode,
};

fn decode(record: &[u8]) -> Result<Decoded, Problem> {
    let document = Object::parse(record)?;
    let winlog = document.get("winlog").and_then(Json::object).ok_or("winlog is no object")?;
    let mut event = WindowsEvent::default();
    let time = |value: Json<'_>| value.text().and_then(|text| Time::parse(&text));
    let mut created = None;
    for (name, value) in winlog.members {
        match &*name {
            "computer_name" => event.computer = value.text().unwrap_or_default(),
            "channel" => event.channel = value.text().unwrap_or_default(),
            "provider_name" => event.provider = value.text().unwrap_or_default(),
            "event_id" => event.event_id = number(value),
            "record_id" => event.record_id = number(value),
            "time_created" => created = time(value),
            "event_data" | "user_data" => take_data(&mut event, value),
            _ => {}
        }
    }
    // `@timestamp` may have been set anew on the way.
    event.time = created.or_else(|| document.get("@timestamp").and_then(time));
    event.decode()
}
