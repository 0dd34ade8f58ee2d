//! How an answer is dressed: the envelope with `@odata.context` first, and the headers of every
//! success. The store writes the rows straight between the two halves of a [`Collection`].

use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use pintle_store::FileMachines;
use serde_json::Value;

use crate::http::origin::Origin;

const JSON: &str = "application/json; odata.metadata=minimal; odata.streaming=true; charset=utf-8";
const ODATA_VERSION: HeaderName = HeaderName::from_static("odata-version");

/// Ours: why an answer may lack rows: `conflict`, or `too many partners`.
const INCOMPLETE: HeaderName = HeaderName::from_static("pintle-incomplete");
/// Ours: the hashes to ask about instead, as `sha256:…`, separated by commas.
const ASK_INSTEAD: HeaderName = HeaderName::from_static("pintle-ask-instead");
/// Hashes named in one header at most: 16 of them stay far below any client's header limit.
const MAX_ASK_INSTEAD: usize = 16;

/// A collection being written.
pub struct Collection {
    /// The body so far; rows are appended as `{…},{…}`.
    pub body: Vec<u8>,
    headers: HeaderMap,
}

impl Collection {
    /// An empty collection of an entity set.
    pub fn of(set: &str, origin: &Origin) -> Collection {
        let mut body = Vec::with_capacity(4096);
        body.extend_from_slice(context(origin, set).as_bytes());
        body.extend_from_slice(br#","value":["#);
        Collection { body, headers: HeaderMap::new() }
    }

    /// Says that machines may be missing, because these hashes stand beside several of the asked
    /// kind, and names them.
    pub fn tell_gaps(&mut self, found: &FileMachines) {
        let hashes = &found.ask_instead;
        if hashes.is_empty() {
            if found.cut_short {
                self.headers.insert(INCOMPLETE, HeaderValue::from_static("too many partners"));
            }
            return;
        }
        let named: Vec<String> =
            hashes.iter().take(MAX_ASK_INSTEAD).map(|hash| format!("{hash:?}")).collect();
        self.headers.insert(INCOMPLETE, HeaderValue::from_static("conflict"));
        if let Ok(named) = HeaderValue::try_from(named.join(", ")) {
            self.headers.insert(ASK_INSTEAD, named);
        }
    }

    /// The answer, with a link to the rows that follow if there are some.
    pub fn finish(mut self, next: Option<String>) -> Response {
        self.body.push(b']');
        if let Some(next) = next {
            let link = format!(r#","@odata.nextLink":{}"#, Value::String(next));
            self.body.extend_from_slice(link.as_bytes());
        }
        self.body.push(b'}');
        success(self.body, self.headers)
    }
}

/// A single thing, from the members of its JSON object.
pub fn entity(set: &str, origin: &Origin, members: &str) -> Response {
    let mut body = context(origin, &format!("{set}/$entity")).into_bytes();
    if !members.is_empty() {
        body.push(b',');
    }
    body.extend_from_slice(members.as_bytes());
    body.push(b'}');
    success(body, HeaderMap::new())
}

/// `{"@odata.context":"…"`, the first member of every answer.
fn context(origin: &Origin, what: &str) -> String {
    let url = format!("{}/api/$metadata#{what}", origin.as_str());
    format!(r#"{{"@odata.context":{}"#, Value::String(url))
}

fn success(body: Vec<u8>, mut headers: HeaderMap) -> Response {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    headers.insert(ODATA_VERSION, HeaderValue::from_static("4.0"));
    (headers, body).into_response()
}
