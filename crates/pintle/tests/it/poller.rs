//! Who polls for what is new misses nothing, however late it comes.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use pintle::config::Config;
use pintle_model::Time;
use serde_json::Value;

use crate::world::World;

const MINUTES: u64 = 600;

/// The records that arrive in a minute: two alerts and an update of an older one; one in ten is 48 h late, one
/// in ten from the future.
fn records(minute: u64, now: Time) -> String {
    let alert = |id: u64, version: u64| {
        let at = match (id + version) % 10 {
            0 => now - Duration::from_secs(48 * 3_600),
            // A source's clock may be ahead.
            1 => now + Duration::from_secs(20 * 60),
            _ => now - Duration::from_secs(5),
        };
        format!(
            r#"{{"time":"{now}","tenantId":"00000000-0000-4000-8000-00000000feed","operationName":"Publish","category":"AdvancedHunting-AlertInfo","properties":{{"Timestamp":"{at}","AlertId":"a{id:05}","Title":"version {version}","Category":"Execution","Severity":"High","ServiceSource":"s","DetectionSource":"EDR"}},"Tenant":"DefaultTenant"}}"#
        ) + "\n"
    };
    alert(2 * minute, 0) + &alert(2 * minute + 1, 0) + &alert(minute, minute + 1)
}

async fn get(world: &World, token: &str, path: &str) -> Vec<Value> {
    let (mut rows, mut path) = (Vec::new(), path.to_owned());
    loop {
        let request = Request::get(&path).header("Authorization", format!("Bearer {token}"));
        let answer = world.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let mut body: Value = serde_json::from_str(&answer.body).unwrap();
        rows.append(body["value"].as_array_mut().unwrap());
        match body["@odata.nextLink"].as_str() {
            Some(next) => next.clone_into(&mut path),
            None => return rows,
        }
    }
}

#[tokio::test]
async fn every_alert_and_every_change_is_found_by_who_polls_each_minute() {
    let mut config = Config::default();
    config.quota.enabled = false;
    let mut world = World::new(config);
    let mut token = world.token(&["Event.Write".to_owned(), "Alert.Read.All".to_owned()]);
    // By the time of the poll before, by the newest time seen, by the greatest number seen.
    let mut polled = world.instance().now() - Duration::from_secs(1);
    let (mut newest, mut sequence) = (polled.to_string(), 0);
    let mut found: [BTreeSet<String>; 3] = Default::default();
    for minute in 0..MINUTES {
        if minute % 200 == 100 {
            // What is durable comes back; what was seen stays behind.
            world.restart();
            // To start takes a moment.
            world.forward(Duration::from_secs(1));
        }
        if minute % 20 == 0 {
            token = world.token(&["Event.Write".to_owned(), "Alert.Read.All".to_owned()]);
        }
        let request = Request::post("/api/ingest").header("Authorization", format!("Bearer {token}"));
        let body = records(minute, world.instance().now());
        let answer = world.send(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        world.forward(Duration::from_secs(60));
        let select = "$select=id,title,lastUpdateTime,sequence";
        let by_time =
            get(&world, &token, &format!("/api/alerts?$filter=lastUpdateTime+gt+{polled}&{select}")).await;
        polled = world.instance().now();
        let by_newest =
            get(&world, &token, &format!("/api/alerts?$filter=lastUpdateTime+gt+{newest}&{select}")).await;
        let by_sequence = get(
            &world,
            &token,
            &format!("/api/alerts?$filter=sequence+gt+{sequence}&$orderby=sequence&$top=7&{select}"),
        )
        .await;
        for row in &by_newest {
            let updated = Time::parse(row["lastUpdateTime"].as_str().unwrap()).unwrap();
            if updated > Time::parse(&newest).unwrap() {
                newest = updated.to_string();
            }
        }
        for row in &by_sequence {
            let number = row["sequence"].as_i64().unwrap();
            assert!(number > sequence, "they come in their order");
            sequence = number;
        }
        for (found, rows) in found.iter_mut().zip([by_time, by_newest, by_sequence]) {
            assert!(rows.len() <= 7, "nothing comes again for nothing: {rows:?}");
            found.extend(rows.iter().map(|row| format!("{} {}", row["id"], row["title"])));
        }
    }
    let all = get(&world, &token, "/api/alerts?$select=id,title").await;
    let all: BTreeSet<String> = all.iter().map(|row| format!("{} {}", row["id"], row["title"])).collect();
    assert_eq!(all.len() as u64, 2 * MINUTES);
    for (found, how) in found.iter().zip(["time of the poll", "newest time", "sequence"]) {
        let missed: Vec<&String> = all.difference(found).collect();
        assert!(missed.is_empty(), "by {how}: {missed:?}");
    }
}
