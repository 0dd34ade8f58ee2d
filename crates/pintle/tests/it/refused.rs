//! Bad tokens get the right refusal. What refusing them costs, `cargo bench --bench refusals` measures.

pub mod tokens;

use axum::body::Body;
use axum::http::Request;
use pintle::config::Config;

use crate::world::World;

async fn call(world: &World, token: &str) -> u16 {
    let request = Request::get("/api/machines").header("Authorization", format!("Bearer {token}"));
    world.send(request.body(Body::empty()).unwrap()).await.status.as_u16()
}

#[tokio::test]
async fn every_bad_token_is_refused_with_the_right_status() {
    let mut config = Config::default();
    config.quota.enabled = false;
    let world = World::new(config);
    let instance = world.instance();
    let reader = ["Machine.Read.All".to_owned()];
    let (good, disabled) = (world.token(&reader), world.token(&reader));
    assert_eq!((call(&world, &good).await, call(&world, &disabled).await), (200, 200));
    let id = application_of(&disabled);
    instance.control.change_application(id, |application| application.enabled = false).unwrap();

    let foreign =
        rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let bad = tokens::bad_tokens(
        instance.store.folder(),
        &good,
        &disabled,
        &instance.issuer.jwks(),
        &foreign.serialize_pem(),
    );
    assert!(bad.len() >= 60, "{}", bad.len());
    let mut wrong = Vec::new();
    for _ in 0..2 {
        for bad in &bad {
            let status = call(&world, &bad.token).await;
            if status != bad.status {
                wrong.push(format!("{}: {status}, not {}", bad.name, bad.status));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    println!("{} bad tokens", bad.len());
    assert_eq!(call(&world, &good).await, 200, "the good one is good still");
}

fn application_of(token: &str) -> uuid::Uuid {
    use base64::Engine as _;
    let claims = token.split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    claims["appid"].as_str().unwrap().parse().unwrap()
}
