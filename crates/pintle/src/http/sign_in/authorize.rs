//! The authorization endpoints: authorization code with PKCE.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::http::header::{CACHE_CONTROL, LOCATION, REFERRER_POLICY};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::page::{self, Page};
use crate::auth::application::Application;
use crate::auth::codes::Asked;
use crate::auth::control::Tenant;
use crate::http::origin::client_address;
use crate::http::path::Key;
use crate::http::token::asked::{self, Version};
use crate::http::token::form::Form;
use crate::http::token::{self, Named, Problem};
use crate::instance::Instance;

/// The fields that the page carries from the first request to the second.
const CARRIED: &[&str] = &[
    "client_id",
    "response_type",
    "redirect_uri",
    "response_mode",
    "scope",
    "resource",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
];

/// Bytes of an application's state: a URL has to carry it.
const MAX_STATE: usize = 8 * 1024;

/// `GET` and `POST /{tenant}/oauth2/authorize`.
pub async fn v1(state: State<Arc<Instance>>, key: Key, query: RawQuery, request: Request) -> Response {
    answer(state.0, key.0, query.0, request, Version::V1).await
}

/// `GET` and `POST /{tenant}/oauth2/v2.0/authorize`.
pub async fn v2(state: State<Arc<Instance>>, key: Key, query: RawQuery, request: Request) -> Response {
    answer(state.0, key.0, query.0, request, Version::V2).await
}

/// What an application wants of a user.
struct Wanted {
    tenant: Tenant,
    application: Arc<Application>,
    back: Back,
    challenge: Option<String>,
    asked: Asked,
}

/// How a user is sent back.
struct Back {
    redirect_uri: String,
    mode: Mode,
    state: Option<String>,
}

#[derive(Clone, Copy)]
enum Mode {
    Query,
    Fragment,
    FormPost,
}

/// Why it does not go on. As long as nobody knows that the redirect URI is the application's, nobody is
/// sent there.
enum Stop {
    Here(Problem),
    Back(Problem, Back),
}

async fn answer(
    instance: Arc<Instance>,
    tenant: String,
    query: Option<String>,
    request: Request,
    version: Version,
) -> Response {
    let (parts, body) = request.into_parts();
    let address = client_address(&parts, &instance);
    let is_answer = parts.method == Method::POST;
    let body = if is_answer { body } else { Body::from(query.unwrap_or_default()) };
    let form = match token::read_form(&instance, &parts, body, address).await {
        Ok(form) => form,
        Err(problem) => return stopped(&problem),
    };
    let wanted = match wanted(&instance, &tenant, &form, version) {
        Ok(wanted) => wanted,
        Err(Stop::Here(problem)) => return stopped(&problem),
        Err(Stop::Back(problem, back)) => return back.with_problem(&problem),
    };
    if !is_answer {
        if form.given("prompt") == Some("none") {
            return wanted.back.with_problem(&Problem::login_required());
        }
        return ask(&wanted, &form, None, StatusCode::OK);
    }
    if form.given("decision") == Some("decline") {
        return wanted.back.with_problem(&Problem::declined());
    }
    let name = form.given("username").unwrap_or_default().to_owned();
    let password = form.given("password").unwrap_or_default().to_owned();
    // From before the password was looked at: what is changed meanwhile ends what comes of this.
    let now = instance.now();
    let user = match token::sign_in(&instance, &wanted.tenant, name, password).await {
        Ok(user) => user,
        Err(problem) => {
            token::note_refused(&instance, &problem, &Named::of(&wanted.tenant.name, &form), address);
            return ask(&wanted, &form, Some(&problem.message), problem.status());
        }
    };
    let grant = token::granted_by(&user, &wanted.application, wanted.asked, now);
    let Back { redirect_uri, .. } = &wanted.back;
    match instance.codes.authorize(grant, redirect_uri, wanted.challenge.as_deref(), instance.now()) {
        Ok(code) => {
            token::note_signed_in(&instance, &user, &wanted.application, address);
            wanted.back.with(&[("code", &code)])
        }
        Err(error) => {
            tracing::error!(%error, "a code could not be made");
            wanted.back.with_problem(&Problem::server("The server cannot issue codes: its log says why."))
        }
    }
}

