//! Where to get tokens and whose keys sign them: OIDC discovery, the JWK set, and the instance
//! discovery that MSAL does before it trusts an authority. The URLs are the configured ones; only
//! `dev`, which answers under the names that clients have built in, names the host that was asked.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::auth::control::ANY_TENANT;
use crate::http::form;
use crate::http::origin::Origin;
use crate::http::path::Key;
use crate::http::token::Problem;
use crate::instance::Instance;

/// `GET /{tenant}/v2.0/.well-known/openid-configuration`.
pub async fn v2(State(instance): State<Arc<Instance>>, origin: Origin, Key(tenant): Key) -> Response {
    document(&instance, &origin, &tenant, "/oauth2/v2.0", "/discovery/v2.0/keys")
}

/// `GET /{tenant}/.well-known/openid-configuration`.
pub async fn v1(State(instance): State<Arc<Instance>>, origin: Origin, Key(tenant): Key) -> Response {
    document(&instance, &origin, &tenant, "/oauth2", "/discovery/keys")
}

fn document(instance: &Instance, origin: &Origin, tenant: &str, oauth2: &str, keys: &str) -> Response {
    let refused = |problem: Problem| problem.response(Uuid::new_v4(), instance.now());
    // Whoever signs in at `common` learns their tenant from the token; until then it is left open.
    let (issuer, tenant) = match (instance.control.tenant(tenant), tenant) {
        (Some(tenant), _) => (instance.issuer.of(tenant.id), tenant.id.to_string()),
        (None, tenant) if ANY_TENANT.contains(&tenant) => (instance.issuer.template(), tenant.to_owned()),
        (None, unknown) => return refused(Problem::unknown_tenant(unknown)),
    };
    let Some(issuer) = issuer else {
        return refused(Problem::server("The server has no issuer: set server.public_url."));
    };
    let base = format!("{}/{tenant}", origin.as_str());
    let mut grants = vec![
        "client_credentials",
        "authorization_code",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:device_code",
    ];
    grants.extend(instance.config.issuer.password_grant.then_some("password"));
    public_json(&json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{base}{oauth2}/authorize"),
        "token_endpoint": format!("{base}{oauth2}/token"),
        "device_authorization_endpoint": format!("{base}{oauth2}/devicecode"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic", "private_key_jwt"],
        "grant_types_supported": grants,
        "jwks_uri": format!("{base}{keys}"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }))
}

/// `GET /{tenant}/discovery/keys` and `GET /{tenant}/discovery/v2.0/keys`: the public keys.
pub async fn keys(State(instance): State<Arc<Instance>>) -> Response {
    public(instance.issuer.jwks().to_string())
}

/// `GET /common/discovery/instance`: which hosts are one and the same, and where the tenant that
/// stands in `authorization_endpoint` is described.
pub async fn instance(origin: Origin, RawQuery(query): RawQuery) -> Response {
    let endpoint =
        form::value(query.as_deref().unwrap_or_default(), "authorization_endpoint").unwrap_or_default();
    let tenant = tenant_in(&endpoint).unwrap_or("common");
    // MSAL goes on with the version it is given here, and speaks v2 only.
    let version = if endpoint.contains("/v2.0/") { "/v2.0" } else { "" };
    let document = format!("{}/{tenant}{version}/.well-known/openid-configuration", origin.as_str());
    public_json(&json!({
        "tenant_discovery_endpoint": document,
        "api-version": "1.1",
        "metadata": metadata(&origin),
    }))
}

/// The first segment of the endpoint's path, if it could be a tenant.
fn tenant_in(endpoint: &str) -> Option<&str> {
    let (_, rest) = endpoint.split_once("://")?;
    let tenant = rest.split('/').nth(1)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (!tenant.is_empty() && tenant.len() <= 120 && tenant.bytes().all(plain)).then_some(tenant)
}

/// The sign-in hosts that clients have built in, as groups of aliases, and the one that was asked.
fn metadata(origin: &Origin) -> Vec<Value> {
    let group = |network: &str, aliases: &[&str]| json!({ "preferred_network": network, "preferred_cache": aliases.last(), "aliases": aliases });
    let mut groups = vec![
        group(
            "login.microsoftonline.com",
            &["login.microsoftonline.com", "login.microsoft.com", "sts.windows.net", "login.windows.net"],
        ),
        group("login.microsoftonline.us", &["login.microsoftonline.us", "login.usgovcloudapi.net"]),
    ];
    let own =
        origin.as_str().split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
    let is_listed = groups.iter().any(|group| {
        group
            .get("aliases")
            .and_then(Value::as_array)
            .is_some_and(|aliases| aliases.iter().any(|alias| alias == own))
    });
    if !own.is_empty() && !is_listed {
        groups.push(group(own, &[own]));
    }
    groups
}

fn public_json(body: &Value) -> Response {
    public(body.to_string())
}

/// Anybody may read it, a browser's script too, and keep it for a while.
fn public(body: String) -> Response {
    let headers = [
        (CONTENT_TYPE, "application/json; charset=utf-8"),
        (CACHE_CONTROL, "max-age=3600, private"),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    (headers, body).into_response()
}
