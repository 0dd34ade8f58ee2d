//! Who may ask is administered here: every operation is a row of [`OPERATIONS`] and a function in a file
//! per kind of object. The owner of the data folder reaches them through the socket, everybody else
//! over HTTP as `/api/admin/…`, with a permission of its own; both go through [`perform`], which writes
//! the audit log.

mod clients;
mod device_groups;
mod explain;
mod inlets;
mod keys;
mod machine_rules;
mod roles;
mod tenants;
mod user_groups;
mod users;
pub(crate) mod wire;

use std::sync::Arc;

use axum::http::{Method, StatusCode};
use pintle_model::{TenantId, Time};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::audit::{Actor, Entry, Kind};
use crate::auth::control;
use crate::auth::keys::ChangeError;
use crate::instance::Instance;

/// What an administrator can do.
pub(crate) struct Operation {
    /// The method.
    pub(crate) method: Method,
    /// The path, over HTTP and over the socket.
    pub(crate) path: &'static str,
    /// Whom it concerns.
    pub(crate) reach: Reach,
    /// What the audit log calls it; `None`: it changes nothing.
    pub(crate) action: Option<&'static str>,
    run: fn(&Call<'_>) -> Answer,
}

/// Whom an operation concerns, and so who may do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// A tenant.
    Tenant,
    /// Every tenant of the server.
    Server,
    /// Only the owner of the data folder can.
    Owner,
}

/// Who asks, and with what.
pub(crate) struct Call<'c> {
    pub(crate) instance: &'c Instance,
    pub(crate) actor: Actor,
    /// The tenant of whoever asks, or that they name if they own the folder.
    pub(crate) tenant: Option<TenantId>,
    /// What stands for each `{key}` of the path, in order.
    pub(crate) keys: Vec<String>,
    pub(crate) body: Value,
}

/// Why an operation was not done, in words for whoever asked.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

type Answer = Result<Value, Refused>;

