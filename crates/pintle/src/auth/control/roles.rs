//! Roles, and what they let a user do.

use std::collections::BTreeSet;

use super::super::role::RolePermission;
use super::*;

/// What a role is made or changed to; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct RoleChange {
    /// Its name.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// What its users may do.
    pub permissions: Option<BTreeSet<RolePermission>>,
    /// User groups that are given it, by name or id.
    pub give: Vec<String>,
    /// User groups it is taken from.
    pub take: Vec<String>,
}

/// What somebody's user groups give them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The names of the roles.
    pub roles: Vec<String>,
    /// What these allow.
    pub permissions: BTreeSet<RolePermission>,
    /// Whether the administrator role is among them.
    pub is_administrator: bool,
}

impl Control {
    /// The roles, of one tenant or all, by name.
    pub fn roles(&self, tenant: Option<TenantId>) -> Vec<Arc<Role>> {
        of_tenant(&self.state().roles, tenant)
    }

    /// The role of that name or id.
    pub fn role(&self, tenant: TenantId, name_or_id: &str) -> Result<Arc<Role>, Error> {
        find(&self.state().roles, tenant, name_or_id).cloned()
    }

    /// What the members of some user groups may do.
    pub fn held_by(&self, tenant: TenantId, user_groups: &BTreeSet<Uuid>) -> Held {
        self.moment().held_by(tenant, user_groups)
    }

    /// Makes a role. It needs a name.
    pub fn create_role(&self, tenant: TenantId, new: RoleChange) -> Result<Arc<Role>, Error> {
        self.change(|state| {
            if !state.tenants.iter().any(|known| known.id == tenant) {
                return Err(Error::UnknownTenant(tenant.to_string()));
            }
            let role = Role {
                id: Uuid::new_v4(),
                tenant,
                name: String::new(),
                description: String::new(),
                permissions: BTreeSet::new(),
                user_groups: BTreeSet::new(),
                is_administrator: false,
            };
            let name = new.name.clone().unwrap_or_default();
            let role = changed(state, role, RoleChange { name: Some(name), ..new })?;
            add(&mut state.roles, role)
        })
    }

    /// Changes a role. Who has it may do what it says from the next request on.
    pub fn change_role(&self, tenant: TenantId, role: &str, change: RoleChange) -> Result<Arc<Role>, Error> {
        self.change(|state| {
            let role = Role::clone(find(&state.roles, tenant, role)?);
            let role = changed(state, role, change)?;
            replace(&mut state.roles, role)
        })
    }

    /// Removes a role.
    pub fn delete_role(&self, tenant: TenantId, role: &str) -> Result<Arc<Role>, Error> {
        self.change(|state| {
            let gone = Arc::clone(find(&state.roles, tenant, role)?);
            if gone.is_administrator {
                return Err(Error::BuiltIn);
            }
            state.roles.remove(&gone.id);
            Ok(gone)
        })
    }
}

fn changed(state: &State, mut role: Role, change: RoleChange) -> Result<Role, Error> {
    let RoleChange { name, description, permissions, give, take } = change;
    if role.is_administrator && (name.is_some() || description.is_some() || permissions.is_some()) {
        return Err(Error::BuiltIn);
    }
    if let Some(name) = name {
        role.name = checked_name(&name)?;
    }
    if let Some(description) = description {
        role.description = checked_description(&description)?;
    }
    if let Some(permissions) = permissions {
        if permissions.contains(&RolePermission::ManageSystemSettings) {
            return Err(Error::OnlyAdministrators);
        }
        role.permissions = permissions;
    }
    for group in &give {
        role.user_groups.insert(find(&state.user_groups, role.tenant, group)?.id);
    }
    for group in &take {
        role.user_groups.remove(&find(&state.user_groups, role.tenant, group)?.id);
    }
    Ok(role)
}
