//! How the API writes an entity: its members, in wire order, with the kind of value each takes.

use serde_json::Value;

use crate::Time;

/// What a member's JSON may be. `null` is always allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A 64-bit integer.
    Int,
    /// `true` or `false`.
    Bool,
    /// A point in time, written as [`Time`] is.
    Time,
    /// An array.
    List,
    /// An object.
    Object,
}

/// A member of an entity.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// The name on the wire.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// The place of a member in its [`Shape`]. Written to disk: members are only ever added at the
/// end of a shape's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemberId(pub u8);

/// An entity or a part of one as the API writes it.
#[derive(Debug)]
pub struct Shape {
    /// The members in wire order.
    pub members: &'static [Member],
}

impl Shape {
    /// The member of that exact name.
    pub fn member(&self, name: &str) -> Option<(MemberId, &'static Member)> {
        let place = self.members.iter().position(|member| member.name == name)?;
        Some((MemberId(u8::try_from(place).ok()?), self.members.get(place)?))
    }
}

impl Kind {
    /// The canonical JSON text of a value a source gave for a member of this kind. Numbers in
    /// text and times in other shapes are brought to the API's; what cannot be is `None`, so
    /// that a wrong type never reaches a client.
    pub fn canonical(self, value: &Value) -> Option<String> {
        let fits = match (self, value) {
            (_, Value::Null) => return Some("null".into()),
            (Kind::Time, Value::String(text)) => return Time::parse(text).map(|time| format!("\"{time}\"")),
            (Kind::Int, Value::String(text)) => {
                return text.trim().parse::<i64>().ok().map(|n| n.to_string());
            }
            (Kind::Bool, Value::String(text)) if text.eq_ignore_ascii_case("true") => {
                return Some("true".into());
            }
            (Kind::Bool, Value::String(text)) if text.eq_ignore_ascii_case("false") => {
                return Some("false".into());
            }
            (Kind::Text, Value::Number(number)) => return Some(format!("\"{number}\"")),
            (Kind::Text, Value::String(_))
            | (Kind::Bool, Value::Bool(_))
            | (Kind::List, Value::Array(_))
            | (Kind::Object, Value::Object(_)) => true,
            (Kind::Int, Value::Number(number)) => number.is_i64(),
            _ => false,
        };
        fits.then(|| value.to_string())
    }
}

/// Declares a shape and a constant for each member: `CONSTANT "wireName" Kind`.
macro_rules! shape {
    ($(#[$meta:meta])* SHAPE { $($id:ident $name:literal $kind:ident),* $(,)? }) => {
        $(#[$meta])*
        pub static SHAPE: $crate::Shape = $crate::Shape {
            members: &[$($crate::Member { name: $name, kind: $crate::Kind::$kind }),*],
        };
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Place { $($id),* }
        $(
            #[doc = concat!("`", $name, "`.")]
            pub const $id: $crate::MemberId = $crate::MemberId(Place::$id as u8);
        )*
    };
}
pub(crate) use shape;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_take_the_kind_their_member_declares_or_are_left_out() {
        assert_eq!(Kind::Int.canonical(&json!("12")).as_deref(), Some("12"));
        assert_eq!(Kind::Int.canonical(&json!(1.5)), None);
        assert_eq!(
            Kind::Time.canonical(&json!("2022-01-01 00:00:00.500")).as_deref(),
            Some("\"2022-01-01T00:00:00.5Z\"")
        );
        assert_eq!(Kind::Text.canonical(&json!({"a": 1})), None);
        assert_eq!(Kind::List.canonical(&json!({"entityType": "File"})), None);
        assert_eq!(Kind::Text.canonical(&Value::Null).as_deref(), Some("null"));
    }
}
