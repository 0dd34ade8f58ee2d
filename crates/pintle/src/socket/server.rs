//! The side of whoever owns the data folder. One screen of routes, then their handlers, each a
//! thin layer over the store or the control file.

mod admin;
mod audited;
mod batches;
mod pull;
mod remake;
mod retention;

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::IncomingStream;
use axum::{Json, Router};
use futures_util::TryStreamExt;
use pintle_ingest::{Choice, Content, Decoder, Mapping};
use pintle_model::FileHash;
use pintle_store::{Batch, Page, Progress, Scope, Span, Store};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::address::Address;
use super::wire;
use crate::audit::Entry;
use crate::http::unread::{DrainedBody, Patience};
use crate::instance::Instance;
use crate::intake::{self, Input, Taken};
use crate::keep;
use audited::audited;

/// What keeps the socket from being opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {}: {source}", .path.display())]
pub struct ListenError {
    path: PathBuf,
    source: io::Error,
}

/// A socket that is being served. [`Listening::close`] ends it; dropping it leaves it to the
/// runtime.
pub struct Listening {
    path: PathBuf,
    stop: oneshot::Sender<()>,
    served: JoinHandle<io::Result<()>>,
}

impl Listening {
    /// Takes no more requests, lets the running ones end and removes the socket. Dropping this future
    /// gives up those that still run: what of their inputs is durable stays.
    pub async fn close(self) {
        // One that stays is replaced by the folder's next owner.
        let _ = std::fs::remove_file(&self.path);
        // Nobody hears it if serving has ended by itself.
        let _ = self.stop.send(());
        // Accepting is all that can have failed, and it is over anyway.
        let _ = self.served.await;
    }
}

/// Opens the socket in the instance's data folder and serves it. The instance holds the folder's
/// lock, so a socket that is there already is a dead process's and is replaced.
pub fn listen(instance: Arc<Instance>) -> Result<Listening, ListenError> {
    let folder = instance.store.folder().to_owned();
    let path = folder.join(super::FILE);
    let listener = bind(&folder, &path).map_err(|source| ListenError { path: path.clone(), source })?;
    let (stop, stopped) = oneshot::channel::<()>();
    let router = routes().with_state(instance);
    let served = tokio::spawn(async move {
        let stopped = async {
            // The sender's end means the same as its word.
            let _ = stopped.await;
        };
        let router = router.into_make_service_with_connect_info::<Peer>();
        axum::serve(listener, router).with_graceful_shutdown(stopped).await
    });
    Ok(Listening { path, stop, served })
}

/// Binds in a folder of its own (0700) and moves the socket to its place once its mode is right:
/// there is no moment at which others could connect.
fn bind(folder: &Path, path: &Path) -> io::Result<UnixListener> {
    let only_owner = std::fs::Permissions::from_mode(0o700);
    let private = tempfile::Builder::new().prefix(".socket").permissions(only_owner).tempdir_in(folder)?;
    let address = Address::of(private.path(), "s")?;
    let listener = UnixListener::bind(&address.path)?;
    std::fs::set_permissions(&address.path, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(private.path().join("s"), path)?;
    Ok(listener)
}

fn routes() -> Router<Arc<Instance>> {
    admin::routes(Router::new())
        .route("/ingest", post(ingest))
        .route("/formats", get(formats))
        .route("/search", post(search))
        .route("/alerts", get(alerts))
        .route("/machines", get(machines))
        .route("/rejects", get(rejects))
        .route("/conflicts", get(conflicts))
        .route("/batches", get(batches::list))
        .route("/purge", post(remake::purge))
        .route("/purge/plan", post(remake::plan))
        .route("/rebuild", post(remake::rebuild))
        .route("/pull", post(pull::round))
        .route("/retention", get(retention::show))
        .route("/retention/run", post(retention::run))
        .route("/retention/resume", post(retention::resume))
        .route("/totals", get(totals))
        .route("/sources", get(sources))
        .route("/check", get(check))
        .route("/backup", post(backup))
        // A command reads its answer only if what it sends is taken to the end, also by a refusal.
        // It stops sending once it has the answer.
        .layer(axum::middleware::map_request(async |request: Request| {
            request.map(|body| Body::new(DrainedBody::new(body, Patience::ENDLESS)))
        }))
        // Inputs are as large as they are; the body is streamed.
        .layer(axum::extract::DefaultBodyLimit::disable())
}

type Owner = State<Arc<Instance>>;

/// The process on the other side, as the system knows it.
#[derive(Clone, Copy, Debug, Default)]
struct Peer {
    uid: Option<u32>,
    pid: Option<i32>,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Peer {
        let known = stream.io().peer_cred().ok();
        Peer { uid: known.map(|known| known.uid()), pid: known.and_then(|known| known.pid()) }
    }
}

/// Why a request was not carried out, in words for the terminal.
struct Refused(StatusCode, String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.1)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(wire::Refusal { error: self.1 })).into_response()
    }
}

