//! Verification of bearer tokens. Every claim that decides is required and typed; the JWT library
//! checks the signature only, because by itself it would let pass a token without `aud` or `iss`.
//! What a token's caller may do *now* is asked of [`super::rights`] for every request.

use std::collections::HashSet;
use std::sync::Arc;

use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use pintle_model::{TenantId, Time};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::cache::Cache;
use super::issuer::{Claims, Issuer};
use super::permission::Permissions;

/// Longer tokens are refused unread.
pub const MAX_BYTES: usize = 16 * 1024;

/// Clocks may differ by this much, in seconds.
const LEEWAY: i64 = 60;

/// The API under all of its names: a token for any of them is for this API. As the published pages
/// and shipped clients have them; one thread reports a tenant where only the third form works.
const AUDIENCES: &[&str] = &[
    "https://api.securitycenter.microsoft.com",
    "https://api.securitycenter.windows.com",
    "https://securitycenter.onmicrosoft.com/windowsatpservice",
    "https://api.security.microsoft.com",
    // The id of the resource application WindowsDefenderATP.
    "fc780465-2017-40d4-a0c5-307022471b92",
    // Regions, to 2021 and today.
    "https://api-us.securitycenter.microsoft.com",
    "https://api-eu.securitycenter.microsoft.com",
    "https://api-eu3.securitycenter.microsoft.com",
    "https://api-uk.securitycenter.microsoft.com",
    "https://api-au.securitycenter.microsoft.com",
    "https://api-us.securitycenter.windows.com",
    "https://api-eu.securitycenter.windows.com",
    "https://api-uk.securitycenter.windows.com",
    "https://us.api.security.microsoft.com",
    "https://eu.api.security.microsoft.com",
    "https://uk.api.security.microsoft.com",
    "https://au.api.security.microsoft.com",
    "https://swa.api.security.microsoft.com",
    "https://ina.api.security.microsoft.com",
    // Government clouds.
    "https://api-gcc.securitycenter.microsoft.us",
    "https://api-gov.securitycenter.microsoft.us",
];

/// The names under which this server is asked for tokens and accepts them.
pub struct Audiences(HashSet<String>);

impl Audiences {
    /// The API's own names, and `more`: the public URL and what the configuration adds.
    pub fn new<'a>(more: impl IntoIterator<Item = &'a str>) -> Audiences {
        Audiences(AUDIENCES.iter().copied().chain(more).map(plain).collect())
    }

    /// Whether the audience is one of them, whatever its case and with or without a slash at the
    /// end.
    pub fn contains(&self, audience: &str) -> bool {
        self.0.contains(&plain(audience))
    }
}

fn plain(audience: &str) -> String {
    audience.strip_suffix('/').unwrap_or(audience).to_ascii_lowercase()
}

/// Whose token it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// An application, and the roles in its token.
    Application(Uuid, Permissions),
    /// A user who signed in to an application.
    User {
        /// Their object id.
        user: Uuid,
        /// The application.
        application: Uuid,
        /// What they let it do.
        scopes: Permissions,
        /// The epoch of theirs that it is of.
        epoch: u64,
    },
}

/// A token that is genuine, for this API and in its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The tenant it is for.
    pub tenant: TenantId,
    /// Whose it is.
    pub subject: Subject,
    /// The key that signed it.
    kid: String,
    /// From when and until when it counts, leeway included, in seconds since 1970.
    valid: (i64, i64),
}

