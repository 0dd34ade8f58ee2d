//! What people changed of an entity, kept beside what telemetry says of the same members, and shown in
//! its place. And when an alert last changed here, which no source can say.

use std::ops::Bound;

use pintle_model::{Fact, MemberId, Time, shapes};
use serde_json::json;

use super::{Entity, most};
use crate::edit::Edit;

/// What begins the names of parts that people gave: comments. No part from telemetry does.
pub(crate) const MARK: &str = "!";
/// What comes after all of them.
const BEHIND: &str = "\"";
const COMMENT: &str = "!c";

/// The number under which it is kept when something of an alert was last changed.
const CHANGED: MemberId = MemberId(0x7e);
/// The same of what came by a live inlet or from people: so late it became known.
const ARRIVED: MemberId = MemberId(0x7f);

/// The number under which an entity keeps what people set of a member.
fn set(member: MemberId) -> MemberId {
    MemberId(member.0 | 0x80)
}

/// Whether under this number stands what people set of a member.
pub(super) fn is_by_people(member: MemberId) -> bool {
    member.0 & 0x80 != 0
}

impl Entity {
    /// The JSON of a member as it is shown: what people set, else what telemetry says.
    pub(crate) fn shown(&self, member: MemberId) -> Option<&str> {
        self.facts.json(set(member)).or_else(|| self.facts.json(member))
    }

    /// What a change by people, made at this moment, changes of a machine, to be merged into it.
    pub(crate) fn change_of_machine(&self, edit: &Edit, at: Time) -> Entity {
        let mut change = self.change_tags(edit, at);
        change.edit(edit, at);
        change
    }

    /// The same of an alert: to resolve it, or to open it again, has a time too. That is when it was done;
    /// `at` is later where it is applied again after a crash.
    pub(crate) fn change_of_alert(&self, edit: &Edit, at: Time) -> Entity {
        use shapes::alert as a;
        const RESOLVED: &str = "\"Resolved\"";
        let was_resolved = self.shown(a::STATUS) == Some(RESOLVED)
            && self.shown(a::RESOLVED_TIME).is_some_and(|time| time != "null");
        let mut change = Entity::default();
        change.edit(edit, at);
        match change.facts.json(set(a::STATUS)).map(|status| status == RESOLVED) {
            None => {}
            Some(true) if was_resolved => {}
            Some(true) => _ = change.facts.note(set(a::RESOLVED_TIME), at, format!("\"{}\"", edit.made)),
            Some(false) => _ = change.facts.note(set(a::RESOLVED_TIME), at, "null"),
        }
        change
    }

    /// Takes a change over, made at this moment, but for tags.
    fn edit(&mut self, edit: &Edit, at: Time) {
        for (member, json) in &edit.members {
            self.facts.note(set(MemberId(*member)), at, json.clone());
        }
        if let Some(comment) = &edit.comment {
            // The newest sort first, and stay where there are too many.
            let name = format!("{COMMENT}{:016x}", !edit.made.ticks().cast_unsigned());
            let json =
                json!({ "comment": comment, "createdBy": edit.by, "createdTime": edit.made.to_string() });
            self.note_part(name.into(), Fact { at: edit.made, json: json.to_string().into() }, most::EDITS);
        }
    }

    /// Notes when something of an alert was changed here; if `is_live`, it was not known before.
    pub(crate) fn note_change(&mut self, at: Time, is_live: bool) {
        self.facts.note(CHANGED, at, "0");
        if is_live {
            self.facts.note(ARRIVED, at, "0");
        }
    }

    /// Whether it is the same alert but for when it changed here.
    pub(crate) fn is_alike(&self, other: &Entity) -> bool {
        fn facts(alert: &Entity) -> impl Iterator<Item = (MemberId, &Fact)> {
            alert.facts.iter().filter(|(member, _)| ![CHANGED, ARRIVED].contains(member))
        }
        self.span == other.span && self.parts == other.parts && facts(self).eq(facts(other))
    }

    /// Takes over when another of the same alert changed, as far as that was later.
    pub(crate) fn take_dates(&mut self, other: &Entity) {
        for (member, fact) in other.facts.iter().filter(|(member, _)| [CHANGED, ARRIVED].contains(member)) {
            self.facts.note(member, fact.at, fact.json.clone());
        }
    }

    /// Shows what changed here after one moment as if it had changed at another.
    pub(crate) fn date_changes_after(&mut self, moment: Time, shown: Time) {
        for member in [CHANGED, ARRIVED] {
            if self.facts.at(member).is_some_and(|at| at > moment) {
                self.facts.date(member, shown);
            }
        }
    }

