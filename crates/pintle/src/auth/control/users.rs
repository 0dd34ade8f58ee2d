//! Users and user groups.

use std::collections::BTreeSet;

use super::super::device_group::TenantDeviceGroups;
use super::super::user::NewUser;
use super::*;

/// What a user may be changed in; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// Their name, for people.
    pub display_name: Option<String>,
    /// Whether they may sign in and use tokens.
    pub enabled: Option<bool>,
    /// Groups they are added to, by name or id.
    pub join: Vec<String>,
    /// Groups they are taken from.
    pub leave: Vec<String>,
}

/// Why somebody is not signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSignedIn {
    /// No such user, a wrong password, or a user who may not.
    Wrong,
    /// Too many wrong passwords: the next try counts then.
    Locked(Locked),
}

impl Control {
    /// The users, of one tenant or all, by name.
    pub fn users(&self, tenant: Option<TenantId>) -> Vec<Arc<User>> {
        of_tenant(&self.state().users, tenant)
    }

    /// The user of that name or id.
    pub fn user(&self, tenant: TenantId, name_or_id: &str) -> Result<Arc<User>, Error> {
        find(&self.state().users, tenant, name_or_id).cloned()
    }

    /// The user of that id, if they may use tokens of that epoch.
    pub fn user_now(&self, tenant: TenantId, id: Uuid, epoch: u64) -> Option<Arc<User>> {
        self.moment().user(tenant, id, epoch)
    }

    /// Adds a user, who cannot sign in before there is a password.
    pub fn create_user(&self, new: NewUser, now: Time) -> Result<Arc<User>, Error> {
        let name = checked_name(&new.name)?;
        let display_name = match new.display_name.trim() {
            "" => name.clone(),
            display_name => checked_name(display_name)?,
        };
        self.change(|state| {
            if !state.tenants.iter().any(|tenant| tenant.id == new.tenant) {
                return Err(Error::UnknownTenant(new.tenant.to_string()));
            }
            let groups =
                new.user_groups.iter().map(|group| Ok(find(&state.user_groups, new.tenant, group)?.id));
            let user = User {
                id: Uuid::new_v4(),
                tenant: new.tenant,
                user_groups: groups.collect::<Result<_, Error>>()?,
                name,
                display_name,
                enabled: true,
                created: now,
                password: None,
                epoch: 0,
            };
            add(&mut state.users, user)
        })
    }

    /// Changes a user. Tokens they have follow from the next request on.
    pub fn change_user(&self, tenant: TenantId, user: &str, change: UserChange) -> Result<Arc<User>, Error> {
        let display_name = change.display_name.as_deref().map(checked_name).transpose()?;
        self.change(|state| {
            let mut user = User::clone(find(&state.users, tenant, user)?);
            for group in &change.join {
                user.user_groups.insert(find(&state.user_groups, tenant, group)?.id);
            }
            for group in &change.leave {
                user.user_groups.remove(&find(&state.user_groups, tenant, group)?.id);
            }
            user.display_name = display_name.unwrap_or(user.display_name);
            if change.enabled == Some(false) {
                // Or what they had would be good again once they are enabled.
                user.epoch += 1;
            }
            user.enabled = change.enabled.unwrap_or(user.enabled);
            replace(&mut state.users, user)
        })
    }

    /// Gives a user a password. Tokens they have stop working at once, and a lock ends. Blocks.
    pub fn set_password(&self, tenant: TenantId, user: &str, password: &str) -> Result<Arc<User>, Error> {
        password::check(password)?;
        // Before the hash, which takes its time.
        self.user(tenant, user)?;
        let hash = self.passwords.hash(password)?;
        let changed = self.change(|state| {
            let mut user = User::clone(find(&state.users, tenant, user)?);
            user.password = Some(hash);
            user.epoch += 1;
            replace(&mut state.users, user)
        })?;
        self.unlock(&changed);
        Ok(changed)
    }

    /// Ends all that a user is signed in to: their tokens stop working at once.
    pub fn sign_out(&self, tenant: TenantId, user: &str) -> Result<Arc<User>, Error> {
        self.change(|state| {
            let mut user = User::clone(find(&state.users, tenant, user)?);
            user.epoch += 1;
            replace(&mut state.users, user)
        })
    }

    /// Ends the wait after wrong passwords.
    pub fn unlock(&self, user: &User) {
        self.lockout.forgive(user.tenant, &folded(&user.name));
    }

    /// Until when no password of a user is looked at.
    pub fn locked_until(&self, user: &User, now: Time) -> Option<Time> {
        self.lockout.locked_until(user.tenant, &folded(&user.name), now)
    }

