//! Tokens that nobody should be let in with. Shared with the measurement of what refusing them costs.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use jsonwebtoken::crypto::sign;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

/// A token that must be refused.
pub struct Bad {
    pub name: String,
    pub token: String,
    /// 401, or 403 for one that is genuine and for another API.
    pub status: u16,
}

/// What bad tokens are made of.
pub struct Forge {
    key: EncodingKey,
    foreign: EncodingKey,
    header: Value,
    claims: Value,
    good: String,
    /// The public keys as anybody can read them.
    jwks: String,
    made: Vec<Bad>,
}

const API: &str = "https://api.securitycenter.microsoft.com";

/// The bad tokens. `folder` is the data folder of the server that issued `good`; `foreign` is the key
/// of somebody else in PEM; `disabled` is a good token of an application that was disabled since.
pub fn bad_tokens(folder: &Path, good: &str, disabled: &str, jwks: &str, foreign: &str) -> Vec<Bad> {
    let keys = std::fs::read(folder.join("issuer-keys.json")).unwrap();
    let keys: Value = serde_json::from_slice(&keys).unwrap();
    let pem = keys["keys"][0]["pem"].as_str().unwrap();
    let part = |nth: usize| -> Value {
        let part = good.split('.').nth(nth).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    let mut forge = Forge {
        key: EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap(),
        foreign: EncodingKey::from_rsa_pem(foreign.as_bytes()).unwrap(),
        header: part(0),
        claims: part(1),
        good: good.to_owned(),
        jwks: jwks.to_owned(),
        made: Vec::new(),
    };
    forge.algorithms();
    forge.keys();
    forge.headers();
    forge.claims_missing_or_mistyped();
    forge.claims_that_are_wrong();
    forge.shapes();
    forge.add("an application that was disabled since", disabled.to_owned(), 401);
    forge.made
}

impl Forge {
    fn add(&mut self, name: impl Into<String>, token: String, status: u16) {
        self.made.push(Bad { name: name.into(), token, status });
    }

    /// Signs any bytes as header and claims with RS256.
    fn signed(&self, header: &str, claims: &str, key: &EncodingKey) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = sign(message.as_bytes(), key, Algorithm::RS256).unwrap();
        format!("{message}.{signature}")
    }

    fn with_header(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut header = self.header.clone();
        change(&mut header);
        self.signed(&header.to_string(), &self.claims.to_string(), &self.key)
    }

    fn with_claims(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.claims.clone();
        change(&mut claims);
        self.signed(&self.header.to_string(), &claims.to_string(), &self.key)
    }

    fn algorithms(&mut self) {
        for alg in ["none", "None", "NONE", ""] {
            let header = json!({"alg": alg, "typ": "JWT", "kid": self.header["kid"]}).to_string();
            let head = URL_SAFE_NO_PAD.encode(header);
            let claims = URL_SAFE_NO_PAD.encode(self.claims.to_string());
            self.add(format!("alg {alg:?} without a signature"), format!("{head}.{claims}."), 401);
        }
        let jwks: Value = serde_json::from_str(&self.jwks).unwrap();
        let modulus = jwks["keys"][0]["n"].as_str().unwrap().to_owned();
        for (name, secret) in [
            ("the JWK set", self.jwks.clone().into_bytes()),
            ("the JWK", jwks["keys"][0].to_string().into_bytes()),
            ("the modulus", URL_SAFE_NO_PAD.decode(modulus).unwrap()),
            ("nothing", Vec::new()),
        ] {
            let header = json!({"alg": "HS256", "typ": "JWT", "kid": self.header["kid"]}).to_string();
            let message = format!(
                "{}.{}",
                URL_SAFE_NO_PAD.encode(header),
                URL_SAFE_NO_PAD.encode(self.claims.to_string())
            );
            let key = EncodingKey::from_secret(&secret);
            let signature = sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
            self.add(format!("HS256 with {name} as the secret"), format!("{message}.{signature}"), 401);
        }
        for alg in [Algorithm::RS384, Algorithm::RS512, Algorithm::PS256] {
            let header = json!({"alg": alg, "typ": "JWT", "kid": self.header["kid"]}).to_string();
            let message = format!(
                "{}.{}",
                URL_SAFE_NO_PAD.encode(header),
                URL_SAFE_NO_PAD.encode(self.claims.to_string())
            );
            let signature = sign(message.as_bytes(), &self.key, alg).unwrap();
            self.add(format!("{alg:?} with the right key"), format!("{message}.{signature}"), 401);
        }
        for alg in
            [json!("ES256"), json!("EdDSA"), json!("RS256 "), json!(256), json!(["RS256"]), Value::Null]
        {
            let token = self.with_header(|header| header["alg"] = alg.clone());
            self.add(format!("alg {alg}"), token, 401);
        }
    }

    fn keys(&mut self) {
        let claims = self.claims.to_string();
        let signed = |header: &Value| self.signed(&header.to_string(), &claims, &self.foreign);
        let kid = &self.header["kid"];
        let jwk = json!({"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "mine"});
        let tokens = [
            ("a foreign key under our key's name", signed(&self.header)),
            ("a foreign key under its own name", signed(&json!({"alg": "RS256", "kid": "mine"}))),
            ("jku", signed(&json!({"alg": "RS256", "kid": kid, "jku": "https://198.51.100.7/keys"}))),
            (
                "jku to ourselves",
                signed(&json!({"alg": "RS256", "kid": "mine", "jku": "http://127.0.0.1/keys"})),
            ),
            ("jwk", signed(&json!({"alg": "RS256", "kid": kid, "jwk": jwk}))),
            ("x5u", signed(&json!({"alg": "RS256", "kid": kid, "x5u": "https://198.51.100.7/chain"}))),
            ("x5c", signed(&json!({"alg": "RS256", "kid": kid, "x5c": ["MIIB"]}))),
        ];
        for (name, token) in tokens {
            self.add(name, token, 401);
        }
        for kid in [
            json!("other"),
            json!(""),
            json!(7),
            Value::Null,
            json!("../issuer-keys.json"),
            json!("' or 1=1 --"),
        ] {
            let token = self.with_header(|header| header["kid"] = kid.clone());
            self.add(format!("kid {kid}"), token, 401);
        }
    }

    fn headers(&mut self) {
        for crit in [json!(["exp"]), json!(["b64"]), json!([])] {
            let token = self.with_header(|header| header["crit"] = crit.clone());
            self.add(format!("crit {crit}"), token, 401);
        }
        let claims = self.claims.to_string();
        let kid = self.header["kid"].clone();
        for header in [
            format!(r#"{{"alg":"none","alg":"RS256","kid":{kid}}}"#),
            format!(r#"{{"alg":"RS256","kid":"other","kid":{kid}}}"#),
            "{}".to_owned(),
            "[]".to_owned(),
            "null".to_owned(),
            r#"{"alg":"RS256""#.to_owned(),
            "\u{0}".to_owned(),
            "[".repeat(10_000),
        ] {
            let token = self.signed(&header, &claims, &self.key);
            self.add(format!("the header {header:.60}"), token, 401);
        }
    }

    fn claims_missing_or_mistyped(&mut self) {
        for claim in ["aud", "iss", "exp", "nbf", "iat", "sub", "tid", "appid"] {
            let token = self.with_claims(|claims| {
                claims.as_object_mut().unwrap().remove(claim);
            });
            self.add(format!("without {claim}"), token, 401);
        }
        for (claim, wrong) in [
            ("aud", json!([API])),
            ("aud", json!(7)),
            ("aud", Value::Null),
            ("iss", json!([self.claims["iss"]])),
            ("iss", Value::Null),
            ("exp", json!("4102444800")),
            ("exp", Value::Null),
            ("exp", json!(-1)),
            ("exp", json!(1e300)),
            ("exp", json!(true)),
            ("nbf", json!("0")),
            ("nbf", Value::Null),
            ("iat", json!("0")),
            ("sub", json!(7)),
            ("tid", json!("default")),
            ("tid", json!(7)),
            ("appid", json!("soar")),
            ("appid", json!({"$ne": null})),
            ("roles", json!("Machine.Read.All")),
            ("roles", json!([7])),
        ] {
            let token = self.with_claims(|claims| claims[claim] = wrong.clone());
            self.add(format!("{claim} {wrong}"), token, 401);
        }
        for (claim, other) in
            [("tid", "\"6f9619ff-8b86-d011-b42d-00cf4fc964ff\""), ("exp", "1"), ("aud", "\"x\"")]
        {
            let claims = self.claims.to_string().replacen('{', &format!("{{\"{claim}\":{other},"), 1);
            let token = self.signed(&self.header.to_string(), &claims, &self.key);
            self.add(format!("{claim} twice"), token, 401);
        }
        for claims in ["", "null", "[]", "7", "\"claims\""] {
            let token = self.signed(&self.header.to_string(), claims, &self.key);
            self.add(format!("the claims {claims:?}"), token, 401);
        }
        let nested = format!("{{\"x\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
        let token = self.signed(&self.header.to_string(), &nested, &self.key);
        self.add("claims of 5,000 nested lists", token, 401);
    }

    fn claims_that_are_wrong(&mut self) {
        let at = |claims: &Value, claim: &str| claims[claim].as_i64().unwrap();
        let (from, until) = (at(&self.claims, "nbf"), at(&self.claims, "exp"));
        let life = until - from;
        let expired = self.with_claims(|claims| {
            (claims["nbf"], claims["exp"]) = (json!(from - 2 * life), json!(from - 61));
        });
        self.add("expired", expired, 401);
        let not_yet = self.with_claims(|claims| {
            (claims["nbf"], claims["exp"]) = (json!(until), json!(until + life));
        });
        self.add("not valid yet", not_yet, 401);
        let iss = self.claims["iss"].as_str().unwrap().to_owned();
        for wrong in [
            iss.trim_end_matches('/').to_owned(),
            iss.to_uppercase(),
            format!("{iss}x"),
            "https://sts.windows.net/72f988bf-86f1-41af-91ab-2d7cd011db47/".to_owned(),
            String::new(),
        ] {
            let token = self.with_claims(|claims| claims["iss"] = json!(wrong));
            self.add(format!("the issuer {wrong}"), token, 401);
        }
        let other = "6f9619ff-8b86-d011-b42d-00cf4fc964ff";
        let token = self.with_claims(|claims| claims["tid"] = json!(other));
        self.add("another tenant under our issuer's name", token, 401);
        let tid = self.claims["tid"].as_str().unwrap().to_owned();
        let token = self.with_claims(|claims| {
            (claims["tid"], claims["iss"]) = (json!(other), json!(iss.replace(&tid, other)));
        });
        self.add("a tenant that there is not, consistently", token, 401);
        let token = self.with_claims(|claims| claims["appid"] = json!(other));
        self.add("an application that there is not", token, 401);
        let token = self.with_claims(|claims| claims["scp"] = json!("Machine.Read"));
        self.add("a user that there is not", token, 401);

        for audience in
            ["https://graph.microsoft.com", "https://api.securitycenter.microsoft.com.example.org", "", "*"]
        {
            let token = self.with_claims(|claims| claims["aud"] = json!(audience));
            self.add(format!("the audience {audience:?}"), token, 403);
        }
        let appid = self.claims["appid"].clone();
        let token = self.with_claims(|claims| {
            claims["aud"] = appid;
            let claims = claims.as_object_mut().unwrap();
            claims.remove("appid");
            claims.remove("roles");
        });
        self.add("an id token", token, 403);
    }

    fn shapes(&mut self) {
        let good = self.good.clone();
        let parts: Vec<&str> = good.split('.').collect();
        let [head, claims, signature] = parts[..] else { panic!("{good}") };
        let mut changed = self.claims.clone();
        changed["roles"] = json!(["Machine.Isolate"]);
        let changed = URL_SAFE_NO_PAD.encode(changed.to_string());
        let mut flipped = URL_SAFE_NO_PAD.decode(signature).unwrap();
        flipped[100] ^= 1;
        let padded = URL_SAFE.encode(self.claims.to_string() + " ");
        let standard = STANDARD.encode(URL_SAFE_NO_PAD.decode(signature).unwrap());
        let short = signature.get(..signature.len() - 4).unwrap();
        for (name, token) in [
            ("changed claims", format!("{head}.{changed}.{signature}")),
            (
                "a flipped bit in the signature",
                format!("{head}.{claims}.{}", URL_SAFE_NO_PAD.encode(flipped)),
            ),
            ("a shorter signature", format!("{head}.{claims}.{short}")),
            ("a signature of nothing", format!("{head}.{claims}.")),
            ("a signature in the wrong alphabet", format!("{head}.{claims}.{standard}")),
            ("padding", format!("{head}.{padded}.{signature}")),
            ("two parts", format!("{head}.{claims}")),
            ("four parts", format!("{good}.{signature}")),
            ("five parts", format!("{head}.{head}.{claims}.{claims}.{signature}")),
            ("only points", "...".to_owned()),
            ("a word", "token".to_owned()),
            ("a blank in it", format!("{head}. {claims}.{signature}")),
            ("a comma and another one", format!("{good},{good}")),
            ("twice", format!("{good}{good}")),
            ("a little too long", "x".repeat(16 * 1024 + 1)),
            ("3 MB", "x".repeat(3 << 20)),
            ("3 MB in three parts", format!("{head}.{}.{signature}", "A".repeat(3 << 20))),
            ("3 MB of points", ".".repeat(3 << 20)),
        ] {
            self.add(name, token, 401);
        }
    }
}
