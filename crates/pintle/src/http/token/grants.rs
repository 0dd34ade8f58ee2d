//! The grant types: what each asks for, and what it gets. Everything that can be refused without
//! looking at a secret is refused first.

use std::sync::Arc;

use pintle_model::Time;
use uuid::Uuid;

use super::asked::{self, Version};
use super::form::Form;
use super::problem::Problem;
use super::{Granted, GrantedToUser};
use crate::auth::application::{Application, Proof};
use crate::auth::assertion::{self, Assertion};
use crate::auth::codes::{Asked, Exchange, Grant, NoGrant};
use crate::auth::control::{ANY_TENANT, Tenant};
use crate::auth::secret::Secret;
use crate::auth::sessions::NoSession;
use crate::auth::user::User;
use crate::http::origin::Origin;
use crate::instance::Instance;

/// A request for a token.
pub(super) struct Asking {
    pub(super) instance: Arc<Instance>,
    pub(super) origin: Origin,
    /// As the path names it.
    pub(super) tenant: String,
    pub(super) form: Form,
    pub(super) version: Version,
    pub(super) now: Time,
}

/// The device flow under both of its names.
const DEVICE_CODE: [&str; 2] = ["urn:ietf:params:oauth:grant-type:device_code", "device_code"];

/// Does what the request asks for.
pub(super) async fn grant(asking: Asking) -> Result<Granted, Problem> {
    let grant = asking.form.needed("grant_type")?.to_owned();
    let tenant = tenant(&asking.instance, &asking.tenant, asking.form.given("client_id"))?;
    match grant.as_str() {
        "client_credentials" => client_credentials(&asking, &tenant),
        "password" if !asking.instance.config.issuer.password_grant => Err(Problem::no_password_grant()),
        "password" => password(asking, tenant).await,
        "authorization_code" => authorization_code(asking, tenant).await,
        "refresh_token" => refresh_token(asking, tenant).await,
        grant if DEVICE_CODE.contains(&grant) => device_code(asking, tenant).await,
        other => Err(Problem::grant(other)),
    }
}

/// The tenant that is meant. Under `common` it is the application's, as it is for those who sign in there.
pub(crate) fn tenant(instance: &Instance, named: &str, client_id: Option<&str>) -> Result<Tenant, Problem> {
    if let Some(tenant) = instance.control.tenant(named) {
        return Ok(tenant);
    }
    let unknown = || Problem::unknown_tenant(named);
    if !ANY_TENANT.contains(&named) {
        return Err(unknown());
    }
    let id = client_id.and_then(|id| Uuid::try_parse(id).ok()).ok_or_else(unknown)?;
    // An unknown application goes on in any tenant, to the answer that a wrong secret gets there.
    let application = instance.control.application(id);
    let tenants = instance.control.tenants();
    let its = application.and_then(|one| tenants.iter().find(|tenant| tenant.id == one.tenant));
    its.or(tenants.first()).cloned().ok_or_else(unknown)
}

fn client_credentials(asking: &Asking, tenant: &Tenant) -> Result<Granted, Problem> {
    let Asking { instance, form, now, .. } = asking;
    let audience = match asking.version {
        Version::V1 => form.needed("resource")?,
        Version::V2 => {
            let scope = form.needed("scope")?;
            scope.strip_suffix("/.default").ok_or_else(|| Problem::bad_scope(scope))?
        }
    };
    if !instance.tokens.audiences().contains(audience) {
        return Err(Problem::unknown_resource(audience));
    }
    if form.given("client_assertion").is_none() {
        client_id(form, tenant)?;
        form.needed("client_secret")?;
    }
    let (application, proof) = client(asking, tenant)?;
    let Some(proof) = proof else { return Err(Problem::no_secret(application.id)) };
    let issued = instance.issuer.issue(&application, proof, audience, *now).map_err(not_issued)?;
    let issued = issued.ok_or_else(no_issuer)?;
    tracing::debug!(application = %application.id, audience, "issued a token");
    Ok(Granted { tenant: tenant.id, application, issued, audience: audience.to_owned(), user: None })
}

async fn password(asking: Asking, tenant: Tenant) -> Result<Granted, Problem> {
    let (name, password) =
        (asking.form.needed("username")?.to_owned(), asking.form.needed("password")?.to_owned());
    let (application, proof) = client(&asking, &tenant)?;
    let asked = asked::asked(&asking.instance, &application, &asking.form, asking.version)?;
    let user = sign_in(&asking.instance, &tenant, name, password).await?;
    // Without the user there is no further token: they are asked each time.
    let asked = Asked { offline: asked.offline && asking.version == Version::V2, ..asked };
    let grant = granted_by(&user, &application, asked, asking.now);
    issue(&asking, &application, proof, user, grant, None).await
}

