//! The query options of a read. Names without `$` are ignored, because clients send their credentials or
//! `top=1` there; names with `$` that are not obeyed are refused, so that nobody takes an unfiltered
//! answer for a filtered one. `$select` is obeyed or refused by [`Representation`], which every answer made
//! of entities needs; the others refuse it themselves.
//!
//! [`Representation`]: crate::http::representation::Representation

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use pintle_store::Page;

use crate::http::error::Failure;
use crate::http::form;
use crate::instance::Instance;

/// The most rows `$top` may ask for, and the rows of a page of alerts or machines without it.
pub const MAX_TOP: usize = 10_000;

/// The greatest number that is taken, and that clients of any language can hold.
pub const MAX_NUMBER: u64 = i64::MAX as u64;

/// OData 4 query options that are not obeyed here.
const UNSUPPORTED: &[&str] = &["$search", "$format", "$apply", "$compute", "$deltatoken"];

/// Query options as they are sent; which of them a route takes is its own matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `$top`.
    pub top: Option<usize>,
    /// `$skip`.
    pub skip: Option<usize>,
    /// The text of `$filter`, decoded, and so are the following.
    pub filter: Option<String>,
    /// `$orderby`.
    pub orderby: Option<String>,
    /// `$skiptoken`.
    pub skiptoken: Option<String>,
    /// `$expand`.
    pub expand: Option<String>,
    /// `$select`: only that it is there once is seen to here.
    pub select: Option<String>,
    /// `$count`.
    pub count: Option<bool>,
    /// Each option as it was sent, but for `$skip` and `$skiptoken`.
    pub sent: Vec<String>,
}

impl Options {
    /// Reads a query string.
    pub fn read(query: &str) -> Result<Options, Failure> {
        let mut options = Options::default();
        for pair in query.split('&') {
            let Some((name, value)) = form::pairs(pair).next() else { continue };
            let name = name.trim();
            if !name.starts_with('$') {
                continue;
            }
            let option = name.to_ascii_lowercase();
            let is_repeated = match option.as_str() {
                "$top" => options.top.replace(number(name, value.trim())?).is_some(),
                "$skip" => options.skip.replace(number(name, value.trim())?).is_some(),
                "$filter" => options.filter.replace(value).is_some(),
                "$orderby" => options.orderby.replace(value).is_some(),
                "$skiptoken" => options.skiptoken.replace(value).is_some(),
                "$expand" => options.expand.replace(value).is_some(),
                "$select" => options.select.replace(value).is_some(),
                "$count" => options.count.replace(truth(name, value.trim())?).is_some(),
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
            if !matches!(option.as_str(), "$skip" | "$skiptoken") {
                options.sent.push(pair.to_owned());
            }
        }
        if let Some(top) = options.top.filter(|top| *top > MAX_TOP) {
            return Err(Failure::query(&format!(
                "The limit of '{MAX_TOP}' for Top query has been exceeded. The value from the incoming request is '{top}'."
            )));
        }
        Ok(options)
    }

    /// The name of one that is given; `None`: there is none.
    pub fn first(&self) -> Option<&'static str> {
        let given = [("$top", self.top.is_some()), ("$skip", self.skip.is_some())];
        given.into_iter().find(|(_, is_given)| *is_given).map(|(name, _)| name).or_else(|| self.of_lists())
    }

    /// The same of those that only lists of alerts and of machines take.
    fn of_lists(&self) -> Option<&'static str> {
        let given = [
            ("$filter", self.filter.is_some()),
            ("$orderby", self.orderby.is_some()),
            ("$skiptoken", self.skiptoken.is_some()),
            ("$expand", self.expand.is_some()),
            ("$count", self.count.is_some()),
        ];
        given.into_iter().find(|(_, is_given)| *is_given).map(|(name, _)| name)
    }

    /// The rows, if nothing else is asked.
    fn rows(&self) -> Result<Rows, Failure> {
        match self.of_lists() {
            Some(name) => Err(unsupported(name)),
            None => Ok(Rows { top: self.top, skip: self.skip.unwrap_or_default() }),
        }
    }
}

