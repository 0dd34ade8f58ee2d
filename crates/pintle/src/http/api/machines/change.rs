//! Changes of machines.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use pintle_store::{MachineChange, TagChange};

use crate::audit::Entry;
use crate::config::Profile;
use crate::http::api::blocking;
use crate::http::body::Members;
use crate::http::caller::Caller;
use crate::http::change::Changer;
use crate::http::envelope::{Collection, entity};
use crate::http::error::Failure;
use crate::http::origin::ClientAddress;
use crate::http::page::NoRows;
use crate::http::path::Key;
use crate::http::representation::Representation;
use crate::http::resource::Machines;
use crate::instance::Instance;

/// Characters of a tag.
const MAX_TAG: usize = 200;
/// Tags in one list.
const MAX_TAGS: usize = 1_000;
/// Machines that one call may tag.
const MAX_MACHINES: usize = 500;

pub(crate) const DEVICE_VALUE: &[&str] = &["Normal", "Low", "High"];
pub(crate) const ACTION: &[&str] = &["Add", "Remove"];

/// `PATCH /api/machines/{id}`: sets a machine's tags or value and answers with it. In the profile `2021`
/// the tags may only grow, as its page says; in `today` the list takes the place of theirs.
pub async fn update(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    address: ClientAddress,
    wanted: Representation<Machines>,
    Key(id): Key,
    _: NoRows,
    body: Members,
) -> Result<Response, Failure> {
    // The sentence seen live, also for an empty list and for an entity that is sent back whole.
    let unsupported =
        || Failure::request_body("Currently supporting only update of: 'tags' and 'deviceValue'");
    if !body.has_only(&["machineTags", "deviceValue"]) {
        return Err(unsupported());
    }
    let tags = body.texts("machineTags", MAX_TAG)?;
    let device_value = body.word("deviceValue", DEVICE_VALUE)?;
    if tags.as_ref().is_some_and(Vec::is_empty) || (tags.is_none() && device_value.is_none()) {
        return Err(unsupported());
    }
    for tag in tags.iter().flatten() {
        check_tag("machineTags", tag)?;
    }
    if let Some(tags) = tags.as_ref().filter(|tags| tags.len() > MAX_TAGS) {
        return Err(Failure::batch_size(tags.len(), MAX_TAGS));
    }
    let replaces = instance.config.api.profile == Profile::Today;
    let tags = tags.map(if replaces { TagChange::Replace } else { TagChange::Extend });
    one(instance, caller, address, wanted, id, MachineChange { device_value, tags }).await
}

/// `POST /api/machines/{id}/setDeviceValue`: says what a machine is worth and answers with it.
pub async fn set_value(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    address: ClientAddress,
    wanted: Representation<Machines>,
    Key(id): Key,
    _: NoRows,
    body: Members,
) -> Result<Response, Failure> {
    let body = body.only(&["DeviceValue"])?;
    let device_value = Some(body.required_word("DeviceValue", DEVICE_VALUE)?);
    one(instance, caller, address, wanted, id, MachineChange { device_value, tags: None }).await
}

/// `POST /api/machines/{id}/tags`: gives a machine a tag or takes one away, and answers with it.
pub async fn tag(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    address: ClientAddress,
    wanted: Representation<Machines>,
    Key(id): Key,
    _: NoRows,
    body: Members,
) -> Result<Response, Failure> {
    let change = tag_change(&body.only(&["Value", "Action"])?)?;
    one(instance, caller, address, wanted, id, change).await
}

/// `POST /api/machines/AddOrRemoveTagForMultipleMachines`: the same of up to 500 machines, all of them or,
/// if one is unknown, none.
pub async fn tag_many(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    address: ClientAddress,
    wanted: Representation<Machines>,
    _: NoRows,
    body: Members,
) -> Result<Response, Failure> {
    let body = body.only(&["Value", "Action", "MachineIds"])?;
    let change = tag_change(&body)?;
    let names = body.required_ids("MachineIds", MAX_MACHINES)?;
    blocking(move || {
        let changer = Changer::new(&caller, address);
        let done = instance.store.change_machines(&caller.scope, &changer.name, &names, &change);
        let entry = told(changer.entry("machine.updated").with_each("machines", names), &change);
        let machines = changer.tell(&instance, "Machine", entry, done)?;
        let mut answer = Collection::of(&wanted);
        let objects: Vec<String> = machines.iter().map(|members| format!("{{{members}}}")).collect();
        answer.body.extend_from_slice(objects.join(",").as_bytes());
        Ok(answer.finish(None))
    })
    .await
}

fn tag_change(body: &Members) -> Result<MachineChange, Failure> {
    let tag = body.required_text("Value", MAX_TAG)?;
    check_tag("Value", &tag)?;
    let change = match body.required_word("Action", ACTION)?.as_str() {
        "Add" => TagChange::Add(tag),
        _ => TagChange::Remove(tag),
    };
    Ok(MachineChange { device_value: None, tags: Some(change) })
}

fn check_tag(member: &str, tag: &str) -> Result<(), Failure> {
    if tag.trim().is_empty() || tag.chars().any(char::is_control) {
        let why = format!("member '{member}' has a tag that is blank or holds control characters");
        return Err(crate::http::body::incorrect(&why));
    }
    Ok(())
}

/// Changes one machine and answers with it.
async fn one(
    instance: Arc<Instance>,
    caller: Caller,
    address: ClientAddress,
    wanted: Representation<Machines>,
    name: String,
    change: MachineChange,
) -> Result<Response, Failure> {
    blocking(move || {
        let changer = Changer::new(&caller, address);
        let names = [name];
        let done = instance.store.change_machines(&caller.scope, &changer.name, &names, &change);
        let [name] = names;
        let entry = told(changer.entry("machine.updated").on(&name), &change);
        let changed = changer.tell(&instance, "Machine", entry, done)?;
        // It can be gone only if it was purged at this moment.
        let machine = changed.first().ok_or_else(|| Failure::not_found("Machine", &name))?;
        Ok(entity(&wanted, machine))
    })
    .await
}

fn told(mut entry: Entry, change: &MachineChange) -> Entry {
    if let Some(value) = &change.device_value {
        entry = entry.with("deviceValue", value.clone());
    }
    match &change.tags {
        Some(TagChange::Add(tag)) => entry.with("tagAdded", tag.clone()),
        Some(TagChange::Remove(tag)) => entry.with("tagRemoved", tag.clone()),
        Some(TagChange::Replace(tags) | TagChange::Extend(tags)) => entry.with_each("tags", tags.clone()),
        None => entry,
    }
}
