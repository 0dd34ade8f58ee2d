//! Tokens that nobody should be let in with, as a table.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use pintle::auth::token::{MAX_BYTES, Refusal};
use serde_json::{Value, json};

use super::site::{ELLIPTIC, FIRST, SECOND, Site};
use super::{AUDIENCE, House, claims, start};

/// What is made bad: a good token's parts, and what was made of them.
struct Forge {
    header: Value,
    claims: Value,
    made: Vec<(String, String)>,
}

impl Forge {
    fn add(&mut self, name: impl Into<String>, token: String) {
        self.made.push((name.into(), token));
    }

    fn with_header(&mut self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut header = self.header.clone();
        change(&mut header);
        let token = FIRST.sign_text(&header.to_string(), &self.claims.to_string());
        self.add(format!("{name}: {header}"), token);
    }

    fn with_claim(&mut self, claim: &str, value: Value) {
        let mut claims = self.claims.clone();
        claims[claim] = value.clone();
        self.add(format!("{claim} {value}"), FIRST.sign(&claims));
    }

    fn without_claim(&mut self, claim: &str) {
        let mut claims = self.claims.clone();
        claims.as_object_mut().unwrap().remove(claim);
        self.add(format!("without {claim}"), FIRST.sign(&claims));
    }

    fn algorithms(&mut self) {
        let claims = URL_SAFE_NO_PAD.encode(self.claims.to_string());
        for alg in ["none", "None", "NONE", ""] {
            let header = URL_SAFE_NO_PAD.encode(json!({"alg": alg, "kid": "first"}).to_string());
            self.add(format!("alg {alg:?}"), format!("{header}.{claims}."));
        }
        let modulus = URL_SAFE_NO_PAD.decode(FIRST.jwk["n"].as_str().unwrap()).unwrap();
        let set = json!({ "keys": [FIRST.jwk] }).to_string();
        for secret in [modulus, set.into_bytes(), FIRST.jwk.to_string().into_bytes(), Vec::new()] {
            let header = json!({"alg": "HS256", "typ": "JWT", "kid": "first"}).to_string();
            let message = format!("{}.{claims}", URL_SAFE_NO_PAD.encode(header));
            let key = EncodingKey::from_secret(&secret);
            let signature = crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
            self.add("HS256 with the public key", format!("{message}.{signature}"));
        }
        for (alg, signer) in [
            (Algorithm::RS384, &*FIRST),
            (Algorithm::RS512, &*FIRST),
            // The set says which algorithm a key is for.
            (Algorithm::PS256, &*FIRST),
            (Algorithm::RS256, &*SECOND),
        ] {
            let header = json!({"alg": alg, "kid": signer.kid}).to_string();
            let message = format!("{}.{claims}", URL_SAFE_NO_PAD.encode(header));
            let signature = crypto::sign(message.as_bytes(), &signer.key, alg).unwrap();
            self.add(format!("{alg:?} with {}", signer.kid), format!("{message}.{signature}"));
        }
    }

    fn headers(&mut self) {
        for (member, value) in [
            ("alg", json!("ES256")),
            ("alg", json!("PS256")),
            ("alg", json!(["RS256"])),
            ("alg", Value::Null),
            ("kid", json!("other")),
            ("kid", json!("")),
            ("kid", json!(7)),
            ("kid", json!("second")),
            ("crit", json!(["exp"])),
            ("crit", json!([])),
            ("crit", Value::Null),
            ("typ", json!("logout+jwt")),
            ("typ", json!(7)),
        ] {
            self.with_header("header", |header| header[member] = value);
        }
        self.with_header("no kid", |header| _ = header.as_object_mut().unwrap().remove("kid"));
        // Somebody else's key, however it is brought along.
        let claims = self.claims.to_string();
        for (member, value) in [
            ("jwk", SECOND.jwk.clone()),
            ("jku", json!("https://198.51.100.7/keys")),
            ("x5u", json!("https://198.51.100.7/chain")),
            ("x5c", json!(["MIIB"])),
            ("x", json!(0)),
        ] {
            for kid in ["first", "mine"] {
                let header = json!({"alg": "PS256", "kid": kid, member: value}).to_string();
                let token = SECOND.sign_text(&header, &claims);
                self.add(format!("a foreign key and {member}, as {kid}"), token);
                let header = json!({"alg": "ES256", "kid": kid, member: value}).to_string();
                self.add(format!("a foreign curve and {member}"), ELLIPTIC.sign_text(&header, &claims));
            }
        }
        for header in [
            r#"{"alg":"none","alg":"RS256","kid":"first"}"#,
            r#"{"alg":"RS256","kid":"other","kid":"first"}"#,
            r#"{"alg":"RS256","kid":"first","x":{"a":1,"a":1}}"#,
            "{}",
            "[]",
            "null",
            "",
            r#"{"alg":"RS256""#,
        ] {
            self.add(format!("the header {header}"), FIRST.sign_text(header, &claims));
        }
        self.add("a nested header", FIRST.sign_text(&"[".repeat(5_000), &claims));
    }

