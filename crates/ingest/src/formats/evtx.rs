//! Windows event logs (EVTX), a record as the `evtx` crate and its `evtx_dump` print it: attributes
//! under `#attributes`, an element's own text beside them under `#text`.

use pintle_model::Time;

use crate::format::{Decoded, Format, Problem};
use crate::json::{self, Json, Object};
use crate::windows::{Datum, WindowsEvent};

pub static FORMAT: Format = Format {
    name: "evtx",
    description: "Windows event logs (.evtx), and their records as evtx_dump prints them",
    recognises: |object| object.get("Event").and_then(Json::object).is_some_and(|event| event.has("System")),
    decode,
};

fn decode(record: &[u8]) -> Result<Decoded, Problem> {
    event(&Object::parse(record)?)?.decode()
}

/// The event that an object with the member `Event` is.
pub fn event<'a>(record: &Object<'a>) -> Result<WindowsEvent<'a>, Problem> {
    let parts = record.get("Event").and_then(Json::object).ok_or("Event is no object")?;
    let system = parts.get("System").and_then(Json::object).ok_or("Event.System is no object")?;
    let mut event = WindowsEvent::default();
    for (name, value) in system.members {
        match &*name {
            "Computer" => event.computer = content(value).and_then(Json::text).unwrap_or_default(),
            "Channel" => event.channel = content(value).and_then(Json::text).unwrap_or_default(),
            "Provider" => event.provider = attribute(value, "Name").and_then(Json::text).unwrap_or_default(),
            "Provider_attributes" => {
                event.provider = value.object().and_then(|a| a.get("Name")?.text()).unwrap_or_default()
            }
            "EventID" => event.event_id = number(value),
            "EventRecordID" => event.record_id = number(value),
            "TimeCreated" => event.time = attribute(value, "SystemTime").and_then(time),
            "TimeCreated_attributes" => {
                event.time = value.object().and_then(|a| a.get("SystemTime")).and_then(time)
            }
            _ => {}
        }
    }
    if let Some(data) = parts.get("EventData").and_then(Json::object) {
        event.data.extend(
            data.members
                .into_iter()
                .filter(|(name, _)| name != "#attributes")
                .map(|(name, value)| (name, Datum::Json(value))),
        );
    }
    if let Some(data) = parts.get("UserData").filter(|data| !data.is_null()) {
        event.data.push(("UserData".into(), Datum::Json(data)));
    }
    Ok(event)
}

/// An element's own text, with or without attributes beside it.
fn content(value: Json<'_>) -> Option<Json<'_>> {
    if value.raw().starts_with('{') { value.object()?.get("#text") } else { Some(value) }
}

fn attribute<'a>(value: Json<'a>, name: &str) -> Option<Json<'a>> {
    value.object()?.get("#attributes")?.object()?.get(name)
}

fn number(value: Json<'_>) -> Option<i64> {
    json::long(&content(value)?.text()?)
}

fn time(value: Json<'_>) -> Option<Time> {
    Time::parse(&value.text()?)
}
