//! Where in a record a value is.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use crate::json::{Json, Object};

/// Where a value is: at a path, at the first of several that is there, or in the mapping itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "the path of a member, a list of paths, or { text = \"…\" }")]
pub enum Source {
    /// A path.
    Path(String),
    /// Paths, tried in turn.
    Paths(Vec<String>),
    /// The same for every record.
    Text {
        /// The text.
        text: String,
    },
}

impl Source {
    /// The text there; `None` where there is none, or an empty one.
    pub fn text<'r>(&'r self, record: &Object<'r>) -> Option<Cow<'r, str>> {
        let at = |path: &str| find(record, path)?.text().filter(|text| !text.trim().is_empty());
        match self {
            Source::Path(path) => at(path),
            Source::Paths(paths) => paths.iter().find_map(|path| at(path)),
            Source::Text { text } => Some(Cow::Borrowed(text)),
        }
    }

    /// The path's own members, which need not be kept once more.
    pub fn roots(&self) -> impl Iterator<Item = &str> {
        let paths = match self {
            Source::Path(path) => std::slice::from_ref(path),
            Source::Paths(paths) => paths,
            Source::Text { .. } => &[],
        };
        paths.iter().map(String::as_str)
    }
}

/// The value at a path, if it is there and not `null`.
pub fn find<'a>(record: &Object<'a>, path: &str) -> Option<Json<'a>> {
    if let Some(value) = record.get(path) {
        return Some(value).filter(|value| !value.is_null());
    }
    let (first, rest) = path.split_once('.')?;
    find(&record.get(first)?.object()?, rest)
}

/// What members of a record must be, by path.
pub type Wanted = BTreeMap<String, Words>;

/// One of some words, or anything but nothing.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "a text, a list of texts, or true for a member that must be there")]
pub enum Words {
    /// This one.
    One(String),
    /// One of these.
    Any(Vec<String>),
    /// There (`true`), or not (`false`).
    IsThere(bool),
}

impl Words {
    /// Whether a member's text is as wanted.
    pub fn take(&self, text: Option<&str>) -> bool {
        match self {
            Words::One(word) => text == Some(word),
            Words::Any(words) => text.is_some_and(|text| words.iter().any(|word| word == text)),
            Words::IsThere(is_there) => text.is_some() == *is_there,
        }
    }
}
