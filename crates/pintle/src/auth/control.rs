//! The tenants of this server and the applications that may call it, in `control.json`. Every
//! change is on disk before it counts, and counts for the next request.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use pintle_model::{TenantId, Time};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use super::application::{Application, ApplicationQuota, NewApplication};
use super::application::{CredentialInfo, StoredCertificate, StoredSecret};
use super::assertion::Assertion;
use super::certificate::Certificate;
use super::permission::Permissions;
use super::secret::{Pepper, Secret};
use crate::private_file;

/// The file's format; a newer one is refused.
const FORMAT: u32 = 1;

/// Secrets and certificates of one application: who asks for a token is compared with all of them.
const MAX_CREDENTIALS: usize = 10;

/// A tenant: whose data an application sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// The `tid` of its tokens.
    pub id: TenantId,
    /// Its name, usable wherever the id is; compared without case.
    pub name: String,
}

/// Why a change was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing was changed: the files cannot be read or written.
    #[error(transparent)]
    Storage(#[from] super::Error),
    /// No such tenant.
    #[error("no tenant `{0}`")]
    UnknownTenant(String),
    /// No such application.
    #[error("no application with client id {0}: `pintle client list` names them")]
    UnknownApplication(Uuid),
    /// No such secret or certificate.
    #[error(
        "the application has no secret or certificate {0}: `pintle client list --credentials` names them"
    )]
    UnknownCredential(Uuid),
    /// One more would be too many.
    #[error("the application has {MAX_CREDENTIALS} secrets and certificates: remove one first")]
    TooManyCredentials,
    /// The id or name is taken.
    #[error("{0} is there already")]
    Exists(String),
    /// Not a name.
    #[error("a name is 1 to 120 characters without control characters, and not a GUID")]
    Name,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct State {
    tenants: Vec<Tenant>,
    #[serde(with = "as_list")]
    applications: BTreeMap<Uuid, Arc<Application>>,
}

#[derive(Serialize, Deserialize)]
struct File<S> {
    format: u32,
    #[serde(flatten)]
    state: S,
}

/// The tenants and applications of one data folder.
pub struct Control {
    path: PathBuf,
    pepper: Pepper,
    /// What counts now. Readers take the `Arc` and let go.
    state: RwLock<Arc<State>>,
    /// One change at a time.
    changing: Mutex<()>,
}

impl Control {
    /// Opens the folder's `control.json`. On the first start it is made, with the tenant
    /// `default`.
    pub fn open(folder: &Path) -> Result<Control, super::Error> {
        Control::open_with_default(folder, TenantId::random())
    }

    /// The same, with a given id for the tenant `default` if it has to be made.
    pub fn open_with_default(folder: &Path, default: TenantId) -> Result<Control, super::Error> {
        let path = folder.join("control.json");
        let found = private_file::read(&path).map_err(super::Error::io("read", &path))?;
        let pepper = match (Pepper::read(folder)?, &found) {
            (Some(pepper), _) => pepper,
            (None, None) => Pepper::create(folder)?,
            // A new pepper would turn every secret away without saying why.
            (None, Some(_)) => {
                let reason = "it is missing, so restore it, or remove control.json and register the applications again";
                return Err(super::Error::damaged(&folder.join(Pepper::FILE), reason));
            }
        };
        let bytes = match found {
            Some(bytes) => bytes,
            None => {
                let first = Tenant { id: default, name: "default".to_owned() };
                let state = State { tenants: vec![first], applications: BTreeMap::new() };
                let bytes = state_bytes(&path, &state)?;
                private_file::create(&path, &bytes).map_err(super::Error::io("write", &path))?
            }
        };
        let state = read_state(&path, &bytes)?;
        Ok(Control { path, pepper, state: RwLock::new(Arc::new(state)), changing: Mutex::new(()) })
    }

    /// The tenant of that GUID or name.
    pub fn tenant(&self, name_or_guid: &str) -> Option<Tenant> {
        let id = name_or_guid.parse::<TenantId>().ok();
        let state = self.state();
        let found = state.tenants.iter().find(|tenant| match id {
            Some(id) => tenant.id == id,
            None => tenant.name.eq_ignore_ascii_case(name_or_guid),
        });
        found.cloned()
    }

    /// Every tenant.
    pub fn tenants(&self) -> Vec<Tenant> {
        self.state().tenants.clone()
    }

