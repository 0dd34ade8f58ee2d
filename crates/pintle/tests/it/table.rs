//! The whole table of routes, walked: nothing slips past authorisation.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pintle::auth::control::DeviceGroupChange;
use pintle::auth::permission::Permission;
use pintle::auth::role::RolePermission;
use pintle::config::Config;
use pintle::http::caller::Access;
use pintle::http::routes::{Credential, Route, routes};
use pintle_store::{DeviceRule, Operator, Row};
use serde_json::{Value, json};

use crate::world::{Answer, World};

/// Who may be called without proving anything. This list may only shrink.
const ANONYMOUS: &[&str] = &[
    "/{tenant}/.well-known/openid-configuration",
    "/{tenant}/v2.0/.well-known/openid-configuration",
    "/{tenant}/discovery/keys",
    "/{tenant}/discovery/v2.0/keys",
    "/common/discovery/instance",
    "/openapi.json",
    "/docs",
];

/// What any token opens, whatever its permissions. This list may only shrink.
const ANY_TOKEN: &[&str] = &["/api/$metadata"];

/// What a key of an inlet opens besides a token: what takes telemetry, and nothing else.
const BY_KEY: &[&str] = &[
    "/api/ingest",
    "/elastic",
    "/elastic/_bulk",
    "/elastic/_cluster/health",
    "/elastic/_ingest/pipeline/{id}",
    "/elastic/_license",
    "/elastic/_xpack",
    "/elastic/{index}/_bulk",
    "/elastic/{index}/_create/{id}",
    "/elastic/{index}/_doc",
    "/elastic/{index}/_doc/{id}",
];

/// Where a client's own credential, a code or a password stands in the form.
const FORM: &[&str] = &[
    "/{tenant}/oauth2/token",
    "/{tenant}/oauth2/v2.0/token",
    "/{tenant}/oauth2/authorize",
    "/{tenant}/oauth2/v2.0/authorize",
    "/{tenant}/oauth2/devicecode",
    "/{tenant}/oauth2/v2.0/devicecode",
    "/{tenant}/oauth2/deviceauth",
];

/// Every route that asks for a token, with what it must be good for.
fn guarded() -> Vec<(Route, Access)> {
    let guarded = |route: Route| {
        let access = *route.credential.access()?;
        Some((route, access))
    };
    routes().into_iter().filter_map(guarded).collect()
}

/// Those of them that ask for a permission.
fn permitted() -> impl Iterator<Item = (Route, Access)> {
    guarded().into_iter().filter(|(_, access)| !access.permissions.is_empty())
}

/// The path with something for each of its keys.
fn path(route: &Route) -> String {
    let key = |segment: &str| match segment {
        "{id}" if route.path.starts_with("/api/admin/") => uuid::Uuid::nil().to_string(),
        "{credential}" => uuid::Uuid::nil().to_string(),
        "{id}" => "a1".repeat(20),
        "{tenant}" => "default".to_owned(),
        key if key.starts_with('{') => "x".to_owned(),
        other => other.to_owned(),
    };
    route.path.split('/').map(key).collect::<Vec<_>>().join("/")
}

