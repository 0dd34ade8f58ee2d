//! The shell as clients meet it: real sockets on loopback, deadlines of a fraction of a second.

mod crowds;
mod drain;
mod limits;
mod surroundings;
mod tls;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Extension;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Listener, Peer, Policy, Scheme, serve};
use crate::config::Limits;
use crate::metrics::Metrics;

const PATIENCE: Duration = Duration::from_secs(5);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Limits long enough not to matter, for tests that shorten one.
fn generous() -> Limits {
    Limits {
        handshake_timeout: PATIENCE * 4,
        header_timeout: PATIENCE * 4,
        body_timeout: PATIENCE * 4,
        idle_timeout: PATIENCE * 4,
        drain_timeout: PATIENCE * 4,
        ..Limits::default()
    }
}

fn count(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

struct Running {
    address: SocketAddr,
    metrics: Metrics,
    shutdown: CancellationToken,
    server: JoinHandle<bool>,
}

async fn start(limits: Limits) -> Running {
    start_with(Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap(), limits).await
}

async fn start_with(listener: Listener, limits: Limits) -> Running {
    let address = listener.address().unwrap();
    let metrics = Metrics::new();
    let policy = Policy { limits, trusted_proxies: Vec::new(), metrics: metrics.clone() };
    let shutdown = CancellationToken::new();
    let server = tokio::spawn(serve(router(), vec![listener], policy, shutdown.clone()));
    Running { address, metrics, shutdown, server }
}

fn router() -> Router {
    Router::new()
        .route("/", get(async || "hello"))
        .route("/length", post(async |body: Bytes| body.len().to_string()))
        .route("/slow", get(async || tokio::time::sleep(ms(400)).await))
        .route("/never", get(async || std::future::pending::<()>().await))
        .route("/large", get(async || vec![b'x'; 64 << 20]))
        .route("/trickle", get(trickle))
        .route("/panic", get(panics))
        .route("/ends", get(ends))
}

/// Pieces that take 100 ms each to make.
async fn trickle() -> axum::body::Body {
    let pieces = futures_util::stream::unfold(0, async |nth| {
        tokio::time::sleep(ms(100)).await;
        (nth < 8).then(|| (Ok::<_, std::convert::Infallible>(Bytes::from_static(b"piece ")), nth + 1))
    });
    axum::body::Body::from_stream(pieces)
}

async fn panics() -> &'static str {
    panic!("on purpose")
}

async fn ends(Extension(scheme): Extension<Scheme>, peer: Option<Extension<Peer>>) -> String {
    format!("{} {}", scheme.as_str(), peer.map_or("none".to_owned(), |p| p.0.0.ip().to_string()))
}

async fn send(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// What comes until the server closes, or a panic when it does not.
async fn rest(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut received = Vec::new();
    // A reset is an end too: it is what closing with bytes left unread looks like.
    _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut received)).await.expect("closed");
    String::from_utf8_lossy(&received).into_owned()
}

/// One answer of the length given in its header, leaving the connection open.
async fn one_answer(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut received = String::new();
    let reading = async {
        loop {
            let byte = stream.read_u8().await.expect("an answer");
            received.push(char::from(byte));
            if let Some((head, body)) = received.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|l| l.strip_prefix("content-length: "));
                if body.len() == length.unwrap().parse::<usize>().unwrap() {
                    return;
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("an answer in time");
    received
}

async fn until(mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(ms(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it becomes true");
}
