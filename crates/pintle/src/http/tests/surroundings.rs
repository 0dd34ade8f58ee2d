//! What surrounds answers: health, metrics.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http_body_util::BodyExt;
use hyper::Request;
use tower::ServiceExt;

use crate::config::AccessLog;
use crate::http::health::{self, Phase, Ready};
use crate::http::observe;
use crate::metrics::{Metrics, TokenOutcome, Window};

async fn ask(router: &Router, method: &str, path: &str) -> (u16, String) {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn readiness_follows_the_servers_life() {
    let ready = Ready::default();
    let router = health::router(ready.clone(), Metrics::new());
    let readyz = async || ask(&router, "GET", "/readyz").await;
    assert_eq!(readyz().await, (503, "starting\n".to_owned()));
    ready.set(Phase::Starting("opening the data folder"));
    assert_eq!(readyz().await, (503, "opening the data folder\n".to_owned()));
    ready.set(Phase::CatchingUp { done: 30, of: 120 });
    let catching_up = "catching up: 30 of 120 bytes of the archive are applied\n";
    assert_eq!(readyz().await, (503, catching_up.to_owned()));
    ready.set(Phase::Ready);
    assert_eq!(readyz().await, (200, "ok\n".to_owned()));
    ready.set(Phase::Draining);
    assert_eq!(readyz().await, (503, "draining\n".to_owned()));
    ready.set(Phase::Ready);
    assert_eq!(readyz().await, (503, "draining\n".to_owned()));
    assert_eq!(ask(&router, "GET", "/livez").await, (200, "ok\n".to_owned()));
}

#[tokio::test]
async fn metrics_count_by_template_and_never_by_what_a_client_writes() {
    let metrics = Metrics::new();
    let api = Router::new()
        .route("/api/files/{id}/machines", get(async || "[]"))
        .route("/api/busy", get(async || hyper::StatusCode::SERVICE_UNAVAILABLE));
    let api = observe::wrap(api, metrics.clone(), AccessLog::All);
    ask(&api, "GET", "/api/files/aaaa/machines").await;
    ask(&api, "GET", "/api/files/bbbb/machines").await;
    ask(&api, "GET", "/api/busy").await;
    ask(&api, "BREW", "/coffee/1").await;
    ask(&api, "BREW2", "/coffee/2").await;
    let at = pintle_model::Time::from_unix_seconds;
    let summary = pintle_ingest::Summary {
        records: 7,
        bytes: 700,
        rejects_by_reason: [("not JSON".to_owned(), 1)].into(),
        file_events: 3,
        without_hash: [("no hash given", 2)].into(),
        ..pintle_ingest::Summary::default()
    };
    metrics.ingested("sysmon", &summary, Some(at(100)), at(200));
    metrics.ingested("sysmon", &pintle_ingest::Summary::default(), Some(at(50)), at(300));
    metrics.watched("logs", 4, 1);
    metrics.kafka_messages("edr", 12);
    metrics.kafka("edr", 2, 7, 1);
    metrics.quota_refused(Window::Minute);
    metrics.token_requested(TokenOutcome::InvalidClient);

    let health = health::router(Ready::default(), metrics);
    let (status, text) = ask(&health, "GET", "/metrics").await;
    assert_eq!(status, 200);
    let version = env!("CARGO_PKG_VERSION");
    let build = format!("pintle_build_info{{version=\"{version}\"}} 1");
    for line in [
        "pintle_http_requests_total{route=\"/api/files/{id}/machines\",method=\"GET\",status=\"200\"} 2",
        "pintle_http_requests_total{route=\"/api/busy\",method=\"GET\",status=\"503\"} 1",
        "pintle_http_requests_total{route=\"none\",method=\"other\",status=\"404\"} 2",
        "pintle_http_request_duration_seconds_count{route=\"/api/files/{id}/machines\"} 2",
        "pintle_http_requests_in_flight 0",
        "pintle_connections 0",
        "pintle_ingest_records_total{format=\"sysmon\"} 7",
        "pintle_ingest_bytes_total{format=\"sysmon\"} 700",
        "pintle_ingest_rejects_total{format=\"sysmon\"} 1",
        "pintle_ingest_file_events_total{format=\"sysmon\"} 3",
        "pintle_ingest_file_events_without_hash_total{format=\"sysmon\",reason=\"no hash given\"} 2",
        "pintle_ingest_last_arrival_timestamp_seconds{format=\"sysmon\"} 300",
        "pintle_ingest_last_event_timestamp_seconds{format=\"sysmon\"} 100",
        "pintle_watched_files{watch=\"logs\"} 4",
        "pintle_watched_troubles{watch=\"logs\"} 1",
        "pintle_kafka_messages_total{kafka=\"edr\"} 12",
        "pintle_kafka_partitions{kafka=\"edr\"} 2",
        "pintle_kafka_lag{kafka=\"edr\"} 7",
        "pintle_kafka_troubles{kafka=\"edr\"} 1",
        "pintle_quota_refusals_total{window=\"minute\"} 1",
        "pintle_token_requests_total{outcome=\"invalid_client\"} 1",
        &build,
        "# EOF",
    ] {
        assert!(text.lines().any(|there| there == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("coffee") && !text.contains("BREW") && !text.contains("aaaa"));
}
