//! Bodies of telemetry that are packed, large or broken off.

use std::io::Write as _;

use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use pintle::config::{Config, Size};
use serde_json::Value;

use crate::world::{Answer, World};

/// Lines of the streaming export, one file each.
fn lines(count: usize) -> String {
    let line = |n: usize| {
        format!(
            r#"{{"time":"2026-01-15T09:40:00Z","category":"AdvancedHunting-DeviceFileEvents","properties":{{"Timestamp":"2026-01-15T09:00:00Z","DeviceId":"{:040x}","DeviceName":"ws-{n}.corp.example","ActionType":"FileCreated","FileName":"x.exe","SHA1":"{:040x}","ReportId":{n}}}}}"#,
            n % 5 + 1,
            n + 1
        )
    };
    (0..count).map(line).collect::<Vec<_>>().join("\n")
}

async fn send(world: &World, headers: &[(&str, &str)], body: Body) -> Answer {
    let token = world.token(&["Event.Write".to_owned()]);
    let mut request = Request::post("/api/ingest").header("Authorization", format!("Bearer {token}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world.send(request.body(body).unwrap()).await
}

#[tokio::test]
async fn gzip_is_seen_with_and_without_the_header() {
    for headers in [&[("Content-Encoding", "gzip")][..], &[]] {
        let world = World::new(Config::default());
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(lines(100).as_bytes()).unwrap();
        let answer = send(&world, headers, Body::from(packed.finish().unwrap())).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let report: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(report["records"], 100);
        assert_eq!(report["totals"]["files"], 100);
        assert_eq!(report["totals"]["machines"], 5);
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_a_413_packed_or_not() {
    let mut config = Config::default();
    config.ingest.max_body_bytes = Size::from_bytes(10_000);
    let world = World::new(config);
    let plain = lines(100);
    assert!(plain.len() > 10_000);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(plain.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    assert!(packed.len() < 10_000);
    // One raw block of zstd: it is the decoder that meets the limit.
    let size = u32::try_from(plain.len() << 3 | 1).unwrap().to_le_bytes();
    let zstd = [b"\x28\xb5\x2f\xfd\x00\x50", &size[..3], plain.as_bytes()].concat();
    for body in [plain.into_bytes(), packed, zstd] {
        let answer = send(&world, &[], Body::from(body)).await;
        assert_eq!(answer.status, 413, "{}", answer.body);
        let error: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(error["error"]["code"], "RequestBodyTooLarge");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_success() {
    let world = World::new(Config::default());
    let pieces = [Ok(Bytes::from(lines(10))), Err(std::io::Error::other("gone"))];
    let answer = send(&world, &[], Body::from_stream(tokio_stream::iter(pieces))).await;
    assert_eq!(answer.status, 408, "{}", answer.body);
}