    /// Makes a tenant, of a given id if it must be a known one.
    pub fn create_tenant(&self, id: Option<TenantId>, name: &str) -> Result<Tenant, Error> {
        let tenant = Tenant { id: id.unwrap_or_else(TenantId::random), name: checked_name(name)? };
        self.change(|state| {
            let taken =
                |other: &Tenant| other.id == tenant.id || other.name.eq_ignore_ascii_case(&tenant.name);
            if state.tenants.iter().any(taken) {
                return Err(Error::Exists(format!("tenant `{}` ({})", tenant.name, tenant.id)));
            }
            state.tenants.push(tenant.clone());
            Ok(tenant)
        })
    }

    /// Registers an application. The secret cannot be had again.
    pub fn create_application(
        &self,
        tenant: TenantId,
        name: &str,
        permissions: Permissions,
        now: Time,
    ) -> Result<(Arc<Application>, Secret), Error> {
        let new = NewApplication {
            tenant,
            name: name.to_owned(),
            permissions,
            id: None,
            secret: None,
            secret_expires: None,
            quota: ApplicationQuota::Configured,
        };
        self.create_application_with(new, now)
    }

    /// The same with ids, secret or quota that are given.
    pub fn create_application_with(
        &self,
        new: NewApplication,
        now: Time,
    ) -> Result<(Arc<Application>, Secret), Error> {
        let (secret, stored) = self.new_secret(new.secret, new.secret_expires, now)?;
        let application = Arc::new(Application {
            id: new.id.unwrap_or_else(Uuid::new_v4),
            object_id: Uuid::new_v4(),
            tenant: new.tenant,
            name: checked_name(&new.name)?,
            permissions: new.permissions,
            enabled: true,
            quota: new.quota,
            secrets: vec![stored],
            certificates: Vec::new(),
        });
        self.change(|state| {
            if !state.tenants.iter().any(|tenant| tenant.id == application.tenant) {
                return Err(Error::UnknownTenant(application.tenant.to_string()));
            }
            if state.applications.contains_key(&application.id) {
                return Err(Error::Exists(format!("application {}", application.id)));
            }
            state.applications.insert(application.id, Arc::clone(&application));
            Ok((application, secret))
        })
    }

    /// Every application, by client id.
    pub fn applications(&self) -> Vec<Arc<Application>> {
        self.state().applications.values().cloned().collect()
    }

    /// The application of that client id, enabled or not.
    pub fn application(&self, id: Uuid) -> Option<Arc<Application>> {
        self.state().applications.get(&id).cloned()
    }

    /// Gives the application one more secret, which ends when it says so.
    pub fn add_secret(&self, id: Uuid, expires: Option<Time>, now: Time) -> Result<(Secret, Uuid), Error> {
        let (secret, stored) = self.new_secret(None, expires, now)?;
        let credential = stored.id;
        self.add_credential(id, |application| application.secrets.push(stored))?;
        Ok((secret, credential))
    }

    /// Lets the application prove itself with the key of a certificate. Returns the credential's id; one
    /// that it has already stays as it is.
    pub fn add_certificate(&self, id: Uuid, certificate: &Certificate, now: Time) -> Result<Uuid, Error> {
        let stored = StoredCertificate::new(certificate, now);
        let there = self.application(id).ok_or(Error::UnknownApplication(id))?;
        if let Some(there) = there.certificates.iter().find(|there| there.is(certificate)) {
            return Ok(there.id);
        }
        let credential = stored.id;
        self.add_credential(id, |application| application.certificates.push(stored))?;
        Ok(credential)
    }

    fn add_credential(&self, id: Uuid, add: impl FnOnce(&mut Application)) -> Result<(), Error> {
        self.change(|state| {
            let found = state.applications.get(&id).ok_or(Error::UnknownApplication(id))?;
            if found.credentials().count() >= MAX_CREDENTIALS {
                return Err(Error::TooManyCredentials);
            }
            let mut application = Application::clone(found);
            add(&mut application);
            state.applications.insert(id, Arc::new(application));
            Ok(())
        })
    }

    /// Takes a secret or a certificate from the application. Tokens it has live on until they expire.
    pub fn remove_credential(&self, id: Uuid, credential: Uuid) -> Result<CredentialInfo, Error> {
        self.change(|state| {
            let found = state.applications.get(&id).ok_or(Error::UnknownApplication(id))?;
            let there = found.credentials().find(|there| there.id == credential);
            let there = there.ok_or(Error::UnknownCredential(credential))?;
            let mut application = Application::clone(found);
            application.secrets.retain(|secret| secret.id != credential);
            application.certificates.retain(|certificate| certificate.id != credential);
            state.applications.insert(id, Arc::new(application));
            Ok(there)
        })
    }

    /// Gives the application a new secret. The old ones stop working at once; tokens it has live
    /// on until they expire.
    pub fn rotate(&self, id: Uuid, now: Time) -> Result<Secret, Error> {
        let (secret, stored) = self.new_secret(None, None, now)?;
        self.change_application(id, |application| application.secrets = vec![stored])?;
        Ok(secret)
    }

