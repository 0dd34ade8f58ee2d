//! What takes long is done for a few at once, and nobody has all of it.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use pintle::config::Config;

use crate::world::World;

#[tokio::test]
async fn only_so_many_lists_are_settled_at_once_and_who_waits_too_long_is_told_to_come_back() {
    let mut config = Config::default();
    config.server.limits.body_timeout = Duration::from_millis(50);
    let world = World::new(config);
    world.ingest_given("fleet.jsonl").await;
    let token = world.token(&["Alert.Read.All".to_owned(), "Machine.Read.All".to_owned()]);
    let get = async |path: &str| {
        let request = Request::get(path).header("Authorization", format!("Bearer {token}"));
        world.send(request.body(Body::empty()).unwrap()).await
    };
    let long = ["/api/alerts", "/api/machines?$filter=id+eq+'x'", "/api/machines/findbytag?tag=x"];
    let patience = Duration::from_secs(9);
    let slots = &world.instance().walk_slots;
    let mut held = Vec::new();
    // As many as one tenant has.
    while let Some(slot) = slots.wait(world.tenant(), Duration::from_millis(50)).await {
        held.push(slot);
    }
    assert_eq!(held.len(), 4);
    for path in long {
        let answer = get(path).await;
        assert_eq!(answer.status, 503, "{path}: {}", answer.body);
        assert!(answer.body.contains("ServiceUnavailable") && answer.headers.contains_key("Retry-After"));
    }
    // What is quick goes on, and so do others.
    assert_eq!(get("/api/machines?$top=1").await.status, 200);
    let other = pintle_model::TenantId::from_bytes([9; 16]);
    assert!(slots.wait(other, patience).await.is_some());
    drop(held);
    // And a place is given back with the answer.
    for path in long.iter().cycle().take(12) {
        let answer = get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    }
}
