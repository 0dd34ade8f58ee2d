//! Every URL on one page, with what it asks of its callers in the same row. A row is all there is
//! to add for an endpoint; nothing is routed that does not stand here.

use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CONTENT_LENGTH, STRICT_TRANSPORT_SECURITY};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, patch, post, put};
use tower::util::MapRequest;

use crate::admin::{OPERATIONS, Operation, Reach};
use crate::auth::permission::Permission::{self, *};
use crate::auth::role::RolePermission::{self, AlertsInvestigation, ManageSecuritySettings, ViewData};
use crate::http::api::alerts::{change as alert_change, create as alert_create};
use crate::http::api::machines::change as machine_change;
use crate::http::api::{admin, alert_lists, alerts, domains, files, hash_list, ingest, ips, machines, users};
use crate::http::caller::{Access, Purpose, admit};
use crate::http::origin::is_encrypted;
use crate::http::sender::admit_sender;
use crate::http::{discovery, elastic, path, reference, sign_in, token};
use crate::instance::Instance;
use crate::quota::Limits;

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
    /// A key of an inlet, or such a token: telemetry is sent there.
    Sender(Access),
}

impl Credential {
    /// What a token must be good for, if one is taken.
    pub fn access(&self) -> Option<&Access> {
        match self {
            Credential::Bearer(access) | Credential::Sender(access) => Some(access),
            Credential::Anonymous | Credential::Form => None,
        }
    }
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
        reads("/api/alerts",                              get(alert_lists::list),   Some("alerts.list"),    ALERTS,                 Some(ViewData)),
        reads("/api/alerts/{id}",                         get(alerts::get),         Some("alerts.get"),     ALERTS,                 Some(ViewData)),
        reads("/api/alerts/{id}/files",                   get(alerts::files),       Some("alerts.files"),   FILES,                  Some(ViewData)),
        reads("/api/alerts/{id}/domains",                 get(alerts::domains),     Some("alerts.domains"), &[UrlRead],             Some(ViewData)),
        reads("/api/alerts/{id}/ips",                     get(alerts::ips),         Some("alerts.ips"),     &[IpRead],              Some(ViewData)),
        reads("/api/alerts/{id}/machine",                 get(alerts::machine),     Some("alerts.machine"), MACHINES,               Some(ViewData)),
        asks("/api/files/lookup",                         post(hash_list::look_up), Some("files.lookup"),   FILES,                  Some(ViewData)),
        reads("/api/domains/{id}/alerts",                 get(alert_lists::of_domain), Some("domains.alerts"), ALERTS,             Some(ViewData)),
        reads("/api/alerts/{id}/user",                    get(users::of_alert),     Some("alerts.user"),    &[UserRead],            Some(ViewData)),
        reads("/api/domains/{id}/machines",           get(domains::machines),   Some("domains.machines"), MACHINES,             Some(ViewData)),
        reads("/api/domains/{id}/stats",              get(domains::stats),      Some("domains.stats"),  &[UrlRead],             Some(ViewData)),
        reads("/api/files/{id}",                          get(files::get),          Some("files.get"),      FILES,                  Some(ViewData)),
        reads("/api/files/{id}/alerts",                   get(alert_lists::of_file), Some("files.alerts"), ALERTS,                 Some(ViewData)),
        reads("/api/files/{id}/machines",                 get(files::machines),     Some("files.machines"), MACHINES,               Some(ViewData)),
        reads("/api/files/{id}/stats",                    get(files::stats),        Some("files.stats"),    FILES,                  Some(ViewData)),
        reads("/api/ips/{id}/alerts",                     get(alert_lists::of_address), Some("ips.alerts"), ALERTS,                Some(ViewData)),
        reads("/api/ips/{id}/machines",                   get(ips::machines),       Some("ips.machines"),   MACHINES,               Some(ViewData)),
        reads("/api/ips/{id}/stats",                      get(ips::stats),          Some("ips.stats"),      &[IpRead],              Some(ViewData)),
        reads("/api/machines",                            get(machines::list),      Some("machines.list"),  MACHINES,               Some(ViewData)),
        // The old pages have no user call this one.
        reads("/api/machines/find()",                     get(ips::find),           Some("machines.find"),  MACHINES,               None),
        reads("/api/machines/findbyip()",                 get(ips::find_by_ip),     Some("machines.findbyip"), MACHINES,            Some(ViewData)),
        reads("/api/machines/findbytag",                  get(machines::find_by_tag), Some("machines.findbytag"), MACHINES,           Some(ViewData)),
        reads("/api/machines/{id}",                       get(machines::get),       Some("machines.get"),   MACHINES,               Some(ViewData)),
        tells("/api/$metadata",                           reference::metadata(),    ANY_TOKEN),
        reads("/api/machines/{id}/logonusers",            get(users::of_machine),   Some("machines.logonusers"), &[UserRead],       Some(ViewData)),
        // Nor this one.
        reads("/api/users/{id}",                          get(users::get),          Some("users.get"),      &[UserRead],            None),
        reads("/api/users/{id}/machines",                 get(users::machines),     Some("users.machines"), MACHINES,               Some(ViewData)),
        reads("/api/machines/{id}/alerts",                get(alert_lists::of_machine), Some("machines.alerts"), ALERTS,           Some(ViewData)),
        reads("/api/machines/{id}/alerts/$count",         get(alert_lists::count_of_machine), Some("machines.alerts.count"), ALERTS, Some(ViewData)),
        reads("/api/users/{id}/alerts",                   get(alert_lists::of_user), Some("users.alerts"), ALERTS,                 Some(ViewData)),
        // Changes. Those of alerts take one role permission, tags and values another, as their pages say.
        changes("/api/alerts/batchUpdate",                post(alert_change::batch_update), Some("alerts.batch_update"), &[AlertReadWrite], Some(AlertsInvestigation)).at_most(10, 500),
        changes("/api/alerts/CreateAlertByReference",     post(alert_create::by_reference), Some("alerts.create_by_reference"), &[AlertReadWrite], Some(AlertsInvestigation)).at_most(15, u32::MAX),
        changes("/api/machines/AddOrRemoveTagForMultipleMachines", post(machine_change::tag_many), Some("machines.tags_bulk"), &[MachineReadWrite], Some(ManageSecuritySettings)),
        patches("/api/alerts/{id}",                       patch(alert_change::update), Some("alerts.update"), &[AlertReadWrite],     Some(AlertsInvestigation)),
        patches("/api/machines/{id}",                     patch(machine_change::update), Some("machines.update"), &[MachineReadWrite], Some(AlertsInvestigation)),
        changes("/api/machines/{id}/tags",                post(machine_change::tag), Some("machines.tags"), &[MachineReadWrite],     Some(ManageSecuritySettings)),
        changes("/api/machines/{id}/setDeviceValue",      post(machine_change::set_value), Some("machines.set_device_value"), &[MachineReadWrite], Some(ManageSecuritySettings)),
        takes(Method::POST, "/api/ingest",                post(ingest::ingest)),
        // As Elasticsearch's clients send and ask. What they ask tells nothing of the data.
        takes(Method::GET,  "/elastic",                   get(elastic::info)),
        takes(Method::GET,  "/elastic/_license",          get(elastic::get_license)),
        takes(Method::GET,  "/elastic/_xpack",            get(elastic::xpack)),
        takes(Method::GET,  "/elastic/_cluster/health",   get(elastic::health)),
        takes(Method::GET,  "/elastic/_ingest/pipeline/{id}", get(elastic::pipeline)),
        takes(Method::POST, "/elastic/_bulk",             post(elastic::bulk)),
        takes(Method::PUT,  "/elastic/_bulk",             put(elastic::bulk)),
        takes(Method::POST, "/elastic/{index}/_bulk",     post(elastic::bulk_into)),
        takes(Method::PUT,  "/elastic/{index}/_bulk",     put(elastic::bulk_into)),
        takes(Method::POST, "/elastic/{index}/_doc",      post(elastic::add)),
        takes(Method::POST, "/elastic/{index}/_doc/{id}", post(elastic::add_named)),
        takes(Method::PUT,  "/elastic/{index}/_doc/{id}", put(elastic::add_named)),
        takes(Method::POST, "/elastic/{index}/_create/{id}", post(elastic::create)),
        takes(Method::PUT,  "/elastic/{index}/_create/{id}", put(elastic::create)),
        // It tells of the whole tenant, which no user's device groups narrow.
        shows("/api/ingest/status",                       get(ingest::status),      Some("ingest.status"),  &[EventWrite, MachineRead], None),

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
            at_most: None,
            permissions: &[Administration],
            purpose: Purpose::Administration,
            role_permission: Some(RolePermission::ManageSystemSettings),
        },
        // A tenant's administrators are not the server's.
        Reach::Server | Reach::Owner => {
            let permissions = &[ServerAdministration];
            Access {
                quota: None,
                at_most: None,
                permissions,
                purpose: Purpose::Administration,
                role_permission: None,
            }
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
    let access = Access { quota, at_most: None, permissions, purpose: Purpose::Data, role_permission };
    Route { method: Method::GET, path, handler, credential: Credential::Bearer(access) }
}

