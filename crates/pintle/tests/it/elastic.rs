//! Bulk requests as shippers send them: packed, broken off, with lines that are too long or too many.

use std::io::Write as _;

use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use pintle::config::{Config, Size};
use pintle_store::Scope;
use serde_json::{Value, json};
use tokio_stream::StreamExt as _;

use crate::world::{Answer, World};

fn row(n: usize) -> String {
    format!(
        r#"{{"Timestamp":"2026-01-15T09:00:00Z","DeviceId":"{:040x}","DeviceName":"ws-{n}.corp.example","ActionType":"FileCreated","SHA1":"{:040x}","ReportId":{n}}}"#,
        n + 1,
        n + 1
    )
}

async fn send(world: &World, headers: &[(&str, &str)], body: Body) -> Answer {
    let token = world.token(&["Event.Write".to_owned()]);
    let mut request = Request::post("/elastic/_bulk").header("Authorization", format!("Bearer {token}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world.send(request.body(body).unwrap()).await
}

fn statuses(answer: &Answer) -> Vec<u64> {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer: Value = serde_json::from_str(&answer.body).unwrap();
    answer["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item.as_object().unwrap().values().next().unwrap()["status"].as_u64().unwrap())
        .collect()
}

fn machines(world: &World) -> u64 {
    world.instance().store.totals(&Scope::whole(world.tenant())).unwrap().machines
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

#[tokio::test]
async fn who_only_asks_whether_something_is_there_is_told() {
    let world = World::new(Config::default());
    let token = world.token(&["Event.Write".to_owned()]);
    let request = Request::head("/elastic/").header("Authorization", format!("Bearer {token}"));
    let answer = world.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, ""));
    assert_eq!(answer.headers["x-elastic-product"], "Elasticsearch");
}

#[tokio::test]
async fn a_packed_request_is_answered_document_by_document_and_again_when_it_comes_again() {
    let world = World::new(Config::default());
    let lines: String = (0..1_000).map(|n| format!("{{\"create\":{{}}}}\n{}\n", row(n))).collect();
    for headers in [&[("Content-Encoding", "gzip")][..], &[]] {
        let answer = send(&world, headers, Body::from(gzip(lines.as_bytes()))).await;
        assert!(answer.body.starts_with(r#"{"errors":false,"items":["#), "{}", answer.body);
        assert_eq!(statuses(&answer), vec![201; 1_000]);
        assert_eq!(machines(&world), 1_000);
    }
}

#[tokio::test]
async fn what_is_no_record_is_kept_aside_with_its_place_and_counted_whatever_the_others_are() {
    let world = World::new(Config::default());
    // More than are looked at before a file counts as of no known format.
    let none: String = (0..200).map(|n| format!("{{\"index\":{{}}}}\n{{\"what\":{n}}}\n")).collect();
    assert_eq!(statuses(&send(&world, &[], Body::from(none.clone())).await), vec![400; 200]);
    let both = format!("{none}{{\"index\":{{}}}}\n{}\n", row(1));
    assert_eq!(statuses(&send(&world, &[], Body::from(both)).await).last(), Some(&201));
    let rejects = world.instance().store.rejects(&Scope::whole(world.tenant()), 1_000).unwrap();
    assert!(rejects.len() >= 200, "{}", rejects.len());
    let first = rejects.iter().find(|reject| reject.offset == 13).unwrap();
    assert_eq!((first.source.as_str(), &first.bytes[..]), ("elastic", &br#"{"what":0}"#[..]));
    let metrics = world.instance().metrics.encode();
    let counted = r#"pintle_ingest_rejects_total{format="unknown"} 200"#;
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test]
async fn a_line_of_100_mib_costs_its_document_and_is_not_held() {
    let world = World::new(Config::default());
    let begin = format!("{{\"index\":{{}}}}\n{}\n{{\"index\":{{}}}}\n{{\"a\":\"", row(1));
    let long = tokio_stream::iter(0..100).map(|_| Bytes::from(vec![b'x'; 1 << 20]));
    let end = format!("\"}}\n{{\"index\":{{}}}}\n{}\n", row(2));
    let parts =
        tokio_stream::iter([Bytes::from(begin)]).chain(long).chain(tokio_stream::iter([Bytes::from(end)]));
    let body = Body::from_stream(parts.map(Ok::<_, std::io::Error>));
    let answer = send(&world, &[], body).await;
    assert_eq!(statuses(&answer), [201, 400, 201]);
    assert!(answer.body.contains("longer than 16 MiB"), "{}", answer.body);
    assert_eq!(machines(&world), 2);
    // As an action it is none.
    let parts = tokio_stream::iter(0..100).map(|_| Bytes::from(vec![b'x'; 1 << 20]));
    let answer = send(&world, &[], Body::from_stream(parts.map(Ok::<_, std::io::Error>))).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
}

#[tokio::test]
async fn a_request_that_breaks_off_or_is_damaged_is_no_success_and_what_came_of_it_stays() {
    let world = World::new(Config::default());
    let lines = format!("{{\"create\":{{}}}}\n{}\n{{\"create\":{{}}}}\n{{\"Time", row(1));
    let broken = tokio_stream::iter([Ok(Bytes::from(lines)), Err(std::io::Error::other("gone"))]);
    let answer = send(&world, &[], Body::from_stream(broken)).await;
    assert_eq!(answer.status, 408, "{}", answer.body);

    let lines: String = (0..1_000).map(|n| format!("{{\"create\":{{}}}}\n{}\n", row(n))).collect();
    let mut packed = gzip(lines.as_bytes());
    packed.truncate(packed.len() - 100);
    let answer = send(&world, &[], Body::from(packed)).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert!(answer.body.contains("compressed data is damaged"), "{}", answer.body);
    assert!(machines(&world) > 500, "{}", machines(&world));
}

#[tokio::test]
async fn more_bytes_or_more_documents_than_are_taken_are_a_413() {
    let mut config = Config::default();
    config.ingest.max_body_bytes = Size::from_bytes(8 << 20);
    let world = World::new(config);
    // Small enough, but of more documents than are answered.
    let many = gzip("{\"index\":{}}\n{}\n".repeat(500_000).as_bytes());
    // Small, but too large once it is unpacked.
    let large = gzip(&[b' '; 9 << 20]);
    for body in [many, large] {
        let answer = send(&world, &[], Body::from(body)).await;
        assert_eq!(answer.status, 413, "{}", answer.body);
        let error: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(error["error"]["code"], json!("RequestBodyTooLarge"));
    }
}