/// Every operation.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    read(  Method::GET,    "/api/admin/tenants",                                    Reach::Server,                        tenants::list),
    change(Method::POST,   "/api/admin/tenants",                                    Reach::Server, "tenant.created",      tenants::create),

    read(  Method::GET,    "/api/admin/keys",                                       Reach::Server,                        keys::list),
    change(Method::POST,   "/api/admin/keys/publish",                               Reach::Server, "key.published",       keys::publish),
    change(Method::POST,   "/api/admin/keys/rotate",                                Reach::Server, "key.rotated",         keys::rotate),
    change(Method::POST,   "/api/admin/keys/{kid}/revoke",                          Reach::Server, "key.revoked",         keys::revoke),

    read(  Method::GET,    "/api/admin/clients",                                    Reach::Tenant,                        clients::list),
    change(Method::POST,   "/api/admin/clients",                                    Reach::Tenant, "client.created",      clients::create),
    change(Method::PATCH,  "/api/admin/clients/{id}",                               Reach::Tenant, "client.changed",      clients::change),
    change(Method::DELETE, "/api/admin/clients/{id}",                               Reach::Tenant, "client.deleted",      clients::delete),
    change(Method::POST,   "/api/admin/clients/{id}/rotate",                        Reach::Tenant, "client.rotated",      clients::rotate),
    change(Method::POST,   "/api/admin/clients/{id}/secrets",                       Reach::Tenant, "client.secret_added", clients::add_secret),
    change(Method::POST,   "/api/admin/clients/{id}/certificates",                  Reach::Tenant, "client.certificate_added", clients::add_certificate),
    change(Method::DELETE, "/api/admin/clients/{id}/credentials/{credential}",      Reach::Tenant, "client.credential_removed", clients::remove_credential),

    read(  Method::GET,    "/api/admin/inlets",                                     Reach::Tenant,                        inlets::list),
    change(Method::POST,   "/api/admin/inlets",                                     Reach::Tenant, "inlet.created",       inlets::create),
    read(  Method::GET,    "/api/admin/inlets/{inlet}",                             Reach::Tenant,                        inlets::show),
    change(Method::PATCH,  "/api/admin/inlets/{inlet}",                             Reach::Tenant, "inlet.changed",       inlets::change),
    change(Method::DELETE, "/api/admin/inlets/{inlet}",                             Reach::Tenant, "inlet.deleted",       inlets::delete),
    change(Method::POST,   "/api/admin/inlets/{inlet}/keys",                        Reach::Tenant, "inlet.key_added",     inlets::add_key),
    change(Method::DELETE, "/api/admin/inlets/{inlet}/keys/{key}",                  Reach::Tenant, "inlet.key_removed",   inlets::remove_key),

    read(  Method::GET,    "/api/admin/users",                                      Reach::Tenant,                        users::list),
    change(Method::POST,   "/api/admin/users",                                      Reach::Tenant, "user.created",        users::create),
    change(Method::PATCH,  "/api/admin/users/{user}",                               Reach::Tenant, "user.changed",        users::change),
    change(Method::DELETE, "/api/admin/users/{user}",                               Reach::Tenant, "user.deleted",        users::delete),
    change(Method::POST,   "/api/admin/users/{user}/password",                      Reach::Tenant, "user.password_set",   users::set_password),
    change(Method::POST,   "/api/admin/users/{user}/unlock",                        Reach::Tenant, "user.unlocked",       users::unlock),
    change(Method::POST,   "/api/admin/users/{user}/sign-out",                      Reach::Tenant, "user.signed_out",     users::sign_out),
    change(Method::POST,   "/api/admin/users/{user}/recover",                       Reach::Owner,  "user.recovered",      users::recover),

    read(  Method::GET,    "/api/admin/user-groups",                                Reach::Tenant,                        user_groups::list),
    change(Method::POST,   "/api/admin/user-groups",                                Reach::Tenant, "user_group.created",  user_groups::create),
    change(Method::PATCH,  "/api/admin/user-groups/{group}",                        Reach::Tenant, "user_group.changed",  user_groups::change),
    change(Method::DELETE, "/api/admin/user-groups/{group}",                        Reach::Tenant, "user_group.deleted",  user_groups::delete),

    change(Method::PUT,    "/api/admin/clients/{id}/device-groups",                 Reach::Tenant, "client.limited",      clients::limit),

    read(  Method::GET,    "/api/admin/device-groups",                              Reach::Tenant,                        device_groups::list),
    change(Method::POST,   "/api/admin/device-groups",                              Reach::Tenant, "device_group.created", device_groups::create),
    change(Method::PATCH,  "/api/admin/device-groups/{group}",                      Reach::Tenant, "device_group.changed", device_groups::change),
    change(Method::DELETE, "/api/admin/device-groups/{group}",                      Reach::Tenant, "device_group.deleted", device_groups::delete),
    read(  Method::POST,   "/api/admin/preview",                                    Reach::Tenant,                        device_groups::preview),

    read(  Method::GET,    "/api/admin/machine-rules",                              Reach::Tenant,                        machine_rules::list),
    change(Method::POST,   "/api/admin/machine-rules",                              Reach::Tenant, "machine_rule.created", machine_rules::create),
    change(Method::PATCH,  "/api/admin/machine-rules/{rule}",                       Reach::Tenant, "machine_rule.changed", machine_rules::change),
    change(Method::DELETE, "/api/admin/machine-rules/{rule}",                       Reach::Tenant, "machine_rule.deleted", machine_rules::delete),
    read(  Method::POST,   "/api/admin/joined-machines",                            Reach::Tenant,                        machine_rules::joined),
    read(  Method::POST,   "/api/admin/joined-machines/preview",                    Reach::Tenant,                        machine_rules::preview),

    read(  Method::POST,   "/api/admin/explain",                                    Reach::Tenant,                        explain::explain),

    read(  Method::GET,    "/api/admin/roles",                                      Reach::Tenant,                        roles::list),
    change(Method::POST,   "/api/admin/roles",                                      Reach::Tenant, "role.created",        roles::create),
    change(Method::PATCH,  "/api/admin/roles/{role}",                               Reach::Tenant, "role.changed",        roles::change),
    change(Method::DELETE, "/api/admin/roles/{role}",                               Reach::Tenant, "role.deleted",        roles::delete),
];