async fn authorization_code(asking: Asking, tenant: Tenant) -> Result<Granted, Problem> {
    let code = asking.form.needed("code")?.to_owned();
    let redirect_uri = asking.form.needed("redirect_uri")?.to_owned();
    let (application, proof) = client(&asking, &tenant)?;
    let verifier = asking.form.given("code_verifier");
    let exchange =
        Exchange { code: &code, application: application.id, redirect_uri: &redirect_uri, verifier };
    let grant = match asking.instance.codes.exchange(&exchange, asking.now) {
        Ok(grant) => grant,
        Err(why) => {
            if let NoGrant::Reused(Some(session)) = why {
                end_session(&asking.instance, session).await;
            }
            return Err(Problem::no_grant(why));
        }
    };
    let user = user_now(&asking, &grant)?;
    issue(&asking, &application, proof, user, grant, Some(&code)).await
}

async fn device_code(asking: Asking, tenant: Tenant) -> Result<Granted, Problem> {
    let form = &asking.form;
    let code = form.given("device_code").or_else(|| form.given("code"));
    let code = code.ok_or_else(|| Problem::missing("device_code"))?;
    let (application, proof) = client(&asking, &tenant)?;
    let grant = asking.instance.codes.poll(code, application.id, asking.now).map_err(Problem::no_grant)?;
    let user = user_now(&asking, &grant)?;
    issue(&asking, &application, proof, user, grant, None).await
}

async fn refresh_token(asking: Asking, tenant: Tenant) -> Result<Granted, Problem> {
    let token = asking.form.needed("refresh_token")?.to_owned();
    let (application, proof) = client(&asking, &tenant)?;
    // It may ask for less, and for the API under another name. Before the token is exchanged: a request
    // that is refused leaves its client the one it has.
    let form = &asking.form;
    let narrowed = match form.given("scope").or_else(|| form.given("resource")) {
        Some(_) => Some(asked::asked(&asking.instance, &application, form, asking.version)?),
        None => None,
    };
    let place = Arc::clone(&asking.instance.signing_in).try_acquire_owned().map_err(|_| Problem::busy())?;
    let (instance, id, now) = (Arc::clone(&asking.instance), application.id, asking.now);
    let refreshed = blocking(move || {
        let _place = place;
        instance.sessions.refresh(&token, id, now)
    });
    let (mut grant, next) = refreshed.await?.map_err(|no| match no {
        NoSession::Unknown => Problem::refresh_token(),
        NoSession::Storage(error) => not_issued(error),
    })?;
    let user = user_now(&asking, &grant).map_err(|_| Problem::refresh_token())?;
    if let Some(asked) = narrowed {
        // But for nothing that was not granted.
        let scopes = asked.scopes.intersection(grant.asked.scopes);
        grant.asked = Asked { scopes, offline: true, ..asked };
    }
    let granted = issue_token(&asking, &application, proof, user, grant)?;
    Ok(with_refresh_token(granted, next))
}

/// The application that asks, and how it proved itself: `None` if it is public.
fn client(asking: &Asking, tenant: &Tenant) -> Result<(Arc<Application>, Option<Proof>), Problem> {
    let Asking { instance, form, now, .. } = asking;
    let id = client_id(form, tenant)?;
    if let Some(assertion) = form.given("client_assertion") {
        if form.needed("client_assertion_type")? != assertion::KIND {
            return Err(Problem::assertion_type());
        }
        let ours = assertion_audiences(instance, &asking.origin, tenant, &asking.tenant);
        let key = instance.issuer.signing_key();
        let decoy = key.as_ref().and_then(|key| key.verifying());
        let decoy = decoy.ok_or_else(|| Problem::server("The server has no key to sign with."))?;
        let known = Assertion::read(assertion, &ours, decoy).and_then(|assertion| {
            instance.control.authenticate_by_certificate(tenant.id, id, &assertion, *now)
        });
        return Ok((known.ok_or_else(|| Problem::wrong_assertion(id))?, Some(Proof::Certificate)));
    }
    if let Some(secret) = form.given("client_secret") {
        let secret = Secret::from_text(secret);
        let known = instance.control.authenticate(tenant.id, id, &secret, *now);
        return Ok((known.ok_or_else(|| Problem::wrong_secret(id))?, Some(Proof::Secret)));
    }
    let public = public_client(instance, tenant, id);
    Ok((public.ok_or_else(|| Problem::no_secret(id))?, None))
}

