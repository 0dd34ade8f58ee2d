//! The query options of a read: `$top` and `$skip`. Names without `$` are ignored, because clients
//! send their credentials or `top=1` there; names with `$` that are not obeyed are refused, so that
//! nobody takes an unfiltered answer for a filtered one.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use pintle_store::Page;

use crate::http::error::Failure;
use crate::http::form;
use crate::http::origin::Origin;
use crate::instance::Instance;

/// The most rows `$top` may ask for, and the rows of a page of alerts or machines without it.
pub const MAX_TOP: usize = 10_000;

/// OData 4 query options that are not obeyed here.
const UNSUPPORTED: &[&str] = &[
    "$filter",
    "$select",
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
        read(parts.uri.query().unwrap_or_default())
    }
}

/// The options of a single thing: none that choose rows.
pub struct NoRows;

impl FromRequestParts<Arc<Instance>> for NoRows {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Instance>) -> Result<NoRows, Failure> {
        match read(parts.uri.query().unwrap_or_default())? {
            rows if rows == Rows::default() => Ok(NoRows),
            _ => Err(Failure::query(
                "The requested resource is not a collection, so $top and $skip do not apply to it.",
            )),
        }
    }
}

fn read(query: &str) -> Result<Rows, Failure> {
    let (mut top, mut skip) = (None, None);
    for (name, value) in form::pairs(query) {
        let name = name.trim();
        if !name.starts_with('$') {
            continue;
        }
        let option = match name.to_ascii_lowercase().as_str() {
            "$top" => &mut top,
            "$skip" => &mut skip,
            known if UNSUPPORTED.contains(&known) => {
                return Err(Failure::query(&format!(
                    "Query option '{known}' is not supported by this server."
                )));
            }
            _ => {
                return Err(Failure::query(&format!(
                    "Custom query option '{name}' that starts with '$' is not supported."
                )));
            }
        };
        if option.replace(number(name, value.trim())?).is_some() {
            return Err(Failure::query(&format!("Query option '{name}' is given more than once.")));
        }
    }
    if let Some(top) = top.filter(|top| *top > MAX_TOP) {
        return Err(Failure::query(&format!(
            "The limit of '{MAX_TOP}' for Top query has been exceeded. The value from the incoming request is '{top}'."
        )));
    }
    Ok(Rows { top, skip: skip.unwrap_or_default() })
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
            assert_eq!(read(query).unwrap(), expected, "{query}");
        }
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
            "$filter=id eq 'x'",
            "$expand=evidence",
            "$count=true",
            "%24orderby=id",
        ] {
            assert!(read(query).is_err(), "{query}");
        }
    }
}
