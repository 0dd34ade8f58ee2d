//! Windows events, as their shippers write them.

use std::borrow::Cow;
use std::time::Duration;

use pintle_model::Record;
use serde::Serialize;
use serde_json::json;

use super::event::{Data, Event};
use super::hunting::seven_digits;
use super::{Sender, TENANT};

type Written = serde_json::Result<()>;

fn line(out: &mut Vec<u8>, value: &impl Serialize, end: &[u8]) -> Written {
    serde_json::to_writer(&mut *out, value)?;
    out.extend_from_slice(end);
    Ok(())
}

/// The event with Sysmon's own time before its other data.
fn timed<'a>(event: &mut Event<'a>, time: String) {
    if event.is_sysmons() {
        event.data.0.insert(0, ("UtcTime", Cow::Owned(time)));
    }
}

#[derive(Serialize)]
struct Flat<'a> {
    #[serde(rename = "@timestamp")]
    shipped: String,
    #[serde(rename = "EventTime")]
    local: String,
    host: &'a str,
    #[serde(rename = "Hostname")]
    hostname: &'a str,
    #[serde(rename = "Channel")]
    channel: &'a str,
    #[serde(rename = "SourceName")]
    provider: &'a str,
    #[serde(rename = "EventID")]
    id: i64,
    #[serde(rename = "RecordNumber")]
    record: i64,
    #[serde(rename = "EventType")]
    severity: &'a str,
    #[serde(flatten)]
    data: Data<'a>,
}

/// Flat objects, as NXLog writes them.
pub(super) fn flat(record: &Record, sender: &mut Sender, out: &mut Vec<u8>) -> Written {
    let Some(mut event) = Event::of(record) else { return Ok(()) };
    let utc = event.utc_time();
    let local = utc.split_once('.').map_or(&*utc, |(second, _)| second).to_owned();
    timed(&mut event, utc);
    let flat = Flat {
        // What the security log writes has no other time.
        shipped: event.time.cut_to_millis().to_string(),
        local,
        host: sender.host(event.computer),
        hostname: event.computer,
        channel: event.channel,
        provider: event.provider,
        id: event.id,
        record: event.record,
        severity: "INFO",
        data: event.data,
    };
    line(out, &flat, b"\n")
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct Beat6<'a> {
    #[serde(rename = "@timestamp")]
    time: String,
    beat: Agent<'a>,
    host: Named<'a>,
    #[serde(rename = "type")]
    kind: &'a str,
    level: &'a str,
    computer_name: &'a str,
    log_name: &'a str,
    source_name: &'a str,
    /// As text.
    record_number: String,
    event_id: i64,
    event_data: Data<'a>,
}

#[derive(Serialize)]
struct Agent<'a> {
    hostname: &'a str,
    version: &'a str,
}

/// Documents of Winlogbeat 6.
pub(super) fn winlogbeat6(record: &Record, sender: &mut Sender, out: &mut Vec<u8>) -> Written {
    let Some(mut event) = Event::of(record) else { return Ok(()) };
    let utc = event.utc_time();
    timed(&mut event, utc);
    let host = sender.host(event.computer);
    let document = Beat6 {
        time: event.time.cut_to_millis().to_string(),
        beat: Agent { hostname: host, version: "6.7.0" },
        host: Named { name: host },
        kind: "wineventlog",
        level: "Information",
        computer_name: event.computer,
        log_name: event.channel,
        source_name: event.provider,
        record_number: event.record.to_string(),
        event_id: event.id,
        event_data: event.data,
    };
    line(out, &document, b"\n")
}

#[derive(Serialize)]
struct Beat7<'a> {
    #[serde(rename = "@timestamp")]
    time: String,
    agent: Agent<'a>,
    host: Named<'a>,
    winlog: Winlog<'a>,
}

#[derive(Serialize)]
struct Winlog<'a> {
    channel: &'a str,
    provider_name: &'a str,
    event_id: i64,
    record_id: i64,
    computer_name: &'a str,
    api: &'a str,
    event_data: Data<'a>,
}

/// Documents of Winlogbeat 7.
pub(super) fn winlogbeat7(record: &Record, sender: &mut Sender, out: &mut Vec<u8>) -> Written {
    let Some(mut event) = Event::of(record) else { return Ok(()) };
    let utc = event.utc_time();
    timed(&mut event, utc);
    let host = sender.host(event.computer);
    let document = Beat7 {
        time: event.time.cut_to_millis().to_string(),
        agent: Agent { hostname: host, version: "7.4.0" },
        host: Named { name: host },
        winlog: Winlog {
            channel: event.channel,
            provider_name: event.provider,
            event_id: event.id,
            record_id: event.record,
            computer_name: event.computer,
            api: "wineventlog",
            event_data: event.data,
        },
    };
    line(out, &document, b"\n")
}

/// Records of an event log as `evtx_dump` prints them.
pub(super) fn evtx(record: &Record, _: &mut Sender, out: &mut Vec<u8>) -> Written {
    let Some(mut event) = Event::of(record) else { return Ok(()) };
    let utc = event.utc_time();
    timed(&mut event, utc);
    let printed = json!({ "Event": {
        "#attributes": { "xmlns": "http://schemas.microsoft.com/win/2004/08/events/event" },
        "System": {
            "Provider": { "#attributes": { "Name": event.provider } },
            "EventID": event.id,
            "Level": 4,
            "Keywords": "0x8000000000000000",
            "TimeCreated": { "#attributes": { "SystemTime": event.time.to_string() } },
            "EventRecordID": event.record,
            "Correlation": null,
            "Channel": event.channel,
            "Computer": event.computer,
        },
        "EventData": event.data,
    }});
    line(out, &printed, b"\n")
}

