//! What becomes of a question about what belongs to something that nobody has heard of. Microsoft's pages
//! of 2021 answer 404, today's an empty list; the profile decides, and a caller who sends `Prefer: strict`
//! (RFC 7240; ours) is always told with the 404, since otherwise "unknown" and "on no machine" look alike.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;

use crate::config::Profile;
use crate::http::error::Failure;
use crate::instance::Instance;

const PREFER: HeaderName = HeaderName::from_static("prefer");
const APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const STRICT: &str = "strict";

/// What to answer of something unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown {
    is_not_found: bool,
}

impl Unknown {
    /// The 404 of what is unknown, or the empty answer.
    pub fn answer(self, kind: &str, id: &str, empty: impl FnOnce() -> Response) -> Result<Response, Failure> {
        if self.is_not_found { Err(Failure::not_found(kind, id)) } else { Ok(empty()) }
    }
}

impl FromRequestParts<Arc<Instance>> for Unknown {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, instance: &Arc<Instance>) -> Result<Unknown, Infallible> {
        let strict = parts.extensions.get::<Strict>();
        if let Some(Strict { applied }) = strict {
            applied.store(true, Ordering::Relaxed);
        }
        Ok(Unknown { is_not_found: strict.is_some() || instance.config.api.profile == Profile::V2021 })
    }
}

/// Request extension: the caller prefers the 404.
#[derive(Clone, Debug)]
pub struct Strict {
    /// Whether the handler goes by it.
    applied: Arc<AtomicBool>,
}

impl Strict {
    /// Whether a request asks for it.
    pub fn of(headers: &HeaderMap) -> Option<Strict> {
        let values = headers.get_all(PREFER).into_iter().filter_map(|value| value.to_str().ok());
        let mut preferences = values.flat_map(|value| value.split(','));
        preferences.any(is_strict).then(|| Strict { applied: Arc::default() })
    }

    /// Says in the answer that it was gone by, if it was.
    pub fn tell(&self, headers: &mut HeaderMap) {
        if self.applied.load(Ordering::Relaxed) {
            headers.insert(APPLIED, HeaderValue::from_static(STRICT));
        }
    }
}

/// A preference has perhaps a value, which is the same as none if it is empty, and parameters.
fn is_strict(preference: &str) -> bool {
    let preference = preference.split(';').next().unwrap_or_default();
    let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
    name.trim().eq_ignore_ascii_case(STRICT) && matches!(value.trim(), "" | "\"\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_is_found_among_other_preferences() {
        for (prefer, is_there) in [
            ("strict", true),
            ("respond-async, Strict ; a=b", true),
            ("strict=\"\"", true),
            ("strict=no", false),
            ("handling=strict", false),
            ("stricter, not strict", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(PREFER, "wait=10".parse().unwrap());
            headers.append(PREFER, prefer.parse().unwrap());
            assert_eq!(Strict::of(&headers).is_some(), is_there, "{prefer}");
        }
        assert!(Strict::of(&HeaderMap::new()).is_none());
    }
}
