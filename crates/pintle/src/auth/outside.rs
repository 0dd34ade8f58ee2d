//! Tokens of outside issuers: Entra ID, Keycloak, any OpenID Connect issuer that the configuration
//! names. The configuration is the allow-list; nothing in a token or in an issuer's answer adds a host,
//! a key or a permission to it. What a token says is mapped to what counts here for every request.

mod claims;
mod fetch;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod jwks;
mod jwt;
mod supply;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use pintle_model::{TenantId, Time};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use self::claims::{Claims, Holder};
use self::fetch::Client;
use self::jwks::Key;
use self::jwt::Jwt;
use self::supply::Supply;
use super::Error;
use super::cache::Cache;
use super::control::Control;
use super::permission::{Permission, Permissions};
use super::token::{MAX_BYTES, Refusal, in_time};
use crate::config::{Config, OutsideIssuer};

const UNKNOWN_KEY: Refusal = Refusal::Outside("its key is unknown or was taken back");

/// A genuine token of an outside issuer that is for this server and counts now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutsideVerified {
    /// The name of the issuer's section in the configuration.
    pub issuer: String,
    /// The tenant that the issuer's tokens are for.
    pub tenant: TenantId,
    /// Whose the token is, and what it is worth here.
    pub subject: OutsideSubject,
    quota_id: Uuid,
}

/// Whose token it is, and what it is worth here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutsideSubject {
    /// An application's own.
    Application {
        /// Its id at the issuer.
        id: String,
        /// What its roles are mapped to.
        permissions: Permissions,
    },
    /// A user's, for whom an application acts.
    User {
        /// The user's id at the issuer.
        id: String,
        /// The user's name, or the id if the token has none.
        name: String,
        /// What the application may do for the user: what the token's scopes are mapped to.
        scopes: Permissions,
        /// The names of user groups that the user's groups are mapped to, each once, in order.
        user_groups: Vec<String>,
    },
}

impl OutsideVerified {
    /// The application by which calls are counted: the same for all tokens of a client of an issuer,
    /// and no other client's.
    pub fn quota_id(&self) -> Uuid {
        self.quota_id
    }
}

/// The issuers whose tokens are accepted beside the built-in one's.
pub struct OutsideIssuers {
    /// By their `iss`.
    issuers: HashMap<String, Issuer>,
    verified: Cache<Known>,
}

struct Issuer {
    name: String,
    settings: OutsideIssuer,
    keys: Arc<Supply>,
}

/// A token that was verified before.
struct Known {
    key: Arc<Key>,
    claims: Claims,
    quota_id: Uuid,
}

impl OutsideIssuers {
    /// The configured issuers. Nothing is fetched yet; the authorities that vouch for their hosts are
    /// read.
    pub fn new(config: &Config, control: &Control) -> Result<OutsideIssuers, Error> {
        let mut system = None;
        let mut issuers = HashMap::new();
        for (name, settings) in &config.outside_issuers {
            let authorities = match (&settings.ca_file, &system) {
                (Some(file), _) => Arc::new(authorities_in(file)?),
                (None, Some(system)) => Arc::clone(system),
                (None, None) => Arc::clone(system.insert(Arc::new(system_authorities(name)?))),
            };
            if control.tenant(&settings.tenant).is_none() {
                tracing::warn!(
                    issuer = name,
                    tenant = settings.tenant,
                    "there is no such tenant, so no token of this outside issuer is accepted: make it with `pintle tenant create`"
                );
            }
            let client = Client::new(authorities).map_err(|_| Error::Crypto("setting up TLS"))?;
            let (issuer, jwks_uri) = (settings.issuer.clone(), settings.jwks_uri.clone());
            let keys = Arc::new(Supply::new(name, issuer, jwks_uri, client));
            let issuer = Issuer { name: name.clone(), settings: settings.clone(), keys };
            issuers.insert(settings.issuer.as_str().to_owned(), issuer);
        }
        Ok(OutsideIssuers { issuers, verified: Cache::default() })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.issuers.is_empty()
    }

    /// Whose token this is and what it is worth now, or why it is refused. `None`: it does not claim to
    /// be of one of these issuers, and the built-in one judges it. Waits at most for one fetch of keys,
    /// which is bounded.
    pub async fn verify(
        &self,
        token: &str,
        control: &Control,
        now: Time,
    ) -> Option<Result<OutsideVerified, Refusal>> {
        if self.issuers.is_empty() {
            return None;
        }
        if token.len() > MAX_BYTES {
            return Some(Err(Refusal::Outside("it is longer than 16 KiB")));
        }
        let issuer = self.issuers.get(&jwt::claimed_issuer(token)?)?;
        Some(self.known(token, issuer, now).await.and_then(|known| issuer.worth(&known, control)))
    }

