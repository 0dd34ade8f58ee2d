//! What changes through the API leave in the audit log.

use axum::body::Body;
use axum::http::Request;
use pintle::config::Config;
use serde_json::Value;

use crate::world::World;

#[tokio::test]
async fn every_change_and_every_refused_one_is_written_down_with_who_made_it() {
    let world = World::new(Config::default());
    world.ingest_given("fleet.jsonl").await;
    let scopes = ["Alert.ReadWrite", "Machine.ReadWrite"].map(str::to_owned);
    let roles = ["alerts-investigation", "manage-security-settings"].map(str::to_owned);
    let token = world.user_token("alice", &scopes, &roles);
    let alert = "da639000000000000001_-17";
    let machine = "1".repeat(40);
    let unknown = "9".repeat(40);
    for (method, path, body, status, action, told) in [
        (
            "PATCH",
            format!("/api/alerts/{alert}"),
            r#"{"status": "New", "comment": "a secret thought"}"#.to_owned(),
            200,
            "alert.updated",
            r#""status":"New""#,
        ),
        (
            "PATCH",
            "/api/alerts/none".to_owned(),
            r#"{"status": "New"}"#.to_owned(),
            404,
            "alert.updated",
            r#""outcome":"refused""#,
        ),
        (
            "POST",
            "/api/alerts/batchUpdate".to_owned(),
            format!(r#"{{"alertIds": ["{alert}"], "assignedTo": "kim"}}"#),
            200,
            "alert.updated",
            r#""assignedTo":"kim""#,
        ),
        (
            "PATCH",
            format!("/api/machines/{machine}"),
            r#"{"deviceValue": "Low"}"#.to_owned(),
            200,
            "machine.updated",
            r#""deviceValue":"Low""#,
        ),
        (
            "POST",
            format!("/api/machines/{machine}/tags"),
            r#"{"Value": "x", "Action": "Add"}"#.to_owned(),
            200,
            "machine.updated",
            r#""tagAdded":"x""#,
        ),
        (
            "POST",
            format!("/api/machines/{unknown}/tags"),
            r#"{"Value": "x", "Action": "Add"}"#.to_owned(),
            404,
            "machine.updated",
            r#""code":"404""#,
        ),
        (
            "POST",
            format!("/api/machines/{machine}/setDeviceValue"),
            r#"{"DeviceValue": "High"}"#.to_owned(),
            200,
            "machine.updated",
            r#""deviceValue":"High""#,
        ),
        (
            "POST",
            "/api/machines/AddOrRemoveTagForMultipleMachines".to_owned(),
            format!(r#"{{"MachineIds": ["{machine}"], "Value": "x", "Action": "Remove"}}"#),
            200,
            "machine.updated",
            r#""tagRemoved":"x""#,
        ),
    ] {
        let before = lines(&world);
        let request =
            Request::builder().method(method).uri(&path).header("Authorization", format!("Bearer {token}"));
        let answer = world.send(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        let after = lines(&world);
        let [line] = after.get(before.len()..).unwrap() else { panic!("{path}: {after:?}") };
        let said: Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            (said["action"].as_str(), said["actor"]["name"].as_str()),
            (Some(action), Some("alice")),
            "{line}"
        );
        assert!(line.contains(told) && !line.contains("secret"), "{line}");
    }
}

/// The lines of the log about changes.
fn lines(world: &World) -> Vec<String> {
    let folder = world.instance().store.folder().join("audit");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let log = files.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    let log: String = log.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    log.lines().filter(|line| line.contains(".updated")).map(str::to_owned).collect()
}

#[tokio::test]
async fn only_so_many_events_are_looked_for_at_once_and_who_waits_too_long_is_told_to_come_back() {
    let mut config = Config::default();
    config.server.limits.body_timeout = std::time::Duration::from_millis(50);
    let world = World::new(config);
    world.ingest_given("fleet.jsonl").await;
    let token = world.token(&["Alert.ReadWrite.All".to_owned()]);
    let machine = "2".repeat(40);
    let body = format!(
        r#"{{"machineId": "{machine}", "severity": "Low", "title": "A tool", "description": "It is here",
        "recommendedAction": "Take it away", "eventTime": "2026-01-15T09:10:00.1234567Z", "reportId": 9,
        "category": "Malware"}}"#
    );
    let raise = async || {
        let request = Request::post("/api/alerts/CreateAlertByReference")
            .header("Authorization", format!("Bearer {token}"))
            .header("Content-Type", "application/json");
        world.send(request.body(Body::from(body.clone())).unwrap()).await
    };
    let patience = std::time::Duration::from_secs(9);
    let held = world.instance().event_slots.wait(world.tenant(), patience).await.unwrap();
    let answer = raise().await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.body.contains("ServiceUnavailable") && answer.headers.contains_key("Retry-After"));
    drop(held);
    for _ in 0..3 {
        let answer = raise().await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}