/// Events as Wazuh's agents hand them on: names begin with a small letter, and values are escaped as in a
/// JSON text before they become one.
pub(super) fn wazuh(record: &Record, _: &mut Sender, out: &mut Vec<u8>) -> Written {
    let Some(mut event) = Event::of(record) else { return Ok(()) };
    let utc = event.utc_time();
    timed(&mut event, utc);
    let mut data = serde_json::Map::new();
    for (name, value) in &event.data.0 {
        let (first, rest) = name.split_at_checked(1).unwrap_or_default();
        let escaped = json!(value).to_string();
        let escaped = escaped.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default();
        data.insert(first.to_ascii_lowercase() + rest, escaped.into());
    }
    let agents = json!({ "win": {
        "system": {
            "providerName": event.provider,
            "eventID": event.id.to_string(),
            "level": "4",
            "systemTime": event.time.to_string(),
            "eventRecordID": event.record.to_string(),
            "channel": event.channel,
            "computer": event.computer,
            "severityValue": "INFORMATION",
        },
        "eventdata": data,
    }});
    line(out, &agents, b"\n")
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Azure<'a> {
    tenant_id: &'a str,
    source_system: &'a str,
    time_generated: String,
    provider: &'a str,
    channel: &'a str,
    computer: &'a str,
    /// JSON in a text.
    event_data: String,
    #[serde(rename = "EventID")]
    id: i64,
    #[serde(rename = "Type")]
    table: &'a str,
}

/// Rows of Azure Monitor's `WindowsEvent`.
pub(super) fn azure(record: &Record, _: &mut Sender, out: &mut Vec<u8>) -> Written {
    let Some(mut event) = Event::of(record) else { return Ok(()) };
    let utc = seven_digits(event.time.cut_to_millis());
    timed(&mut event, utc);
    let row = Azure {
        tenant_id: TENANT,
        source_system: "OpsManager",
        time_generated: event.time.cut_to_millis().to_string(),
        provider: event.provider,
        channel: event.channel,
        computer: event.computer,
        event_data: serde_json::to_string(&event.data)?,
        id: event.id,
        table: "WindowsEvent",
    };
    line(out, &row, b"\r\n")
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Syslog<'a> {
    tenant_id: &'a str,
    source_system: &'a str,
    time_generated: String,
    computer: &'a str,
    facility: &'a str,
    host_name: &'a str,
    severity_level: &'a str,
    syslog_message: String,
    process_name: &'a str,
    #[serde(rename = "Type")]
    table: &'a str,
}

/// Rows of Azure Monitor's `Syslog` with Sysmon for Linux. It hashes what runs and what is deleted
/// and nothing else, so whatever is seen there has run unless it was deleted.
pub(super) fn linux(record: &Record, sender: &mut Sender, out: &mut Vec<u8>) -> Written {
    let Some(mut event) = Event::of(record).filter(Event::is_sysmons) else { return Ok(()) };
    let utc = event.utc_time();
    timed(&mut event, utc);
    let (id, rename): (_, &[(&str, &str)]) = match event.id {
        7 => (1, &[("Image", "ParentImage"), ("ProcessId", "ParentProcessId"), ("ImageLoaded", "Image")]),
        15 => (1, &[("Image", "ParentImage"), ("ProcessId", "ParentProcessId"), ("TargetFilename", "Image")]),
        26 => (23, &[]),
        id => (id, &[]),
    };
    let mut xml = format!(
        "<Event><System><Provider Name=\"Linux-Sysmon\" Guid=\"{{ff032593-a8d3-4f13-b0d6-01fc615a0f97}}\"/>\
         <EventID>{id}</EventID><Version>5</Version><Level>4</Level><TimeCreated SystemTime=\"{}\"/>\
         <EventRecordID>{}</EventRecordID><Correlation/><Channel>Linux-Sysmon/Operational</Channel>\
         <Computer>{}</Computer><Security UserId=\"0\"/></System><EventData>",
        event.time, event.record, event.computer,
    );
    for (name, value) in &event.data.0 {
        let name = rename.iter().find(|(old, _)| old == name).map_or(*name, |(_, new)| *new);
        let value = match name {
            "Image" | "ParentImage" | "TargetFilename" | "CommandLine" | "ParentCommandLine" => {
                Cow::Owned(value.replace("C:\\", "/").replace('\\', "/"))
            }
            _ => Cow::Borrowed(&**value),
        };
        xml.push_str(&format!("<Data Name=\"{name}\">{}</Data>", quick_xml::escape::escape(&*value)));
    }
    xml.push_str("</EventData></Event>");
    let row = Syslog {
        tenant_id: TENANT,
        source_system: "Linux",
        time_generated: (event.time + Duration::from_secs(1)).cut_to_millis().to_string(),
        computer: sender.host(event.computer),
        facility: "user",
        host_name: event.computer,
        severity_level: "info",
        syslog_message: xml,
        process_name: "sysmon",
        table: "Syslog",
    };
    line(out, &row, b"\r\n")
}
