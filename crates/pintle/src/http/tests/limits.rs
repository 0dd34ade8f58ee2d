//! What a client cannot do: be slow, be silent, be many.

use std::time::Instant;

use axum::body::Body;
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::{PATIENCE, count, generous, ms, one_answer, rest, router, send, start, until};
use crate::config::{Limits, Size};
use crate::http::{Listener, Policy, serve};
use crate::metrics::Metrics;

#[tokio::test]
async fn a_silent_connection_is_cut() {
    let running = start(Limits { header_timeout: ms(100), ..generous() }).await;
    let began = Instant::now();
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(rest(&mut stream).await, "");
    assert!(began.elapsed() >= ms(100));
}

#[tokio::test]
async fn a_slow_header_is_cut_though_bytes_keep_coming() {
    let running = start(Limits { header_timeout: ms(200), ..generous() }).await;
    let began = Instant::now();
    let stream = send(running.address, "GET / HTTP/1.1\r\nHost: pintle.example.org\r\n").await;
    let (mut reader, mut writer) = stream.into_split();
    let trickle = tokio::spawn(async move {
        while writer.write_all(b"X-Slow: 1\r\n").await.is_ok() {
            tokio::time::sleep(ms(20)).await;
        }
    });
    assert_eq!(rest(&mut reader).await, "");
    assert!(began.elapsed() >= ms(200) && began.elapsed() < PATIENCE);
    trickle.abort();
}

