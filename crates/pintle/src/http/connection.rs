//! One connection, from its first byte to its last. hyper parses; this module decides when a
//! connection has been silent, slow or idle for too long. hyper's own header timeout runs while a
//! connection idles too, so it cannot tell a slow client from a patient one.

mod activity;

use std::convert::Infallible;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::FutureExt;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::{Request, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub use self::activity::Activity;
use self::activity::{BodyAwaited, Responding, Running, Verdict};
use super::unread::{DrainedBody, Patience};
use super::{Peer, Scheme};
use crate::config::Limits;
use crate::http::error::Failure;

/// Bytes of headers a request may have; a token takes a few thousand of them.
const MAX_HEADER_BYTES: u32 = 64 * 1024;
/// Requests an HTTP/2 connection may have open.
const MAX_STREAMS: u32 = 128;
/// Bytes of an answer that are given out of hand at once.
const PIECE_BYTES: usize = 256 * 1024;
/// The same over HTTP/2: a frame. An answer of which no frame is taken has stalled, whatever else
/// the connection carries.
const FRAME_BYTES: usize = 16 * 1024;
/// Streams a client may open and reset at once before the connection ends (CVE-2023-44487).
const MAX_RESET_STREAMS: usize = 20;
/// What is read of a body that was answered unread: its stream would be reset at once, and clients
/// such as curl 7.88 then take the answer for lost.
const AFTER_ANSWER: Patience = Patience { bytes: 64 * 1024, time: Duration::from_secs(1) };

/// Bytes a second with which a body keeps its connection from giving way to others.
const STEADY_BODY: u64 = 64 * 1024;

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// The peer; none on a Unix socket.
    pub peer: Option<Peer>,
    /// Whether it came over TLS.
    pub scheme: Scheme,
}

