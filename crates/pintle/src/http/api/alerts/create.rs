//! Alerts that callers raise.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use pintle_model::Time;
use pintle_store::{Error, NewAlert, Refused};

use crate::http::api::{stoppable, turn};
use crate::http::body::{Members, incorrect};
use crate::http::caller::Caller;
use crate::http::change::Changer;
use crate::http::envelope::entity;
use crate::http::error::Failure;
use crate::http::origin::ClientAddress;
use crate::http::page::NoRows;
use crate::http::representation::Representation;
use crate::http::resource::Alerts;
use crate::instance::Instance;

const MEMBERS: &[&str] = &[
    "machineId",
    "severity",
    "title",
    "description",
    "recommendedAction",
    "eventTime",
    "reportId",
    "category",
];
pub(crate) const SEVERITY: &[&str] = &["Low", "Medium", "High"];
pub(crate) const CATEGORY: &[&str] = &[
    "General",
    "CommandAndControl",
    "Collection",
    "CredentialAccess",
    "DefenseEvasion",
    "Discovery",
    "Exfiltration",
    "Exploit",
    "Execution",
    "InitialAccess",
    "LateralMovement",
    "Malware",
    "Persistence",
    "PrivilegeEscalation",
    "Ransomware",
    "SuspiciousActivity",
];
/// Characters of a headline, of the texts.
const MAX_TITLE: usize = 256;
const MAX_TEXT: usize = 10_000;

/// `POST /api/alerts/CreateAlertByReference`: raises an alert about an event, which machine, exact time and
/// `ReportId` name, and answers with it. An open alert of the same title on the same machine takes the event
/// instead. An event that is not there, whose part of the archive was dropped, or that is on a machine that
/// the caller may not see, is a 404. To find it may take a while, so only a few are looked for at once, and
/// none for a caller who is gone.
pub async fn by_reference(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    address: ClientAddress,
    wanted: Representation<Alerts>,
    _: NoRows,
    body: Members,
) -> Result<Response, Failure> {
    let new = new_alert(&body.in_any_case(MEMBERS)?.only(MEMBERS)?)?;
    let slot = turn(&instance, &instance.event_slots, caller.scope.tenant()).await?;
    stoppable(move |stop| {
        let changer = Changer::new(&caller, address);
        let raised = instance.store.raise_alert(&caller.scope, &changer.name, &new, stop);
        drop(slot);
        if let Err(stopped @ Error::Stopped) = raised {
            return Err(stopped.into());
        }
        let event = format!("{} at {} on machine {}", new.report, new.at, new.machine);
        let entry = changer.entry("alert.raised").with("title", new.title).with("event", event.clone());
        let raised = match raised {
            Ok(raised) => raised.ok_or(Refused::Unknown(vec![event])),
            Err(error) => Err(Refused::Failed(error)),
        };
        let entry = match &raised {
            Ok(alert) => entry.on(alert),
            Err(_) => entry,
        };
        let alert = changer.tell(&instance, "Event", entry, raised)?;
        let members = instance.store.alert_with(&caller.scope, &alert, wanted.selects("sequence"))?;
        let members = members.ok_or_else(|| Failure::not_found("Alert", alert.as_str()))?;
        Ok(entity(&wanted, &members))
    })
    .await
}

fn new_alert(body: &Members) -> Result<NewAlert, Failure> {
    let machine = body.required_text("machineId", MAX_TITLE)?;
    let at = body.required_text("eventTime", MAX_TITLE)?;
    let report = body.required_text_or_number("reportId")?;
    Ok(NewAlert {
        // Ids are opaque: what can be none is a machine that does not exist.
        machine: machine.parse().map_err(|_| Failure::not_found("Machine", &machine))?,
        at: Time::parse(&at)
            .ok_or_else(|| incorrect("member 'eventTime' is no time such as 2026-01-15T08:00:00.1234567Z"))?,
        report: report.trim().parse().map_err(|_| incorrect("member 'reportId' is no whole number"))?,
        severity: body.required_word("severity", SEVERITY)?,
        category: body.required_word("category", CATEGORY)?,
        title: body.required_text("title", MAX_TITLE)?,
        description: body.required_text("description", MAX_TEXT)?,
        recommended_action: body.required_text("recommendedAction", MAX_TEXT)?,
    })
}
