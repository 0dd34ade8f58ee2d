//! The OpenAPI document, made of the rows, of what entries add to them, and of the settings.

use axum::http::Method;
use serde_json::{Map, Value, json};

use super::schema::{Components, ERROR, Schema, put};
use super::tokens::OAUTH_ERROR;
use super::{Answer, Body, Content, Entry, JSON, Parameter, Refusal, data};
use crate::auth::permission::Permission;
use crate::config::Config;
use crate::http::caller::Access;
use crate::http::routes::{Credential, Route};

/// The document as it is for every caller: all but under which URL the server answers.
pub fn openapi(routes: &[Route], config: &Config) -> Map<String, Value> {
    let mut components = Components::default();
    let mut paths = Map::new();
    for route in routes {
        // A route without an entry is found by a test.
        let Some(entry) = Entry::of(route) else { continue };
        let operation = operation(route, entry, config, &mut components);
        let path = paths.entry(entry.url()).or_insert_with(|| json!({}));
        put(path, &method(&route.method), operation);
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": info(),
        "tags": TAGS.iter().map(|(name, about)| json!({ "name": name, "description": about })).collect::<Value>(),
        "paths": paths,
        "components": {
            "securitySchemes": { "bearer": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "A token of this server's own issuer, or of an outside one that is configured. \
                                An application's has permissions (`roles`), a user's has scopes (`scp`).",
            },
            "apiKey": {
                "type": "http",
                "scheme": "ApiKey",
                "description": "A key of an inlet as Elasticsearch's clients send theirs: base64 of `id:key`.",
            },
            "basic": {
                "type": "http",
                "scheme": "basic",
                "description": "The same with the inlet's id or name as the user, and the key as the password.",
            } },
            "schemas": components.finish(),
        },
    });
    match document {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn info() -> Value {
    json!({
        "title": "Pintle",
        "version": env!("CARGO_PKG_VERSION"),
        "summary": "Answers the questions of an endpoint investigation through the API of Microsoft Defender for Endpoint.",
        "description": ABOUT,
        "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
    })
}

const ABOUT: &str = "`/api` and `/api/v1.0` are one tree. Segments of a path compare without case and a slash at \
the end does no harm. Query options without `$` that are not known are ignored; those with `$` that are not obeyed \
are a 400. Every member of an entity is written, `null` where no source said anything. A path that is not here is a \
404 and another method a 405 with `Allow`, both without a body. Machines and alerts that a caller may not see are \
neither listed nor counted, and answer by id as unknown ones. Calls are counted by application, tenant and \
operation; `RateLimit` tells what is left.";

const TAGS: &[(&str, &str)] = &[
    ("alerts", "Alerts, and what is in them."),
    ("files", "Files, by any of their hashes."),
    ("machines", "Machines."),
    ("users", "Users, as telemetry names them."),
    ("domains", "Domains."),
    ("ips", "IP addresses."),
    ("telemetry", "How telemetry comes in."),
    ("reference", "What the server can do, told by itself."),
    ("administration", "Who may do and see what."),
    ("tokens", "How tokens are got, where users sign in."),
];

/// Under which heading a path stands.
fn tag(path: &str) -> &'static str {
    let mut segments = path.split('/').skip(1);
    let named = match (segments.next(), segments.next()) {
        (Some("api"), Some("ingest")) | (Some("elastic"), _) => "telemetry",
        (Some("api"), Some("admin")) => "administration",
        (Some("api"), Some("$metadata")) | (Some("openapi.json" | "docs"), _) => "reference",
        (Some("api"), Some(resource)) => resource,
        _ => "tokens",
    };
    TAGS.iter().map(|(tag, _)| *tag).find(|tag| *tag == named).unwrap_or("reference")
}

/// As OpenAPI names it.
fn method(method: &Method) -> String {
    method.as_str().to_ascii_lowercase()
}

fn operation(route: &Route, entry: &Entry, config: &Config, components: &mut Components) -> Value {
    let mut operation = json!({
        "operationId": entry.id,
        "tags": [tag(route.path)],
        "summary": entry.summary,
        "description": entry.meaning,
    });
    match route.credential {
        Credential::Bearer(access) => needs(&access, &[], config, &mut operation),
        Credential::Sender(access) => needs(&access, &["apiKey", "basic"], config, &mut operation),
        Credential::Anonymous | Credential::Form => put(&mut operation, "security", json!([])),
    }
    let keys = entry.keys.iter().map(|key| ("path", key));
    let prefer = entry.refusals.contains(&data::UNKNOWN).then_some(&data::PREFER);
    let headers = entry.headers.iter().chain(prefer).map(|header| ("header", header));
    let parameters: Vec<Value> = keys
        .chain(entry.query.iter().map(|option| ("query", option)))
        .chain(headers)
        .map(|(place, parameter)| self::parameter(place, parameter, components))
        .collect();
    if !parameters.is_empty() {
        put(&mut operation, "parameters", parameters);
    }
    if let Some(Body { is_required, content }) = entry.body {
        put(
            &mut operation,
            "requestBody",
            json!({ "required": is_required, "content": self::content(content, components) }),
        );
    }
    put(&mut operation, "responses", responses(route, entry, components));
    operation
}

