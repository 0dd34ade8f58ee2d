//! The roles of a tenant.

use std::collections::BTreeSet;

use super::{Answer, Call, Refused, answer, bad, wire};
use crate::auth::control::RoleChange;
use crate::auth::role::{Role, RolePermission};

pub(super) fn list(call: &Call<'_>) -> Answer {
    answer(call.instance.control.roles(call.tenant).iter().map(|role| shown(call, role)).collect::<Vec<_>>())
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    let role = call.instance.control.create_role(call.tenant()?, asked(call)?)?;
    answer(shown(call, &role))
}

pub(super) fn change(call: &Call<'_>) -> Answer {
    let role = call.instance.control.change_role(call.tenant()?, call.key(0), asked(call)?)?;
    answer(shown(call, &role))
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let role = call.instance.control.delete_role(call.tenant()?, call.key(0))?;
    answer(shown(call, &role))
}

fn asked(call: &Call<'_>) -> Result<RoleChange, Refused> {
    let wire::RoleChange { name, description, permissions, give, take } = call.body()?;
    let named = |name: &String| {
        RolePermission::named(name).ok_or_else(|| {
            let all: Vec<&str> = RolePermission::ALL.iter().map(|permission| permission.value()).collect();
            bad(format!("`{name}` is no permission of a role: there is {}", all.join(", ")))
        })
    };
    let permissions: Option<BTreeSet<_>> =
        permissions.map(|names| names.iter().map(named).collect()).transpose()?;
    Ok(RoleChange { name, description, permissions, give, take })
}

fn shown(call: &Call<'_>, role: &Role) -> wire::Role {
    let permission = |permission: &RolePermission| wire::Permission {
        value: permission.value().to_owned(),
        display_name: permission.display_name().to_owned(),
    };
    wire::Role {
        id: role.id.to_string(),
        tenant_id: role.tenant.to_string(),
        name: role.name.clone(),
        description: role.description.clone(),
        built_in: role.is_administrator,
        permissions: role.permissions.iter().map(permission).collect(),
        groups: call.instance.control.user_group_names(&role.user_groups),
    }
}
