//! The user groups of a tenant.

use std::collections::BTreeSet;

use super::{Answer, Call, answer, wire};
use crate::auth::user::UserGroup;

pub(super) fn list(call: &Call<'_>) -> Answer {
    let groups = call.instance.control.user_groups(call.tenant);
    answer(groups.iter().map(|group| shown(call, group)).collect::<Vec<_>>())
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    let new: wire::UserGroupChange = call.body()?;
    let (name, description) = (new.name.unwrap_or_default(), new.description.unwrap_or_default());
    let group = call.instance.control.create_user_group(call.tenant()?, &name, &description)?;
    answer(shown(call, &group))
}

pub(super) fn change(call: &Call<'_>) -> Answer {
    let change: wire::UserGroupChange = call.body()?;
    let (name, description) = (change.name.as_deref(), change.description.as_deref());
    let group = call.instance.control.change_user_group(call.tenant()?, call.key(0), name, description)?;
    answer(shown(call, &group))
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let group = call.instance.control.delete_user_group(call.tenant()?, call.key(0))?;
    answer(shown(call, &group))
}

fn shown(call: &Call<'_>, group: &UserGroup) -> wire::UserGroup {
    let control = &call.instance.control;
    let users = control.users(Some(group.tenant));
    wire::UserGroup {
        id: group.id.to_string(),
        tenant_id: group.tenant.to_string(),
        name: group.name.clone(),
        description: group.description.clone(),
        users: users
            .iter()
            .filter(|user| user.user_groups.contains(&group.id))
            .map(|user| user.name.clone())
            .collect(),
        roles: control.held_by(group.tenant, &BTreeSet::from([group.id])).roles,
    }
}