    /// What a genuine token says, whether or not it was seen before.
    async fn known(&self, token: &str, issuer: &Issuer, now: Time) -> Result<Arc<Known>, Refusal> {
        let digest = Sha256::digest(token.as_bytes()).into();
        if let Some(known) = self.verified.get(&digest) {
            in_time(known.claims.valid, now)?;
            let current = issuer.keys.key(&known.key.kid, now).await?;
            return if current == known.key { Ok(known) } else { Err(UNKNOWN_KEY) };
        }
        let jwt = Jwt::read(token)?;
        let key = issuer.keys.key(&jwt.kid, now).await?;
        if !jwt.is_signed_by(&key) {
            return Err(Refusal::Outside("its signature is wrong"));
        }
        let claims = Claims::read(&jwt.claims()?, &issuer.settings, now)?;
        let quota_id = quota_id(issuer.settings.issuer.as_str(), &claims.client);
        let known = Arc::new(Known { key, claims, quota_id });
        self.verified.put(digest, Arc::clone(&known));
        Ok(known)
    }
}

impl Issuer {
    /// What a genuine token is worth at this moment.
    fn worth(&self, known: &Known, control: &Control) -> Result<OutsideVerified, Refusal> {
        let settings = &self.settings;
        let tenant = control
            .tenant(&settings.tenant)
            .ok_or(Refusal::Outside("the tenant that its issuer is configured for is not here"))?
            .id;
        let permissions = |values: &[String],
                           map: &BTreeMap<String, Permissions>,
                           named: fn(&str) -> Option<Permission>| {
            let mapped = values.iter().filter_map(|value| map.get(value).copied());
            let trusted = values.iter().filter(|_| settings.trust_permission_names);
            // Whoever names the roles elsewhere is not the server's administrator.
            let trusted = trusted.filter_map(|value| named(value));
            let trusted: Permissions =
                trusted.filter(|permission| *permission != Permission::ServerAdministration).collect();
            mapped.fold(trusted, Permissions::union)
        };
        let subject = match &known.claims.holder {
            Holder::Application { roles } => OutsideSubject::Application {
                id: known.claims.client.clone(),
                permissions: permissions(roles, &settings.roles, Permission::named),
            },
            Holder::User { id, name, scopes, groups } => {
                let groups = groups.iter().filter_map(|group| settings.groups.get(group)).flatten();
                let groups: BTreeSet<&String> = groups.collect();
                OutsideSubject::User {
                    id: id.clone(),
                    name: name.clone(),
                    scopes: permissions(scopes, &settings.scopes, Permission::delegated_as),
                    user_groups: groups.into_iter().cloned().collect(),
                }
            }
        };
        Ok(OutsideVerified { issuer: self.name.clone(), tenant, subject, quota_id: known.quota_id })
    }
}

/// A UUID of version 8 (RFC 9562) for a client of an issuer. Neither can hold the zero between them.
fn quota_id(issuer: &str, client: &str) -> Uuid {
    let digest = Sha256::new().chain_update(issuer).chain_update([0]).chain_update(client).finalize();
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(byte, digest)| *byte = digest);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// The authorities in a PEM file.
fn authorities_in(file: &Path) -> Result<RootCertStore, Error> {
    let pem = std::fs::read(file).map_err(Error::io("read", file))?;
    let mut authorities = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| Error::damaged(file, error))?;
        authorities.add(certificate).map_err(|error| Error::damaged(file, error))?;
    }
    if authorities.is_empty() {
        let reason =
            "it holds no certificate: expected a PEM file that begins with -----BEGIN CERTIFICATE-----";
        return Err(Error::damaged(file, reason));
    }
    Ok(authorities)
}

/// The authorities that the system trusts, for the issuer of that name.
fn system_authorities(name: &str) -> Result<RootCertStore, Error> {
    let mut authorities = RootCertStore::empty();
    // One that cannot be read is another program's affair as long as there are others.
    authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if authorities.is_empty() { Err(Error::NoAuthorities(name.to_owned())) } else { Ok(authorities) }
}
