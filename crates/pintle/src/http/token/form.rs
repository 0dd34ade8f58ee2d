//! The fields of a token request, in the many ways that shipped clients send them.

use std::collections::HashMap;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::problem::Problem;
use crate::http::form;

/// The fields of a token request; the client's own may stand in HTTP Basic instead.
pub(crate) struct Form(HashMap<String, String>);

impl Form {
    /// No content type is asked for: two shipped clients send none.
    pub(crate) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Form, Problem> {
        let body = std::str::from_utf8(body).map_err(|_| Problem::body())?;
        let mut fields = HashMap::new();
        for (name, value) in form::pairs(body.trim()) {
            if fields.insert(name.clone(), value).is_some() {
                return Err(Problem::twice(&name));
            }
        }
        if let Some((id, secret)) = basic(headers) {
            fields.insert("client_id".to_owned(), id);
            fields.insert("client_secret".to_owned(), secret);
        }
        Ok(Form(fields))
    }

    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(crate) fn needed(&self, name: &'static str) -> Result<&str, Problem> {
        self.given(name).ok_or_else(|| Problem::missing(name))
    }
}

/// Client id and secret from HTTP Basic, each percent-encoded (RFC 6749 §2.3.1).
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, credentials) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = STANDARD.decode(credentials.trim()).ok()?;
    let (id, secret) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
    Some((form::decoded(id), form::decoded(secret)))
}
