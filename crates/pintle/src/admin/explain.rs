//! Whether somebody may make a request, and why: the steps that a request goes through, told.

use axum::http::Method;
use pintle_model::{AlertId, TenantId};
use uuid::Uuid;

use super::{Answer, Call, Refused, answer, bad, wire};
use crate::auth::permission::{Permission, Permissions};
use crate::auth::rights::{Missing, Rights, Who};
use crate::http::caller::Access;
use crate::http::path::template_of;
use crate::http::routes::{Credential, routes};

pub(super) fn explain(call: &Call<'_>) -> Answer {
    let asked: wire::ExplainAsked = call.body()?;
    let mut because = Vec::new();
    let allowed = decide(call, &asked, &mut because)?;
    answer(wire::Explained { allowed, because })
}

fn decide(call: &Call<'_>, asked: &wire::ExplainAsked, because: &mut Vec<String>) -> Result<bool, Refused> {
    let method: Method =
        asked.method.to_uppercase().parse().map_err(|_| bad("the method is one such as GET"))?;
    let path = asked.path.split(['?', '#']).next().unwrap_or_default();
    let path =
        path.split_once("://").map_or(path, |(_, rest)| rest.find('/').map_or("/", |at| rest.split_at(at).1));
    let routes = routes();
    let templates: Vec<&str> = routes.iter().map(|route| route.path).collect();
    let Some((template, keys)) = template_of(path, &templates) else {
        because.push(format!("nothing answers at {path}"));
        return Ok(false);
    };
    let of_path = || routes.iter().filter(|route| route.path == template);
    let Some(route) = of_path().find(|route| route.method == method) else {
        let methods: Vec<&str> = of_path().map(|route| route.method.as_str()).collect();
        because.push(format!("{template} answers {} only", methods.join(", ")));
        return Ok(false);
    };
    let access = match &route.credential {
        Credential::Bearer(access) | Credential::Sender(access) => access,
        Credential::Anonymous => {
            because.push(format!("anybody may {method} {template}"));
            return Ok(true);
        }
        Credential::Form => {
            because.push(format!("anybody may {method} {template}, which asks for credentials in its form"));
            return Ok(true);
        }
    };
    let by_key = if matches!(route.credential, Credential::Sender(_)) {
        "; a key of an inlet will do, too"
    } else {
        ""
    };
    because.push(needs(template, access) + by_key);
    let Some(rights) = rights(call, asked, because)? else { return Ok(false) };
    if let Err(missing) = rights.may(access.permissions, access.role_permission) {
        because.push(lacks(&missing));
        return Ok(false);
    }
    because.push("they have that".to_owned());
    sees(call, &rights, template, &keys, because)
}

fn needs(template: &str, access: &Access) -> String {
    if access.permissions.is_empty() {
        return format!("{template} needs a token, and no permission");
    }
    let values = |name: fn(Permission) -> &'static str| {
        access.permissions.iter().map(|permission| name(*permission)).collect::<Vec<_>>().join(" or ")
    };
    let users = match access.role_permission {
        Some(role) => {
            let (scope, name) = (values(Permission::delegated), role.display_name());
            format!("of a user the scope {scope} and a role with {role} ({name})")
        }
        None => "no user may call it".to_owned(),
    };
    format!("{template} needs of an application the permission {}; {users}", values(Permission::value))
}

