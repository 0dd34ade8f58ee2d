//! The token endpoints, v1 (`resource`) and v2 (`scope`), in the many forms that shipped clients send
//! their requests, and the flows of a grant type each.

pub(crate) mod asked;
pub(crate) mod form;
mod grants;
pub(crate) mod problem;

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pintle_model::{TenantId, Time};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::audit::{Actor, Entry};
use crate::auth::application::Application;
use crate::auth::codes::Asked;
use crate::auth::issuer::Issued;
use crate::auth::user::User;
use crate::http::origin::{Origin, client_address};
use crate::http::path::Key;
use crate::instance::Instance;
use crate::metrics::TokenOutcome;
use asked::Version;
use form::Form;
use grants::Asking;
pub(crate) use grants::{client_id, granted_by, public_client, sign_in, tenant};
pub(crate) use problem::Problem;

/// A token request is a few hundred bytes.
const MAX_BODY: usize = 64 * 1024;

/// What a request gets.
struct Granted {
    tenant: TenantId,
    application: Arc<Application>,
    issued: Issued,
    audience: String,
    /// For whom and what, if it is a user's.
    user: Option<GrantedToUser>,
}

struct GrantedToUser {
    user: Arc<User>,
    asked: Asked,
    refresh_token: Option<String>,
    id_token: Option<String>,
}

/// `POST /{tenant}/oauth2/token`: the old form. `resource` names the API, numbers are texts. Two
/// shipped integrations send it as GET with a form body.
pub async fn v1(State(instance): State<Arc<Instance>>, Key(tenant): Key, request: Request) -> Response {
    answer(instance, tenant, request, Version::V1).await
}

/// `POST /{tenant}/oauth2/v2.0/token`: the form of today. `scope` is the API's name and
/// `/.default`, or its permissions.
pub async fn v2(State(instance): State<Arc<Instance>>, Key(tenant): Key, request: Request) -> Response {
    answer(instance, tenant, request, Version::V2).await
}

async fn answer(instance: Arc<Instance>, tenant: String, request: Request, version: Version) -> Response {
    let (parts, body) = request.into_parts();
    let (correlation, address) = (correlation(&parts.headers), client_address(&parts, &instance));
    let mut named = Named { tenant: tenant.clone(), ..Named::default() };
    let answered = async {
        let form = read_form(&instance, &parts, body, address).await?;
        named = Named::of(&tenant, &form);
        let wants_client_info = form.given("client_info") == Some("1");
        let (now, origin) = (instance.now(), Origin::of(&parts, &instance));
        let asking = Asking { instance: Arc::clone(&instance), origin, tenant, form, version, now };
        let granted = grants::grant(asking).await?;
        note_issued(&instance, &granted, address);
        Ok::<Value, Problem>(dress(&granted, version, wants_client_info, now))
    };
    match answered.await {
        Ok(token) => {
            instance.metrics.token_requested(TokenOutcome::Issued);
            problem::json_response(StatusCode::OK, &token)
        }
        Err(problem) => refuse(&instance, problem, &named, address, correlation),
    }
}

/// The fields of a request that anybody may make: it is read without a token, so it must come at once,
/// not only steadily. Refused unread while the address has been wrong too often.
pub(crate) async fn read_form(
    instance: &Instance,
    parts: &Parts,
    body: axum::body::Body,
    address: Option<IpAddr>,
) -> Result<Form, Problem> {
    if let Some(address) = address {
        let now = instance.now();
        let admitted = instance.control.lockout.admit_address(address, now);
        admitted.map_err(|locked| Problem::too_many(locked, now))?;
    }
    let body = axum::body::to_bytes(body, MAX_BODY);
    let body = tokio::time::timeout(instance.config.server.limits.body_timeout, body).await;
    let body = body.map_err(|_| Problem::body())?.map_err(|_| Problem::body())?;
    Form::read(&parts.headers, &body)
}

fn note_issued(instance: &Instance, granted: &Granted, address: Option<IpAddr>) {
    let Granted { tenant, application, issued, audience, user } = granted;
    let actor = match user {
        Some(GrantedToUser { user, .. }) => Actor::user(user.id, &user.name),
        None => Actor::application(application.id, &application.name),
    };
    let entry = Entry::new(actor.from_address(address), "token.issued").in_tenant(*tenant);
    let entry = entry.on(application.id).with("audience", audience.as_str());
    instance.audit.note(entry.with("expires", issued.expires.to_string()));
}

