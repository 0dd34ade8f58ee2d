//! Incidents as Microsoft Graph's security API gives them, with their alerts (`$expand=alerts`), in the API's
//! list or one a line. A shipper may have split `alerts`, so that each line has one object of them.

use super::graph_alerts;
use crate::format::{Decoded, Format, Problem, Several};
use crate::json::{List, Object};

pub static FORMAT: Format = Format {
    name: "graph-incidents",
    description: "incidents of Microsoft Graph's security API with their alerts: {\"value\":[…]}, or one a line",
    recognises: |object| {
        object.has("createdDateTime") && object.has("displayName") && object.has("incidentWebUrl")
    },
    decode,
};

fn decode(record: &[u8]) -> Result<Decoded, Problem> {
    let incident = Object::parse(record)?;
    let mut several = Several::default();
    for alert in incident.get("alerts").map(List::of).into_iter().flatten() {
        let alert = alert.object().ok_or(Problem::from("an alert of the incident is no object"));
        // One that cannot be read costs itself.
        if let Err(problem) =
            alert.and_then(|alert| graph_alerts::take(&alert, incident.get("id"), &mut several))
        {
            several.lacks(problem);
        }
    }
    Ok(several.finish("incident without alerts"))
}
