//! `pintle serve` as a process of its own, and a client that keeps its connection open.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Child;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::command::{pintle, run_on, spawn};

/// Far beyond what any start takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A data folder with a configuration beside it that takes any free port and counts no calls.
pub struct Place {
    pub data: PathBuf,
    config: PathBuf,
    _top: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Place {
        let top = tempfile::tempdir().unwrap();
        let (data, config) = (top.path().join("data"), top.path().join("pintle.toml"));
        let settings = format!(
            "[data]\nfolder = {data:?}\n[server]\nlisten = \"127.0.0.1:0\"\nhealth_listen = \"127.0.0.1:0\"\n\
             public_url = \"http://localhost:8080\"\n[quota]\nenabled = false\n[log]\nformat = \"json\"\n"
        );
        std::fs::write(&config, settings).unwrap();
        Place { data, config, _top: top }
    }

    /// Starts a server on the folder.
    pub fn serve(&self) -> Server {
        let mut child = spawn(&mut pintle(&["serve", "--config", self.config.to_str().unwrap()]));
        let log = BufReader::new(child.stderr.take().unwrap());
        let (line, lines) = channel();
        std::thread::spawn(move || log.lines().map_while(Result::ok).try_for_each(|read| line.send(read)));
        Server { child, lines, said: Vec::new() }
    }

    /// Registers an application.
    pub fn application(&self, permissions: &str) -> Application {
        let made = run_on(&self.data, &["client", "create", "an integration", "-p", permissions, "--json"]);
        assert_eq!(made.code, 0, "{}", made.err);
        let made = made.json();
        let member = |name: &str| made[name].as_str().unwrap().to_owned();
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}\
             &scope=https%3A%2F%2Fapi.securitycenter.microsoft.com%2F.default",
            member("client_id"),
            member("secret")
        );
        Application { tenant: member("tenant_id"), form }
    }
}

/// An application with what it needs for a token.
pub struct Application {
    tenant: String,
    form: String,
}

impl Application {
    /// Gets a token.
    pub async fn token(&self, address: &str) -> String {
        let mut connection = Connection::open(address, "none").await.unwrap();
        let path = format!("/{}/oauth2/v2.0/token", self.tenant);
        let (status, answer) = connection.post(&path, self.form.clone()).await.unwrap();
        assert_eq!(status, 200, "{answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["access_token"].as_str().unwrap().to_owned()
    }
}

/// A running server. It is killed when this goes away.
pub struct Server {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Server {
    /// Waits until it serves, and gives the address.
    pub fn ready(&mut self) -> String {
        let patience = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(patience.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let event: Value = serde_json::from_str(&line).unwrap_or_default();
                    self.said.push(line);
                    if event["message"] == "listening" {
                        return event["api"].as_str().unwrap().trim_start_matches("http://").to_owned();
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("it does not start: {:?}", self.said),
                Err(RecvTimeoutError::Disconnected) => panic!("it ended by itself: {:?}", self.said),
            }
        }
    }

    /// Ends it as nothing can prevent. It must have been running until then.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        self.said.extend(self.lines.iter());
        assert_eq!(status.signal(), Some(9), "it ended by itself: {:?}", self.said);
        let complaints: Vec<_> = self.said.iter().filter(|line| line.contains("\"ERROR\"")).collect();
        assert!(complaints.is_empty(), "{complaints:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been waited for already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client's connection to a server. Every call fails once the server is gone.
pub struct Connection {
    sender: SendRequest<Body>,
    authorization: String,
}

/// The server is gone.
#[derive(Debug)]
pub struct Gone;

impl Connection {
    pub async fn open(address: &str, token: &str) -> Result<Connection, Gone> {
        let stream = TcpStream::connect(address).await.map_err(|_| Gone)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|_| Gone)?;
        tokio::spawn(connection);
        Ok(Connection { sender, authorization: format!("Bearer {token}") })
    }

    pub async fn get(&mut self, path: &str) -> Result<(u16, String), Gone> {
        self.send(Request::get(path), Body::empty()).await
    }

    pub async fn post(&mut self, path: &str, body: String) -> Result<(u16, String), Gone> {
        let request = Request::post(path).header("Content-Type", "application/x-www-form-urlencoded");
        self.send(request, Body::from(body)).await
    }

    async fn send(
        &mut self,
        request: axum::http::request::Builder,
        body: Body,
    ) -> Result<(u16, String), Gone> {
        let request = request.header("Host", "localhost").header("Authorization", &self.authorization);
        self.sender.ready().await.map_err(|_| Gone)?;
        let answer = self.sender.send_request(request.body(body).unwrap()).await.map_err(|_| Gone)?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.map_err(|_| Gone)?.to_bytes();
        Ok((status, String::from_utf8(body.to_vec()).unwrap()))
    }
}
