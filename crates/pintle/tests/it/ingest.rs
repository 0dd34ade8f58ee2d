//! Bodies of telemetry that are packed, large or broken off.

use std::io::Write as _;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use pintle::config::{Config, Size};
use serde_json::Value;
use tokio_stream::StreamExt as _;

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

/// A zip with these members.
fn zip(members: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in members {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[tokio::test]
async fn an_archive_is_taken_member_by_member_and_nothing_of_it_stays_behind() {
    let mut world = World::new(Config::default());
    let archive = zip(&[("a.json", &lines(100)), ("notes.txt", "no telemetry\n")]);
    let answer = send(&world, &[], Body::from(archive)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let report: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((&report["records"], &report["rejected"]), (&101.into(), &1.into()));
    assert_eq!(report["rejectedByReason"], serde_json::json!({ "of no known format": 1 }));
    assert_eq!(report["totals"]["files"], 100);
    let scope = pintle_store::Scope::whole(world.tenant());
    assert_eq!(world.instance().store.rejects(&scope, 10).unwrap()[0].source, "http:notes.txt");

    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    let text = lines(120);
    header.set_size(text.len() as u64);
    tar.append_data(&mut header, "b/a.json", text.as_bytes()).unwrap();
    let answer = send(&world, &[], Body::from(tar.into_inner().unwrap())).await;
    let report: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((&report["records"], &report["newFiles"]), (&120.into(), &20.into()));

    let none = send(&world, &[], Body::from(zip(&[("notes.txt", "no telemetry\n")]))).await;
    assert_eq!(none.status, 400, "{}", none.body);

    let held = world.instance().held.clone();
    assert_eq!(std::fs::read_dir(&held).unwrap().count(), 0);
    std::fs::write(held.join("left over by a crash"), "").unwrap();
    world.restart();
    assert_eq!(std::fs::read_dir(&held).unwrap().count(), 0);
}

#[tokio::test]
async fn an_archive_beyond_the_limit_is_a_413() {
    let mut config = Config::default();
    config.ingest.max_body_bytes = Size::from_bytes(20_000);
    let world = World::new(config);
    let text = lines(60);
    assert!((10_000..20_000).contains(&text.len()));
    assert_eq!(send(&world, &[], Body::from(zip(&[("a", &text)]))).await.status, 200);
    let answer = send(&world, &[], Body::from(zip(&[("a", &text), ("b", &text)]))).await;
    assert_eq!(answer.status, 413, "{}", answer.body);
}

/// Something, and then next to nothing for ever.
fn trickle(beginning: usize) -> Body {
    let trickle = tokio_stream::iter(0..).then(move |part: u32| async move {
        if part == 0 {
            return Ok(" ".repeat(beginning));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok::<_, std::io::Error>(" ".to_owned())
    });
    Body::from_stream(Box::pin(trickle))
}

#[tokio::test]
async fn slow_bodies_end_and_keep_nobody_waiting_for_long() {
    let mut config = Config::default();
    config.server.limits.body_timeout = Duration::from_millis(500);
    // What has come by then is worth a tenth of a second.
    config.ingest.min_body_rate = Size::from_bytes(1_000_000);
    let world = World::new(config);
    let slow = || send(&world, &[], trickle(100_000));
    // Two have the tenant's places; who came with them does not wait for so long.
    let all = async { tokio::join!(slow(), slow(), slow()) };
    let (one, other, third) = tokio::time::timeout(Duration::from_secs(10), all).await.expect("all end");
    let mut statuses = [one.status, other.status, third.status].map(|status| status.as_u16());
    statuses.sort_unstable();
    assert_eq!(statuses, [408, 408, 503]);
    let refused = [one, other, third].into_iter().find(|answer| answer.status == 503).unwrap();
    assert_eq!(refused.headers["Retry-After"], "1");
    assert_eq!(send(&world, &[], Body::from(lines(1))).await.status, 200);
}

#[tokio::test]
async fn bodies_that_do_not_get_going_take_no_place_from_others() {
    let mut config = Config::default();
    config.server.limits.body_timeout = Duration::from_millis(800);
    // At 50 bytes a second each is found too slow before long.
    config.ingest.min_body_rate = Size::from_bytes(1_000);
    let world = World::new(config);
    let slow = async {
        let [one, other, third, last] = [1, 2, 3, 4].map(|beginning| send(&world, &[], trickle(beginning)));
        tokio::join!(one, other, third, last)
    };
    let whole = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let began = std::time::Instant::now();
        let answer = send(&world, &[], Body::from(lines(1))).await;
        (answer.status, began.elapsed())
    };
    let ((one, other, third, last), (status, took)) = tokio::join!(slow, whole);
    assert_eq!(status, 200);
    assert!(took < Duration::from_millis(500), "it waited for {took:?}");
    for slow in [one, other, third, last] {
        assert_eq!(slow.status, 408);
    }
}

#[tokio::test]
async fn a_key_that_is_at_work_is_a_409_and_one_whose_body_broke_off_is_free_again() {
    let world = World::new(Config::default());
    let (id, secret) = world.inlet("beats", None, None);
    let authorization = format!("ApiKey {}", STANDARD.encode(format!("{id}:{secret}")));
    let send = |body: Body| {
        let request = Request::post("/api/ingest").header("Authorization", &authorization);
        world.send(request.header("Idempotency-Key", "a1").body(body).unwrap())
    };
    let breaks_off = tokio_stream::iter(0..2).then(async |part| match part {
        0 => Ok(lines(1)),
        _ => {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Err(std::io::Error::other("gone"))
        }
    });
    let second = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        send(Body::from(lines(1))).await
    };
    // The first is given up by its client.
    let first =
        tokio::time::timeout(Duration::from_millis(200), send(Body::from_stream(Box::pin(breaks_off))));
    let (first, second) = tokio::join!(first, second);
    assert!(first.is_err());
    assert_eq!((second.status.as_u16(), second.headers["retry-after"].to_str().unwrap()), (409, "5"));
    let patience = std::time::Instant::now() + Duration::from_secs(30);
    // Its body is read until it ends.
    let third = loop {
        let third = send(Body::from(lines(1))).await;
        if third.status != 409 || std::time::Instant::now() > patience {
            break third;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(third.status, 200, "{}", third.body);
}

#[tokio::test]
async fn a_sender_with_too_many_bodies_under_way_is_told_to_send_fewer_and_others_are_not() {
    let world = World::new(Config::default());
    let [one, other] = ["one", "other"].map(|name| world.inlet(name, None, None));
    let queue = &world.instance().ingest_queue;
    let under_way: Vec<_> = std::iter::from_fn(|| queue.enter(one.0)).collect();
    assert_eq!(under_way.len(), 128);
    let send = |(id, key): &(uuid::Uuid, String)| {
        let key = STANDARD.encode(format!("{id}:{key}"));
        let request = Request::post("/api/ingest").header("Authorization", format!("ApiKey {key}"));
        world.send(request.body(Body::from(lines(1))).unwrap())
    };
    let refused = send(&one).await;
    assert_eq!(refused.status, 429, "{}", refused.body);
    assert_eq!(refused.headers["Retry-After"], "30");
    assert_eq!(send(&other).await.status, 200);
    drop(under_way);
    assert_eq!(send(&one).await.status, 200);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_success() {
    let world = World::new(Config::default());
    let pieces = [Ok(Bytes::from(lines(10))), Err(std::io::Error::other("gone"))];
    let answer = send(&world, &[], Body::from_stream(tokio_stream::iter(pieces))).await;
    assert_eq!(answer.status, 408, "{}", answer.body);
}
