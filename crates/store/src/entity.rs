//! What is known of a machine, a file, an alert or a user: one mergeable value for all.

pub(crate) mod edited;
mod joined;
pub(crate) mod reported;
mod stored;
pub(crate) mod tags;

use std::collections::BTreeMap;

use pintle_model::{Change, Fact, Facts, Time};

use crate::{Error, Span};
pub(crate) use joined::MemberEntity;

/// Bounds of what one entity keeps.
pub(crate) mod most {
    /// Adapters of a machine.
    pub(crate) const ADAPTERS: usize = 64;
    /// Names and paths of a file.
    pub(crate) const PATHS: usize = 64;
    /// Kinds of logon of a user.
    pub(crate) const LOGON_TYPES: usize = 16;
    /// Pieces of evidence of an alert.
    pub(crate) const EVIDENCE: usize = 1000;
    /// Parts that people gave: comments on an alert.
    pub(crate) const EDITS: usize = 1000;
    /// Tags that people gave a machine.
    pub(crate) const TAGS_GIVEN: usize = 1000;
    /// Tags of telemetry that people took away from a machine.
    pub(crate) const TAGS_TAKEN: usize = 10_000;
    /// Bytes of comments, as JSON, behind which an alert keeps no older one.
    pub(crate) const COMMENT_BYTES: usize = 256 * 1024;
}

/// A machine, a file, an alert, a user, or a user on a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entity {
    /// First and last event, of plausible time.
    pub(crate) span: Option<Span>,
    /// Its members.
    pub(crate) facts: Facts,
    /// What it has several of, by a name that tells them apart: a machine's adapters, a file's
    /// paths, an alert's evidence, a user's kinds of logon; what people gave it ([`edited`]); and of a
    /// machine what was told of all adapters at once ([`reported`]).
    pub(crate) parts: BTreeMap<Box<str>, Fact>,
}

impl Entity {
    /// As the base stores it.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        stored::write(self, &mut bytes);
        bytes
    }

    /// Reads what [`Entity::to_bytes`] wrote.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Entity, Error> {
        stored::read(bytes).ok_or_else(|| Error::Engine("an entity does not read".to_owned()))
    }

    /// Notes an event.
    pub(crate) fn note_event(&mut self, at: Option<Time>) {
        self.span = Span::joined(self.span, at.map(Span::at));
    }

    /// Notes one of several parts; the newest wins, then the smaller bytes. Of more than `most`
    /// (those that people gave are counted apart, and their comments have a bound in bytes besides) the ones
    /// with the smallest names stay, whatever the order of arrival, so that hostile telemetry cannot grow an
    /// entity without end.
    pub(crate) fn note_part(&mut self, name: Box<str>, fact: Fact, most: usize) -> Change {
        if let Some(known) = self.parts.get_mut(&name) {
            let change = known.take(fact);
            self.drop_old_comments();
            // Which of several is the newest is something that the API shows.
            let is_one_of_several = change.is_any() && self.parts.len() > 1;
            return if is_one_of_several { Change::Value } else { change };
        }
        if !self.make_room(&name, most) {
            return Change::Nothing;
        }
        self.parts.insert(name, fact);
        self.drop_old_comments();
        Change::Value
    }

    /// Takes over what `other` adds. To be seen later than ever is a change of time alone.
    pub(crate) fn merge(&mut self, other: Entity, most_parts: usize) -> Change {
        let span = Span::joined(self.span, other.span);
        let first = |span: Option<Span>| span.map(|span| span.first);
        let mut change = match (span, self.span) {
            (new, old) if new == old => Change::Nothing,
            (new, old) if first(new) == first(old) => Change::Time,
            _ => Change::Value,
        };
        self.span = span;
        change = change.max(self.facts.merge(other.facts));
        for (name, fact) in other.parts {
            change = change.max(self.note_part(name, fact, most_parts));
        }
        change
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_that_stay_do_not_depend_on_the_order_of_arrival() {
        let fact = |n: i64| Fact { at: Time::from_ticks(n), json: n.to_string().into() };
        let (mut up, mut down) = (Entity::default(), Entity::default());
        for n in 0..30 {
            up.note_part(format!("{n:06}").into(), fact(n), 20);
            down.note_part(format!("{:06}", 29 - n).into(), fact(29 - n), 20);
        }
        assert_eq!(up, down);
        assert_eq!(up.parts.len(), 20);
    }
}
