//! An application that may call the API, and what it proves itself with.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pintle_model::{TenantId, Time};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::certificate::Certificate;
use super::permission::Permissions;
use super::redirect::RedirectUri;
use super::secret::{Secret, SecretHash};
use crate::quota::Limits;

/// What applies to an application instead of the configured quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplicationQuota {
    /// The configured quota.
    #[default]
    Configured,
    /// None.
    Off,
    /// Limits of its own.
    Limits(Limits),
}

/// An application registered here. Its serialised form is the file's, with the hashes of its
/// secrets: show its fields instead.
#[derive(Clone, Serialize, Deserialize)]
pub struct Application {
    /// The client id.
    pub id: Uuid,
    /// The id of its service principal, the `oid` and `sub` of its tokens.
    pub object_id: Uuid,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its name, for people.
    pub name: String,
    /// What it may do.
    pub permissions: Permissions,
    /// Whether it may get and use tokens.
    pub enabled: bool,
    /// What applies instead of the configured quota.
    #[serde(default)]
    pub quota: ApplicationQuota,
    /// What it may do for a user who signs in to it, if the user may as well.
    #[serde(default)]
    pub delegated: Permissions,
    /// Whether it signs users in without a secret of its own, as a program on their machine does.
    #[serde(default)]
    pub is_public: bool,
    /// Where users may be sent back to after they signed in.
    #[serde(default)]
    pub redirect_uris: Vec<RedirectUri>,
    /// The only device groups whose machines its own tokens show; `None`: all.
    #[serde(default)]
    pub device_groups: Option<BTreeSet<u32>>,
    pub(super) secrets: Vec<StoredSecret>,
    #[serde(default)]
    pub(super) certificates: Vec<StoredCertificate>,
}

impl Application {
    /// Its secrets and certificates.
    pub fn credentials(&self) -> impl Iterator<Item = CredentialInfo> {
        let secret = |secret: &StoredSecret| CredentialInfo {
            id: secret.id,
            proof: Proof::Secret,
            thumbprint: None,
            created: secret.created,
            expires: secret.expires,
        };
        let certificate = |stored: &StoredCertificate| {
            let certificate = stored.read();
            CredentialInfo {
                id: stored.id,
                proof: Proof::Certificate,
                thumbprint: certificate.as_ref().map(Certificate::thumbprint),
                created: stored.created,
                expires: certificate.map(|certificate| certificate.not_after()),
            }
        };
        self.secrets.iter().map(secret).chain(self.certificates.iter().map(certificate))
    }
}

/// How an application proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A secret.
    Secret,
    /// The key of a certificate.
    Certificate,
}

impl Proof {
    /// The `appidacr` of its tokens.
    pub fn claim(self) -> &'static str {
        match self {
            Proof::Secret => "1",
            Proof::Certificate => "2",
        }
    }
}

/// A secret or a certificate, without what is secret of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialInfo {
    /// By which it is named.
    pub id: Uuid,
    /// Which of the two.
    pub proof: Proof,
    /// A certificate's SHA-1 in upper-case hex, as it is listed elsewhere.
    pub thumbprint: Option<String>,
    /// When it was added.
    pub created: Time,
    /// When it ends.
    pub expires: Option<Time>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct StoredSecret {
    pub(super) id: Uuid,
    pub(super) hash: SecretHash,
    pub(super) created: Time,
    pub(super) expires: Option<Time>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct StoredCertificate {
    pub(super) id: Uuid,
    /// DER in base64.
    der: String,
    created: Time,
}

impl StoredCertificate {
    pub(super) fn new(certificate: &Certificate, now: Time) -> StoredCertificate {
        StoredCertificate { id: Uuid::new_v4(), der: STANDARD.encode(certificate.der()), created: now }
    }

    /// Whether it is this one.
    pub(super) fn is(&self, certificate: &Certificate) -> bool {
        STANDARD.decode(&self.der).is_ok_and(|der| der == certificate.der())
    }

    /// `None`: somebody wrote something else into the file.
    pub(super) fn read(&self) -> Option<Certificate> {
        Certificate::from_der(&STANDARD.decode(&self.der).ok()?).ok()
    }
}

/// What [`super::control::Control::create_application_with`] makes.
#[derive(Debug)]
pub struct NewApplication {
    /// Its tenant.
    pub tenant: TenantId,
    /// Its name, for people.
    pub name: String,
    /// What it may do.
    pub permissions: Permissions,
    /// A client id that is known already; otherwise a random one.
    pub id: Option<Uuid>,
    /// A secret that is known already; otherwise a random one.
    pub secret: Option<Secret>,
    /// When the secret ends.
    pub secret_expires: Option<Time>,
    /// What applies instead of the configured quota.
    pub quota: ApplicationQuota,
    /// What it may do for a user.
    pub delegated: Permissions,
    /// Whether it signs users in without a secret of its own.
    pub is_public: bool,
    /// Where users may be sent back to.
    pub redirect_uris: Vec<RedirectUri>,
}

impl NewApplication {
    /// One with these permissions, a random id and secret, and nothing out of the ordinary.
    pub fn new(tenant: TenantId, name: &str, permissions: Permissions) -> NewApplication {
        NewApplication {
            tenant,
            name: name.to_owned(),
            permissions,
            id: None,
            secret: None,
            secret_expires: None,
            quota: ApplicationQuota::Configured,
            delegated: Permissions::default(),
            is_public: false,
            redirect_uris: Vec::new(),
        }
    }
}
