//! Incidents of the older Microsoft 365 Defender API (`/api/incidents`), in the API's list or one a line.
//! An alert in them is Defender's own under other names, its devices beside it; a shipper may have split
//! `alerts` and `entities`, so that each line has one object of them: the parts meet again in the store.

use pintle_model::shapes::{alert, evidence};
use pintle_model::{MemberId, Time};

use crate::alert::Draft;
use crate::device;
use crate::format::{Decoded, Format, Problem, Several};
use crate::json::{Json, List, Object};
use crate::machine::Machine;

pub static FORMAT: Format = Format {
    name: "m365d-incidents",
    description: "incidents of the Microsoft 365 Defender API, with their alerts: {\"value\":[…]}, or one a line",
    recognises: |object| {
        object.has("incidentId")
            && object.has("alerts")
            && (object.has("incidentName") || object.has("createdTime"))
    },
    decode,
};

/// What an alert's members are in the alerts API.
const MEMBERS: &[(&str, MemberId)] = &[
    ("assignedTo", alert::ASSIGNED_TO),
    ("category", alert::CATEGORY),
    ("classification", alert::CLASSIFICATION),
    ("creationTime", alert::ALERT_CREATION_TIME),
    ("description", alert::DESCRIPTION),
    ("detectionSource", alert::DETECTION_SOURCE),
    ("detectorId", alert::DETECTOR_ID),
    ("determination", alert::DETERMINATION),
    ("firstActivity", alert::FIRST_EVENT_TIME),
    ("investigationId", alert::INVESTIGATION_ID),
    ("investigationState", alert::INVESTIGATION_STATE),
    ("lastActivity", alert::LAST_EVENT_TIME),
    ("mitreTechniques", alert::MITRE_TECHNIQUES),
    ("resolvedTime", alert::RESOLVED_TIME),
    ("severity", alert::SEVERITY),
    ("status", alert::STATUS),
    ("threatFamilyName", alert::THREAT_FAMILY_NAME),
    ("title", alert::TITLE),
];

fn decode(record: &[u8]) -> Result<Decoded, Problem> {
    let incident = Object::parse(record)?;
    let mut several = Several::default();
    for alert in incident.get("alerts").map(List::of).into_iter().flatten() {
        // One that cannot be read costs itself.
        if let Err(problem) = decode_alert(alert, &incident, &mut several) {
            several.lacks(problem);
        }
    }
    Ok(several.finish("incident without alerts"))
}

fn decode_alert(alert: Json<'_>, incident: &Object<'_>, several: &mut Several) -> Result<(), Problem> {
    let alert = alert.object().ok_or("an alert of the incident is no object")?;
    let id = alert.get("alertId").and_then(Json::text).ok_or("alertId is missing")?;
    let time = |name: &str| alert.get(name).and_then(Json::text).and_then(|text| Time::parse(&text));
    let (last, raised) = (time("lastActivity"), time("creationTime"));
    let mut draft = Draft::new(&id, time("lastUpdatedTime"))?.holding(last.max(raised));
    for (name, member) in MEMBERS {
        if let Some(value) = alert.get(name) {
            draft.member(*member, value);
        }
    }
    let incident_id =
        alert.get("incidentId").filter(|id| !id.is_null()).or_else(|| incident.get("incidentId"));
    if let Some(id) = incident_id {
        draft.member(alert::INCIDENT_ID, id);
    }
    let machines = devices(&alert, &mut draft, last.or(raised), several)?;
    entities(&alert, &machines, &mut draft, several)?;
    draft.finish_into(several)
}

/// The machines in `devices`, each reported in a row of its own. The first is the alert's.
fn devices(
    alert: &Object<'_>,
    draft: &mut Draft,
    time: Option<Time>,
    several: &mut Several,
) -> Result<Vec<Machine<'static>>, Problem> {
    let mut machines = Vec::new();
    for device in alert.get("devices").map(List::of).into_iter().flatten().filter_map(Json::object) {
        let text = |name: &str| device.get(name).and_then(Json::text);
        let machine =
            Machine::of_defender(text("mdatpDeviceId").as_deref(), text("deviceDnsName").as_deref());
        let Some(machine) = machine else { continue };
        several.add(device::info(&device, &machine, time))?;
        if machines.is_empty() {
            draft.machine(&machine);
            device::of_alert(&device, draft);
        }
        machines.push(machine);
    }
    Ok(machines)
}

/// The entities, each on the machine that it names.
fn entities(
    alert: &Object<'_>,
    machines: &[Machine<'_>],
    draft: &mut Draft,
    several: &mut Several,
) -> Result<(), Problem> {
    for entity in alert.get("entities").map(List::of).into_iter().flatten().filter_map(Json::object) {
        several.count()?;
        let kind = entity.get("entityType").and_then(Json::text).unwrap_or_default();
        if !evidence::KINDS.contains(&&*kind) {
            continue;
        }
        let id = entity.get("deviceId").and_then(Json::text);
        let machine = Machine::among(machines, id.as_deref());
        let mut piece = draft.evidence_on(&kind, machine.as_ref());
        for (name, value) in entity.members.iter().filter(|(name, _)| name != "entityType") {
            if let Some((member, _)) = evidence::SHAPE.member(name) {
                piece.member(member, Some(*value));
            }
        }
    }
    Ok(())
}
