//! The query options of a read: `$top`, `$skip`, and `$filter` where a list takes it. Names without `$`
//! are ignored, because clients send their credentials or `top=1` there; names with `$` that are not
//! obeyed are refused, so that nobody takes an unfiltered answer for a filtered one. `$select` is obeyed
//! or refused by [`Representation`], which every answer of the data needs.
//!
//! [`Representation`]: crate::http::representation::Representation

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pintle_store::{Filter, Page};

use crate::http::error::Failure;
use crate::http::odata::Fields;
use crate::http::origin::Origin;
use crate::http::{form, odata};
use crate::instance::Instance;

/// The most rows `$top` may ask for, and the rows of a page of alerts or machines without it.
pub const MAX_TOP: usize = 10_000;

/// OData 4 query options that are not obeyed here.
const UNSUPPORTED: &[&str] = &[
    "$expand",
    "$orderby",
    "$count",
    "$search",
    "$format",
    "$apply",
    "$compute",
    "$skiptoken",
    "$deltatoken",
];

/// Which rows of a collection are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// `$top`, if given.
    pub top: Option<usize>,
    /// `$skip`, or none.
    pub skip: usize,
}

impl Rows {
    /// One page of a list.
    pub fn page(self) -> Page {
        Page { skip: self.skip, top: self.top.unwrap_or(MAX_TOP) }
    }

    /// All of a related collection: no page size is published for those.
    pub fn related(self) -> Page {
        Page { skip: self.skip, top: self.top.unwrap_or(usize::MAX) }
    }

    /// Where a list goes on after a full page. With `$top` there is never a link: the client pages
    /// by itself. Without one the real service gives a damaged link or none; a correct one harms no
    /// client examined.
    pub fn next_link(self, origin: &Origin, path: &str, written: usize) -> Option<String> {
        let full = self.top.is_none() && written == MAX_TOP;
        full.then(|| format!("{}{path}?$skip={}", origin.as_str(), self.skip.saturating_add(MAX_TOP)))
    }
}

impl FromRequestParts<Arc<Instance>> for Rows {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Instance>) -> Result<Rows, Failure> {
        read(parts.uri.query().unwrap_or_default())?.unfiltered()
    }
}

/// Which rows of a list are asked for, and which entities are to make it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilteredRows {
    rows: Rows,
    /// The text of `$filter`, decoded.
    filter: Option<String>,
    /// The text of `$select`, decoded.
    select: Option<String>,
}

/// What in a filter need not be encoded in a link.
const IN_LINK: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b',')
    .remove(b'-')
    .remove(b'.')
    .remove(b'/')
    .remove(b':')
    .remove(b'_');

impl FilteredRows {
    /// One page of the entities that pass the filter.
    pub fn page(&self) -> Page {
        self.rows.page()
    }

    /// All of them, where no pages are made.
    pub fn whole(&self) -> Page {
        self.rows.related()
    }

    /// The filter, on entities with these fields.
    pub fn filter(&self, fields: &'static Fields) -> Result<Option<Filter>, Failure> {
        self.filter.as_deref().map(|text| odata::filter(text, fields)).transpose()
    }

    /// Where the list goes on after a full page ([`Rows::next_link`]), by the same filter
    /// and with the same members.
    pub fn next_link(&self, origin: &Origin, path: &str, written: usize) -> Option<String> {
        let mut link = self.rows.next_link(origin, path, written)?;
        for (name, option) in [("$filter", &self.filter), ("$select", &self.select)] {
            if let Some(text) = option {
                link.extend(["&", name, "="].into_iter().chain(utf8_percent_encode(text, IN_LINK)));
            }
        }
        Some(link)
    }

    /// The rows of a collection that takes no filter.
    fn unfiltered(self) -> Result<Rows, Failure> {
        if self.filter.is_some() { Err(unsupported("$filter")) } else { Ok(self.rows) }
    }
}

impl FromRequestParts<Arc<Instance>> for FilteredRows {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Instance>) -> Result<FilteredRows, Failure> {
        read(parts.uri.query().unwrap_or_default())
    }
}

/// The options of a single thing: none that choose rows.
pub struct NoRows;

