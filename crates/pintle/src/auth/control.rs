//! The tenants of this server and who may call it there: applications, inlets, users, user groups, roles
//! and device groups; and what makes machines one. In `control.json`. Every change is on disk before it
//! counts, and counts for the next request.

mod applications;
mod device_groups;
mod file;
mod inlets;
mod machine_rules;
mod moment;
mod roles;
mod users;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use pintle_model::{TenantId, Time};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use super::application::{Application, ApplicationQuota, NewApplication};
use super::device_group::TenantDeviceGroups;
use super::inlet::Inlet;
use super::lockout::{Locked, Lockout};
use super::password::{self, Passwords};
use super::role::Role;
use super::secret::Pepper;
use super::user::{User, UserGroup};
use crate::private_file;
pub use device_groups::DeviceGroupChange;
use file::State;
use inlets::Uses;
pub use machine_rules::MachineRuleChange;
pub use moment::Moment;
pub use roles::{Held, RoleChange};
pub use users::{NotSignedIn, UserChange};

/// What clients write in the place of a tenant that they do not know yet.
pub(crate) const ANY_TENANT: &[&str] = &["common", "organizations", "consumers"];

/// Secrets and certificates of one application: who asks for a token is compared with all of them.
const MAX_CREDENTIALS: usize = 10;

/// Applications, inlets, users, user groups or roles of a tenant: the file is written whole for every change.
const MAX_OF_A_KIND: usize = 10_000;

/// Characters of a name.
const MAX_NAME: usize = 120;

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
    /// No such thing of another kind.
    #[error("no {0} `{1}`: `pintle {2} list` names them")]
    Unknown(&'static str, String, &'static str),
    /// One more would be too many.
    #[error("the application has {MAX_CREDENTIALS} secrets and certificates: remove one first")]
    TooManyCredentials,
    /// One more of its kind would be too many for a tenant.
    #[error("the tenant has {0} {1} already, the most there can be")]
    TooMany(usize, &'static str),
    /// The id or name is taken.
    #[error("{0} is there already")]
    Exists(String),
    /// Not a name.
    #[error("a name is 1 to 120 characters without control characters, and not a GUID")]
    Name,
    /// Not a text for people.
    #[error("a description is at most 1,000 characters without control characters")]
    Description,
    /// Not a password.
    #[error(transparent)]
    Password(#[from] password::Unfit),
    /// Built in.
    #[error(
        "the role `{}` is built in: user groups can be given it and taken from it, nothing else",
        Role::ADMINISTRATOR
    )]
    BuiltIn,
    /// Nobody but the built-in role may do this.
    #[error(
        "manage-system-settings is only in the built-in role `{}`: give the user group that one",
        Role::ADMINISTRATOR
    )]
    OnlyAdministrators,
    /// What is asked for does not fit together.
    #[error("{0}")]
    Unfit(String),
}

/// The tenants of one data folder, and who may call there.
pub struct Control {
    path: PathBuf,
    pepper: Pepper,
    passwords: Passwords,
    /// Who was wrong how often.
    pub lockout: Lockout,
    /// What counts now. Readers take the `Arc` and let go.
    state: RwLock<Arc<State>>,
    /// The device groups by which machines are sorted, where these are not yet those that are kept.
    sorted_by: RwLock<BTreeMap<TenantId, Arc<TenantDeviceGroups>>>,
    /// When the keys of inlets were used last.
    uses: Mutex<Uses>,
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
                let state = State { tenants: vec![first], ..State::default() };
                let bytes = file::bytes(&path, &state)?;
                private_file::create(&path, &bytes).map_err(super::Error::io("write", &path))?
            }
        };
        let mut state = file::read(&path, &bytes)?;
        state.complete();
        state.index();
        Ok(Control {
            path,
            pepper,
            passwords: Passwords::new(),
            lockout: Lockout::default(),
            sorted_by: RwLock::new(state.device_groups.clone()),
            state: RwLock::new(Arc::new(state)),
            uses: Mutex::default(),
            changing: Mutex::new(()),
        })
    }

    /// A key of this data folder's, the same after every start, that nobody outside knows. It is another one
    /// for every purpose, and goes with the applications' secrets: into a backup encrypted or not at all.
    pub fn derived_key(&self, purpose: &str) -> [u8; 32] {
        self.pepper.derived(purpose)
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
        if ANY_TENANT.iter().any(|any| tenant.name.eq_ignore_ascii_case(any)) {
            return Err(Error::Unfit(format!(
                "`{}` means any tenant where users sign in: take another name",
                tenant.name
            )));
        }
        self.change(|state| {
            let taken =
                |other: &Tenant| other.id == tenant.id || other.name.eq_ignore_ascii_case(&tenant.name);
            if state.tenants.iter().any(taken) {
                return Err(Error::Exists(format!("tenant `{}` ({})", tenant.name, tenant.id)));
            }
            state.tenants.push(tenant.clone());
            state.complete();
            Ok(tenant)
        })
    }

    fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes a change to a copy, writes it, and only then lets it count.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> Result<T, Error>) -> Result<T, Error> {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = State::clone(&self.state());
        let made = change(&mut state)?;
        state.index();
        file::write(&self.path, &state)?;
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
        Ok(made)
    }
}

