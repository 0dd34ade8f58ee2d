//! What the two snapshot tables of Defender say of a machine.

use pintle_model::{ColumnId, Fact, Row, Time, shapes, tables};
use serde_json::{Value, json};

use super::cut;
use crate::entity::{Entity, edited, most};

/// The longest address in text, with a zone, is not longer.
const MAX_ADDRESS_BYTES: usize = 64;
/// Addresses of one adapter.
const MAX_ADDRESSES: usize = 32;

/// Notes what the row says, if its table is one of the two.
pub(super) fn note(machine: &mut Entity, row: &Row, told: Time) {
    if row.table_id() == tables::device_info::TABLE.id {
        note_info(machine, row, told);
    } else if row.table_id() == tables::device_network_info::TABLE.id {
        note_adapter(machine, row, told);
    }
}

fn note_info(machine: &mut Entity, row: &Row, told: Time) {
    use shapes::machine as m;
    use tables::device_info as d;
    for (member, column) in [
        (m::LAST_EXTERNAL_IP_ADDRESS, d::PUBLIC_IP),
        (m::OS_ARCHITECTURE, d::OS_ARCHITECTURE),
        (m::OS_PLATFORM, d::OS_PLATFORM),
        (m::OS_VERSION, d::OS_VERSION),
        (m::VERSION, d::OS_VERSION_INFO),
        (m::AGENT_VERSION, d::CLIENT_VERSION),
        (m::AAD_DEVICE_ID, d::AAD_DEVICE_ID),
        (m::ONBOARDING_STATUS, d::ONBOARDING_STATUS),
        (m::HEALTH_STATUS, d::SENSOR_HEALTH_STATE),
        (m::EXPOSURE_LEVEL, d::EXPOSURE_LEVEL),
        (m::DEVICE_VALUE, d::ASSET_VALUE),
        (m::MERGED_INTO_MACHINE_ID, d::MERGED_TO_DEVICE_ID),
        (m::EXCLUSION_REASON, d::EXCLUSION_REASON),
    ] {
        machine.facts.note_text(member, told, row.text(column).map(cut));
    }
    machine.facts.note_plain(m::OS_BUILD, told, row.long(d::OS_BUILD));
    machine.facts.note_plain(m::IS_AAD_JOINED, told, row.bool(d::IS_AZURE_AD_JOINED));
    machine.facts.note_plain(m::IS_EXCLUDED, told, row.bool(d::IS_EXCLUDED));
    let tags = tags(row);
    if !tags.is_empty() {
        machine.facts.note(m::MACHINE_TAGS, told, Value::from(tags).to_string());
    }
    if let Some(vm) = row.text(d::AZURE_VM_ID) {
        let metadata = json!({
            "vmId": cut(vm),
            "cloudProvider": "Azure",
            "resourceId": row.text(d::AZURE_RESOURCE_ID).map(cut),
            "subscriptionId": row.text(d::AZURE_VM_SUBSCRIPTION_ID).map(cut),
        });
        machine.facts.note(m::VM_METADATA, told, metadata.to_string());
    }
}

/// The tag from the registry, then those given by people and by rules, which stand as JSON lists
/// in a text.
fn tags(row: &Row) -> Vec<String> {
    use tables::device_info as d;
    let mut tags: Vec<String> =
        row.text(d::REGISTRY_DEVICE_TAG).map(|tag| cut_tag(tag).to_owned()).into_iter().collect();
    for column in [d::DEVICE_MANUAL_TAGS, d::DEVICE_DYNAMIC_TAGS] {
        let listed: Vec<String> =
            row.text(column).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        tags.extend(listed.into_iter().take(100).map(|tag| cut_tag(&tag).to_owned()));
    }
    tags.sort();
    tags.dedup();
    tags
}

/// The API's tags have at most 200 characters.
fn cut_tag(tag: &str) -> &str {
    tag.char_indices().nth(200).and_then(|(end, _)| tag.get(..end)).unwrap_or(tag)
}

/// One row is one adapter; the newest report of each adapter counts.
fn note_adapter(machine: &mut Entity, row: &Row, told: Time) {
    use tables::device_network_info as d;
    let Some(name) = row.text(d::NETWORK_ADAPTER_NAME).or_else(|| row.text(d::MAC_ADDRESS)) else { return };
    let text = |column: ColumnId| row.text(column).map(cut);
    let addresses: Vec<Value> =
        row.text(d::IP_ADDRESSES).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let mac = text(d::MAC_ADDRESS).map(|mac| mac.replace(['-', ':'], "").to_uppercase());
    let entries: Vec<Value> = addresses
        .iter()
        .filter_map(|address| address.get("IPAddress")?.as_str())
        .filter(|address| address.len() <= MAX_ADDRESS_BYTES)
        .take(MAX_ADDRESSES)
        .map(|address| {
            json!({
                "ipAddress": address,
                "macAddress": mac,
                "type": text(d::NETWORK_ADAPTER_TYPE),
                "operationalStatus": text(d::NETWORK_ADAPTER_STATUS),
            })
        })
        .collect();
    let fact = Fact { at: told, json: Value::from(entries).to_string().into() };
    machine.note_part(part(name), fact, most::ADAPTERS);
}

/// The name under which an adapter is kept: none that could be taken for what people gave.
fn part(name: &str) -> Box<str> {
    let name = cut(name);
    if name.starts_with(edited::MARK) { ["_", name].concat().into() } else { name.into() }
}