async fn call(world: &World, route: &Route, token: Option<&str>) -> Answer {
    let mut request = Request::builder().method(route.method.clone()).uri(path(route));
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
fn only_the_listed_routes_are_anonymous_or_ask_in_their_form_or_for_any_token() {
    let of = |wanted: fn(&Credential) -> bool| -> BTreeSet<&str> {
        routes().iter().filter(|route| wanted(&route.credential)).map(|route| route.path).collect()
    };
    let anonymous = of(|credential| matches!(credential, Credential::Anonymous));
    assert_eq!(anonymous, ANONYMOUS.iter().copied().collect());
    let form = of(|credential| matches!(credential, Credential::Form));
    assert_eq!(form, FORM.iter().copied().collect());
    let any_token = of(|credential| credential.access().is_some_and(|access| access.permissions.is_empty()));
    assert_eq!(any_token, ANY_TOKEN.iter().copied().collect());
    let by_key = of(|credential| matches!(credential, Credential::Sender(_)));
    assert_eq!(by_key, BY_KEY.iter().copied().collect());
}

#[tokio::test]
async fn without_a_token_every_other_route_is_a_401() {
    let world = World::new(Config::default());
    for (route, _) in guarded() {
        for token in [None, Some("x"), Some("a.b.c")] {
            let answer = call(&world, &route, token).await;
            assert_eq!(answer.status, 401, "{} {token:?}", route.path);
            assert_eq!(error(&answer).0, "Unauthorized");
            assert!(answer.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
        }
    }
}

#[tokio::test]
async fn a_key_of_an_inlet_opens_what_takes_telemetry_and_nothing_else_and_a_wrong_one_nothing() {
    let world = World::new(Config::default());
    let (id, key) = world.inlet("beats", None, None);
    let encoded = |scheme: &str, pair: String| format!("{scheme} {}", STANDARD.encode(pair));
    let good = [
        encoded("ApiKey", format!("{id}:{key}")),
        encoded("Basic", format!("{id}:{key}")),
        encoded("Basic", format!("Beats:{key}")),
    ];
    let bad = [
        encoded("ApiKey", format!("{id}:{key}x")),
        encoded("ApiKey", format!("{id}:")),
        encoded("Basic", format!("nobody:{key}")),
        encoded("Basic", key.clone()),
        "ApiKey !".to_owned(),
        format!("Bearer {key}"),
    ];
    for (route, _) in guarded() {
        let takes = BY_KEY.contains(&route.path);
        for (header, is_good) in good.iter().map(|one| (one, true)).chain(bad.iter().map(|one| (one, false)))
        {
            let request = Request::builder().method(route.method.clone()).uri(path(&route));
            let request = request.header("Authorization", header).body(Body::empty()).unwrap();
            let answer = world.send(request).await;
            let status = answer.status.as_u16();
            if takes && is_good {
                assert!(![401, 403, 404, 405].contains(&status), "{} {header}: {status}", route.path);
                continue;
            }
            assert_eq!(status, 401, "{} {header}", route.path);
            let schemes: Vec<_> = answer.headers.get_all("www-authenticate").iter().collect();
            assert_eq!(schemes.len(), if takes { 3 } else { 1 }, "{}: {schemes:?}", route.path);
        }
    }
}

#[tokio::test]
async fn without_the_permission_every_other_route_is_a_403_and_with_it_none_is() {
    let world = World::new(Config::default());
    for (route, access) in permitted() {
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
            let status = answer.status.as_u16();
            assert!(![401, 403, 405].contains(&status), "{} {status}", route.path);
            assert!(status != 404 || route.path.contains('{'), "{}", route.path);
        }
    }
}

/// Each permission in the word that a user's token has for it.
fn scopes(permissions: impl Iterator<Item = Permission>) -> Vec<String> {
    permissions.map(|permission| permission.delegated().to_owned()).collect()
}

fn roles(permissions: impl Iterator<Item = RolePermission>) -> Vec<String> {
    permissions.map(|permission| permission.value().to_owned()).collect()
}

#[tokio::test]
async fn a_user_needs_the_scope_and_the_role_permission_of_every_route_and_some_are_for_no_user() {
    let world = World::new(Config::default());
    // The one that no role but the administrator's can have.
    let givable =
        || RolePermission::ALL.iter().copied().filter(|one| *one != RolePermission::ManageSystemSettings);
    let every_role = roles(givable());
    for (nth, (route, access)) in permitted().enumerate() {
        let required = scopes(access.permissions.iter().copied());
        let others = || Permission::ALL.iter().copied().filter(|one| !access.permissions.contains(one));
        let user = |kind: &str| format!("{kind}-{nth}");
        let without_scope = world.user_token(&user("scope"), &scopes(others()), &every_role);
        assert_eq!(call(&world, &route, Some(&without_scope)).await.status, 403, "{}", route.path);
        let other_roles = roles(givable().filter(|one| Some(*one) != access.role_permission));
        let without_role = world.user_token(&user("role"), &required, &other_roles);
        let answer = call(&world, &route, Some(&without_role)).await;
        assert_eq!(answer.status, 403, "{}", route.path);
        let message = error(&answer).1;
        let both = world.user_token(&user("both"), &required, &every_role);
        let status = call(&world, &route, Some(&both)).await.status.as_u16();
        match access.role_permission {
            None => {
                assert_eq!(message, "Only applications can make this request.", "{}", route.path);
                assert_eq!(status, 403, "{}", route.path);
            }
            Some(role) => {
                assert!(message.contains(role.display_name()), "{}: {message}", route.path);
                let is_administrators = role == RolePermission::ManageSystemSettings;
                assert_eq!(status == 403, is_administrators, "{} {status}", route.path);
            }
        }
    }
}

/// What a route of the data shows of hidden things: the paths to ask of hidden and of unknown ones.
enum Shows {
    /// A list in which hidden machines and alerts may not be.
    List(&'static str),
    /// One machine or alert: a hidden one, one that is not there, and one that is visible.
    One([&'static str; 3]),
    /// Neither machines nor alerts.
    Neither,
}

const HIDDEN: &str = "2222222222222222222222222222222222222222";
const VISIBLE: &str = "1111111111111111111111111111111111111111";
const UNKNOWN: &str = "9999999999999999999999999999999999999999";
const ALERT_HIDDEN: &str = "da639000000000000002_1";
const ALERT_VISIBLE: &str = "da639000000000000001_-17";
const ALERT_UNKNOWN: &str = "da639000000000000009_1";
const SHA1: &str = "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1";

/// The body that a route is asked with, for this machine or alert.
fn body(route: &Route, id: &str) -> String {
    match route.path {
        "/api/alerts/batchUpdate" => json!({ "alertIds": [id], "comment": "seen" }),
        "/api/alerts/{id}" => json!({ "comment": "seen" }),
        "/api/machines/AddOrRemoveTagForMultipleMachines" => {
            json!({ "MachineIds": [id], "Value": "seen", "Action": "Add" })
        }
        "/api/machines/{id}/tags" => json!({ "Value": "seen", "Action": "Add" }),
        "/api/machines/{id}/setDeviceValue" => json!({ "DeviceValue": "High" }),
        "/api/machines/{id}" => json!({ "deviceValue": "Low" }),
        _ => Value::Null,
    }
    .to_string()
}

fn shows(route: &Route) -> Shows {
    match route.path {
        "/api/alerts" | "/api/machines" => Shows::List(""),
        // Their scenarios show it: they take a tag, an event, or hashes in a body.
        "/api/machines/findbytag" | "/api/alerts/CreateAlertByReference" | "/api/files/lookup" => {
            Shows::Neither
        }
        "/api/domains/{id}/machines" => Shows::List("updates.bad.example"),
        "/api/ips/{id}/machines" => Shows::List("203.0.113.7"),
        "/api/users/{id}/machines" => Shows::List("alex"),
        // They take arguments.
        "/api/machines/findbyip()" | "/api/machines/find()" => Shows::Neither,
        // The machines that it names are among those that the caller sees: `who_sees_some_machines` in the
        // store's tests of observables.
        "/api/users/{id}" => Shows::Neither,
        "/api/domains/{id}/stats" | "/api/ips/{id}/stats" => Shows::Neither,
        "/api/files/{id}/machines" | "/api/files/{id}/alerts" => Shows::List(SHA1),
        // Both alerts name these.
        "/api/domains/{id}/alerts" => Shows::List("shared.example"),
        "/api/ips/{id}/alerts" => Shows::List("203.0.113.99"),
        "/api/users/{id}/alerts" => Shows::List("alice.example"),
        "/api/machines/{id}"
        | "/api/machines/{id}/alerts"
        | "/api/machines/{id}/logonusers"
        | "/api/machines/{id}/alerts/$count"
        | "/api/machines/{id}/tags"
        | "/api/machines/{id}/setDeviceValue"
        | "/api/machines/AddOrRemoveTagForMultipleMachines" => Shows::One([HIDDEN, UNKNOWN, VISIBLE]),
        "/api/alerts/{id}"
        | "/api/alerts/batchUpdate"
        | "/api/alerts/{id}/files"
        | "/api/alerts/{id}/domains"
        | "/api/alerts/{id}/ips"
        | "/api/alerts/{id}/machine"
        | "/api/alerts/{id}/user" => Shows::One([ALERT_HIDDEN, ALERT_UNKNOWN, ALERT_VISIBLE]),
        // Who does not see the whole tenant is told of no source.
        "/api/files/{id}" | "/api/files/{id}/stats" | "/api/ingest" | "/api/ingest/status" => Shows::Neither,
        // They take, and what they tell is of what they took or the same for everybody.
        path if path.starts_with("/elastic") => Shows::Neither,
        path if path.starts_with("/api/admin/") => Shows::Neither,
        other => panic!("say here how {other} keeps hidden machines and alerts to itself"),
    }
}

#[tokio::test]
async fn what_is_hidden_is_neither_returned_nor_counted_and_by_id_is_as_unknown() {
    let world = World::new(Config::default());
    for given in ["fleet.jsonl", "observed.jsonl", "alert-users.jsonl", "related.jsonl"] {
        world.ingest_given(given).await;
    }
    let (control, tenant) = (&world.instance().control, world.tenant());
    control.create_user_group(tenant, "server team", "").unwrap();
    let servers = DeviceGroupChange {
        name: Some("servers".into()),
        rule: Some(DeviceRule {
            source_group: vec![Row { operator: Operator::Equals, value: "Servers".into() }],
            ..DeviceRule::default()
        }),
        give: vec!["server team".into()],
        ..DeviceGroupChange::default()
    };
    control.create_device_group(tenant, servers).unwrap();
    world.instance().regroup(tenant).unwrap();
    let mut walked = 0;
    for (route, access) in guarded() {
        let token = match access.role_permission {
            Some(RolePermission::ManageSystemSettings) | None => continue,
            Some(role) => {
                let scopes = scopes(access.permissions.iter().copied());
                world.user_token("alice", &scopes, &roles([role].into_iter()))
            }
        };
        let ask = async |id: &str| {
            let request = Request::builder().method(route.method.clone()).uri(route.path.replace("{id}", id));
            let request = request.header("Authorization", format!("Bearer {token}"));
            let body = if route.method == "GET" { String::new() } else { body(&route, id) };
            world.send(request.body(body.into()).unwrap()).await
        };
        let whole = world.token(&[access.permissions[0].value().to_owned()]);
        match shows(&route) {
            Shows::Neither => continue,
            Shows::List(id) => {
                let answer = ask(id).await;
                assert_eq!(answer.status, 200, "{}: {}", route.path, answer.body);
                for hidden in [HIDDEN, "3333333333333333333333333333333333333333", ALERT_HIDDEN] {
                    assert!(!answer.body.contains(hidden), "{}: {}", route.path, answer.body);
                }
                let listed =
                    serde_json::from_str::<Value>(&answer.body).unwrap()["value"].as_array().unwrap().len();
                assert_eq!(listed, 1, "{}: {}", route.path, answer.body);
                let request = Request::get(route.path.replace("{id}", id))
                    .header("Authorization", format!("Bearer {whole}"));
                let all = world.send(request.body(Body::empty()).unwrap()).await;
                assert!(all.body.contains(HIDDEN) || all.body.contains(ALERT_HIDDEN), "{}", all.body);
            }
            Shows::One([hidden, unknown, visible]) => {
                let (hidden, unknown, visible) =
                    ((ask(hidden).await, hidden), (ask(unknown).await, unknown), ask(visible).await);
                assert_eq!(visible.status, 200, "{}: {}", route.path, visible.body);
                let told = |(answer, id): &(Answer, &str)| {
                    let (code, message) = error(answer);
                    (answer.status, code, message.replace(id, "ID"))
                };
                assert_eq!(told(&hidden), told(&unknown), "{}", route.path);
                assert_eq!(hidden.0.status, 404, "{}", route.path);
            }
        }
        walked += 1;
    }
    assert!(walked >= 6, "{walked}");
}

#[tokio::test]
async fn the_wrong_method_is_a_405_with_allow_and_nothing_else_to_anybody() {
    let world = World::new(Config::default());
    for route in routes() {
        let path = path(&route);
        // One that no route of this path has.
        let answer =
            world.send(Request::builder().method("TRACE").uri(&path).body(Body::empty()).unwrap()).await;
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
