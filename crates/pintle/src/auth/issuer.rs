//! The built-in issuer: one RSA key per data folder, made at the first start, and the tokens it
//! signs. The issuer's URL is configured, never taken from a request.

use std::path::Path;
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use pintle_model::{TenantId, Time};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::control::Application;
use super::{Error, random};
use crate::private_file;

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
    /// How the client proved itself: `1` is a secret.
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

/// The key, and what tokens say about who signed them.
pub struct Issuer {
    /// What stands before `/{tenant}/` in `iss`; `None`: no tokens are issued or accepted.
    base: Option<String>,
    lifetime: Duration,
    pub(super) kid: String,
    signing: EncodingKey,
    verifying: DecodingKey,
    jwks: String,
}

impl Issuer {
    /// Reads the folder's `issuer-key.pem` (PKCS#8), or makes it. Tokens live for `lifetime` and
    /// name `{base}/{tenant}/` as their issuer.
    pub fn open(folder: &Path, base: Option<&str>, lifetime: Duration) -> Result<Issuer, Error> {
        let path = folder.join("issuer-key.pem");
        let pem = match private_file::read(&path).map_err(Error::io("read", &path))? {
            Some(pem) => pem,
            None => private_file::create(&path, new_key()?.as_bytes()).map_err(Error::io("write", &path))?,
        };
        let damaged = |error: jsonwebtoken::errors::Error| {
            Error::damaged(&path, format!("{error}; restore it, or remove it to start with a new key"))
        };
        let signing = EncodingKey::from_rsa_pem(&pem).map_err(damaged)?;
        let mut jwk = Jwk::from_encoding_key(&signing, Algorithm::RS256).map_err(damaged)?;
        let kid = jwk.thumbprint(ThumbprintHash::SHA256).map_err(damaged)?;
        let verifying = match &jwk.algorithm {
            AlgorithmParameters::RSA(key) => {
                DecodingKey::from_rsa_components(&key.n, &key.e).map_err(damaged)?
            }
            _ => return Err(Error::damaged(&path, "it should hold an RSA key")),
        };
        jwk.common.key_id = Some(kid.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let jwks = serde_json::json!({ "keys": [jwk] }).to_string();
        let base = base.map(|base| base.trim_end_matches('/').to_owned());
        Ok(Issuer { base, lifetime, kid, signing, verifying, jwks })
    }

    /// The issuer of a tenant's tokens; `None` if no public URL is configured.
    pub fn of(&self, tenant: TenantId) -> Option<String> {
        Some(format!("{}/{tenant}/", self.base.as_deref()?))
    }

    /// The public keys, as a JWK set.
    pub fn jwks(&self) -> &str {
        &self.jwks
    }

    /// Signs a token for an application. `None` if no public URL is configured.
    pub fn issue(
        &self,
        application: &Application,
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
            appidacr: Some("1".to_owned()),
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
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::RS256) };
        jsonwebtoken::encode(&header, claims, &self.signing).map_err(|_| Error::Crypto("signing a token"))
    }

    /// The key that a token naming this `kid` must be signed with.
    pub(super) fn key(&self, kid: &str) -> Option<&DecodingKey> {
        (kid == self.kid).then_some(&self.verifying)
    }
}

/// A new key pair as PKCS#8 in PEM.
fn new_key() -> Result<String, Error> {
    let failed = |_| Error::Crypto("making an RSA key");
    let pair = KeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
    let der: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
    let text = STANDARD.encode(der.as_ref());
    let lines: Vec<&str> =
        (0..text.len()).step_by(64).filter_map(|at| text.get(at..(at + 64).min(text.len()))).collect();
    Ok(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n")))
}
