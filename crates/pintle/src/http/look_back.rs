//! `lookBackHours`: how far statistics look back.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::http::error::Failure;
use crate::http::form;
use crate::instance::Instance;

/// 30 days: the default, and the most there is.
const MAX_HOURS: u64 = 720;

/// How far to look back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookBack(pub Duration);

impl FromRequestParts<Arc<Instance>> for LookBack {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Instance>) -> Result<LookBack, Failure> {
        read(parts.uri.query().unwrap_or_default())
    }
}

/// The name compares without case: pages write both `lookBackHours` and `lookbackhours`.
fn read(query: &str) -> Result<LookBack, Failure> {
    let mut named = form::pairs(query).filter(|(name, _)| name.trim().eq_ignore_ascii_case("lookbackhours"));
    let hours = match (named.next(), named.next()) {
        (None, _) => MAX_HOURS,
        (Some((_, value)), None) => hours(value.trim())?,
        (Some(_), Some(_)) => return Err(Failure::input("lookBackHours is given more than once")),
    };
    Ok(LookBack(Duration::from_secs(hours * 3600)))
}

fn hours(text: &str) -> Result<u64, Failure> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let hours = text.parse().ok().filter(|hours| digits && (1..=MAX_HOURS).contains(hours));
    hours.ok_or_else(|| {
        Failure::input(format!("lookBackHours '{text}' is not a whole number of hours from 1 to {MAX_HOURS}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_in_any_spelling_of_the_name_within_thirty_days() {
        for (query, hours) in
            [("", 720), ("lookBackHours=24", 24), ("LOOKBACKHOURS=+720&x=1", 720), ("lookbackhours=1", 1)]
        {
            assert_eq!(read(query).unwrap(), LookBack(Duration::from_secs(hours * 3600)), "{query}");
        }
        for query in ["0", "721", "-1", "1.5", "", "day", "99999999999999999999"] {
            assert!(read(&format!("lookBackHours={query}")).is_err(), "{query}");
        }
        assert!(read("lookBackHours=1&lookbackhours=1").is_err());
    }
}
