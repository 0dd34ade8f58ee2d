//! What people and automations change through the API. A change is archived as a record of its own
//! kind, stands above whatever telemetry says of the same member, before or after, and comes back in
//! every rebuild.

use std::collections::BTreeSet;

use pintle_model::{AlertId, MachineId, MemberId, Time, shapes};
use serde::{Deserialize, Serialize};

use crate::entity::most;
use crate::entity::tags::{Full, Tags};
use crate::read::Tagged;
use crate::store::{Store, hold};
use crate::{Batch, Error, Scope};

/// A change of one thing, as it is archived. Which of two is the later one follows from their places in
/// the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Edit {
    pub(crate) of: Edited,
    /// When it was made; no two are of one moment, so that the same change made again is another one.
    pub(crate) made: Time,
    /// Who made it, as a comment names them.
    pub(crate) by: Box<str>,
    /// Members and the JSON that they have from then on.
    pub(crate) members: Vec<(u8, Box<str>)>,
    /// A comment that is added.
    pub(crate) comment: Option<Box<str>>,
    /// What becomes of tags.
    pub(crate) tags: Vec<(Box<str>, TagMark)>,
}

/// What people make of one tag of a machine. Archived by its number here; the first two are what a truth
/// value was, whether it is given, before there was a third.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TagMark {
    /// It is taken away, and stays away when telemetry gives it.
    Taken,
    /// It is given.
    Given,
    /// It is neither any longer: telemetry alone says whether the machine has it.
    Withdrawn,
}

/// What is changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Edited {
    Alert(AlertId),
    Machine(MachineId),
}

/// A change of an alert. What is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertChange {
    /// `New`, `InProgress` or `Resolved`; the last sets the time of resolving, the others take it away.
    pub status: Option<String>,
    /// Who owns it.
    pub assigned_to: Option<String>,
    /// The verdict.
    pub classification: Option<String>,
    /// The finer verdict.
    pub determination: Option<String>,
    /// A comment to be added. An alert keeps its newest 1,000, and of these each that stands behind no more
    /// than 256 KiB of newer ones, so at the most one more than that.
    pub comment: Option<String>,
}

impl AlertChange {
    fn members(&self) -> Vec<(u8, Box<str>)> {
        use shapes::alert as a;
        let members = [
            (a::STATUS, &self.status),
            (a::ASSIGNED_TO, &self.assigned_to),
            (a::CLASSIFICATION, &self.classification),
            (a::DETERMINATION, &self.determination),
        ];
        members.into_iter().filter_map(|(member, text)| Some(set(member, text.as_deref()?))).collect()
    }
}

/// A change of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineChange {
    /// What it is worth: `Normal`, `Low` or `High`.
    pub device_value: Option<String>,
    /// What becomes of its tags.
    pub tags: Option<TagChange>,
}

/// A change of a machine's tags. A machine keeps 1,000 tags that people gave, and 10,000 that they took away
/// although telemetry gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagChange {
    /// One is given, if the machine has it not.
    Add(String),
    /// One is taken away, if the machine has it, also one that telemetry gives.
    Remove(String),
    /// These are all of its tags from then on.
    Replace(Vec<String>),
    /// The same, unless a tag that it has would be missing.
    Extend(Vec<String>),
}

/// Why nothing was changed.
#[derive(Debug)]
pub enum Refused {
    /// These are unknown, or not for this caller.
    Unknown(Vec<String>),
    /// These tags of the machine are missing in the list that was to extend them.
    TagsMissing(Vec<String>),
    /// People would have given this machine more tags than this number, which is the most.
    TooManyTags(MachineId, usize),
    /// People would have taken away more tags of this machine than this number, which is the most.
    TooManyTagsTaken(MachineId, usize),
    /// It could not be kept.
    Failed(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Refused {
        Refused::Failed(error)
    }
}

fn set(member: MemberId, text: &str) -> (u8, Box<str>) {
    (member.0, serde_json::Value::from(text).to_string().into())
}

impl Store {
    /// Changes alerts, all of them or, if one is unknown, none. Durable and visible when this returns.
    pub fn change_alerts(
        &self,
        scope: &Scope,
        by: &str,
        ids: &[AlertId],
        change: &AlertChange,
    ) -> Result<(), Refused> {
        let mut last = hold(&self.editing);
        let mut unknown = Vec::new();
        for id in ids {
            if self.visible_alert(scope, id)?.is_none() {
                unknown.push(id.to_string());
            }
        }
        if !unknown.is_empty() {
            return Err(Refused::Unknown(unknown));
        }
        let made = self.moment_after(&mut last);
        let edit = |id: &AlertId| Edit {
            of: Edited::Alert(id.clone()),
            made,
            by: by.into(),
            members: change.members(),
            comment: change.comment.as_deref().map(Into::into),
            tags: Vec::new(),
        };
        self.keep(scope, ids.iter().map(edit).collect())
    }

