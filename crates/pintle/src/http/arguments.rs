//! The arguments of a function in a path: `findbyip(ip='10.0.0.1',timestamp=2026-01-19T10:00:00Z)`.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use pintle_model::Time;

use crate::http::error::Failure;
use crate::http::odata;
use crate::instance::Instance;

/// What stands between the brackets, decoded. [`crate::http::path`] takes it out of the path and leaves it
/// with the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments(pub(super) String);

impl Arguments {
    /// The text of an argument. Names compare without case, and arguments come in any order. No argument
    /// of the API holds a comma or a quote, so a quote is left out wherever it stands around a value: a
    /// shipped client forgets one of two.
    pub fn text(&self, name: &str) -> Result<&str, Failure> {
        let pairs = self.0.split(',').filter_map(|pair| pair.split_once('='));
        let mut named = pairs.filter(|(found, _)| found.trim().eq_ignore_ascii_case(name));
        let value = named.next().map(|(_, value)| value.trim().trim_matches('\'').trim());
        if named.next().is_some() {
            return Err(Failure::input(format!("{name} is given more than once")));
        }
        value.filter(|value| !value.is_empty()).ok_or_else(|| Failure::missing_parameter(name))
    }

    /// A point in time, in the forms that `$filter` takes.
    pub fn time(&self, name: &str) -> Result<Time, Failure> {
        let text = self.text(name)?;
        odata::time(text).ok_or_else(|| {
            Failure::input(format!("{name} '{text}' is not a time such as 2026-01-31T08:30:00Z"))
        })
    }
}

impl FromRequestParts<Arc<Instance>> for Arguments {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Instance>) -> Result<Arguments, Failure> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Arguments {
        Arguments(text.to_owned())
    }

    #[test]
    fn arguments_come_in_any_order_and_spelling() {
        for text in [
            "ip='10.0.0.1',timestamp=2026-01-19T10:00:00Z",
            " timestamp = 2026-01-19T10:00:00.000Z , IP = '10.0.0.1' ",
            "ip=10.0.0.1,Timestamp='2026-01-19T11:00:00+01:00'",
            // As a shipped client writes it.
            "ip='10.0.0.1,timestamp=2026-01-19T10:00:00Z",
        ] {
            assert_eq!(of(text).text("ip").unwrap(), "10.0.0.1", "{text}");
            assert_eq!(of(text).time("timestamp").unwrap().to_string(), "2026-01-19T10:00:00Z", "{text}");
        }
    }

    #[test]
    fn what_is_missing_twice_there_or_no_time_is_refused() {
        for text in ["", "ip", "ip=", "ip=''", "key='10.0.0.1'", "ip=1,IP=2", ",,="] {
            assert!(of(text).text("ip").is_err(), "{text}");
        }
        for time in ["now", "2026-13-01T00:00:00Z", "2026-01-19T10:00:00", "2026-01-19T10:00:00Z or 1", "5"] {
            assert!(of(&format!("timestamp={time}")).time("timestamp").is_err(), "{time}");
        }
    }
}
