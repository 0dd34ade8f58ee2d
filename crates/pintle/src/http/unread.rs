//! What a handler leaves unread of a request's body. A client that is answered while it still
//! sends may only see the connection or the stream break, and not the answer; reading on for a
//! while lets it finish.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use tokio::runtime::Handle;

/// How much of the rest is read.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Bytes of it.
    pub bytes: u64,
    /// How long to wait for them.
    pub time: Duration,
}

impl Patience {
    /// To the end, however far off it is: for peers that end when they are answered.
    pub const ENDLESS: Patience = Patience { bytes: u64::MAX, time: Duration::MAX };
}

/// A body whose rest is read and thrown away when it is dropped.
pub struct DrainedBody<B: Rest> {
    /// None once there is no more of it.
    body: Option<B>,
    patience: Patience,
}

/// A body that can be read on after the handler has ended.
pub trait Rest: Body<Data = Bytes> + Send + Unpin + 'static {}

impl<B: Body<Data = Bytes> + Send + Unpin + 'static> Rest for B {}

impl<B: Rest> DrainedBody<B> {
    /// Reads on with that patience.
    pub fn new(body: B, patience: Patience) -> DrainedBody<B> {
        DrainedBody { body: Some(body), patience }
    }
}

impl<B: Rest> Body for DrainedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<B: Rest> Drop for DrainedBody<B> {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) else { return };
        // Without a runtime everything is over.
        if let Ok(runtime) = Handle::try_current() {
            let Patience { bytes, time } = self.patience;
            runtime.spawn(tokio::time::timeout(time, drain(body, bytes)));
        }
    }
}

async fn drain(mut body: impl Rest, mut bytes: u64) {
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX));
        let Some(left) = bytes.checked_sub(length) else { return };
        bytes = left;
    }
}
