//! What is answered of documents, as Elasticsearch's clients read it.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::StatusCode;
use pintle_ingest::{Error, Item, Outcome};
use serde::Serialize;

use crate::http::error::Failure;

/// The longest answer. Each document's takes some hundred bytes.
const MAX_ANSWER: usize = 16 << 20;

/// How much of a reason is told.
const MAX_REASON: usize = 1_024;

/// One document's answer.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(rename = "_index", skip_serializing_if = "Option::is_none")]
    index: Option<&'a str>,
    #[serde(rename = "_id", skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'static str>,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Reason<'a>>,
}

#[derive(Clone, Copy, Serialize)]
struct Reason<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    reason: &'a str,
}

impl<'a> Reason<'a> {
    fn of(outcome: Outcome<'a>) -> Option<Reason<'a>> {
        let (kind, reason) = match outcome {
            Outcome::Taken => return None,
            Outcome::KeptAside(reason) => ("mapper_parsing_exception", reason),
            Outcome::NotDone(reason) => ("illegal_argument_exception", reason),
        };
        let end = reason.floor_char_boundary(MAX_REASON);
        Some(Reason { kind, reason: reason.get(..end).unwrap_or_default() })
    }
}

impl<'a> Answer<'a> {
    fn of(item: &Item<'a>, index: Option<&'a str>) -> Answer<'a> {
        let error = Reason::of(item.outcome);
        let (result, status) = match error {
            None => (Some("created"), StatusCode::CREATED),
            Some(_) => (None, StatusCode::BAD_REQUEST),
        };
        Answer { index: item.index.or(index), id: item.id, result, status: status.as_u16(), error }
    }
}

/// The answer to a bulk request, as it grows.
pub struct Bulk {
    /// Of documents that name none.
    index: Option<String>,
    items: Vec<u8>,
    has_errors: bool,
}

impl Bulk {
    /// Without a document yet.
    pub fn into(index: Option<String>) -> Bulk {
        Bulk { index, items: Vec::new(), has_errors: false }
    }

    /// Adds a document's.
    ///
    /// # Errors
    ///
    /// When there are too many to be answered.
    pub fn add(&mut self, item: &Item<'_>) -> Result<(), Error> {
        let answer = Answer::of(item, self.index.as_deref());
        self.has_errors |= answer.error.is_some();
        if !self.items.is_empty() {
            self.items.push(b',');
        }
        let named = BTreeMap::from([(item.action.name(), answer)]);
        serde_json::to_writer(&mut self.items, &named).map_err(|error| Error::Deliver(error.into()))?;
        if self.items.len() > MAX_ANSWER {
            return Err(Error::Limit("more documents than are answered at once: send fewer".to_owned()));
        }
        Ok(())
    }

    /// All of it.
    ///
    /// # Errors
    ///
    /// When there is nothing to answer.
    pub fn finish(self, took: Duration) -> Result<Vec<u8>, Failure> {
        if self.items.is_empty() {
            return Err(Failure::request_body("Request body holds no documents"));
        }
        // Fluent Bit looks for `"errors":false,"items":[` in the text, Vector for `"errors":true`.
        let mut written = format!(r#"{{"errors":{},"items":["#, self.has_errors).into_bytes();
        written.extend(self.items);
        written.extend(format!(r#"],"took":{}}}"#, took.as_millis()).into_bytes());
        Ok(written)
    }
}

/// The answer to a request with one document.
pub struct Answered {
    /// 201, or 400.
    pub status: StatusCode,
    /// What it says.
    pub body: Vec<u8>,
}

/// How a request fails as a whole.
#[derive(Serialize)]
struct Failed<'a> {
    error: Cause<'a>,
    status: u16,
}

#[derive(Serialize)]
struct Cause<'a> {
    root_cause: [Reason<'a>; 1],
    #[serde(flatten)]
    reason: Reason<'a>,
}

impl Answered {
    /// Of this document.
    ///
    /// # Errors
    ///
    /// None that depends on the document.
    pub fn of(item: &Item<'_>) -> Result<Answered, Error> {
        let answer = Answer::of(item, None);
        let (status, body) = match answer.error {
            None => (StatusCode::CREATED, serde_json::to_vec(&answer)),
            Some(reason) => {
                let status = StatusCode::BAD_REQUEST;
                let error = Cause { root_cause: [reason], reason };
                (status, serde_json::to_vec(&Failed { error, status: status.as_u16() }))
            }
        };
        Ok(Answered { status, body: body.map_err(|error| Error::Deliver(error.into()))? })
    }
}
