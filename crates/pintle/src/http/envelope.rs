//! How an answer is dressed: the envelope with `@odata.context` first, and the headers of every
//! success. The store writes the rows straight between the two halves of a [`Collection`].

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame};
use pintle_store::{AlertList, FileMachines, MachineList};

use crate::http::error::Failure;
use crate::http::pieces::{self, Made};
use crate::http::representation::{Entities, NDJSON, Representation};
use crate::http::resource::Resource;

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
    /// Where the rows begin in it.
    begun: usize,
    entities: Entities,
    headers: HeaderMap,
}

impl Collection {
    /// An empty collection of a kind of entity.
    pub fn of<R: Resource>(wanted: &Representation<R>) -> Collection {
        Collection::counting(wanted, None)
    }

    /// The same that says how many rows there are in all, if that was asked.
    pub fn counting<R: Resource>(wanted: &Representation<R>, count: Option<usize>) -> Collection {
        let (mut body, entities) = (Vec::with_capacity(4096), wanted.entities());
        if !entities.are_lines() {
            context(&wanted.context(), &mut body);
            if let Some(count) = count {
                body.extend_from_slice(format!(r#","@odata.count":{count}"#).as_bytes());
            }
            body.extend_from_slice(br#","value":["#);
        }
        Collection { begun: body.len(), body, entities, headers: HeaderMap::new() }
    }

    /// The same as [`tell_gaps`] does.
    pub fn tell_gaps(&mut self, found: &FileMachines) {
        tell_gaps(found, &mut self.headers);
    }

    /// The answer, with a link to the rows that follow if there are some.
    pub fn finish(mut self, next: Option<String>) -> Response {
        self.write_rows();
        self.end(next.as_deref());
        let body = std::mem::take(&mut self.body);
        self.answer(body.into())
    }

    /// The answer with these machines in it. More of them than fit into one piece are sent as the
    /// client reads them, so that ten thousand take no more memory than a few.
    pub fn finish_with(mut self, mut machines: MachineList, next: Option<String>) -> Response {
        if machines.left() <= MachineList::FEW {
            machines.write(&mut self.body);
            return self.finish(next);
        }
        let begun = std::mem::take(&mut self.body);
        self.end(next.as_deref());
        let end = std::mem::take(&mut self.body);
        let body = Pieces { begun, machines, entities: self.entities.clone(), end: Some(end) };
        self.answer(Body::new(body))
    }

    /// The answer with these alerts in it. More of them than fit into one piece are read as the client
    /// takes them. Blocks while it reads the first piece.
    pub fn finish_with_alerts(
        mut self,
        mut alerts: AlertList,
        next: Option<String>,
    ) -> Result<Response, Failure> {
        self.body.extend_from_slice(&alerts.next_piece()?.unwrap_or_default());
        if alerts.left() == 0 {
            return Ok(self.finish(next));
        }
        self.write_rows();
        let mut begun = Some(std::mem::take(&mut self.body));
        self.end(next.as_deref());
        let end = Bytes::from(std::mem::take(&mut self.body));
        let entities = self.entities.clone();
        let body = pieces::body(move || {
            if let Some(begun) = begun.take() {
                return Ok(Made { piece: begun.into(), is_last: false });
            }
            Ok(match alerts.next_piece()? {
                Some(piece) => Made { piece: entities.piece(piece), is_last: false },
                None => Made { piece: end.clone(), is_last: true },
            })
        });
        Ok(self.answer(body))
    }

    /// Brings the rows so far into the form in which they are wanted.
    fn write_rows(&mut self) {
        if !self.entities.are_plain() {
            let rows = self.body.split_off(self.begun);
            self.body.extend_from_slice(&self.entities.piece(rows.into()));
        }
    }

    /// Ends the envelope, if it has one.
    fn end(&mut self, next: Option<&str>) {
        if !self.entities.are_lines() {
            end(&mut self.body, next);
        }
    }

    fn answer(self, body: Body) -> Response {
        match self.entities.are_lines() {
            true => lines(body, self.headers),
            false => success(body, self.headers),
        }
    }
}

/// A number alone, for `/$count`.
pub fn count(count: usize) -> Response {
    let mut response = success(Body::from(count.to_string()), HeaderMap::new());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// Says that rows may be missing, and why; because hashes stand beside several of the asked kind, which.
pub fn tell_gaps(found: &FileMachines, headers: &mut HeaderMap) {
    let Some(why) = incomplete(found) else { return };
    headers.insert(INCOMPLETE, HeaderValue::from_static(why));
    let named = ask_instead(found);
    if !named.is_empty()
        && let Ok(named) = HeaderValue::try_from(named.join(", "))
    {
        headers.insert(ASK_INSTEAD, named);
    }
}

/// Why a file's machines may not be all; `None`: they are.
pub fn incomplete(found: &FileMachines) -> Option<&'static str> {
    match found {
        FileMachines { ask_instead, .. } if !ask_instead.is_empty() => Some("conflict"),
        FileMachines { damaged: true, .. } => Some("damage"),
        FileMachines { cut_short: true, .. } => Some("too many partners"),
        _ => None,
    }
}

/// The hashes to ask about besides, as `sha256:…`.
pub fn ask_instead(found: &FileMachines) -> Vec<String> {
    found.ask_instead.iter().take(MAX_ASK_INSTEAD).map(|hash| format!("{hash:?}")).collect()
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
    entities: Entities,
    /// What comes last; `None` once it is sent.
    end: Option<Vec<u8>>,
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let begun = std::mem::take(&mut self.begun);
        let piece = if begun.is_empty() {
            self.machines.next_piece().map(|piece| self.entities.piece(piece))
        } else {
            Some(begun.into())
        };
        let piece = piece.or_else(|| self.end.take().map(Bytes::from));
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.end.is_none()
    }
}

/// A single thing, from the members of its JSON object.
pub fn entity<R: Resource>(wanted: &Representation<R>, members: &str) -> Response {
    single(&format!("{}/$entity", wanted.context()), &wanted.entities(), members)
}

/// Statistics, which are in no set: only their type is named.
pub fn statistics<R: Resource>(wanted: &Representation<R>, members: &str) -> Response {
    single(&wanted.context(), &wanted.entities(), members)
}

fn single(of: &str, entities: &Entities, members: &str) -> Response {
    let mut body = Vec::with_capacity(4096);
    context(of, &mut body);
    body.push(b',');
    let begun = body.len();
    entities.members(members, &mut body);
    if body.len() == begun {
        // Nothing that was asked for is there.
        body.pop();
    }
    body.push(b'}');
    success(body.into(), HeaderMap::new())
}

/// `{"@odata.context":"…"`, the first member of every answer.
fn context(of: &str, body: &mut Vec<u8>) {
    body.extend_from_slice(br#"{"@odata.context":"#);
    write_text(of, body);
}

/// Appends a JSON string.
fn write_text(text: &str, body: &mut Vec<u8>) {
    // Writing to memory does not fail.
    _ = serde_json::to_writer(body, text);
}

/// Lines of JSON: no OData, so nothing of it is in the headers.
pub fn lines(body: Body, headers: HeaderMap) -> Response {
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    response.headers_mut().append(VARY, HeaderValue::from_static("Accept"));
    response
}

fn success(body: Body, headers: HeaderMap) -> Response {
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    // What was wanted decides whether it is this or lines.
    response.headers_mut().append(VARY, HeaderValue::from_static("Accept"));
    response.headers_mut().insert(ODATA_VERSION, HeaderValue::from_static("4.0"));
    response
}

#[cfg(test)]
mod tests {
    use pintle_store::Projection;

    use super::*;

    #[tokio::test]
    async fn a_thing_of_which_nothing_is_shown_is_json_all_the_same() {
        for (names, expected) in [
            (&["id", "sequence"][..], r#"{"@odata.context":"c","id":"a"}"#),
            (&["sequence"], r#"{"@odata.context":"c"}"#),
        ] {
            let entities = Entities::showing(Projection::of(names.iter().copied()));
            let response = single("c", &entities, r#""id":"a","status":"New""#);
            let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
            assert_eq!(body, expected);
        }
    }
}