    /// The number of an alert's last change, in ticks since 1970 about when it was made: each is greater
    /// than all before it. 0 for one that did not change since numbers are given.
    pub(crate) fn sequence(&self) -> i64 {
        self.facts.at(CHANGED).map_or(0, Time::ticks)
    }

    /// When an alert was updated last: as telemetry says, or by its newest event, or here. What came as it
    /// happened was updated when it came, whatever its source's clock says: one that is ahead would have who
    /// polls by this time miss all that comes meanwhile.
    pub(crate) fn last_update(&self) -> Option<Time> {
        let (arrived, changed) = (self.facts.at(ARRIVED), self.facts.at(CHANGED));
        if arrived.is_some() && arrived == changed {
            return arrived;
        }
        let told = self.facts.time(shapes::alert::LAST_UPDATE_TIME);
        let told = told.filter(|told| changed.is_none_or(|changed| told.is_plausible(changed)));
        told.or(self.span.map(|span| span.last)).max(arrived)
    }

    /// The comments on an alert as a JSON array: those that telemetry gives, then those made here, the
    /// oldest first. `None`: none was made here.
    pub(crate) fn comments(&self) -> Option<String> {
        let mut made: Vec<&str> = self.kept_comments().map(|(_, fact)| &*fact.json).collect();
        made.reverse();
        let told = self.facts.json(shapes::alert::COMMENTS);
        let told = told.and_then(|json| json.strip_prefix('[')?.strip_suffix(']')).map(str::trim);
        let told = told.filter(|told| !told.is_empty()).into_iter();
        (!made.is_empty()).then(|| format!("[{}]", told.chain(made).collect::<Vec<_>>().join(",")))
    }

    /// The comments made here that stay, the newest first: each that stands behind no more than
    /// [`most::COMMENT_BYTES`] of newer ones. One that does not would not whatever else came, and what is older
    /// stands behind as much without it: so which stay does not depend on the order in which they came, nor
    /// on what was dropped in between. (It would if one that is too long were passed over for an older one.)
    fn kept_comments(&self) -> impl Iterator<Item = (&str, &Fact)> {
        let mut newer = 0;
        self.made_comments().take_while(move |(_, fact)| {
            let stays = newer <= most::COMMENT_BYTES;
            newer += fact.json.len();
            stays
        })
    }

    /// The newest first.
    fn made_comments(&self) -> impl Iterator<Item = (&str, &Fact)> {
        // Tags come behind them.
        self.edits().take_while(|(name, _)| name.starts_with(COMMENT))
    }

    /// Bytes of those newer than the one of this name.
    fn newer_comments(&self, name: &str) -> usize {
        self.made_comments().take_while(|(newer, _)| *newer < name).map(|(_, fact)| fact.json.len()).sum()
    }

    /// Drops the comments that do not stay.
    pub(super) fn drop_old_comments(&mut self) {
        let dropped = self.made_comments().skip(self.kept_comments().count());
        for name in dropped.map(|(name, _)| name.to_owned()).collect::<Vec<_>>() {
            self.parts.remove(name.as_str());
        }
    }

    /// The parts that people gave.
    pub(super) fn edits(&self) -> impl DoubleEndedIterator<Item = (&str, &Fact)> {
        self.parts
            .range::<str, _>((Bound::Included(MARK), Bound::Excluded(BEHIND)))
            .map(|(name, fact)| (&**name, fact))
    }

    /// The parts that telemetry gave.
    pub(crate) fn told(&self) -> impl DoubleEndedIterator<Item = (&str, &Fact)> {
        self.parts.iter().map(|(name, fact)| (&**name, fact)).filter(|(name, _)| !name.starts_with(MARK))
    }

