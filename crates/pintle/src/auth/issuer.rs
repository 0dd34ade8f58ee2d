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
use super::permission::{Permission, Permissions};
use super::user::User;
use super::{Error, random};

/// The claims of an application token, in the order in which they are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// For which API.
    pub aud: String,
    /// A user's epoch: with another one the token is good no more. Ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
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
    /// The user's name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A user's scopes, separated by blanks. Its presence makes this a user's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scp: Option<String>,
    /// The subject.
    pub sub: String,
    /// The tenant.
    pub tid: TenantId,
    /// What the user signs in with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique_name: Option<String>,
    /// The same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upn: Option<String>,
    /// The token's own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uti: Option<String>,
    /// The token's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ver: Option<String>,
}

/// The claims of an id token: for the application, and of no use at the API.
#[derive(Serialize)]
struct IdClaims<'a> {
    aud: Uuid,
    iss: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    oid: Uuid,
    preferred_username: &'a str,
    sub: Uuid,
    tid: TenantId,
    ver: &'static str,
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

    /// The same of a tenant that is not known yet, as Entra ID writes it.
    pub fn template(&self) -> Option<String> {
        Some(format!("{}/{{tenantid}}/", self.base.as_deref()?))
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
        let roles: Vec<String> = application.permissions.iter().map(|role| role.to_string()).collect();
        self.issue_with(application, Some(proof), audience, now, |claims| Claims {
            oid: Some(application.object_id),
            sub: application.object_id.to_string(),
            roles: Some(roles).filter(|roles| !roles.is_empty()),
            ..claims
        })
    }

    /// Signs a token for a user who has signed in to an application, which has proved itself or is
    /// public. `None` if no public URL is configured.
    pub fn issue_for(
        &self,
        user: &User,
        application: &Application,
        proof: Option<Proof>,
        scopes: Permissions,
        audience: &str,
        now: Time,
    ) -> Result<Option<Issued>, Error> {
        let scopes: Vec<&str> = scopes.iter().map(Permission::delegated).collect();
        self.issue_with(application, proof, audience, now, |claims| Claims {
            epoch: Some(user.epoch),
            oid: Some(user.id),
            sub: user.id.to_string(),
            name: Some(user.display_name.clone()),
            scp: Some(scopes.join(" ")),
            unique_name: Some(user.name.clone()),
            upn: Some(user.name.clone()),
            ..claims
        })
    }

    fn issue_with(
        &self,
        application: &Application,
        proof: Option<Proof>,
        audience: &str,
        now: Time,
        subject: impl FnOnce(Claims) -> Claims,
    ) -> Result<Option<Issued>, Error> {
        let Some(iss) = self.of(application.tenant) else {
            return Ok(None);
        };
        let expires = now + self.lifetime;
        let claims = subject(Claims {
            aud: audience.to_owned(),
            epoch: None,
            iat: now.unix_seconds(),
            nbf: now.unix_seconds(),
            exp: expires.unix_seconds(),
            app_displayname: Some(application.name.clone()),
            appid: Some(application.id),
            appidacr: Some(proof.map_or("0", Proof::claim).to_owned()),
            idp: Some(iss.clone()),
            iss,
            oid: None,
            roles: None,
            name: None,
            scp: None,
            sub: String::new(),
            tid: application.tenant,
            unique_name: None,
            upn: None,
            uti: Some(URL_SAFE_NO_PAD.encode(random::<16>()?)),
            ver: Some("1.0".to_owned()),
        });
        Ok(Some(Issued { token: self.sign(&claims)?, not_before: now, expires }))
    }

    /// Signs what tells an application who signed in to it (OpenID Connect). `None` if no public URL is
    /// configured.
    pub fn issue_id_token(
        &self,
        user: &User,
        application: &Application,
        nonce: Option<&str>,
        now: Time,
    ) -> Result<Option<String>, Error> {
        let Some(iss) = self.of(application.tenant) else { return Ok(None) };
        let claims = IdClaims {
            aud: application.id,
            iss,
            iat: now.unix_seconds(),
            nbf: now.unix_seconds(),
            exp: (now + self.lifetime).unix_seconds(),
            name: &user.display_name,
            nonce,
            oid: user.id,
            preferred_username: &user.name,
            sub: user.id,
            tid: user.tenant,
            ver: "2.0",
        };
        self.sign(&claims).map(Some)
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