/// Which rows of a collection are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// `$top`, if given.
    pub top: Option<usize>,
    /// `$skip`, or none.
    pub skip: usize,
}

impl Rows {
    /// All of a related collection: no page size is published for those.
    pub fn related(self) -> Page {
        Page { skip: self.skip, top: self.top.unwrap_or(usize::MAX) }
    }
}

impl FromRequestParts<Arc<Instance>> for Rows {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Instance>) -> Result<Rows, Failure> {
        Options::read(parts.uri.query().unwrap_or_default())?.rows()
    }
}

/// The options of a single thing: none that choose rows.
pub struct NoRows;

impl FromRequestParts<Arc<Instance>> for NoRows {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Instance>) -> Result<NoRows, Failure> {
        let options = Options::read(parts.uri.query().unwrap_or_default())?;
        options.rows()?;
        match options.first() {
            None => Ok(NoRows),
            Some(_) => Err(Failure::query(
                "The requested resource is not a collection, so $top and $skip do not apply to it.",
            )),
        }
    }
}

/// The options of a change that is answered with nothing: none at all.
pub struct NoOptions;

impl FromRequestParts<Arc<Instance>> for NoOptions {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, instance: &Arc<Instance>) -> Result<NoOptions, Failure> {
        NoRows::from_request_parts(parts, instance).await?;
        match Options::read(parts.uri.query().unwrap_or_default())?.select {
            None => Ok(NoOptions),
            Some(_) => Err(unsupported("$select")),
        }
    }
}

/// 400: an option of OData that is not obeyed there.
pub fn unsupported(option: &str) -> Failure {
    Failure::query(&format!("Query option '{option}' is not supported by this server."))
}

fn number(name: &str, value: &str) -> Result<usize, Failure> {
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let number = value.parse::<u64>().ok().filter(|number| is_number && *number <= MAX_NUMBER);
    number.and_then(|number| usize::try_from(number).ok()).ok_or_else(|| {
        Failure::query(&format!(
            "Invalid value '{value}' for {name}: it must be a whole number from 0 to {MAX_NUMBER}."
        ))
    })
}

fn truth(name: &str, value: &str) -> Result<bool, Failure> {
    value.to_ascii_lowercase().parse().map_err(|_| {
        Failure::query(&format!("Invalid value '{value}' for {name}: it must be true or false."))
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
            assert_eq!(Options::read(query).unwrap().rows().unwrap(), expected, "{query}");
        }
    }

    #[test]
    fn options_of_lists_are_read_decoded_and_kept_as_they_were_sent() {
        let asked = "$skip=1&%24Filter=version+eq+'a%2Bb%26'&x=1&$OrderBy=id%20desc&$skiptoken=t&$count=TRUE&$expand=evidence";
        let options = Options::read(asked).unwrap();
        assert_eq!(options.filter.as_deref(), Some("version eq 'a+b&'"));
        assert_eq!(options.orderby.as_deref(), Some("id desc"));
        assert_eq!(
            (options.skip, options.skiptoken.as_deref(), options.count),
            (Some(1), Some("t"), Some(true))
        );
        let sent =
            ["%24Filter=version+eq+'a%2Bb%26'", "$OrderBy=id%20desc", "$count=TRUE", "$expand=evidence"];
        assert_eq!(options.sent, sent);
        assert!(options.rows().is_err());
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
            "$orderby=id&%24orderby=id",
            "$count=1",
            "$count=",
            "$count=true&$count=true",
            "$select=id&$select=id",
            "$search=x",
        ] {
            assert!(Options::read(query).is_err(), "{query}");
        }
        for query in ["$expand=evidence", "$count=false", "%24orderby=id", "$skiptoken=x", "$filter=x"] {
            assert!(Options::read(query).unwrap().rows().is_err(), "{query}");
        }
    }
}
