//! The token endpoints: client credentials, v1 (`resource`) and v2 (`scope`), in the many forms
//! that shipped clients send them, and errors in the flat OAuth form with the codes they look at.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, PRAGMA, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pintle_model::Time;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::auth::application::Proof;
use crate::auth::assertion::{self, Assertion};
use crate::auth::control::Tenant;
use crate::auth::issuer::Issued;
use crate::auth::secret::Secret;
use crate::http::form;
use crate::http::origin::Origin;
use crate::http::path::Key;
use crate::instance::Instance;
use crate::metrics::TokenOutcome;

/// A token request is a few hundred bytes.
const MAX_BODY: usize = 64 * 1024;

/// `POST /{tenant}/oauth2/token`: the old form. `resource` names the API, numbers are texts. Two
/// shipped integrations send it as GET with a form body.
pub async fn v1(State(instance): State<Arc<Instance>>, Key(tenant): Key, request: Request) -> Response {
    answer(
        &instance,
        &tenant,
        request,
        |form| {
            let resource = form.needed("resource")?;
            let problem = || Problem::unknown_resource(resource);
            accepted(&instance, resource).ok_or_else(problem)
        },
        |issued, now, resource| {
            let lasts = lasts(issued, now).to_string();
            json!({
                "token_type": "Bearer",
                "expires_in": lasts,
                "ext_expires_in": lasts,
                "expires_on": issued.expires.unix_seconds().to_string(),
                "not_before": issued.not_before.unix_seconds().to_string(),
                "resource": resource,
                "access_token": issued.token,
            })
        },
    )
    .await
}

/// `POST /{tenant}/oauth2/v2.0/token`: the form of today. `scope` is the API's name and
/// `/.default`.
pub async fn v2(State(instance): State<Arc<Instance>>, Key(tenant): Key, request: Request) -> Response {
    answer(
        &instance,
        &tenant,
        request,
        |form| {
            let scope = form.needed("scope")?;
            let resource = scope.strip_suffix("/.default").ok_or_else(|| Problem::bad_scope(scope))?;
            accepted(&instance, resource).ok_or_else(|| Problem::unknown_resource(resource))
        },
        |issued, now, _| {
            let lasts = lasts(issued, now);
            json!({
                "token_type": "Bearer",
                "expires_in": lasts,
                "ext_expires_in": lasts,
                "access_token": issued.token,
            })
        },
    )
    .await
}

/// Seconds the token still has when it arrives: one is taken off for the way.
fn lasts(issued: &Issued, now: Time) -> i64 {
    (issued.expires.unix_seconds() - now.unix_seconds() - 1).max(0)
}

fn accepted(instance: &Instance, resource: &str) -> Option<String> {
    instance.tokens.audiences().contains(resource).then(|| resource.to_owned())
}

async fn answer(
    instance: &Instance,
    tenant: &str,
    request: Request,
    audience: impl FnOnce(&Form) -> Result<String, Problem>,
    dress: impl FnOnce(&Issued, Time, &str) -> Value,
) -> Response {
    let (parts, body) = request.into_parts();
    let origin = Origin::of(&parts, instance);
    let correlation = correlation(&parts.headers);
    let answer = async {
        // It is read without a token, so it must come at once, not only steadily.
        let body = axum::body::to_bytes(body, MAX_BODY);
        let body = tokio::time::timeout(instance.config.server.limits.body_timeout, body).await;
        let body = body.map_err(|_| Problem::body())?.map_err(|_| Problem::body())?;
        let form = Form::read(&parts.headers, &body)?;
        let now = instance.now();
        let (issued, audience) = issue(instance, &origin, tenant, &form, audience, now)?;
        Ok::<Value, Problem>(dress(&issued, now, &audience))
    };
    match answer.await {
        Ok(token) => {
            instance.metrics.token_requested(TokenOutcome::Issued);
            json_response(StatusCode::OK, &token)
        }
        Err(problem) => {
            instance.metrics.token_requested(problem.outcome());
            problem.response(correlation, instance.now())
        }
    }
}

