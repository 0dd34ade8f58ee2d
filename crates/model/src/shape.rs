//! How the API writes an entity: its members, in wire order, with the kind of value each takes.

use serde_json::{Map, Value};

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
    /// Whether answers may have `null` there.
    pub is_nullable: bool,
    /// The words that the API is known to write there, if they are a few. What telemetry says is
    /// repeated all the same, so other words are possible.
    pub words: &'static [&'static str],
    /// What a [`Kind::List`]'s elements or a [`Kind::Object`] are.
    pub of: Option<Part>,
    /// Whether a [`Kind::Int`] has 32 bits in Defender's own metadata.
    pub is_short: bool,
    /// Whether it is shown only to who asks for it by name.
    pub is_on_request: bool,
}

/// What the elements of a list are, or an object.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// Strings.
    Texts,
    /// Objects of this shape.
    Shape(&'static Shape),
}

/// The place of a member in its [`Shape`]. Written to disk: members are only ever added at the
/// end of a shape's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemberId(pub u8);

/// An entity or a part of one as the API writes it.
#[derive(Debug)]
pub struct Shape {
    /// The name of its type, below `microsoft.windowsDefenderATP.api`.
    pub name: &'static str,
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

impl Member {
    /// What holds of a member of which its shape says no more than name and kind.
    pub(crate) const ANY: Member = Member {
        name: "",
        kind: Kind::Text,
        is_nullable: true,
        words: &[],
        of: None,
        is_short: false,
        is_on_request: false,
    };

    /// An element that a source gave in a list for this member, as far as it can be one; `None` if it cannot.
    pub fn element(&self, value: &Value) -> Option<Value> {
        self.of.map_or_else(|| Some(value.clone()), |part| part.fitting(value))
    }

    /// The canonical JSON text of a value a source gave for this member, as [`Kind::canonical`]. Of a
    /// list only the elements that fit are left; of an object, the members that do not fit are `null`.
    pub fn canonical(&self, value: &Value) -> Option<String> {
        let fitting = match (self.of, value) {
            (Some(_), Value::Array(elements)) => {
                Value::Array(elements.iter().filter_map(|element| self.element(element)).collect())
            }
            (Some(part), object @ Value::Object(_)) if self.kind == Kind::Object => part.fitting(object)?,
            _ => return self.kind.canonical(value),
        };
        self.kind.canonical(&fitting)
    }
}

impl Part {
    /// The value as far as it can be one of these; none if it lacks what may not be `null`. Parts of parts
    /// are taken as they are: no shape goes deeper.
    fn fitting(self, value: &Value) -> Option<Value> {
        match (self, value) {
            (Part::Texts, Value::String(_)) => Some(value.clone()),
            (Part::Shape(shape), Value::Object(members)) => {
                let fitting = |(name, value): (&String, &Value)| {
                    let declared = shape.member(name).map(|(_, member)| member.kind);
                    let value = match declared {
                        Some(kind) => kind.canonical(value).and_then(|text| serde_json::from_str(&text).ok()),
                        None => Some(value.clone()),
                    };
                    (name.clone(), value.unwrap_or(Value::Null))
                };
                let fitting: Map<String, Value> = members.iter().map(fitting).collect();
                let has = |member: &Member| {
                    member.is_nullable || fitting.get(member.name).is_some_and(|value| !value.is_null())
                };
                shape.members.iter().all(has).then_some(Value::Object(fitting))
            }
            _ => None,
        }
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

/// Declares a shape and a constant for each member: `CONSTANT "wireName" Kind`, and in braces what
/// else there is to say of it: fields of [`Member`].
macro_rules! shape {
    ($(#[$meta:meta])* SHAPE $type:literal {
        $($id:ident $name:literal $kind:ident $({ $($field:ident: $value:expr),* $(,)? })?),* $(,)?
    }) => {
        $(#[$meta])*
        pub static SHAPE: $crate::Shape = $crate::Shape {
            name: $type,
            members: &[$($crate::Member {
                name: $name,
                kind: $crate::Kind::$kind,
                $($($field: $value,)*)?
                ..$crate::Member::ANY
            }),*],
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

    #[test]
    fn of_lists_and_objects_only_what_fits_is_left() {
        use crate::shapes::{alert, evidence};
        let member = |shape: &Shape, id: MemberId| shape.members[usize::from(id.0)];
        let techniques = member(&alert::SHAPE, alert::MITRE_TECHNIQUES);
        assert_eq!(techniques.canonical(&json!(["T1", 2, null, ["T3"]])).as_deref(), Some(r#"["T1"]"#));
        assert_eq!(techniques.canonical(&json!("T1")), None);
        let comments = member(&alert::SHAPE, alert::COMMENTS);
        assert_eq!(
            comments.canonical(&json!([3, {"comment": {}, "createdTime": "2022-01-01 00:00:00", "x": 1}])),
            Some(r#"[{"comment":null,"createdTime":"2022-01-01T00:00:00Z","x":1}]"#.to_owned())
        );
        let domains = member(&alert::SHAPE, alert::DOMAINS);
        assert_eq!(
            domains.canonical(&json!([{"host": 1}, {}, {"host": null}, {"host": "a.example"}])).as_deref(),
            Some(r#"[{"host":"1"},{"host":"a.example"}]"#)
        );
        let user = member(&alert::SHAPE, alert::RELATED_USER);
        assert_eq!(user.canonical(&json!({"userName": ["a"]})).as_deref(), Some(r#"{"userName":null}"#));
        assert_eq!(user.canonical(&json!([])), None);
        assert_eq!(user.canonical(&Value::Null).as_deref(), Some("null"));
        assert_eq!(
            member(&evidence::SHAPE, evidence::PROCESS_ID).canonical(&json!("7")).as_deref(),
            Some("7")
        );
    }
}
