//! Telemetry over HTTP, in every format that files may have. Ours: the API has no such endpoint,
//! but a permission for it.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::TryStreamExt as _;
use pintle_ingest::Error;
use pintle_store::{Batch, Scope, Totals};
use serde::Serialize;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::blocking;
use crate::http::caller::Caller;
use crate::http::error::Failure;
use crate::http::form;
use crate::instance::Instance;
use crate::intake::{self, Input, Taken};

/// `POST /api/ingest?source=…&format=…&live=…`: takes records, gzip or zstd or plain, for the token's
/// tenant. 200 means that all of them are durable and can be read; records that could not be read
/// are kept aside and counted in the report, and do not make it an error, since sending them again
/// would not help.
///
/// An alert counts as updated when it came, whatever its source says: who polls for what is new then misses
/// none that is late, or whose source's clock is ahead of others. `live=false` keeps the source's time, as history needs it.
///
/// What was read before a failure stays: the same body sent again changes nothing, so a client
/// that got no 200 repeats it.
pub async fn ingest(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let limit = instance.config.ingest.max_body_bytes.bytes();
    check_encoding(&headers)?;
    if announced_length(&headers).is_some_and(|length| length > limit) {
        return Err(Failure::too_large(limit));
    }
    let query = query.unwrap_or_default();
    let format = form::value(&query, "format").as_deref().map(intake::format).transpose();
    let format = format.map_err(|unknown| Failure::input(unknown.to_string()))?;
    let source = source_name(form::value(&query, "source").as_deref())?;
    let is_live = is_live(form::value(&query, "live").as_deref())?;
    let tenant = caller.scope.tenant();

    // A batch takes memory, so only a few bodies are read at once; the others wait unread.
    let patience = instance.config.server.limits.body_timeout;
    let slot = instance.ingest_slots.wait(tenant, patience).await;
    let slot = slot.ok_or_else(|| Failure::busy(patience.as_secs()))?;
    let body = StreamReader::new(body.into_data_stream().map_err(io::Error::other));
    let rate = instance.config.ingest.min_body_rate.bytes();
    let body =
        Paced { body: SyncIoBridge::new(Box::pin(body)), patience, rate, came: 0, waited: Duration::ZERO };
    let report = blocking(move || {
        let _slot = slot;
        let input = Input { tenant, source: &source, is_live, format, limit };
        let mut taken = intake::take(&instance, input, body, &mut |_| {});
        if let Some(stopped) = taken.stopped.take() {
            return Err(failure(stopped));
        }
        if taken.summary.records == 0 {
            return Err(Failure::request_body("Request body holds no records"));
        }
        let totals = instance.store.totals(&Scope::whole(tenant))?;
        serde_json::to_vec(&Report::new(&taken, totals)).map_err(Failure::internal)
    })
    .await?;
    Ok(([(CONTENT_TYPE, "application/json; charset=utf-8")], report).into_response())
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

fn source_name(source: Option<&str>) -> Result<String, Failure> {
    let source = source.unwrap_or("http").trim();
    if source.is_empty() || source.len() > 256 || source.chars().any(char::is_control) {
        return Err(Failure::input("Parameter source must be 1 to 256 bytes without control characters"));
    }
    if source == Batch::PEOPLE {
        return Err(Failure::input(format!(
            "Parameter source must not be '{source}', which stands for what people change here"
        )));
    }
    Ok(source.to_owned())
}

fn is_live(live: Option<&str>) -> Result<bool, Failure> {
    match live.unwrap_or("true").trim().to_ascii_lowercase().parse() {
        Ok(is_live) => Ok(is_live),
        Err(_) => Err(Failure::input("Parameter live must be true or false")),
    }
}

/// Why a body was not taken in whole.
fn failure(stopped: Error) -> Failure {
    match stopped {
        Error::Read(..) => Failure::body_broke_off(),
        Error::Limit(limit) => Failure::beyond(limit),
        Error::Unrecognised(_) => Failure::request_body(format!(
            "The body is of no known format; name one with ?format=: {}",
            intake::names()
        )),
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
        let due = self.patience.as_secs_f64() + self.came as f64 / self.rate.max(1) as f64;
        if self.waited.as_secs_f64() > due {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the body comes too slowly"));
        }
        Ok(read)
    }
}

/// The answer: what came in, what it changed, what there is now.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    format: Option<&'static str>,
    records: u64,
    with_file_hash: u64,
    rejected: u64,
    rejected_by_reason: &'a BTreeMap<String, u64>,
    ignored: &'a BTreeMap<&'static str, u64>,
    bytes: u64,
    packed_bytes: u64,
    batches: u64,
    repeated_batches: u64,
    new_machines: u64,
    new_files: u64,
    implausible_times: u64,
    alerts_outside_retention: u64,
    totals: Totals,
}

impl<'a> Report<'a> {
    fn new(taken: &'a Taken, totals: Totals) -> Report<'a> {
        let Taken { summary, receipt, .. } = taken;
        Report {
            format: summary.format,
            records: summary.records,
            with_file_hash: summary.with_file_hash,
            rejected: summary.rejects(),
            rejected_by_reason: &summary.rejects_by_reason,
            ignored: &summary.ignored,
            bytes: summary.bytes,
            packed_bytes: summary.packed_bytes,
            batches: taken.batches,
            repeated_batches: taken.repeated_batches,
            new_machines: receipt.new_machines,
            new_files: receipt.new_files,
            implausible_times: receipt.implausible_times,
            alerts_outside_retention: receipt.alerts_outside_retention,
            totals,
        }
    }
}
