//! Every URL on one page, with what it asks of its callers in the same row. A row is all there is
//! to add for an endpoint; nothing is routed that does not stand here.

use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CONTENT_LENGTH, STRICT_TRANSPORT_SECURITY};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use tower::util::MapRequest;

use crate::admin::{OPERATIONS, Operation, Reach};
use crate::auth::permission::Permission::{self, *};
use crate::auth::role::RolePermission::{self, ViewData};
use crate::http::api::{admin, alerts, files, ingest, machines};
use crate::http::caller::{Access, admit};
use crate::http::origin::is_encrypted;
use crate::http::{discovery, path, reference, sign_in, token};
use crate::instance::Instance;

/// An endpoint.
pub struct Route {
    /// The method, for the reader and for tests; the handler is bound to it too.
    pub method: Method,
    /// The path under the server's root. `/api/v1.0` is `/api`.
    pub path: &'static str,
    /// What answers.
    pub handler: MethodRouter<Arc<Instance>>,
    /// What callers prove themselves with.
    pub credential: Credential,
}

/// What a route asks of its callers to prove who they are.
#[derive(Clone, Copy, Debug)]
pub enum Credential {
    /// Nothing: anybody may call.
    Anonymous,
    /// What the request's form has to hold: a client's own credential, a code, a name and a password.
    Form,
    /// A bearer token, and what it must be good for.
    Bearer(Access),
}

/// Every endpoint.
#[rustfmt::skip]
pub fn routes() -> Vec<Route> {
    const ALERTS: &[Permission] = &[AlertRead, AlertReadWrite];
    const MACHINES: &[Permission] = &[MachineRead, MachineReadWrite];
    const FILES: &[Permission] = &[FileRead];
    const ANY_TOKEN: &[Permission] = &[];
    // Permissions are those of applications; `Permission::delegated` gives a user's.
    // Telemetry is not counted: the API has no such endpoint, and a shipper sends when it must.
    //    path                                            handler                   calls are counted by    an application needs    a user's role
    let mut routes = vec![
        reads("/api/alerts",                              get(alerts::list),        Some("alerts.list"),    ALERTS,                 Some(ViewData)),
        reads("/api/alerts/{id}",                         get(alerts::get),         Some("alerts.get"),     ALERTS,                 Some(ViewData)),
        reads("/api/alerts/{id}/files",                   get(alerts::files),       Some("alerts.files"),   FILES,                  Some(ViewData)),
        reads("/api/alerts/{id}/domains",                 get(alerts::domains),     Some("alerts.domains"), &[UrlRead],             Some(ViewData)),
        reads("/api/alerts/{id}/ips",                     get(alerts::ips),         Some("alerts.ips"),     &[IpRead],              Some(ViewData)),
        reads("/api/alerts/{id}/machine",                 get(alerts::machine),     Some("alerts.machine"), MACHINES,               Some(ViewData)),
        reads("/api/files/{id}",                          get(files::get),          Some("files.get"),      FILES,                  Some(ViewData)),
        reads("/api/files/{id}/machines",                 get(files::machines),     Some("files.machines"), MACHINES,               Some(ViewData)),
        reads("/api/files/{id}/stats",                    get(files::stats),        Some("files.stats"),    FILES,                  Some(ViewData)),
        reads("/api/machines",                            get(machines::list),      Some("machines.list"),  MACHINES,               Some(ViewData)),
        reads("/api/machines/findbytag",                  get(machines::find_by_tag), Some("machines.findbytag"), MACHINES,           Some(ViewData)),
        reads("/api/machines/{id}",                       get(machines::get),       Some("machines.get"),   MACHINES,               Some(ViewData)),
        reads("/api/$metadata",                           reference::metadata(),    None,                   ANY_TOKEN,              None),
        takes("/api/ingest",                              post(ingest::ingest),     None,                   &[EventWrite],          None),

        form(Method::GET,  "/{tenant}/oauth2/token", get(token::v1)),
        form(Method::POST, "/{tenant}/oauth2/token", post(token::v1)),
        form(Method::GET,  "/{tenant}/oauth2/v2.0/token", get(token::v2)),
        form(Method::POST, "/{tenant}/oauth2/v2.0/token", post(token::v2)),
        form(Method::GET,  "/{tenant}/oauth2/authorize", get(sign_in::authorize_v1)),
        form(Method::POST, "/{tenant}/oauth2/authorize", post(sign_in::authorize_v1)),
        form(Method::GET,  "/{tenant}/oauth2/v2.0/authorize", get(sign_in::authorize_v2)),
        form(Method::POST, "/{tenant}/oauth2/v2.0/authorize", post(sign_in::authorize_v2)),
        form(Method::POST, "/{tenant}/oauth2/devicecode",                      post(sign_in::device_code_v1)),
        form(Method::POST, "/{tenant}/oauth2/v2.0/devicecode",                 post(sign_in::device_code_v2)),
        form(Method::GET,  "/{tenant}/oauth2/deviceauth", get(sign_in::device_auth)),
        form(Method::POST, "/{tenant}/oauth2/deviceauth", post(sign_in::device_auth)),
        open(Method::GET,  "/{tenant}/.well-known/openid-configuration",       get(discovery::v1)),
        open(Method::GET,  "/{tenant}/v2.0/.well-known/openid-configuration",  get(discovery::v2)),
        open(Method::GET,  "/{tenant}/discovery/keys",                         get(discovery::keys)),
        open(Method::GET,  "/{tenant}/discovery/v2.0/keys",                    get(discovery::keys)),
        open(Method::GET,  "/common/discovery/instance",                       get(discovery::instance)),

        open(Method::GET,  "/openapi.json",                                    reference::document()),
        open(Method::GET,  "/docs",                                            reference::page()),
    ];
    // What only the owner of the data folder can do is not here.
    routes.extend(OPERATIONS.iter().filter(|operation| operation.reach != Reach::Owner).map(administers));
    routes
}

