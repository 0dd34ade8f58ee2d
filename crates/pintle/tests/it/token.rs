//! Tokens from the token endpoints, in every form that shipped clients ask for them.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use pintle::config::Config;
use serde_json::Value;
use tokio_stream::StreamExt as _;

use crate::world::{AUDIENCE, Answer, World};

const V1: &str = "/default/oauth2/token";
const V2: &str = "/default/oauth2/v2.0/token";

struct Client {
    id: String,
    secret: String,
}

/// A client whose secret needs encoding, as secrets of other servers do.
fn client(world: &World) -> Client {
    let secret = "a~b+c/d=e&f:g h%";
    let id = world.register(&["Machine.Read.All".to_owned()], secret);
    Client { id: id.to_string(), secret: secret.to_owned() }
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn form(client: &Client, more: &str) -> String {
    format!(
        "grant_type=client_credentials&client_id={}&client_secret={}&{more}",
        client.id,
        encoded(&client.secret)
    )
}

async fn ask(world: &World, method: &str, path: &str, headers: &[(&str, String)], body: String) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    world.send(request.body(Body::from(body)).unwrap()).await
}

fn token(answer: &Answer) -> (Value, Value) {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    let payload = body["access_token"].as_str().unwrap().split('.').nth(1).unwrap().to_owned();
    (body, serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap())
}

async fn can_call(world: &World, body: &Value) -> bool {
    let bearer = format!("Bearer {}", body["access_token"].as_str().unwrap());
    let request = Request::get("/api/machines").header("Authorization", bearer);
    world.send(request.body(Body::empty()).unwrap()).await.status == 200
}

#[tokio::test]
async fn v1_gives_numbers_as_texts_and_the_claims_of_the_real_thing() {
    let world = World::new(Config::default());
    let client = client(&world);
    let answer =
        ask(&world, "POST", V1, &[], form(&client, &format!("resource={}", encoded(AUDIENCE)))).await;
    let (body, claims) = token(&answer);
    assert_eq!(answer.headers["content-type"], "application/json; charset=utf-8");
    assert_eq!(answer.headers["cache-control"], "no-store, no-cache");
    let members: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(
        members,
        [
            "token_type",
            "expires_in",
            "ext_expires_in",
            "expires_on",
            "not_before",
            "resource",
            "access_token"
        ]
    );
    assert_eq!(
        (&body["token_type"], &body["expires_in"], &body["resource"]),
        (&"Bearer".into(), &"3599".into(), &AUDIENCE.into())
    );
    let now = world.instance().now().unix_seconds();
    assert_eq!(body["not_before"], now.to_string());
    assert_eq!(body["expires_on"], (now + 3_600).to_string());

    let tenant = world.instance().control.tenant("default").unwrap().id.to_string();
    let issuer = format!("https://pintle.example.org/{tenant}/");
    assert_eq!(claims["aud"], AUDIENCE);
    assert_eq!((&claims["iss"], &claims["idp"]), (&issuer.clone().into(), &issuer.into()));
    assert_eq!((&claims["tid"], &claims["appid"]), (&tenant.into(), &client.id.into()));
    assert_eq!((&claims["ver"], &claims["appidacr"]), (&"1.0".into(), &"1".into()));
    assert_eq!(claims["roles"], serde_json::json!(["Machine.Read.All"]));
    assert_eq!(claims["oid"], claims["sub"]);
    assert_eq!((&claims["nbf"], &claims["exp"]), (&now.into(), &(now + 3_600).into()));
    assert!(claims.get("scp").is_none());
    assert!(can_call(&world, &body).await);
}

#[tokio::test]
async fn v2_gives_numbers() {
    let world = World::new(Config::default());
    let client = client(&world);
    for scope in [
        AUDIENCE,
        "https://securitycenter.onmicrosoft.com/windowsatpservice",
        "https://pintle.example.org",
        "https://api.security.microsoft.com/",
    ] {
        let answer =
            ask(&world, "POST", V2, &[], form(&client, &format!("scope={}%2F.default", encoded(scope))))
                .await;
        let (body, claims) = token(&answer);
        assert_eq!(body["expires_in"], 3_599);
        assert!(body.get("resource").is_none());
        assert_eq!(claims["aud"], scope);
        assert!(can_call(&world, &body).await, "{scope}");
    }
}