const fn read(method: Method, path: &'static str, reach: Reach, run: fn(&Call<'_>) -> Answer) -> Operation {
    Operation { method, path, reach, action: None, run }
}

const fn change(
    method: Method,
    path: &'static str,
    reach: Reach,
    action: &'static str,
    run: fn(&Call<'_>) -> Answer,
) -> Operation {
    Operation { method, path, reach, action: Some(action), run }
}

/// Does an operation on a thread that may block, and writes it down.
pub(crate) async fn perform(
    operation: &'static Operation,
    instance: Arc<Instance>,
    asked: Asked,
) -> Result<Value, Refused> {
    let done = tokio::task::spawn_blocking(move || {
        let Asked { actor, tenant, keys, body } = asked;
        let parsed = match body.as_slice() {
            b"" => Ok(Value::Null),
            body => {
                serde_json::from_slice(body).map_err(|error| bad(format!("the body is no JSON: {error}")))
            }
        };
        let (body, refused) = match parsed {
            Ok(body) => (body, None),
            Err(refused) => (Value::Null, Some(refused)),
        };
        let call = Call { instance: &instance, actor, tenant, keys, body };
        let done = match refused {
            Some(refused) => Err(refused),
            None if operation.reach == Reach::Owner && !call.is_owner() => {
                Err(Refused::new(StatusCode::FORBIDDEN, "only the owner of the data folder can"))
            }
            None => (operation.run)(&call),
        };
        audited(operation, &call, done)
    });
    done.await.unwrap_or_else(|error| Err(Refused::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())))
}

/// Bytes of a body: a certificate is the most there is to send.
pub(crate) const MAX_BODY: usize = 256 * 1024;

/// A call as it comes in.
pub(crate) struct Asked {
    pub(crate) actor: Actor,
    pub(crate) tenant: Option<TenantId>,
    pub(crate) keys: Vec<String>,
    pub(crate) body: Vec<u8>,
}

/// What may be written down of what was asked: no secret can stand there.
const TOLD: &[&str] = &[
    "name",
    "display_name",
    "description",
    "groups",
    "permissions",
    "delegated",
    "public",
    "redirect_uris",
    "device_groups",
    "enabled",
    "expires",
    "format",
    "namespace",
    "join",
    "leave",
    "give",
    "take",
    "everybody",
    "rank",
    "rule",
    "remediation",
    "machine",
    "instead_of",
    "id",
    "who",
    "method",
    "path",
    "through",
];

/// Writes down what was asked and how it ended; a change durably, before the answer says so.
fn audited(operation: &Operation, call: &Call<'_>, done: Answer) -> Answer {
    let named = |answer: &Value| {
        let name = ["client_id", "id", "kid"].iter().find_map(|name| answer.get(*name));
        name.map(|name| name.as_str().map_or_else(|| name.to_string(), str::to_owned))
    };
    let target =
        if call.keys.is_empty() { done.as_ref().ok().and_then(named) } else { Some(call.keys.join(" ")) };
    let entry = Entry::new(call.actor.clone(), operation.action.unwrap_or("admin.read"));
    let entry = call.tenant.into_iter().fold(entry, Entry::in_tenant);
    let entry = match (&target, operation.action) {
        (Some(target), _) => entry.on(target),
        (None, None) => entry.on(operation.path),
        (None, Some(_)) => entry,
    };
    // Of what was refused only what it was about: a misplaced secret may be anywhere in it.
    let asked = call.body.as_object().filter(|_| done.is_ok()).into_iter().flatten();
    let asked = asked.filter(|(name, _)| TOLD.contains(&name.as_str()));
    let entry = asked.fold(entry, |entry, (name, value)| entry.with(name, value.clone()));
    let is_change = operation.action.is_some();
    match done {
        Ok(answer) if is_change => {
            call.instance.audit.record(entry).map_err(|error| {
                tracing::error!(%error, "an administrative call was done, but could not be written down");
                let message = "it was done, but could not be written down: the server's log says why";
                Refused::new(StatusCode::INTERNAL_SERVER_ERROR, message)
            })?;
            Ok(answer)
        }
        Ok(answer) => {
            call.instance.audit.note(entry);
            Ok(answer)
        }
        Err(refused) => {
            let entry = match refused.status {
                StatusCode::INTERNAL_SERVER_ERROR => entry.failed(&refused.message),
                status => entry.refused(status.as_u16()),
            };
            // Nothing was changed, so it need not be certain before the answer.
            call.instance.audit.note(entry);
            Err(refused)
        }
    }
}