fn administers(operation: &'static Operation) -> Route {
    let access = match operation.reach {
        Reach::Tenant => Access {
            quota: None,
            permissions: &[Administration],
            is_administration: true,
            role_permission: Some(RolePermission::ManageSystemSettings),
        },
        // A tenant's administrators are not the server's.
        Reach::Server | Reach::Owner => {
            let permissions = &[ServerAdministration];
            Access { quota: None, permissions, is_administration: true, role_permission: None }
        }
    };
    let (method, path) = (operation.method.clone(), operation.path);
    Route { method, path, handler: admin::handler(operation), credential: Credential::Bearer(access) }
}

fn reads(
    path: &'static str,
    handler: MethodRouter<Arc<Instance>>,
    quota: Option<&'static str>,
    permissions: &'static [Permission],
    role_permission: Option<RolePermission>,
) -> Route {
    let credential =
        Credential::Bearer(Access { quota, permissions, is_administration: false, role_permission });
    Route { method: Method::GET, path, handler, credential }
}

fn takes(
    path: &'static str,
    handler: MethodRouter<Arc<Instance>>,
    quota: Option<&'static str>,
    permissions: &'static [Permission],
    role_permission: Option<RolePermission>,
) -> Route {
    Route { method: Method::POST, ..reads(path, handler, quota, permissions, role_permission) }
}

fn open(method: Method, path: &'static str, handler: MethodRouter<Arc<Instance>>) -> Route {
    Route { method, path, handler, credential: Credential::Anonymous }
}

fn form(method: Method, path: &'static str, handler: MethodRouter<Arc<Instance>>) -> Route {
    Route { credential: Credential::Form, ..open(method, path, handler) }
}

/// The service that answers every request.
pub fn router(instance: Arc<Instance>) -> Router {
    router_of(routes(), instance)
}

/// The same of other rows: a benchmark exchanges a handler and leaves the rest as it is.
pub fn router_of(routes: Vec<Route>, instance: Arc<Instance>) -> Router {
    let mut router = Router::new();
    let mut templates = Vec::new();
    for route in routes {
        templates.push(route.path);
        let handler = match route.credential {
            // Only the row's own method is guarded, so that a wrong one is a 405 to everybody.
            Credential::Bearer(access) => route
                .handler
                .route_layer(middleware::from_fn_with_state((Arc::clone(&instance), access), admit)),
            Credential::Anonymous | Credential::Form => route.handler,
        };
        router = router.route(route.path, handler);
    }
    let signed = middleware::from_fn_with_state(Arc::clone(&instance), sign);
    let router = router.fallback(unknown_path).layer(signed).with_state(instance);
    // Paths are brought into the table's form before they are looked up in it.
    let canonical = MapRequest::new(router, move |mut request: Request| {
        let uri = std::mem::take(request.uri_mut());
        *request.uri_mut() = path::canonical(uri, &templates);
        request
    });
    Router::new().fallback_service(canonical)
}

/// 404 without a body, as the API answers where nothing is routed.
async fn unknown_path() -> Response {
    (StatusCode::NOT_FOUND, [(CONTENT_LENGTH, "0")]).into_response()
}

/// Tells browsers to stay with https where the client came by it, and the access log which route
/// it was, which only shows in here.
async fn sign(State(instance): State<Arc<Instance>>, request: Request, next: Next) -> Response {
    // Not in `dev`: a browser would remember it for everything else that runs on localhost.
    let strict = !instance.is_dev() && is_encrypted(request.headers(), request.extensions(), &instance);
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    if strict {
        let policy = HeaderValue::from_static("max-age=15724800; includeSubDomains");
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, policy);
    }
    if let Some(route) = route {
        response.extensions_mut().insert(route);
    }
    response
}
