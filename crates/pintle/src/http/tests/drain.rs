//! Stopping: what runs is finished, what comes is refused.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use super::{PATIENCE, Running, generous, ms, one_answer, rest, router, send, start};
use crate::config::Limits;
use crate::http::{Listener, Policy, serve};
use crate::metrics::Metrics;

async fn finished(running: Running) -> bool {
    tokio::time::timeout(PATIENCE, running.server).await.expect("it stops").unwrap()
}

#[tokio::test]
async fn running_requests_are_finished_and_new_connections_refused() {
    let running = start(generous()).await;
    let mut idle = send(running.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    one_answer(&mut idle).await;
    let mut busy = send(running.address, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    tokio::time::sleep(ms(100)).await;

    running.shutdown.cancel();
    assert_eq!(rest(&mut idle).await, "");
    assert!(TcpStream::connect(running.address).await.is_err());
    assert!(rest(&mut busy).await.starts_with("HTTP/1.1 200 "));
    assert!(finished(running).await);
}

#[tokio::test]
async fn a_request_that_does_not_finish_is_cut_after_the_drain_timeout() {
    let running = start(Limits { drain_timeout: ms(100), ..generous() }).await;
    let mut stream = send(running.address, "GET /never HTTP/1.1\r\nHost: a\r\n\r\n").await;
    tokio::time::sleep(ms(50)).await;
    running.shutdown.cancel();
    assert_eq!(rest(&mut stream).await, "");
    assert!(!finished(running).await);
}

#[tokio::test]
async fn a_unix_socket_is_served_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = Listener::unix(UnixListener::bind(&path).unwrap());
    let policy = Policy { limits: generous(), trusted_proxies: Vec::new(), metrics: Metrics::new() };
    let shutdown = CancellationToken::new();
    let server = tokio::spawn(serve(router(), vec![listener], policy, shutdown.clone()));
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"GET /ends HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert!(one_answer(&mut stream).await.ends_with("http none"));
    shutdown.cancel();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    assert!(server.await.unwrap());
}
