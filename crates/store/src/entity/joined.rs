//! What is known of a machine that several sources know, each by an id of its own.

use pintle_model::{Fact, MachineId, shapes::machine as m};

use super::{Entity, most};

impl Entity {
    /// All that is known of machines that are one: merged as what one source says at different times is. But
    /// a full name stands before a short one, whichever is newer, so that the machine keeps its domain; tags
    /// are those that people gave any of them; and the machine is not said to be merged into itself.
    pub(crate) fn of_one_machine<'e>(
        members: impl Iterator<Item = (&'e MachineId, &'e Entity)> + Clone,
    ) -> Entity {
        let mut one = Entity::default();
        for (_, member) in members.clone() {
            one.merge(member.clone(), most::ADAPTERS);
        }
        let entities = || members.clone().map(|(_, entity)| entity);
        let full = entities().filter_map(|entity| entity.facts.fact(m::COMPUTER_DNS_NAME)).filter(is_full);
        if let Some(full) = full.reduce(|one, other| if other.replaces(one) { other } else { one }) {
            one.set_above(m::COMPUTER_DNS_NAME, &full.json);
        }
        let into = one.facts.text(m::MERGED_INTO_MACHINE_ID);
        if into.is_some_and(|into| members.clone().any(|(id, _)| id.as_str() == into)) {
            one.set_above(m::MERGED_INTO_MACHINE_ID, "null");
        }
        one.join_tags(entities());
        one
    }

    /// Sets a member whatever is known of it.
    pub(super) fn set_above(&mut self, member: pintle_model::MemberId, json: &str) {
        let at = self.facts.at(member).map_or(pintle_model::Time::MIN, pintle_model::Time::just_after);
        self.facts.note(member, at, json);
    }

    /// Whether it shows nothing else than another but for when it was last seen.
    pub(crate) fn shows_the_same(&self, other: &Entity) -> bool {
        let first = |entity: &Entity| entity.span.map(|span| span.first);
        fn values(entity: &Entity) -> impl Iterator<Item = (pintle_model::MemberId, &str)> {
            entity.facts.iter().map(|(member, fact)| (member, &*fact.json))
        }
        first(self) == first(other) && values(self).eq(values(other)) && self.parts == other.parts
    }
}

/// Whether a name has a domain.
fn is_full(name: &&Fact) -> bool {
    name.json.trim_matches(['"', '.']).contains('.')
}

#[cfg(test)]
mod tests {
    use pintle_model::Time;

    use super::*;
    use crate::Span;

    fn at(seconds: i64) -> Time {
        Time::from_unix_seconds(1_700_000_000 + seconds)
    }

    fn told(seconds: i64, name: &str, os: &str) -> Entity {
        let mut machine = Entity { span: Some(Span::at(at(seconds))), ..Entity::default() };
        machine.facts.note_text(m::COMPUTER_DNS_NAME, at(seconds), Some(name));
        machine.facts.note_text(m::OS_PLATFORM, at(seconds), Some(os));
        machine
    }

    fn one(members: &[(&str, Entity)]) -> Entity {
        let members: Vec<(MachineId, Entity)> =
            members.iter().map(|(id, entity)| (id.parse().unwrap(), entity.clone())).collect();
        let forwards = Entity::of_one_machine(members.iter().map(|(id, entity)| (id, entity)));
        let backwards = Entity::of_one_machine(members.iter().rev().map(|(id, entity)| (id, entity)));
        assert_eq!(forwards, backwards);
        forwards
    }

    #[test]
    fn the_newest_counts_but_a_full_name_stands_before_a_short_one() {
        let (old, new) = (told(1, "ws5.a.example", "Windows10"), told(9, "WS5", "Windows11"));
        let both = one(&[("a", old.clone()), ("b", new.clone())]);
        assert_eq!(both.facts.text(m::COMPUTER_DNS_NAME).as_deref(), Some("ws5.a.example"));
        assert_eq!(both.facts.text(m::OS_PLATFORM).as_deref(), Some("Windows11"));
        assert_eq!(both.span, Some(Span { first: at(1), last: at(9) }));
        let newer = told(5, "ws5.b.example", "x");
        let all = one(&[("a", old), ("b", new.clone()), ("c", newer)]);
        assert_eq!(all.facts.text(m::COMPUTER_DNS_NAME).as_deref(), Some("ws5.b.example"));
        let short = one(&[("b", new), ("c", told(10, "ws6.", "x"))]);
        assert_eq!(short.facts.text(m::COMPUTER_DNS_NAME).as_deref(), Some("ws6."));
    }

    #[test]
    fn a_machine_is_not_merged_into_itself() {
        let mut merged = told(1, "ws5", "x");
        merged.facts.note_text(m::MERGED_INTO_MACHINE_ID, at(1), Some("b"));
        let into = |ids: [&str; 2]| {
            let both = one(&[(ids[0], merged.clone()), (ids[1], told(2, "ws5", "x"))]);
            both.facts.text(m::MERGED_INTO_MACHINE_ID)
        };
        assert_eq!(into(["a", "b"]), None);
        assert_eq!(into(["a", "c"]).as_deref(), Some("b"));
    }

    #[test]
    fn it_is_told_whether_anything_shows() {
        let (before, mut after) = (told(1, "ws5", "x"), told(1, "ws5", "x"));
        assert!(before.shows_the_same(&after));
        after.merge(told(2, "ws5", "x"), most::ADAPTERS);
        assert!(before.shows_the_same(&after), "only later");
        after.merge(told(3, "ws5", "y"), most::ADAPTERS);
        assert!(!before.shows_the_same(&after));
        assert!(!told(1, "ws5", "x").shows_the_same(&told(2, "ws5", "x")), "first seen later");
    }
}
