//! Who is calling, and whether they may: bearer token, permission, quota, in that order, before a
//! handler runs. A handler gets a [`Scope`] and cannot read the store without one.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use pintle_store::Scope;

use crate::audit::{Actor, Entry};
use crate::auth::control::ApplicationQuota;
use crate::auth::permission::Permission;
use crate::auth::rights::{Rights, Who};
use crate::auth::role::RolePermission;
use crate::auth::token::{self, Refusal};
use crate::config::Quota;
use crate::http::AppId;
use crate::http::error::{Failure, WrittenDown};
use crate::http::origin::client_address_of;
use crate::http::quota;
use crate::http::unknown::Strict;
use crate::instance::Instance;
use crate::metrics::Window;
use crate::quota::{Allowance, Bucket, Limits, MINUTE};

/// What a route asks of its callers.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// The endpoint's id, by which calls are counted; `None`: they are not.
    pub quota: Option<&'static str>,
    /// How many calls are allowed at most where the configured quota would allow more.
    pub at_most: Option<Limits>,
    /// An application needs one of these. None: whoever has a token that counts may, users too.
    pub permissions: &'static [Permission],
    /// What it is for.
    pub purpose: Purpose,
    /// A user needs this besides one of the permissions' delegated forms; `None`: no user may,
    /// unless everybody may.
    pub role_permission: Option<RolePermission>,
}

/// What callers come to a route for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To read the data: answers say what that covers.
    Data,
    /// To change what is known: each change and each refusal is in the audit log.
    Change,
    /// To see or change who may do what, which is in the audit log, as are refusals.
    Administration,
    /// Something else.
    Other,
}

impl Purpose {
    /// What a refusal is called in the audit log; `None`: it is not there.
    fn refused(self) -> Option<&'static str> {
        match self {
            Purpose::Change => Some("change.refused"),
            Purpose::Administration => Some("admin.refused"),
            Purpose::Data | Purpose::Other => None,
        }
    }
}

impl Access {
    /// How many calls the configured quota allows here.
    pub fn limits(&self, configured: &Quota) -> Limits {
        let (per_minute, per_hour) = (configured.per_minute.get(), configured.per_hour.get());
        let most = self.at_most.unwrap_or(Limits { per_minute, per_hour });
        Limits { per_minute: per_minute.min(most.per_minute), per_hour: per_hour.min(most.per_hour) }
    }
}

/// A caller who has been let in.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who they are, and what they may do.
    pub rights: Arc<Rights>,
    /// What they may see.
    pub scope: Scope,
}

impl FromRequestParts<Arc<Instance>> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Instance>) -> Result<Caller, Failure> {
        parts.extensions.get().cloned().ok_or_else(|| Failure::internal("a handler ran without a caller"))
    }
}

/// Lets a request through to its handler if its caller may make it, and tells in the answer what data it
/// was made from and what is left of the quota.
pub async fn admit(
    State((instance, access)): State<(Arc<Instance>, Access)>,
    mut request: Request,
    next: Next,
) -> Response {
    let known = here(&instance, request.headers());
    let refusals = Refusals::of(&instance, access.purpose, &request);
    let note_refused = |rights: Option<&Rights>, code: StatusCode| {
        if let Some(refusals) = &refusals {
            refusals.note(rights, code);
        }
    };
    let rights = match identify(&instance, known).await {
        Ok(rights) => rights,
        Err(failure) => {
            note_refused(None, StatusCode::UNAUTHORIZED);
            return failure.into_response();
        }
    };
    if let Err(missing) = rights.may(access.permissions, access.role_permission) {
        note_refused(Some(&rights), StatusCode::FORBIDDEN);
        return Failure::missing(&missing).into_response();
    }
    let allowance = match count(&instance, &rights, &access) {
        Ok(allowance) => allowance,
        Err(response) => return *response,
    };
    let application = rights.who.application;
    let scope = instance.scope(&rights);
    let strict = Strict::of(request.headers());
    if let Some(strict) = &strict {
        request.extensions_mut().insert(strict.clone());
    }
    let rights = Arc::new(rights);
    request.extensions_mut().insert(Caller { rights: Arc::clone(&rights), scope: scope.clone() });
    let mut response = next.run(request).await;
    let is_written_down = response.extensions().get::<WrittenDown>().is_some();
    if access.purpose == Purpose::Change && response.status().is_client_error() && !is_written_down {
        note_refused(Some(&rights), response.status());
    }
    if access.purpose == Purpose::Data && response.status().is_success() {
        instance.coverage.tell(&instance.store, &scope, response.headers_mut());
    }
    if let Some(strict) = strict {
        strict.tell(response.headers_mut());
    }
    response.extensions_mut().insert(AppId(application.to_string()));
    if let Some(allowance) = allowance {
        quota::tell(&allowance, response.headers_mut());
    }
    response
}

