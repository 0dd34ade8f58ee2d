//! Packs answers for clients that accept it: gzip, or zstd where the client prefers it. At equal
//! wishes gzip goes first, because the pure-Rust zstd encoder is slower and packs less. Bodies that
//! come in pieces are packed piece by piece, with gzip or not at all: that encoder cannot.

use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame};
use hyper::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, HeaderValue, VARY,
};
use hyper::{HeaderMap, StatusCode};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use crate::http::quality::weighted;

/// Smaller bodies fit into a packet as they are.
const SMALLEST: u64 = 1024;
/// Larger bodies are packed on a thread where blocking is allowed.
const LARGEST_INLINE: usize = 64 * 1024;

/// Packs JSON to within a tenth of level 6 in half the time.
const LEVEL: Compression = Compression::new(3);

/// A way of packing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Gzip,
    Zstd,
}

/// A router whose answers are packed for clients that accept it.
pub fn wrap(router: Router) -> Router {
    router.layer(middleware::from_fn(compress))
}

async fn compress(request: Request, next: Next) -> Response {
    let coding = negotiate(request.headers());
    let takes_gzip = weigh(request.headers()).0 > 0;
    let mut response = next.run(request).await;
    response.headers_mut().append(VARY, HeaderValue::from_static("Accept-Encoding"));
    match coding {
        // Nobody knows how much follows, so the whole must not be waited for.
        Some(_) if response.body().size_hint().exact().is_none() => {
            if takes_gzip && may_be_packed(&response) { pack_pieces(response) } else { response }
        }
        Some(coding) if is_worth_it(&response) => pack(response, coding).await,
        _ => response,
    }
}

fn is_worth_it(response: &Response) -> bool {
    response.body().size_hint().exact().is_some_and(|size| size >= SMALLEST) && may_be_packed(response)
}

fn may_be_packed(response: &Response) -> bool {
    let headers = response.headers();
    let no_transform = headers
        .get(CACHE_CONTROL)
        .is_some_and(|value| value.as_bytes().windows(12).any(|word| word == b"no-transform"));
    !headers.contains_key(CONTENT_ENCODING) && !headers.contains_key(CONTENT_RANGE) && !no_transform
}

fn pack_pieces(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.remove(CONTENT_LENGTH);
    let encoder = GzEncoder::new(Vec::new(), LEVEL);
    Response::from_parts(parts, Body::new(PackedPieces { body, encoder: Some(encoder) }))
}

/// A body whose pieces are packed as they pass. Each can be unpacked when it has come, so whoever reads
/// as it comes sees no more delay than without.
struct PackedPieces {
    body: Body,
    /// `None` once the end is sent.
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl PackedPieces {
    fn pack(&mut self, piece: &[u8]) -> std::io::Result<Bytes> {
        let Some(encoder) = &mut self.encoder else { return Ok(Bytes::new()) };
        encoder.write_all(piece)?;
        encoder.flush()?;
        Ok(std::mem::take(encoder.get_mut()).into())
    }
}

impl HttpBody for PackedPieces {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let packed = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(piece) => self.pack(&piece),
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            },
            // Without its end the packed body is seen to be broken off as well.
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None => match self.encoder.take() {
                Some(encoder) => encoder.finish().map(Bytes::from),
                None => return Poll::Ready(None),
            },
        };
        Poll::Ready(Some(packed.map(Frame::data).map_err(axum::Error::new)))
    }

    fn is_end_stream(&self) -> bool {
        self.encoder.is_none()
    }
}

async fn pack(response: Response, coding: Coding) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(collected) = body.collect().await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let plain = collected.to_bytes();
    let packed = if plain.len() <= LARGEST_INLINE {
        encode(coding, &plain)
    } else {
        let plain = plain.clone();
        tokio::task::spawn_blocking(move || encode(coding, &plain)).await.ok().flatten()
    };
    let Some(packed) = packed.filter(|packed| packed.len() < plain.len()) else {
        return Response::from_parts(parts, Body::from(plain));
    };
    let name = match coding {
        Coding::Gzip => "gzip",
        Coding::Zstd => "zstd",
    };
    parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(packed))
}

fn encode(coding: Coding, plain: &Bytes) -> Option<Vec<u8>> {
    match coding {
        Coding::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), LEVEL);
            encoder.write_all(plain).ok()?;
            encoder.finish().ok()
        }
        Coding::Zstd => Some(compress_to_vec(plain.as_ref(), CompressionLevel::Fastest)),
    }
}

/// What the client wishes for most of what is offered. RFC 9110 §12.5.3: no header means that
/// anything goes, but clients that do not ask often cannot unpack, so they get it plain.
fn negotiate(headers: &HeaderMap) -> Option<Coding> {
    match weigh(headers) {
        (0, 0) => None,
        (gzip, zstd) if zstd > gzip => Some(Coding::Zstd),
        _ => Some(Coding::Gzip),
    }
}

/// How much the client likes gzip and zstd.
fn weigh(headers: &HeaderMap) -> (u16, u16) {
    let (mut gzip, mut zstd, mut rest) = (None, None, None);
    for value in headers.get_all(ACCEPT_ENCODING) {
        for item in value.to_str().unwrap_or_default().split(',') {
            let (name, weight) = weighted(item);
            match name.to_ascii_lowercase().as_str() {
                "gzip" | "x-gzip" => gzip = Some(weight),
                "zstd" => zstd = Some(weight),
                "*" => rest = Some(weight),
                _ => {}
            }
        }
    }
    (gzip.or(rest).unwrap_or(0), zstd.or(rest).unwrap_or(0))
}

#[cfg(test)]
mod tests;
