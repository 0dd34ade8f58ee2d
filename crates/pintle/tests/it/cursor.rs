//! Walks of long lists by the links that answers give, and what such a link is not good for.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use axum::body::Body;
use axum::http::Request;
use pintle::config::Config;
use serde_json::{Value, json};

use crate::world::{HOST, World};

const PAGE: usize = 10_000;
const ROWS: usize = PAGE * 2 + 3;

/// A world with so many alerts, each on a machine of its own.
async fn world() -> World {
    let mut config = Config::default();
    config.quota.enabled = false;
    let world = World::new(config);
    let token = world.token(&["Event.Write".to_owned()]);
    let mut lines = String::new();
    for nth in 0..ROWS {
        let severity = ["Low", "High"][nth % 2];
        let properties = json!({
            "Timestamp": format!("2026-01-{:02}T{:02}:00:00Z", 1 + nth % 17, nth * 7 % 24),
            "AlertId": format!("a{:06}", nth * 7_919 % ROWS), "EntityType": "Machine", "EvidenceRole": "Impacted",
            "DeviceId": format!("{:040x}", nth + 1), "Severity": severity,
        });
        let line = json!({
            "time": "2026-01-19T00:00:00Z", "tenantId": uuid::Uuid::nil(), "operationName": "Publish",
            "category": "AdvancedHunting-AlertEvidence", "properties": properties,
        });
        writeln!(lines, "{line}").unwrap();
    }
    let request = Request::post("/api/ingest").header("Authorization", format!("Bearer {token}"));
    let answer = world.send(request.body(Body::from(lines)).unwrap()).await;
    assert!(answer.status == 200 && answer.body.contains(r#""rejected":0"#), "{}", answer.body);
    world
}

async fn get(world: &World, token: &str, path: &str) -> (u16, Value) {
    let request = Request::get(path).header("Authorization", format!("Bearer {token}"));
    let answer = world.send(request.body(Body::empty()).unwrap()).await;
    (answer.status.as_u16(), serde_json::from_str(&answer.body).unwrap())
}

/// The path and query of the link to the next page.
fn next(page: &Value) -> Option<String> {
    let link = page["@odata.nextLink"].as_str()?;
    Some(link.strip_prefix(&format!("https://{HOST}")).unwrap().to_owned())
}

/// Follows a list to its end; the pages' rows.
async fn walked(world: &World, token: &str, path: &str) -> Vec<Vec<Value>> {
    let (mut path, mut pages, mut longest) = (Some(path.to_owned()), Vec::new(), BTreeSet::new());
    while let Some(asked) = path {
        let (status, page) = get(world, token, &asked).await;
        assert_eq!(status, 200, "{asked}: {page}");
        pages.push(page["value"].as_array().unwrap().clone());
        path = next(&page);
        longest.extend(path.as_ref().map(String::len));
    }
    // A link is no longer on the second page than on the first.
    assert!(longest.last().is_none_or(|last| last - longest.first().unwrap() < 64), "{longest:?}");
    pages
}

#[tokio::test]
async fn the_links_of_pages_lead_through_all_rows_and_are_good_for_nothing_else() {
    let mut world = world().await;
    let token = world.token(&["Alert.Read.All".to_owned(), "Machine.Read.All".to_owned()]);
    for (path, pages) in [
        ("/api/alerts?$skip=5", vec![PAGE, ROWS - PAGE - 5]),
        ("/api/alerts?x=1&$orderby=severity+desc,alertCreationTime&$count=true", vec![PAGE, PAGE, 3]),
        ("/api/alerts?%24filter=severity%20eq%20'Low'&$orderby=lastUpdateTime%20desc", vec![PAGE, 2]),
        ("/api/machines?$skip=3", vec![PAGE, PAGE]),
    ] {
        let walked = walked(&world, &token, path).await;
        let lengths: Vec<usize> = walked.iter().map(Vec::len).collect();
        assert_eq!(lengths, pages, "{path}");
        let ids: BTreeSet<&str> = walked.iter().flatten().map(|row| row["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), pages.iter().sum::<usize>(), "{path}: a row was listed twice");
    }

    // With $top the client pages by itself.
    let (_, page) = get(&world, &token, "/api/alerts?$top=10000").await;
    assert_eq!((page["value"].as_array().unwrap().len(), next(&page)), (PAGE, None));

    let asked = "/api/alerts?$orderby=severity&$filter=severity%20ne%20'x'&$count=true&y=2";
    let (_, first) = get(&world, &token, asked).await;
    assert_eq!(first["@odata.count"], ROWS);
    let link = next(&first).unwrap();
    let begin = "/api/alerts?$orderby=severity&$filter=severity%20ne%20'x'&$count=true&$skiptoken=";
    let cursor = link.strip_prefix(begin).unwrap().to_owned();
    // It survives a restart, and $top and $skip count from it.
    world.restart();
    let (status, second) = get(&world, &token, &format!("{link}&$top=2&$skip=1")).await;
    assert_eq!((status, second["value"].as_array().unwrap().len()), (200, 2));
    let (_, whole) = get(&world, &token, &link).await;
    assert_eq!(second["value"][0], whole["value"][1]);
    assert_eq!((&second["@odata.count"], &whole["@odata.count"]), (&json!(ROWS), &json!(ROWS)));

    let other = world.token(&["Alert.Read.All".to_owned()]);
    let user = world.user_token("alice", &["Alert.Read".to_owned()], &["view-data".to_owned()]);
    let altered = |at: usize| {
        let other = if cursor.as_bytes()[at] == b'A' { "B" } else { "A" };
        format!("{begin}{}{other}{}", cursor.get(..at).unwrap(), cursor.get(at + 1..).unwrap())
    };
    for (who, path) in [
        (&other, link.clone()),
        (&user, link.clone()),
        (&token, altered(0)),
        (&token, altered(cursor.len() / 2)),
        (&token, altered(cursor.len() - 2)),
        (&token, format!("{begin}{}", cursor.get(4..).unwrap())),
        (&token, format!("/api/alerts?$orderby=severity&$skiptoken={cursor}")),
        (&token, link.replace("$orderby=severity", "$orderby=status")),
        (&token, link.replace("severity%20ne", "severity%20eq")),
        (&token, link.replace("/api/alerts", "/api/machines")),
        (&token, link.replace("/api/alerts", &format!("/api/machines/{:040x}/alerts", 1))),
    ] {
        let (status, answer) = get(&world, who, &path).await;
        let is_theirs = path.starts_with("/api/machines?");
        assert_eq!(status, 400, "{path}: {answer}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(is_theirs || message.contains("$skiptoken"), "{path}: {message}");
    }
    // Another spelling of the path is the same list.
    let (status, _) = get(&world, &token, &link.replace("/api/alerts", "/API/v1.0/Alerts/")).await;
    assert_eq!(status, 200);
}
