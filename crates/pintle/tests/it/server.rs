//! `pintle serve` as a process of its own, for what only a process shows.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use serde_json::Value;

use crate::command::{pintle, spawn};

/// A running server.
pub struct Server {
    child: Child,
    pub address: String,
}

impl Server {
    /// Starts one on a data folder, with these variables.
    pub fn start(data: &Path, settings: &[(&str, &str)]) -> Server {
        let mut command = pintle(&["serve"]);
        command.env("PINTLE_DATA_FOLDER", data);
        for (name, value) in [
            ("PINTLE_SERVER_LISTEN", "127.0.0.1:0"),
            ("PINTLE_SERVER_HEALTH_LISTEN", "127.0.0.1:0"),
            ("PINTLE_SERVER_PUBLIC_URL", "http://localhost:8080"),
            ("PINTLE_LOG_FORMAT", "json"),
        ]
        .iter()
        .chain(settings)
        {
            command.env(name, value);
        }
        let mut child = spawn(&mut command);
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut said = String::new();
        let address = log.by_ref().find_map(|line| {
            said += &line;
            let event: Value = serde_json::from_str(&line).ok()?;
            let is_ready = event["message"] == "listening";
            is_ready.then(|| event["api"].as_str().unwrap().trim_start_matches("http://").to_owned())
        });
        // It would stop at a full pipe.
        std::thread::spawn(move || log.for_each(drop));
        Server { child, address: address.unwrap_or_else(|| panic!("it does not listen: {said}")) }
    }

    /// A number of kilobytes in the process's status.
    pub fn kilobytes(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Sends a request and gives the status and the body of the answer.
    pub fn post(&self, path: &str, authorization: &str, body: &[u8]) -> (u16, String) {
        self.ask(&format!("POST {path} HTTP/1.1\r\nAuthorization: {authorization}"), body)
    }

    /// The same of one without a body. To one of HTTP/1.0 the answer comes in one piece.
    pub fn get(&self, path: &str, authorization: &str) -> (u16, String) {
        self.ask(&format!("GET {path} HTTP/1.0\r\nAuthorization: {authorization}"), b"")
    }

    /// Sends a request that begins so.
    pub fn ask(&self, head: &str, body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(600))).unwrap();
        let length = body.len();
        let head =
            format!("{head}\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer}"));
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
