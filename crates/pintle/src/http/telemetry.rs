//! Bodies of telemetry: whose is read now, how fast it must come, and what is answered where it cannot be
//! read. Each that is read holds batches in memory, so a few are, half of them one tenant's; the others
//! wait, unread but for their beginning, and who has many waiting gets no more in.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use pintle_ingest::Error;
use tokio_util::io::{StreamReader, SyncIoBridge};

use crate::http::error::Failure;
use crate::http::sender::Sender;
use crate::instance::Instance;

/// A body as it comes, packed or not.
pub type Arriving = Box<dyn Read + Send>;

/// What is there of a body before it gets a place. Who sends a few records has sent all of them by then, and who
/// sends next to nothing keeps no place from others.
const AT_HAND: usize = 64 << 10;

/// Waits for a place and gives the body to `work`, on a thread that may block, with the number of bytes
/// that it may have. The place is kept until `work` ends, also if the client does not wait for it.
pub async fn receive<T: Send + 'static>(
    instance: Arc<Instance>,
    sender: &Sender,
    headers: &HeaderMap,
    body: Body,
    work: impl FnOnce(&Instance, Arriving, u64) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let limit = instance.config.ingest.max_body_bytes.bytes();
    check_encoding(headers)?;
    if announced_length(headers).is_some_and(|length| length > limit) {
        return Err(Failure::too_large(limit));
    }
    let patience = instance.config.server.limits.body_timeout;
    let queued = instance.ingest_queue.enter(sender.id);
    let queued = queued.ok_or_else(|| Failure::too_many_bodies(patience.as_secs()))?;
    let rate = instance.config.ingest.min_body_rate.bytes();
    let body = begun(body, patience, rate).await?;
    let slot = instance.ingest_slots.wait(sender.tenant, patience).await;
    let slot = slot.ok_or_else(|| Failure::busy(patience.as_secs()))?;
    let body = StreamReader::new(body);
    let body =
        Paced { body: SyncIoBridge::new(Box::pin(body)), patience, rate, came: 0, waited: Duration::ZERO };
    let done = tokio::task::spawn_blocking(move || {
        let _until_it_ends = (queued, slot);
        work(&instance, Box::new(body), limit)
    });
    done.await.map_err(Failure::internal)?
}

/// A body whose beginning has come, as fast as bodies must.
async fn begun(
    body: Body,
    patience: Duration,
    rate: u64,
) -> Result<impl Stream<Item = io::Result<Bytes>> + Send + 'static, Failure> {
    let mut body = body.into_data_stream().map_err(io::Error::other).fuse();
    let asked = Instant::now();
    let mut came = Vec::new();
    while came.len() < AT_HAND {
        let left = due(patience, rate, came.len() as u64).saturating_sub(asked.elapsed());
        match tokio::time::timeout(left, body.try_next()).await {
            Ok(Ok(Some(piece))) => came.extend_from_slice(&piece),
            Ok(Ok(None)) => break,
            Ok(Err(_)) | Err(_) => return Err(Failure::body_broke_off()),
        }
    }
    Ok(stream::iter([Ok(Bytes::from(came))]).chain(body))
}

/// How long so many bytes may be waited for on the whole.
fn due(patience: Duration, rate: u64, came: u64) -> Duration {
    let micros = came.saturating_mul(1_000_000) / rate.max(1);
    patience.saturating_add(Duration::from_micros(micros))
}

/// The content tells gzip and zstd by itself; what it cannot undo is refused before it is read as
/// garbage.
fn check_encoding(headers: &HeaderMap) -> Result<(), Failure> {
    let known = |encoding: &str| {
        ["identity", "gzip", "x-gzip", "zstd"].iter().any(|known| encoding.eq_ignore_ascii_case(known))
    };
    for value in headers.get_all(CONTENT_ENCODING) {
        let encoding = value.to_str().unwrap_or_default().trim();
        if !known(encoding) {
            return Err(Failure::unsupported_encoding(encoding));
        }
    }
    Ok(())
}

fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The format that the content type names, if it does. JSON, lines of it and tables are told by the
/// content itself, whatever their type: clients that are given bytes to send call them anything.
pub fn format_of_type(headers: &HeaderMap) -> Result<Option<&'static str>, Failure> {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media_type.as_str() {
        "application/vnd.ms-windows.evtx" | "application/x-ms-evtx" | "application/x-evtx" => {
            Ok(Some("evtx"))
        }
        form if form.starts_with("multipart/") => {
            Err(Failure::unsupported_media(form, "send the records themselves as the body"))
        }
        _ => Ok(None),
    }
}

/// Why a body was not taken in whole.
pub fn failure(stopped: Error) -> Failure {
    match stopped {
        Error::Read(..) => Failure::body_broke_off(),
        Error::Limit(limit) => Failure::beyond(limit),
        Error::Unrecognised(_, names) => {
            Failure::request_body(format!("The body is of no known format; name one with ?format=: {names}"))
        }
        Error::Malformed(why) => Failure::request_body(format!("Request body cannot be read: {why}")),
        error @ Error::Worker(..) => Failure::unavailable(&error),
        Error::Hold(_, full) if full.kind() == io::ErrorKind::StorageFull => Failure::full(&full),
        Error::Hold(_, error) => Failure::unavailable(&error),
        Error::Deliver(inner) => match inner.downcast_ref() {
            Some(full @ pintle_store::Error::Full(_)) => Failure::full(full),
            _ => Failure::unavailable(&*inner),
        },
    }
}

/// A body that fails when it is slow on the whole: one that only never stalls could keep its slot
/// for weeks. The time that its records take is not the sender's.
struct Paced<R> {
    body: R,
    /// Time it may take beyond what the rate gives it.
    patience: Duration,
    /// Bytes a second.
    rate: u64,
    came: u64,
    waited: Duration,
}

impl<R: Read> Read for Paced<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let asked = Instant::now();
        let read = self.body.read(buffer)?;
        self.waited += asked.elapsed();
        self.came += u64::try_from(read).unwrap_or(u64::MAX);
        if self.waited > due(self.patience, self.rate, self.came) {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the body comes too slowly"));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_content_type_counts_where_it_names_a_format_and_a_form_is_none() {
        let format = |media_type: &'static str| {
            format_of_type(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(media_type))]))
        };
        assert_eq!(format("Application/Vnd.ms-windows.EVTX; x=1").unwrap(), Some("evtx"));
        for any in
            ["application/json", "application/x-ndjson", "text/csv", "application/x-www-form-urlencoded", ""]
        {
            assert_eq!(format(any).unwrap(), None, "{any}");
        }
        assert!(format("multipart/form-data; boundary=x").is_err());
        assert_eq!(format_of_type(&HeaderMap::new()).unwrap(), None);
    }
}
