//! How a call fails: the one place that knows the API's error envelope. What the client reads and
//! what the log keeps are two things, joined by the `target`, a GUID of this answer.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use uuid::Uuid;

use crate::admin;
use crate::auth::permission::Permission;
use crate::auth::rights::Missing;
use crate::auth::token::Refusal;
use crate::quota::Exceeded;

fn list(permissions: impl Iterator<Item = Permission>, name: fn(Permission) -> &'static str) -> String {
    permissions.map(name).collect::<Vec<_>>().join(",")
}

/// A call that failed, as the client is told.
#[derive(Debug)]
pub struct Failure {
    status: StatusCode,
    code: &'static str,
    message: String,
    header: Option<Header>,
    is_written_down: bool,
}

/// Response extension: the audit log has a line of its own about this.
#[derive(Clone, Copy, Debug)]
pub struct WrittenDown;

#[derive(Debug)]
enum Header {
    /// How to authenticate (RFC 6750).
    Challenge(String),
    /// Seconds.
    RetryAfter(u64),
}

impl Failure {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Failure {
        Failure { status, code, message: message.into(), header: None, is_written_down: false }
    }

    /// Which is in the audit log already, with more than a status.
    pub fn written_down(self) -> Failure {
        Failure { is_written_down: true, ..self }
    }

    /// 401: no token at all.
    pub fn no_token() -> Failure {
        let message = "Unauthorized request - reason of failure: no bearer token in the Authorization header";
        let failure = Failure::new(StatusCode::UNAUTHORIZED, "Unauthorized", message);
        Failure { header: Some(Header::Challenge("Bearer".to_owned())), ..failure }
    }

    /// 401: no inlet that takes anything has this key.
    pub fn inlet_key() -> Failure {
        let message = "Unauthorized request - reason of failure: no inlet of this name or id takes this key";
        let failure = Failure::new(StatusCode::UNAUTHORIZED, "Unauthorized", message);
        Failure { header: Some(Header::Challenge("Bearer".to_owned())), ..failure }
    }

    /// 401, or 403 if the token is genuine but for another API: that is what the API answers
    /// there, as an issue thread reports.
    pub fn token(refusal: &Refusal) -> Failure {
        if let Refusal::Audience(_) = refusal {
            return Failure::new(
                StatusCode::FORBIDDEN,
                "Forbidden",
                format!("Forbidden request - {refusal}"),
            );
        }
        let message = format!("Unauthorized request - reason of failure: {refusal}");
        let challenge = format!(r#"Bearer error="invalid_token", error_description="{refusal}""#);
        let failure = Failure::new(StatusCode::UNAUTHORIZED, "Unauthorized", message);
        Failure { header: Some(Header::Challenge(challenge)), ..failure }
    }

    /// 403: what the caller lacks. The sentence about an application is the live one.
    pub fn missing(missing: &Missing) -> Failure {
        let message = match missing {
            Missing::Roles(required, has) => format!(
                "Missing application roles. API required roles: {}, application roles: {}.",
                list(required.iter().copied(), Permission::value),
                list(has.iter(), Permission::value)
            ),
            Missing::Scopes(required, has) => format!(
                "Missing user scopes. API required scopes: {}, user scopes: {}.",
                list(required.iter().copied(), Permission::delegated),
                list(has.iter(), Permission::delegated)
            ),
            Missing::RolePermission(permission) => {
                format!(
                    "Missing role permission. API required role permission: {}.",
                    permission.display_name()
                )
            }
            Missing::Users => "Only applications can make this request.".to_owned(),
        };
        Failure::new(StatusCode::FORBIDDEN, "Forbidden", message)
    }

    /// What administration refused.
    pub(crate) fn administration(refused: admin::Refused) -> Failure {
        match refused.status {
            status @ StatusCode::NOT_FOUND => Failure::new(status, "ResourceNotFound", refused.message),
            status @ StatusCode::FORBIDDEN => Failure::new(status, "Forbidden", refused.message),
            status @ StatusCode::CONFLICT => Failure::new(status, "Conflict", refused.message),
            // Whoever administers has to know what was done of what was asked.
            status @ StatusCode::INTERNAL_SERVER_ERROR => {
                Failure::new(status, "InternalServerError", refused.message)
            }
            status => Failure::new(status, "InvalidInput", refused.message),
        }
    }

    /// 404: no such thing, or none that the caller may see.
    pub fn not_found(kind: &str, id: &str) -> Failure {
        Failure::new(StatusCode::NOT_FOUND, "ResourceNotFound", format!("{kind} {id} was not found"))
    }

    /// 404: the alert has none of it. The sentence was seen live for `User`.
    pub fn not_related(kind: &str, alert: &str) -> Failure {
        let message = format!("There is no {kind} related to alert {alert}");
        Failure::new(StatusCode::NOT_FOUND, "ResourceNotFound", message)
    }

    /// 400: not a hash of any of the three kinds.
    pub fn invalid_hash(text: &str) -> Failure {
        Failure::new(StatusCode::BAD_REQUEST, "InvalidHashValue", format!("Hash value {text} is invalid"))
    }

    /// 400: not a host name.
    pub fn invalid_domain(text: &str) -> Failure {
        let message = format!("Domain name {text} is invalid");
        Failure::new(StatusCode::BAD_REQUEST, "InvalidDomainName", message)
    }

    /// 400: not an IP address.
    pub fn invalid_address(text: &str) -> Failure {
        Failure::new(StatusCode::BAD_REQUEST, "InvalidIpAddress", format!("IP address {text} is invalid"))
    }

    /// 400: a query option that cannot be obeyed. The prefix is the one seen live; the code is the
    /// documented one, where a live answer had an empty text.
    pub fn query(detail: &str) -> Failure {
        let message = format!("The query specified in the URI is not valid. {detail}");
        Failure::new(StatusCode::BAD_REQUEST, "ODataError", message)
    }

    /// 400: a parameter that there must be.
    pub fn missing_parameter(name: &str) -> Failure {
        let message = format!("Parameter {name} is missing");
        Failure::new(StatusCode::BAD_REQUEST, "MissingRequiredParameter", message)
    }

    /// 400: a body that cannot be used.
    pub fn request_body(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::BAD_REQUEST, "InvalidRequestBody", message)
    }

