//! The built-in issuer and the tokens it signs. Its URL is configured, never taken from a request.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Header};
use pintle_model::{TenantId, Time};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::application::{Application, Proof};
use super::keys::{ChangeError, Key, KeyInfo, Keys, Schedule};
use super::{Error, random};

/// The claims of an application token, in the order in which they are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// For which API.
    pub aud: String,
    /// Who signed it.
    pub iss: String,
    /// When, in seconds since 1970.
    pub iat: i64,
    /// From when it counts, in seconds since 1970.
    pub nbf: i64,
    /// Until when, in seconds since 1970.
    pub exp: i64,
    /// The application's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_displayname: Option<String>,
    /// The client id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appid: Option<Uuid>,
    /// How the client proved itself: `1` is a secret, `2` a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appidacr: Option<String>,
    /// Who vouches for the subject: the issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idp: Option<String>,
    /// The subject's object id: the service principal, or the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oid: Option<Uuid>,
    /// An application's permissions. Left out when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<String>>,
    /// A user's scopes, separated by blanks. Its presence makes this a user's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scp: Option<String>,
    /// The subject.
    pub sub: String,
    /// The tenant.
    pub tid: TenantId,
    /// The token's own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uti: Option<String>,
    /// The token's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ver: Option<String>,
}

/// A signed token.
#[derive(Debug)]
pub struct Issued {
    /// The JWT.
    pub token: String,
    /// From when it counts.
    pub not_before: Time,
    /// Until when.
    pub expires: Time,
}

/// The keys, and what tokens say about who signed them.
pub struct Issuer {
    /// What stands before `/{tenant}/` in `iss`; `None`: no tokens are issued or accepted.
    base: Option<String>,
    lifetime: Duration,
    keys: Keys,
}

impl Issuer {
    /// Reads the folder's keys, or makes the first. Tokens live for `lifetime` and name
    /// `{base}/{tenant}/` as their issuer.
    pub fn open(folder: &Path, base: Option<&str>, lifetime: Duration, now: Time) -> Result<Issuer, Error> {
        let base = base.map(|base| base.trim_end_matches('/').to_owned());
        Ok(Issuer { base, lifetime, keys: Keys::open(folder, now)? })
    }

    /// The issuer of a tenant's tokens; `None` if no public URL is configured.
    pub fn of(&self, tenant: TenantId) -> Option<String> {
        Some(format!("{}/{tenant}/", self.base.as_deref()?))
    }

    /// The public keys, as a JWK set.
    pub fn jwks(&self) -> Arc<str> {
        self.keys.jwks()
    }

    /// Every key, in the order in which they were made.
    pub fn keys(&self) -> Vec<KeyInfo> {
        self.keys.list()
    }

    /// Publishes the key that is to sign next, making it if there is none.
    pub fn publish_key(&self, now: Time) -> Result<KeyInfo, Error> {
        self.keys.publish(now)
    }

    /// Lets the published key sign from now on, or a new one. Tokens of the old one stay good.
    pub fn rotate_key(&self, now: Time) -> Result<KeyInfo, Error> {
        self.keys.rotate(self.lifetime, now)
    }

    /// Takes a key back, named by its `kid` or the beginning of it: none of its tokens is good from
    /// the next request on.
    pub fn revoke_key(&self, kid: &str, now: Time) -> Result<KeyInfo, ChangeError> {
        self.keys.revoke(kid, now)
    }

    /// Exchanges keys as scheduled. Returns what was done, for the log.
    pub fn keep_keys(&self, schedule: Schedule, now: Time) -> Result<Option<&'static str>, Error> {
        self.keys.keep(schedule, self.lifetime, now)
    }

    /// Signs a token for an application that has proved itself. `None` if no public URL is configured.
    pub fn issue(
        &self,
        application: &Application,
        proof: Proof,
        audience: &str,
        now: Time,
    ) -> Result<Option<Issued>, Error> {
        let Some(iss) = self.of(application.tenant) else {
            return Ok(None);
        };
        let roles: Vec<String> = application.permissions.iter().map(|role| role.to_string()).collect();
        let expires = now + self.lifetime;
        let claims = Claims {
            aud: audience.to_owned(),
            iat: now.unix_seconds(),
            nbf: now.unix_seconds(),
            exp: expires.unix_seconds(),
            app_displayname: Some(application.name.clone()),
            appid: Some(application.id),
            appidacr: Some(proof.claim().to_owned()),
            idp: Some(iss.clone()),
            iss,
            oid: Some(application.object_id),
            roles: Some(roles).filter(|roles| !roles.is_empty()),
            scp: None,
            sub: application.object_id.to_string(),
            tid: application.tenant,
            uti: Some(URL_SAFE_NO_PAD.encode(random::<16>()?)),
            ver: Some("1.0".to_owned()),
        };
        Ok(Some(Issued { token: self.sign(&claims)?, not_before: now, expires }))
    }

    /// Signs any claims.
    pub(crate) fn sign(&self, claims: &impl Serialize) -> Result<String, Error> {
        let failed = Error::Crypto("signing a token");
        let Some(key) = self.keys.signing() else { return Err(failed) };
        let Some(signing) = key.signing() else { return Err(failed) };
        let header = Header { kid: Some(key.kid().to_owned()), ..Header::new(Algorithm::RS256) };
        jsonwebtoken::encode(&header, claims, signing).map_err(|_| failed)
    }

    /// The key that signs.
    pub(crate) fn signing_key(&self) -> Option<Arc<Key>> {
        self.keys.signing()
    }

    /// The key that a token naming this `kid` must be signed with.
    pub(super) fn key(&self, kid: &str) -> Option<Arc<Key>> {
        self.keys.trusted(kid)
    }

    /// Whether tokens of the key of this name are good still.
    pub(super) fn trusts(&self, kid: &str) -> bool {
        self.keys.trusts(kid)
    }
}
