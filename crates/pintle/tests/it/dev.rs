//! `pintle dev`, from start to end, as a client of both of its listeners sees it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::Value;

use crate::command::{Ran, pintle, run_on, signal, spawn};

const TENANT: &str = "d0c0ffee-0000-4000-8000-000000000001";
const CLIENT: &str = "d0c0ffee-0000-4000-8000-000000000002";
const SECRET: &str = "pintle-dev-known-to-everybody";

/// A running `pintle dev` of a small company.
struct Dev {
    child: Child,
    ready: Value,
}

impl Dev {
    fn start(more: &[&str]) -> Dev {
        let small = ["--machines", "6", "--days", "5", "--events", "3000", "--alerts", "3"];
        let ports = ["--http", "127.0.0.1:0", "--https", "127.0.0.1:0"];
        let arguments = [&["dev", "--json"], &small[..], &ports, more].concat();
        let mut child = spawn(&mut pintle(&arguments));
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let ready = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line:?}"));
        Dev { child, ready }
    }

    fn text(&self, member: &str) -> &str {
        self.ready[member].as_str().unwrap()
    }

    fn ask(&self, secure: Option<&str>, head: &str, body: &str) -> (u16, Value) {
        let address = |member: &str| {
            let (_, authority) = self.text(member).split_once("://").unwrap();
            authority.replace("localhost", "127.0.0.1")
        };
        let head = format!("{head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        match secure {
            None => exchange(TcpStream::connect(address("http")).unwrap(), &head),
            Some(host) => exchange(tls(&address("https"), host, Path::new(self.text("ca"))), &head),
        }
    }

    fn token(&self, secure: Option<&str>) -> String {
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}&scope=https%3A%2F%2Fapi.securitycenter.microsoft.com%2F.default",
            self.text("client_id"),
            self.text("client_secret")
        );
        let host = secure.unwrap_or("127.0.0.1");
        let head = format!(
            "POST /{}/oauth2/v2.0/token HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded",
            self.text("tenant_id")
        );
        let (status, answer) = self.ask(secure, &head, &form);
        assert_eq!(status, 200, "{answer}");
        answer["access_token"].as_str().unwrap().to_owned()
    }

    fn get(&self, secure: Option<&str>, token: &str, path: &str) -> (u16, Value) {
        let host = secure.unwrap_or("127.0.0.1");
        self.ask(secure, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}"), "")
    }

    fn end(self) -> Ran {
        signal(&self.child, rustix::process::Signal::TERM);
        Ran::of(self.child.wait_with_output().unwrap())
    }
}

fn tls(address: &str, host: &str, authority: &Path) -> impl Read + Write + use<> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    rustls::StreamOwned::new(connection, TcpStream::connect(address).unwrap())
}

/// Sends a request and reads status and JSON body of the answer.
fn exchange(mut stream: impl Read + Write, request: &str) -> (u16, Value) {
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = if head.to_lowercase().contains("transfer-encoding: chunked") {
        unchunked(body)
    } else {
        body.to_owned()
    };
    (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error} in {body:?}")))
}

fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return whole;
        }
        let (chunk, rest) = rest.split_at(size);
        whole.push_str(chunk);
        body = rest.strip_prefix("\r\n").unwrap();
    }
}

