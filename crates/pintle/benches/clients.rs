//! The clients of a benchmark: sixteen connections that are kept alive, each with one request at a
//! time, in a process of their own so that the server's processor time is its own.
//!
//! The process reads orders from standard input, a line each, and answers each with a line.

use std::cell::Cell;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;

use crate::measure::Failure;

/// Connections kept alive.
pub const CONNECTIONS: usize = 16;
/// The argument that makes this program the clients.
const ARGUMENT: &str = "--clients";

/// The process of the clients.
pub struct Clients {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Clients {
    /// Starts it.
    pub fn start() -> Result<Clients, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut process = command.arg(ARGUMENT).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let orders = process.stdin.take().ok_or("no standard input")?;
        let answers = process.stdout.take().ok_or("no standard output")?;
        Ok(Clients { process, orders, answers: BufReader::new(answers) })
    }

    /// Makes so many requests. Returns how many seconds they took. Every answer has to be a 200 of
    /// `length` bytes.
    pub fn ask(
        &mut self,
        server: SocketAddr,
        path: &str,
        token: &str,
        length: usize,
        requests: u64,
    ) -> Result<f64, Failure> {
        writeln!(self.orders, "{server} {path} {token} {length} {requests}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        Ok(answer.trim().parse().map_err(|_| format!("the clients stopped at {path}"))?)
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        // It is ours, and has nothing to finish.
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// Whether this process is the clients.
pub fn is_clients() -> bool {
    std::env::args().any(|argument| argument == ARGUMENT)
}

/// Follows orders until there are no more.
pub fn run() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for order in std::io::stdin().lines() {
        let order = order?;
        let mut words = order.split(' ');
        let mut next = || words.next().ok_or("an order is cut short");
        let (server, path, token, length, requests) =
            (next()?.parse()?, next()?, next()?, next()?.parse()?, next()?.parse()?);
        let seconds = runtime.block_on(ask(server, path, token, length, requests))?;
        println!("{seconds}");
    }
    Ok(())
}

async fn ask(
    server: SocketAddr,
    path: &str,
    token: &str,
    length: usize,
    requests: u64,
) -> Result<f64, Failure> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(connect(server).await?);
    }
    let left = Cell::new(requests);
    let began = Instant::now();
    let asking = connections.into_iter().map(|mut connection| {
        let left = &left;
        async move {
            while let Some(fewer) = left.get().checked_sub(1) {
                left.set(fewer);
                let request = Request::get(path)
                    .header(HOST, "localhost")
                    .header(AUTHORIZATION, format!("Bearer {token}"))
                    .body(Empty::new())?;
                let answer = connection.send_request(request).await?;
                let status = answer.status();
                let mut body = answer.into_body();
                let mut received = 0;
                while let Some(frame) = body.frame().await {
                    received += frame?.data_ref().map_or(0, Bytes::len);
                }
                if status != StatusCode::OK || received != length {
                    return Err(format!("{path}: {status}, {received} bytes").into());
                }
            }
            Ok::<(), Failure>(())
        }
    });
    futures_util::future::try_join_all(asking).await?;
    Ok(began.elapsed().as_secs_f64())
}

async fn connect(server: SocketAddr) -> Result<SendRequest<Empty<Bytes>>, Failure> {
    let stream = tokio::net::TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}
