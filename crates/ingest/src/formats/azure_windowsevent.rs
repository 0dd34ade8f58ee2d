//! Rows of Azure Monitor's `WindowsEvent` table. `EventData` is JSON inside a string, or an object
//! where a pipeline has parsed it already.

use std::borrow::Cow;

use pintle_model::Time;

use crate::format::{Decoded, Format, Problem};
use crate::json::{self, Object};
use crate::windows::{Datum, WindowsEvent};

pub static FORMAT: Format = Format {
    name: "azure-windowsevent",
    description: "rows of Azure Monitor's WindowsEvent table",
    recognises: |object| object.has("EventData") && object.has("Computer") && object.has("EventID"),
    decode,
};

fn decode(record: &[u8]) -> Result<Decoded, Problem> {
    let row = Object::parse(record)?;
    let text = |name: &str| row.get(name).and_then(|value| value.text());
    let data = text("EventData").unwrap_or_default();
    let data = match data.trim() {
        "" => Vec::new(),
        data => Object::read(data).map_err(|_| Problem::from("EventData is no JSON object"))?.members,
    };
    let event = WindowsEvent {
        computer: text("Computer").unwrap_or_default(),
        channel: text("Channel").unwrap_or_default(),
        provider: text("Provider").unwrap_or_default(),
        event_id: text("EventID").and_then(|id| json::long(&id)),
        record_id: text("EventRecordId").and_then(|id| json::long(&id)),
        time: text("TimeGenerated").and_then(|time| Time::parse(&time)),
        data: data.into_iter().map(|(name, value)| (Cow::clone(&name), Datum::Json(value))).collect(),
        ..WindowsEvent::default()
    };
    event.decode()
}
