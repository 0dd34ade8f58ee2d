//! The keys that sign tokens are exchanged and revoked while the server works.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use pintle::auth::keys::State;
use pintle::config::Config;
use serde_json::Value;

use crate::command::run_on;
use crate::world::{AUDIENCE, World};

async fn new_token(world: &World, id: &str) -> String {
    let form =
        format!("grant_type=client_credentials&client_id={id}&client_secret=s&scope={AUDIENCE}/.default");
    let answer =
        world.send(Request::post("/default/oauth2/v2.0/token").body(Body::from(form)).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    body["access_token"].as_str().unwrap().to_owned()
}

async fn call(world: &World, token: &str) -> StatusCode {
    let request = Request::get("/api/machines").header("Authorization", format!("Bearer {token}"));
    world.send(request.body(Body::empty()).unwrap()).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_keys_are_exchanged_under_load_and_no_request_fails() {
    let mut config = Config::default();
    config.quota.enabled = false;
    let world = Arc::new(World::new(config));
    let id = world.register(&["Machine.Read.All".to_owned()], "s").to_string();
    let first = new_token(&world, &id).await;
    let first_key = world.instance().issuer.keys()[0].kid.clone();
    let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (world, id, first) = (Arc::clone(&world), id.clone(), first.clone());
            let (stop, calls) = (Arc::clone(&stop), Arc::clone(&calls));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let token = new_token(&world, &id).await;
                    assert_eq!(call(&world, &token).await, StatusCode::OK);
                    // Signed a hundred keys ago, in the end.
                    assert_eq!(call(&world, &first).await, StatusCode::OK);
                    calls.fetch_add(3, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let instance = Arc::clone(world.instance());
    tokio::task::spawn_blocking(move || {
        for nth in 0..100 {
            if nth % 2 == 0 {
                instance.issuer.publish_key(instance.now()).unwrap();
            }
            instance.issuer.rotate_key(instance.now()).unwrap();
        }
    })
    .await
    .unwrap();
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    assert!(calls.load(Ordering::Relaxed) > 100, "{calls:?}");
    let keys = world.instance().issuer.keys();
    let count = |state| keys.iter().filter(|key| key.state == state).count();
    assert_eq!((count(State::Signing), count(State::Retained), keys.len()), (1, 100, 101));

    // The very next request knows, though the token was verified before.
    world.instance().issuer.revoke_key(&first_key, world.instance().now()).unwrap();
    assert_eq!(call(&world, &first).await, StatusCode::UNAUTHORIZED);
    let jwks = world.send(Request::get("/default/discovery/v2.0/keys").body(Body::empty()).unwrap()).await;
    assert_eq!((jwks.body.matches("\"kid\"").count(), jwks.body.contains(&first_key)), (100, false));
}

#[test]
fn keys_are_listed_exchanged_and_revoked_by_command() {
    let top = tempfile::tempdir().unwrap();
    let data = top.path().join("data");
    assert_eq!(run_on(&data, &["client", "create", "soar", "-p", "File.Read.All"]).code, 0);
    let listed = || run_on(&data, &["key", "list", "--json"]).json();
    let states = |keys: &Value| -> Vec<String> {
        keys.as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap().to_owned()).collect()
    };
    let first = listed();
    assert_eq!(states(&first), ["signing"]);
    let published = run_on(&data, &["key", "publish", "--json"]).json();
    assert_eq!(published["state"], "published");
    let signing = run_on(&data, &["key", "rotate", "--json"]).json();
    assert_eq!((&signing["kid"], &signing["state"]), (&published["kid"], &Value::from("signing")));
    let ran = run_on(&data, &["key", "list"]);
    assert!(ran.out.contains("retained") && ran.out.contains("signing"), "{}", ran.out);

    let kid = first[0]["kid"].as_str().unwrap();
    let revoked = run_on(&data, &["key", "revoke", kid.get(..10).unwrap(), "--json"]).json();
    assert_eq!((&revoked["kid"], &revoked["state"]), (&first[0]["kid"], &Value::from("revoked")));
    assert_eq!(states(&listed()), ["revoked", "signing"]);
    let again = run_on(&data, &["key", "revoke", kid]);
    assert!(again.code == 1 && again.err.contains("revoked already"), "{}", again.err);
    for unlike in ["nothing/../like", "-pEs6wtwCs"] {
        let unknown = run_on(&data, &["key", "revoke", unlike, "--json"]);
        assert!(unknown.code == 1 && unknown.err.contains("pintle key list"), "{unlike}: {}", unknown.err);
    }
}
