//! The applications that may call, and what they prove themselves with.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use uuid::Uuid;

use super::{Answer, Call, Refused, answer, bad, future, guid, wire};
use crate::auth::application::{Application, CredentialInfo, Proof};
use crate::auth::certificate::Certificate;
use crate::auth::control::{Error, NewApplication};
use crate::auth::permission::{Permission, Permissions};
use crate::auth::redirect::RedirectUri;

/// Of one application.
const MAX_REDIRECT_URIS: usize = 50;

pub(super) fn list(call: &Call<'_>) -> Answer {
    let all = call.instance.control.applications();
    let theirs =
        all.iter().filter(|application| call.tenant.is_none_or(|tenant| application.tenant == tenant));
    answer(theirs.map(|application| shown(call, application, None)).collect::<Vec<_>>())
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    let new: wire::NewClient = call.body()?;
    let has_secret = !new.public;
    let new = NewApplication {
        delegated: delegated(&new.delegated)?,
        is_public: new.public,
        redirect_uris: redirect_uris(&new.redirect_uris)?,
        ..NewApplication::new(call.tenant()?, &new.name, permissions(call, &new.permissions)?)
    };
    let (application, secret) = call.instance.control.create_application_with(new, call.instance.now())?;
    answer(shown(call, &application, has_secret.then(|| secret.reveal().to_owned())))
}

pub(super) fn change(call: &Call<'_>) -> Answer {
    let wire::ClientChange {
        name,
        enabled,
        permissions: own,
        delegated: for_users,
        public,
        redirect_uris: uris,
    } = call.body()?;
    let own = own.map(|own| permissions(call, &own)).transpose()?;
    let for_users = for_users.map(|values| delegated(&values)).transpose()?;
    let uris = uris.map(|uris| redirect_uris(&uris)).transpose()?;
    let name = name.map(|name| crate::auth::control::checked_name(&name)).transpose()?;
    let changed = call.instance.control.change_application(theirs(call)?.id, |application| {
        if let Some(name) = name {
            application.name = name;
        }
        application.enabled = enabled.unwrap_or(application.enabled);
        application.permissions = own.unwrap_or(application.permissions);
        application.delegated = for_users.unwrap_or(application.delegated);
        application.is_public = public.unwrap_or(application.is_public);
        if let Some(uris) = uris {
            application.redirect_uris = uris;
        }
    })?;
    answer(shown(call, &changed, None))
}

/// Limits an application to device groups, or not any more.
pub(super) fn limit(call: &Call<'_>) -> Answer {
    let wire::Limit { device_groups } = call.body()?;
    let application = theirs(call)?;
    let id = |name: &String| Ok(call.instance.control.device_group(application.tenant, name)?.1.id);
    let ids = device_groups.map(|names| names.iter().map(id).collect::<Result<_, Error>>()).transpose()?;
    let changed = call
        .instance
        .control
        .change_application(application.id, |application| application.device_groups = ids)?;
    answer(shown(call, &changed, None))
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    call.instance.control.delete(theirs(call)?.id)?;
    Ok(Value::Null)
}

pub(super) fn rotate(call: &Call<'_>) -> Answer {
    let id = theirs(call)?.id;
    let secret = call.instance.control.rotate(id, call.instance.now())?;
    now(call, id, Some(secret.reveal().to_owned()))
}

pub(super) fn add_secret(call: &Call<'_>) -> Answer {
    let (id, new): (Uuid, wire::NewSecret) = (theirs(call)?.id, call.body()?);
    let expires = new.expires.as_deref().map(|expires| future(call, "secret", expires)).transpose()?;
    let (secret, _) = call.instance.control.add_secret(id, expires, call.instance.now())?;
    now(call, id, Some(secret.reveal().to_owned()))
}

pub(super) fn add_certificate(call: &Call<'_>) -> Answer {
    let (id, new): (Uuid, wire::NewCertificate) = (theirs(call)?.id, call.body()?);
    let bytes = STANDARD.decode(&new.certificate).map_err(|error| bad(error.to_string()))?;
    let certificate = Certificate::read(&bytes).map_err(|error| bad(error.to_string()))?;
    call.instance.control.add_certificate(id, &certificate, call.instance.now())?;
    now(call, id, None)
}

