//! Why there is no token, in the flat OAuth form with the codes that clients look at.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use pintle_model::Time;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::auth::assertion;
use crate::auth::codes::NoGrant;
use crate::auth::control::{NotSignedIn, Tenant};
use crate::auth::lockout::Locked;
use crate::auth::permission::Permission;
use crate::metrics::TokenOutcome;

/// Why there is no token. The codes are those of the service that clients know; the words are ours.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    /// The word of OAuth.
    pub(crate) error: &'static str,
    /// The number that clients look at.
    pub(crate) code: u32,
    /// What it is, for people.
    pub(crate) message: String,
    /// Seconds.
    retry_after: Option<i64>,
}

impl Problem {
    pub(crate) fn request(error: &'static str, code: u32, message: impl Into<String>) -> Problem {
        Problem { status: StatusCode::BAD_REQUEST, error, code, message: message.into(), retry_after: None }
    }

    pub(crate) fn missing(name: &str) -> Problem {
        Problem::request(
            "invalid_request",
            900_144,
            format!("The request body must contain the parameter '{name}'."),
        )
    }

    pub(crate) fn twice(name: &str) -> Problem {
        Problem::request(
            "invalid_request",
            90_014,
            format!("The parameter '{name}' is given more than once."),
        )
    }

    pub(crate) fn body() -> Problem {
        Problem::request(
            "invalid_request",
            900_144,
            "The request body must be a form in UTF-8 of at most 64 KiB.",
        )
    }

    pub(crate) fn grant(grant: &str) -> Problem {
        let message = format!("The grant type '{grant}' is not supported here.");
        Problem::request("unsupported_grant_type", 70_003, message)
    }

    pub(crate) fn no_password_grant() -> Problem {
        let message = "The grant type 'password' is off: issuer.password_grant turns it on.";
        Problem::request("unsupported_grant_type", 70_003, message)
    }

    pub(crate) fn bad_scope(scope: &str) -> Problem {
        let message = format!(
            "The scope '{scope}' is not valid: client credentials ask for one resource and '/.default'."
        );
        Problem::request("invalid_scope", 70_011, message)
    }

    pub(crate) fn unknown_resource(resource: &str) -> Problem {
        let message = format!("The resource '{resource}' is not one that this server issues tokens for.");
        Problem::request("invalid_resource", 500_011, message)
    }

    /// A scope that a user cannot be asked for.
    pub(crate) fn unknown_scope(scope: &str) -> Problem {
        let message = format!(
            "The scope '{scope}' is not known: use the API's name, '/' and a permission such as Machine.Read, or '.default'."
        );
        Problem::request("invalid_scope", 70_011, message)
    }

    /// No application can have such an id, so saying so tells nothing about those that exist.
    pub(crate) fn no_client_id(id: &str, tenant: &Tenant) -> Problem {
        let message =
            format!("The application '{id}' is not in the tenant '{}': a client id is a GUID.", tenant.name);
        Problem::request("unauthorized_client", 700_016, message)
    }

    /// The same for an unknown application, one of another tenant, a disabled one and a wrong
    /// secret.
    pub(crate) fn wrong_secret(id: Uuid) -> Problem {
        let message = format!("The client secret for the application '{id}' is not valid.");
        Problem { status: StatusCode::UNAUTHORIZED, ..Problem::request("invalid_client", 7_000_215, message) }
    }

    /// The same for an unknown application, one of another tenant, a disabled one, a certificate that is
    /// unknown or over, and an assertion that was not made for this server and now.
    pub(crate) fn wrong_assertion(id: Uuid) -> Problem {
        let message = format!(
            "The client assertion for the application '{id}' is not valid: it is an RS256 or PS256 JWT for this \
             token endpoint, signed with the key of a certificate that the application has."
        );
        Problem { status: StatusCode::UNAUTHORIZED, ..Problem::request("invalid_client", 700_027, message) }
    }

    /// The same for an unknown application, one of another tenant, a disabled one and one that is not public.
    pub(crate) fn no_secret(id: Uuid) -> Problem {
        let message = format!(
            "The request body must contain client_secret or client_assertion: the application '{id}' is not public."
        );
        Problem { status: StatusCode::UNAUTHORIZED, ..Problem::request("invalid_client", 7_000_218, message) }
    }

    /// The application does not have what it asks for.
    pub(crate) fn not_consented(lacking: Permission) -> Problem {
        let message = format!(
            "The application has not been given the delegated permission '{}' ({}): `pintle client change --delegated` \
             gives it.",
            lacking.delegated(),
            lacking.display_name()
        );
        Problem::request("invalid_grant", 65_001, message)
    }