    /// Changes an application: its name, permissions, quota, whether it is enabled. Tokens it has
    /// follow from the next request on.
    pub fn change_application(
        &self,
        id: Uuid,
        change: impl FnOnce(&mut Application),
    ) -> Result<Arc<Application>, Error> {
        self.change(|state| {
            let found = state.applications.get(&id).ok_or(Error::UnknownApplication(id))?;
            let mut application = Application::clone(found);
            change(&mut application);
            let application = Arc::new(application);
            state.applications.insert(id, Arc::clone(&application));
            Ok(application)
        })
    }

    /// Removes an application. Its tokens stop working at once.
    pub fn delete(&self, id: Uuid) -> Result<(), Error> {
        self.change(|state| state.applications.remove(&id).map(drop).ok_or(Error::UnknownApplication(id)))
    }

    /// The enabled application of that tenant and client id if the secret is its own. Who asks
    /// with an unknown id, a wrong secret or a disabled application learns nothing by the answer
    /// or by the time it took.
    pub fn authenticate(
        &self,
        tenant: TenantId,
        id: Uuid,
        secret: &Secret,
        now: Time,
    ) -> Option<Arc<Application>> {
        let presented = self.pepper.hash(secret);
        let application = self.application(id);
        let stored = application.as_deref().map_or(&[][..], |application| &application.secrets);
        let mut known = false;
        for stored in stored {
            known |= presented.equals(&stored.hash) & stored.expires.is_none_or(|expires| now < expires);
        }
        application.filter(|application| known && application.enabled && application.tenant == tenant)
    }

    /// The same for who sends an assertion signed with the key of a certificate. Whatever is wrong, one
    /// signature is verified.
    pub fn authenticate_by_certificate(
        &self,
        tenant: TenantId,
        id: Uuid,
        assertion: &Assertion<'_>,
        now: Time,
    ) -> Option<Arc<Application>> {
        let application = self.application(id);
        let stored = application.as_deref().map_or(&[][..], |application| &application.certificates);
        let mut certificates = stored.iter().filter_map(StoredCertificate::read);
        let certificate = certificates.find(|certificate| assertion.names(certificate));
        let known = assertion.proves(id, certificate.as_ref(), now);
        application.filter(|application| known && application.enabled && application.tenant == tenant)
    }

    fn new_secret(
        &self,
        secret: Option<Secret>,
        expires: Option<Time>,
        now: Time,
    ) -> Result<(Secret, StoredSecret), super::Error> {
        let secret = secret.map_or_else(Secret::generate, Ok)?;
        let stored =
            StoredSecret { id: Uuid::new_v4(), hash: self.pepper.hash(&secret), created: now, expires };
        Ok((secret, stored))
    }

    fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes a change to a copy, writes it, and only then lets it count.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> Result<T, Error>) -> Result<T, Error> {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = State::clone(&self.state());
        let made = change(&mut state)?;
        write_state(&self.path, &state)?;
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
        Ok(made)
    }
}

fn read_state(path: &Path, bytes: &[u8]) -> Result<State, super::Error> {
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let damaged = |error: serde_json::Error| super::Error::damaged(path, error);
    let Format { format } = serde_json::from_slice(bytes).map_err(damaged)?;
    if format > FORMAT {
        let reason =
            format!("it is of format {format}, this pintle knows up to {FORMAT}: start the newer one");
        return Err(super::Error::damaged(path, reason));
    }
    let file: File<State> = serde_json::from_slice(bytes).map_err(damaged)?;
    Ok(file.state)
}

fn write_state(path: &Path, state: &State) -> Result<(), super::Error> {
    private_file::replace(path, &state_bytes(path, state)?).map_err(super::Error::io("write", path))
}

fn state_bytes(path: &Path, state: &State) -> Result<Vec<u8>, super::Error> {
    serde_json::to_vec_pretty(&File { format: FORMAT, state })
        .map_err(|error| super::Error::damaged(path, error))
}

fn checked_name(name: &str) -> Result<String, Error> {
    let name = name.trim();
    // A tenant named like a GUID could not be told from an id.
    let good = !name.is_empty()
        && name.chars().count() <= 120
        && !name.chars().any(char::is_control)
        && Uuid::try_parse(name).is_err();
    if good { Ok(name.to_owned()) } else { Err(Error::Name) }
}

/// Applications stand in the file as a list, for whoever reads it.
mod as_list {
    use super::*;

    pub fn serialize<S: serde::Serializer>(
        applications: &BTreeMap<Uuid, Arc<Application>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(applications.values().map(|application| &**application))
    }

