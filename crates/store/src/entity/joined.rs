//! What is known of a machine that several sources know, each by an id of its own.

use pintle_model::{Fact, MachineId, MemberId, shapes::machine as m};

use super::edited::is_by_people;
use super::{Entity, most};
use crate::Span;

/// One of several machines that are one.
#[derive(Clone, Copy)]
pub(crate) struct MemberEntity<'e> {
    pub(crate) id: &'e MachineId,
    pub(crate) entity: &'e Entity,
    /// Whether its word counts before that of those of which this does not hold.
    pub(crate) decides: bool,
}

impl Entity {
    /// All that is known of machines that are one: of those that decide merged as what one source says at
    /// different times is, and of the others what none of those says. But a full name stands before a short
    /// one, whichever is newer, so that the machine keeps its domain; what people changed is what they changed
    /// of any of them; and the machine is not said to be merged into itself.
    pub(crate) fn of_one_machine<'e>(members: impl Iterator<Item = MemberEntity<'e>> + Clone) -> Entity {
        let told = |decides| members.clone().filter(move |member| member.decides == decides);
        let mut one = Entity::told_by(told(true));
        one.add_unsaid(Entity::told_by(told(false)));
        let into = one.facts.text(m::MERGED_INTO_MACHINE_ID);
        if into.is_some_and(|into| members.clone().any(|member| member.id.as_str() == into)) {
            one.set_above(m::MERGED_INTO_MACHINE_ID, "null");
        }
        one.join_tags(members.map(|member| member.entity));
        one
    }

    /// What decides what is done with machines that are one: what those say that decide, and the tags that
    /// people gave any of them.
    pub(crate) fn deciding<'e>(members: impl Iterator<Item = MemberEntity<'e>> + Clone) -> Entity {
        let mut one = Entity::told_by(members.clone().filter(|member| member.decides));
        one.join_tags(members.map(|member| member.entity));
        one
    }

    fn told_by<'e>(members: impl Iterator<Item = MemberEntity<'e>> + Clone) -> Entity {
        let mut one = Entity::default();
        for member in members.clone() {
            one.merge(member.entity.clone(), most::ADAPTERS);
        }
        let names = members.filter_map(|member| member.entity.facts.fact(m::COMPUTER_DNS_NAME));
        let full = names.filter(is_full);
        if let Some(full) = full.reduce(|one, other| if other.replaces(one) { other } else { one }) {
            one.set_above(m::COMPUTER_DNS_NAME, &full.json);
        }
        one
    }

    /// Takes over of another what is not known of this one: its time, of its telemetry what this one's says
    /// nothing of, and what people changed later. A group's name and number are told together, and so are
    /// adapters and the last address.
    fn add_unsaid(&mut self, other: Entity) {
        self.span = Span::joined(self.span, other.span);
        let says = |member: MemberId| self.facts.fact(member).is_some();
        let has_adapters = self.told().next().is_some();
        let is_new = |member: &MemberId| match *member {
            member if is_by_people(member) => true,
            m::RBAC_GROUP_ID | m::RBAC_GROUP_NAME => !says(m::RBAC_GROUP_ID) && !says(m::RBAC_GROUP_NAME),
            m::LAST_IP_ADDRESS => !has_adapters && !says(m::LAST_IP_ADDRESS),
            member => !says(member),
        };
        let new: Vec<(MemberId, Fact)> = other
            .facts
            .iter()
            .filter(|(member, _)| is_new(member))
            .map(|(member, fact)| (member, fact.clone()))
            .collect();
        new.into_iter().for_each(|(member, fact)| _ = self.facts.note(member, fact.at, fact.json));
        if !has_adapters {
            let adapters = other.told().map(|(name, fact)| (name.into(), fact.clone()));
            let adapters: Vec<(Box<str>, Fact)> = adapters.collect();
            self.parts.extend(adapters);
        }
    }

    /// Sets a member whatever is known of it.
    pub(super) fn set_above(&mut self, member: MemberId, json: &str) {
        let at = self.facts.at(member).map_or(pintle_model::Time::MIN, pintle_model::Time::just_after);
        self.facts.note(member, at, json);
    }

    /// Whether it shows nothing else than another but for when it was last seen.
    pub(crate) fn shows_the_same(&self, other: &Entity) -> bool {
        let first = |entity: &Entity| entity.span.map(|span| span.first);
        fn values(entity: &Entity) -> impl Iterator<Item = (MemberId, &str)> {
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
        one_of(&members.iter().map(|(id, entity)| (*id, entity.clone(), true)).collect::<Vec<_>>())
    }

    /// Each with its id and whether it decides.
    fn one_of(members: &[(&str, Entity, bool)]) -> Entity {
        let ids: Vec<MachineId> = members.iter().map(|(id, ..)| id.parse().unwrap()).collect();
        let members = ids.iter().zip(members);
        let members =
            members.map(|(id, (_, entity, decides))| MemberEntity { id, entity, decides: *decides });
        let forwards = Entity::of_one_machine(members.clone());
        assert_eq!(forwards, Entity::of_one_machine(members.rev()));
        forwards
    }

    #[test]
    fn those_that_do_not_decide_add_what_nobody_else_says_and_no_more() {
        let adapter = |machine: &mut Entity, name: &str, seconds: i64| {
            let json = format!("[{{\"ipAddress\":\"192.0.2.{seconds}\"}}]").into();
            machine.note_part(name.into(), Fact { at: at(seconds), json }, most::ADAPTERS);
        };
        let mut decides = told(5, "ws5", "Windows10");
        let mut other = told(9, "ws5.corp.example", "Linux");
        other.facts.note_text(m::OS_VERSION, at(9), Some("12"));
        other.facts.note_text(m::MERGED_INTO_MACHINE_ID, at(9), Some("a"));
        other.facts.note_text(m::LAST_IP_ADDRESS, at(9), Some("192.0.2.9"));
        other.facts.note_plain(m::RBAC_GROUP_ID, at(9), Some(7));
        decides.facts.note_text(m::RBAC_GROUP_NAME, at(1), Some("Servers"));
        adapter(&mut other, "a", 9);
        let both = |decides: &Entity, other: &Entity| {
            let both = one_of(&[("a", decides.clone(), true), ("b", other.clone(), false)]);
            assert_eq!(both.facts.fact(m::RBAC_GROUP_ID), None, "it is the number of another group");
            let texts = [
                m::COMPUTER_DNS_NAME,
                m::OS_PLATFORM,
                m::OS_VERSION,
                m::MERGED_INTO_MACHINE_ID,
                m::LAST_IP_ADDRESS,
            ];
            let adapters: Vec<String> = both.told().map(|(name, _)| name.to_owned()).collect();
            (texts.map(|member| both.facts.text(member)), adapters, both.span)
        };
        let some = |text: &str| Some(text.to_owned());
        let expected =
            |last: Option<&str>| [some("ws5"), some("Windows10"), some("12"), None, last.map(str::to_owned)];
        let span = Some(Span { first: at(5), last: at(9) });
        assert_eq!(both(&decides, &other), (expected(Some("192.0.2.9")), vec!["a".to_owned()], span));
        adapter(&mut decides, "b", 1);
        assert_eq!(both(&decides, &other), (expected(None), vec!["b".to_owned()], span));
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
