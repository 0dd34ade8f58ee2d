//! What shippers put around a line that they read: when, from where, by whom. Where a document has nothing
//! else and the line is a record of a known format, the record is the line.

use std::borrow::Cow;

use crate::json::{Json, Object};

/// Members that a shipper adds by itself: Filebeat's and Winlogbeat's (Elastic Common Schema), Fluent Bit's,
/// Vector's, Logstash's.
const ADDED: &[&str] = &[
    "@metadata",
    "@timestamp",
    "@version",
    "_p",
    "agent",
    "beat",
    "cloud",
    "container",
    "container_id",
    "container_name",
    "data_stream",
    "docker",
    "ecs",
    "event",
    "fields",
    "fileset",
    "host",
    "input",
    "kubernetes",
    "labels",
    "offset",
    "orchestrator",
    "prospector",
    "service",
    "source_type",
    "stream",
    "tags",
    "time",
    "timestamp",
    "type",
];

/// Of the same names as something else an event says: the shipper's are texts.
const ADDED_TEXTS: &[&str] = &["file", "source"];

/// Where the line is, as it was read; `log` is also the object with which Filebeat tells the file.
const LINES: &[&str] = &["message", "log", "event.original", "MESSAGE"];

/// The line in a document that is otherwise a shipper's envelope, if it is a record that `is_known`.
pub(crate) fn record<'d>(
    document: &Object<'d>,
    is_known: &dyn Fn(&Object<'_>) -> bool,
) -> Option<Cow<'d, str>> {
    let is_added = |(name, value): &(Cow<'_, str>, Json<'_>)| {
        let name = name.as_ref();
        ADDED.contains(&name)
            || LINES.contains(&name)
            || ADDED_TEXTS.contains(&name) && value.raw().starts_with('"')
    };
    if !document.members.iter().all(is_added) {
        return None;
    }
    let original = || document.get("event")?.at(&["original"]);
    let lines = LINES.iter().filter_map(|name| document.get(name)).chain(original());
    lines.filter_map(line).find(|line| {
        let record = Object::read(line);
        record.is_ok_and(|record| match record.document() {
            Some(document) => Object::read(document.raw()).is_ok_and(|document| is_known(&document)),
            None => is_known(&record),
        })
    })
}

/// A text that begins as a record does.
fn line(value: Json<'_>) -> Option<Cow<'_, str>> {
    let text = value.raw().starts_with('"').then(|| value.text()).flatten()?;
    text.trim_start().starts_with('{').then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inner(document: &str) -> Option<String> {
        let document = Object::read(document).unwrap();
        record(&document, &|record| record.has("known")).map(Cow::into_owned)
    }

    #[test]
    fn the_line_of_an_envelope_is_the_record_whoever_wrapped_it() {
        for (wrapped, record) in [
            (r#"{"@timestamp":"t","log":"{\"known\":1}\n"}"#, "{\"known\":1}\n"),
            (
                r#"{"message":"{\"_id\":\"a\",\"_source\":{\"known\":1}}"}"#,
                r#"{"_id":"a","_source":{"known":1}}"#,
            ),
            (
                r#"{"message":" {\"known\":1}","host":{"name":"a"},"log":{"offset":1},"ecs":{}}"#,
                " {\"known\":1}",
            ),
            (r#"{"event":{"original":"{\"known\":1}","dataset":"x"},"message":"text"}"#, "{\"known\":1}"),
            (
                r#"{"message":"{\"known\":1}","file":"/a","source_type":"file","timestamp":"t"}"#,
                "{\"known\":1}",
            ),
        ] {
            assert_eq!(inner(wrapped).as_deref(), Some(record), "{wrapped}");
        }
    }

    #[test]
    fn a_document_that_says_more_or_has_another_line_is_itself() {
        for document in [
            r#"{"message":"{\"known\":1}","process":{}}"#,
            r#"{"message":"{\"known\":1}","file":{"path":"/a"}}"#,
            r#"{"message":"{\"other\":1}"}"#,
            r#"{"message":"{\"known\":1"}"#,
            r#"{"message":"known"}"#,
            r#"{"message":{"known":1}}"#,
            r#"{"log":["{\"known\":1}"]}"#,
            "{}",
        ] {
            assert_eq!(inner(document), None, "{document}");
        }
    }
}
