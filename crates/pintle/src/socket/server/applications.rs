//! The applications that may call, and what they prove themselves with.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

use super::batches::time;
use super::{Owner, Refused, scope, unusable, wire};
use crate::auth::application::{Application, CredentialInfo, Proof};
use crate::auth::certificate::Certificate;
use crate::auth::control;
use crate::auth::permission::{Permission, Permissions};
use crate::instance::Instance;

type Answer = Result<Json<wire::Application>, Refused>;

pub(super) async fn list(State(instance): Owner) -> Json<Vec<wire::Application>> {
    Json(instance.control.applications().iter().map(|application| shown(application, None)).collect())
}

pub(super) async fn create(State(instance): Owner, Json(new): Json<wire::NewApplication>) -> Answer {
    let tenant = scope(&instance, &new.tenant)?.tenant();
    let named = |name: &String| {
        Permission::named(name).ok_or_else(|| unusable(format!("`{name}` is no permission of the API")))
    };
    let permissions: Permissions = new.permissions.iter().map(named).collect::<Result<_, _>>()?;
    let (application, secret) =
        instance.control.create_application(tenant, &new.name, permissions, instance.now())?;
    Ok(Json(shown(&application, Some(secret.reveal().to_owned()))))
}

pub(super) async fn delete(State(instance): Owner, Path(id): Path<Uuid>) -> Result<StatusCode, Refused> {
    instance.control.delete(id)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn enable(
    State(instance): Owner,
    Path(id): Path<Uuid>,
    Json(asked): Json<wire::Enabled>,
) -> Answer {
    let changed =
        instance.control.change_application(id, |application| application.enabled = asked.enabled)?;
    Ok(Json(shown(&changed, None)))
}

pub(super) async fn rotate(State(instance): Owner, Path(id): Path<Uuid>) -> Answer {
    let secret = instance.control.rotate(id, instance.now())?;
    now(&instance, id, Some(secret.reveal().to_owned()))
}

pub(super) async fn add_secret(
    State(instance): Owner,
    Path(id): Path<Uuid>,
    Json(new): Json<wire::NewSecret>,
) -> Answer {
    let expires = new.expires.as_deref().map(time).transpose()?;
    if let Some(past) = expires.filter(|expires| *expires <= instance.now()) {
        return Err(unusable(format!("the secret would have ended at {past}")));
    }
    let (secret, _) = instance.control.add_secret(id, expires, instance.now())?;
    now(&instance, id, Some(secret.reveal().to_owned()))
}

pub(super) async fn add_certificate(
    State(instance): Owner,
    Path(id): Path<Uuid>,
    Json(new): Json<wire::NewCertificate>,
) -> Answer {
    let bytes = STANDARD.decode(&new.certificate).map_err(unusable)?;
    let certificate = Certificate::read(&bytes).map_err(unusable)?;
    instance.control.add_certificate(id, &certificate, instance.now())?;
    now(&instance, id, None)
}

pub(super) async fn remove_credential(
    State(instance): Owner,
    Path((id, credential)): Path<(Uuid, Uuid)>,
) -> Answer {
    instance.control.remove_credential(id, credential)?;
    now(&instance, id, None)
}

fn now(instance: &Instance, id: Uuid, secret: Option<String>) -> Answer {
    let application = instance.control.application(id).ok_or(control::Error::UnknownApplication(id))?;
    Ok(Json(shown(&application, secret)))
}

fn shown(application: &Application, secret: Option<String>) -> wire::Application {
    let permission = |permission: Permission| wire::Permission {
        value: permission.value().to_owned(),
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
    wire::Application {
        client_id: application.id.to_string(),
        tenant_id: application.tenant.to_string(),
        name: application.name.clone(),
        enabled: application.enabled,
        permissions: application.permissions.iter().map(permission).collect(),
        credentials: application.credentials().map(credential).collect(),
        secret,
    }
}
