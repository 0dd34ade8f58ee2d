//! What a record is besides an event: an alert, with the file, the process or the user in it as evidence.

use std::collections::BTreeMap;

use pintle_model::shapes::{alert, evidence};
use pintle_model::{Hashes, Kind, MemberId, Record};
use serde::Deserialize;

use super::source::{Source, Wanted};
use super::{Unusable, all};
use crate::alert::{Draft, Severity, THIRD_PARTY};
use crate::format::Problem;
use crate::json::Object;
use crate::machine::Machine;
use crate::time;

/// As it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    #[serde(default)]
    when: Wanted,
    id: Source,
    title: Source,
    time: Option<Source>,
    #[serde(default)]
    members: BTreeMap<String, Source>,
    #[serde(default)]
    evidence: Vec<Piece>,
}

/// A piece of evidence: members of Defender's, besides which hash is which.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Piece {
    kind: String,
    #[serde(default)]
    members: BTreeMap<String, Source>,
}

/// The alert that some of a mapping's records are.
#[derive(Debug)]
pub struct Alert {
    when: Wanted,
    id: Source,
    title: Source,
    time: Option<Source>,
    members: Vec<(MemberId, Kind, Source)>,
    evidence: Vec<Piece>,
}

impl Alert {
    /// Checks what is written.
    pub fn of(told: Told) -> Result<Alert, Unusable> {
        let mut members = Vec::new();
        for (name, source) in told.members {
            let known = alert::SHAPE.member(&name).filter(|(_, member)| is_plain(member.kind));
            let (member, declared) = known
                .ok_or_else(|| Unusable(format!("[alert.members]: no member {name} that a text can fill")))?;
            members.push((member, declared.kind, source));
        }
        for piece in &told.evidence {
            if !evidence::KINDS.contains(&piece.kind.as_str()) {
                let kinds = evidence::KINDS.join(", ");
                return Err(Unusable(format!(
                    "[[alert.evidence]]: no kind {}; use one of {kinds}",
                    piece.kind
                )));
            }
            if let Some(name) = piece.members.keys().find(|name| evidence::SHAPE.member(name).is_none()) {
                return Err(Unusable(format!("[alert.evidence.members]: no member {name}")));
            }
        }
        let Told { when, id, title, time, evidence, .. } = told;
        Ok(Alert { when, id, title, time, members, evidence })
    }

    /// Whether a record is one.
    pub fn wants(&self, record: &Object<'_>) -> bool {
        all(&self.when, record)
    }

    /// The alert that a record is.
    pub fn decode(&self, record: &Object<'_>, machine: Option<&Machine<'_>>) -> Result<Record, Problem> {
        let id = self.id.text(record).ok_or("the alert's id is missing")?;
        let at = self.time.as_ref().and_then(|source| source.text(record)).and_then(|at| time::read(&at));
        let mut draft = Draft::new(&id, at)?;
        draft.times(at, at, at);
        draft.text(alert::TITLE, self.title.text(record));
        draft.text(alert::DETECTION_SOURCE, Some(THIRD_PARTY));
        for (member, kind, source) in &self.members {
            let Some(text) = source.text(record) else { continue };
            match (*member, *kind) {
                (alert::SEVERITY, _) => draft.severity(Severity::of_word(&text)),
                (member, Kind::Time) => draft.time(member, time::read(&text)),
                (member, _) => draft.text(member, Some(text)),
            }
        }
        if let Some(machine) = machine {
            draft.machine(machine);
        }
        for piece in &self.evidence {
            piece.decode(record, &mut draft);
        }
        Ok(draft.finish())
    }
}

impl Piece {
    fn decode(&self, record: &Object<'_>, draft: &mut Draft) {
        let text = |name: &str| self.members.get(name).and_then(|source| source.text(record));
        let (sha1, sha256) = (text("sha1"), text("sha256"));
        let mut piece = draft.evidence(&self.kind);
        piece.file(&Hashes::read(sha1.as_deref(), sha256.as_deref(), None), text("filePath").as_deref());
        for (name, source) in &self.members {
            let Some((member, declared)) = evidence::SHAPE.member(name) else { continue };
            if matches!(name.as_str(), "sha1" | "sha256" | "filePath") {
                continue;
            }
            let text = source.text(record);
            match declared.kind {
                Kind::Time => _ = piece.time(member, text.and_then(|text| time::read(&text))),
                Kind::Int => _ = piece.number(member, text.and_then(|text| crate::json::long(&text))),
                _ => _ = piece.text(member, text),
            }
        }
    }
}

fn is_plain(kind: Kind) -> bool {
    matches!(kind, Kind::Text | Kind::Time)
}
