//! Alerts as Microsoft Graph's security API gives them (alerts v2), in the API's list or one a line. They
//! are Defender's alerts under other names, with the devices among the evidence; an alert names no machine of
//! its own, so the first of its devices is taken.

mod evidence;

use pintle_model::shapes::alert;
use pintle_model::{MemberId, Time};
use serde_json::{Value, json};

use crate::alert::Draft;
use crate::format::{Format, Problem, Several};
use crate::json::{Json, List, Object};
use crate::words;

pub static FORMAT: Format = Format {
    name: "graph-alerts",
    description: "alerts of Microsoft Graph's security API (alerts v2): {\"value\":[…]}, or one a line",
    recognises: |object| {
        object.has("createdDateTime")
            && object.has("serviceSource")
            && object.has("title")
            && object.has("id")
    },
    decode: |record| {
        let mut several = Several::default();
        take(&Object::parse(record)?, None, &mut several)?;
        Ok(several.finish("no alert"))
    },
};

/// The most comments that are taken of an alert.
const MOST_COMMENTS: usize = 1000;

/// What an alert's members are in Defender's API.
const MEMBERS: &[(&str, MemberId)] = &[
    ("assignedTo", alert::ASSIGNED_TO),
    ("category", alert::CATEGORY),
    ("createdDateTime", alert::ALERT_CREATION_TIME),
    ("description", alert::DESCRIPTION),
    ("detectorId", alert::DETECTOR_ID),
    ("firstActivityDateTime", alert::FIRST_EVENT_TIME),
    ("lastActivityDateTime", alert::LAST_EVENT_TIME),
    ("mitreTechniques", alert::MITRE_TECHNIQUES),
    ("resolvedDateTime", alert::RESOLVED_TIME),
    ("threatDisplayName", alert::THREAT_NAME),
    ("threatFamilyName", alert::THREAT_FAMILY_NAME),
    ("title", alert::TITLE),
];

/// Those that hold a word.
const WORDS: &[(&str, MemberId)] = &[
    ("classification", alert::CLASSIFICATION),
    ("detectionSource", alert::DETECTION_SOURCE),
    ("determination", alert::DETERMINATION),
    ("investigationState", alert::INVESTIGATION_STATE),
    ("severity", alert::SEVERITY),
    ("status", alert::STATUS),
];

/// Takes an alert; `incident` is the number of the incident that it stands in.
pub(super) fn take(
    alert: &Object<'_>,
    incident: Option<Json<'_>>,
    several: &mut Several,
) -> Result<(), Problem> {
    let id = alert.get("id").and_then(Json::text).ok_or("the alert's id is missing")?;
    let time = |name: &str| alert.get(name).and_then(Json::text).and_then(|text| Time::parse(&text));
    let (last, raised) = (time("lastActivityDateTime"), time("createdDateTime"));
    let mut draft = Draft::new(&id, time("lastUpdateDateTime"))?.holding(last.max(raised));
    for (name, member) in MEMBERS {
        if let Some(value) = alert.get(name) {
            draft.member(*member, value);
        }
    }
    for (name, member) in WORDS {
        match alert.get(name) {
            Some(none) if none.is_null() => draft.member(*member, none),
            word => {
                draft.text(*member, word.and_then(Json::text).and_then(|word| of_defender(*member, &word)))
            }
        }
    }
    if let Some(incident) = alert.get("incidentId").filter(|id| !id.is_null()).or(incident) {
        draft.member(alert::INCIDENT_ID, incident);
    }
    if let Some(comments) = alert.get("comments") {
        draft.value(alert::COMMENTS, &List::of(comments).take(MOST_COMMENTS).filter_map(comment).collect());
    }
    if let Some(list) = alert.get("evidence") {
        evidence::take(list, last.or(raised), &mut draft, several)?;
    }
    draft.finish_into(several)
}

/// Defender's word for one of Graph's.
fn of_defender(member: MemberId, word: &str) -> Option<String> {
    match (member, word) {
        (alert::SEVERITY, "unknown") => Some("UnSpecified".into()),
        (alert::DETERMINATION, "unknown") => Some("NotAvailable".into()),
        (alert::DETECTION_SOURCE, word) => words::sensor(word),
        (_, word) => words::of_api(word),
    }
}

fn comment(comment: Json<'_>) -> Option<Value> {
    let comment = comment.object()?;
    let text = |name: &str| comment.get(name).and_then(Json::text);
    Some(json!({
        "comment": text("comment")?,
        // The names in an incident's own comments stand second.
        "createdBy": text("createdByDisplayName").or_else(|| text("createdBy")),
        "createdTime": text("createdDateTime").or_else(|| text("createdTime")),
    }))
}