/// The application of that id if it needs no secret.
pub(crate) fn public_client(instance: &Instance, tenant: &Tenant, id: Uuid) -> Option<Arc<Application>> {
    let application = instance.control.application(id)?;
    (application.enabled && application.is_public && application.tenant == tenant.id).then_some(application)
}

pub(crate) fn client_id(form: &Form, tenant: &Tenant) -> Result<Uuid, Problem> {
    let id = form.needed("client_id")?;
    Uuid::try_parse(id).map_err(|_| Problem::no_client_id(id, tenant))
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

/// Signs a user in. A password is looked at where it may take its time, and few wait for that.
pub(crate) async fn sign_in(
    instance: &Arc<Instance>,
    tenant: &Tenant,
    name: String,
    password: String,
) -> Result<Arc<User>, Problem> {
    let place = Arc::clone(&instance.signing_in).try_acquire_owned().map_err(|_| Problem::busy())?;
    let (instance, tenant, now) = (Arc::clone(instance), tenant.id, instance.now());
    let known = blocking(move || {
        let _place = place;
        instance.control.sign_in(tenant, &name, &password, now)
    });
    known.await?.map_err(|why| Problem::not_signed_in(why, now))
}

/// What a user who has just signed in lets an application do.
pub(crate) fn granted_by(user: &User, application: &Application, asked: Asked, now: Time) -> Grant {
    Grant {
        tenant: user.tenant,
        user: user.id,
        signed_in: now.unix_seconds(),
        epoch: user.epoch(),
        application: application.id,
        asked,
    }
}

fn user_now(asking: &Asking, grant: &Grant) -> Result<Arc<User>, Problem> {
    let user = asking.instance.control.user_now(grant.tenant, grant.user, grant.epoch);
    user.ok_or_else(|| Problem::no_grant(NoGrant::Unknown))
}

/// Issues what was granted, and begins a session if that is wanted.
async fn issue(
    asking: &Asking,
    application: &Arc<Application>,
    proof: Option<Proof>,
    user: Arc<User>,
    grant: Grant,
    code: Option<&str>,
) -> Result<Granted, Problem> {
    let granted = issue_token(asking, application, proof, user, grant.clone())?;
    if !grant.asked.offline {
        return Ok(granted);
    }
    let (instance, now) = (Arc::clone(&asking.instance), asking.now);
    let begun = blocking(move || instance.sessions.begin(&grant, now)).await?;
    let (session, token) = begun.map_err(not_issued)?;
    if code.is_some_and(|code| asking.instance.codes.became(code, session)) {
        end_session(&asking.instance, session).await;
        return Err(Problem::no_grant(NoGrant::Reused(None)));
    }
    Ok(with_refresh_token(granted, token))
}

fn issue_token(
    asking: &Asking,
    application: &Arc<Application>,
    proof: Option<Proof>,
    user: Arc<User>,
    grant: Grant,
) -> Result<Granted, Problem> {
    let Asking { instance, now, .. } = asking;
    let Grant { asked, tenant, .. } = grant;
    let issuer = &instance.issuer;
    let issued = issuer.issue_for(&user, application, proof, asked.scopes, &asked.audience, *now);
    let issued = issued.map_err(not_issued)?.ok_or_else(no_issuer)?;
    let id_token = match asked.openid {
        true => {
            issuer.issue_id_token(&user, application, asked.nonce.as_deref(), *now).map_err(not_issued)?
        }
        false => None,
    };
    tracing::debug!(application = %application.id, user = %user.id, audience = asked.audience, "issued a token");
    let audience = asked.audience.clone();
    Ok(Granted {
        tenant,
        application: Arc::clone(application),
        issued,
        audience,
        user: Some(GrantedToUser { user, asked, refresh_token: None, id_token }),
    })
}

fn with_refresh_token(mut granted: Granted, token: String) -> Granted {
    if let Some(user) = &mut granted.user {
        user.refresh_token = Some(token);
    }
    granted
}

async fn end_session(instance: &Arc<Instance>, session: Uuid) {
    let instance = Arc::clone(instance);
    if let Ok(Err(error)) = blocking(move || instance.sessions.end(session)).await {
        tracing::error!(%error, "a session of a code that was used twice could not be ended");
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| {
        tracing::error!(%error, "a request for a token stopped");
        Problem::server("The server cannot issue tokens at the moment: its log says why.")
    })
}

fn not_issued(error: crate::auth::Error) -> Problem {
    tracing::error!(%error, "a token could not be issued");
    Problem::server("The server cannot issue tokens at the moment: its log says why.")
}

fn no_issuer() -> Problem {
    Problem::server("The server has no issuer: set server.public_url.")
}