/// Reads what is named in a body.
fn asks(
    path: &'static str,
    handler: MethodRouter<Arc<Instance>>,
    quota: Option<&'static str>,
    permissions: &'static [Permission],
    role_permission: Option<RolePermission>,
) -> Route {
    Route { method: Method::POST, ..reads(path, handler, quota, permissions, role_permission) }
}

/// Takes telemetry, from applications and by inlets.
fn takes(method: Method, path: &'static str, handler: MethodRouter<Arc<Instance>>) -> Route {
    let access = Access {
        quota: None,
        at_most: None,
        permissions: &[EventWrite],
        purpose: Purpose::Other,
        role_permission: None,
    };
    Route { method, path, handler, credential: Credential::Sender(access) }
}

/// Shows something else than the data.
fn shows(
    path: &'static str,
    handler: MethodRouter<Arc<Instance>>,
    quota: Option<&'static str>,
    permissions: &'static [Permission],
    role_permission: Option<RolePermission>,
) -> Route {
    reads(path, handler, quota, permissions, role_permission).for_purpose(Purpose::Other)
}

/// Changes what is known.
fn changes(
    path: &'static str,
    handler: MethodRouter<Arc<Instance>>,
    quota: Option<&'static str>,
    permissions: &'static [Permission],
    role_permission: Option<RolePermission>,
) -> Route {
    asks(path, handler, quota, permissions, role_permission).for_purpose(Purpose::Change)
}

