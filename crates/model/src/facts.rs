//! What is known of one entity, mergeable in any order.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::{Deserialize, Serialize};

use crate::{MemberId, Shape, Time};

/// One member's value and the time it was true at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// When the source knew it; [`Time::MIN`] where a value has no time of its own.
    pub at: Time,
    /// The value as JSON text.
    pub json: Box<str>,
}

impl Fact {
    /// Whether this fact replaces `other`: the newer one does, and at the same time the one with
    /// the smaller bytes, so that the order of arrival never shows.
    pub fn replaces(&self, other: &Fact) -> bool {
        self.at > other.at || (self.at == other.at && self.json < other.json)
    }

    /// Becomes `other` if that one replaces this one.
    pub fn take(&mut self, other: Fact) -> Change {
        if !other.replaces(self) {
            return Change::Nothing;
        }
        if other.json == self.json {
            self.at = other.at;
            return Change::Time;
        }
        *self = other;
        Change::Value
    }

    /// Whether the value is this text. May say no where it is one that JSON writes with escapes.
    fn is_text(&self, text: &str) -> bool {
        let escaped = |byte: u8| matches!(byte, b'"' | b'\\' | 0..0x20);
        let inside = self.json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        inside == Some(text) && !text.bytes().any(escaped)
    }
}

/// What it changed to hear something; the greater change counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Nothing: it was known already, or known better.
    #[default]
    Nothing,
    /// Only when a known value was last true.
    Time,
    /// A value.
    Value,
}

impl Change {
    /// Whether there is any.
    pub fn is_any(self) -> bool {
        self != Change::Nothing
    }
}

/// The members of one entity that some source has given, each with its newest value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts(BTreeMap<u8, Fact>);

impl Facts {
    /// Notes a value. An older value, or one with greater bytes at the same time, changes nothing.
    /// Returns whether it was taken.
    pub fn note(&mut self, member: MemberId, at: Time, json: impl Into<Box<str>>) -> bool {
        self.take(member.0, Fact { at, json: json.into() }).is_any()
    }

