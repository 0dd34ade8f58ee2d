//! Sections with names of the administrator's own, such as `[outside_issuers.NAME]`: what all kinds of them
//! have in common.

use std::fmt;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::load::nearest;
use super::value::{Value, quoted};

/// A name of a tenant, a user group or a format.
pub(super) struct Name(pub(super) String);

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Name, String> {
        let is_plain =
            !text.trim().is_empty() && text.chars().count() <= 120 && !text.chars().any(char::is_control);
        is_plain
            .then(|| Name(text.to_owned()))
            .ok_or_else(|| format!("expected a name of 1 to 120 characters, found {text:?}"))
    }
}

impl Value for Name {
    fn from_text(text: &str) -> Result<Name, String> {
        text.parse()
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(&self.0))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A section while it is read.
pub(super) struct Section<'a, 'p> {
    pub(super) path: &'a str,
    pub(super) at: usize,
    pub(super) table: &'a DeTable<'a>,
    /// Is told, with its place in the file, whatever is wrong.
    pub(super) problem: &'p mut dyn FnMut(usize, String),
}

/// Reads each section of a table of them; what is no section is a problem.
pub(super) fn each(
    kind: &str,
    sections: &DeTable<'_>,
    problem: &mut dyn FnMut(usize, String),
    read: &mut dyn FnMut(&str, &mut Section<'_, '_>),
) {
    for (name, value) in sections {
        let path = format!("{kind}.{}", name.get_ref());
        let at = name.span().start;
        match value.get_ref().as_table() {
            Some(table) => {
                let mut section = Section { path: &path, at, table, problem: &mut *problem };
                read(name.get_ref(), &mut section);
            }
            None => problem(at, format!("{path} is a section: write [{path}] and its keys below")),
        }
    }
}

impl Section<'_, '_> {
    /// There are no keys but these.
    pub(super) fn no_others(&mut self, keys: &[&str]) {
        for name in self.table.keys().filter(|name| !keys.contains(&name.get_ref().as_ref())) {
            let nearest = nearest(name.get_ref(), keys.iter().copied(), '.');
            let path = self.path;
            let message = format!("unknown key {path}.{}, did you mean {path}.{nearest}", name.get_ref());
            (self.problem)(name.span().start, message);
        }
    }

    pub(super) fn find(&self, name: &str) -> Option<&Spanned<DeValue<'_>>> {
        self.table.get(name)
    }

    pub(super) fn wrong(&mut self, name: &str, message: String) {
        let at = self.find(name).map_or(self.at, |value| value.span().start);
        (self.problem)(at, format!("{}.{name}: {message}", self.path));
    }

    pub(super) fn optional<T: Value>(&mut self, name: &str) -> Option<T> {
        match T::from_toml(self.find(name)?.get_ref()) {
            Ok(value) => Some(value),
            Err(message) => {
                self.wrong(name, message);
                None
            }
        }
    }

    pub(super) fn required<T: Value>(&mut self, name: &str, what: &str) -> Option<T> {
        if self.find(name).is_none() {
            (self.problem)(self.at, format!("{}.{name} is not set: it is {what}", self.path));
            return None;
        }
        self.optional(name)
    }
}