/// Tells nothing of the data.
fn tells(
    path: &'static str,
    handler: MethodRouter<Arc<Instance>>,
    permissions: &'static [Permission],
) -> Route {
    shows(path, handler, None, permissions, None)
}

fn patches(
    path: &'static str,
    handler: MethodRouter<Arc<Instance>>,
    quota: Option<&'static str>,
    permissions: &'static [Permission],
    role_permission: Option<RolePermission>,
) -> Route {
    Route { method: Method::PATCH, ..changes(path, handler, quota, permissions, role_permission) }
}

impl Route {
    /// With a lower quota than the others have.
    fn at_most(mut self, per_minute: u32, per_hour: u32) -> Route {
        if let Credential::Bearer(access) = &mut self.credential {
            access.at_most = Some(Limits { per_minute, per_hour });
        }
        self
    }

    fn for_purpose(mut self, purpose: Purpose) -> Route {
        if let Credential::Bearer(access) = &mut self.credential {
            access.purpose = purpose;
        }
        self
    }
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
            Credential::Sender(access) => route
                .handler
                .route_layer(middleware::from_fn_with_state((Arc::clone(&instance), access), admit_sender)),
            Credential::Anonymous | Credential::Form => route.handler,
        };
        router = router.route(route.path, handler);
    }
    // A name stands before what could be anything.
    templates.sort_by_key(|template| template.matches('{').count());
    let signed = middleware::from_fn_with_state(Arc::clone(&instance), sign);
    let router = router.fallback(unknown_path).layer(signed).with_state(instance);
    // Paths are brought into the table's form before they are looked up in it.
    let canonical = MapRequest::new(router, move |mut request: Request| {
        let uri = std::mem::take(request.uri_mut());
        let (uri, arguments) = path::canonical(uri, &templates);
        *request.uri_mut() = uri;
        if let Some(arguments) = arguments {
            request.extensions_mut().insert(arguments);
        }
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
        if route.as_str().starts_with(elastic::ROOT) {
            let (name, value) = elastic::PRODUCT;
            response.headers_mut().insert(name, value);
        }
        response.extensions_mut().insert(route);
    }
    response
}