    /// Removes a user. Their tokens stop working at once.
    pub fn delete_user(&self, tenant: TenantId, user: &str) -> Result<Arc<User>, Error> {
        let gone = self.change(|state| {
            let gone = Arc::clone(find(&state.users, tenant, user)?);
            state.users.remove(&gone.id);
            Ok(gone)
        })?;
        self.unlock(&gone);
        Ok(gone)
    }

    /// The user of that name if the password is theirs. Who asks for an unknown or a disabled one learns
    /// nothing by the answer or by the time it took. Blocks.
    pub fn sign_in(
        &self,
        tenant: TenantId,
        name: &str,
        password: &str,
        now: Time,
    ) -> Result<Arc<User>, NotSignedIn> {
        let name = folded(name);
        // Nobody has a longer one, so there is none to guess at: it is not worth remembering.
        let can_be_one = name.chars().count() <= MAX_NAME;
        if can_be_one {
            self.lockout.try_name(tenant, &name, now).map_err(NotSignedIn::Locked)?;
        }
        let user = named(&self.state().users, tenant, &name).cloned();
        let kept = user.as_deref().and_then(|user| user.password.as_ref());
        let known = self.passwords.verify(password, kept);
        // While it was looked at they may have got another, or been disabled.
        let user = user.filter(|_| known).and_then(|user| self.user_now(tenant, user.id, user.epoch));
        let user = user.ok_or(NotSignedIn::Wrong)?;
        self.lockout.forgive(tenant, &name);
        Ok(user)
    }

    /// The user groups, of one tenant or all, by name.
    pub fn user_groups(&self, tenant: Option<TenantId>) -> Vec<Arc<UserGroup>> {
        of_tenant(&self.state().user_groups, tenant)
    }

    /// The user group of that name or id.
    pub fn user_group(&self, tenant: TenantId, name_or_id: &str) -> Result<Arc<UserGroup>, Error> {
        find(&self.state().user_groups, tenant, name_or_id).cloned()
    }

    /// The names of some user groups, in the order of their ids.
    pub fn user_group_names(&self, ids: &BTreeSet<Uuid>) -> Vec<String> {
        let state = self.state();
        ids.iter().filter_map(|id| state.user_groups.get(id)).map(|group| group.name.clone()).collect()
    }

    /// Makes a user group.
    pub fn create_user_group(
        &self,
        tenant: TenantId,
        name: &str,
        description: &str,
    ) -> Result<Arc<UserGroup>, Error> {
        let (name, description) = (checked_name(name)?, checked_description(description)?);
        self.change(|state| {
            if !state.tenants.iter().any(|known| known.id == tenant) {
                return Err(Error::UnknownTenant(tenant.to_string()));
            }
            add(&mut state.user_groups, UserGroup { id: Uuid::new_v4(), tenant, name, description })
        })
    }

    /// Renames a user group or describes it anew.
    pub fn change_user_group(
        &self,
        tenant: TenantId,
        group: &str,
        name: Option<&str>,
        description: Option<&str>,
    ) -> Result<Arc<UserGroup>, Error> {
        let name = name.map(checked_name).transpose()?;
        let description = description.map(checked_description).transpose()?;
        self.change(|state| {
            let mut group = UserGroup::clone(find(&state.user_groups, tenant, group)?);
            group.name = name.unwrap_or(group.name);
            group.description = description.unwrap_or(group.description);
            replace(&mut state.user_groups, group)
        })
    }

    /// Removes a user group, and with it what its members had by it. A device group that only it could
    /// see would be seen by everybody then, so that is refused.
    pub fn delete_user_group(&self, tenant: TenantId, group: &str) -> Result<Arc<UserGroup>, Error> {
        self.change(|state| {
            let gone = Arc::clone(find(&state.user_groups, tenant, group)?);
            let groups = state.device_groups.get(&tenant).cloned().unwrap_or_default();
            let only = groups.all().find(|group| group.user_groups.iter().eq([&gone.id]));
            if let Some(only) = only {
                return Err(Error::Unfit(format!(
                    "only `{}` sees the device group `{}`, which everybody would see without it: change that first",
                    gone.name, only.name
                )));
            }
            let mut groups = TenantDeviceGroups::clone(&groups);
            groups.ranked.iter_mut().chain([&mut groups.default]).for_each(|group| {
                group.user_groups.remove(&gone.id);
            });
            state.device_groups.insert(tenant, Arc::new(groups));
            state.user_groups.remove(&gone.id);
            for user in state.users.values_mut().filter(|user| user.user_groups.contains(&gone.id)) {
                Arc::make_mut(user).user_groups.remove(&gone.id);
            }
            for role in state.roles.values_mut().filter(|role| role.user_groups.contains(&gone.id)) {
                Arc::make_mut(role).user_groups.remove(&gone.id);
            }
            Ok(gone)
        })
    }
}
