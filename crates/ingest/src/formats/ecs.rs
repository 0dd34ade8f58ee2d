//! Documents in the Elastic Common Schema (ECS): events and alerts of Elastic Defend, detection alerts of
//! Elastic Security, and whatever else names processes, files and connections as the schema does. Members
//! are nested, dotted, or both.
//!
//! `host` is the endpoint only where whoever wrote the document watches its own machine, as Elastic Defend
//! and Auditbeat do, or says that it passes on what others told (the tag `forwarded`). What any other Beat or
//! integration collects has its own machine in `host`: taking that for the endpoint would put the files of
//! all on one. A document with an event of Windows (`winlog`) names the endpoint there.

mod alert;
mod event;
mod fields;

use crate::format::{Decoded, Format, Problem, Several};
use crate::json::Object;
use crate::machine::Machine;
use fields::Fields;

pub static FORMAT: Format = Format {
    name: "ecs",
    description: "Elastic Common Schema: events and alerts of Elastic Defend, alerts of Elastic Security",
    recognises,
    decode,
};

/// Agents that watch the machine they are on.
const OWN_MACHINE: &[&str] = &["auditbeat", "cloud-defend", "endpoint", "endgame", "osquerybeat"];

/// Winlogbeat's documents are another format, but for alerts about them.
fn recognises(object: &Object<'_>) -> bool {
    let names = |prefix: &str| object.members.iter().any(|(name, _)| name.starts_with(prefix));
    let is_document = object.has("@timestamp") && (names("event.") || object.has("event"));
    let is_of_schema = object.has("ecs") || names("ecs.") || names("host") || names("agent");
    is_detection(object) || (is_document && is_of_schema && !names("winlog"))
}

/// Whether an object is an alert that a rule of Elastic Security raised.
pub fn is_detection(object: &Object<'_>) -> bool {
    object.members.iter().any(|(name, value)| {
        name.starts_with("kibana.alert.") || (name == "kibana" && value.at(&["alert"]).is_some())
    })
}

fn decode(record: &[u8]) -> Result<Decoded, Problem> {
    let document = Object::parse(record)?;
    let fields = Fields::of(&document)?;
    let machine = machine(&fields);
    let mut several = Several::default();
    if alert::is_one(&fields) {
        alert::decode(&fields, machine.as_ref(), &mut several)?;
        return Ok(several.finish("alert without an id"));
    }
    if let Some(machine) = &machine {
        event::decode(&fields, machine, &mut several)?;
    }
    Ok(several.finish("event without a machine"))
}

/// The endpoint that a document is about.
fn machine(fields: &Fields<'_>) -> Option<Machine<'static>> {
    if let Some(computer) = fields.text("winlog.computer_name") {
        return Machine::named(&computer);
    }
    if !is_host_the_endpoint(fields) {
        return None;
    }
    let name = ["host.name", "host.hostname"].iter().find_map(|name| fields.text(name));
    let id = fields.text("host.id");
    Machine::identified("elastic", id.as_deref(), name.as_deref())
}

/// Whether `host` is what the document is about, and not what passed it on.
fn is_host_the_endpoint(fields: &Fields<'_>) -> bool {
    let agent = fields.text("agent.type");
    let dataset = ["event.dataset", "data_stream.dataset", "kibana.alert.original_event.dataset"];
    let is_defend = dataset.iter().any(|name| {
        fields.text(name).is_some_and(|dataset| dataset == "endpoint" || dataset.starts_with("endpoint."))
    });
    match agent.as_deref() {
        _ if is_defend => true,
        Some(agent) if OWN_MACHINE.contains(&agent) => true,
        Some(_) => fields.texts("tags").iter().any(|tag| tag == "forwarded"),
        // Nothing passed it on: whoever wrote it in this schema means its own machine.
        None => fields.text("log.file.path").is_none(),
    }
}