/// Everything that can be refused without looking at a secret is refused first.
fn issue(
    instance: &Instance,
    origin: &Origin,
    tenant: &str,
    form: &Form,
    audience: impl FnOnce(&Form) -> Result<String, Problem>,
    now: Time,
) -> Result<(Issued, String), Problem> {
    let named = tenant;
    let tenant = instance.control.tenant(named).ok_or_else(|| Problem::unknown_tenant(named))?;
    match form.needed("grant_type")? {
        "client_credentials" => {}
        other => return Err(Problem::grant(other)),
    }
    let id = form.needed("client_id")?;
    let id = Uuid::try_parse(id).map_err(|_| Problem::no_client_id(id, &tenant))?;
    let (application, proof, audience) = match form.given("client_assertion") {
        Some(assertion) => {
            if form.needed("client_assertion_type")? != assertion::KIND {
                return Err(Problem::assertion_type());
            }
            let audience = audience(form)?;
            let ours = assertion_audiences(instance, origin, &tenant, named);
            let key = instance.issuer.signing_key();
            let decoy = key.as_ref().and_then(|key| key.verifying());
            let decoy = decoy.ok_or_else(|| Problem::server("The server has no key to sign with."))?;
            let known = Assertion::read(assertion, &ours, decoy).and_then(|assertion| {
                instance.control.authenticate_by_certificate(tenant.id, id, &assertion, now)
            });
            (known.ok_or_else(|| Problem::wrong_assertion(id))?, Proof::Certificate, audience)
        }
        None => {
            let secret = Secret::from_text(form.needed("client_secret")?);
            let audience = audience(form)?;
            let known = instance.control.authenticate(tenant.id, id, &secret, now);
            (known.ok_or_else(|| Problem::wrong_secret(id))?, Proof::Secret, audience)
        }
    };
    let issued = instance.issuer.issue(&application, proof, &audience, now).map_err(|error| {
        tracing::error!(%error, "a token could not be issued");
        Problem::server("The server cannot issue tokens at the moment: its log says why.")
    })?;
    let issued = issued.ok_or_else(|| Problem::server("The server has no issuer: set server.public_url."))?;
    tracing::debug!(application = %application.id, audience, "issued a token");
    Ok((issued, audience))
}

/// How an assertion may name this server: as either token endpoint, by whatever name the tenant was
/// asked for, or as the issuer. What a request names as the host has a say in `dev` alone.
fn assertion_audiences(instance: &Instance, origin: &Origin, tenant: &Tenant, named: &str) -> Vec<String> {
    let id = tenant.id.to_string();
    let tenants = [id.as_str(), tenant.name.as_str(), named];
    let endpoints = tenants.into_iter().flat_map(|tenant| {
        ["oauth2/token", "oauth2/v2.0/token"].map(|path| format!("{}/{tenant}/{path}", origin.as_str()))
    });
    endpoints.chain(instance.issuer.of(tenant.id)).collect()
}

/// The fields of a token request; the client's own may stand in HTTP Basic instead.
struct Form(HashMap<String, String>);

impl Form {
    /// No content type is asked for: two shipped clients send none.
    fn read(headers: &HeaderMap, body: &[u8]) -> Result<Form, Problem> {
        let body = std::str::from_utf8(body).map_err(|_| Problem::body())?;
        let mut fields = HashMap::new();
        for (name, value) in form::pairs(body.trim()) {
            if fields.insert(name.clone(), value).is_some() {
                return Err(Problem::twice(&name));
            }
        }
        if let Some((id, secret)) = basic(headers) {
            fields.insert("client_id".to_owned(), id);
            fields.insert("client_secret".to_owned(), secret);
        }
        Ok(Form(fields))
    }

    fn given(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn needed(&self, name: &'static str) -> Result<&str, Problem> {
        self.given(name).ok_or_else(|| Problem::missing(name))
    }
}

/// Client id and secret from HTTP Basic, each percent-encoded (RFC 6749 §2.3.1).
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, credentials) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = STANDARD.decode(credentials.trim()).ok()?;
    let (id, secret) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
    Some((form::decoded(id), form::decoded(secret)))
}

fn correlation(headers: &HeaderMap) -> Uuid {
    let sent = headers.get("client-request-id").and_then(|id| id.to_str().ok());
    sent.and_then(|id| Uuid::try_parse(id).ok()).unwrap_or_else(Uuid::new_v4)
}

/// Why there is no token. The codes are those of the service that clients know; the words are ours.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    error: &'static str,
    code: u32,
    message: String,
}

