//! How an answer is to be written (RFC 9110 calls it the representation): which members of entities
//! `$select` asks for, and whether a collection is an OData envelope or lines of JSON.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::http::request::Parts;
use bytes::Bytes;
use pintle_model::Shape;
use pintle_store::{Projection, Rows};

use crate::http::error::Failure;
use crate::http::form;
use crate::http::origin::Origin;
use crate::http::quality::weighted;
use crate::http::resource::Resource;
use crate::instance::Instance;

/// The media type of a collection written as lines of JSON.
pub const NDJSON: &str = "application/x-ndjson";

/// The most names in `$select`, and the most bytes.
const MAX_NAMES: usize = 100;
const MAX_SELECT: usize = 8 * 1024;

/// How an answer about this kind of thing is to be written.
#[derive(Debug)]
pub struct Representation<R> {
    origin: Origin,
    select: Select,
    rows: Rows,
    of: PhantomData<fn() -> R>,
}

/// What `$select` asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Select {
    projection: Projection,
    /// The names of the members, but for `*`.
    names: Vec<&'static str>,
    /// `(a,b)` behind the set's name in `@odata.context`, in the order and spelling of the request; empty
    /// without `$select`.
    context: String,
}

/// How entities are written, whatever they are.
#[derive(Clone, Debug)]
pub struct Entities {
    projection: Projection,
    rows: Rows,
}

impl<R: Resource> Representation<R> {
    /// Whether a collection is written as lines of JSON: all of it then, with no pages.
    pub fn is_lines(&self) -> bool {
        self.rows == Rows::Lines
    }

    /// Whether `$select` names a member.
    pub fn selects(&self, name: &str) -> bool {
        self.select.names.contains(&name)
    }

    /// How its entities are written.
    pub fn entities(&self) -> Entities {
        Entities { projection: self.select.projection.clone(), rows: self.rows }
    }

    /// `@odata.context` of a collection.
    pub fn context(&self) -> String {
        format!("{}/api/$metadata#{}{}", self.origin.as_str(), R::CONTEXT, self.select.context)
    }

    /// Under which name the server was asked.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

impl Entities {
    /// These members, joined in one answer.
    #[cfg(test)]
    pub fn showing(projection: Projection) -> Entities {
        Entities { projection, rows: Rows::Joined }
    }

    /// Whether collections are lines of JSON.
    pub fn are_lines(&self) -> bool {
        self.rows == Rows::Lines
    }

    /// Whether they are written just as the store gives them.
    pub fn are_plain(&self) -> bool {
        self.projection.is_all() && !self.are_lines()
    }

    /// A piece of a list, `{…},{…}` or, if it follows others, `,{…},{…}`, as it is to be written.
    pub fn piece(&self, piece: Bytes) -> Bytes {
        if self.are_plain() {
            return piece;
        }
        let mut written = Vec::with_capacity(if self.projection.is_all() { piece.len() + 1 } else { 4096 });
        self.projection.rows(&piece, self.rows, &mut written);
        written.into()
    }

    /// Appends the members of a single entity.
    pub fn members(&self, members: &str, out: &mut Vec<u8>) {
        match self.projection.is_all() {
            true => out.extend_from_slice(members.as_bytes()),
            false => self.projection.members(members, out),
        }
    }
}

impl<R: Resource> FromRequestParts<Arc<Instance>> for Representation<R> {
    type Rejection = Failure;

    async fn from_request_parts(
        parts: &mut Parts,
        instance: &Arc<Instance>,
    ) -> Result<Representation<R>, Failure> {
        let select = select(parts.uri.query().unwrap_or_default(), R::SELECTABLE)?;
        let rows = if prefers_lines(&parts.headers) { Rows::Lines } else { Rows::Joined };
        Ok(Representation { origin: Origin::of(parts, instance), select, rows, of: PhantomData })
    }
}

/// Reads `$select`; that it is there once is seen to where the other options are read.
fn select(query: &str, of: Option<(&'static Shape, &'static str)>) -> Result<Select, Failure> {
    let asked = form::pairs(query).find(|(name, _)| name.trim().eq_ignore_ascii_case("$select"));
    let Some((_, text)) = asked else { return Ok(Select::default()) };
    let Some((shape, entity)) = of else {
        return Err(Failure::query("Query option '$select' is not supported by this server."));
    };
    if text.len() > MAX_SELECT || text.split(',').count() > MAX_NAMES {
        return Err(Failure::query(&format!(
            "$select has more than {MAX_NAMES} names or {MAX_SELECT} bytes: name what is needed, or *."
        )));
    }
    let (mut asked, mut shown, mut all) = (Vec::<&str>::new(), Vec::new(), false);
    for name in text.split(',').map(str::trim) {
        if asked.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            continue;
        }
        asked.push(name);
        match shape.members.iter().position(|member| member.name.eq_ignore_ascii_case(name)) {
            Some(place) => shown.push(place),
            None if name == "*" => all = true,
            None => return Err(Failure::query(&no_member(name, entity))),
        }
    }
    shown.sort_unstable();
    let names = shown.into_iter().filter_map(|place| shape.members.get(place)).map(|member| member.name);
    let names: Vec<&'static str> = names.collect();
    let projection = if all { Projection::ALL } else { Projection::of(names.iter().copied()) };
    Ok(Select { projection, names, context: format!("({})", asked.join(",")) })
}

