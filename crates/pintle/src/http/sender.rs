//! Who sends telemetry: the holder of a bearer token that is good for it, or a shipper with a key of an
//! inlet, as Elasticsearch's clients send theirs: `ApiKey` with `id:key`, or `Basic` with the inlet's id or
//! name in the place of a user. A key opens nothing but what takes telemetry, and tells its holder nothing
//! of what there is.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use pintle_model::TenantId;
use uuid::Uuid;

use crate::audit::{Actor, Entry};
use crate::auth::inlet::Inlet;
use crate::auth::secret::Secret;
use crate::http::AppId;
use crate::http::caller::{Access, Caller, admit};
use crate::http::error::Failure;
use crate::http::origin::client_address_of;
use crate::instance::Instance;

/// Schemes beside `Bearer`, as a 401 names them.
const CHALLENGES: [&str; 2] = ["ApiKey", r#"Basic realm="pintle", charset="UTF-8""#];

/// Bytes of a header with an inlet and its key: a name has at most 480, a key 43.
const MAX_HEADER: usize = 1_024;

/// Who sends.
#[derive(Clone)]
pub struct Sender {
    /// Whose telemetry it becomes.
    pub tenant: TenantId,
    /// The application or the inlet.
    pub id: Uuid,
    /// The inlet, if it is one's.
    pub inlet: Option<Arc<Inlet>>,
}

impl FromRequestParts<Arc<Instance>> for Sender {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, instance: &Arc<Instance>) -> Result<Sender, Failure> {
        if let Some(sender) = parts.extensions.get::<Sender>() {
            return Ok(sender.clone());
        }
        let caller = Caller::from_request_parts(parts, instance).await?;
        Ok(Sender { tenant: caller.scope.tenant(), id: caller.rights.who.application, inlet: None })
    }
}

/// Lets a request through to its handler if its sender may send.
pub async fn admit_sender(
    State((instance, access)): State<(Arc<Instance>, Access)>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match Presented::of(request.headers()) {
        Some(presented) => admit_inlet(&instance, presented.as_ref(), request, next).await,
        None => admit(State((instance, access)), request, next).await,
    };
    if response.status() == StatusCode::UNAUTHORIZED {
        for challenge in CHALLENGES {
            response.headers_mut().append(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
    }
    response
}

async fn admit_inlet(
    instance: &Arc<Instance>,
    presented: Option<&Presented>,
    mut request: Request,
    next: Next,
) -> Response {
    let now = instance.now();
    let known =
        presented.and_then(|Presented { inlet, key }| instance.control.authenticate_inlet(inlet, key, now));
    let Some((inlet, key)) = known else {
        note_refused(instance, presented, &request);
        return Failure::inlet_key().into_response();
    };
    if instance.control.note_use(key, now) {
        save_uses(Arc::clone(instance));
    }
    let id = inlet.id;
    request.extensions_mut().insert(Sender { tenant: inlet.tenant, id, inlet: Some(inlet) });
    let mut response = next.run(request).await;
    response.extensions_mut().insert(AppId(id.to_string()));
    response
}

/// Nobody waits for it: that it is a little out of date afterwards is said wherever it is shown.
fn save_uses(instance: Arc<Instance>) {
    tokio::task::spawn_blocking(move || {
        if let Err(error) = instance.control.save_uses() {
            tracing::warn!(%error, "when the keys of inlets were used last cannot be written down");
        }
    });
}

fn note_refused(instance: &Instance, presented: Option<&Presented>, request: &Request) {
    instance.metrics.inlet_refused();
    let actor = Actor::anonymous().from_address(client_address_of(request, instance));
    let entry = Entry::new(actor, "inlet.refused").on(request.uri().path());
    let entry = entry.refused(StatusCode::UNAUTHORIZED.as_u16());
    // Nothing of it is proved.
    let named = presented.map(|presented| presented.inlet.as_str());
    instance.audit.note(named.into_iter().fold(entry, |entry, name| entry.with("inlet", name)));
}

/// An inlet, by id or name, and a key, as somebody presents them.
struct Presented {
    inlet: String,
    key: Secret,
}

impl Presented {
    /// What stands in the only `Authorization` header. `None`: nothing of an inlet's; `Some(None)`:
    /// something that cannot be read.
    fn of(headers: &HeaderMap) -> Option<Option<Presented>> {
        let mut values = headers.get_all(AUTHORIZATION).into_iter();
        let (value, None) = (values.next()?, values.next()) else { return None };
        let value = value.as_bytes();
        let space = value.iter().position(|byte| *byte == b' ')?;
        let (scheme, credentials) = value.split_at_checked(space)?;
        if !["ApiKey", "Basic"].iter().any(|known| scheme.eq_ignore_ascii_case(known.as_bytes())) {
            return None;
        }
        Some(Presented::read(credentials.trim_ascii()))
    }

    fn read(credentials: &[u8]) -> Option<Presented> {
        // Clients disagree on whether the end is filled up.
        let padding = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        if credentials.len() > MAX_HEADER {
            return None;
        }
        let decoded = GeneralPurpose::new(&STANDARD, padding).decode(credentials).ok()?;
        let decoded = String::from_utf8(decoded).ok()?;
        let (inlet, key) = decoded.split_once(':')?;
        Some(Presented { inlet: inlet.to_owned(), key: Secret::from_text(key) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presented(values: &[&str]) -> Option<Option<(String, String)>> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        let named = |presented: Presented| (presented.inlet, presented.key.reveal().to_owned());
        Presented::of(&headers).map(|presented| presented.map(named))
    }

    #[test]
    fn keys_are_read_in_both_schemes_and_their_clients_writings() {
        let pair = |inlet: &str, key: &str| Some(Some((inlet.to_owned(), key.to_owned())));
        for value in ["ApiKey YTpi", "apikey  YTpi", "Basic YTpi", "BASIC YTpi "] {
            assert_eq!(presented(&[value]), pair("a", "b"), "{value}");
        }
        // `é:b:c`, with and without its end filled up.
        for value in ["Basic w6k6Yjpj", "Basic w6k6Yjpj"] {
            assert_eq!(presented(&[value]), pair("é", "b:c"));
        }
        for value in ["ApiKey YWI6Yw==", "ApiKey YWI6Yw"] {
            assert_eq!(presented(&[value]), pair("ab", "c"));
        }
    }

    #[test]
    fn what_cannot_be_read_is_no_key_and_other_schemes_are_not_looked_at() {
        let long = format!("Basic {}", "YTpi".repeat(300));
        for value in ["Basic", "ApiKey ", "ApiKey", "ApiKey !!!", "Basic YWI=", "Basic /zph", &long] {
            assert!(matches!(presented(&[value]), None | Some(None)), "{value}");
        }
        assert_eq!(presented(&["ApiKey !!!"]), Some(None));
        for values in [&["Bearer YTpi"][..], &["Negotiate x"], &["Basic YTpi", "Basic YTpi"], &[]] {
            assert_eq!(presented(values), None, "{values:?}");
        }
    }
}
