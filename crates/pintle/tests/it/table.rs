//! The whole table of routes, walked: nothing slips past authorisation.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;
use pintle::auth::permission::Permission;
use pintle::config::Config;
use pintle::http::routes::{Route, routes};
use serde_json::Value;

use crate::world::{Answer, World};

/// Who may be called without a token. This list may only shrink.
const ANONYMOUS: &[&str] = &[
    "/{tenant}/oauth2/token",
    "/{tenant}/oauth2/v2.0/token",
    "/{tenant}/.well-known/openid-configuration",
    "/{tenant}/v2.0/.well-known/openid-configuration",
    "/{tenant}/discovery/keys",
    "/{tenant}/discovery/v2.0/keys",
    "/common/discovery/instance",
];

async fn call(world: &World, route: &Route, token: Option<&str>) -> Answer {
    let path = route.path.replace("{id}", &"a1".repeat(20)).replace("{tenant}", "default");
    let mut request = Request::builder().method(route.method.clone()).uri(path);
    if let Some(token) = token {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    world.send(request.body(Body::empty()).unwrap()).await
}

fn error(answer: &Answer) -> (String, String) {
    assert_eq!(answer.headers["content-type"], "application/json; charset=utf-8");
    assert!(!answer.headers.contains_key("odata-version"));
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    let text = |member: &str| body["error"][member].as_str().unwrap().to_owned();
    assert!(uuid::Uuid::try_parse(&text("target")).is_ok());
    (text("code"), text("message"))
}

#[test]
fn only_the_listed_routes_are_anonymous() {
    let anonymous: BTreeSet<&str> =
        routes().iter().filter(|route| route.access.is_none()).map(|route| route.path).collect();
    assert_eq!(anonymous, ANONYMOUS.iter().copied().collect());
}

#[tokio::test]
async fn without_a_token_every_other_route_is_a_401() {
    let world = World::new(Config::default());
    for route in routes().iter().filter(|route| route.access.is_some()) {
        for token in [None, Some("x"), Some("a.b.c")] {
            let answer = call(&world, route, token).await;
            assert_eq!(answer.status, 401, "{} {token:?}", route.path);
            assert_eq!(error(&answer).0, "Unauthorized");
            assert!(answer.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
        }
    }
}

#[tokio::test]
async fn without_the_permission_every_other_route_is_a_403_and_with_it_none_is() {
    let world = World::new(Config::default());
    for route in routes() {
        let Some(access) = route.access else { continue };
        let others: Vec<String> = Permission::ALL
            .iter()
            .filter(|permission| !access.permissions.contains(permission))
            .map(|permission| permission.value().to_owned())
            .collect();
        let answer = call(&world, &route, Some(&world.token(&others))).await;
        assert_eq!(answer.status, 403, "{}", route.path);
        let required: Vec<&str> = access.permissions.iter().map(|permission| permission.value()).collect();
        let (code, message) = error(&answer);
        assert_eq!(code, "Forbidden");
        assert_eq!(
            message,
            format!(
                "Missing application roles. API required roles: {}, application roles: {}.",
                required.join(","),
                others.join(",")
            )
        );
        for one in required {
            let answer = call(&world, &route, Some(&world.token(&[one.to_owned()]))).await;
            assert!(
                ![401, 403, 404, 405].contains(&answer.status.as_u16()) || route.path.contains("{id}"),
                "{}",
                route.path
            );
            assert!(![401, 403, 405].contains(&answer.status.as_u16()), "{}", route.path);
        }
    }
}

#[tokio::test]
async fn the_wrong_method_is_a_405_with_allow_and_nothing_else_to_anybody() {
    let world = World::new(Config::default());
    for route in routes() {
        let path = route.path.replace("{id}", "x").replace("{tenant}", "default");
        let answer = world.send(Request::delete(&path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 405, "{path}");
        let allowed = answer.headers["allow"].to_str().unwrap();
        assert!(allowed.split(',').any(|method| method == route.method.as_str()), "{path}: {allowed}");
        assert_eq!(answer.body, "");
        assert!(!answer.headers.contains_key("content-type"));
    }
}

#[tokio::test]
async fn requests_are_counted_by_the_tables_route_however_they_are_spelt() {
    let world = World::new(Config::default());
    let metrics = world.instance().metrics.clone();
    let router = pintle::http::routes::router(std::sync::Arc::clone(world.instance()));
    let router = pintle::http::observe::wrap(router, metrics.clone(), pintle::config::AccessLog::Off);
    let hash = "a1".repeat(20);
    for path in
        [format!("/API/v1.0/Files/{hash}/MACHINES/"), format!("/api/files/{hash}/machines"), "/x".to_owned()]
    {
        let request = Request::get(path).body(Body::empty()).unwrap();
        tower::ServiceExt::oneshot(router.clone(), request).await.unwrap();
    }
    let counted = metrics.encode();
    for line in [
        r#"pintle_http_requests_total{route="/api/files/{id}/machines",method="GET",status="401"} 2"#,
        r#"pintle_http_requests_total{route="none",method="GET",status="404"} 1"#,
    ] {
        assert!(counted.contains(line), "{line} is not in\n{counted}");
    }
}
