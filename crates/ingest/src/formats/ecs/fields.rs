//! A document's members by their whole names, however they are nested.

use std::borrow::Cow;
use std::cell::Cell;

use pintle_model::{Hashes, Time};

use crate::format::Problem;
use crate::json::{self, Json, Object};
use crate::time;

/// The most members, …
const MAX_FIELDS: usize = 10_000;
/// … and the longest name of one.
const MAX_NAME: usize = 512;

/// A document's members.
pub struct Fields<'a> {
    /// By name, with whether somebody asked for it.
    fields: Vec<(String, Json<'a>, Cell<bool>)>,
}

impl<'a> Fields<'a> {
    /// Brings all members to one level. Lists are kept as they are.
    pub fn of(document: &Object<'a>) -> Result<Fields<'a>, Problem> {
        let mut fields: Vec<(String, Json<'a>, Cell<bool>)> = Vec::with_capacity(128);
        let mut open = Vec::new();
        let mut begin = |prefix: &str, members: &Object<'a>, open: &mut Vec<(String, Json<'a>)>| {
            for (name, value) in &members.members {
                if prefix.len() + name.len() >= MAX_NAME {
                    return Err(Problem::from("a member with a name longer than 512 bytes"));
                }
                let name = if prefix.is_empty() { name.to_string() } else { format!("{prefix}.{name}") };
                if value.raw().starts_with('{') {
                    open.push((name, *value));
                } else if !value.is_null() {
                    fields.push((name, *value, Cell::new(false)));
                }
                if fields.len() + open.len() > MAX_FIELDS {
                    return Err(Problem::from("more than 10,000 members"));
                }
            }
            Ok(())
        };
        begin("", document, &mut open)?;
        while let Some((name, value)) = open.pop() {
            if let Some(members) = value.object() {
                begin(&name, &members, &mut open)?;
            }
        }
        fields.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        Ok(Fields { fields })
    }

    /// A member's value.
    pub fn get(&self, name: &str) -> Option<Json<'a>> {
        let place = self.fields.partition_point(|(other, ..)| other.as_str() < name);
        let (found, value, is_taken) = self.fields.get(place)?;
        (found == name).then(|| {
            is_taken.set(true);
            *value
        })
    }

    /// A member's text, of a list the first that has one.
    pub fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        let value = self.get(name)?;
        if value.raw().starts_with('[') {
            return self.texts(name).into_iter().next();
        }
        value.text().filter(|text| !text.trim().is_empty())
    }

    /// A member's texts, be it a list or one.
    pub fn texts(&self, name: &str) -> Vec<Cow<'a, str>> {
        let elements = self.get(name).map(Json::elements).unwrap_or_default();
        elements.into_iter().filter_map(Json::text).filter(|text| !text.trim().is_empty()).collect()
    }

    /// The first member of some that has a text.
    pub fn first(&self, names: &[&str]) -> Option<Cow<'a, str>> {
        names.iter().find_map(|name| self.text(name))
    }

    /// Whether a member says so, alone or among others.
    pub fn says(&self, name: &str, word: &str) -> bool {
        self.texts(name).iter().any(|text| text.eq_ignore_ascii_case(word))
    }

    /// A member that is a number.
    pub fn number(&self, name: &str) -> Option<i64> {
        let text = self.text(name)?;
        json::long(text.split_once('.').map_or(&*text, |(whole, _)| whole))
    }

    /// A member that is a time.
    pub fn time(&self, name: &str) -> Option<Time> {
        time::read(&self.text(name)?)
    }

    /// The hashes of a file: `md5`, `sha1` and `sha256` below `name`.
    pub fn hashes(&self, name: &str) -> Hashes {
        let hash = |kind: &str| self.text(&format!("{name}.hash.{kind}"));
        let (sha1, sha256, md5) = (hash("sha1"), hash("sha256"), hash("md5"));
        Hashes::read(sha1.as_deref(), sha256.as_deref(), md5.as_deref())
    }

    /// Whether there is a member below `name`.
    pub fn has_below(&self, name: &str) -> bool {
        let place = self.fields.partition_point(|(other, ..)| other.as_str() < name);
        let rest = self.fields.iter().skip(place).map(|(other, ..)| other);
        // Names such as `a-b` may stand between `a` and `a.b`.
        let mut same = rest.map_while(|other| other.strip_prefix(name));
        same.any(|other| other.starts_with('.'))
    }

    /// What nobody asked for.
    pub fn rest(&self) -> impl Iterator<Item = (&str, Json<'a>)> {
        let rest = self.fields.iter().filter(|(.., is_taken)| !is_taken.get());
        rest.map(|(name, value, _)| (name.as_str(), *value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_the_same_nested_or_dotted() {
        for document in [
            r#"{"process":{"hash":{"sha256":"x"},"pid":[7]},"tags":["a","b"]}"#,
            r#"{"process.hash.sha256":"x","process":{"pid":7},"tags":["a","b"]}"#,
            r#"{"process":{"hash.sha256":"x"},"process.pid":"7","tags":["a","b"]}"#,
        ] {
            let object = Object::parse(document.as_bytes()).unwrap();
            let fields = Fields::of(&object).unwrap();
            assert_eq!(fields.text("process.hash.sha256").as_deref(), Some("x"));
            assert_eq!(fields.number("process.pid"), Some(7));
            assert!(fields.says("tags", "B") && fields.has_below("process") && !fields.has_below("proc"));
            assert_eq!(fields.rest().count(), 0);
        }
    }

    #[test]
    fn names_and_members_are_bounded() {
        let long = format!(r#"{{"{}":{{"b":1}}}}"#, "a".repeat(600));
        let many = (0..10_001).map(|number| format!(r#""m{number}":1"#)).collect::<Vec<_>>().join(",");
        for document in [long, format!("{{{many}}}")] {
            let object = Object::parse(document.as_bytes()).unwrap();
            assert!(Fields::of(&object).is_err());
        }
    }
}
