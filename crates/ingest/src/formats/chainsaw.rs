//! What Chainsaw's `hunt` found, as `--json` and `--jsonl` write it: a rule, and the event that it matched, or
//! several. An event of a Windows log is there whole, so it is read as one besides the alert.

use crate::format::{Decoded, Format, Problem, Several};
use crate::json::{Json, Object};
use crate::sigma::{Match, tags};
use crate::time;
use crate::windows::WindowsEvent;

use super::evtx;

pub static FORMAT: Format = Format {
    name: "chainsaw",
    description: "what Chainsaw found in event logs (hunt --json or --jsonl), with the events",
    recognises: |object| {
        (object.has("document") || object.has("documents"))
            && ["group", "name", "level", "timestamp"].iter().all(|name| object.has(name))
    },
    decode,
};

fn decode(record: &[u8]) -> Result<Decoded, Problem> {
    let found = Object::parse(record)?;
    let text = |name: &str| found.get(name).and_then(Json::text).filter(|text| !text.is_empty());
    let title = text("name").ok_or("name is missing")?;
    // Chainsaw's own rules have no id.
    let rule = text("id").unwrap_or_else(|| title.clone());
    let time = text("timestamp").ok_or("timestamp is missing")?;
    let time = time::read(&time).ok_or("timestamp is no time")?;
    let documents = found.get("document").or_else(|| found.get("documents"));
    let documents: Vec<_> = documents.map(Json::elements).unwrap_or_default();
    // What was found in other files, such as a file system's table, is no Windows event.
    let data: Vec<Object<'_>> =
        documents.iter().filter_map(|document| document.at(&["data"])?.object()).collect();
    let events: Vec<WindowsEvent<'_>> = data.iter().filter_map(|data| evtx::event(data).ok()).collect();
    let (tactics, techniques) = tags_of(&found);
    let place = documents.first().and_then(|document| document.at(&["path"])?.text()).unwrap_or_default();
    let mut several = Several::default();
    for event in &events {
        let (rows, _) = event.decode()?.parts();
        rows.into_iter().try_for_each(|row| several.add(row))?;
    }
    let level = text("level");
    let found = Match {
        tool: "chainsaw",
        rule: &rule,
        title: &title,
        level: level.as_deref(),
        tactics,
        techniques,
        time: Some(time),
        place: &place,
        events: &events,
        are_rows: true,
    };
    found.tell(&mut several)?;
    Ok(several.finish("nothing found"))
}

fn tags_of(found: &Object<'_>) -> (Vec<String>, Vec<String>) {
    let list = found.get("tags").map(Json::elements).unwrap_or_default();
    let texts: Vec<_> = list.into_iter().filter_map(Json::text).collect();
    tags(texts.iter().map(|tag| &**tag))
}
