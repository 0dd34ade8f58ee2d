//! Keys of inlets: what is written down of them, and when they count.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pintle::config::Config;

use crate::world::{Answer, World};

async fn send(world: &World, header: &str) -> Answer {
    let request = Request::post("/api/ingest").header("Authorization", header);
    world.send(request.body(Body::from("{}")).unwrap()).await
}

#[tokio::test]
async fn wrong_keys_are_in_the_audit_log_without_the_key_and_a_flood_of_them_is_counted() {
    let world = World::new(Config::default());
    let (id, key) = world.inlet("beats", None, None);
    for n in 0..250 {
        let header = format!("ApiKey {}", STANDARD.encode(format!("beats-{n}:{key}-{n}")));
        assert_eq!(send(&world, &header).await.status, 401);
    }
    assert_eq!(send(&world, &format!("Basic {}", STANDARD.encode("\n\u{1b}[31m:x"))).await.status, 401);
    world.instance().audit.close().unwrap();
    let log = std::fs::read_to_string(world.folder().join("audit/00000001.jsonl")).unwrap();
    let refusals: Vec<&str> = log.lines().filter(|line| line.contains("\"inlet.refused\"")).collect();
    assert_eq!(refusals.len(), 101, "a hundred, and how many more");
    assert!(refusals[0].contains("beats-0") && refusals[100].contains("\"repeated\":151"), "{refusals:?}");
    assert!(!log.contains(&key) && !log.contains(&id.to_string()), "{log}");
    assert!(world.instance().metrics.encode().contains("pintle_inlet_refusals_total 251"));
}

#[tokio::test]
async fn what_is_done_to_an_inlet_counts_for_the_next_request_and_a_key_tells_when_it_was_used() {
    let mut world = World::new(Config::default());
    let (id, key) = world.inlet("beats", None, None);
    let header = format!("ApiKey {}", STANDARD.encode(format!("{id}:{key}")));
    // No records in it: whoever gets a 400 was let in.
    assert_eq!(send(&world, &header).await.status, 400);
    let used = |world: &World| {
        let control = &world.instance().control;
        control.inlet_keys(&control.inlet(world.tenant(), "beats").unwrap())[0].last_used
    };
    assert_eq!(used(&world), Some(world.instance().now()));
    world.forward(Duration::from_secs(60));
    assert_eq!(send(&world, &header).await.status, 400);
    assert_eq!(used(&world), Some(world.instance().now()));

    let control = &world.instance().control;
    control.change_inlet(world.tenant(), "beats", None, Some(false)).unwrap();
    assert_eq!(send(&world, &header).await.status, 401);
    control.change_inlet(world.tenant(), "beats", None, Some(true)).unwrap();
    let (_, soon) = control
        .add_inlet_key(
            world.tenant(),
            "beats",
            Some(world.instance().now() + Duration::from_secs(60)),
            world.instance().now(),
        )
        .unwrap();
    let soon = format!("ApiKey {}", STANDARD.encode(format!("{id}:{}", soon.reveal())));
    assert_eq!(send(&world, &soon).await.status, 400);
    world.forward(Duration::from_secs(60));
    assert_eq!(
        (send(&world, &soon).await.status.as_u16(), send(&world, &header).await.status.as_u16()),
        (401, 400)
    );
    world.restart();
    assert_eq!(send(&world, &header).await.status, 400, "also after a restart");
}
