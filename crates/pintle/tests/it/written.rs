//! Long lists in each form in which they can be asked for: the same entities, whole and in order.

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use pintle::auth::control::DeviceGroupChange;
use pintle::config::Config;
use pintle_model::tables::{alert_info, device_info};
use pintle_model::{Record, Row};
use pintle_store::Batch;
use serde_json::Value;

use crate::world::World;

const MANY: usize = 10_020;

/// A tenant with so many machines and alerts that lists of them have several pages and pieces.
fn many() -> World {
    let world = World::new(Config::default());
    let (instance, now) = (world.instance(), world.instance().now());
    let machine = |number: usize| {
        let mut row = Row::new(&device_info::TABLE);
        row.set_time(device_info::TIMESTAMP, Some(now));
        row.set_text(device_info::DEVICE_ID, Some(&format!("{number:040x}")));
        Record::Row(row)
    };
    let alert = |number: usize| {
        let mut row = Row::new(&alert_info::TABLE);
        row.set_time(alert_info::TIMESTAMP, Some(now));
        row.set_text(alert_info::ALERT_ID, Some(&format!("a{number:06}")));
        row.set_text(alert_info::TITLE, Some(&format!("\u{e9} \"{number}\"}},{{\n")));
        Record::Row(row)
    };
    let records = (0..MANY).map(machine).chain((0..MANY).map(alert)).collect();
    let batch = Batch { records, ..Batch::recorded(world.tenant(), "test") };
    instance.store.append(batch).unwrap();
    world
}

async fn ask(world: &World, token: &str, path: &str, accept: &str) -> (String, Value) {
    let request =
        Request::get(path).header("Authorization", format!("Bearer {token}")).header("Accept", accept);
    let answer = world.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    let json = serde_json::from_str(&answer.body).unwrap_or_default();
    (answer.body, json)
}

/// All entities, by following the links.
async fn walked(world: &World, token: &str, path: &str) -> Vec<Value> {
    let (mut all, mut next) = (Vec::new(), Some(path.to_owned()));
    while let Some(path) = next {
        let (_, page) = ask(world, token, &path, "application/json").await;
        all.extend(page["value"].as_array().unwrap().iter().cloned());
        next = page["@odata.nextLink"].as_str().map(|link| link.split_once("/api").unwrap().1.to_owned());
        next = next.map(|path| format!("/api{path}"));
    }
    all
}

#[tokio::test]
async fn pages_lines_and_selected_members_of_a_long_list_are_the_same_entities() {
    let world = many();
    let token = world.token(&["Machine.Read.All".to_owned(), "Alert.Read.All".to_owned()]);
    for (path, other) in [("/api/machines", "lastSeen"), ("/api/alerts", "title")] {
        let pages = walked(&world, &token, path).await;
        assert_eq!(pages.len(), MANY);
        let (lines, _) = ask(&world, &token, path, "application/x-ndjson").await;
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(lines == pages, "{path}");
        let part = |skip: usize| format!("{path}?$select={other},id&$skip={skip}");
        let (some, _) = ask(&world, &token, &part(3), "application/x-ndjson").await;
        let some: Vec<Value> = some.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let picked = |entity: &Value| serde_json::json!({"id": entity["id"], other: entity[other]});
        assert_eq!(some, pages.iter().skip(3).map(picked).collect::<Vec<_>>(), "{path}");
        assert_eq!(walked(&world, &token, &part(3)).await, some, "{path}");
        let (top, _) = ask(&world, &token, &format!("{path}?$top=5000"), "application/x-ndjson").await;
        assert_eq!(top.lines().count(), 5_000);
    }
}

#[tokio::test]
async fn a_long_answer_is_packed_as_it_is_made() {
    let world = many();
    let token = world.token(&["Machine.Read.All".to_owned()]);
    let router = pintle::http::routes::router(std::sync::Arc::clone(world.instance()));
    let router = pintle::http::compress::wrap(router);
    let (plain, _) = ask(&world, &token, "/api/machines", "application/x-ndjson").await;
    for (coding, expected) in [("gzip", Some("gzip")), ("zstd", None), ("zstd, gzip;q=0.1", Some("gzip"))] {
        let request = Request::get("/api/machines")
            .header("Authorization", format!("Bearer {token}"))
            .header("Accept", "application/x-ndjson")
            .header("Accept-Encoding", coding);
        let request = request.body(Body::empty()).unwrap();
        let (parts, mut body) =
            tower::ServiceExt::oneshot(router.clone(), request).await.unwrap().into_parts();
        let packed = parts.headers.get("content-encoding").map(|value| value.to_str().unwrap());
        assert_eq!(packed, expected, "{coding}");
        let (mut read, mut largest) = (Vec::new(), 0);
        while let Some(frame) = body.frame().await {
            let piece = frame.unwrap().into_data().unwrap();
            largest = largest.max(piece.len());
            read.extend_from_slice(&piece);
        }
        assert!(largest < 200_000, "a piece of {largest}");
        let unpacked = match packed {
            Some(_) => {
                let mut unpacked = String::new();
                std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&*read), &mut unpacked)
                    .unwrap();
                unpacked
            }
            None => String::from_utf8(read).unwrap(),
        };
        assert!(unpacked == plain, "{coding}");
    }
}

#[tokio::test]
async fn where_hidden_machines_count_for_nothing_their_times_and_sources_are_not_told() {
    let mut config = Config::default();
    config.scope.narrow_statistics = true;
    let world = World::new(config);
    world.ingest_given("fleet.jsonl").await;
    let (control, tenant) = (&world.instance().control, world.tenant());
    control.create_user_group(tenant, "server team", "").unwrap();
    let give = vec!["server team".to_owned()];
    let servers = DeviceGroupChange { name: Some("servers".into()), give, ..DeviceGroupChange::default() };
    control.create_device_group(tenant, servers).unwrap();
    world.instance().regroup(tenant).unwrap();
    let some = world.user_token("alice", &["Machine.Read".to_owned()], &["view-data".to_owned()]);
    let all = world.token(&["Machine.Read.All".to_owned()]);
    for (token, scope, tells) in [(some, "device-groups", false), (all, "tenant", true)] {
        let request = Request::get("/api/machines").header("Authorization", format!("Bearer {token}"));
        let answer = world.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.headers["pintle-scope"], scope);
        for name in ["pintle-events-from", "pintle-events-to", "pintle-sources", "pintle-source-count"] {
            assert_eq!(answer.headers.contains_key(name), tells, "{name} {scope}");
        }
    }
}
