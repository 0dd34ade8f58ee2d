//! The side of a command.

use std::io;
use std::path::{Path, PathBuf};

use axum::body::{Body, Bytes};
use axum::http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use pintle_store::Progress;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio_util::task::AbortOnDropHandle;

use super::address::Address;
use super::wire;

/// Why a request came to nothing, one variant per thing a command can do about it.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens: take the folder.
    #[error("nobody serves {}", .0.display())]
    Nobody(PathBuf),
    /// It was understood and refused: tell the user.
    #[error("{0}")]
    Refused(String),
    /// The other side went away or makes no sense: it stopped, or is another version.
    #[error("the pintle that owns {} stopped answering: {reason}", .folder.display())]
    Broken {
        /// The data folder.
        folder: PathBuf,
        /// What happened.
        reason: String,
    },
}

/// Speaks to whoever owns a data folder.
#[derive(Clone, Debug)]
pub struct Client {
    folder: PathBuf,
}

impl Client {
    /// Finds the owner of the folder.
    pub async fn connect(folder: &Path) -> Result<Client, ClientError> {
        let client = Client { folder: folder.to_owned() };
        client.stream().await?;
        Ok(client)
    }

    /// Whether the owner still answers.
    pub(crate) async fn is_answered(&self) -> bool {
        let tenants: Result<serde_json::Value, _> =
            self.get("/api/admin/tenants", &serde_json::Value::Null).await;
        tenants.is_ok()
    }

    async fn stream(&self) -> Result<UnixStream, ClientError> {
        let nobody = || ClientError::Nobody(self.folder.clone());
        let address = match Address::of(&self.folder, super::FILE) {
            Ok(address) => address,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(nobody()),
            Err(error) => return Err(self.broken(error)),
        };
        match UnixStream::connect(&address.path).await {
            Ok(stream) => Ok(stream),
            // No socket, or one whose process is dead.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) =>
            {
                Err(nobody())
            }
            Err(error) => Err(self.broken(error)),
        }
    }

    fn broken(&self, error: impl ToString) -> ClientError {
        ClientError::Broken { folder: self.folder.clone(), reason: error.to_string() }
    }

    async fn send(&self, request: Request<Body>) -> Result<Answer, ClientError> {
        let stream = TokioIo::new(self.stream().await?);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(stream).await.map_err(|error| self.broken(error))?;
        let connection = AbortOnDropHandle::new(tokio::spawn(async move {
            // What goes wrong is told to the request.
            let _ = connection.await;
        }));
        let answer = sender.send_request(request).await.map_err(|error| self.broken(error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(Answer { body: answer.into_body(), _connection: connection });
        }
        let body = answer.into_body().collect().await.map_err(|error| self.broken(error))?.to_bytes();
        match serde_json::from_slice::<wire::Refusal>(&body) {
            Ok(refusal) => Err(ClientError::Refused(refusal.error)),
            Err(_) if status == StatusCode::NOT_FOUND => Err(self.broken("it is of another version")),
            Err(_) => Err(ClientError::Refused(String::from_utf8_lossy(&body).into_owned())),
        }
    }

    fn request(&self, method: Method, path: &str, body: Body) -> Result<Request<Body>, ClientError> {
        let request = Request::builder().method(method).uri(path).header(header::HOST, "pintle");
        let request = request.header(header::CONTENT_TYPE, "application/json");
        request.body(body).map_err(|error| self.broken(error))
    }

    /// Asks with GET.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &impl Serialize,
    ) -> Result<T, ClientError> {
        let path = format!("{path}?{}", self.query(query)?);
        self.answer(self.request(Method::GET, &path, Body::empty())?).await
    }

