//! Telemetry as shippers of Elasticsearch's send it (Beats, Fluent Bit, Vector and others), so that one needs
//! no plug-in but an address and a key. Documents are only added, and each becomes a record of whatever
//! format it is; nothing can be asked of them here. Beside that stands what these shippers ask before they
//! send, answered so that they go on.

mod answers;

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use pintle_ingest::{Action, Choice, Documents, Item};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::http::error::Failure;
use crate::http::path::{Key, Keys};
use crate::http::sender::Sender;
use crate::http::telemetry::{Arriving, failure, receive};
use crate::instance::Instance;
use crate::intake::{self, Input};
use answers::{Answered, Bulk};

/// What every answer below has: official clients talk to nothing that does not name itself so.
pub const PRODUCT: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-elastic-product"), HeaderValue::from_static("Elasticsearch"));

/// Where all of it is.
pub const ROOT: &str = "/elastic";

/// The version that the answers are like. Beats from 8 on send to none that is older than they are, unless
/// `allow_older_versions` is set; older ones send to any that is newer.
const VERSION: &str = "8.19.0";

/// The source of an application's documents; an inlet's is its name.
const SOURCE: &str = "elastic";

fn answer(status: StatusCode, body: Vec<u8>) -> Response {
    (status, [(CONTENT_TYPE, "application/json; charset=utf-8")], body).into_response()
}

fn told(body: &Value) -> Result<Response, Failure> {
    Ok(answer(StatusCode::OK, serde_json::to_vec(body).map_err(Failure::internal)?))
}

/// `GET /elastic`: by which a shipper knows what it talks to.
pub async fn info(_: Sender) -> Result<Response, Failure> {
    told(&json!({
        "name": "pintle",
        "cluster_name": "pintle",
        "cluster_uuid": Uuid::nil(),
        "version": {
            "number": VERSION,
            "build_flavor": "default",
            "build_snapshot": false,
            "minimum_wire_compatibility_version": "7.17.0",
            "minimum_index_compatibility_version": "7.0.0",
        },
        // Clients of 7.x compare it.
        "tagline": "You Know, for Search",
    }))
}

fn license() -> Value {
    json!({ "status": "active", "uid": Uuid::nil(), "type": "basic", "mode": "basic", "issuer": "pintle" })
}

/// `GET /elastic/_license`: Beats send to nothing that does not answer it, and warn of one that has expired.
pub async fn get_license(_: Sender) -> Result<Response, Failure> {
    told(&json!({ "license": license() }))
}

/// `GET /elastic/_xpack`: the same for Beats before 7.
pub async fn xpack(_: Sender) -> Result<Response, Failure> {
    told(&json!({ "license": license(), "features": {} }))
}

/// `GET /elastic/_cluster/health`: Vector asks it before it sends.
pub async fn health(_: Sender) -> Result<Response, Failure> {
    told(&json!({ "cluster_name": "pintle", "status": "green", "timed_out": false }))
}

/// `GET /elastic/_ingest/pipeline/{id}`: modules of Filebeat load theirs unless it is there. Documents are
/// read as they come, so whichever it is, it does nothing.
pub async fn pipeline(_: Sender, Key(id): Key) -> Result<Response, Failure> {
    told(&json!({ id: { "description": "Documents are read as they come", "processors": [] } }))
}

/// `POST /elastic/_bulk`: takes documents, gzip or zstd or plain, and answers each of them in order. 200
/// means that all of them are durable; one that cannot be read is kept aside, counted, and answered with 400.
pub async fn bulk(
    State(instance): State<Arc<Instance>>,
    sender: Sender,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    take_bulk(instance, sender, headers, body, None).await
}

/// `POST /elastic/{index}/_bulk`: the same, for documents that name no index.
pub async fn bulk_into(
    State(instance): State<Arc<Instance>>,
    sender: Sender,
    Key(index): Key,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    take_bulk(instance, sender, headers, body, Some(index)).await
}

async fn take_bulk(
    instance: Arc<Instance>,
    sender: Sender,
    headers: HeaderMap,
    body: Body,
    index: Option<String>,
) -> Result<Response, Failure> {
    let of = sender.clone();
    let written = receive(instance, &sender, &headers, body, move |instance, body, limit| {
        let began = Instant::now();
        let mut answers = Bulk::into(index);
        take(instance, &of, Documents::Bulk, (body, limit), &mut |item| answers.add(&item))?;
        answers.finish(began.elapsed())
    });
    Ok(answer(StatusCode::OK, written.await?))
}

/// `POST /elastic/{index}/_doc`: takes one document.
pub async fn add(
    State(instance): State<Arc<Instance>>,
    sender: Sender,
    Key(index): Key,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    take_one(instance, sender, headers, body, (Action::Index, index, None)).await
}

/// `POST` and `PUT /elastic/{index}/_doc/{id}`: the same of one that its sender has a name for.
pub async fn add_named(
    State(instance): State<Arc<Instance>>,
    sender: Sender,
    Keys(index, id): Keys,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    take_one(instance, sender, headers, body, (Action::Index, index, Some(id))).await
}

/// `POST` and `PUT /elastic/{index}/_create/{id}`: the same.
pub async fn create(
    State(instance): State<Arc<Instance>>,
    sender: Sender,
    Keys(index, id): Keys,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    take_one(instance, sender, headers, body, (Action::Create, index, Some(id))).await
}

async fn take_one(
    instance: Arc<Instance>,
    sender: Sender,
    headers: HeaderMap,
    body: Body,
    (action, index, id): (Action, String, Option<String>),
) -> Result<Response, Failure> {
    let of = sender.clone();
    let answered = receive(instance, &sender, &headers, body, move |instance, body, limit| {
        let mut answered = None;
        take(instance, &of, Documents::One(action), (body, limit), &mut |item| {
            answered = Some(Answered::of(&Item { index: Some(&index), id: id.as_deref(), ..item })?);
            Ok(())
        })?;
        answered.ok_or_else(|| Failure::request_body("Request body holds no document"))
    });
    let Answered { status, body } = answered.await?;
    Ok(answer(status, body))
}

/// Takes documents in, each of its own format unless the inlet takes one only.
fn take(
    instance: &Instance,
    sender: &Sender,
    documents: Documents,
    (body, limit): (Arriving, u64),
    answers: &mut (dyn FnMut(Item<'_>) -> Result<(), pintle_ingest::Error> + Send),
) -> Result<(), Failure> {
    let inlet = sender.inlet.as_deref();
    let choice = match inlet.and_then(|inlet| inlet.format.as_deref()) {
        None => Choice::Each(instance.decoders.clone()),
        only => {
            intake::choice(&instance.decoders, only).map_err(|unknown| Failure::input(unknown.to_string()))?
        }
    };
    let source = inlet.map_or(SOURCE, |inlet| &inlet.name);
    let namespace = inlet.and_then(|inlet| inlet.namespace.as_ref());
    let input = Input {
        tenant: sender.tenant,
        source,
        name: source,
        is_live: true,
        choice,
        namespace,
        limit,
        part: None,
    };
    let taken = intake::take_documents(instance, input, body, documents, answers);
    taken.stopped.map_or(Ok(()), |stopped| Err(failure(stopped)))
}