    /// 400: a parameter that cannot be used.
    pub fn input(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::BAD_REQUEST, "InvalidInput", message)
    }

    /// 413: a body of more than so many bytes.
    pub fn too_large(limit: u64) -> Failure {
        Failure::beyond(format!(
            "Request body is larger than {limit} bytes after decompression: send it in parts"
        ))
    }

    /// 413: a body that is read as it is, of more than so many bytes.
    pub fn too_long(limit: usize) -> Failure {
        Failure::beyond(format!("Request body is larger than {limit} bytes: send it in parts"))
    }

    /// 413: beyond a limit that the message names.
    pub fn beyond(limit: impl Into<String>) -> Failure {
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestBodyTooLarge", limit)
    }

    /// 415: a body in a coding that cannot be undone.
    pub fn unsupported_encoding(encoding: &str) -> Failure {
        let message = format!("Content-Encoding '{encoding}' is not supported: use gzip, zstd or none");
        Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "InvalidInput", message)
    }

    /// 415: a body in a coding, where none is undone.
    pub fn packed(encoding: &str) -> Failure {
        let encoding: String = encoding.chars().take(64).collect();
        let message = format!("Content-Encoding '{encoding}' is not supported here: send the body unpacked");
        Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "InvalidInput", message)
    }

    /// 415: a body of another kind than can be read.
    pub fn unsupported_media(kind: &str, supported: &str) -> Failure {
        let kind: String = kind.chars().take(64).collect();
        let message = format!("Content-Type '{kind}' is not supported: {supported}");
        Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "InvalidInput", message)
    }

    /// 400: more things at once than may be.
    pub fn batch_size(received: usize, allowed: usize) -> Failure {
        let message = format!("Maximum batch size exceeded: received {received}, allowed {allowed}");
        Failure::new(StatusCode::BAD_REQUEST, "MaximumBatchSizeExceeded", message)
    }

    /// 503: there is too much at work of what was asked for, and was for so many seconds.
    pub fn overloaded(seconds: u64) -> Failure {
        let message = "The server is busy answering other requests like this one: send it again later";
        let failure = Failure::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message);
        Failure { header: Some(Header::RetryAfter(seconds.max(1))), ..failure }
    }

    /// 503: others' telemetry is being read, and was for so many seconds.
    pub fn busy(seconds: u64) -> Failure {
        let message = "The server is busy reading other telemetry: send it again later";
        let failure = Failure::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message);
        Failure { header: Some(Header::RetryAfter(seconds.max(1))), ..failure }
    }

    /// 429: the sender has too many bodies waiting; in so many seconds each of them is read or refused.
    pub fn too_many_bodies(seconds: u64) -> Failure {
        let message = "Too many requests with telemetry of this sender are waiting: send fewer at once";
        let failure = Failure::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message);
        Failure { header: Some(Header::RetryAfter(seconds.max(1))), ..failure }
    }

    /// 409: the first request with this key is at work.
    pub fn still_running() -> Failure {
        let message = "The first request with this Idempotency-Key is still at work: ask again later";
        let failure = Failure::new(StatusCode::CONFLICT, "Conflict", message);
        Failure { header: Some(Header::RetryAfter(5)), ..failure }
    }

    /// 422: the key was another request's.
    pub fn key_reused() -> Failure {
        let message = "This Idempotency-Key came with another body, or with other parameters, within the \
                       last 24 hours: what is not the same needs a key of its own";
        Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "IdempotencyKeyReused", message)
    }

    /// 408: the body stopped coming, or came too slowly.
    pub fn body_broke_off() -> Failure {
        Failure::new(
            StatusCode::REQUEST_TIMEOUT,
            "BadRequest",
            "Request body broke off before its end, or came too slowly: send it again",
        )
    }

    /// 429, in the newest wording: clients take the wait from the sentence or from `Retry-After`.
    pub fn quota(exceeded: &Exceeded) -> Failure {
        let seconds = exceeded.window.as_secs();
        let message = format!(
            "API calls quota exceeded! Maximum allowed {} per {:02}:{:02}:00 for the key Destination+TenantID+AppID. You can send requests again in {} seconds.",
            exceeded.limit,
            seconds / 3_600,
            seconds / 60 % 60,
            exceeded.retry_after
        );
        let failure = Failure::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message);
        Failure { header: Some(Header::RetryAfter(exceeded.retry_after)), ..failure }
    }

    /// 503: neither telemetry nor a change can be kept, and it is no fault of the request.
    pub fn unavailable(why: &dyn std::error::Error) -> Failure {
        tracing::error!(error = %why, "telemetry or a change could not be kept");
        let message = "The server keeps nothing new at the moment: its log says why";
        let failure = Failure::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message);
        Failure { header: Some(Header::RetryAfter(10)), ..failure }
    }

    /// 507: there is no space on the disk.
    pub fn full(why: &dyn std::error::Error) -> Failure {
        tracing::error!(error = %why, "telemetry or a change could not be kept");
        let message = "The server's disk is full: free some space, and send it again";
        let failure = Failure::new(StatusCode::INSUFFICIENT_STORAGE, "InsufficientStorage", message);
        Failure { header: Some(Header::RetryAfter(10)), ..failure }
    }

    /// 500: nothing a client could do about it, so it is told nothing.
    pub fn internal(why: impl std::fmt::Display) -> Failure {
        tracing::error!(error = %why, "a request failed");
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", "")
    }
}

impl From<pintle_store::Error> for Failure {
    fn from(error: pintle_store::Error) -> Failure {
        match error {
            // Nobody reads it, and nothing is wrong.
            pintle_store::Error::Stopped => {
                Failure::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", error.to_string())
            }
            pintle_store::Error::TooMuchToOrder => Failure::query(
                "The list is too long to be put into this order: ask for a part of it with $filter or $top, or name fewer properties in $orderby.",
            ),
            error => Failure::internal(error),
        }
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    code: &'a str,
    message: &'a str,
    target: Uuid,
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let target = Uuid::new_v4();
        tracing::debug!(%target, status = self.status.as_u16(), code = self.code, message = self.message, "refused");
        let envelope = Envelope { error: Body { code: self.code, message: &self.message, target } };
        let body = serde_json::to_vec(&envelope).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self.header {
            Some(Header::Challenge(challenge)) => {
                let bearer = HeaderValue::from_static("Bearer");
                headers.insert(WWW_AUTHENTICATE, HeaderValue::try_from(challenge).unwrap_or(bearer));
            }
            Some(Header::RetryAfter(seconds)) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
            None => {}
        }
        if self.is_written_down {
            response.extensions_mut().insert(WrittenDown);
        }
        response
    }
}
