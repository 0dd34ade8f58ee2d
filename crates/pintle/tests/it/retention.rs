//! What is configured about forgetting, as both ways in and the commands on a folder of their own
//! honour it.

use std::path::Path;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::Request;
use pintle::config::Config;
use pintle_model::Time;
use serde_json::{Value, json};

use crate::command::{Ran, on, row, run_on, run_with_input};
use crate::world::World;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Alerts as the API gives them, a line each: one updated at `now`, one 200 days before.
fn alerts(now: Time) -> String {
    let alert = |id: &str, updated: Time| {
        json!({
            "id": id, "severity": "High", "title": "Suspicious file", "machineId": "a1".repeat(20),
            "alertCreationTime": "2020-01-01T00:00:00Z", "lastUpdateTime": updated.to_string(),
        })
    };
    format!("{}\n{}\n", alert("recent", now), alert("old", now - DAY * 200))
}

fn now() -> Time {
    Time::from(SystemTime::now())
}

/// Runs with settings in the environment.
fn run_under(folder: &Path, settings: &[(&str, &str)], arguments: &[&str]) -> Ran {
    Ran::of(on(folder, arguments).envs(settings.iter().copied()).output().unwrap())
}

fn listed(ran: &Ran) -> Vec<String> {
    let alerts = ran.json();
    alerts.as_array().unwrap().iter().map(|alert| alert["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn ingest_says_how_many_alerts_lie_outside_the_retention_already() {
    let top = tempfile::tempdir().unwrap();
    let (folder, input) = (top.path().join("data"), top.path().join("alerts.json"));
    std::fs::write(&input, alerts(now())).unwrap();
    let input = input.to_str().unwrap();
    let half_a_year = [("PINTLE_RETENTION_ALERTS", "180d")];

    let ran = run_under(&folder, &half_a_year, &["ingest", input, "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.json()["alerts"], json!({ "total": 2, "outside_retention": 1 }));
    // Again, as one does who misses an alert: the batch is known, and the answer the same.
    let again = run_under(&folder, &half_a_year, &["ingest", input]);
    let line = again.out.lines().find(|line| line.contains("outside the retention")).unwrap_or_default();
    assert_eq!(line.split_whitespace().last(), Some("1"), "{}", again.out);
    // Without a retention nothing is outside.
    let unlimited = run_on(&folder, &["ingest", input]);
    assert!(!unlimited.out.contains("outside the retention"), "{}", unlimited.out);
}

#[tokio::test]
async fn the_report_over_http_says_so_too() {
    let mut config = Config::default();
    config.retention.alerts = Some(DAY * 180);
    let world = World::new(config);
    let token = world.token(&["Event.Write".to_owned()]);
    let request = Request::post("/api/ingest?live=false").header("Authorization", format!("Bearer {token}"));
    let body = Body::from(alerts(world.instance().now()));
    let answer = world.send(request.body(body).unwrap()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let report: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((&report["alertsOutsideRetention"], &report["totals"]["alerts"]), (&json!(1), &json!(2)));
}

#[test]
fn a_command_on_its_own_folder_honours_the_retention_of_file_and_environment() {
    let top = tempfile::tempdir().unwrap();
    let (folder, file) = (top.path().join("data"), top.path().join("pintle.toml"));
    assert_eq!(run_with_input(&folder, &["ingest", "-"], &alerts(now())).code, 0);
    let list = ["alerts", "--json"];
    assert_eq!(listed(&run_on(&folder, &list)), ["old", "recent"]);
    assert_eq!(listed(&run_under(&folder, &[("PINTLE_RETENTION_ALERTS", "180d")], &list)), ["recent"]);

    std::fs::write(&file, "[retention]\nalerts = \"180d\"\n").unwrap();
    let file = file.to_str().unwrap();
    assert_eq!(listed(&run_on(&folder, &["alerts", "--json", "--config", file])), ["recent"]);
    assert_eq!(listed(&run_under(&folder, &[("PINTLE_CONFIG", file)], &list)), ["recent"]);
    std::fs::write(file, "[tenants.default.retention]\nalerts = \"180d\"\n").unwrap();
    assert_eq!(listed(&run_on(&folder, &["alerts", "--json", "--config", file])), ["recent"]);
}

#[test]
fn a_command_on_its_own_folder_honours_the_archives_caps() {
    for by_file in [false, true] {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("data");
        let rows = |machine| row(machine, "ws-01", 1, &"a1".repeat(20));
        assert_eq!(run_with_input(&folder, &["ingest", "-"], &rows(1)).code, 0);
        // A second segment, as one is begun when the first is full.
        let first = folder.join("archive/00000001.seg");
        let header = std::fs::read(&first).unwrap()[..12].to_vec();
        std::fs::write(folder.join("archive/00000002.seg"), header).unwrap();
        assert_eq!(run_with_input(&folder, &["ingest", "-"], &rows(2)).code, 0);
        assert!(first.exists());

        let file = top.path().join("pintle.toml");
        std::fs::write(&file, "[archive]\nmax_bytes = \"1B\"\n").unwrap();
        let capped = match by_file {
            true => run_on(&folder, &["machines", "--json", "--config", file.to_str().unwrap()]),
            false => run_under(&folder, &[("PINTLE_ARCHIVE_MAX_BYTES", "1B")], &["machines", "--json"]),
        };
        assert_eq!(capped.code, 0, "{}", capped.err);
        assert_eq!(capped.json().as_array().unwrap().len(), 2, "answers stay");
        assert!(!first.exists(), "by file: {by_file}");
    }
}
