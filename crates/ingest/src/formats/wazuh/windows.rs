//! Windows events, and those of Sysmon for Linux, as Wazuh's agents and decoders write them. Names begin
//! with a small letter; values of Windows events are escaped as in JSON once more, since the manager
//! takes them out of an event that was written as a JSON text (`C:\\Windows` after decoding).

use std::borrow::Cow;

use super::Document;
use crate::json::{self, Json};
use crate::time;
use crate::windows::{Datum, WindowsEvent};

/// The event in `win`, if there is one.
pub fn event(win: Json<'_>) -> Option<WindowsEvent<'_>> {
    let parts = win.object()?;
    let mut event = WindowsEvent::default();
    take_system(&mut event, parts.get("system")?)?;
    for (name, part) in &parts.members {
        // Beside `eventdata` there may be a part called after what stands in the event's user data.
        if name != "system" {
            take_data(&mut event, *part);
        }
    }
    unescape(&mut event);
    Some(event)
}

/// The event that a document is about.
pub fn event_of<'a>(document: &Document<'a>) -> Option<WindowsEvent<'a>> {
    if let Some(win) = document.at(&["data", "win"]) {
        return event(win);
    }
    let (system, data) = linux_parts(document)?;
    let mut event = WindowsEvent::default();
    take_system(&mut event, system)?;
    take_data(&mut event, data);
    Some(event)
}

/// The part of the event that a document is about which says where it was written.
pub fn system<'a>(document: &Document<'a>) -> Option<Json<'a>> {
    document.at(&["data", "win", "system"]).or_else(|| Some(linux_parts(document)?.0))
}

/// The endpoint's own name.
pub fn computer(system: Json<'_>) -> Option<Cow<'_, str>> {
    let mut members = system.object()?.members.into_iter();
    let computer = members.find(|(name, _)| name.eq_ignore_ascii_case("computer"))?.1.text()?;
    (!computer.trim().is_empty()).then_some(computer)
}

/// Sysmon for Linux: what a decoder found in the XML, or the XML as JSON.
fn linux_parts<'a>(document: &Document<'a>) -> Option<(Json<'a>, Json<'a>)> {
    let parts = |system: &[&str], data: &[&str]| document.at(system).zip(document.at(data));
    parts(&["data", "system"], &["data", "eventdata"])
        .or_else(|| parts(&["data", "Event", "System"], &["data", "Event", "EventData", "Data"]))
        .filter(|(system, data)| system.raw().starts_with('{') && data.raw().starts_with('{'))
}

fn take_system<'a>(event: &mut WindowsEvent<'a>, system: Json<'a>) -> Option<()> {
    for (name, value) in system.object()?.members {
        let text = || value.text().unwrap_or_default();
        match &*name.to_ascii_lowercase() {
            "computer" => event.computer = text(),
            "channel" => event.channel = text(),
            "providername" => event.provider = text(),
            "eventid" => event.event_id = json::long(&text()),
            "eventrecordid" => event.record_id = json::long(&text()),
            "systemtime" | "timecreated" => event.time = time::read(&text()),
            _ => {}
        }
    }
    Some(())
}

fn take_data<'a>(event: &mut WindowsEvent<'a>, data: Json<'a>) {
    let members = data.object().map(|data| data.members).unwrap_or_default();
    event.data.extend(members.into_iter().map(|(name, value)| (own_name(name), Datum::Json(value))));
}

/// The name as the event had it.
fn own_name(name: Cow<'_, str>) -> Cow<'_, str> {
    let Some(first) = name.chars().next().filter(char::is_ascii_lowercase) else { return name };
    let rest = name.get(1..).unwrap_or_default();
    Cow::Owned(format!("{}{rest}", first.to_ascii_uppercase()))
}

/// Undoes the second escaping of all values, unless one of them shows that there is none: a backslash or a
/// quotation mark that no JSON text could have.
fn unescape(event: &mut WindowsEvent<'_>) {
    let plain: Option<Vec<Option<String>>> = event.data.iter().map(|(_, datum)| plain(datum)).collect();
    for ((_, datum), plain) in event.data.iter_mut().zip(plain.into_iter().flatten()) {
        if let Some(plain) = plain {
            *datum = Datum::Text(plain.into());
        }
    }
}

/// What a value means, if it was escaped: nothing else where there is nothing to undo. `None`: it was not.
fn plain(datum: &Datum<'_>) -> Option<Option<String>> {
    let text = datum.text().unwrap_or_default();
    if !text.contains(['\\', '"']) {
        return Some(None);
    }
    serde_json::from_str(&format!("\"{text}\"")).ok().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image_of(eventdata: &str) -> String {
        let record = format!(r#"{{"win":{{"system":{{"eventID":"1"}},"eventdata":{eventdata}}}}}"#);
        let event = event(json::Object::read(&record).unwrap().get("win").unwrap()).unwrap();
        event.get("Image").unwrap().into_owned()
    }

    #[test]
    fn values_that_were_escaped_twice_are_read_twice_and_others_once() {
        for (eventdata, expected) in [
            (r#"{"image":"C:\\\\Temp\\\\new.exe"}"#, r"C:\Temp\new.exe"),
            (r#"{"image":"\\\\\\\\host\\\\share\\\\a.exe"}"#, r"\\host\share\a.exe"),
            (r#"{"image":"C:\\\\a.exe","commandLine":"\\\"C:\\\\a.exe\\\" -x"}"#, r"C:\a.exe"),
            // As it should be: `\w` and a bare quotation mark cannot stand in a JSON text.
            (r#"{"image":"C:\\temp\\new.exe","currentDirectory":"C:\\windows"}"#, r"C:\temp\new.exe"),
            (r#"{"image":"C:\\temp\\new.exe","commandLine":"\"C:\\new.exe\""}"#, r"C:\temp\new.exe"),
        ] {
            assert_eq!(image_of(eventdata), expected, "{eventdata}");
        }
    }
}