    pub fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Uuid, Arc<Application>>, D::Error> {
        let list = Vec::<Application>::deserialize(deserializer)?;
        Ok(list.into_iter().map(|application| (application.id, Arc::new(application))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::permission::Permission;

    const NOW: Time = Time::from_ticks(17_000_000_000_000_000);

    fn reader() -> Permissions {
        [Permission::MachineRead].into_iter().collect()
    }

    #[test]
    fn an_application_is_there_after_a_restart_and_its_secret_is_not_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let control = Control::open(folder.path()).unwrap();
        let tenant = control.tenant("DEFAULT").unwrap();
        let (application, secret) = control.create_application(tenant.id, "soar", reader(), NOW).unwrap();
        drop(control);

        let control = Control::open(folder.path()).unwrap();
        assert_eq!(control.tenant(&tenant.id.to_string()).unwrap(), tenant);
        let found = control.authenticate(tenant.id, application.id, &secret, NOW).unwrap();
        assert_eq!((found.name.as_str(), found.permissions), ("soar", reader()));
        let file = std::fs::read_to_string(folder.path().join("control.json")).unwrap();
        assert!(!file.contains(secret.reveal()));
        assert!(file.contains("Machine.Read.All"));
    }

    #[test]
    fn only_the_right_secret_of_an_enabled_application_of_the_tenant_is_let_in() {
        let folder = tempfile::tempdir().unwrap();
        let control = Control::open(folder.path()).unwrap();
        let tenant = control.tenant("default").unwrap().id;
        let other = control.create_tenant(None, "other").unwrap().id;
        let (application, secret) = control.create_application(tenant, "soar", reader(), NOW).unwrap();
        let asks = |tenant, id, secret: &Secret| control.authenticate(tenant, id, secret, NOW).is_some();

        assert!(asks(tenant, application.id, &secret));
        assert!(!asks(tenant, application.id, &Secret::from_text("")));
        assert!(!asks(tenant, application.id, &Secret::from_text(format!("{}x", secret.reveal()))));
        assert!(!asks(tenant, Uuid::new_v4(), &secret));
        assert!(!asks(other, application.id, &secret));

        let rotated = control.rotate(application.id, NOW).unwrap();
        assert!(!asks(tenant, application.id, &secret));
        assert!(asks(tenant, application.id, &rotated));
        control.change_application(application.id, |application| application.enabled = false).unwrap();
        assert!(!asks(tenant, application.id, &rotated));
        control.delete(application.id).unwrap();
        assert!(matches!(control.delete(application.id), Err(Error::UnknownApplication(_))));
    }

    #[test]
    fn a_secret_ends_when_it_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let control = Control::open(folder.path()).unwrap();
        let tenant = control.tenant("default").unwrap().id;
        let end = NOW + std::time::Duration::from_secs(60);
        let new = NewApplication {
            tenant,
            name: "dev".to_owned(),
            permissions: reader(),
            id: Some(Uuid::from_u128(1)),
            secret: Some(Secret::from_text("fixed")),
            secret_expires: Some(end),
            quota: ApplicationQuota::Off,
        };
        let (application, secret) = control.create_application_with(new, NOW).unwrap();
        assert!(control.authenticate(tenant, application.id, &secret, NOW).is_some());
        assert!(control.authenticate(tenant, application.id, &secret, end).is_none());
    }

    #[test]
    fn a_lost_pepper_and_a_newer_file_are_named_instead_of_turning_everybody_away() {
        let folder = tempfile::tempdir().unwrap();
        drop(Control::open(folder.path()).unwrap());
        std::fs::remove_file(folder.path().join("pepper")).unwrap();
        let error = Control::open(folder.path()).err().unwrap().to_string();
        assert!(error.contains("pepper") && error.contains("restore"), "{error}");

        let folder = tempfile::tempdir().unwrap();
        drop(Control::open(folder.path()).unwrap());
        std::fs::write(folder.path().join("control.json"), br#"{"format":2,"new":true}"#).unwrap();
        let error = Control::open(folder.path()).err().unwrap().to_string();
        assert!(error.contains("format 2"), "{error}");
    }

    #[test]
    fn names_are_unique_short_and_never_look_like_an_id() {
        let folder = tempfile::tempdir().unwrap();
        let control = Control::open(folder.path()).unwrap();
        assert!(matches!(control.create_tenant(None, "Default"), Err(Error::Exists(_))));
        for name in ["", " ", "a\nb", "6f9619ff-8b86-d011-b42d-00cf4fc964ff", &"x".repeat(121)] {
            assert!(matches!(control.create_tenant(None, name), Err(Error::Name)), "{name}");
        }
    }
}
