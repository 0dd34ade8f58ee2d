//! How a list of hashes is read: a JSON object, or one hash a line. What is no hash costs only itself.

use std::collections::HashSet;
use std::fmt;

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use pintle_model::FileHash;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use crate::http::error::Failure;

/// The most hashes in one list.
const MAX_HASHES: usize = 100_000;
/// As much is repeated of a text that is no hash.
const MAX_TEXT: usize = 128;
/// A longer line is no hash, whatever it says.
const MAX_LINE: usize = 4 * 1024;

const SUPPORTED: &str = "send application/json, {\"hashes\": [\"…\"], \"machines\": false}, or text/plain or application/x-ndjson with one hash a line";

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `{"hashes": ["…"], "machines": true}`.
    Json,
    /// One hash a line, bare, as a JSON string, or as the member `hash` of an object.
    Lines,
}

impl Form {
    /// What the media type says; without one it is JSON, as everywhere in the API.
    pub(super) fn of(headers: &HeaderMap) -> Result<Form, Failure> {
        let Some(kind) = headers.get(CONTENT_TYPE) else { return Ok(Form::Json) };
        let kind = kind.to_str().unwrap_or_default();
        match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "application/json" => Ok(Form::Json),
            "text/plain" | "application/x-ndjson" => Ok(Form::Lines),
            _ => Err(Failure::unsupported_media(kind, SUPPORTED)),
        }
    }
}

/// Something that was asked about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// As it was written; the beginning of what is no hash.
    pub(crate) text: Box<str>,
    /// `None`: it is no hash.
    pub(super) hash: Option<FileHash>,
}

/// What was asked about, each once, in the order of the request.
#[derive(Debug, Default)]
pub(crate) struct HashList {
    pub(crate) asked: Vec<Asked>,
    /// Whether the machines are asked for as well.
    pub(super) machines: bool,
}

/// Reads a body.
pub(crate) fn read(form: Form, body: &[u8]) -> Result<HashList, Failure> {
    match form {
        Form::Json => read_json(body),
        Form::Lines => read_lines(body),
    }
}

fn read_json(body: &[u8]) -> Result<HashList, Failure> {
    let problem = |error: serde_json::Error| {
        Failure::request_body(format!("Request body is incorrect: {error}; {SUPPORTED}"))
    };
    let Request { hashes, machines } = serde_json::from_slice(body).map_err(problem)?;
    let hashes = hashes.ok_or_else(|| Failure::missing_parameter("hashes"))?;
    Ok(HashList { asked: hashes.finish()?, machines })
}

fn read_lines(body: &[u8]) -> Result<HashList, Failure> {
    let mut hashes = Gathered::default();
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    for line in body.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        match quoted(line) {
            Some(Quoted::Text(text) | Quoted::Object { hash: text }) => hashes.push(&text),
            // What it is then is a hash without quotes, or none.
            None => hashes.push(&String::from_utf8_lossy(line.get(..MAX_LINE).unwrap_or(line))),
        }
    }
    Ok(HashList { asked: hashes.finish()?, machines: false })
}

/// A line as JSON, if it is some.
fn quoted(line: &[u8]) -> Option<Quoted> {
    let may_be = line.len() <= MAX_LINE && matches!(line.first(), Some(b'"' | b'{'));
    may_be.then(|| serde_json::from_slice(line).ok()).flatten()
}

/// A line of JSON.
#[derive(Deserialize)]
#[serde(untagged)]
enum Quoted {
    Text(String),
    Object { hash: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    hashes: Option<Gathered>,
    #[serde(default)]
    machines: bool,
}

/// Hashes as they come. Those beyond the most there may be are only counted.
#[derive(Default)]
struct Gathered {
    asked: Vec<Asked>,
    hashes: HashSet<FileHash>,
    others: HashSet<Box<str>>,
    received: usize,
}

impl Gathered {
    fn push(&mut self, text: &str) {
        self.received += 1;
        if self.received > MAX_HASHES {
            return;
        }
        let text = text.trim();
        let hash: Option<FileHash> = text.parse().ok();
        let text = text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or_default();
        let is_new = match hash {
            Some(hash) => self.hashes.insert(hash),
            None => self.others.insert(text.into()),
        };
        if is_new {
            self.asked.push(Asked { text: text.into(), hash });
        }
    }

