//! A client that keeps its connection open: as much of HTTP/1.1 as the server's answers need.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// Far beyond what any answer takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to a server. Every call fails once the server is gone.
pub struct Connection {
    stream: BufReader<Box<dyn Stream>>,
    token: String,
}

trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

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

fn connect(address: &str) -> std::io::Result<TcpStream> {
    prepare(TcpStream::connect(address)?, PATIENCE)
}

fn prepare(stream: TcpStream, patience: Duration) -> std::io::Result<TcpStream> {
    stream.set_read_timeout(Some(patience))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Connection {
    /// Connects to a server.
    pub fn open(address: &str, token: &str) -> Result<Connection, Gone> {
        Ok(Connection::over(Box::new(connect(address).map_err(|_| Gone)?), token))
    }

    /// The same from an address of this machine, with an answer's time.
    pub fn open_from(
        from: IpAddr,
        to: SocketAddr,
        token: &str,
        patience: Duration,
    ) -> Result<Connection, Gone> {
        let connect = || {
            let stream = TcpStream::from(rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?);
            rustix::net::bind(&stream, &SocketAddr::new(from, 0))?;
            rustix::net::connect(&stream, &to)?;
            prepare(stream, patience)
        };
        Ok(Connection::over(Box::new(connect().map_err(|_| Gone)?), token))
    }

    /// The same over TLS, if there is a configuration for it.
    pub fn open_by(address: &str, tls: Option<&Arc<ClientConfig>>, token: &str) -> Result<Connection, Gone> {
        let Some(tls) = tls else { return Connection::open(address, token) };
        let name = ServerName::try_from("localhost").map_err(|_| Gone)?;
        let client = ClientConnection::new(Arc::clone(tls), name).map_err(|_| Gone)?;
        let stream = connect(address).map_err(|_| Gone)?;
        Ok(Connection::over(Box::new(StreamOwned::new(client, stream)), token))
    }

    fn over(stream: Box<dyn Stream>, token: &str) -> Connection {
        Connection { stream: BufReader::new(stream), token: token.to_owned() }
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