#[tokio::test]
async fn a_slow_header_after_an_answer_is_cut_too() {
    let running = start(Limits { header_timeout: ms(100), ..generous() }).await;
    let mut stream = send(running.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    one_answer(&mut stream).await;
    stream.write_all(b"GET / HT").await.unwrap();
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test]
async fn an_idle_connection_outlives_the_header_timeout_but_not_the_idle_timeout() {
    let limits = Limits { header_timeout: ms(60), idle_timeout: ms(400), ..generous() };
    let running = start(limits).await;
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut stream = send(running.address, request).await;
    one_answer(&mut stream).await;
    tokio::time::sleep(ms(200)).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    assert!(one_answer(&mut stream).await.ends_with("hello"));
    let began = Instant::now();
    assert_eq!(rest(&mut stream).await, "");
    assert!(began.elapsed() >= ms(350), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_http2_connection_without_requests_is_closed_when_idle() {
    let limits = Limits { header_timeout: ms(50), idle_timeout: ms(150), ..generous() };
    let running = start(limits).await;
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0";
    let began = Instant::now();
    let mut stream = send(running.address, preface).await;
    rest(&mut stream).await;
    assert!(began.elapsed() >= ms(150));
}

#[tokio::test]
async fn a_stalled_body_is_answered_with_408() {
    let running = start(Limits { body_timeout: ms(100), ..generous() }).await;
    let request = "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc";
    let mut stream = send(running.address, request).await;
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    assert!(
        answer.contains(r#"{"error":{"code":"BadRequest","message":"Request body broke off"#),
        "{answer}"
    );
}

#[tokio::test]
async fn a_body_that_comes_slowly_but_steadily_is_read() {
    let running = start(Limits { body_timeout: ms(200), ..generous() }).await;
    let request = "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n";
    let mut stream = send(running.address, request).await;
    for _ in 0..8 {
        tokio::time::sleep(ms(50)).await;
        stream.write_all(b"x").await.unwrap();
    }
    assert!(one_answer(&mut stream).await.ends_with('8'));
}

#[tokio::test]
async fn a_handler_may_take_longer_than_any_timeout() {
    let limits = Limits { header_timeout: ms(50), body_timeout: ms(50), idle_timeout: ms(50), ..generous() };
    let running = start(limits).await;
    let mut stream = send(running.address, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(one_answer(&mut stream).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_client_that_does_not_take_its_answer_is_cut() {
    let limits = Limits { body_timeout: ms(100), idle_timeout: ms(100), ..generous() };
    let running = start(limits).await;
    let _stream = send(running.address, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let connections = |n| running.metrics.encode().contains(&format!("pintle_connections {n}\n"));
    until(|| connections(1)).await;
    until(|| connections(0)).await;
}

#[tokio::test]
async fn a_client_that_takes_its_answer_byte_by_byte_is_cut() {
    let limits = Limits { body_timeout: ms(300), min_answer_rate: Size::mebibytes(100), ..generous() };
    let running = start(limits).await;
    let mut stream = send(running.address, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let began = Instant::now();
    let mut some = vec![0; 128 << 10];
    // Something of it all the time, of 64 MiB that are due in about a second.
    while stream.read(&mut some).await.is_ok_and(|bytes| bytes > 0) {
        tokio::time::sleep(ms(20)).await;
        assert!(began.elapsed() < PATIENCE, "it is cut");
    }
}

#[tokio::test]
async fn an_answer_that_is_made_slowly_is_no_fault_of_the_client() {
    let limits = Limits { body_timeout: ms(200), min_answer_rate: Size::mebibytes(1), ..generous() };
    let running = start(limits).await;
    let mut stream =
        send(running.address, "GET /trickle HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!(rest(&mut stream).await.matches("piece").count(), 8);
}

#[tokio::test]
async fn an_http2_client_that_gives_no_window_for_its_answer_is_cut() {
    let running = start(Limits { body_timeout: ms(200), ..generous() }).await;
    let stream = TokioIo::new(TcpStream::connect(running.address).await.unwrap());
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let ended = tokio::spawn(connection);
    let request = Request::get("http://a/large").body(Body::empty()).unwrap();
    let _unread = client.send_request(request).await.unwrap();
    assert!(!ended.is_finished());
    _ = tokio::time::timeout(PATIENCE, ended).await.expect("it is cut");
}

#[tokio::test]
async fn a_working_handler_is_no_reason_to_keep_an_answer_that_is_not_taken() {
    let running = start(Limits { body_timeout: ms(200), ..generous() }).await;
    let stream = TokioIo::new(TcpStream::connect(running.address).await.unwrap());
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let ended = tokio::spawn(connection);
    let get = |path: &str| Request::get(format!("http://a{path}")).body(Body::empty()).unwrap();
    let working = tokio::spawn(client.send_request(get("/never")));
    let _unread = client.send_request(get("/large")).await.unwrap();
    _ = tokio::time::timeout(PATIENCE, ended).await.expect("it is cut");
    assert!(working.await.unwrap().is_err());
}

#[tokio::test]
async fn pings_do_not_keep_an_idle_connection() {
    let running = start(Limits { idle_timeout: ms(200), header_timeout: ms(100), ..generous() }).await;
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0";
    let (mut reader, mut writer) = send(running.address, preface).await.into_split();
    let pings = tokio::spawn(async move {
        let ping = b"\0\0\x08\x06\0\0\0\0\x00pingping";
        while writer.write_all(ping).await.is_ok() {
            tokio::time::sleep(ms(20)).await;
        }
    });
    rest(&mut reader).await;
    pings.abort();
}

#[tokio::test]
async fn a_trusted_proxy_brings_many_clients() {
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.address().unwrap();
    let policy = Policy {
        limits: Limits { max_connections_per_address: count(1), ..generous() },
        trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()],
        metrics: Metrics::new(),
    };
    tokio::spawn(serve(router(), vec![listener], policy, CancellationToken::new()));
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut both = [send(address, request).await, send(address, request).await];
    for stream in &mut both {
        assert!(one_answer(stream).await.ends_with("hello"));
    }
}

#[tokio::test]
async fn a_panicking_handler_is_a_500_and_the_connection_goes_on() {
    let running = start(generous()).await;
    let mut stream = send(running.address, "GET /panic HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(one_answer(&mut stream).await.starts_with("HTTP/1.1 500 "));
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert!(one_answer(&mut stream).await.ends_with("hello"));
}