    /// Asks with another method and a JSON body.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| self.broken(error))?;
        self.answer(self.request(method, path, body.into())?).await
    }

    /// Asks for an operation of administration.
    pub(crate) async fn administer<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        of: &impl Serialize,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.call(method, &format!("{path}?{}", self.query(of)?), body).await
    }

    async fn answer<T: DeserializeOwned>(&self, request: Request<Body>) -> Result<T, ClientError> {
        let mut answer = self.send(request).await?;
        let body = (&mut answer.body).collect().await.map_err(|error| self.broken(error))?.to_bytes();
        // What answers without a body is `null` to its caller.
        let body: &[u8] = if body.is_empty() { b"null" } else { &body };
        serde_json::from_slice(body).map_err(|error| self.broken(error))
    }

    fn query(&self, query: &impl Serialize) -> Result<String, ClientError> {
        let value = serde_json::to_value(query).map_err(|error| self.broken(error))?;
        let members = value.as_object().into_iter().flatten().filter_map(|(name, value)| {
            let text = match value {
                serde_json::Value::Null => return None,
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let text = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC);
            Some(format!("{name}={text}"))
        });
        Ok(members.collect::<Vec<_>>().join("&"))
    }

    /// Sends an input's bytes and tells how many records are durable and how many of the bytes
    /// have been taken in, as it goes.
    pub(crate) async fn ingest(
        &self,
        asked: &wire::Ingest,
        bytes: Body,
        progress: &mut (dyn FnMut(u64, u64) + Send),
    ) -> Result<wire::Report, ClientError> {
        let path = format!("/ingest?{}", self.query(asked)?);
        let mut lines = Lines::of(self.send(self.request(Method::POST, &path, bytes)?).await?);
        while let Some(line) = lines.next().await.map_err(|error| self.broken(error))? {
            match serde_json::from_slice(&line).map_err(|error| self.broken(error))? {
                wire::IngestLine::Progress { records, packed_bytes } => progress(records, packed_bytes),
                wire::IngestLine::Report(report) => return Ok(*report),
            }
        }
        Err(self.broken("it gave no report"))
    }

    /// Asks for what takes long and tells how far it has come.
    pub(crate) async fn long<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| self.broken(error))?;
        let mut lines = Lines::of(self.send(self.request(method, path, body.into())?).await?);
        while let Some(line) = lines.next().await.map_err(|error| self.broken(error))? {
            match serde_json::from_slice(&line).map_err(|error| self.broken(error))? {
                wire::LongLine::Progress(come) => progress(come),
                wire::LongLine::Done(done) => return Ok(done),
                wire::LongLine::Failed(why) => return Err(ClientError::Refused(why)),
            }
        }
        Err(self.broken("it gave no answer"))
    }

    /// Asks for hashes and hands over each answer as it comes.
    pub(crate) async fn search(
        &self,
        asked: &wire::Search,
        found: &mut dyn FnMut(wire::Found) -> io::Result<()>,
    ) -> Result<io::Result<()>, ClientError> {
        let body = serde_json::to_vec(asked).map_err(|error| self.broken(error))?;
        let mut lines = Lines::of(self.send(self.request(Method::POST, "/search", body.into())?).await?);
        while let Some(line) = lines.next().await.map_err(|error| self.broken(error))? {
            if let Ok(refusal) = serde_json::from_slice::<wire::Refusal>(&line) {
                return Err(ClientError::Refused(refusal.error));
            }
            let line = serde_json::from_slice(&line).map_err(|error| self.broken(error))?;
            if let Err(error) = found(line) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }
}

/// A good answer. Dropping it ends the connection, also when the request is still being sent.
struct Answer {
    body: Incoming,
    _connection: AbortOnDropHandle<()>,
}

/// The lines of an answer, as they arrive.
struct Lines {
    answer: Answer,
    rest: Vec<u8>,
}

impl Lines {
    fn of(answer: Answer) -> Lines {
        Lines { answer, rest: Vec::new() }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, hyper::Error> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.rest) {
                let after = self.rest.split_off(end + 1);
                return Ok(Some(std::mem::replace(&mut self.rest, after).into()));
            }
            match self.answer.body.frame().await {
                Some(frame) => {
                    if let Ok(data) = frame?.into_data() {
                        self.rest.extend_from_slice(&data);
                    }
                }
                None => return Ok(None),
            }
        }
    }
}
