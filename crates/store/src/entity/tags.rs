//! The tags of a machine: those that telemetry gives, and what people made of them.
//!
//! What people did is one value, which the next change by them takes the place of as a whole: so what
//! nobody needs any longer can go from it, and yet comes back by no merge.

use std::collections::BTreeSet;

use pintle_model::{MemberId, Time, shapes};
use serde::{Deserialize, Serialize};

use super::Entity;
use super::most;
use crate::edit::{Edit, TagMark};

/// The number under which a machine keeps what people did.
const TAGS: MemberId = MemberId(0x7d);
/// What begins the name of a part that is one tag: how bases kept what people did before.
const TAG: &str = "!t";

/// A machine's tags by whose they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tags {
    told: BTreeSet<String>,
    by_people: ByPeople,
}

/// What people did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct ByPeople {
    given: BTreeSet<String>,
    /// Those that telemetry gave when they were taken away: it may give them again.
    taken: BTreeSet<String>,
}

/// A bound of what people can do to the tags of one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    Given,
    Taken,
}

impl Tags {
    /// All that the machine has.
    pub(crate) fn shown(&self) -> BTreeSet<String> {
        let ByPeople { given, taken } = &self.by_people;
        self.told.difference(taken).chain(given).cloned().collect()
    }

    /// How a tag is taken away: one that only people gave is gone with that, and telemetry may give it
    /// one day; one that telemetry gives stays away.
    pub(crate) fn taking(&self, tag: &str) -> TagMark {
        if self.told.contains(tag) { TagMark::Taken } else { TagMark::Withdrawn }
    }

    /// Whether these changes would bring it above a bound.
    pub(crate) fn is_full_with(&self, changes: &[(Box<str>, TagMark)]) -> Option<Full> {
        let mut then = self.by_people.clone();
        then.change(changes);
        let exceeds = |of: fn(&ByPeople) -> &BTreeSet<String>, most: usize| {
            let (before, then) = (of(&self.by_people).len(), of(&then).len());
            then > most && then > before
        };
        if exceeds(|tags| &tags.given, most::TAGS_GIVEN) {
            return Some(Full::Given);
        }
        exceeds(|tags| &tags.taken, most::TAGS_TAKEN).then_some(Full::Taken)
    }
}

impl ByPeople {
    /// The same again changes nothing, and of several changes of a tag the last one counts, however often
    /// they are all made again.
    fn change(&mut self, changes: &[(Box<str>, TagMark)]) {
        for (tag, mark) in changes {
            for (tags, is_one) in
                [(&mut self.given, *mark == TagMark::Given), (&mut self.taken, *mark == TagMark::Taken)]
            {
                match is_one {
                    true => _ = tags.insert(tag.to_string()),
                    false => _ = tags.remove(&**tag),
                }
            }
        }
    }
}

impl Entity {
    /// A machine's tags.
    pub(crate) fn tags(&self) -> Tags {
        let told = self.facts.json(shapes::machine::MACHINE_TAGS);
        let told = told.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        Tags { told, by_people: self.tags_by_people() }
    }

    fn tags_by_people(&self) -> ByPeople {
        if let Some(kept) = self.facts.json(TAGS).and_then(|json| serde_json::from_str(json).ok()) {
            return kept;
        }
        let mut by_people = ByPeople::default();
        for (name, fact) in self.edits() {
            if let Some(tag) = name.strip_prefix(TAG) {
                let is_given = &*fact.json == "true";
                let tags = if is_given { &mut by_people.given } else { &mut by_people.taken };
                tags.insert(tag.to_owned());
            }
        }
        by_people
    }

    /// Takes over what people did to the tags of machines that are this one: a tag that they gave any of
    /// them it has, and one of telemetry's that they took from any of them it has not.
    pub(super) fn join_tags<'e>(&mut self, members: impl Iterator<Item = &'e Entity>) {
        let mut all = ByPeople::default();
        for ByPeople { given, taken } in members.map(Entity::tags_by_people) {
            all.given.extend(given);
            all.taken.extend(taken);
        }
        if all != ByPeople::default() {
            self.set_above(TAGS, &serde_json::json!(all).to_string());
        }
    }

    /// What a change by people, made at this moment, makes of the tags of a machine, to be merged into it.
    pub(super) fn change_tags(&self, edit: &Edit, at: Time) -> Entity {
        let mut change = Entity::default();
        if !edit.tags.is_empty() {
            let mut by_people = self.tags_by_people();
            by_people.change(&edit.tags);
            let at = self.facts.at(TAGS).map_or(at, |last| at.max(last.just_after()));
            change.facts.note(TAGS, at, serde_json::json!(by_people).to_string());
        }
        change
    }
}