/// Where refusals of a call go.
struct Refusals {
    instance: Arc<Instance>,
    action: &'static str,
    path: String,
    address: Option<IpAddr>,
}

impl Refusals {
    fn of(instance: &Arc<Instance>, purpose: Purpose, request: &Request) -> Option<Refusals> {
        Some(Refusals {
            action: purpose.refused()?,
            instance: Arc::clone(instance),
            path: request.uri().path().to_owned(),
            address: client_address_of(request, instance),
        })
    }

    /// Writes down that somebody, if it is known who, was refused.
    fn note(&self, rights: Option<&Rights>, code: StatusCode) {
        let anonymous = || Actor::anonymous().from_address(self.address);
        let actor = rights.map_or_else(anonymous, |rights| rights.who.actor(self.address));
        let entry = Entry::new(actor, self.action).on(&self.path).refused(code.as_u16());
        self.instance.audit.note(match rights {
            Some(rights) => entry.in_tenant(rights.tenant),
            None => entry,
        });
    }
}

/// A token that the built-in issuer's keys do not vouch for, and why.
struct NotOurs {
    refusal: Refusal,
    token: String,
}

/// What the caller may do with a token of the built-in issuer.
fn here(instance: &Instance, headers: &HeaderMap) -> Result<Result<Rights, Failure>, NotOurs> {
    let Some(token) = bearer(headers) else { return Ok(Err(Failure::no_token())) };
    let refused = |refusal: Refusal| Err(Failure::token(&refusal));
    match instance.tokens.verify(token, &instance.issuer, instance.now()) {
        Ok(verified) => Ok(Rights::now(&instance.control, &verified).or_else(refused)),
        Err(refusal @ Refusal::Foreign(_)) if !instance.outside.is_empty() => {
            Err(NotOurs { refusal, token: token.to_owned() })
        }
        Err(refusal) => Ok(refused(refusal)),
    }
}

/// The same, also of an outside issuer.
async fn identify(
    instance: &Instance,
    known: Result<Result<Rights, Failure>, NotOurs>,
) -> Result<Rights, Failure> {
    let NotOurs { refusal, token } = match known {
        Ok(known) => return known,
        Err(not_ours) => not_ours,
    };
    let (control, now) = (&instance.control, instance.now());
    match instance.outside.verify(&token, control, now).await {
        Some(verified) => {
            let verified = verified.map_err(|refusal| Failure::token(&refusal))?;
            Ok(Rights::of_outside(&control.moment(), verified))
        }
        None => Err(Failure::token(&refusal)),
    }
}

/// What stands before a token, with some blanks.
const SCHEME_BYTES: usize = 16;

/// The token of the only `Authorization` header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).into_iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    // Nothing is read of one that cannot be a token.
    if value.len() > token::MAX_BYTES + SCHEME_BYTES {
        return None;
    }
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim()).filter(|token| !token.is_empty())
}

/// Counts the call; `None`: no quota applies.
fn count(instance: &Instance, rights: &Rights, access: &Access) -> Result<Option<Allowance>, Box<Response>> {
    let Some(endpoint) = access.quota else { return Ok(None) };
    let configured = &instance.config.quota;
    let Rights { tenant, who: Who { application, quota, .. }, .. } = rights;
    let limits = match *quota {
        ApplicationQuota::Off => return Ok(None),
        ApplicationQuota::Limits(limits) => limits,
        ApplicationQuota::Configured if !configured.enabled => return Ok(None),
        ApplicationQuota::Configured => access.limits(configured),
    };
    let bucket = Bucket { tenant: *tenant, application: *application, endpoint: endpoint.to_owned() };
    instance.quotas.count(bucket, limits, instance.now()).map(Some).map_err(|exceeded| {
        instance.metrics.quota_refused(if exceeded.window == MINUTE { Window::Minute } else { Window::Hour });
        let mut response = Failure::quota(&exceeded).into_response();
        quota::tell(&exceeded.allowance, response.headers_mut());
        Box::new(response)
    })
}
