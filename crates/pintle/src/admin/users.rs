//! The users of a tenant.

use super::{Answer, Call, Refused, answer, wire};
use crate::auth::control::{RoleChange, UserChange};
use crate::auth::password;
use crate::auth::role::Role;
use crate::auth::user::{NewUser, User};

/// The name of the user group that `recover` makes if no group has the administrator role.
const RECOVERED: &str = "Administrators";

pub(super) fn list(call: &Call<'_>) -> Answer {
    answer(
        call.instance
            .control
            .users(call.tenant)
            .iter()
            .map(|user| shown(call, user, None))
            .collect::<Vec<_>>(),
    )
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    let new: wire::NewUser = call.body()?;
    // Before the user is there: one without a password could not be made again.
    if let Some(password) = &new.password {
        password::check(password)?;
    }
    let tenant = call.tenant()?;
    let wire::NewUser { name, display_name, groups: user_groups, password } = new;
    let new = NewUser { tenant, name, display_name, user_groups };
    let user = call.instance.control.create_user(new, call.instance.now())?;
    with_password(call, &user, password)
}

pub(super) fn change(call: &Call<'_>) -> Answer {
    let wire::UserChange { display_name, enabled, join, leave } = call.body()?;
    let change = UserChange { display_name, enabled, join, leave };
    let user = call.instance.control.change_user(call.tenant()?, call.key(0), change)?;
    answer(shown(call, &user, None))
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let user = call.instance.control.delete_user(call.tenant()?, call.key(0))?;
    answer(shown(call, &user, None))
}

pub(super) fn set_password(call: &Call<'_>) -> Answer {
    let wire::NewPassword { password } = call.body()?;
    let user = call.instance.control.user(call.tenant()?, call.key(0))?;
    with_password(call, &user, password)
}

pub(super) fn unlock(call: &Call<'_>) -> Answer {
    let user = call.instance.control.user(call.tenant()?, call.key(0))?;
    call.instance.control.unlock(&user);
    answer(shown(call, &user, None))
}

pub(super) fn sign_out(call: &Call<'_>) -> Answer {
    let user = call.instance.control.sign_out(call.tenant()?, call.key(0))?;
    answer(shown(call, &user, None))
}

/// A user group whose users are administrators: one that has the role, or a new one. Giving the role to
/// one that is there for something else would make its users administrators too.
fn administrators(call: &Call<'_>) -> Result<String, Refused> {
    let (control, tenant) = (&call.instance.control, call.tenant()?);
    if let Some(group) = control.role(tenant, Role::ADMINISTRATOR)?.user_groups.first() {
        return Ok(group.to_string());
    }
    let mut names = (1..).map(|n| if n == 1 { RECOVERED.to_owned() } else { format!("{RECOVERED} {n}") });
    let free = names.find(|name| control.user_group(tenant, name).is_err()).unwrap_or_default();
    let group = control.create_user_group(tenant, &free, "May do everything")?;
    let give = RoleChange { give: vec![group.id.to_string()], ..RoleChange::default() };
    control.change_role(tenant, Role::ADMINISTRATOR, give)?;
    Ok(group.id.to_string())
}

/// Lets a user in as administrator, with a new password, whatever was done to the user and the role.
pub(super) fn recover(call: &Call<'_>) -> Answer {
    let (control, tenant, name) = (&call.instance.control, call.tenant()?, call.key(0));
    let user = match control.user(tenant, name) {
        Ok(user) => user,
        Err(crate::auth::control::Error::Unknown(..)) => {
            let new = NewUser {
                tenant,
                name: name.to_owned(),
                display_name: String::new(),
                user_groups: Vec::new(),
            };
            control.create_user(new, call.instance.now())?
        }
        Err(error) => return Err(error.into()),
    };
    let change =
        UserChange { enabled: Some(true), join: vec![administrators(call)?], ..UserChange::default() };
    control.change_user(tenant, &user.id.to_string(), change)?;
    with_password(call, &user, None)
}

fn with_password(call: &Call<'_>, user: &User, given: Option<String>) -> Answer {
    let (password, made) = match given {
        Some(password) => (password, None),
        None => {
            let made = password::generate()?;
            (made.clone(), Some(made))
        }
    };
    let user = user.id.to_string();
    let user = call.instance.control.set_password(call.tenant()?, &user, &password)?;
    answer(shown(call, &user, made))
}

fn shown(call: &Call<'_>, user: &User, password: Option<String>) -> wire::User {
    let control = &call.instance.control;
    let locked_until = control.locked_until(user, call.instance.now());
    wire::User {
        id: user.id.to_string(),
        tenant_id: user.tenant.to_string(),
        name: user.name.clone(),
        display_name: user.display_name.clone(),
        enabled: user.enabled,
        has_password: user.has_password(),
        locked_until: locked_until.map(|until| until.to_string()),
        groups: control.user_group_names(&user.user_groups),
        roles: control.held_by(user.tenant, &user.user_groups).roles,
        created: user.created.to_string(),
        password,
    }
}

impl From<password::Unfit> for Refused {
    fn from(unfit: password::Unfit) -> Refused {
        super::bad(unfit.to_string())
    }
}
