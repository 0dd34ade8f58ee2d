//! Many connections: who is let in, who gives way, who is refused.

use std::net::SocketAddr;
use std::time::Instant;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use super::{PATIENCE, count, generous, ms, one_answer, rest, send, start, until};
use crate::config::Limits;

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// The same from another address of this machine.
async fn send_from(from: &str, to: SocketAddr, text: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_full_server_that_is_at_work_lets_newcomers_wait() {
    let running = start(Limits { max_connections: count(1), ..generous() }).await;
    let mut first = send(running.address, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    tokio::time::sleep(ms(100)).await;
    let mut second = send(running.address, REQUEST).await;
    let early = tokio::time::timeout(ms(150), second.readable()).await;
    assert!(early.is_err(), "answered while full");
    assert!(one_answer(&mut first).await.starts_with("HTTP/1.1 200 "));
    drop(first);
    assert!(one_answer(&mut second).await.ends_with("hello"));
    assert!(running.metrics.encode().contains("pintle_connections_displaced_total 0\n"));
}

#[tokio::test]
async fn whoever_keeps_a_full_server_waiting_gives_way() {
    let idle = REQUEST;
    let slow_body = "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc";
    let takes_nothing = "GET /large HTTP/1.1\r\nHost: a\r\n\r\n";
    for text in ["", "GET / HT", idle, slow_body, takes_nothing] {
        let running = start(Limits { max_connections: count(1), ..generous() }).await;
        let _waited_for = send(running.address, text).await;
        tokio::time::sleep(ms(150)).await;
        let began = Instant::now();
        let mut newcomer = send(running.address, REQUEST).await;
        assert!(one_answer(&mut newcomer).await.ends_with("hello"), "{text:?}");
        assert!(began.elapsed() < PATIENCE, "{text:?}");
        let displaced = "pintle_connections_displaced_total 1\n";
        assert!(running.metrics.encode().contains(displaced), "{text:?}");
    }
}

#[tokio::test]
async fn a_body_that_keeps_coming_does_not_give_way() {
    let running = start(Limits { max_connections: count(1), ..generous() }).await;
    let request = "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n";
    let mut first = send(running.address, request).await;
    let mut second = send(running.address, REQUEST).await;
    for _ in 0..20 {
        tokio::time::sleep(ms(20)).await;
        first.write_all(&[b'x'; 5_000]).await.unwrap();
    }
    assert!(one_answer(&mut first).await.ends_with("100000"));
    assert!(one_answer(&mut second).await.ends_with("hello"));
}

#[tokio::test]
async fn who_has_few_connections_does_not_give_way_for_who_has_many() {
    let running = start(Limits { max_connections: count(3), ..generous() }).await;
    let mut alone = send_from("127.0.0.2", running.address, REQUEST).await;
    one_answer(&mut alone).await;
    tokio::time::sleep(ms(120)).await;
    let mut longer = send_from("127.0.0.3", running.address, "").await;
    tokio::time::sleep(ms(50)).await;
    let _later = send_from("127.0.0.3", running.address, "").await;
    tokio::time::sleep(ms(120)).await;
    let mut newcomer = send_from("127.0.0.4", running.address, REQUEST).await;
    assert!(one_answer(&mut newcomer).await.ends_with("hello"));
    assert_eq!(rest(&mut longer).await, "");
    alone.write_all(REQUEST.as_bytes()).await.unwrap();
    assert!(one_answer(&mut alone).await.ends_with("hello"));
}

#[tokio::test]
async fn one_address_cannot_have_all_connections() {
    let running = start(Limits { max_connections_per_address: count(2), ..generous() }).await;
    let busy = "GET /never HTTP/1.1\r\nHost: a\r\n\r\n";
    let first = send(running.address, busy).await;
    let _second = send(running.address, busy).await;
    tokio::time::sleep(ms(150)).await;
    let mut third = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(rest(&mut third).await, "");
    let refused = "pintle_connections_refused_total{reason=\"address\"} 1\n";
    assert!(running.metrics.encode().contains(refused));

    drop(first);
    until(|| running.metrics.encode().contains("pintle_connections 1\n")).await;
    let mut fourth = send(running.address, REQUEST).await;
    assert!(one_answer(&mut fourth).await.ends_with("hello"));
}

#[tokio::test]
async fn one_of_an_address_that_has_all_it_may_gives_way_to_another_of_it() {
    let running = start(Limits { max_connections_per_address: count(2), ..generous() }).await;
    let mut silent = TcpStream::connect(running.address).await.unwrap();
    let mut idle = send(running.address, REQUEST).await;
    one_answer(&mut idle).await;
    tokio::time::sleep(ms(150)).await;
    let mut third = send(running.address, REQUEST).await;
    assert!(one_answer(&mut third).await.ends_with("hello"));
    assert_eq!(rest(&mut silent).await, "");
    assert!(running.metrics.encode().contains("pintle_connections 2\n"));
}

#[tokio::test]
async fn the_system_holds_little_of_an_answer_that_is_not_taken() {
    let running = start(Limits { body_timeout: ms(300), ..generous() }).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(running.address).await.unwrap();
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    until(|| running.metrics.encode().contains("pintle_connections 1\n")).await;
    // It is cut; what the system had taken by then comes all the same.
    until(|| running.metrics.encode().contains("pintle_connections 0\n")).await;
    let held = rest(&mut stream).await.len();
    assert!((1..900 << 10).contains(&held), "{held} bytes");
}
