//! Rows of Sentinel's `SecurityAlert` table, as JSON or as a table of text. What an alert names stands in
//! `Entities`, a text that holds JSON. An alert of Defender's own has the id there that Defender gave it, so
//! that it is one with the alert of Defender's API; any other goes by Sentinel's id.

mod entities;
mod evidence;

use std::borrow::Cow;

use pintle_model::shapes::alert;
use pintle_model::{AlertId, MemberId};

use crate::alert::{Draft, Severity, category_of_tactic};
use crate::format::{Decoded, Format, Problem, Several};
use crate::json::{self, Json, List, Object};
use crate::{time, words};
use entities::Entities;

pub static FORMAT: Format = Format {
    name: "ms-securityalert",
    description: "rows of Sentinel's SecurityAlert table, as JSON or CSV",
    recognises: |object| {
        object.has("SystemAlertId")
            && object.has("Entities")
            && (object.has("AlertName") || object.has("DisplayName"))
    },
    decode,
};

/// The provider whose alerts are those of Defender's API.
const DEFENDER: &str = "MDATP";

/// The most tactics or techniques that are taken of an alert.
const MOST_WORDS: usize = 100;

/// Columns, the first that says something, and the member of the alert that each is.
const COLUMNS: &[(&[&str], MemberId)] = &[
    (&["DisplayName", "AlertDisplayName", "AlertName"], alert::TITLE),
    (&["Description"], alert::DESCRIPTION),
];

/// The same of members of `ExtendedProperties`.
const EXTENDED: &[(&[&str], MemberId)] = &[
    (&["ThreatFamilyName"], alert::THREAT_FAMILY_NAME),
    (&["MicrosoftDefenderAtp.InvestigationState"], alert::INVESTIGATION_STATE),
];

fn decode(record: &[u8]) -> Result<Decoded, Problem> {
    let row = Object::parse(record)?;
    let mut several = Several::default();
    let time = |names: &[&str]| text(&row, names).and_then(|text| time::read(&text));
    let (first, last) = (time(&["StartTimeUtc", "StartTime"]), time(&["EndTimeUtc", "EndTime"]));
    let told = time(&["TimeGenerated"]);
    let mut draft = Draft::new(&id(&row)?, told)?.holding(last);
    draft.times(first, last, time(&["ProcessingEndTime"]).or(told));

    let given = text(&row, &["Entities"]).unwrap_or_default();
    let entities = Entities::read(&given);
    if let Some(problem) = entities.problem() {
        several.lacks(problem);
    }
    let given = text(&row, &["ExtendedProperties"]).unwrap_or(Cow::Borrowed("{}"));
    let extended = Object::read(&given).unwrap_or_else(|_| {
        several.lacks("ExtendedProperties is no JSON: the alert is kept without it".into());
        Object { members: Vec::new() }
    });
    note(&row, &extended, &mut draft);
    let threat = text(&extended, &["ThreatName"]).or_else(|| evidence::malware(&entities));
    draft.text(alert::THREAT_NAME, threat);

    let about = text(&row, &["CompromisedEntity"]);
    evidence::take(&entities, about.as_deref(), last.or(first), &mut draft, &mut several)?;
    draft.finish_into(&mut several)?;
    Ok(several.finish("no alert"))
}

/// The first of these members that is no empty text.
fn text<'a>(object: &Object<'a>, names: &[&str]) -> Option<Cow<'a, str>> {
    let text = |name: &&str| object.get(name).and_then(Json::text).filter(|text| !text.trim().is_empty());
    names.iter().find_map(text)
}

fn is_of_defender(row: &Object<'_>) -> bool {
    text(row, &["ProviderName"]).is_some_and(|provider| provider.trim().eq_ignore_ascii_case(DEFENDER))
}

fn id(row: &Object<'_>) -> Result<String, Problem> {
    let of_defender = text(row, &["VendorOriginalId", "ProviderAlertId"]).filter(|_| is_of_defender(row));
    let id = of_defender.filter(|id| AlertId::can_be(id.trim())).or_else(|| text(row, &["SystemAlertId"]));
    Ok(id.ok_or("SystemAlertId is missing")?.into_owned())
}

/// Notes what the columns say, and `ExtendedProperties`, which is a text that holds JSON.
fn note(row: &Object<'_>, extended: &Object<'_>, draft: &mut Draft) {
    for (of, members) in [(row, COLUMNS), (extended, EXTENDED)] {
        for (names, member) in members {
            draft.text(*member, text(of, names));
        }
    }
    let severity = text(row, &["AlertSeverity", "Severity"]);
    draft.severity(severity.and_then(|word| Severity::of_word(&word)));
    draft.text(alert::STATUS, text(row, &["Status"]).and_then(|word| status(&word)));
    // The type of an alert of Defender's own is the sensor that raised it; of any other, the rule.
    let of_type = text(row, &["AlertType"]);
    if is_of_defender(row) {
        draft.text(alert::DETECTION_SOURCE, of_type);
    } else {
        draft.text(alert::DETECTION_SOURCE, text(row, &["ProviderName"]));
        draft.text(alert::DETECTOR_ID, of_type);
    }
    let category = text(extended, &["MicrosoftDefenderAtp.Category", "Category"]).map(Cow::into_owned);
    let tactic = || listed(&text(row, &["Tactics"])?).first().map(|tactic| category_of_tactic(tactic));
    draft.text(alert::CATEGORY, category.or_else(tactic));
    let techniques = ["Techniques", "SubTechniques"].iter().filter_map(|name| text(row, &[*name]));
    draft.texts(alert::MITRE_TECHNIQUES, &techniques.flat_map(|text| listed(&text)).collect::<Vec<_>>());
    let investigation = text(extended, &["MicrosoftDefenderAtp.InvestigationId"]);
    draft.number(alert::INVESTIGATION_ID, investigation.and_then(|id| json::long(&id)));
}

/// Defender's word for a status.
fn status(word: &str) -> Option<String> {
    // Sentinel also closes alerts without a verdict.
    if word.trim() == "Dismissed" { Some("Resolved".into()) } else { words::of_api(word) }
}

/// The texts in a list, written as JSON or with commas or semicolons between them.
fn listed(text: &str) -> Vec<String> {
    let text = text.trim();
    let listed: Vec<String> = if text.starts_with('[') {
        List::open(text).filter_map(Json::text).take(MOST_WORDS).map(Cow::into_owned).collect()
    } else {
        text.split([',', ';']).take(MOST_WORDS).map(str::to_owned).collect()
    };
    listed.iter().map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
}
