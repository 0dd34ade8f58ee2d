//! Changes of alerts.

use std::slice;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use pintle_model::AlertId;
use pintle_store::AlertChange;

use crate::audit::Entry;
use crate::http::api::blocking;
use crate::http::body::Members;
use crate::http::caller::Caller;
use crate::http::change::{Changer, nothing};
use crate::http::envelope::entity;
use crate::http::error::Failure;
use crate::http::origin::ClientAddress;
use crate::http::page::{NoOptions, NoRows};
use crate::http::path::Key;
use crate::http::representation::Representation;
use crate::http::resource::Alerts;
use crate::instance::Instance;

/// Alerts that one call may change. The published limit has no number.
const MAX_ALERTS: usize = 1_000;
/// Characters of a comment, of an owner.
const MAX_COMMENT: usize = 10_000;
const MAX_OWNER: usize = 256;

pub(crate) const STATUS: &[&str] = &["New", "InProgress", "Resolved"];
/// Today's and those of 2021.
pub(crate) const CLASSIFICATION: &[&str] =
    &["TruePositive", "InformationalExpectedActivity", "FalsePositive", "Unknown"];
/// Every spelling of any page and year; which goes with which classification is not asked, since a
/// documented example breaks its own table.
pub(crate) const DETERMINATION: &[&str] = &[
    "MultiStagedAttack",
    "MaliciousUserActivity",
    "CompromisedUser",
    "Malware",
    "Phishing",
    "UnwantedSoftware",
    "SecurityTesting",
    "LineOfBusinessApplication",
    "ConfirmedActivity",
    "ConfirmedUserActivity",
    "Clean",
    "NotMalicious",
    "InsufficientData",
    "NotEnoughDataToValidate",
    "NoEnoughDataToValidate",
    "NotAvailable",
    "Apt",
    "SecurityPersonnel",
    "Other",
];
const MEMBERS: &[&str] = &["status", "assignedTo", "classification", "determination", "comment"];

/// `PATCH /api/alerts/{id}`: changes an alert and answers with it. Members left out or `null` stay as they
/// are, their names in any case, as clients send them.
pub async fn update(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    address: ClientAddress,
    wanted: Representation<Alerts>,
    Key(id): Key,
    _: NoRows,
    body: Members,
) -> Result<Response, Failure> {
    let change = change(&body.in_any_case(MEMBERS)?.only(MEMBERS)?)?;
    let alert = super::alert_id(&id)?;
    blocking(move || {
        let changer = Changer::new(&caller, address);
        let done =
            instance.store.change_alerts(&caller.scope, &changer.name, slice::from_ref(&alert), &change);
        let entry = told(changer.entry("alert.updated").on(&id), &change);
        changer.tell(&instance, "Alert", entry, done)?;
        let members = instance.store.alert_with(&caller.scope, &alert, wanted.selects("sequence"))?;
        let members = members.ok_or_else(|| Failure::not_found("Alert", &id))?;
        Ok(entity(&wanted, &members))
    })
    .await
}

/// `POST /api/alerts/batchUpdate`: makes one change of many alerts, of all or, if one is unknown, of none,
/// and answers with nothing.
pub async fn batch_update(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    address: ClientAddress,
    _: NoOptions,
    body: Members,
) -> Result<Response, Failure> {
    let names: Vec<&str> = MEMBERS.iter().copied().chain(["alertIds"]).collect();
    let body = body.in_any_case(&names)?.only(&names)?;
    let ids = body.required_ids("alertIds", MAX_ALERTS)?;
    let alerts = ids.iter().map(|id| super::alert_id(id)).collect::<Result<Vec<AlertId>, _>>()?;
    let change = change(&body)?;
    blocking(move || {
        let changer = Changer::new(&caller, address);
        let done = instance.store.change_alerts(&caller.scope, &changer.name, &alerts, &change);
        let entry = told(changer.entry("alert.updated").with_each("alerts", ids), &change);
        changer.tell(&instance, "Alert", entry, done)?;
        Ok(nothing())
    })
    .await
}

fn change(body: &Members) -> Result<AlertChange, Failure> {
    Ok(AlertChange {
        status: body.word("status", STATUS)?,
        assigned_to: body.text("assignedTo", MAX_OWNER)?,
        classification: body.word("classification", CLASSIFICATION)?,
        determination: body.word("determination", DETERMINATION)?,
        comment: body.text("comment", MAX_COMMENT)?,
    })
}

/// What the audit log keeps of a change: of a comment only that there was one.
fn told(mut entry: Entry, change: &AlertChange) -> Entry {
    let AlertChange { status, assigned_to, classification, determination, comment } = change;
    let members = [
        ("status", status),
        ("assignedTo", assigned_to),
        ("classification", classification),
        ("determination", determination),
    ];
    for (name, value) in members {
        if let Some(value) = value {
            entry = entry.with(name, value.clone());
        }
    }
    if comment.is_some() { entry.with("comment", true) } else { entry }
}
