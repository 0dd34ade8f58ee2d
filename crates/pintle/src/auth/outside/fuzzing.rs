//! What is read of outside issuers' tokens and keys, for `fuzz`.

use std::sync::LazyLock;

use pintle_model::Time;

use super::claims::Claims;
use super::jwks::KeySet;
use super::jwt::{self, Jwt};
use super::supply::Discovery;
use crate::config::{HttpsUrl, Loaded, OutsideIssuer, Sources};

const SETTINGS: &str = r#"
[outside_issuers.a]
issuer = "https://login.example.org/"
tenant = "default"
audiences = ["api://pintle"]
roles_claim = "realm_access.roles"
application_claim = "azpacr"
roles = { reader = ["Machine.Read.All"] }
"#;

static ISSUER: LazyLock<OutsideIssuer> = LazyLock::new(|| {
    let sources = Sources { file: Some(("pintle.toml".into(), SETTINGS.to_owned())), ..Sources::default() };
    let loaded = Loaded::from_sources(&sources).unwrap_or_else(|problems| panic!("{problems:?}"));
    loaded.config.outside_issuers["a"].clone()
});

/// A token, as if an issuer's key had signed it.
pub(crate) fn token(token: &str, now: Time) {
    jwt::claimed_issuer(token);
    let Ok(jwt) = Jwt::read(token) else { return };
    let Ok(claims) = jwt.claims() else { return };
    if let Ok(claims) = Claims::read(&claims, &ISSUER, now) {
        assert!(!claims.client.is_empty() && claims.valid.0 <= claims.valid.1);
    }
}

/// A set of keys, each asked whether it made a signature.
pub(crate) fn keys(bytes: &[u8], token: &str) {
    let Ok(keys) = KeySet::read(bytes) else { return };
    let Ok(jwt) = Jwt::read(token) else { return };
    if let Some(key) = keys.find(&jwt.kid) {
        assert!(keys.len() > 0);
        jwt.is_signed_by(key);
    }
}

/// A discovery document.
pub(crate) fn discovery(bytes: &[u8]) {
    let Ok(Discovery { issuer, jwks_uri }) = serde_json::from_slice(bytes) else { return };
    if let (Ok(issuer), Ok(keys)) = (issuer.parse::<HttpsUrl>(), jwks_uri.parse::<HttpsUrl>()) {
        keys.is_beside(&issuer);
    }
}
