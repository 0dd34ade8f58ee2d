//! The device flow: a program without a browser shows a code, and its user signs in elsewhere.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use super::page::{self, Page};
use crate::auth::codes::{DEVICE_INTERVAL, DEVICE_LASTS};
use crate::auth::control::Tenant;
use crate::http::origin::{Origin, client_address};
use crate::http::path::Key;
use crate::http::token::asked::{self, Version};
use crate::http::token::form::Form;
use crate::http::token::problem::json_response;
use crate::http::token::{self, Named, Problem};
use crate::instance::Instance;

/// `POST /{tenant}/oauth2/devicecode`.
pub async fn v1(state: State<Arc<Instance>>, key: Key, request: Request) -> Response {
    begin(state.0, key.0, request, Version::V1).await
}

/// `POST /{tenant}/oauth2/v2.0/devicecode`.
pub async fn v2(state: State<Arc<Instance>>, key: Key, request: Request) -> Response {
    begin(state.0, key.0, request, Version::V2).await
}

async fn begin(instance: Arc<Instance>, tenant: String, request: Request, version: Version) -> Response {
    let (parts, body) = request.into_parts();
    let (correlation, address) = (token::correlation(&parts.headers), client_address(&parts, &instance));
    let mut named = Named::default();
    let answered = async {
        let form = token::read_form(&instance, &parts, body, address).await?;
        named = Named::of(&tenant, &form);
        let tenant = token::tenant(&instance, &tenant, form.given("client_id"))?;
        let id = token::client_id(&form, &tenant)?;
        let application =
            token::public_client(&instance, &tenant, id).ok_or_else(|| Problem::no_secret(id))?;
        let asked = asked::asked(&instance, &application, &form, version)?;
        let waiting = instance.codes.wait(tenant.id, id, asked, address, instance.now());
        let device = waiting.map_err(|error| {
            tracing::error!(%error, "a device code could not be made");
            Problem::server("The server cannot issue codes: its log says why.")
        })?;
        let device = device.ok_or_else(Problem::busy)?;
        let url = format!("{}/{}/oauth2/deviceauth", Origin::of(&parts, &instance).as_str(), tenant.id);
        let message = format!("To sign in, open {url} in a browser and enter the code {}.", device.user_code);
        let number = |number: u64| match version {
            Version::V1 => Value::from(number.to_string()),
            Version::V2 => Value::from(number),
        };
        let address = if version == Version::V1 { "verification_url" } else { "verification_uri" };
        Ok::<Value, Problem>(json!({
            "user_code": device.user_code,
            "device_code": device.device_code,
            address: url,
            "expires_in": number(DEVICE_LASTS.as_secs()),
            "interval": number(DEVICE_INTERVAL.as_secs()),
            "message": message,
        }))
    };
    match answered.await {
        Ok(device) => json_response(StatusCode::OK, &device),
        Err(problem) => token::refuse(&instance, problem, &named, address, correlation),
    }
}

/// `GET` and `POST /{tenant}/oauth2/deviceauth`: the page for the device's user.
pub async fn auth(state: State<Arc<Instance>>, key: Key, query: RawQuery, request: Request) -> Response {
    let (State(instance), Key(tenant), RawQuery(query)) = (state, key, query);
    let (parts, body) = request.into_parts();
    let address = client_address(&parts, &instance);
    let is_answer = parts.method == Method::POST;
    let body = if is_answer { body } else { Body::from(query.unwrap_or_default()) };
    let form = token::read_form(&instance, &parts, body, address).await;
    let form = form.and_then(|form| Ok((token::tenant(&instance, &tenant, None)?, form)));
    let (tenant, form) = match form {
        Ok(known) => known,
        Err(problem) => return page::problem(problem.status(), "This does not go on", &problem.message),
    };
    let Some(user_code) = form.given("user_code") else { return page::user_code(None) };
    let waiting = instance.codes.waiting(tenant.id, user_code, instance.now());
    let waiting =
        waiting.and_then(|(application, asked)| Some((instance.control.application(application)?, asked)));
    let Some((application, asked)) = waiting else {
        if let Some(address) = address {
            instance.control.lockout.note_address(address, instance.now());
        }
        return page::user_code(Some("No device waits with this code: it may be over."));
    };
    let ask = |wrong: Option<&str>, status: StatusCode| {
        let name = form.given("username").unwrap_or_default();
        let body = page::sign_in_for_device(&application, &asked, name, wrong, user_code);
        let title = format!("Sign in to {}", tenant.name);
        Page { status, title: &title, body, leaves: false, posts_at_once: false }.response()
    };
    if !is_answer {
        return ask(None, StatusCode::OK);
    }
    if form.given("decision") == Some("decline") {
        instance.codes.decide(tenant.id, user_code, None, instance.now());
        return page::done("Not allowed", "The device was told. You can close this page.");
    }
    // From before the password was looked at, as for a code.
    let now = instance.now();
    let user = match sign_in(&instance, &tenant, &form).await {
        Ok(user) => user,
        Err(problem) => {
            token::note_refused(&instance, &problem, &Named::of(&tenant.name, &form), address);
            return ask(Some(&problem.message), problem.status());
        }
    };
    let grant = token::granted_by(&user, &application, asked.clone(), now);
    match instance.codes.decide(tenant.id, user_code, Some(grant), instance.now()) {
        true => {
            token::note_signed_in(&instance, &user, &application, address);
            page::done("Signed in", "The device goes on by itself. You can close this page.")
        }
        false => page::user_code(Some("The code is over: begin again on the device.")),
    }
}

async fn sign_in(
    instance: &Arc<Instance>,
    tenant: &Tenant,
    form: &Form,
) -> Result<Arc<crate::auth::user::User>, Problem> {
    let name = form.given("username").unwrap_or_default().to_owned();
    let password = form.given("password").unwrap_or_default().to_owned();
    token::sign_in(instance, tenant, name, password).await
}