impl From<pintle_store::Error> for Refused {
    fn from(error: pintle_store::Error) -> Refused {
        Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

impl From<keep::Error> for Refused {
    fn from(error: keep::Error) -> Refused {
        Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

fn unusable(error: impl ToString) -> Refused {
    Refused(StatusCode::BAD_REQUEST, error.to_string())
}

/// The whole of a tenant: the socket's callers own the data folder.
fn scope(instance: &Instance, tenant: &str) -> Result<Scope, Refused> {
    let tenant = instance.control.tenant(tenant).ok_or_else(|| {
        let names: Vec<String> = instance.control.tenants().into_iter().map(|tenant| tenant.name).collect();
        unusable(format!("no tenant `{tenant}`: there is {}", names.join(", ")))
    })?;
    Ok(Scope::whole(tenant.id))
}

/// Runs a question on a thread that may block.
async fn ask<T: Send + 'static>(
    instance: &Instance,
    question: impl FnOnce(&Store) -> Result<T, pintle_store::Error> + Send + 'static,
) -> Result<T, Refused> {
    let store = Arc::clone(&instance.store);
    blocking(move || Ok(question(&store)?)).await
}

/// Runs anything on a thread that may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())))
}

async fn ingest(
    State(instance): Owner,
    Query(asked): Query<wire::Ingest>,
    body: Body,
) -> Result<Response, Refused> {
    let tenant = scope(&instance, &asked.tenant)?.tenant();
    if let Some(reserved) = [Batch::PEOPLE, Batch::PINTLE].into_iter().find(|name| *name == asked.source) {
        return Err(unusable(pintle_store::Error::ReservedSource(reserved)));
    }
    let (lines, answer) = mpsc::channel::<Result<Bytes, io::Error>>(16);
    let mut input = StreamReader::new(body.into_data_stream().map_err(io::Error::other));
    let choice = match asked.mapping_bytes {
        0 => intake::choice(&instance.decoders, asked.format.as_deref()).map_err(unusable)?,
        bytes => Choice::Only(Decoder::Mapping(Arc::new(mapping(&mut input, bytes).await?))),
    };
    tokio::task::spawn_blocking(move || {
        let mut input = SyncIoBridge::new(input);
        // Who owns the folder may put in as much as there is.
        let asked_for = Input {
            tenant,
            source: &asked.source,
            name: &asked.source,
            is_live: false,
            choice,
            namespace: None,
            limit: pintle_ingest::MAX_BYTES,
            part: None,
        };
        let taken = intake::take(&instance, asked_for, Content::stream(&mut input), &mut |durable| {
            // A line that finds the channel full is left out: the next one says more.
            let progress =
                wire::IngestLine::Progress { records: durable.records, packed_bytes: durable.packed_bytes };
            let _ = line(&progress).map(|line| lines.try_send(Ok(line)));
        });
        let report = Box::new(report(asked.source, taken));
        // A command that is gone reads no report; what it sent is durable all the same.
        let _ = line(&wire::IngestLine::Report(report)).map(|line| lines.blocking_send(Ok(line)));
    });
    Ok(Body::from_stream(ReceiverStream::new(answer)).into_response())
}

/// The names of all that decodes here.
async fn formats(State(instance): Owner) -> Json<Vec<String>> {
    Json(instance.decoders.iter().map(|decoder| decoder.name().to_owned()).collect())
}

/// The mapping that stands before an input.
async fn mapping(input: &mut (impl AsyncRead + Unpin), bytes: usize) -> Result<Mapping, Refused> {
    if bytes > pintle_ingest::MAX_MAPPING_BYTES {
        return Err(unusable("the mapping is too long"));
    }
    let mut text = vec![0; bytes];
    input.read_exact(&mut text).await.map_err(unusable)?;
    let text = String::from_utf8(text).map_err(unusable)?;
    Mapping::read(&text).map_err(unusable)
}

fn report(source: String, taken: Taken) -> wire::Report {
    let Taken { summary, receipt, repeated_batches, stopped, .. } = taken;
    wire::Report {
        error: stopped.map(|stopped| reason(&stopped, &source)),
        source,
        format: summary.format.map(Cow::into_owned),
        records: summary.records,
        with_file_hash: summary.with_file_hash,
        ignored: summary.ignored.into_iter().map(|(reason, number)| (reason.to_owned(), number)).collect(),
        kept_aside: summary.rejects_by_reason,
        bytes: summary.bytes,
        repeated_batches,
        new: wire::New { machines: receipt.new_machines, files: receipt.new_files },
        implausible_times: receipt.implausible_times,
        alerts_outside_retention: receipt.alerts_outside_retention,
    }
}

/// Why reading stopped, for a list in which the input's name stands already.
fn reason(stopped: &pintle_ingest::Error, source: &str) -> String {
    match stopped {
        pintle_ingest::Error::Unrecognised(_, names) => {
            format!("of no known format; --format names one: {names}")
        }
        pintle_ingest::Error::Read(_, error) => format!("cannot be read: {error}"),
        stopped => {
            let text = stopped.to_string();
            text.strip_prefix(source).map_or(text.clone(), |rest| rest.trim_start().to_owned())
        }
    }
}

fn line(value: &impl serde::Serialize) -> Result<Bytes, serde_json::Error> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line.into())
}

