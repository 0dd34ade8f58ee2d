//! A client that keeps its connection open: as much of HTTP/1.1 as the server's answers need.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Far beyond what any answer takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to a server. Every call fails once the server is gone.
pub struct Connection {
    stream: BufReader<TcpStream>,
    token: String,
}

/// The server is gone, or has closed the connection.
#[derive(Debug)]
pub struct Gone;

/// What a server said.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body, whole.
    pub body: String,
}

impl Connection {
    /// Connects to a server.
    pub fn open(address: &str, token: &str) -> Result<Connection, Gone> {
        let stream = TcpStream::connect(address).map_err(|_| Gone)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(|_| Gone)?;
        stream.set_nodelay(true).map_err(|_| Gone)?;
        Ok(Connection { stream: BufReader::new(stream), token: token.to_owned() })
    }

    /// `GET`.
    pub fn get(&mut self, path: &str) -> Result<Answer, Gone> {
        self.send("GET", path, "")
    }

    /// `POST`.
    pub fn post(&mut self, path: &str, body: &str) -> Result<Answer, Gone> {
        self.send("POST", path, body)
    }

    fn send(&mut self, method: &str, path: &str, body: &str) -> Result<Answer, Gone> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes()).map_err(|_| Gone)?;
        self.answer().ok_or(Gone)
    }

    fn answer(&mut self) -> Option<Answer> {
        let status = self.line()?.split(' ').nth(1)?.parse().ok()?;
        let mut length = 0;
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).ok()?;
        Some(Answer { status, body: String::from_utf8(body).ok()? })
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        (self.stream.read_line(&mut line).ok()? > 0).then(|| line.trim_end().to_owned())
    }
}