fn wanted(instance: &Instance, tenant: &str, form: &Form, version: Version) -> Result<Wanted, Stop> {
    let (tenant, application, redirect_uri) = whose(instance, tenant, form).map_err(Stop::Here)?;
    let state = form.given("state").map(str::to_owned);
    if state.as_ref().is_some_and(|state| state.len() > MAX_STATE) {
        return Err(Stop::Here(Problem::challenge("The state is longer than 8 KiB.")));
    }
    let (mode, known) = match form.given("response_mode") {
        None | Some("query") => (Mode::Query, true),
        Some("fragment") => (Mode::Fragment, true),
        Some("form_post") => (Mode::FormPost, true),
        Some(_) => (Mode::Query, false),
    };
    let back = Back { redirect_uri, mode, state };
    let rest = if known {
        asked_for(instance, &application, form, version)
    } else {
        Err(Problem::challenge("The response_mode is query, fragment or form_post."))
    };
    match rest {
        Ok((challenge, asked)) => Ok(Wanted { tenant, application, back, challenge, asked }),
        Err(problem) => Err(Stop::Back(problem, back)),
    }
}

fn whose(
    instance: &Instance,
    tenant: &str,
    form: &Form,
) -> Result<(Tenant, Arc<Application>, String), Problem> {
    let tenant = token::tenant(instance, tenant, form.given("client_id"))?;
    let id = token::client_id(form, &tenant)?;
    let application = instance.control.application(id);
    let application =
        application.filter(|application| application.enabled && application.tenant == tenant.id);
    let application = application.ok_or_else(|| Problem::no_client_id(&id.to_string(), &tenant))?;
    let asked = match form.given("redirect_uri") {
        Some(asked) => asked.to_owned(),
        // RFC 6749 §3.1.2.3: with only one there is nothing to choose.
        None => match application.redirect_uris.as_slice() {
            [only] => only.to_string(),
            _ => return Err(Problem::missing("redirect_uri")),
        },
    };
    if !application.redirect_uris.iter().any(|registered| registered.allows(&asked)) {
        return Err(Problem::redirect_uri(&asked));
    }
    Ok((tenant, application, asked))
}

fn asked_for(
    instance: &Instance,
    application: &Application,
    form: &Form,
    version: Version,
) -> Result<(Option<String>, Asked), Problem> {
    if form.needed("response_type")? != "code" {
        return Err(Problem::response_type());
    }
    let challenge = form.given("code_challenge").map(str::to_owned);
    match (&challenge, form.given("code_challenge_method")) {
        (Some(challenge), Some("S256")) if challenge.len() == 43 => {}
        (Some(_), _) => {
            return Err(Problem::challenge(
                "The code_challenge_method must be S256, of a SHA-256 in base64url.",
            ));
        }
        // Its code could be exchanged by whoever reads it on its way.
        (None, _) if application.is_public => {
            return Err(Problem::challenge("A public client needs a code_challenge (PKCE)."));
        }
        (None, _) => {}
    }
    Ok((challenge, asked::asked(instance, application, form, version)?))
}

/// The page on which a user signs in and allows it.
fn ask(wanted: &Wanted, form: &Form, wrong: Option<&str>, status: StatusCode) -> Response {
    let carried: Vec<(&str, &str)> =
        CARRIED.iter().filter_map(|name| Some((*name, form.given(name)?))).collect();
    let name = form.given("username").or_else(|| form.given("login_hint")).unwrap_or_default();
    let body = page::sign_in(&wanted.application, &wanted.asked, name, wrong, &carried);
    let title = format!("Sign in to {}", wanted.tenant.name);
    Page { status, title: &title, body, leaves: true, posts_at_once: false }.response()
}

fn stopped(problem: &Problem) -> Response {
    let message = format!("AADSTS{}: {}", problem.code, problem.message);
    page::problem(problem.status(), "This does not go on", &message)
}

impl Back {
    fn with_problem(&self, problem: &Problem) -> Response {
        let description = format!("AADSTS{}: {}", problem.code, problem.message);
        self.with(&[("error", problem.error), ("error_description", &description)])
    }

    fn with(&self, fields: &[(&str, &str)]) -> Response {
        let state = self.state.as_deref().map(|state| ("state", state));
        let fields: Vec<(&str, &str)> = fields.iter().copied().chain(state).collect();
        let separator = match self.mode {
            Mode::FormPost => return page::post_on(&self.redirect_uri, &fields),
            Mode::Fragment => '#',
            Mode::Query if self.redirect_uri.contains('?') => '&',
            Mode::Query => '?',
        };
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let pairs: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let location = format!("{}{separator}{}", self.redirect_uri, pairs.join("&"));
        let headers = [
            (LOCATION, location),
            (CACHE_CONTROL, "no-store".to_owned()),
            (REFERRER_POLICY, "no-referrer".to_owned()),
        ];
        // Not 307: that would post the password on.
        (StatusCode::SEE_OTHER, headers).into_response()
    }
}
