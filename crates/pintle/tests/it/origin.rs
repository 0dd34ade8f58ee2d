//! Which scheme and host answers name, and who is believed about them.

use axum::body::Body;
use axum::http::Request;
use pintle::config::Config;
use pintle::http::{Peer, Scheme};
use serde_json::Value;

use crate::world::{Answer, World};

const MACHINES: [&str; 1] = ["Machine.Read.All"];

async fn ask(world: &World, path: &str, from: &str, scheme: Scheme, headers: &[(&str, &str)]) -> Answer {
    let token = world.token(&MACHINES.map(str::to_owned));
    let mut request = Request::get(path).header("Authorization", format!("Bearer {token}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.extension(Peer(from.parse().unwrap())).extension(scheme);
    world.send(request.body(Body::empty()).unwrap()).await
}

fn context(answer: &Answer) -> String {
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    body["@odata.context"].as_str().unwrap().trim_end_matches("/api/$metadata#Machines").to_owned()
}

const PROXY: &str = "10.1.2.3:4000";
const CLIENT: &str = "192.0.2.7:4000";

#[tokio::test]
async fn in_dev_the_host_that_was_asked_is_named() {
    let world = World::new(Config::default()).for_dev();
    let host = [("Host", "api.securitycenter.microsoft.com")];
    let answer = ask(&world, "/api/machines", CLIENT, Scheme::Https, &host).await;
    assert_eq!(context(&answer), "https://api.securitycenter.microsoft.com");
    assert!(!answer.headers.contains_key("strict-transport-security"), "it would bind all of localhost");
    let answer = ask(&world, "/api/machines", CLIENT, Scheme::Http, &[("Host", "localhost:8080")]).await;
    assert_eq!(context(&answer), "http://localhost:8080");

    let host = [("Host", "login.microsoftonline.com")];
    let answer =
        ask(&world, "/default/v2.0/.well-known/openid-configuration", CLIENT, Scheme::Https, &host).await;
    let document: Value = serde_json::from_str(&answer.body).unwrap();
    let endpoint = document["token_endpoint"].as_str().unwrap();
    assert!(
        endpoint.starts_with("https://login.microsoftonline.com/")
            && endpoint.ends_with("/oauth2/v2.0/token")
    );
    assert!(
        document["issuer"].as_str().unwrap().starts_with("https://pintle.example.org/"),
        "never from the request"
    );
}

#[tokio::test]
async fn otherwise_the_public_url_is_named() {
    let world = World::new(Config::default());
    let answer = ask(&world, "/api/machines", CLIENT, Scheme::Http, &[("Host", "other.example.org")]).await;
    assert_eq!(context(&answer), "https://pintle.example.org");
    assert!(!answer.headers.contains_key("strict-transport-security"));
    let answer = ask(&world, "/api/machines", CLIENT, Scheme::Https, &[]).await;
    assert_eq!(answer.headers["strict-transport-security"], "max-age=15724800; includeSubDomains");
}

#[tokio::test]
async fn forwarded_headers_are_believed_from_configured_proxies_only() {
    let mut config = Config::default();
    config.server.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    let world = World::new(config).for_dev();
    let headers = [
        ("Host", "127.0.0.1:8080"),
        ("X-Forwarded-Host", "forged.example.org, pintle.example.net"),
        ("X-Forwarded-Proto", "http, https"),
    ];
    let answer = ask(&world, "/api/machines", PROXY, Scheme::Http, &headers).await;
    assert_eq!(context(&answer), "https://pintle.example.net");
    let answer = ask(&world, "/api/machines", CLIENT, Scheme::Http, &headers).await;
    assert_eq!(context(&answer), "http://127.0.0.1:8080");
}

#[tokio::test]
async fn a_host_that_is_none_is_not_repeated() {
    let world = World::new(Config::default()).for_dev();
    for host in ["a\"b", "user@host", "a/b", "a b"] {
        let answer = ask(&world, "/api/machines", CLIENT, Scheme::Http, &[("Host", host)]).await;
        assert_eq!(context(&answer), "https://pintle.example.org", "{host}");
    }
}