/// Why a token is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Ask for a new token.
    #[error("the token is expired")]
    Expired,
    /// Wait, or set the clock.
    #[error("the token is not valid yet")]
    NotYet,
    /// Ask for a token with another resource or scope.
    #[error("the token is for the audience {0}, not for this API")]
    Audience(String),
    /// Ask this server's issuer for a token.
    #[error("the token is not one of this server's: {0}")]
    Foreign(&'static str),
    /// Ask the outside issuer for another token.
    #[error("the token of an outside issuer is not accepted: {0}")]
    Outside(&'static str),
    /// Try again later.
    #[error("the keys of the token's issuer cannot be fetched at the moment: try again later")]
    OutsideKeys,
    /// Ask the administrator.
    #[error("the application of this token is unknown or disabled here")]
    Application,
    /// Sign in again.
    #[error("the user of this token is unknown or disabled here, or has another password since")]
    User,
}

/// Verifies tokens, and remembers those that it has verified.
pub struct Verifier {
    audiences: Audiences,
    validation: Validation,
    cache: Cache<Verified>,
}

impl Verifier {
    /// A verifier of tokens for these audiences.
    pub fn new(audiences: Audiences) -> Verifier {
        let mut validation = Validation::new(Algorithm::RS256);
        // `Claims` requires these too; here they hold even if somebody makes a claim optional.
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        // Checked below, in an order that tells the client the truth, against our own clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        Verifier { audiences, validation, cache: Cache::default() }
    }

    /// The accepted audiences.
    pub fn audiences(&self) -> &Audiences {
        &self.audiences
    }

    /// Whose token this is, if it is genuine, for this API and counts now.
    pub fn verify(&self, token: &str, issuer: &Issuer, now: Time) -> Result<Arc<Verified>, Refusal> {
        if token.len() > MAX_BYTES {
            return Err(Refusal::Foreign("it is longer than 16 KiB"));
        }
        let key: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some(verified) = self.cache.get(&key) {
            in_time(verified.valid, now)?;
            if !issuer.trusts(&verified.kid) {
                return Err(UNKNOWN_KEY);
            }
            return Ok(verified);
        }
        let (claims, kid) = self.signed_claims(token, issuer)?;
        let valid = (claims.nbf.saturating_sub(LEEWAY), claims.exp.saturating_add(LEEWAY));
        in_time(valid, now)?;
        if !self.audiences.contains(&claims.aud) {
            return Err(Refusal::Audience(claims.aud));
        }
        let verified = Arc::new(Verified { tenant: claims.tid, subject: subject(&claims)?, kid, valid });
        self.cache.put(key, Arc::clone(&verified));
        Ok(verified)
    }

    /// The claims of a token that one of this server's keys signed in this server's name, and which.
    fn signed_claims(&self, token: &str, issuer: &Issuer) -> Result<(Claims, String), Refusal> {
        let header = decode_header(token).map_err(|_| Refusal::Foreign("it is no JWT"))?;
        if header.crit.is_some() {
            return Err(Refusal::Foreign("it has critical extensions, and none is known here"));
        }
        let kid = header.kid.ok_or(Refusal::Foreign("it names no key"))?;
        let key = issuer.key(&kid).ok_or(UNKNOWN_KEY)?;
        let verifying = key.verifying().ok_or(UNKNOWN_KEY)?;
        let claims: Claims = decode(token, verifying, &self.validation)
            .map_err(|_| Refusal::Foreign("its signature or its claims are wrong"))?
            .claims;
        if issuer.of(claims.tid).as_ref() != Some(&claims.iss) {
            return Err(Refusal::Foreign("its issuer is another one"));
        }
        Ok((claims, kid))
    }
}

const UNKNOWN_KEY: Refusal = Refusal::Foreign("its key is unknown or revoked");

/// Whether now lies between two times, in seconds since 1970.
pub(super) fn in_time((from, until): (i64, i64), now: Time) -> Result<(), Refusal> {
    match now.unix_seconds() {
        now if now >= until => Err(Refusal::Expired),
        now if now < from => Err(Refusal::NotYet),
        _ => Ok(()),
    }
}

/// A token with `scp` is a user's, whatever else it holds.
fn subject(claims: &Claims) -> Result<Subject, Refusal> {
    match (&claims.scp, claims.appid, claims.oid.zip(claims.epoch)) {
        (Some(scopes), Some(application), Some((user, epoch))) => {
            let scopes = Permissions::delegated_as(scopes.split_ascii_whitespace());
            Ok(Subject::User { user, application, scopes, epoch })
        }
        (None, Some(application), _) => {
            let roles = claims.roles.iter().flatten().map(String::as_str);
            Ok(Subject::Application(application, Permissions::named(roles)))
        }
        _ => Err(Refusal::Foreign("it says neither whose nor which application's it is")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use crate::auth::application::{Application, Proof};
    use crate::auth::control::Control;
    use crate::auth::permission::Permission;
    use crate::auth::rights::Rights;

    const NOW: Time = Time::from_ticks(17_000_000_000_000_000);
    const MAIN: &str = "https://api.securitycenter.microsoft.com";

    struct House {
        _folder: tempfile::TempDir,
        control: Control,
        issuer: Issuer,
        verifier: Verifier,
        application: Arc<Application>,
    }

    fn house() -> House {
        let folder = tempfile::tempdir().unwrap();
        let control = Control::open(folder.path()).unwrap();
        let tenant = control.tenant("default").unwrap().id;
        let permissions = [Permission::MachineRead, Permission::FileRead].into_iter().collect();
        let (application, _) = control.create_application(tenant, "soar", permissions, NOW).unwrap();
        let issuer =
            Issuer::open(folder.path(), Some("https://pintle.example.org/"), Duration::from_secs(3_600), NOW)
                .unwrap();
        let verifier = Verifier::new(Audiences::new(["https://pintle.example.org"]));
        House { _folder: folder, control, issuer, verifier, application }
    }

    impl House {
        fn token(&self, audience: &str) -> String {
            self.issuer.issue(&self.application, Proof::Secret, audience, NOW).unwrap().unwrap().token
        }

        fn kid(&self) -> String {
            self.issuer.keys()[0].kid.clone()
        }

        fn claims(&self) -> Value {
            let token = self.token(MAIN);
            let payload = token.split('.').nth(1).unwrap();
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
        }

        fn verify(&self, token: &str) -> Result<Arc<Verified>, Refusal> {
            self.verifier.verify(token, &self.issuer, NOW)
        }

        /// Signs with the right key, whatever the header and the claims.
        fn signed(&self, header: &Value, claims: &Value) -> String {
            let good = self.issuer.sign(claims).unwrap();
            if header.is_null() {
                return good;
            }
            let key = self.issuer.key(&self.kid()).unwrap();
            let payload = good.split('.').nth(1).unwrap();
            let message = format!("{}.{payload}", URL_SAFE_NO_PAD.encode(header.to_string()));
            let signature =
                jsonwebtoken::crypto::sign(message.as_bytes(), key.signing().unwrap(), Algorithm::RS256)
                    .unwrap();
            format!("{message}.{signature}")
        }
    }

    #[test]
    fn every_name_of_the_api_is_an_audience_and_nothing_else_is() {
        let house = house();
        for audience in AUDIENCES.iter().copied().chain(["https://pintle.example.org"]) {
            house.verify(&house.token(audience)).unwrap();
            house.verify(&house.token(&format!("{audience}/"))).unwrap();
        }
        for audience in
            ["https://graph.microsoft.com", "https://api.securitycenter.microsoft.com.example.org", ""]
        {
            assert!(matches!(house.verify(&house.token(audience)), Err(Refusal::Audience(_))), "{audience}");
        }
    }

    #[test]
    fn a_token_counts_for_its_time_and_a_minute_on_either_side_also_from_the_cache() {
        let house = house();
        let token = house.token(MAIN);
        let at = |seconds: i64| {
            let now = Time::from_unix_seconds(NOW.unix_seconds() + seconds);
            house.verifier.verify(&token, &house.issuer, now).map(drop)
        };
        for _ in 0..2 {
            assert_eq!(at(-61), Err(Refusal::NotYet));
            assert_eq!(at(-60), Ok(()));
            assert_eq!(at(3_659), Ok(()));
            assert_eq!(at(3_660), Err(Refusal::Expired));
        }
    }

    #[test]
    fn forged_incomplete_and_mistyped_tokens_are_refused() {
        let house = house();
        let kid = house.kid();
        let good = house.claims();
        house.verify(&house.signed(&Value::Null, &good)).unwrap();
        let good_header = json!({"alg": "RS256", "kid": kid, "typ": "JWT"});
        house.verify(&house.signed(&good_header, &good)).unwrap();

        for (claim, wrong) in [
            ("aud", json!([MAIN])),
            ("aud", json!(7)),
            ("iss", json!("https://pintle.example.org")),
            ("iss", json!(["https://pintle.example.org/"])),
            ("exp", json!("soon")),
            ("exp", json!(-1)),
            ("nbf", json!(null)),
            ("iat", json!("now")),
            ("tid", json!("default")),
            ("tid", json!("6f9619ff-8b86-d011-b42d-00cf4fc964ff")),
            ("appid", json!("soar")),
            ("roles", json!("Machine.Read.All")),
        ] {
            let mut claims = good.clone();
            claims[claim] = wrong.clone();
            assert!(house.verify(&house.signed(&Value::Null, &claims)).is_err(), "{claim}: {wrong}");
        }
        for claim in ["aud", "iss", "exp", "nbf", "iat", "sub", "tid", "appid"] {
            let mut claims = good.clone();
            claims.as_object_mut().unwrap().remove(claim);
            assert!(house.verify(&house.signed(&Value::Null, &claims)).is_err(), "without {claim}");
        }
        for header in [
            json!({"alg": "none", "kid": kid}),
            json!({"alg": "HS256", "kid": kid}),
            json!({"alg": "RS512", "kid": kid}),
            json!({"alg": "RS256"}),
            json!({"alg": "RS256", "kid": "other"}),
            json!({"alg": "RS256", "kid": kid, "crit": ["exp"]}),
        ] {
            assert!(house.verify(&house.signed(&header, &good)).is_err(), "{header}");
        }
    }

    #[test]
    fn the_public_key_is_no_secret_and_a_changed_token_is_no_token() {
        let house = house();
        let header =
            jsonwebtoken::Header { kid: Some(house.kid()), ..jsonwebtoken::Header::new(Algorithm::HS256) };
        let key = jsonwebtoken::EncodingKey::from_secret(house.issuer.jwks().as_bytes());
        let forged = jsonwebtoken::encode(&header, &house.claims(), &key).unwrap();
        assert!(house.verify(&forged).is_err());

        let token = house.token(MAIN);
        let parts: Vec<&str> = token.split('.').collect();
        let mut claims = house.claims();
        claims["roles"] = json!(["Machine.Isolate"]);
        let changed = URL_SAFE_NO_PAD.encode(claims.to_string());
        for bad in [
            format!("{}.{changed}.{}", parts[0], parts[2]),
            format!("{}.{}.", parts[0], parts[1]),
            format!("{}.{}", parts[0], parts[1]),
            format!("{token}.{}", parts[2]),
            String::new(),
            "...".to_owned(),
            "x".repeat(MAX_BYTES + 1),
        ] {
            assert!(house.verify(&bad).is_err(), "{:.60}", bad);
        }

        let other = self::house();
        assert!(house.verify(&other.token(MAIN)).is_err(), "another server's key");
    }

    #[test]
    fn members_named_twice_are_refused() {
        let house = house();
        let text = house.claims().to_string();
        let twice = text.replacen('{', r#"{"tid":"6f9619ff-8b86-d011-b42d-00cf4fc964ff","#, 1);
        let raw = serde_json::value::RawValue::from_string(twice).unwrap();
        let token = house.issuer.sign(&raw).unwrap();
        assert!(house.verify(&token).is_err());
    }

    #[test]
    fn what_is_taken_from_an_application_counts_at_once() {
        let house = house();
        let verified = house.verify(&house.token(MAIN)).unwrap();
        let id = house.application.id;
        let now = || Rights::now(&house.control, &verified);
        assert!(now().unwrap().permissions.contains(Permission::FileRead));

        let only = [Permission::MachineRead, Permission::AlertRead].into_iter().collect();
        house.control.change_application(id, |application| application.permissions = only).unwrap();
        let values: Vec<&str> = now().unwrap().permissions.iter().map(Permission::value).collect();
        assert_eq!(values, ["Machine.Read.All"], "a new permission needs a new token");

        house.control.change_application(id, |application| application.enabled = false).unwrap();
        assert_eq!(now().err(), Some(Refusal::Application));
        house.control.delete(id).unwrap();
        assert_eq!(now().err(), Some(Refusal::Application));
    }

    #[test]
    fn a_token_outlives_its_key_unless_that_is_revoked() {
        let house = house();
        let old = house.token(MAIN);
        house.verify(&old).unwrap();
        house.issuer.rotate_key(NOW).unwrap();
        house.verify(&old).unwrap();
        let new = house.token(MAIN);
        house.verify(&new).unwrap();
        house.issuer.revoke_key(&house.kid(), NOW).unwrap();
        assert_eq!(house.verify(&old), Err(UNKNOWN_KEY), "though it was verified before");
        house.verify(&new).unwrap();
    }

    #[test]
    fn a_token_with_scopes_is_a_users() {
        let house = house();
        let mut claims = house.claims();
        claims["scp"] = json!("Machine.Read");
        assert!(house.verify(&house.signed(&Value::Null, &claims)).is_err(), "of no epoch");
        claims["epoch"] = json!(0);
        let verified = house.verify(&house.signed(&Value::Null, &claims)).unwrap();
        assert!(matches!(verified.subject, Subject::User { .. }));
    }

    #[test]
    fn the_key_is_the_same_after_a_restart_and_its_file_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let house = house();
        let again = Issuer::open(
            house._folder.path(),
            Some("https://pintle.example.org"),
            Duration::from_secs(60),
            NOW,
        )
        .unwrap();
        house.verifier.verify(&house.token(MAIN), &again, NOW).unwrap();
        assert_eq!(again.jwks(), house.issuer.jwks());
        let mode = std::fs::metadata(house._folder.path().join(crate::auth::keys::FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let jwks: Value = serde_json::from_str(&again.jwks()).unwrap();
        assert_eq!(jwks["keys"][0]["use"], "sig");
        assert!(jwks["keys"][0].get("d").is_none());
    }
}