#[tokio::test]
async fn the_sloppy_requests_of_shipped_clients_are_taken() {
    let world = World::new(Config::default());
    let client = client(&world);
    let resource = format!("resource={}", encoded(AUDIENCE));
    let tenant = world.instance().control.tenant("default").unwrap().id.to_string();
    let fields = form(&client, &resource);
    let form_type = ("Content-Type", "application/x-www-form-urlencoded".to_owned());
    // Go's oauth2 tries HTTP Basic first, both parts percent-encoded.
    let basic = STANDARD.encode(format!("{}:{}", encoded(&client.id), encoded(&client.secret)));
    let basic = ("Authorization", format!("Basic {basic}"));
    for (method, path, headers, body) in [
        ("GET", V1.to_owned(), vec![form_type.clone()], fields.clone()),
        ("POST", V1.to_owned(), vec![("Content-Type", "text/plain".to_owned())], fields.clone()),
        ("POST", format!("/{tenant}/oauth2/token"), vec![], fields.clone()),
        ("POST", format!("/{}/OAuth2/Token/", tenant.to_uppercase()), vec![], fields.clone()),
        ("POST", V1.to_owned(), vec![form_type], format!("{fields}&client_info=1&x-client-SKU=MSAL.Python&")),
        ("POST", V1.to_owned(), vec![basic], format!("grant_type=client_credentials&{resource}")),
    ] {
        let answer = ask(&world, method, &path, &headers, body.clone()).await;
        assert!(can_call(&world, &token(&answer).0).await, "{method} {path} {body}");
    }
}

#[tokio::test]
async fn an_unknown_application_a_wrong_secret_and_a_disabled_application_are_told_alike() {
    let world = World::new(Config::default());
    let client = client(&world);
    let disabled = world.register(&[], "known");
    world.instance().control.change_application(disabled, |application| application.enabled = false).unwrap();
    let mut told = Vec::new();
    for (id, secret) in [
        ("6f9619ff-8b86-d011-b42d-00cf4fc964ff", "known"),
        (client.id.as_str(), "known"),
        (disabled.to_string().as_str(), "known"),
    ] {
        let body = format!(
            "grant_type=client_credentials&client_id={id}&client_secret={secret}&resource={}",
            encoded(AUDIENCE)
        );
        let answer = ask(&world, "POST", V1, &[], body).await;
        assert_eq!(answer.status, 401);
        let error: Value = serde_json::from_str(&answer.body).unwrap();
        let description = error["error_description"].as_str().unwrap().replace(id, "");
        told.push((
            error["error"].clone(),
            error["error_codes"].clone(),
            description.split(" Trace").next().unwrap().to_owned(),
        ));
    }
    assert!(told.iter().all(|one| *one == told[0]), "{told:?}");
}

#[tokio::test]
async fn a_correlation_id_comes_back_and_a_huge_body_is_refused() {
    let world = World::new(Config::default());
    let id = "0bd3a9c2-64a6-4b62-8a2c-3a51b7b7a001";
    let answer = ask(&world, "POST", V1, &[("client-request-id", id.to_owned())], String::new()).await;
    assert!(answer.body.contains(&format!(r#""correlation_id":"{id}""#)));
    let answer = ask(&world, "POST", V1, &[], "x".repeat(70_000)).await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn what_is_taken_from_an_application_counts_on_the_next_request() {
    let world = World::new(Config::default());
    let client = client(&world);
    let answer =
        ask(&world, "POST", V1, &[], form(&client, &format!("resource={}", encoded(AUDIENCE)))).await;
    let (body, _) = token(&answer);
    assert!(can_call(&world, &body).await);
    let id = client.id.parse().unwrap();
    world
        .instance()
        .control
        .change_application(id, |application| application.permissions = Default::default())
        .unwrap();
    assert!(!can_call(&world, &body).await);
}

#[tokio::test]
async fn a_form_that_comes_a_byte_at_a_time_is_not_waited_for() {
    let mut config = Config::default();
    config.server.limits.body_timeout = Duration::from_millis(200);
    let world = World::new(config);
    let trickle = tokio_stream::iter(0..).then(async |_: u32| {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok::<_, std::io::Error>("x")
    });
    let request = Request::post(V1).body(Body::from_stream(Box::pin(trickle))).unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(5), world.send(request)).await.expect("an answer");
    assert_eq!(answer.status, 400, "{}", answer.body);
}
