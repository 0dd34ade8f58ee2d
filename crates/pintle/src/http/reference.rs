//! What the API is, told by itself: an OpenAPI document, a page for people, the metadata of OData. All of
//! it is made of the route table, of what an `Entry` adds to a row, and of the shapes of the entities, so
//! nothing here can say what the server does not do. A row without an entry is found by a test.

mod administration;
mod csdl;
mod data;
pub mod openapi;
mod page;
pub(crate) mod schema;
mod serve;
mod tokens;

pub use serve::{document, metadata, page};

use schema::Schema;

use crate::http::routes::Route;

/// What is to be said of a route besides what its row says.
pub(crate) struct Entry {
    /// As the row has it.
    method: &'static str,
    /// As the row has it.
    path: &'static str,
    /// No other's, and the one that calls are counted by, if they are.
    id: &'static str,
    /// A few words.
    summary: &'static str,
    /// What somebody has to know who writes a client.
    meaning: &'static str,
    /// One for each `{key}` of the path, in order.
    keys: &'static [Parameter],
    /// What may stand behind the question mark.
    query: &'static [Parameter],
    /// Headers that bear on the answer.
    headers: &'static [Parameter],
    /// What is sent along.
    body: Option<Body>,
    /// What comes back if all is well.
    answers: &'static [Answer],
    /// What else comes back, beyond what follows from the row: 401, 403 and 500 where there has to be a
    /// token, 429 where calls are counted.
    refusals: &'static [Refusal],
}

/// A status and when it is given.
pub(crate) type Refusal = (u16, &'static str);

/// What may become of a body that is read whole, but for its size.
const BROKE_OFF: Refusal = (408, "`BadRequest`: the body broke off, or came too slowly.");
const PACKED: Refusal = (415, "`InvalidInput`: a `Content-Encoding`.");

/// A part of a URL.
#[derive(Clone, Copy)]
pub(crate) struct Parameter {
    name: &'static str,
    schema: Schema,
    is_required: bool,
    about: &'static str,
}

/// What is sent along with a request.
#[derive(Clone, Copy)]
pub(crate) struct Body {
    is_required: bool,
    /// In any one of these forms.
    content: &'static [Content],
}

/// A body's media type, and what is in it.
pub(crate) type Content = (&'static str, Schema);

/// An answer that is no refusal.
#[derive(Clone, Copy)]
pub(crate) struct Answer {
    status: u16,
    about: &'static str,
    /// In one of these forms; none: it has no body.
    content: &'static [Content],
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

impl Entry {
    /// A read without parameters.
    const GET: Entry = Entry {
        method: "GET",
        path: "",
        id: "",
        summary: "",
        meaning: "",
        keys: &[],
        query: &[],
        headers: &[],
        body: None,
        answers: &[],
        refusals: &[],
    };

    /// What is said of a route.
    pub(crate) fn of(route: &Route) -> Option<&'static Entry> {
        let is_its = |entry: &&Entry| entry.path == route.path && entry.method == route.method.as_str();
        Entry::all().find(is_its)
    }

    /// The path with its keys, also those that are arguments of a function.
    fn url(&self) -> String {
        let Some(function) = self.path.strip_suffix("()") else { return self.path.to_owned() };
        let argument = |key: &Parameter| match key.schema {
            // Times stand there as they are, texts in quotes.
            Schema::Named("recent-time") => format!("{0}={{{0}}}", key.name),
            _ => format!("{0}='{{{0}}}'", key.name),
        };
        let arguments: Vec<String> = self.keys.iter().map(argument).collect();
        format!("{function}({})", arguments.join(","))
    }

    /// Every one.
    fn all() -> impl Iterator<Item = &'static Entry> {
        [
            data::ENTRIES,
            data::RELATED,
            data::OBSERVABLES,
            data::CHANGES,
            data::ELASTIC,
            administration::ENTRIES,
            tokens::ENTRIES,
        ]
        .into_iter()
        .flatten()
    }
}

impl Parameter {
    const fn key(name: &'static str, schema: Schema, about: &'static str) -> Parameter {
        Parameter { name, schema, is_required: true, about }
    }

    const fn option(name: &'static str, schema: Schema, about: &'static str) -> Parameter {
        Parameter { name, schema, is_required: false, about }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::http::routes::routes;

    #[test]
    fn every_route_has_an_entry_and_every_entry_a_route() {
        let routes = routes();
        let without: Vec<String> = routes
            .iter()
            .filter(|route| Entry::of(route).is_none())
            .map(|route| format!("{} {}", route.method, route.path))
            .collect();
        assert!(without.is_empty(), "say in http/reference what these are: {without:?}");
        assert_eq!(Entry::all().count(), routes.len(), "there are entries of routes that are gone");
    }

    #[test]
    fn entries_are_told_apart_by_their_ids_which_are_those_that_calls_are_counted_by() {
        let ids: BTreeSet<&str> = Entry::all().map(|entry| entry.id).collect();
        assert_eq!(ids.len(), Entry::all().count());
        for route in routes() {
            let entry = Entry::of(&route).unwrap();
            if let Some(access) = route.credential.access() {
                assert!(access.quota.is_none_or(|quota| quota == entry.id), "{}", entry.id);
            }
        }
    }

    #[test]
    fn entries_are_whole() {
        for entry in Entry::all() {
            let keys: Vec<String> = entry.keys.iter().map(|key| format!("{{{}}}", key.name)).collect();
            let url = entry.url();
            let in_path: Vec<String> = url
                .split('{')
                .skip(1)
                .map(|part| format!("{{{}}}", part.split('}').next().unwrap()))
                .collect();
            assert_eq!(keys, in_path, "{}", entry.id);
            let texts = [entry.summary, entry.meaning];
            let of_parts = entry.keys.iter().chain(entry.query).chain(entry.headers).map(|part| part.about);
            let of_answers = entry.answers.iter().map(|answer| answer.about);
            let of_refusals = entry.refusals.iter().map(|refusal| refusal.1);
            for text in texts.into_iter().chain(of_parts).chain(of_answers).chain(of_refusals) {
                assert!(!text.trim().is_empty(), "{} says nothing somewhere", entry.id);
            }
            assert!(!entry.answers.is_empty(), "{}", entry.id);
        }
    }
}