    /// Makes room for a part of this name beside no more than `most` others of its kind: those with the
    /// smallest names stay. Returns whether there is room, which a comment has only if it would stay.
    pub(super) fn make_room(&mut self, name: &str, most: usize) -> bool {
        if name.starts_with(COMMENT) && self.newer_comments(name) > most::COMMENT_BYTES {
            return false;
        }
        let edits = self.edits().count();
        let (count, most, greatest) = match name.starts_with(MARK) {
            true => (edits, most::EDITS, self.edits().next_back()),
            false => (self.parts.len() - edits, most, self.told().next_back()),
        };
        if count < most {
            return true;
        }
        let Some(greatest) =
            greatest.map(|(greatest, _)| greatest.to_owned()).filter(|found| **found > *name)
        else {
            return false;
        };
        self.parts.remove(greatest.as_str());
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::edit::Edited;

    use super::*;

    fn made(second: i64, members: &[(MemberId, &str)], comment: Option<&str>) -> Edit {
        Edit {
            made: at(second),
            of: Edited::Alert("a".parse().unwrap()),
            by: "alex".into(),
            members: members.iter().map(|(member, json)| (member.0, (*json).into())).collect(),
            comment: comment.map(Into::into),
            tags: Vec::new(),
        }
    }

    fn at(seconds: i64) -> Time {
        Time::from_unix_seconds(1_700_000_000 + seconds)
    }

    #[test]
    fn what_people_say_stands_above_telemetry_whatever_comes_first() {
        use shapes::alert as a;
        let set_status = |status: &str, comment: Option<&str>| made(3, &[(a::STATUS, status)], comment);
        let change = |alert: &mut Entity, edit: &Edit, second: i64| {
            alert.merge(alert.change_of_alert(edit, at(second)), most::EVIDENCE);
        };
        for edit_first in [true, false] {
            let mut alert = Entity::default();
            if edit_first {
                change(&mut alert, &set_status("\"Resolved\"", Some("done")), 5);
            }
            alert.facts.note(a::STATUS, at(9), "\"New\"");
            if !edit_first {
                change(&mut alert, &set_status("\"Resolved\"", Some("done")), 5);
            }
            assert_eq!(alert.shown(a::STATUS), Some("\"Resolved\""));
            assert_eq!(alert.shown(a::RESOLVED_TIME), Some(&*format!("\"{}\"", at(3))));
            assert!(alert.comments().unwrap().contains("done"));
            change(&mut alert, &made(0, &[(a::STATUS, "\"Resolved\"")], None), 6);
            assert_eq!(alert.shown(a::RESOLVED_TIME), Some(&*format!("\"{}\"", at(3))), "it was already");
            change(&mut alert, &made(0, &[(a::STATUS, "\"New\"")], None), 7);
            assert_eq!(alert.shown(a::RESOLVED_TIME), Some("null"));
        }
    }

    #[test]
    fn neither_telemetry_nor_people_can_push_the_others_parts_out() {
        let fact = || Fact { at: at(0), json: "[]".into() };
        let mut entity = Entity::default();
        for n in 0..2_000 {
            entity.note_part(format!("{n:06}").into(), fact(), 100);
            entity.note_part(format!(" {n:06}").into(), fact(), 100);
            entity.edit(&made(n, &[], Some(&format!("comment {n}"))), at(n));
        }
        assert_eq!((entity.told().count(), entity.edits().count()), (100, most::EDITS));
        let comments: Vec<Value> = serde_json::from_str(&entity.comments().unwrap()).unwrap();
        assert_eq!(comments.len(), most::EDITS);
        assert_eq!(
            (&comments[0]["comment"], &comments[999]["comment"]),
            (&json!("comment 1000"), &json!("comment 1999"))
        );
    }

    #[test]
    fn long_comments_push_older_ones_out_whatever_the_order() {
        // Of many lengths, so that a short one often stands behind a long one that is dropped.
        let comment = |n: i64| {
            let long = "x".repeat(usize::try_from(n * 7_919 % 60_000).unwrap());
            made(n, &[], Some(&format!("{n} {long}")))
        };
        let all: Vec<Edit> = (0..120).map(comment).collect();
        let of = |edits: &mut dyn Iterator<Item = &Edit>| {
            let mut alert = Entity::default();
            edits.for_each(|edit| alert.edit(edit, at(0)));
            alert
        };
        let ordered = of(&mut all.iter());
        let kept: Vec<Value> = serde_json::from_str(&ordered.comments().unwrap()).unwrap();
        let lengths: Vec<usize> = kept.iter().map(|comment| comment.to_string().len()).collect();
        assert!(lengths.iter().sum::<usize>() > most::COMMENT_BYTES, "the newest, and one beyond");
        assert!(lengths[1..].iter().sum::<usize>() <= most::COMMENT_BYTES);
        assert!(kept.last().unwrap()["comment"].as_str().unwrap().starts_with("119 "));
        for stride in [7, 11, 13, 119] {
            let shuffled = of(&mut (0..120).map(|n| &all[n * stride % 120]));
            assert_eq!(shuffled, ordered, "{stride}");
            let twice = of(&mut all.iter().chain(all.iter().rev()));
            assert_eq!(twice, ordered);
            // In parts that were bounded already, as runs of the base are.
            let mut merged = Entity::default();
            for part in 0..stride {
                let its = of(&mut all.iter().skip(part).step_by(stride));
                merged.merge(its, most::EVIDENCE);
            }
            assert_eq!(merged, ordered, "{stride}");
        }
    }
}
