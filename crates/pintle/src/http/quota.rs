//! What an answer says about the quota: both windows, in the fields of the IETF draft
//! `draft-ietf-httpapi-ratelimit-headers`. The API itself says nothing before the 429.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::quota::Allowance;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LEFT: HeaderName = HeaderName::from_static("ratelimit");

/// Adds what is allowed and what is left of it.
pub fn tell(allowance: &Allowance, headers: &mut HeaderMap) {
    let Allowance { minute, hour } = allowance;
    let policy = format!(r#""minute";q={};w=60, "hour";q={};w=3600"#, minute.limit, hour.limit);
    let left = format!(
        r#""minute";r={};t={}, "hour";r={};t={}"#,
        minute.remaining, minute.reset, hour.remaining, hour.reset
    );
    for (name, text) in [(POLICY, policy), (LEFT, left)] {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(name, value);
        }
    }
}
