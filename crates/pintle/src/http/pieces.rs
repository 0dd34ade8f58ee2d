//! The body of a long list of alerts: each piece is read from the base when the connection has room for
//! it, on a thread where that disturbs nobody.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::BoxError;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame};
use pintle_store::AlertList;
use tokio::task::JoinHandle;

use crate::http::envelope;

/// See the module.
pub struct AlertPieces {
    /// The beginning, until it is sent.
    begun: Vec<u8>,
    alerts: Alerts,
    /// The link for the end.
    next: Option<String>,
}

/// A list with the piece that was read of it.
type Read = (AlertList, Result<Option<Bytes>, pintle_store::Error>);

enum Alerts {
    Wait(Box<AlertList>),
    AreRead(JoinHandle<Read>),
    /// All is sent, or nothing more can be.
    Ended,
}

impl AlertPieces {
    /// What is left of a list behind its beginning.
    pub fn new(begun: Vec<u8>, alerts: AlertList, next: Option<String>) -> AlertPieces {
        AlertPieces { begun, alerts: Alerts::Wait(Box::new(alerts)), next }
    }

    /// The next piece, the end for the last; `None`: the end is sent.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        loop {
            match std::mem::replace(&mut self.alerts, Alerts::Ended) {
                Alerts::Ended => return Poll::Ready(None),
                Alerts::Wait(mut alerts) => {
                    let reading = tokio::task::spawn_blocking(move || {
                        let piece = alerts.next_piece();
                        (*alerts, piece)
                    });
                    self.alerts = Alerts::AreRead(reading);
                }
                Alerts::AreRead(mut reading) => {
                    let Poll::Ready(read) = Pin::new(&mut reading).poll(context) else {
                        self.alerts = Alerts::AreRead(reading);
                        return Poll::Pending;
                    };
                    return Poll::Ready(self.piece(read.map_err(BoxError::from)));
                }
            }
        }
    }

    fn piece(&mut self, read: Result<Read, BoxError>) -> Option<Result<Bytes, BoxError>> {
        // An answer that breaks off is known for what it is; one that only lacks rows is not.
        let broken = |error: BoxError| {
            tracing::error!(%error, "a list of alerts broke off");
            Some(Err(error))
        };
        match read {
            Ok((alerts, Ok(Some(piece)))) => {
                self.alerts = Alerts::Wait(Box::new(alerts));
                Some(Ok(piece))
            }
            Ok((_, Ok(None))) => {
                let mut end = Vec::new();
                envelope::end(&mut end, self.next.take().as_deref());
                Some(Ok(end.into()))
            }
            Ok((_, Err(error))) => broken(error.into()),
            Err(error) => broken(error),
        }
    }
}

impl HttpBody for AlertPieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let begun = std::mem::take(&mut self.begun);
        if !begun.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(begun.into()))));
        }
        let piece = ready!(self.poll_piece(context));
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.alerts, Alerts::Ended)
    }
}
