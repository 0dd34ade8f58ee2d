//! How an answer is dressed: the envelope with `@odata.context` first, and the headers of every
//! success. The store writes the rows straight between the two halves of a [`Collection`].

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame};
use pintle_store::{FileMachines, MachineList};

use crate::http::origin::Origin;

const JSON: &str = "application/json; odata.metadata=minimal; odata.streaming=true; charset=utf-8";
pub(crate) const ODATA_VERSION: HeaderName = HeaderName::from_static("odata-version");

/// Ours: why an answer may lack rows: `conflict`, `damage`, or `too many partners`.
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
        context(origin, set, &mut body);
        body.extend_from_slice(br#","value":["#);
        Collection { body, headers: HeaderMap::new() }
    }

    /// Says that machines may be missing, because these hashes stand beside several of the asked
    /// kind, and names them.
    pub fn tell_gaps(&mut self, found: &FileMachines) {
        let hashes = &found.ask_instead;
        if hashes.is_empty() {
            if found.damaged {
                self.headers.insert(INCOMPLETE, HeaderValue::from_static("damage"));
            } else if found.cut_short {
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
        end(&mut self.body, next.as_deref());
        success(self.body.into(), self.headers)
    }

    /// The answer with these machines in it. More of them than fit into one piece are sent as the
    /// client reads them, so that ten thousand take no more memory than a few.
    pub fn finish_with(mut self, mut machines: MachineList, next: Option<String>) -> Response {
        if machines.left() <= MachineList::FEW {
            machines.write(&mut self.body);
            return self.finish(next);
        }
        let body = Pieces { begun: self.body, machines, next: Some(next) };
        success(Body::new(body), self.headers)
    }
}

/// Ends a collection.
fn end(body: &mut Vec<u8>, next: Option<&str>) {
    body.push(b']');
    if let Some(next) = next {
        body.extend_from_slice(br#","@odata.nextLink":"#);
        write_text(next, body);
    }
    body.push(b'}');
}

/// The body of a long list. A piece is made when the connection has room for it, and it takes no
/// longer to make than some others to send: it needs no thread of its own.
struct Pieces {
    /// The beginning, until it is sent.
    begun: Vec<u8>,
    machines: MachineList,
    /// The link for the end; `None` once the end is sent.
    next: Option<Option<String>>,
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let begun = std::mem::take(&mut self.begun);
        let piece = if begun.is_empty() { self.machines.next_piece() } else { Some(begun.into()) };
        let piece = piece.or_else(|| {
            let mut piece = Vec::new();
            end(&mut piece, self.next.take()?.as_deref());
            Some(piece.into())
        });
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.next.is_none()
    }
}

/// A single thing, from the members of its JSON object.
pub fn entity(set: &str, origin: &Origin, members: &str) -> Response {
    single(&format!("{set}/$entity"), origin, members)
}

/// Statistics, which are in no set: only their type is named.
pub fn statistics(of: &str, origin: &Origin, members: &str) -> Response {
    single(&format!("microsoft.windowsDefenderATP.api.{of}"), origin, members)
}

fn single(what: &str, origin: &Origin, members: &str) -> Response {
    let mut body = Vec::with_capacity(4096);
    context(origin, what, &mut body);
    if !members.is_empty() {
        body.push(b',');
    }
    body.extend_from_slice(members.as_bytes());
    body.push(b'}');
    success(body.into(), HeaderMap::new())
}

/// `{"@odata.context":"…"`, the first member of every answer.
fn context(origin: &Origin, what: &str, body: &mut Vec<u8>) {
    body.extend_from_slice(br#"{"@odata.context":"#);
    write_text(&format!("{}/api/$metadata#{what}", origin.as_str()), body);
}

/// Appends a JSON string.
fn write_text(text: &str, body: &mut Vec<u8>) {
    // Writing to memory does not fail.
    _ = serde_json::to_writer(body, text);
}

fn success(body: Body, headers: HeaderMap) -> Response {
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    response.headers_mut().insert(ODATA_VERSION, HeaderValue::from_static("4.0"));
    response
}