    pub(crate) fn redirect_uri(uri: &str) -> Problem {
        let message = format!("The redirect URI '{uri}' is not one that the application is registered with.");
        Problem::request("invalid_request", 50_011, message)
    }

    pub(crate) fn response_type() -> Problem {
        let message = "The response type is not supported: use 'code'.";
        Problem::request("unsupported_response_type", 70_005, message)
    }

    pub(crate) fn challenge(message: &str) -> Problem {
        Problem::request("invalid_request", 501_491, message)
    }

    /// Nobody can be signed in without being asked.
    pub(crate) fn login_required() -> Problem {
        Problem::request("login_required", 50_058, "Nobody is signed in, and the request says not to ask.")
    }

    /// The user said no.
    pub(crate) fn declined() -> Problem {
        Problem::request("access_denied", 65_004, "The user did not allow it.")
    }

    /// Whoever may not sign in learns no more than that.
    pub(crate) fn not_signed_in(why: NotSignedIn, now: Time) -> Problem {
        match why {
            NotSignedIn::Wrong => {
                Problem::request("invalid_grant", 50_126, "The user name or the password is wrong.")
            }
            NotSignedIn::Locked(locked) => {
                let message = "Too many wrong passwords for this user: wait a while, or ask an administrator to unlock.";
                let problem = Problem::request("invalid_grant", 50_053, message);
                Problem { retry_after: Some(seconds_until(locked, now)), ..problem }
            }
        }
    }

    pub(crate) fn no_grant(why: NoGrant) -> Problem {
        match why {
            NoGrant::Unknown => {
                Problem::request("invalid_grant", 70_000, "The code is unknown, over, or another's.")
            }
            NoGrant::Reused(_) => Problem::request("invalid_grant", 54_005, "The code was redeemed already."),
            NoGrant::RedirectUri => {
                let message = "The redirect_uri is not the one that the code was issued for.";
                Problem::request("invalid_grant", 500_112, message)
            }
            NoGrant::Verifier => {
                let message = "The code_verifier does not match the code_challenge, or there is none.";
                Problem::request("invalid_grant", 501_481, message)
            }
            NoGrant::Pending => {
                Problem::request("authorization_pending", 70_016, "Nobody has signed in with the code yet.")
            }
            NoGrant::TooSoon => Problem::request("slow_down", 70_016, "Ask less often."),
            NoGrant::Declined => {
                Problem::request("authorization_declined", 70_018, "The user did not allow it.")
            }
            NoGrant::Expired => Problem::request("expired_token", 70_020, "The code is over: begin again."),
        }
    }

    /// Unknown, over, used before, or the user may not any more.
    pub(crate) fn refresh_token() -> Problem {
        let message = "The refresh token is unknown, over or was used before: sign in again.";
        Problem::request("invalid_grant", 700_082, message)
    }

    /// Too much was wrong from one address.
    pub(crate) fn too_many(locked: Locked, now: Time) -> Problem {
        let message = "Too many requests with wrong credentials came from this address.";
        Problem {
            status: StatusCode::TOO_MANY_REQUESTS,
            retry_after: Some(seconds_until(locked, now)),
            ..Problem::request("temporarily_unavailable", 90_055, message)
        }
    }

    /// Too many are signing in.
    pub(crate) fn busy() -> Problem {
        Problem { retry_after: Some(1), ..Problem::server("Too many sign in at once: try again.") }
    }

    /// Whether somebody may have guessed.
    pub(crate) fn is_wrong_credential(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
            || matches!(self.code, 50_126 | 70_000 | 54_005 | 500_112 | 501_481 | 700_082)
    }

    /// Whether it is only to be asked again.
    pub(crate) fn is_to_come(&self) -> bool {
        self.code == 70_016
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn assertion_type() -> Problem {
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

    pub(crate) fn outcome(&self) -> TokenOutcome {
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
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static(r#"Basic realm="pintle", charset="UTF-8""#);
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

fn seconds_until(locked: Locked, now: Time) -> i64 {
    (locked.until.unix_seconds() - now.unix_seconds()).max(1)
}

pub(crate) fn json_response(status: StatusCode, body: &Value) -> Response {
    let headers = [
        (CONTENT_TYPE, "application/json; charset=utf-8"),
        (CACHE_CONTROL, "no-store, no-cache"),
        (PRAGMA, "no-cache"),
    ];
    (status, headers, body.to_string()).into_response()
}
