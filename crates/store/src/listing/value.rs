//! What a list is ordered by, of one row.

use pintle_model::{Kind, MemberId, Shape, Time};
use serde::{Deserialize, Serialize};

use super::OrderBy;
use crate::filter::{Column, folded, text};

/// A member's value as it orders: as its variants and what is in them do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Value {
    Null,
    /// An integer, a truth value, or the ticks of a time.
    Number(i64),
    /// The place in its set, of a name that belongs to one that has an order; then the text in lower case.
    Text(u8, Box<str>),
}

/// Names that have an order, in lower case: as the API's own types number them (inferred).
const LEVELS: &[&str] = &["unspecified", "none", "informational", "low", "normal", "medium", "high"];
const STATES: &[&str] = &["unknown", "new", "inprogress", "resolved"];

impl Value {
    /// Of a member's JSON.
    pub(crate) fn of_json(shape: &Shape, member: MemberId, json: &str) -> Value {
        let Some(member) = shape.members.get(usize::from(member.0)) else { return Value::Null };
        let value = match member.kind {
            Kind::Int => json.parse().ok().map(Value::Number),
            Kind::Bool => json.parse::<bool>().ok().map(|is_true| Value::Number(is_true.into())),
            Kind::Time => {
                text(json).and_then(|text| Time::parse(&text)).map(|time| Value::Number(time.ticks()))
            }
            Kind::Text => text(json).map(|text| Value::of_text(member.name, &text)),
            Kind::List | Kind::Object => None,
        };
        value.unwrap_or(Value::Null)
    }

    /// Of what is at hand of it; `None`: the JSON says.
    pub(crate) fn of_column(shape: &Shape, member: MemberId, column: Column<'_>) -> Option<Value> {
        match column {
            Column::Unknown => None,
            Column::Null => Some(Value::Null),
            Column::Int(number) => Some(Value::Number(number)),
            Column::Time(time) => Some(Value::Number(time.ticks())),
            Column::Json(json) => Some(Value::of_json(shape, member, json)),
            Column::Text(text) => {
                let name = shape.members.get(usize::from(member.0))?.name;
                Some(Value::of_text(name, text))
            }
        }
    }

    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let text = if let Value::Text(_, text) = self { text.len() } else { 0 };
        size_of::<Value>() + text
    }

    fn of_text(member: &str, text: &str) -> Value {
        let cut = text.get(..text.floor_char_boundary(OrderBy::TEXT)).unwrap_or_default();
        let folded = folded(cut);
        let names = match member {
            "severity" | "riskScore" | "exposureLevel" | "deviceValue" => LEVELS,
            "status" => STATES,
            _ => &[],
        };
        let place = names.iter().position(|name| **name == folded);
        // Names that nobody knows come last.
        let place = if names.is_empty() { Some(0) } else { place.and_then(|place| u8::try_from(place).ok()) };
        Value::Text(place.unwrap_or(u8::MAX), folded.into())
    }
}
