//! Issuers that are slow, broken, or somebody else: nothing hangs and nobody is let in.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use pintle::auth::token::Refusal;
use serde_json::json;
use tokio::net::TcpListener;

use super::site::{Answer, DISCOVERY, FIRST, KEYS, Site, jwks};
use super::{House, claims, start};

/// An issuer of which one answer is this; what became of a token that it signed, and how long it took.
async fn with(path: &str, answer: Answer) -> (Result<(), Refusal>, Duration) {
    let site = Site::start().await;
    site.answer(path, answer);
    let house = House::new(&site, "", "");
    let began = Instant::now();
    let verified = house.verify(&FIRST.sign(&claims(&site)), start()).await;
    // What is beyond the limit is not taken in, apart from what the sockets hold.
    assert!(site.sent() < 16 << 20, "{path}: {} bytes", site.sent());
    (verified.map(|_| ()), began.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_issuer_does_wrong_lets_nobody_in_and_keeps_nobody_waiting() {
    // Whoever is asked after a redirect, or at an address that nobody configured, is counted here.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&asked);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counting.fetch_add(1, Ordering::SeqCst);
        }
    });
    let json = |value: serde_json::Value| Answer::Json(value.to_string());
    let many = json(json!({ "keys": vec![FIRST.jwk.clone(); 10_000] }));
    let few_but_too_many = json(json!({ "keys": vec![json!({"kid": "x"}); 101] }));
    let mut cases = Vec::new();
    for path in [DISCOVERY, KEYS] {
        for (name, answer) in [
            ("never answers", Answer::Never),
            ("drips", Answer::Drip),
            ("500", Answer::Status(500)),
            ("404", Answer::Status(404)),
            ("204", Answer::Status(204)),
            ("a gigabyte", Answer::Endless),
            ("large headers", Answer::Headers),
            ("garbage", Answer::Json("<html>".to_owned())),
            ("half of it", Answer::Json("{\"keys\":[".to_owned())),
            ("nothing", Answer::Json(String::new())),
            ("nested", Answer::Json("[".repeat(60_000))),
            ("redirect to http", Answer::Redirect(format!("http://{elsewhere}/keys"))),
            ("redirect to https", Answer::Redirect(format!("https://{elsewhere}/keys"))),
            ("10,000 keys", many.clone()),
            ("101 keys", few_but_too_many.clone()),
        ] {
            cases.push((format!("{path}: {name}"), path, answer));
        }
    }
    let judged = join_all(cases.into_iter().map(|(name, path, answer)| async move {
        let (verified, took) = tokio::spawn(with(path, answer)).await.unwrap();
        (name, verified, took)
    }));
    for (name, verified, took) in judged.await {
        assert_eq!(verified, Err(Refusal::OutsideKeys), "{name}");
        assert!(took < Duration::from_secs(15), "{name}: {took:?}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0, "nobody else is asked");
}

#[tokio::test]
async fn who_takes_connections_and_says_nothing_keeps_nobody_waiting() {
    let site = Site::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("https://localhost:{}", closed.local_addr().unwrap().port());
    drop(closed);
    for issuer in [silent, nobody] {
        let mut claims = claims(&site);
        claims["iss"] = json!(issuer);
        let house = House::trusting(&issuer, &site.ca_file, "", "");
        let began = Instant::now();
        assert_eq!(house.verify(&FIRST.sign(&claims), start()).await, Err(Refusal::OutsideKeys), "{issuer}");
        assert!(began.elapsed() < Duration::from_secs(15), "{issuer}");
    }
}

#[tokio::test]
async fn discovery_cannot_name_other_hosts_or_issuers() {
    let site = Site::start().await;
    let other = Site::start().await;
    let token = FIRST.sign(&claims(&site));
    let (issuer, keys) = (site.issuer(), site.url(KEYS));
    for (found_issuer, found_keys) in [
        (other.issuer(), keys.clone()),
        (format!("{issuer}/"), keys.clone()),
        (String::new(), keys.clone()),
        (issuer.clone(), other.url(KEYS)),
        (issuer.clone(), keys.replace("localhost", "127.0.0.1")),
        (issuer.clone(), keys.replace("https", "http")),
        (issuer.clone(), keys.replace("https://", "https://user@")),
        (issuer.clone(), "file:///etc/passwd".to_owned()),
        (issuer.clone(), "/realm/keys".to_owned()),
        (issuer.clone(), String::new()),
    ] {
        let discovery = json!({"issuer": found_issuer, "jwks_uri": found_keys});
        site.answer(DISCOVERY, Answer::Json(discovery.to_string()));
        let house = House::new(&site, "", "");
        assert_eq!(house.verify(&token, start()).await, Err(Refusal::OutsideKeys), "{discovery}");
    }
    assert_eq!((site.asked(KEYS), other.asked(KEYS)), (0, 0));

    // The configuration can, and nothing is discovered then.
    let before = site.asked(DISCOVERY);
    let house = House::new(&site, &format!("jwks_uri = {:?}", site.url("/other/keys?p=1")), "");
    site.answer("/other/keys", jwks(&[&FIRST]));
    house.verify(&token, start()).await.unwrap();
    assert_eq!((site.asked(DISCOVERY), site.asked("/other/keys")), (before, 1));
}

#[tokio::test]
async fn who_has_no_certificate_of_the_authority_for_the_host_is_not_the_issuer() {
    let site = Site::start().await;
    let token = FIRST.sign(&claims(&site));
    let house = House::trusting(&site.issuer(), &site.another_authority(), "", "");
    assert_eq!(house.verify(&token, start()).await, Err(Refusal::OutsideKeys));

    // Nor is one with a certificate for other names, or nobody at all.
    let by_other_name = format!("https://127.0.0.2:{}/realm", site.port);
    let mut foreign = claims(&site);
    foreign["iss"] = json!(by_other_name);
    let house = House::trusting(&by_other_name, &site.ca_file, "", "");
    assert_eq!(house.verify(&FIRST.sign(&foreign), start()).await, Err(Refusal::OutsideKeys));
    foreign["iss"] = json!("https://nowhere.invalid/realm");
    let house = House::trusting("https://nowhere.invalid/realm", &site.ca_file, "", "");
    assert_eq!(house.verify(&FIRST.sign(&foreign), start()).await, Err(Refusal::OutsideKeys));
    assert_eq!(site.asked(DISCOVERY), 0);
}

#[tokio::test]
async fn a_set_without_the_key_or_with_unusable_ones_opens_nothing() {
    let wrong = |member: &str, value: serde_json::Value| {
        let mut key = FIRST.jwk.clone();
        key[member] = value;
        json!({ "keys": [key] })
    };
    let secret = json!({"kty": "oct", "kid": "first", "alg": "HS256", "k": "c2VjcmV0"});
    for set in [
        json!({"keys": []}),
        wrong("kid", json!("another")),
        wrong("use", json!("enc")),
        wrong("alg", json!("PS256")),
        wrong("alg", json!("RSA-OAEP")),
        wrong("kty", json!("EC")),
        wrong("e", json!("AQ")),
        json!({ "keys": [secret] }),
    ] {
        let site = Site::start().await;
        site.answer(KEYS, Answer::Json(set.to_string()));
        let house = House::new(&site, "", "");
        let refused = house.verify(&FIRST.sign(&claims(&site)), start()).await;
        assert!(matches!(refused, Err(Refusal::Outside(_))), "{set}: {refused:?}");
    }
}