async fn search(State(instance): Owner, Json(asked): Json<wire::Search>) -> Result<Response, Refused> {
    let scope = scope(&instance, &asked.tenant)?;
    let hashes: Vec<FileHash> = asked
        .hashes
        .iter()
        .map(|text| FileHash::from_str(text).map_err(|error| unusable(format!("`{text}`: {error}"))))
        .collect::<Result<_, _>>()?;
    let (lines, answer) = mpsc::channel::<Result<Bytes, io::Error>>(64);
    tokio::task::spawn_blocking(move || {
        for hash in hashes {
            let found = instance.store.file_sightings(&scope, &hash).map(|sightings| found(hash, sightings));
            let sent = match found {
                Ok(found) => line(&found).map_err(io::Error::other),
                Err(error) => line(&wire::Refusal { error: error.to_string() }).map_err(io::Error::other),
            };
            // The command has gone away.
            if lines.blocking_send(sent).is_err() {
                return;
            }
        }
    });
    Ok(Body::from_stream(ReceiverStream::new(answer)).into_response())
}

fn found(
    hash: FileHash,
    sightings: Option<(Vec<pintle_store::Sighting>, pintle_store::FileMachines)>,
) -> wire::Found {
    let between =
        |span: Span| wire::Between { first_seen: span.first.to_string(), last_seen: span.last.to_string() };
    let found = sightings.is_some();
    let (sightings, machines) = sightings.unwrap_or_default();
    wire::Found {
        kind: hash.kind().name().to_owned(),
        hash: hash.to_string(),
        found,
        machines: sightings
            .into_iter()
            .map(|sighting| wire::SeenOn {
                id: sighting.machine.to_string(),
                name: sighting.name,
                as_target: sighting.as_target.map(between),
                any_role: sighting.any_role.map(between),
            })
            .collect(),
        ask_instead: machines.ask_instead.into_iter().map(wire::NamedHash::from).collect(),
    }
}

async fn alerts(State(instance): Owner, Query(part): Query<wire::Part>) -> Result<Response, Refused> {
    let scope = scope(&instance, &part.tenant)?;
    let page = Page { skip: part.skip, top: part.top };
    entities(ask(&instance, move |store| written(|out| store.alerts(&scope, page, out))).await?)
}

