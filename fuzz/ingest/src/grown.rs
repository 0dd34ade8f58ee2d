//! What the fuzzer's short inputs cannot show: long records, each a sample's with one of its members grown in
//! some way. Time and what comes of them must grow with them, and no faster.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use pintle_ingest::Decoder;
use serde_json::Value;

use crate::{decode, most};

/// Bytes that a member grows to.
const BYTES: usize = 128 << 10;
/// How long one may take at most of two times, since a busy machine can stop a program for as long. What
/// grows with the square takes longer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Stands in a record's text where the grown value comes.
const HERE: &str = "\u{1f332}";

/// Decodes all that the records of a format can grow to, each of their members once.
///
/// # Panics
///
/// When one breaks a promise, with what it is.
pub fn check(decoder: &Decoder, records: &BTreeSet<Vec<u8>>) {
    let mut seen = BTreeSet::new();
    for record in records {
        if let Ok(record) = serde_json::from_slice(record) {
            check_record(decoder, &record, &mut seen);
        }
    }
}

fn check_record(decoder: &Decoder, record: &Value, seen: &mut BTreeSet<String>) {
    for path in paths(record) {
        if !seen.insert(path.clone()) {
            continue;
        }
        let mut marked = record.clone();
        let Some(place) = marked.pointer_mut(&path) else { continue };
        let before = std::mem::replace(place, Value::from(HERE));
        let marked = marked.to_string();
        for (what, value) in grown(&before) {
            let grown = marked.replacen(&format!("\"{HERE}\""), &value, 1);
            let timed = || {
                let begun = Instant::now();
                decode(decoder, grown.as_bytes(), most(grown.len()));
                begun.elapsed()
            };
            let took = if timed() < PATIENCE { continue } else { timed() };
            assert!(took < PATIENCE, "{}: {path} grown to {what} takes {took:?}", decoder.name());
        }
    }
}

/// All places in a record, as JSON pointers.
fn paths(record: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    let mut open = vec![(String::new(), record)];
    while let Some((path, value)) = open.pop() {
        let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
        match value {
            Value::Object(members) => {
                open.extend(members.iter().map(|(name, value)| (format!("{path}/{}", escaped(name)), value)));
            }
            // One element is as good as another.
            Value::Array(elements) => {
                open.extend(elements.iter().take(1).map(|value| (format!("{path}/0"), value)));
            }
            _ => {}
        }
        if !path.is_empty() {
            paths.push(path);
        }
    }
    paths
}

/// What a value can grow to, as JSON text.
fn grown(value: &Value) -> Vec<(&'static str, String)> {
    let filled = |part: &str| part.repeat(BYTES / part.len());
    let list = |element: &str| format!("[{}{element}]", filled(&format!("{element},")));
    let text = |text: &str| Value::from(text).to_string();
    let members = |value: &str| {
        let members: Vec<String> =
            (0..BYTES / (12 + value.len())).map(|n| format!("\"m{n:07}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    };
    let own = value.to_string();
    let mut grown = vec![
        ("a long text", text(&filled("ab"))),
        ("a text of control characters", format!("\"{}\"", filled("\\u0001"))),
        ("a text of backslashes", format!("\"{}\"", filled("\\\\"))),
        ("a text that is many hashes", text(&filled("SHA1=da39a3ee5e6b4b0d3255bfef95601890afd80709,"))),
        (
            "XML of many elements",
            text(&format!(
                "<Event><System><Computer>a</Computer></System>{}",
                filled("<Data Name=\"a\">b</Data>")
            )),
        ),
        ("XML of many attributes", text(&format!("<Event><System {}/>", filled("a=\"b\" ")))),
        ("XML that only begins", text(&format!("<Event>{}", filled("<a>")))),
        ("XML of references", text(&format!("<Event><Computer>{}", filled("&amp;&#65;")))),
        ("empty objects", list("{}")),
        ("empty texts", list("\"\"")),
        ("numbers", list("1")),
        ("its own value many times", list(&own)),
        ("many members", members("1")),
        ("many members of its own value", members(&own)),
        ("the same member many times", format!("{{{}\"a\":1}}", filled("\"a\":1,"))),
        ("depth", format!("{}{}", "[".repeat(100), "]".repeat(100))),
    ];
    if let Value::String(own) = value {
        grown.push(("its own text many times", text(&filled(&format!("{own} ")))));
    }
    if let Some((name, _)) = value.as_object().and_then(|members| members.iter().next()) {
        let member = Value::from(name.as_str());
        grown.push((
            "one of its members many times",
            format!("{{{}{member}:1}}", filled(&format!("{member}:1,"))),
        ));
    }
    grown
}