impl FromRequestParts<Arc<Instance>> for NoRows {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Instance>) -> Result<NoRows, Failure> {
        match read(parts.uri.query().unwrap_or_default())?.unfiltered()? {
            rows if rows == Rows::default() => Ok(NoRows),
            _ => Err(Failure::query(
                "The requested resource is not a collection, so $top and $skip do not apply to it.",
            )),
        }
    }
}

fn read(query: &str) -> Result<FilteredRows, Failure> {
    let (mut top, mut skip, mut filter, mut select) = (None, None, None, None);
    for (name, value) in form::pairs(query) {
        let name = name.trim();
        if !name.starts_with('$') {
            continue;
        }
        let is_repeated = match name.to_ascii_lowercase().as_str() {
            "$top" => top.replace(number(name, value.trim())?).is_some(),
            "$skip" => skip.replace(number(name, value.trim())?).is_some(),
            "$filter" => filter.replace(value).is_some(),
            "$select" => select.replace(value).is_some(),
            known if UNSUPPORTED.contains(&known) => return Err(unsupported(known)),
            _ => {
                return Err(Failure::query(&format!(
                    "Custom query option '{name}' that starts with '$' is not supported."
                )));
            }
        };
        if is_repeated {
            return Err(Failure::query(&format!("Query option '{name}' is given more than once.")));
        }
    }
    if let Some(top) = top.filter(|top| *top > MAX_TOP) {
        return Err(Failure::query(&format!(
            "The limit of '{MAX_TOP}' for Top query has been exceeded. The value from the incoming request is '{top}'."
        )));
    }
    Ok(FilteredRows { rows: Rows { top, skip: skip.unwrap_or_default() }, filter, select })
}

fn unsupported(option: &str) -> Failure {
    Failure::query(&format!("Query option '{option}' is not supported by this server."))
}

fn number(name: &str, value: &str) -> Result<usize, Failure> {
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    value.parse().ok().filter(|_| is_number).ok_or_else(|| {
        Failure::query(&format!("Invalid value '{value}' for {name}: it must be a whole number, 0 or more."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn top_and_skip_in_the_forms_that_clients_send() {
        let rows = |top, skip| Rows { top, skip };
        for (query, expected) in [
            ("", rows(None, 0)),
            ("&", rows(None, 0)),
            ("$top=10", rows(Some(10), 0)),
            ("%24top=10&%24skip=20&", rows(Some(10), 20)),
            ("$Top=0&$SKIP=+7", rows(Some(0), 7)),
            ("$top=10000", rows(Some(10_000), 0)),
            ("top=1&client_id=x&client_secret=y", rows(None, 0)),
        ] {
            assert_eq!(read(query).unwrap().unfiltered().unwrap(), expected, "{query}");
        }
    }

    #[test]
    fn a_filter_is_in_the_link_to_the_rows_that_follow() {
        let origin = Origin::named("https://pintle.example.org");
        let asked = "$skip=1&%24Filter=version+eq+'a%2Bb%26%C3%BC%23'+and+lastSeen+gt+2020-01-01T00:00:00%2B01:00&$select=id,+OSPlatform";
        let rows = read(asked).unwrap();
        assert!(rows.clone().unfiltered().is_err());
        assert_eq!(rows.next_link(&origin, "/api/machines", 9_999), None);
        let link = rows.next_link(&origin, "/api/machines", 10_000).unwrap();
        assert_eq!(
            link,
            "https://pintle.example.org/api/machines?$skip=10001&$filter=version%20eq%20'a%2Bb%26%C3%BC%23'%20and%20lastSeen%20gt%202020-01-01T00:00:00%2B01:00&$select=id,%20OSPlatform"
        );
        let next = read(link.split_once('?').unwrap().1).unwrap();
        assert_eq!(next, FilteredRows { rows: Rows { top: None, skip: 10_001 }, ..rows });
    }

    #[test]
    fn what_is_not_obeyed_is_refused() {
        for query in [
            "$top=10001",
            "$top=-1",
            "$top=",
            "$top",
            "$top=1.5",
            "$top=%2B1",
            "$top=99999999999999999999",
            "$top=1&$top=1",
            "$stop=1",
            "$",
            "$filter=id eq 'x'&$filter=id eq 'x'",
            "$select=id&$Select=id",
            "$expand=evidence",
            "$count=true",
            "%24orderby=id",
        ] {
            assert!(read(query).is_err(), "{query}");
        }
    }
}