/// A name as it may be given, without blanks around it.
pub(crate) fn checked_name(name: &str) -> Result<String, Error> {
    let name = name.trim();
    // A tenant named like a GUID could not be told from an id.
    let good = !name.is_empty()
        && name.chars().count() <= MAX_NAME
        && !name.chars().any(char::is_control)
        && Uuid::try_parse(name).is_err();
    if good { Ok(name.to_owned()) } else { Err(Error::Name) }
}

fn checked_description(text: &str) -> Result<String, Error> {
    let text = text.trim();
    let good = text.chars().count() <= 1_000 && !text.chars().any(char::is_control);
    if good { Ok(text.to_owned()) } else { Err(Error::Description) }
}

/// What has an id, a tenant and a name that is the only one of its kind there.
trait Named: Clone {
    /// Its kind in words, and the command that lists them.
    const KIND: (&'static str, &'static str);

    fn id(&self) -> Uuid;
    fn tenant(&self) -> TenantId;
    fn name(&self) -> &str;
}

type All<T> = BTreeMap<Uuid, Arc<T>>;

/// The one of that id or name in a tenant; names compare without case.
fn find<'s, T: Named>(all: &'s All<T>, tenant: TenantId, name_or_id: &str) -> Result<&'s Arc<T>, Error> {
    let found = match Uuid::try_parse(name_or_id) {
        Ok(id) => all.get(&id).filter(|one| one.tenant() == tenant),
        Err(_) => named(all, tenant, name_or_id),
    };
    found.ok_or_else(|| Error::Unknown(T::KIND.0, name_or_id.to_owned(), T::KIND.1))
}

fn named<'s, T: Named>(all: &'s All<T>, tenant: TenantId, name: &str) -> Option<&'s Arc<T>> {
    let name = folded(name);
    all.values().find(|one| one.tenant() == tenant && folded(one.name()) == name)
}

/// A name as it is compared.
fn folded(name: &str) -> String {
    name.trim().to_lowercase()
}

/// Adds one, if its name is free and there are not too many.
fn add<T: Named>(all: &mut All<T>, one: T) -> Result<Arc<T>, Error> {
    if named(all, one.tenant(), one.name()).is_some() {
        return Err(Error::Exists(format!("{} `{}`", T::KIND.0, one.name())));
    }
    if all.values().filter(|other| other.tenant() == one.tenant()).count() >= MAX_OF_A_KIND {
        return Err(Error::TooMany(MAX_OF_A_KIND, T::KIND.0));
    }
    let one = Arc::new(one);
    all.insert(one.id(), Arc::clone(&one));
    Ok(one)
}

/// Changes one; its name must stay the only one.
fn replace<T: Named>(all: &mut All<T>, changed: T) -> Result<Arc<T>, Error> {
    if named(all, changed.tenant(), changed.name()).is_some_and(|other| other.id() != changed.id()) {
        return Err(Error::Exists(format!("{} `{}`", T::KIND.0, changed.name())));
    }
    let changed = Arc::new(changed);
    all.insert(changed.id(), Arc::clone(&changed));
    Ok(changed)
}

/// Those of a tenant or of all, by name.
fn of_tenant<T: Named>(all: &All<T>, tenant: Option<TenantId>) -> Vec<Arc<T>> {
    let theirs = all.values().filter(|one| tenant.is_none_or(|tenant| one.tenant() == tenant));
    let mut theirs: Vec<Arc<T>> = theirs.cloned().collect();
    theirs.sort_by_cached_key(|one| (one.name().to_lowercase(), one.id()));
    theirs
}

macro_rules! named {
    ($($type:ty: $kind:literal $command:literal),*) => {
        $(impl Named for $type {
            const KIND: (&'static str, &'static str) = ($kind, $command);

            fn id(&self) -> Uuid { self.id }
            fn tenant(&self) -> TenantId { self.tenant }
            fn name(&self) -> &str { &self.name }
        })*
    };
}
named!(Application: "application" "client", Inlet: "inlet" "inlet", User: "user" "user", UserGroup: "user group" "group", Role: "role" "role");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::permission::{Permission, Permissions};
    use crate::auth::secret::Secret;

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
            id: Some(Uuid::from_u128(1)),
            secret: Some(Secret::from_text("fixed")),
            secret_expires: Some(end),
            ..NewApplication::new(tenant, "dev", reader())
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
