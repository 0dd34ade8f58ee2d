//! The user groups of a tenant.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Answer, Call, answer, wire};
use crate::auth::user::{User, UserGroup};

pub(super) fn list(call: &Call<'_>) -> Answer {
    let (groups, users) =
        (call.instance.control.user_groups(call.tenant), call.instance.control.users(call.tenant));
    answer(groups.iter().map(|group| shown_with(call, group, &users)).collect::<Vec<_>>())
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
    let tenant = call.tenant()?;
    let group = call.instance.control.delete_user_group(tenant, call.key(0))?;
    // No machine moves, but device groups do not name it any more.
    call.instance.regroup(tenant)?;
    answer(shown(call, &group))
}

fn shown(call: &Call<'_>, group: &UserGroup) -> wire::UserGroup {
    shown_with(call, group, &call.instance.control.users(Some(group.tenant)))
}

fn shown_with(call: &Call<'_>, group: &UserGroup, users: &[Arc<User>]) -> wire::UserGroup {
    let control = &call.instance.control;
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