/// Whether a change of a machine, heard as an entity, says anything of what people did to its tags.
pub(crate) fn changes_tags(heard: &Entity) -> bool {
    heard.facts.json(TAGS).is_some() || heard.edits().any(|(name, _)| name.starts_with(TAG))
}

#[cfg(test)]
mod tests {
    use pintle_model::Fact;

    use crate::edit::Edited;

    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_unix_seconds(1_700_000_000 + seconds)
    }

    fn edit(tags: &[(&str, TagMark)]) -> Edit {
        Edit {
            made: at(0),
            of: Edited::Machine("m".parse().unwrap()),
            by: "alex".into(),
            members: Vec::new(),
            comment: None,
            tags: tags.iter().map(|(tag, mark)| ((*tag).into(), *mark)).collect(),
        }
    }

    fn shown(machine: &Entity) -> Vec<String> {
        Vec::from_iter(machine.tags().shown())
    }

    fn make(machine: &mut Entity, tags: &[(&str, TagMark)], seconds: i64) {
        let change = machine.change_tags(&edit(tags), at(seconds));
        machine.merge(change, 1);
    }

    #[test]
    fn tags_that_people_gave_or_took_away_stay_so() {
        use TagMark::{Given, Taken};
        let mut machine = Entity::default();
        make(&mut machine, &[("b", Given), ("a", Taken)], 1);
        machine.facts.note(shapes::machine::MACHINE_TAGS, at(2), r#"["a","c"]"#);
        assert_eq!(shown(&machine), ["b", "c"]);
        make(&mut machine, &[("a", Given), ("b", Taken)], 3);
        assert_eq!(shown(&machine), ["a", "c"]);
    }

    #[test]
    fn what_people_did_counts_from_a_base_that_kept_it_by_the_tag() {
        let mut machine = Entity::default();
        machine.facts.note(shapes::machine::MACHINE_TAGS, at(2), r#"["a","c"]"#);
        for (tag, json) in [("a", "false"), ("b", "true")] {
            let fact = Fact { at: at(1), json: json.into() };
            machine.note_part([TAG, tag].concat().into(), fact, 1);
        }
        assert_eq!(shown(&machine), ["b", "c"]);
        make(&mut machine, &[("d", TagMark::Given)], 3);
        assert_eq!(shown(&machine), ["b", "c", "d"]);
        make(&mut machine, &[("b", TagMark::Withdrawn)], 4);
        assert_eq!(shown(&machine), ["c", "d"]);
    }

    #[test]
    fn tags_that_come_and_go_leave_nothing() {
        let mut machine = Entity::default();
        let before = {
            make(&mut machine, &[("x", TagMark::Given), ("x", TagMark::Withdrawn)], 0);
            machine.to_bytes().len()
        };
        for n in 0..3_000 {
            let tag = format!("INC{n}");
            make(&mut machine, &[(&tag, TagMark::Given)], n);
            assert_eq!(shown(&machine), [&*tag]);
            let taking = machine.tags().taking(&tag);
            make(&mut machine, &[(&tag, taking)], n);
        }
        assert!(machine.to_bytes().len() < before + 8);
    }

    #[test]
    fn changes_that_are_made_again_change_nothing() {
        // After a crash the last changes are made again, on top of what they had made.
        const MARKS: [TagMark; 3] = [TagMark::Taken, TagMark::Given, TagMark::Withdrawn];
        let change = |number: usize| (["told", "not"][number / 3 % 2], MARKS[number % 3]);
        for number in 0..6 * 6 * 6 * 6 {
            let changes = [number, number / 6, number / 36, number / 216].map(|number| change(number % 6));
            let mut machine = Entity::default();
            machine.facts.note(shapes::machine::MACHINE_TAGS, at(0), r#"["told"]"#);
            changes.iter().for_each(|change| make(&mut machine, &[*change], 1));
            let expected = machine.tags();
            for from in 0..changes.len() {
                let mut again = machine.clone();
                // The clock may have been set back meanwhile.
                changes[from..].iter().for_each(|change| make(&mut again, &[*change], 0));
                assert_eq!(again.tags(), expected, "{changes:?} from {from}");
            }
        }
    }
}