pub(super) fn remove_credential(call: &Call<'_>) -> Answer {
    let (id, credential) = (theirs(call)?.id, guid(call.key(1))?);
    call.instance.control.remove_credential(id, credential)?;
    now(call, id, None)
}

/// The application that is to be changed, if it is of the asker's tenant. One that administers the server
/// is its owner's: whoever could give it a secret could be it.
fn theirs(call: &Call<'_>) -> Result<Arc<Application>, Refused> {
    let id = guid(call.key(0))?;
    let application = call.instance.control.application(id);
    let theirs =
        application.filter(|application| call.tenant.is_none_or(|tenant| application.tenant == tenant));
    let theirs = theirs.ok_or(Error::UnknownApplication(id))?;
    if theirs.permissions.contains(Permission::ServerAdministration) && !call.is_owner() {
        let message =
            "an application that administers the server is changed by the owner of the data folder only";
        return Err(Refused::new(StatusCode::FORBIDDEN, message));
    }
    Ok(theirs)
}

fn permissions(call: &Call<'_>, names: &[String]) -> Result<Permissions, Refused> {
    let named = |name: &String| {
        Permission::named(name).ok_or_else(|| bad(format!("`{name}` is no permission of the API")))
    };
    let permissions: Permissions = names.iter().map(named).collect::<Result<_, _>>()?;
    // Or whoever administers one tenant could make themselves an administrator of all.
    if permissions.contains(Permission::ServerAdministration) && !call.is_owner() {
        let message =
            format!("{} is given by the owner of the data folder only", Permission::ServerAdministration);
        return Err(Refused::new(StatusCode::FORBIDDEN, message));
    }
    Ok(permissions)
}

/// By the name in a user's token or in an application's.
fn delegated(names: &[String]) -> Result<Permissions, Refused> {
    let named = |name: &String| {
        let permission = Permission::delegated_as(name).or_else(|| Permission::named(name));
        permission
            .filter(|permission| *permission != Permission::ServerAdministration)
            .ok_or_else(|| bad(format!("`{name}` is no permission that an application can have for users")))
    };
    names.iter().map(named).collect()
}

fn redirect_uris(texts: &[String]) -> Result<Vec<RedirectUri>, Refused> {
    if texts.len() > MAX_REDIRECT_URIS {
        return Err(bad(format!("an application has at most {MAX_REDIRECT_URIS} redirect URIs")));
    }
    texts
        .iter()
        .map(|text| {
            text.parse().map_err(|error: crate::auth::redirect::NoRedirectUri| bad(error.to_string()))
        })
        .collect()
}

fn now(call: &Call<'_>, id: Uuid, secret: Option<String>) -> Answer {
    let application = call.instance.control.application(id).ok_or(Error::UnknownApplication(id))?;
    answer(shown(call, &application, secret))
}

fn shown(call: &Call<'_>, application: &Application, secret: Option<String>) -> wire::Client {
    let permission = |value: &'static str, permission: Permission| wire::Permission {
        value: value.to_owned(),
        display_name: permission.display_name().to_owned(),
    };
    let credential = |credential: CredentialInfo| wire::Credential {
        id: credential.id.to_string(),
        kind: match credential.proof {
            Proof::Secret => "secret",
            Proof::Certificate => "certificate",
        }
        .to_owned(),
        thumbprint: credential.thumbprint,
        created: credential.created.to_string(),
        expires: credential.expires.map(|expires| expires.to_string()),
    };
    let delegated = application.delegated.iter().map(|one| permission(one.delegated(), one));
    let groups = call.instance.control.device_groups(application.tenant);
    let named = |ids: &BTreeSet<u32>| {
        groups.all().filter(|group| ids.contains(&group.id)).map(|group| group.name.clone()).collect()
    };
    wire::Client {
        client_id: application.id.to_string(),
        tenant_id: application.tenant.to_string(),
        name: application.name.clone(),
        enabled: application.enabled,
        permissions: application.permissions.iter().map(|one| permission(one.value(), one)).collect(),
        delegated: delegated.collect(),
        public: application.is_public,
        device_groups: application.device_groups.as_ref().map(named),
        redirect_uris: application.redirect_uris.iter().map(ToString::to_string).collect(),
        credentials: application.credentials().map(credential).collect(),
        secret,
    }
}