    fn claims(&mut self) {
        for claim in ["aud", "exp", "iat", "sub"] {
            self.without_claim(claim);
        }
        let now = start().unix_seconds();
        for (claim, value) in [
            ("aud", Value::Null),
            ("aud", json!(7)),
            ("aud", json!([AUDIENCE, 7])),
            ("aud", json!({"a": AUDIENCE})),
            ("exp", json!("4102444800")),
            ("exp", Value::Null),
            ("exp", json!(1e300)),
            ("exp", json!(-1)),
            ("exp", json!(true)),
            ("exp", json!(now - 300)),
            ("nbf", json!("0")),
            ("nbf", Value::Null),
            ("nbf", json!(now + 301)),
            ("iat", json!("0")),
            ("iat", json!(now + 301)),
            ("sub", json!(7)),
            ("sub", json!("")),
            ("sub", json!("a\u{0}b")),
            ("sub", json!("x".repeat(257))),
            ("appid", json!(7)),
            ("appid", json!({"$ne": null})),
            ("roles", json!([7])),
            ("roles", json!({"a": 1})),
            ("scp", json!(7)),
            ("scp", Value::Null),
            ("idtyp", json!(7)),
            // A user without an id.
            ("scp", json!("Machine.Read")),
            ("typ", json!("ID")),
            ("typ", json!("Refresh")),
            ("at_hash", json!("x")),
            ("c_hash", json!("x")),
        ] {
            self.with_claim(claim, value);
        }
        let mut id_token = self.claims.clone();
        id_token["nonce"] = json!("1");
        id_token.as_object_mut().unwrap().remove("appid");
        self.add("an id token for this audience", FIRST.sign(&id_token));
        let header = self.header.to_string();
        for (claim, other) in [("aud", "\"x\""), ("exp", "1"), ("sub", "\"x\""), ("roles", "[]")] {
            let text = self.claims.to_string();
            let first = text.replacen('{', &format!("{{\"{claim}\":{other},"), 1);
            self.add(format!("{claim} twice"), FIRST.sign_text(&header, &first));
            let last = format!("{},\"{claim}\":{other}}}", text.strip_suffix('}').unwrap());
            self.add(format!("{claim} twice, at the end"), FIRST.sign_text(&header, &last));
        }
    }

    fn shapes(&mut self) {
        let good = FIRST.sign(&self.claims);
        let parts: Vec<&str> = good.split('.').collect();
        let [head, claims, signature] = parts[..] else { panic!("{good}") };
        let mut changed = self.claims.clone();
        changed["roles"] = json!(["Machine.Isolate"]);
        let changed = URL_SAFE_NO_PAD.encode(changed.to_string());
        let mut flipped = URL_SAFE_NO_PAD.decode(signature).unwrap();
        flipped[100] ^= 1;
        for (name, token) in [
            ("changed claims", format!("{head}.{changed}.{signature}")),
            ("a flipped bit", format!("{head}.{claims}.{}", URL_SAFE_NO_PAD.encode(flipped))),
            ("no signature", format!("{head}.{claims}.")),
            ("two parts", format!("{head}.{claims}")),
            ("four parts", format!("{good}.{signature}")),
            ("padding", format!("{good}=")),
            ("too long", format!("{good}{}", "A".repeat(MAX_BYTES))),
        ] {
            self.add(name, token);
        }
    }
}

#[tokio::test]
async fn nobody_is_let_in_with_a_bad_token() {
    let site = Site::start().await;
    let house = House::new(&site, "", "");
    let claims = claims(&site);
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": "first"});
    let mut forge = Forge { header, claims: claims.clone(), made: Vec::new() };
    forge.algorithms();
    forge.headers();
    forge.claims();
    forge.shapes();
    house.verify(&FIRST.sign(&claims), start()).await.unwrap();
    assert!(forge.made.len() > 90, "{}", forge.made.len());
    for (name, token) in &forge.made {
        // Twice, since nothing of it may be remembered.
        for _ in 0..2 {
            let judged = house.issuers.verify(token, &house.control, start()).await;
            let is_let_in = matches!(judged, Some(Ok(_)));
            let is_known_to_be_its = matches!(judged, Some(Err(Refusal::Audience(_))));
            assert!(!is_let_in && !is_known_to_be_its, "{name}: {judged:?}");
        }
    }
    house.verify(&FIRST.sign(&claims), start()).await.unwrap();
}

#[tokio::test]
async fn a_genuine_token_for_another_audience_is_told_so() {
    let site = Site::start().await;
    let house = House::new(&site, "", "");
    for audience in [
        "https://api.securitycenter.microsoft.com",
        "https://graph.microsoft.com",
        "fc780465-2017-40d4-a0c5-307022471b92",
        "API://PINTLE",
        "api://pintle/",
        "",
        "*",
    ] {
        for value in [json!(audience), json!([audience])] {
            let mut claims = claims(&site);
            claims["aud"] = value.clone();
            let refused = house.verify(&FIRST.sign(&claims), start()).await;
            assert!(matches!(refused, Err(Refusal::Audience(_))), "{value}: {refused:?}");
        }
    }
    let mut none = claims(&site);
    none["aud"] = json!([]);
    assert!(matches!(house.verify(&FIRST.sign(&none), start()).await, Err(Refusal::Audience(_))));
}

#[tokio::test]
async fn clocks_may_differ_by_five_minutes() {
    let site = Site::start().await;
    let house = House::new(&site, "", "");
    let now = start().unix_seconds();
    let at = |from: i64, until: i64| {
        let mut claims = claims(&site);
        (claims["iat"], claims["nbf"], claims["exp"]) = (json!(from), json!(from), json!(until));
        FIRST.sign(&claims)
    };
    house.verify(&at(now - 3_600, now - 299), start()).await.unwrap();
    house.verify(&at(now + 300, now + 3_600), start()).await.unwrap();
    assert_eq!(house.verify(&at(now - 3_600, now - 300), start()).await, Err(Refusal::Expired));
    assert_eq!(house.verify(&at(now + 301, now + 3_600), start()).await, Err(Refusal::NotYet));
    let mut claims = claims(&site);
    claims.as_object_mut().unwrap().remove("nbf");
    claims["exp"] = json!(now as f64 + 0.5);
    house.verify(&FIRST.sign(&claims), start()).await.unwrap();
}
