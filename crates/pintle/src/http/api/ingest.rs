//! Telemetry over HTTP, in every format that files may have. Ours: the API has no such endpoint,
//! but a permission for it.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use pintle_ingest::{Choice, Content};
use pintle_store::{Batch, Scope, Totals};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::auth::inlet::Inlet;
use crate::http::caller::Caller;
use crate::http::error::Failure;
use crate::http::form;
use crate::http::sender::Sender;
use crate::http::telemetry::{Arriving, failure, format_of_type, receive};
use crate::instance::Instance;
use crate::intake::{self, Input, Taken};
use crate::repeats::{Answered, Begun, Running};
use crate::sources;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer was given before, to the same request.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// `POST /api/ingest?source=…&format=…&live=…`: takes records, packed or not, also in an archive, for the
/// tenant of the token or of the inlet, whose name is then the source. 200 means that all of them are durable and can be read; records that could not be read
/// are kept aside and counted in the report, and do not make it an error, since sending them again
/// would not help.
///
/// An alert counts as updated when it came, whatever its source says: who polls for what is new then misses
/// none that is late, or whose source's clock is ahead of others. `live=false` keeps the source's time, as
/// history needs it.
///
/// What was read before a failure stays: the same body sent again changes nothing, so a client
/// that got no 200 repeats it. With an `Idempotency-Key` it also gets the report of the first time again.
pub async fn ingest(
    State(instance): State<Arc<Instance>>,
    sender: Sender,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let asked = Asked::of(&instance, &sender, &query.unwrap_or_default(), &headers)?;
    let begun = idempotency_key(&headers)?.map(|key| {
        let now = instance.now();
        instance.repeats.begin(sender.tenant, sender.id, key, now)
    });
    let running = match begun {
        None => None,
        Some(Begun::First(running)) => Some(running),
        Some(Begun::Running) => return Err(Failure::still_running()),
        Some(Begun::Answered(answered)) => {
            return repeat(instance, &sender, &headers, body, asked, answered).await;
        }
    };
    let of = sender.clone();
    let report = receive(instance, &sender, &headers, body, move |instance, body, limit| {
        take(instance, &of, asked, body, limit, running)
    });
    Ok(answer(report.await?).into_response())
}

/// `GET /api/ingest/status`: each source of the caller's tenant, with when it came last, how much and how late
/// it comes, and what of it could not be used; and how the files of watched folders and the consumers of topics stand. An application that
/// is limited to device groups is told nothing: sources are of the whole tenant.
pub async fn status(State(instance): State<Arc<Instance>>, caller: Caller) -> Result<Response, Failure> {
    let told = if caller.scope.sees_all() {
        sources::status(&instance, caller.scope.tenant())
    } else {
        serde_json::json!({ "value": [], "watched": [], "kafka": [] })
    };
    Ok(answer(serde_json::to_vec(&told).map_err(Failure::internal)?.into()).into_response())
}