    fn finish(self) -> Result<Vec<Asked>, Failure> {
        match self.received {
            received if received > MAX_HASHES => Err(Failure::batch_size(received, MAX_HASHES)),
            _ => Ok(self.asked),
        }
    }
}

impl<'d> Deserialize<'d> for Gathered {
    fn deserialize<D: Deserializer<'d>>(from: D) -> Result<Gathered, D::Error> {
        from.deserialize_seq(Gathering)
    }
}

struct Gathering;

impl<'d> Visitor<'d> for Gathering {
    type Value = Gathered;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a list of hashes in quotes")
    }

    fn visit_seq<S: SeqAccess<'d>>(self, mut list: S) -> Result<Gathered, S::Error> {
        let mut gathered = Gathered::default();
        while let Some(text) = list.next_element::<String>()? {
            gathered.push(&text);
        }
        Ok(gathered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MD5: &str = "a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3";

    fn texts(form: Form, body: &str) -> Option<Vec<(String, bool)>> {
        let list = read(form, body.as_bytes()).ok()?;
        Some(list.asked.into_iter().map(|asked| (asked.text.into(), asked.hash.is_some())).collect())
    }

    #[test]
    fn a_list_is_the_same_in_every_form_and_what_is_no_hash_is_kept_in_its_place() {
        let sha1 = "B1".repeat(20);
        let expected: Vec<(String, bool)> =
            [(MD5, true), ("x", false), (&sha1, true)].map(|(text, is)| (text.to_owned(), is)).into();
        let upper = MD5.to_uppercase();
        for (form, body) in [
            (Form::Json, format!(r#"{{"hashes": ["{MD5}", "x", " {sha1} ", "{upper}", "x"]}}"#)),
            (Form::Lines, format!("\u{feff}{MD5}\r\n\nx\n  {sha1}\t\n{upper}\nx")),
            (Form::Lines, format!("\"{MD5}\"\n{{\"hash\":\"x\",\"n\":1}}\n{sha1}\n")),
        ] {
            assert_eq!(texts(form, &body).unwrap(), expected, "{body}");
        }
        assert_eq!(texts(Form::Lines, "").unwrap(), []);
        assert_eq!(texts(Form::Json, r#"{"hashes":[]}"#).unwrap(), []);
        assert!(read(Form::Json, br#"{"machines":true,"hashes":[]}"#).unwrap().machines);
        let nonsense = ["{\"hash\":1}", "[]", "1", "null", "{", "\"", "\u{e9}"];
        for line in nonsense {
            assert_eq!(texts(Form::Lines, line).unwrap(), [(line.to_owned(), false)]);
        }
        // Neither is a line that is longer than any that says a hash.
        let padded = format!("{{\"hash\":\"{MD5}\",\"note\":\"{}\"}}", "x".repeat(MAX_LINE));
        assert!(!texts(Form::Lines, &padded).unwrap()[0].1);
        assert!(texts(Form::Lines, &padded.replace(&"x".repeat(MAX_LINE), "x")).unwrap()[0].1);
        let long = "\u{e9}".repeat(1_000);
        assert_eq!(texts(Form::Lines, &long).unwrap()[0].0.len(), MAX_TEXT);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for body in [
            "",
            "[]",
            "{}",
            "null",
            r#"{"hashes":null}"#,
            r#"{"hashes":"x"}"#,
            r#"{"hashes":[1]}"#,
            r#"{"hashes":[["x"]]}"#,
            r#"{"Hashes":[]}"#,
            r#"{"hashes":[],"machines":"yes"}"#,
            r#"{"hashes":[]} x"#,
        ] {
            assert_eq!(texts(Form::Json, body), None, "{body}");
        }
        assert_eq!(texts(Form::Json, &"[".repeat(100_000)), None);
    }

    #[test]
    fn more_than_there_may_be_are_counted_and_refused_also_if_they_repeat() {
        let many = |count: usize| format!(r#"{{"hashes":[{}]}}"#, vec!["\"x\""; count].join(","));
        assert_eq!(texts(Form::Json, &many(MAX_HASHES)).unwrap().len(), 1);
        let refused = read(Form::Json, many(MAX_HASHES + 7).as_bytes()).unwrap_err();
        assert!(format!("{refused:?}").contains("received 100007, allowed 100000"), "{refused:?}");
        assert!(read(Form::Lines, "x\n".repeat(MAX_HASHES).as_bytes()).is_ok());
        assert!(read(Form::Lines, "x\n".repeat(MAX_HASHES + 1).as_bytes()).is_err());
    }
}