#[test]
fn both_questions_are_answered_over_http_and_https_under_the_names_clients_know() {
    let dev = Dev::start(&["--fixed"]);
    assert_eq!(
        (dev.text("tenant_id"), dev.text("client_id"), dev.text("client_secret")),
        (TENANT, CLIENT, SECRET)
    );
    for secure in
        [None, Some("localhost"), Some("login.microsoftonline.com"), Some("api.securitycenter.microsoft.com")]
    {
        let token = dev.token(secure);
        let (status, machines) =
            dev.get(secure, &token, &format!("/api/files/{}/machines", dev.text("file_sha1")));
        assert_eq!(status, 200, "{secure:?}: {machines}");
        assert!(machines["value"].as_array().unwrap().len() >= 2, "{machines}");
        let (status, files) = dev.get(secure, &token, &format!("/api/alerts/{}/files", dev.text("alert_id")));
        assert_eq!(status, 200, "{secure:?}: {files}");
        let files = files["value"].as_array().unwrap();
        assert!(files.iter().any(|file| file["sha1"] == dev.text("file_sha1")), "{files:?}");
    }
    let (_, found) = dev.ask(
        Some("login.microsoftonline.com"),
        "GET /common/discovery/instance?api-version=1.1 HTTP/1.1\r\nHost: login.microsoftonline.com",
        "",
    );
    assert!(found["metadata"].is_array(), "{found}");

    // An alert leads to its user and their machines, and what they connected to is known.
    let token = dev.token(None);
    let get = |path: &str| {
        let (status, answer) = dev.get(None, &token, path);
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    };
    let user = get(&format!("/api/alerts/{}/user", dev.text("alert_id")));
    assert!(user["logOnMachinesCount"].as_u64().unwrap() > 0, "{user}");
    let machines = get(&format!("/api/users/{}/machines", user["accountName"].as_str().unwrap()));
    let machine = machines["value"][0]["id"].as_str().unwrap();
    let users = get(&format!("/api/machines/{machine}/logonusers"));
    assert!(users["value"].as_array().unwrap().iter().any(|other| other["id"] == user["id"]), "{users}");
    let known = (1..255).filter(|nth| {
        let of_domain = dev.get(None, &token, &format!("/api/domains/host{nth}.example.net/machines")).0;
        assert_eq!(of_domain, dev.get(None, &token, &format!("/api/ips/203.0.113.{nth}/machines")).0);
        of_domain == 200
    });
    assert!(known.take(1).count() == 1, "nobody connected to anything");

    // The command line goes through the running process.
    let folder = Path::new(dev.text("data")).to_owned();
    let alerts = run_on(&folder, &["alerts", "--json"]).json();
    assert_eq!(alerts.as_array().unwrap().len(), 3);
    assert_eq!(run_on(&folder, &["search", dev.text("file_sha1")]).code, 0);

    let ended = dev.end();
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(!folder.exists());
}

#[test]
fn without_fixed_the_ids_are_new_and_a_named_folder_is_kept() {
    let top = tempfile::tempdir().unwrap();
    let folder = top.path().join("data");
    let dev = Dev::start(&["--data", folder.to_str().unwrap()]);
    assert_ne!(dev.text("tenant_id"), TENANT);
    assert_ne!(dev.text("client_secret"), SECRET);
    let (file, secret) = (dev.text("file_sha1").to_owned(), dev.text("client_secret").to_owned());
    assert_eq!(dev.end().code, 0);
    assert_eq!(run_on(&folder, &["search", &file]).code, 0);

    // The next run finds what is there, and a new secret takes the old one's place.
    let dev = Dev::start(&["--data", folder.to_str().unwrap()]);
    assert_ne!(dev.text("client_secret"), secret);
    let (status, _) = dev.get(None, &dev.token(None), &format!("/api/files/{file}/machines"));
    assert_eq!(status, 200);
    let list = run_on(&folder, &["client", "list", "--json"]).json();
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(dev.end().code, 0);
}

#[test]
fn quotas_are_off_unless_asked_for() {
    let calls = |dev: &Dev| {
        let token = dev.token(None);
        let path = format!("/api/alerts/{}", dev.text("alert_id"));
        (0..101).map(|_| dev.get(None, &token, &path).0).filter(|status| *status == 429).count()
    };
    let free = Dev::start(&[]);
    assert_eq!(calls(&free), 0);
    free.end();
    let limited = Dev::start(&["--mde-limits"]);
    assert_eq!(calls(&limited), 1);
    limited.end();
}

#[test]
fn nothing_is_left_behind_when_it_is_stopped_before_it_is_ready() {
    let top = tempfile::tempdir().unwrap();
    let arguments = ["dev", "--events", "2000000", "--http", "127.0.0.1:0", "--https", "127.0.0.1:0"];
    let child = spawn(pintle(&arguments).env("TMPDIR", top.path()));
    let begun =
        || std::fs::read_dir(top.path()).unwrap().any(|entry| entry.unwrap().path().join("base").exists());
    let patience = Instant::now() + Duration::from_secs(60);
    while !begun() {
        assert!(Instant::now() < patience, "it does not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    signal(&child, rustix::process::Signal::INT);
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    assert_eq!(std::fs::read_dir(top.path()).unwrap().count(), 0);
}

#[test]
fn a_taken_port_is_named_with_its_flag() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flag in ["--http", "--https"] {
        let other = if flag == "--http" { "--https" } else { "--http" };
        let ran = Ran::of(pintle(&["dev", flag, &address, other, "127.0.0.1:0"]).output().unwrap());
        assert_eq!(ran.code, 1);
        assert!(ran.err.contains(&format!("{address} is taken")) && ran.err.contains(flag), "{}", ran.err);
    }
}
