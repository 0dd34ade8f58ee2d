//! Rows of Azure Monitor's `Syslog` table in which Sysmon for Linux has written its events as XML
//! (`SyslogMessage`). The event names its endpoint itself; `HostName` is who sent the line, and
//! `Computer` may be a relay.
//!
//! The XML is read here and not in a worker, as event logs are: it is a text of at most 16 MiB, in a
//! record of JSON lines; `quick-xml` pulls one event after the other out of it without recursion,
//! without entities but XML's own, and in time and memory that grow with the text; and the fuzz target
//! of this format goes through it.

use std::borrow::Cow;

use pintle_model::tables::device_events;
use pintle_model::{Record, Row, Time};
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::format::{Decoded, Format, Problem};
use crate::json::{self, Object};
use crate::machine;
use crate::windows::{Datum, WindowsEvent};

pub static FORMAT: Format = Format {
    name: "sysmon-linux-syslog",
    description: "rows of Azure Monitor's Syslog table, with Sysmon for Linux in SyslogMessage",
    recognises: |object| object.has("SyslogMessage") && object.has("Computer"),
    decode,
};

const NOT_XML: &str = "the event in SyslogMessage is no well-formed XML";

fn decode(record: &[u8]) -> Result<Decoded, Problem> {
    let row = Object::parse(record)?;
    let text = |name: &str| row.get(name).and_then(|value| value.text()).filter(|text| !text.is_empty());
    let sender = text("HostName").or_else(|| text("Computer")).unwrap_or_default();
    let time = || text("TimeGenerated").and_then(|time| Time::parse(&time));
    let message = text("SyslogMessage").unwrap_or_default();
    let Some(xml) =
        message.find("<Event>").or_else(|| message.find("<Event ")).and_then(|at| message.get(at..))
    else {
        return Ok(syslog_line(&sender, time(), &row));
    };
    let mut event = event(xml)?;
    if event.computer.is_empty() {
        event.computer = sender;
    }
    event.time = event.time.or_else(time);
    event.decode()
}

/// Any other line of syslog: it only says that the machine was there.
fn syslog_line(sender: &str, time: Option<Time>, line: &Object<'_>) -> Decoded {
    let Some(id) = machine::named(sender) else {
        return Decoded::Nothing("event without a machine");
    };
    let mut row = Row::new(&device_events::TABLE);
    row.set_time(device_events::TIMESTAMP, time);
    row.set_text(device_events::DEVICE_ID, Some(id.as_str()));
    row.set_text(device_events::DEVICE_NAME, Some(&sender.trim().to_lowercase()));
    row.set_text(device_events::ACTION_TYPE, Some("SyslogEvent"));
    if let Some(process) = line.get("ProcessName").and_then(|value| value.text()) {
        row.set_text(device_events::INITIATING_PROCESS_FILE_NAME, Some(&process));
    }
    Decoded::Record(Record::Row(row))
}

/// Reads `<Event>`: the system's part and the named data. A document type is refused, and no
/// entity but XML's own five and character numbers is expanded. Syslog cuts long lines: what came
/// before the cut is kept, if the system's part is whole. It also loses the semicolon of an
/// entity (`&lt unknown process&gt `), which is then text.
fn event(xml: &str) -> Result<WindowsEvent<'static>, Problem> {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().allow_dangling_amp = true;
    let mut event = WindowsEvent::default();
    let mut depth = 0_u32;
    // Of the innermost element: its name as data, and its text so far.
    let mut datum = None;
    let mut text = String::new();
    loop {
        let part = match reader.read_event() {
            Ok(Event::Eof) | Err(quick_xml::Error::Syntax(_)) if !event.computer.is_empty() => {
                event.data.extend(datum.map(|name| (Cow::Owned(name), Datum::Text(text.into()))));
                return Ok(event);
            }
            part => part.map_err(|_| NOT_XML)?,
        };
        match part {
            Event::Start(element) => {
                depth += 1;
                text.clear();
                datum = attribute(&element, "Name")?;
                note_attributes(&mut event, &element)?;
            }
            Event::Empty(element) => note_attributes(&mut event, &element)?,
            Event::Text(part) => text.push_str(&part.xml10_content()),
            Event::CData(part) => text.push_str(&part.xml10_content()),
            Event::GeneralRef(reference) => push_reference(&mut text, &reference)?,
            Event::End(element) => {
                let text = std::mem::take(&mut text);
                match element.name().0 {
                    "Computer" => event.computer = text.into(),
                    "Channel" => event.channel = text.into(),
                    "EventID" => event.event_id = json::long(&text),
                    "EventRecordID" => event.record_id = json::long(&text),
                    "Data" => {
                        let name = datum.take().unwrap_or_default();
                        event.data.push((Cow::Owned(name), Datum::Text(text.into())));
                    }
                    _ => {}
                }
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Ok(event);
                }
            }
            Event::DocType(_) => return Err(Problem::from("a document type in XML is not read")),
            Event::Eof => return Err(Problem::from(NOT_XML)),
            _ => {}
        }
    }
}

/// What the system's part says in attributes.
fn note_attributes(event: &mut WindowsEvent<'_>, element: &BytesStart<'_>) -> Result<(), Problem> {
    match element.name().0 {
        "Provider" => event.provider = attribute(element, "Name")?.unwrap_or_default().into(),
        "TimeCreated" => event.time = attribute(element, "SystemTime")?.and_then(|time| Time::parse(&time)),
        _ => {}
    }
    Ok(())
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Result<Option<String>, Problem> {
    let Some(attribute) = element.try_get_attribute(name).map_err(|_| NOT_XML)? else {
        return Ok(None);
    };
    let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|_| NOT_XML)?;
    Ok(Some(value.into_owned()))
}

fn push_reference(text: &mut String, reference: &BytesRef<'_>) -> Result<(), Problem> {
    if let Some(character) = reference.resolve_char_ref().map_err(|_| NOT_XML)? {
        text.push(character);
    } else if let Some(character) = resolve_xml_entity(reference) {
        text.push_str(character);
    } else {
        return Err(Problem::from("an entity in XML is not expanded"));
    }
    Ok(())
}