fn no_member(name: &str, entity: &str) -> String {
    // What was sent is repeated only in part.
    let shown: String = name.chars().take(64).collect();
    match name {
        "" => "$select has an empty name between its commas, or none at all.".to_owned(),
        name if name.contains('/') => {
            format!("$select takes the names of properties, no paths such as '{shown}'.")
        }
        _ => format!("Could not find a property named '{shown}' on type '{entity}'."),
    }
}

/// Whether lines of JSON are named by `Accept`, and wished for at least as much as JSON.
fn prefers_lines(headers: &HeaderMap) -> bool {
    let (mut lines, mut json, mut application, mut any) = (None, None, None, None);
    for value in headers.get_all(ACCEPT) {
        for range in value.to_str().unwrap_or_default().split(',') {
            let (name, weight) = weighted(range);
            let known = match name.to_ascii_lowercase().as_str() {
                NDJSON => &mut lines,
                "application/json" => &mut json,
                "application/*" => &mut application,
                "*/*" => &mut any,
                _ => continue,
            };
            *known = (*known).max(Some(weight));
        }
    }
    let lines = lines.unwrap_or(0);
    lines > 0 && lines >= json.or(application).or(any).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::resource::{InOrgFileStats, Machines};

    fn selected<R: Resource>(query: &str) -> Option<(String, Projection)> {
        let Select { projection, context, .. } = select(query, R::SELECTABLE).ok()?;
        Some((context, projection))
    }

    #[test]
    fn names_are_found_in_any_case_and_named_back_as_they_were_asked_for() {
        let projection = |names: &[&'static str]| Projection::of(names.iter().copied());
        for (query, context, expected) in [
            ("", "", Projection::ALL),
            ("$top=1&select=id&$selected=x", "", Projection::ALL),
            ("$select=id", "(id)", projection(&["id"])),
            ("%24Select=+OSPlatform,%20ID+", "(OSPlatform,ID)", projection(&["id", "osPlatform"])),
            ("$select=id,ID,iD", "(id)", projection(&["id"])),
            ("$%73elect=id", "(id)", projection(&["id"])),
            ("$select=*", "(*)", Projection::ALL),
            ("$select=id,*", "(id,*)", Projection::ALL),
        ] {
            assert_eq!(selected::<Machines>(query), Some((context.to_owned(), expected)), "{query}");
        }
    }

    #[test]
    fn what_cannot_be_selected_is_refused() {
        let (many, long) = ("id,".repeat(100), "x".repeat(MAX_SELECT + 1));
        for list in ["", "x", "id,", ",id", "id name", "ipAddresses/macAddress", "**", "id;", &many, &long] {
            assert_eq!(selected::<Machines>(&format!("$select={list}")), None, "{list}");
        }
        assert_eq!(selected::<InOrgFileStats>("$select=sha1"), None);
        assert_eq!(selected::<InOrgFileStats>("$top=1").unwrap().0, "");
    }

    #[test]
    fn lines_are_for_those_who_name_them_and_like_nothing_better() {
        for (accept, lines) in [
            ("", false),
            ("*/*", false),
            ("application/*", false),
            ("application/json", false),
            ("application/x-ndjson", true),
            ("Application/X-NDJSON ; charset=utf-8", true),
            ("application/x-ndjson, */*", true),
            ("application/x-ndjson, application/json", true),
            ("application/json;q=0.9, application/x-ndjson;q=0.9", true),
            ("application/x-ndjson;q=0.5, application/json", false),
            ("application/x-ndjson;q=0.5, application/*", false),
            ("application/x-ndjson;q=0.5, text/html, */*;q=0.1", true),
            ("application/x-ndjson;q=0.5, application/json;q=0.1, */*", true),
            ("application/x-ndjson;q=0", false),
            ("application/x-ndjson;q=0, */*;q=0", false),
            ("application/x-ndjson;q=x", false),
            ("application/x-ndjsonl", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(prefers_lines(&headers), lines, "{accept}");
        }
        let mut several = HeaderMap::new();
        several.append(ACCEPT, "application/json;q=0.3".parse().unwrap());
        several.append(ACCEPT, "application/x-ndjson;q=0.4".parse().unwrap());
        assert!(prefers_lines(&several));
        assert!(!prefers_lines(&HeaderMap::new()));
    }
}