    /// Notes a text, unless it is empty: an empty cell is an unknown value.
    pub fn note_text(&mut self, member: MemberId, at: Time, text: Option<&str>) {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return };
        // Most of what telemetry says it has said before, so nothing is allocated to hear it again.
        match self.0.get_mut(&member.0) {
            Some(known) if known.at > at => {}
            Some(known) if known.is_text(text) => known.at = at,
            _ => {
                self.note(member, at, serde_json::Value::from(text).to_string());
            }
        }
    }

    /// Notes a point in time.
    pub fn note_time(&mut self, member: MemberId, at: Time, time: Option<Time>) {
        if let Some(time) = time {
            self.note(member, at, format!("\"{time}\""));
        }
    }

    /// Notes a number or a truth value.
    pub fn note_plain(&mut self, member: MemberId, at: Time, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.note(member, at, value.to_string());
        }
    }

    fn take(&mut self, member: u8, fact: Fact) -> Change {
        match self.0.entry(member) {
            Entry::Vacant(entry) => {
                entry.insert(fact);
                Change::Value
            }
            Entry::Occupied(mut entry) => entry.get_mut().take(fact),
        }
    }

    /// Takes over what `other` knows better.
    pub fn merge(&mut self, other: Facts) -> Change {
        other
            .0
            .into_iter()
            .fold(Change::Nothing, |change, (member, fact)| change.max(self.take(member, fact)))
    }

    /// Takes the weight from facts whose time cannot be believed: any believable one replaces them.
    pub fn distrust(&mut self, is_plausible: impl Fn(Time) -> bool) {
        for fact in self.0.values_mut().filter(|fact| !is_plausible(fact.at)) {
            fact.at = Time::MIN;
        }
    }

    /// Bounds what hostile telemetry can make a thing take: a text longer than `most` bytes is cut,
    /// any other value as long is left out.
    pub fn bound(&mut self, most: usize) {
        self.0.retain(|_, fact| {
            if fact.json.len() <= most {
                return true;
            }
            let Ok(text) = serde_json::from_str::<String>(&fact.json) else { return false };
            let cut = text.get(..text.floor_char_boundary(most)).unwrap_or_default();
            fact.json = serde_json::Value::from(cut).to_string().into();
            true
        });
    }

    /// The JSON text of a member, if a source gave one (it may be `null`).
    pub fn json(&self, member: MemberId) -> Option<&str> {
        self.0.get(&member.0).map(|fact| &*fact.json)
    }

    /// A member's value, and when a source knew it.
    pub fn fact(&self, member: MemberId) -> Option<&Fact> {
        self.0.get(&member.0)
    }

    /// When a source knew a member's value.
    pub fn at(&self, member: MemberId) -> Option<Time> {
        self.0.get(&member.0).map(|fact| fact.at)
    }

    /// Says of a value that is known that a source knew it at another time.
    pub fn date(&mut self, member: MemberId, at: Time) {
        if let Some(fact) = self.0.get_mut(&member.0) {
            fact.at = at;
        }
    }

    /// Puts a text in the place of a value that is known, as of the same time.
    pub fn exchange(&mut self, member: MemberId, text: &str) {
        if let Some(fact) = self.0.get_mut(&member.0) {
            fact.json = serde_json::Value::from(text).to_string().into();
        }
    }

    /// A member's text, unescaped; `None` when unknown, `null` or no string.
    pub fn text(&self, member: MemberId) -> Option<String> {
        serde_json::from_str::<Option<String>>(self.json(member)?).ok()?
    }

    /// A member's point in time; `None` when unknown or `null`.
    pub fn time(&self, member: MemberId) -> Option<Time> {
        Time::parse(&self.text(member)?)
    }

    /// The members that are known, ascending, with their facts.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (MemberId, &Fact)> {
        self.0.iter().map(|(member, fact)| (MemberId(*member), fact))
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes the members of `shape` as the inside of a JSON object (`"a":1,"b":null`), every
    /// declared member in wire order, `null` where unknown. `instead` may give a member's text
    /// in place of what is known.
    pub fn write_members<'a>(
        &'a self,
        shape: &Shape,
        out: &mut String,
        mut instead: impl FnMut(MemberId) -> Option<std::borrow::Cow<'a, str>>,
    ) {
        for (place, member) in (0u8..).zip(shape.members) {
            if place > 0 {
                out.push(',');
            }
            out.push('"');
            out.push_str(member.name);
            out.push_str("\":");
            match instead(MemberId(place)) {
                Some(text) => out.push_str(&text),
                None => out.push_str(self.json(MemberId(place)).unwrap_or("null")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_or_left_out() {
        let mut facts = Facts::default();
        facts.note_text(MemberId(0), Time::MIN, Some(&"ü".repeat(30)));
        facts.note(MemberId(1), Time::MIN, format!("[{}1]", "1,".repeat(30)));
        facts.note_text(MemberId(2), Time::MIN, Some("short"));
        facts.bound(21);
        assert_eq!(facts.text(MemberId(0)), Some("ü".repeat(10)));
        assert_eq!(facts.json(MemberId(1)), None);
        assert_eq!(facts.text(MemberId(2)).as_deref(), Some("short"));
    }

    #[test]
    fn a_text_is_noted_as_any_value_is() {
        let texts = ["a", "b", "\\n", "\n", "\"", "\\\"", "é"];
        let said: Vec<(i64, &str)> =
            (0..3).flat_map(|at| texts.iter().map(move |text| (at, *text))).collect();
        let member = MemberId(0);
        for (one, other) in said.iter().flat_map(|one| said.iter().map(move |other| (one, other))) {
            let (mut texts, mut values) = (Facts::default(), Facts::default());
            for (seconds, text) in [one, other] {
                let at = Time::from_unix_seconds(*seconds);
                texts.note_text(member, at, Some(text));
                values.note(member, at, serde_json::Value::from(*text).to_string());
            }
            assert_eq!(texts, values, "{one:?}, {other:?}");
        }
    }

    #[test]
    fn merging_tells_a_new_value_from_a_new_time() {
        let facts = |seconds, json: &str| {
            let mut facts = Facts::default();
            facts.note(MemberId(0), Time::from_unix_seconds(seconds), json);
            facts
        };
        let mut known = facts(1, "1");
        for (seconds, json, change) in [
            (1, "1", Change::Nothing),
            (0, "2", Change::Nothing),
            (2, "1", Change::Time),
            (3, "2", Change::Value),
            (3, "1", Change::Value),
        ] {
            assert_eq!(known.merge(facts(seconds, json)), change, "{json} at {seconds}");
            assert!(!change.is_any() || known == facts(seconds, json), "{json} at {seconds}");
        }
        let mut both = facts(4, "1");
        both.note(MemberId(1), Time::MIN, "0");
        assert_eq!(known.merge(both), Change::Value);
    }

    #[test]
    fn merging_is_the_same_in_any_order_newest_then_smaller_bytes() {
        let at = Time::from_unix_seconds;
        let facts = |values: &[(i64, &str)]| {
            let mut facts = Facts::default();
            for (time, json) in values {
                facts.note(MemberId(0), at(*time), *json);
            }
            facts
        };
        let (old, new, tie) = ((1, "\"a\""), (2, "\"c\""), (2, "\"b\""));
        for order in [[old, new, tie], [tie, new, old], [new, old, tie], [tie, old, new]] {
            assert_eq!(facts(&order).json(MemberId(0)), Some("\"b\""), "{order:?}");
            let mut merged = facts(&order[..1]);
            merged.merge(facts(&order[1..]));
            assert_eq!(merged, facts(&order));
        }
    }
}