    /// Changes machines, named by id or by name, all of them or none. Durable and visible when this
    /// returns, which it does with each of them as it is then, ascending by id: the members of a `machine`
    /// object. Of a machine of several ids each is changed, so that the change stays with all of them when they
    /// are one no more. One that the change moved into another device group is among them also if the scope does
    /// not see that group: who may change a machine may be told what came of it.
    pub fn change_machines(
        &self,
        scope: &Scope,
        by: &str,
        names: &[String],
        change: &MachineChange,
    ) -> Result<Vec<String>, Refused> {
        let mut last = hold(&self.editing);
        let mut unknown = Vec::new();
        let mut machines = Vec::with_capacity(names.len());
        for name in names {
            match self.tagged(scope, name)? {
                Some(found) => machines.push(found),
                None => unknown.push(name.clone()),
            }
        }
        if !unknown.is_empty() {
            return Err(Refused::Unknown(unknown));
        }
        let made = self.moment_after(&mut last);
        let mut edits = Vec::with_capacity(machines.len());
        let device_value = change.device_value.as_deref();
        let value = device_value.map(|value| set(shapes::machine::DEVICE_VALUE, value));
        for Tagged { id, has, members } in &machines {
            let changes = change.tags.as_ref().map_or(Ok(Vec::new()), |tags| tags.of_machine(has));
            let changes = changes.map_err(Refused::TagsMissing)?;
            for (member, tags) in members {
                let marks = tags.marks(&changes);
                match tags.is_full_with(&marks) {
                    Some(Full::Given) => return Err(Refused::TooManyTags(id.clone(), most::TAGS_GIVEN)),
                    Some(Full::Taken) => return Err(Refused::TooManyTagsTaken(id.clone(), most::TAGS_TAKEN)),
                    None => {}
                }
                edits.push(Edit {
                    of: Edited::Machine(member.clone()),
                    made,
                    by: by.into(),
                    members: value.iter().cloned().collect(),
                    comment: None,
                    tags: marks,
                });
            }
        }
        self.keep(scope, edits)?;
        let changed: BTreeSet<MachineId> = machines.into_iter().map(|machine| machine.id).collect();
        let tenant = Scope::whole(scope.tenant());
        let read = |id: &MachineId| self.machine(&tenant, id.as_str()).transpose();
        Ok(changed.iter().filter_map(read).collect::<Result<_, _>>()?)
    }

    /// Now, but later than the last change.
    pub(crate) fn moment_after(&self, last: &mut Time) -> Time {
        *last = self.now().max(last.just_after());
        *last
    }

    /// Archives changes and applies them. One that changes nothing is not kept.
    fn keep(&self, scope: &Scope, mut edits: Vec<Edit>) -> Result<(), Refused> {
        edits.retain(|edit| !edit.members.is_empty() || edit.comment.is_some() || !edit.tags.is_empty());
        if edits.is_empty() {
            return Ok(());
        }
        self.append_with(Batch::live(scope.tenant(), Batch::PEOPLE), edits)?;
        Ok(())
    }
}

/// What becomes of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Becomes {
    Given,
    Taken,
}

impl Tags {
    /// What these changes are of a machine that has these tags.
    fn marks(&self, changes: &[(&str, Becomes)]) -> Vec<(Box<str>, TagMark)> {
        let mark = |tag: &str, becomes| match becomes {
            Becomes::Given => TagMark::Given,
            Becomes::Taken => self.taking(tag),
        };
        changes.iter().map(|(tag, becomes)| ((*tag).into(), mark(tag, *becomes))).collect()
    }
}

impl TagChange {
    /// The tags that a machine which has these gets or loses by it; or those of them that it lacks and must
    /// not.
    fn of_machine<'t>(&'t self, has: &'t BTreeSet<String>) -> Result<Vec<(&'t str, Becomes)>, Vec<String>> {
        let given = |tag: &'t String| (!has.contains(tag)).then_some((tag.as_str(), Becomes::Given));
        let taken = |tag: &'t String| (tag.as_str(), Becomes::Taken);
        Ok(match self {
            TagChange::Add(tag) => given(tag).into_iter().collect(),
            TagChange::Remove(tag) => has.get(tag).map(taken).into_iter().collect(),
            TagChange::Replace(wanted) => {
                let gone = has.iter().filter(|has| !wanted.contains(has)).map(taken);
                wanted.iter().filter_map(given).chain(gone).collect()
            }
            TagChange::Extend(wanted) => {
                let missing: Vec<String> = has.iter().filter(|has| !wanted.contains(has)).cloned().collect();
                if !missing.is_empty() {
                    return Err(missing);
                }
                wanted.iter().filter_map(given).collect()
            }
        })
    }
}
