//! What an answer says of the data that it was made from, in headers of ours: from when to when there is
//! telemetry, where it came from, and whether device groups narrow what the caller sees. "On no machine"
//! means something else after a day of telemetry than after years of it. Never whether anything was
//! hidden from this answer.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pintle_model::TenantId;
use pintle_store::{Coverage, Scope, Store};

/// `tenant`, or `device-groups` where these apply to the caller.
const SCOPE: HeaderName = HeaderName::from_static("pintle-scope");
/// The times of the earliest and the latest event.
const FROM: HeaderName = HeaderName::from_static("pintle-events-from");
const TO: HeaderName = HeaderName::from_static("pintle-events-to");
/// Names of sources, percent-encoded, ascending: as many as fit.
const SOURCES: HeaderName = HeaderName::from_static("pintle-sources");
/// How many sources there are; `256+`: more than anybody counts.
const SOURCE_COUNT: HeaderName = HeaderName::from_static("pintle-source-count");

/// All names of sources in one answer: far below any client's limit.
const MAX_SOURCES_BYTES: usize = 1024;

/// What in a source's name stands for itself.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'/').remove(b':').remove(b'_');

/// What was told last, since it seldom changes.
#[derive(Default)]
pub struct Told(RwLock<HashMap<TenantId, Arc<Telling>>>);

/// The headers of a tenant's coverage.
struct Telling {
    coverage: Arc<Coverage>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Told {
    /// Adds what the data that this caller asks covers.
    pub fn tell(&self, store: &Store, scope: &Scope, headers: &mut HeaderMap) {
        let applies = if scope.sees_all() { "tenant" } else { "device-groups" };
        headers.insert(SCOPE, HeaderValue::from_static(applies));
        let Some(coverage) = store.coverage(scope) else { return };
        let telling = self.telling(scope.tenant(), coverage);
        headers.extend(telling.headers.iter().cloned());
    }

    fn telling(&self, tenant: TenantId, coverage: Arc<Coverage>) -> Arc<Telling> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&tenant).cloned();
        if let Some(known) = known.filter(|known| Arc::ptr_eq(&known.coverage, &coverage)) {
            return known;
        }
        let telling = Arc::new(Telling { headers: rendered(&coverage), coverage });
        let mut told = self.0.write().unwrap_or_else(PoisonError::into_inner);
        told.insert(tenant, Arc::clone(&telling));
        telling
    }
}

fn rendered(coverage: &Coverage) -> Vec<(HeaderName, HeaderValue)> {
    let more = if coverage.has_more_sources { "+" } else { "" };
    let mut texts = vec![(SOURCE_COUNT, format!("{}{more}", coverage.sources.len()))];
    if let Some(events) = coverage.events {
        texts.extend([(FROM, events.first.to_string()), (TO, events.last.to_string())]);
    }
    let sources = named(coverage.sources.iter().map(String::as_str));
    if !sources.is_empty() {
        texts.push((SOURCES, sources));
    }
    let value = |(name, text): (HeaderName, String)| Some((name, HeaderValue::try_from(text).ok()?));
    texts.into_iter().filter_map(value).collect()
}

/// Names one after the other, as many as fit.
fn named<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let mut all = String::new();
    for name in names {
        let parts = if all.is_empty() { "" } else { ", " };
        let name = format!("{parts}{}", utf8_percent_encode(name, PLAIN));
        if all.len() + name.len() > MAX_SOURCES_BYTES {
            break;
        }
        all += &name;
    }
    all
}

#[cfg(test)]
mod tests {
    use pintle_model::Time;
    use pintle_store::Span;

    use super::*;

    fn texts(coverage: &Coverage) -> Vec<(String, String)> {
        let text =
            |(name, value): (HeaderName, HeaderValue)| (name.to_string(), value.to_str().unwrap().to_owned());
        rendered(coverage).into_iter().map(text).collect()
    }

    #[test]
    fn whatever_a_source_is_called_its_name_is_plain_and_the_header_bounded() {
        let hostile = "a, b\r\nSet-Cookie: x=\u{e9}%";
        let coverage = Coverage { sources: [hostile.to_owned()].into(), ..Coverage::default() };
        assert_eq!(
            texts(&coverage),
            [
                ("pintle-source-count".to_owned(), "1".to_owned()),
                ("pintle-sources".to_owned(), "a%2C%20b%0D%0ASet-Cookie:%20x%3D%C3%A9%25".to_owned())
            ]
        );
        let sources = (0..256).map(|n| format!("{n:03}{}", "\u{1F4A3}".repeat(20))).collect();
        let many = Coverage { sources, has_more_sources: true, events: None };
        let told = texts(&many);
        assert_eq!(told[0].1, "256+");
        assert!(told[1].1.len() <= MAX_SOURCES_BYTES && told[1].1.split(", ").count() > 3);
        let long = Coverage { sources: ["\0".repeat(4_096)].into(), ..Coverage::default() };
        assert_eq!(texts(&long).len(), 1);
    }

    #[test]
    fn times_are_told_where_there_are_events_and_anew_when_they_change() {
        let told = Told::default();
        let (tenant, first) = (TenantId::from_bytes([1; 16]), Arc::new(Coverage::default()));
        let before = told.telling(tenant, Arc::clone(&first));
        assert_eq!(before.headers.len(), 1);
        assert!(Arc::ptr_eq(&before, &told.telling(tenant, first)));
        let events = Some(Span { first: Time::from_ticks(0), last: Time::from_ticks(10_000_000) });
        let after = told.telling(tenant, Arc::new(Coverage { events, ..Coverage::default() }));
        let values: Vec<&str> = after.headers.iter().map(|(_, value)| value.to_str().unwrap()).collect();
        assert_eq!(values, ["0", "1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z"]);
    }
}