async fn machines(State(instance): Owner, Query(part): Query<wire::Part>) -> Result<Response, Refused> {
    let scope = scope(&instance, &part.tenant)?;
    let page = Page { skip: part.skip, top: part.top };
    entities(ask(&instance, move |store| written(|out| store.machines(&scope, page, out))).await?)
}

/// A list as the store writes it, in brackets.
fn written(
    write: impl FnOnce(&mut Vec<u8>) -> Result<usize, pintle_store::Error>,
) -> Result<Vec<u8>, pintle_store::Error> {
    let mut out = b"[".to_vec();
    write(&mut out)?;
    out.push(b']');
    Ok(out)
}

fn entities(body: Vec<u8>) -> Result<Response, Refused> {
    Ok(([("content-type", "application/json")], body).into_response())
}

async fn rejects(
    State(instance): Owner,
    Query(part): Query<wire::Part>,
) -> Result<Json<Vec<wire::Reject>>, Refused> {
    let scope = scope(&instance, &part.tenant)?;
    let limit = part.skip.saturating_add(part.top);
    let rejects = ask(&instance, move |store| store.rejects(&scope, limit)).await?;
    let rejects = rejects.into_iter().skip(part.skip).map(|reject| wire::Reject {
        source: reject.source,
        offset: reject.offset,
        reason: reject.reason,
        text: String::from_utf8_lossy(&reject.bytes).into_owned(),
    });
    Ok(Json(rejects.collect()))
}

async fn conflicts(
    State(instance): Owner,
    Query(of): Query<wire::OfTenant>,
) -> Result<Json<Vec<wire::Conflict>>, Refused> {
    let scope = scope(&instance, &of.tenant)?;
    let conflicts = ask(&instance, move |store| store.conflicts(&scope)).await?;
    let conflicts = conflicts.into_iter().map(|conflict| wire::Conflict {
        hash: conflict.hash.into(),
        partners: conflict.partners.into_iter().map(wire::NamedHash::from).collect(),
    });
    Ok(Json(conflicts.collect()))
}

async fn totals(
    State(instance): Owner,
    Query(of): Query<wire::OfTenant>,
) -> Result<Json<wire::Held>, Refused> {
    let scope = scope(&instance, &of.tenant)?;
    Ok(Json(ask(&instance, move |store| store.totals(&scope)).await?.into()))
}

async fn sources(
    State(instance): Owner,
    Query(of): Query<wire::OfTenant>,
) -> Result<Json<serde_json::Value>, Refused> {
    let scope = scope(&instance, &of.tenant)?;
    Ok(Json(crate::sources::status(&instance, scope.tenant())))
}

async fn check(State(instance): Owner) -> Response {
    long(move |come| {
        let mut checked = instance.store.check(come)?;
        keep::check(instance.store.folder(), &mut checked);
        Ok::<_, pintle_store::Error>(checked)
    })
}

async fn backup(
    State(instance): Owner,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Json(asked): Json<wire::Backup>,
) -> Response {
    let entry = Entry::new(peer.into(), "backup").on(asked.to.display());
    long(move |come| {
        let made = keep::backup(&instance, &asked.to, asked.passphrase, come);
        audited(&instance, made, entry, |entry, made| {
            entry.with("files", made.backup.files).with("bytes", made.backup.bytes)
        })
    })
}

/// Does what takes long on a thread that may block, and answers how far it has come, a line each. It
/// goes on to its end if the command goes away.
fn long<T: serde::Serialize, E: ToString>(
    work: impl FnOnce(&mut dyn FnMut(Progress)) -> Result<T, E> + Send + 'static,
) -> Response {
    let (lines, answer) = mpsc::channel::<Result<Bytes, io::Error>>(16);
    tokio::task::spawn_blocking(move || {
        let done = work(&mut |come| {
            // A line that finds the channel full is left out: the next one says more.
            let _ = line(&wire::LongLine::<T>::Progress(come)).map(|line| lines.try_send(Ok(line)));
        });
        let said = match done {
            Ok(done) => wire::LongLine::Done(done),
            Err(error) => wire::LongLine::Failed(error.to_string()),
        };
        // A command that is gone reads no answer.
        let _ = line(&said).map(|line| lines.blocking_send(Ok(line)));
    });
    Body::from_stream(ReceiverStream::new(answer)).into_response()
}