/// Serves HTTP/1.1 or HTTP/2 on a stream until either side ends it, or a limit does. When `drain`
/// is cancelled, running requests are finished and no more are taken.
pub async fn serve(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ends: Ends,
    router: axum::Router,
    limits: &Limits,
    activity: &Arc<Activity>,
    drain: &CancellationToken,
) {
    activity.begin();
    let activity = Arc::clone(activity);
    let stream = Watched { stream, activity: Arc::clone(&activity) };
    let service = hyper::service::service_fn({
        let (activity, limits) = (Arc::clone(&activity), limits.clone());
        move |request| answer(router.clone(), request, ends, limits.clone(), Arc::clone(&activity))
    });

    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().header_read_timeout(None).max_buf_size(MAX_HEADER_BYTES as usize);
    builder
        .http2()
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_pending_accept_reset_streams(MAX_RESET_STREAMS);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut drained = pin!(drain.cancelled());
    let mut draining = false;
    let mut closing: Option<Instant> = None;
    loop {
        let wake = match (activity.verdict(limits), closing) {
            (Verdict::Cut, _) => return,
            (Verdict::Wait(until), _) => until,
            (Verdict::Close, Some(end)) if end <= Instant::now() => return,
            (Verdict::Close, Some(end)) => Some(end),
            (Verdict::Close, None) => {
                connection.as_mut().graceful_shutdown();
                closing = Some(Instant::now() + limits.header_timeout);
                closing
            }
        };
        let woken = async {
            match wake {
                Some(time) => tokio::time::sleep_until(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = connection.as_mut() => return,
            () = &mut drained, if !draining => {
                draining = true;
                connection.as_mut().graceful_shutdown();
            }
            () = activity.changed.notified() => {}
            () = woken => {}
        }
    }
}

/// Lets the router answer one request, with what it should know about the connection.
async fn answer(
    router: axum::Router,
    request: Request<Incoming>,
    ends: Ends,
    limits: Limits,
    activity: Arc<Activity>,
) -> Result<Response, Infallible> {
    let piece_bytes = if request.version() == Version::HTTP_2 { FRAME_BYTES } else { PIECE_BYTES };
    let running = Running::begin(Arc::clone(&activity), request.version());
    let stalled = Arc::new(AtomicBool::new(false));
    let http2 = request.version() == Version::HTTP_2;
    let mut request = request.map(|body| {
        let timeout = limits.body_timeout;
        let (stalled, due) = (Arc::clone(&stalled), Instant::now());
        let body = TimedBody { body, timeout, waiting: None, stalled, activity, due };
        // hyper reads on by itself over HTTP/1.1.
        if http2 { Body::new(DrainedBody::new(body, AFTER_ANSWER)) } else { Body::new(body) }
    });
    request.extensions_mut().insert(ends.scheme);
    if let Some(peer) = ends.peer {
        request.extensions_mut().insert(peer);
    }
    // One request's panic is not to end the others on its connection; the panic hook logs it.
    let answered = AssertUnwindSafe(router.oneshot(request)).catch_unwind().await;
    let mut response = match answered {
        Ok(Ok(response)) => response,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    if stalled.load(Ordering::Relaxed) {
        // Whatever the handler made of the broken body, the reason is this one.
        if response.status() != StatusCode::REQUEST_TIMEOUT {
            response = Failure::body_broke_off().into_response();
        }
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let responding = running.responding(&limits);
    Ok(response.map(|body| Body::new(TrackedBody { rest: Bytes::new(), body, piece_bytes, responding })))
}

/// A stream that tells when something moves.
struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if let Some(bytes) = buffer.filled().get(before..).filter(|bytes| !bytes.is_empty()) {
            self.activity.read(bytes);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S> Watched<S> {
    fn note_write(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Pending => self.activity.blocked(true),
            Poll::Ready(Ok(bytes)) if *bytes > 0 => self.activity.wrote(),
            Poll::Ready(_) => {}
        }
        written
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note_write(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note_write(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A TLS stream takes more than it can send, and says so only here.
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.activity.blocked(flushed.is_pending());
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A request's body that fails when no piece of it comes for a time.
struct TimedBody {
    body: Incoming,
    timeout: Duration,
    waiting: Option<(Pin<Box<Sleep>>, BodyAwaited)>,
    stalled: Arc<AtomicBool>,
    activity: Arc<Activity>,
    /// When what has come of it would have come if it came steadily.
    due: Instant,
}

/// A request's body has stalled.
#[derive(Debug, thiserror::Error)]
#[error("the request body stalled for {0:?}")]
pub struct Stalled(Duration);

impl HttpBody for TimedBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.waiting = None;
            let bytes = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
            let bytes = bytes.map_or(0, |bytes| bytes.len() as u64);
            self.due += Duration::from_micros(bytes.saturating_mul(1_000_000) / STEADY_BODY);
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let this = &mut *self;
        let timeout = this.timeout;
        let waiting = this.waiting.get_or_insert_with(|| {
            (Box::pin(tokio::time::sleep(timeout)), BodyAwaited::begin(Arc::clone(&this.activity), this.due))
        });
        ready!(waiting.0.as_mut().poll(context));
        self.stalled.store(true, Ordering::Relaxed);
        Poll::Ready(Some(Err(Stalled(timeout).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body that keeps its request counted until it is out. It comes in pieces: hyper
/// would take it whole into its buffers, and then nobody saw that the client does not.
struct TrackedBody {
    body: Body,
    /// What the body has given and is not passed on yet.
    rest: Bytes,
    piece_bytes: usize,
    responding: Option<Responding>,
}

impl TrackedBody {
    fn piece(&mut self) -> Frame<Bytes> {
        let length = self.rest.len().min(self.piece_bytes);
        if let Some(responding) = &mut self.responding {
            responding.given(length);
        }
        Frame::data(self.rest.split_to(length))
    }
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(responding) = &mut self.responding {
            responding.taken();
        }
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(self.piece())));
        }
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Some(responding) = &mut self.responding {
            responding.works(polled.is_pending());
        }
        let Some(frame) = ready!(polled).transpose()? else { return Poll::Ready(None) };
        Poll::Ready(Some(Ok(match frame.into_data() {
            Ok(data) => {
                self.rest = data;
                self.piece()
            }
            Err(trailers) => trailers,
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, of_body) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        if let Some(upper) = of_body.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(of_body.lower().saturating_add(rest));
        hint
    }
}
