//! Rights are given and taken while others ask: nobody else's request fails, and what was taken is gone with
//! the next request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use pintle::auth::application::Proof;
use pintle::auth::control::{DeviceGroupChange, UserChange};
use pintle::auth::permission::Permissions;
use pintle::config::Config;
use pintle_store::{DeviceRule, Operator, Row};
use serde_json::Value;

use crate::world::{AUDIENCE, World};

const CHANGES: usize = 100;

/// The status, and how many machines there were.
async fn machines(world: &World, token: &str) -> (StatusCode, usize) {
    let request = Request::get("/api/machines").header("Authorization", format!("Bearer {token}"));
    let answer = world.send(request.body(Body::empty()).unwrap()).await;
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    (answer.status, body["value"].as_array().map_or(0, Vec::len))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_rights_are_changed_under_load_and_none_is_stale() {
    let mut config = Config::default();
    config.quota.enabled = false;
    let world = Arc::new(World::new(config));
    world.ingest_given("fleet.jsonl").await;
    let all = ["Machine.Read.All".to_owned()];
    let (instance, tenant) = (Arc::clone(world.instance()), world.tenant());
    let control = &instance.control;
    // Whose rights are changed: an application, and a user who sees machines by device groups.
    let changed = world.register(&all, "s");
    let application = control.application(changed).unwrap();
    let issued = instance.issuer.issue(&application, Proof::Secret, AUDIENCE, instance.now());
    let changed_token = issued.unwrap().unwrap().token;
    let user_token = world.user_token("ada", &["Machine.Read".to_owned()], &["view-data".to_owned()]);
    control.create_user_group(tenant, "chosen", "").unwrap();
    let named = vec![Row { operator: Operator::StartsWith, value: "ws".to_owned() }];
    let new = DeviceGroupChange {
        name: Some("workstations".to_owned()),
        rule: Some(DeviceRule { name: named, ..DeviceRule::default() }),
        give: vec!["chosen".to_owned()],
        ..DeviceGroupChange::default()
    };
    control.create_device_group(tenant, new).unwrap();
    instance.regroup(tenant).unwrap();

    let (_, everything) = machines(&world, &world.token(&all)).await;
    let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (world, token) = (Arc::clone(&world), world.token(&all));
            let (stop, calls) = (Arc::clone(&stop), Arc::clone(&calls));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(machines(&world, &token).await, (StatusCode::OK, everything));
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for nth in 0..CHANGES {
        let gives = nth % 2 == 0;
        if nth % 4 < 2 {
            let permissions = Permissions::named(all.iter().filter(|_| gives).map(String::as_str));
            control.change_application(changed, |application| application.permissions = permissions).unwrap();
            let expected = if gives { StatusCode::OK } else { StatusCode::FORBIDDEN };
            assert_eq!(machines(&world, &changed_token).await.0, expected, "change {nth}");
        } else {
            let (join, leave) =
                if gives { (vec!["chosen".into()], vec![]) } else { (vec![], vec!["chosen".into()]) };
            control.change_user(tenant, "ada", UserChange { join, leave, ..UserChange::default() }).unwrap();
            let (status, seen) = machines(&world, &user_token).await;
            assert_eq!(
                (status, seen == everything),
                (StatusCode::OK, gives),
                "change {nth}: {seen} of {everything}"
            );
        }
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    assert!(calls.load(Ordering::Relaxed) > 100, "{calls:?}");
}