/// What a caller has to have, or instead of a token.
fn needs(access: &Access, instead: &[&str], config: &Config, operation: &mut Value) {
    let named = |name: fn(Permission) -> &'static str| -> Vec<Value> {
        let named = |permission: &Permission| json!({ "value": name(*permission), "displayName": permission.display_name() });
        access.permissions.iter().map(named).collect()
    };
    // Any one is enough; where there is none to have, any token is.
    let mut security: Vec<Value> =
        access.permissions.iter().map(|permission| json!({ "bearer": [permission.value()] })).collect();
    if security.is_empty() {
        security.push(json!({ "bearer": [] }));
    }
    security.extend(instead.iter().map(|scheme| json!({ *scheme: [] })));
    put(operation, "security", security);
    if !access.permissions.is_empty() {
        put(operation, "x-application-permissions", named(Permission::value));
    }
    if let Some(role) = access.role_permission {
        put(operation, "x-delegated-scopes", named(Permission::delegated));
        put(
            operation,
            "x-role-permission",
            json!({ "value": role.value(), "displayName": role.display_name() }),
        );
    }
    if let Some(id) = access.quota {
        let limits = access.limits(&config.quota);
        put(
            operation,
            "x-quota",
            json!({
                "id": id,
                "enabled": config.quota.enabled,
                "perMinute": limits.per_minute,
                "perHour": limits.per_hour,
            }),
        );
    }
}

fn parameter(place: &str, parameter: &Parameter, components: &mut Components) -> Value {
    json!({
        "name": parameter.name,
        "in": place,
        "required": parameter.is_required,
        "description": parameter.about,
        "schema": components.schema(parameter.schema),
    })
}

fn content(content: &[Content], components: &mut Components) -> Value {
    let schema = |(media_type, schema): &Content| {
        ((*media_type).to_owned(), json!({ "schema": components.schema(*schema) }))
    };
    Value::Object(content.iter().map(schema).collect())
}

fn responses(route: &Route, entry: &Entry, components: &mut Components) -> Value {
    let mut responses = Map::new();
    for Answer { status, about, content } in entry.answers {
        let mut response = json!({ "description": about });
        if !content.is_empty() {
            put(&mut response, "content", self::content(content, components));
        }
        responses.insert(status.to_string(), response);
    }
    // A page says what was wrong on a page.
    let is_page =
        entry.answers.iter().flat_map(|answer| answer.content).any(|(media, _)| *media == "text/html");
    let error: &[Content] = match route.credential {
        Credential::Bearer(_) | Credential::Sender(_) => &[(JSON, Schema::Object(&ERROR))],
        Credential::Anonymous | Credential::Form if is_page => &[("text/html", Schema::Text)],
        Credential::Anonymous | Credential::Form => &[(JSON, Schema::Object(&OAUTH_ERROR))],
    };
    for (status, about) in refusals(route, entry) {
        let content = content(error, components);
        responses.insert(status.to_string(), json!({ "description": about, "content": content }));
    }
    if !(entry.keys.is_empty() && entry.query.is_empty()) {
        for (status, about) in TOO_LONG {
            responses.insert(status.to_string(), json!({ "description": about }));
        }
    }
    responses.sort_keys();
    Value::Object(responses)
}

/// What is refused before it is known what was asked, so without a body.
const TOO_LONG: [Refusal; 2] =
    [(414, "A URL of more than 65,534 bytes."), (431, "URL and headers of more than 64 KiB, together.")];

/// All that may go wrong.
fn refusals(route: &Route, entry: &Entry) -> Vec<Refusal> {
    let mut refusals = entry.refusals.to_vec();
    if let Some(access) = route.credential.access() {
        refusals.push((
            401,
            "`Unauthorized`: no token, or one that does not count; `WWW-Authenticate` says why.",
        ));
        refusals.push((403, "`Forbidden`: the token is for another API, or its owner lacks the permission."));
        if access.quota.is_some() {
            refusals.push((
                429,
                "`TooManyRequests`: the quota is used up; `Retry-After` says for how many seconds.",
            ));
        }
        refusals.push((500, "`InternalServerError`: the server's log says why."));
    }
    refusals
}