/// What they may do now, or a reason why nothing.
fn rights(
    call: &Call<'_>,
    asked: &wire::ExplainAsked,
    because: &mut Vec<String>,
) -> Result<Option<Rights>, Refused> {
    let (control, tenant) = (&call.instance.control, call.tenant()?);
    if let Some(application) = Uuid::try_parse(&asked.who).ok().and_then(|id| control.application(id)) {
        if application.tenant != tenant {
            because.push("the application is another tenant's".to_owned());
            return Ok(None);
        }
        if !application.enabled {
            because.push(format!("the application `{}` is disabled", application.name));
            return Ok(None);
        }
        let rights = Rights::of_application(&application, application.permissions);
        because.push(format!(
            "the application `{}` has {}",
            application.name,
            listed(rights.permissions, Permission::value)
        ));
        return Ok(Some(rights));
    }
    let user = control.user(tenant, &asked.who)?;
    if !user.enabled {
        because.push(format!("the user `{}` is disabled", user.name));
        return Ok(None);
    }
    let through = asked.through.as_deref().map(|id| through(call, tenant, id)).transpose()?;
    let all: Permissions = Permission::ALL.iter().copied().collect();
    let mut rights = match &through {
        Some(application) => Rights::of_user(&control.moment(), &user, application, all),
        None => Rights::of_groups(
            &control.moment(),
            tenant,
            Who::unknown_application(&user),
            all,
            &user.user_groups,
        ),
    };
    match &through {
        Some(application) if !application.enabled => {
            because.push(format!("the application `{}` is disabled", application.name));
            return Ok(None);
        }
        Some(application) => because.push(format!(
            "the application `{}` has for its users {}, as far as a token asks for it",
            application.name,
            listed(rights.permissions, Permission::delegated)
        )),
        None => {
            because.push("no application is named (--through), so one with every scope is taken".to_owned())
        }
    }
    let held = rights.held.take().unwrap_or_default();
    let permissions: Vec<&str> = held.permissions.iter().map(|permission| permission.value()).collect();
    because.push(match held.roles.is_empty() {
        true => format!("the user `{}` has no role", user.name),
        false => format!(
            "the user `{}` has by the roles {}: {}",
            user.name,
            held.roles.join(", "),
            permissions.join(", ")
        ),
    });
    rights.held = Some(held);
    Ok(Some(rights))
}

fn through(
    call: &Call<'_>,
    tenant: TenantId,
    id: &str,
) -> Result<std::sync::Arc<crate::auth::application::Application>, Refused> {
    let application = Uuid::try_parse(id).ok().and_then(|id| call.instance.control.application(id));
    let application = application.filter(|application| application.tenant == tenant);
    application
        .ok_or_else(|| bad(format!("no application with client id {id}: `pintle client list` names them")))
}

fn lacks(missing: &Missing) -> String {
    match missing {
        Missing::Roles(..) => {
            "they have none of these: `pintle client change --permission` gives one".to_owned()
        }
        Missing::Scopes(..) => {
            "the application has none of these: `pintle client change --delegated` gives one".to_owned()
        }
        Missing::RolePermission(permission) => {
            format!(
                "no role of the user has {permission}: `pintle role change` or `pintle role give` gives it"
            )
        }
        Missing::Users => "no user may, whatever their roles".to_owned(),
    }
}

/// Which machines they see, and whether that lets them see the one that the path names.
fn sees(
    call: &Call<'_>,
    rights: &Rights,
    template: &str,
    keys: &[String],
    because: &mut Vec<String>,
) -> Result<bool, Refused> {
    match &rights.sees {
        None => because.push("they see every machine".to_owned()),
        Some(ids) => {
            let groups = call.instance.control.device_groups(rights.tenant);
            let names: Vec<&str> = groups
                .all()
                .filter(|group| ids.contains(&group.id))
                .map(|group| group.name.as_str())
                .collect();
            because.push(match names.is_empty() {
                true => "they see the machines of no device group".to_owned(),
                false => format!("they see the machines of the device groups {}", names.join(", ")),
            });
        }
    }
    let Some(key) = keys.first() else { return Ok(true) };
    let (scope, whole) = (call.instance.scope(rights), pintle_store::Scope::whole(rights.tenant));
    let store = &call.instance.store;
    let (is_there, is_visible) = if template.starts_with("/api/machines/") {
        (store.machine(&whole, key)?.is_some(), store.machine(&scope, key)?.is_some())
    } else if template.starts_with("/api/alerts/") {
        let Ok(id) = key.parse::<AlertId>() else { return Ok(true) };
        (store.alert(&whole, &id)?.is_some(), store.alert(&scope, &id)?.is_some())
    } else {
        return Ok(true);
    };
    match (is_there, is_visible) {
        (true, false) => {
            because.push(format!(
                "{key} is there, but not on a machine that they see: it answers as an unknown one"
            ));
            return Ok(false);
        }
        (false, _) => because.push(format!("there is no {key}, so the answer will be that it is unknown")),
        (true, true) => because.push(format!("they see {key}")),
    }
    Ok(true)
}

fn listed(permissions: Permissions, name: fn(Permission) -> &'static str) -> String {
    let names: Vec<&str> = permissions.iter().map(name).collect();
    if names.is_empty() { "no permission".to_owned() } else { names.join(", ") }
}