impl Problem {
    fn request(error: &'static str, code: u32, message: impl Into<String>) -> Problem {
        Problem { status: StatusCode::BAD_REQUEST, error, code, message: message.into() }
    }

    fn missing(name: &str) -> Problem {
        Problem::request(
            "invalid_request",
            900_144,
            format!("The request body must contain the parameter '{name}'."),
        )
    }

    fn twice(name: &str) -> Problem {
        Problem::request(
            "invalid_request",
            90_014,
            format!("The parameter '{name}' is given more than once."),
        )
    }

    fn body() -> Problem {
        Problem::request(
            "invalid_request",
            900_144,
            "The request body must be a form in UTF-8 of at most 64 KiB.",
        )
    }

    fn grant(grant: &str) -> Problem {
        let message = format!("The grant type '{grant}' is not supported: use client_credentials.");
        Problem::request("unsupported_grant_type", 70_003, message)
    }

    fn bad_scope(scope: &str) -> Problem {
        let message = format!(
            "The scope '{scope}' is not valid: client credentials ask for one resource and '/.default'."
        );
        Problem::request("invalid_scope", 70_011, message)
    }

    fn unknown_resource(resource: &str) -> Problem {
        let message = format!("The resource '{resource}' is not one that this server issues tokens for.");
        Problem::request("invalid_resource", 500_011, message)
    }

    /// No application can have such an id, so saying so tells nothing about those that exist.
    fn no_client_id(id: &str, tenant: &Tenant) -> Problem {
        let message =
            format!("The application '{id}' is not in the tenant '{}': a client id is a GUID.", tenant.name);
        Problem::request("unauthorized_client", 700_016, message)
    }

    /// The same for an unknown application, one of another tenant, a disabled one and a wrong
    /// secret.
    fn wrong_secret(id: Uuid) -> Problem {
        let message = format!("The client secret for the application '{id}' is not valid.");
        Problem { status: StatusCode::UNAUTHORIZED, ..Problem::request("invalid_client", 7_000_215, message) }
    }

    /// The same for an unknown application, one of another tenant, a disabled one, a certificate that is
    /// unknown or over, and an assertion that was not made for this server and now.
    fn wrong_assertion(id: Uuid) -> Problem {
        let message = format!(
            "The client assertion for the application '{id}' is not valid: it is an RS256 or PS256 JWT for this \
             token endpoint, signed with the key of a certificate that the application has."
        );
        Problem { status: StatusCode::UNAUTHORIZED, ..Problem::request("invalid_client", 700_027, message) }
    }

    fn assertion_type() -> Problem {
        let message = format!("The client_assertion_type must be '{}'.", assertion::KIND);
        Problem::request("invalid_request", 90_023, message)
    }

    pub(crate) fn unknown_tenant(tenant: &str) -> Problem {
        let message = format!("The tenant '{tenant}' was not found: use its name or its GUID.");
        Problem::request("invalid_request", 90_002, message)
    }

    pub(crate) fn server(message: &str) -> Problem {
        let problem = Problem::request("temporarily_unavailable", 90_033, message);
        Problem { status: StatusCode::SERVICE_UNAVAILABLE, ..problem }
    }

    fn outcome(&self) -> TokenOutcome {
        match self.status {
            StatusCode::UNAUTHORIZED => TokenOutcome::InvalidClient,
            StatusCode::BAD_REQUEST => TokenOutcome::InvalidRequest,
            _ => TokenOutcome::Failed,
        }
    }

    pub(crate) fn response(self, correlation: Uuid, now: Time) -> Response {
        let trace = Uuid::new_v4();
        tracing::debug!(%trace, code = self.code, message = self.message, "no token");
        let timestamp = Time::from_unix_seconds(now.unix_seconds()).to_string().replace('T', " ");
        let description = format!(
            "AADSTS{}: {} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}",
            self.code, self.message
        );
        let body = json!({
            "error": self.error,
            "error_description": description,
            "error_codes": [self.code],
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
        });
        let mut response = json_response(self.status, &body);
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static(r#"Basic realm="pintle", charset="UTF-8""#);
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

fn json_response(status: StatusCode, body: &Value) -> Response {
    let headers = [
        (CONTENT_TYPE, "application/json; charset=utf-8"),
        (CACHE_CONTROL, "no-store, no-cache"),
        (PRAGMA, "no-cache"),
    ];
    (status, headers, body.to_string()).into_response()
}