fn answer(report: Bytes) -> ([(HeaderName, &'static str); 1], Bytes) {
    ([(CONTENT_TYPE, "application/json; charset=utf-8")], report)
}

/// What is asked besides the body.
struct Asked {
    /// The format's name, if it is given.
    format: Option<String>,
    choice: Choice,
    source: String,
    is_live: bool,
}

impl Asked {
    fn of(instance: &Instance, sender: &Sender, query: &str, headers: &HeaderMap) -> Result<Asked, Failure> {
        let inlet = sender.inlet.as_deref();
        let of_type = format_of_type(headers)?;
        let format = format(inlet, form::value(query, "format"))?.or_else(|| of_type.map(str::to_owned));
        let choice = intake::choice(&instance.decoders, format.as_deref());
        let choice = choice.map_err(|unknown| Failure::input(unknown.to_string()))?;
        let source = source(inlet, form::value(query, "source").as_deref())?;
        let is_live = is_live(form::value(query, "live").as_deref())?;
        Ok(Asked { format, choice, source, is_live })
    }

    /// The beginning of a hash of all that a request asks.
    fn hash(&self) -> Sha256 {
        let format = self.format.as_deref().unwrap_or_default();
        let asked = format!("{format}\0{}\0{}\0", self.source, self.is_live);
        Sha256::new_with_prefix(asked)
    }
}

/// Takes a body in, and gives the report.
fn take(
    instance: &Instance,
    sender: &Sender,
    asked: Asked,
    body: Arriving,
    limit: u64,
    running: Option<Running>,
) -> Result<Bytes, Failure> {
    let (tenant, inlet) = (sender.tenant, sender.inlet.as_deref());
    let mut body = Hashed { body, hash: running.is_some().then(|| asked.hash()) };
    let Asked { choice, source, is_live, .. } = asked;
    let namespace = inlet.and_then(|inlet| inlet.namespace.as_ref());
    let name = source.as_str();
    let input = Input { tenant, source: name, name, is_live, choice, namespace, limit, part: None };
    let mut taken = intake::take(instance, input, Content::stream(&mut body), &mut |_| {});
    if let Some(stopped) = taken.stopped.take() {
        return Err(failure(stopped));
    }
    if taken.summary.records == 0 {
        return Err(Failure::request_body("Request body holds no records"));
    }
    let report = match inlet {
        Some(_) => Report::new(&taken),
        None => Report::new(&taken).with(&taken, instance.store.totals(&Scope::whole(tenant))?),
    };
    let report = Bytes::from(serde_json::to_vec(&report).map_err(Failure::internal)?);
    if let Some(running) = running {
        running.answered(body.finish(limit)?, report.clone(), instance.now());
    }
    Ok(report)
}

/// The answer of the first time, if the body is the same.
async fn repeat(
    instance: Arc<Instance>,
    sender: &Sender,
    headers: &HeaderMap,
    body: Body,
    asked: Asked,
    answered: Answered,
) -> Result<Response, Failure> {
    let hash = receive(instance, sender, headers, body, move |_, body, limit| {
        Hashed { body, hash: Some(asked.hash()) }.finish(limit)
    });
    if hash.await? != answered.hash {
        return Err(Failure::key_reused());
    }
    let mut response = answer(answered.answer).into_response();
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

/// A body whose hash is made as it is read, if it is wanted.
struct Hashed {
    body: Arriving,
    hash: Option<Sha256>,
}

impl Hashed {
    /// Reads what is left, and gives the hash of all.
    fn finish(mut self, limit: u64) -> Result<[u8; 32], Failure> {
        let mut rest = (&mut self).take(limit.saturating_add(1));
        let left = io::copy(&mut rest, &mut io::sink()).map_err(|_| Failure::body_broke_off())?;
        if left > limit {
            return Err(Failure::too_large(limit));
        }
        Ok(self.hash.map(|hash| hash.finalize().into()).unwrap_or_default())
    }
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.body.read(buffer)?;
        if let Some(hash) = &mut self.hash {
            hash.update(buffer.get(..count).unwrap_or_default());
        }
        Ok(count)
    }
}

/// By which a request is known if it comes again.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Failure> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).into_iter();
    let Some(value) = values.next() else { return Ok(None) };
    let is_key = |key: &[u8]| (1..=255).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
    match value.to_str() {
        Ok(key) if is_key(key.as_bytes()) && values.next().is_none() => Ok(Some(key)),
        _ => Err(Failure::input("Header Idempotency-Key must be 1 to 255 visible ASCII characters, once")),
    }
}

/// The format that is named, unless the inlet takes another one only.
fn format(inlet: Option<&Inlet>, named: Option<String>) -> Result<Option<String>, Failure> {
    match (inlet.and_then(|inlet| inlet.format.clone()), named) {
        (Some(fixed), Some(named)) if !fixed.eq_ignore_ascii_case(&named) => {
            Err(Failure::input(format!("The inlet takes the format '{fixed}' only")))
        }
        (fixed, named) => Ok(fixed.or(named)),
    }
}

/// An inlet's telemetry is told from others' by its name, which its shippers cannot choose.
fn source(inlet: Option<&Inlet>, named: Option<&str>) -> Result<String, Failure> {
    match (inlet, named) {
        (None, named) => source_name(named),
        (Some(inlet), None) => Ok(inlet.name.clone()),
        (Some(_), Some(_)) => {
            Err(Failure::input("Parameter source is not taken by an inlet: its name is the source"))
        }
    }
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
    if Batch::is_reserved(source) {
        return Err(Failure::input(format!(
            "Parameter source must not be '{source}', which stands for what Pintle itself raises"
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

/// The answer: what came in, what it changed, what there is now. A key of an inlet writes and reads
/// nothing, so its holder is not told what was here before: they could ask by it for any file.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    format: Option<&'a str>,
    records: u64,
    with_file_hash: u64,
    rejected: u64,
    rejected_by_reason: &'a BTreeMap<String, u64>,
    ignored: &'a BTreeMap<&'static str, u64>,
    bytes: u64,
    packed_bytes: u64,
    batches: u64,
    repeated_batches: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_machines: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_files: Option<u64>,
    implausible_times: u64,
    alerts_outside_retention: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    totals: Option<Totals>,
}

impl<'a> Report<'a> {
    fn new(taken: &'a Taken) -> Report<'a> {
        let Taken { summary, receipt, .. } = taken;
        Report {
            format: summary.format.as_deref(),
            records: summary.records,
            with_file_hash: summary.with_file_hash,
            rejected: summary.rejects(),
            rejected_by_reason: &summary.rejects_by_reason,
            ignored: &summary.ignored,
            bytes: summary.bytes,
            packed_bytes: summary.packed_bytes,
            batches: taken.batches,
            repeated_batches: taken.repeated_batches,
            new_machines: None,
            new_files: None,
            implausible_times: receipt.implausible_times,
            alerts_outside_retention: receipt.alerts_outside_retention,
            totals: None,
        }
    }

    fn with(self, taken: &Taken, totals: Totals) -> Report<'a> {
        let (new_machines, new_files) = (taken.receipt.new_machines, taken.receipt.new_files);
        Report { new_machines: Some(new_machines), new_files: Some(new_files), totals: Some(totals), ..self }
    }
}