/// Notes that a user signed in and let an application do something.
pub(crate) fn note_signed_in(
    instance: &Instance,
    user: &User,
    application: &Application,
    address: Option<IpAddr>,
) {
    let entry = Entry::new(Actor::user(user.id, &user.name).from_address(address), "user.signed_in");
    instance.audit.note(entry.in_tenant(user.tenant).on(application.id));
}

/// Whom a request names: a tenant, an application, a user. Nothing of it is proved.
#[derive(Default)]
pub(crate) struct Named {
    tenant: String,
    client: Option<String>,
    user: Option<String>,
}

impl Named {
    pub(crate) fn of(tenant: &str, form: &Form) -> Named {
        let given = |name: &str| form.given(name).map(str::to_owned);
        Named { tenant: tenant.to_owned(), client: given("client_id"), user: given("username") }
    }
}

/// Notes that a request was refused.
pub(crate) fn note_refused(instance: &Instance, problem: &Problem, named: &Named, address: Option<IpAddr>) {
    instance.metrics.token_requested(problem.outcome());
    // A device that waits is no refusal.
    if !problem.is_to_come() {
        let entry = Entry::new(Actor::anonymous().from_address(address), "token.refused");
        let entry = entry.refused(problem.code).with("reason", problem.message.as_str());
        let entry = entry.with("tenant", named.tenant.as_str());
        let entry = named.client.iter().fold(entry, |entry, client| entry.with("client", client.as_str()));
        let entry = named.user.iter().fold(entry, |entry, user| entry.with("user", user.as_str()));
        instance.audit.note(entry);
    }
    if let Some(address) = address.filter(|_| problem.is_wrong_credential()) {
        instance.control.lockout.note_address(address, instance.now());
    }
}

pub(crate) fn refuse(
    instance: &Instance,
    problem: Problem,
    named: &Named,
    address: Option<IpAddr>,
    correlation: Uuid,
) -> Response {
    note_refused(instance, &problem, named, address);
    problem.response(correlation, instance.now())
}

/// The answer as its version has it: v1 writes numbers as texts.
fn dress(granted: &Granted, version: Version, wants_client_info: bool, now: Time) -> Value {
    let Granted { tenant, issued, audience, user, .. } = granted;
    let lasts = lasts(issued, now);
    let number = |number: i64| match version {
        Version::V1 => Value::from(number.to_string()),
        Version::V2 => Value::from(number),
    };
    let mut answer = Map::new();
    let mut put = |name: &str, value: Value| drop(answer.insert(name.to_owned(), value));
    put("token_type", "Bearer".into());
    if let Some(user) = user {
        put("scope", asked::text(&user.asked, version).into());
    }
    put("expires_in", number(lasts));
    put("ext_expires_in", number(lasts));
    if version == Version::V1 {
        put("expires_on", number(issued.expires.unix_seconds()));
        put("not_before", number(issued.not_before.unix_seconds()));
        put("resource", audience.as_str().into());
    }
    put("access_token", issued.token.as_str().into());
    if let Some(GrantedToUser { user, refresh_token, id_token, .. }) = user {
        refresh_token.iter().for_each(|token| put("refresh_token", token.as_str().into()));
        id_token.iter().for_each(|token| put("id_token", token.as_str().into()));
        if wants_client_info {
            let info = json!({ "uid": user.id, "utid": tenant.to_string() }).to_string();
            put("client_info", URL_SAFE_NO_PAD.encode(info).into());
        }
    }
    Value::Object(answer)
}

/// Seconds the token still has when it arrives: one is taken off for the way.
fn lasts(issued: &Issued, now: Time) -> i64 {
    (issued.expires.unix_seconds() - now.unix_seconds() - 1).max(0)
}

pub(crate) fn correlation(headers: &HeaderMap) -> Uuid {
    let sent = headers.get("client-request-id").and_then(|id| id.to_str().ok());
    sent.and_then(|id| Uuid::try_parse(id).ok()).unwrap_or_else(Uuid::new_v4)
}
