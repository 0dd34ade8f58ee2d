//! The applications, and what they prove themselves with.

use super::super::application::{CredentialInfo, StoredCertificate, StoredSecret};
use super::super::assertion::Assertion;
use super::super::certificate::Certificate;
use super::super::permission::Permissions;
use super::super::secret::Secret;
use super::*;

impl Control {
    /// Registers an application. The secret cannot be had again.
    pub fn create_application(
        &self,
        tenant: TenantId,
        name: &str,
        permissions: Permissions,
        now: Time,
    ) -> Result<(Arc<Application>, Secret), Error> {
        self.create_application_with(NewApplication::new(tenant, name, permissions), now)
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
            delegated: new.delegated,
            is_public: new.is_public,
            redirect_uris: new.redirect_uris,
            device_groups: None,
            // A public one has nowhere to keep it.
            secrets: if new.is_public { Vec::new() } else { vec![stored] },
            certificates: Vec::new(),
        });
        self.change(|state| {
            if !state.tenants.iter().any(|tenant| tenant.id == application.tenant) {
                return Err(Error::UnknownTenant(application.tenant.to_string()));
            }
            if state.applications.contains_key(&application.id) {
                return Err(Error::Exists(format!("application {}", application.id)));
            }
            let of_tenant = |other: &&Arc<Application>| other.tenant == application.tenant;
            if state.applications.values().filter(of_tenant).count() >= MAX_OF_A_KIND {
                return Err(Error::TooMany(MAX_OF_A_KIND, "applications"));
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
    ) -> Result<(Secret, StoredSecret), crate::auth::Error> {
        let secret = secret.map_or_else(Secret::generate, Ok)?;
        let stored =
            StoredSecret { id: Uuid::new_v4(), hash: self.pepper.hash(&secret), created: now, expires };
        Ok((secret, stored))
    }
}