impl Call<'_> {
    /// The tenant it is about.
    fn tenant(&self) -> Result<TenantId, Refused> {
        self.tenant.ok_or_else(|| bad("name a tenant: ?tenant=NAME"))
    }

    fn key(&self, place: usize) -> &str {
        self.keys.get(place).map(String::as_str).unwrap_or_default()
    }

    /// What was sent along: an object. Its members in a list are no body, though they could be read as one.
    fn body<T: DeserializeOwned>(&self) -> Result<T, Refused> {
        if self.body.is_array() {
            return Err(bad("the body cannot be used: it is no object".to_owned()));
        }
        serde_json::from_value(self.body.clone())
            .map_err(|error| bad(format!("the body cannot be used: {error}")))
    }

    fn is_owner(&self) -> bool {
        self.actor.kind == Kind::Owner
    }
}

impl Refused {
    fn new(status: StatusCode, message: impl Into<String>) -> Refused {
        Refused { status, message: message.into() }
    }
}

fn guid(text: &str) -> Result<Uuid, Refused> {
    Uuid::try_parse(text).map_err(|_| bad(format!("`{text}` is no GUID")))
}

/// When a credential of this kind is to end.
fn future(call: &Call<'_>, kind: &str, text: &str) -> Result<Time, Refused> {
    let time = Time::parse(text).ok_or_else(|| {
        bad(format!("`{text}` is no time: write it like 2026-01-31 or 2026-01-31T12:00:00Z"))
    })?;
    if time <= call.instance.now() {
        return Err(bad(format!("the {kind} would have ended at {time}")));
    }
    Ok(time)
}

fn bad(message: impl Into<String>) -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, message)
}

/// The server's fault: its log says more than who asks has to know of its disk.
fn failed(error: impl std::fmt::Display) -> Refused {
    tracing::error!(%error, "an administrative call failed");
    Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "it could not be done: the server's log says why")
}

fn answer(value: impl Serialize) -> Answer {
    serde_json::to_value(value)
        .map_err(|error| Refused::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

impl From<control::Error> for Refused {
    fn from(error: control::Error) -> Refused {
        use control::Error;
        let status = match &error {
            Error::Storage(_) => return failed(error),
            Error::UnknownTenant(_)
            | Error::UnknownApplication(_)
            | Error::UnknownCredential(_)
            | Error::Unknown(..) => StatusCode::NOT_FOUND,
            Error::Exists(_) => StatusCode::CONFLICT,
            _ => StatusCode::BAD_REQUEST,
        };
        Refused::new(status, error.to_string())
    }
}

impl From<crate::auth::Error> for Refused {
    fn from(error: crate::auth::Error) -> Refused {
        failed(error)
    }
}

impl From<pintle_store::Error> for Refused {
    fn from(error: pintle_store::Error) -> Refused {
        failed(error)
    }
}

impl From<ChangeError> for Refused {
    fn from(error: ChangeError) -> Refused {
        match error {
            ChangeError::Storage(error) => error.into(),
            other => bad(other.to_string()),
        }
    }
}
