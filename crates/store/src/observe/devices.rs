//! What the two snapshot tables of Defender say of a machine, and what an API does.

use pintle_model::{ColumnId, Fact, Facts, Row, Shape, Time, shapes, tables};
use serde_json::{Map, Value, json};

use super::{MAX_TEXT_BYTES, cut};
use crate::entity::{Entity, edited, most, reported};

/// The longest address in text, with a zone, is not longer.
const MAX_ADDRESS_BYTES: usize = 64;
/// What else is told of an adapter with each of its addresses, where all adapters come at once.
const MAX_WORD_BYTES: usize = 256;
const IP_ADDRESS: &str = "ipAddress";
/// Addresses of one adapter.
const MAX_ADDRESSES: usize = 32;
/// The same of all adapters of a machine, where they come at once.
const MAX_ADDRESSES_AT_ONCE: usize = 128;
/// Tags of a machine that come at once: more than those of telemetry and of people that are shown here.
const MAX_TAGS_AT_ONCE: usize = 1_500;

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

/// The name under which an adapter is kept: none that could be taken for what people gave, or for what was told
/// of all adapters.
fn part(name: &str) -> Box<str> {
    let name = cut(name);
    let is_taken = [edited::MARK, reported::MARK].iter().any(|mark| name.starts_with(mark));
    if is_taken { ["_", name].concat().into() } else { name.into() }
}

/// Notes what an API says of a machine, these addresses among it.
pub(super) fn note_report(
    machine: &mut Entity,
    report: &Facts,
    addresses: &[Value],
    is_plausible: impl Fn(Time) -> bool,
) {
    use shapes::machine as m;
    let mut report = report.clone();
    report.distrust(is_plausible);
    let mut plain = Facts::default();
    for (member, Fact { at, json }) in report.iter() {
        let at = *at;
        match member {
            // They are the machine's key and its span.
            m::ID | m::FIRST_SEEN | m::LAST_SEEN => {}
            // It goes with its name.
            m::RBAC_GROUP_ID => {}
            m::IP_ADDRESSES => machine.note_addresses(at, Value::from(addresses).to_string()),
            m::LAST_IP_ADDRESS => {
                let address = report.text(member).filter(|address| address.len() <= MAX_ADDRESS_BYTES);
                machine.note_last_address(at, Value::from(address).to_string());
            }
            m::MACHINE_TAGS => {
                machine.facts.note(member, at, Value::from(tags_at_once(json)).to_string());
            }
            m::VM_METADATA => {
                let vm = serde_json::from_str(json).unwrap_or_default();
                let known = match vm {
                    Value::Object(vm) => members_of(&shapes::vm_metadata::SHAPE, &vm, MAX_TEXT_BYTES).into(),
                    _ => Value::Null,
                };
                machine.facts.note(member, at, known.to_string());
            }
            _ if usize::from(member.0) < m::SHAPE.members.len() => _ = plain.note(member, at, json.clone()),
            _ => {}
        }
    }
    plain.bound(MAX_TEXT_BYTES);
    if let Some(number) = report.fact(m::RBAC_GROUP_ID) {
        let name = plain.json(m::RBAC_GROUP_NAME).unwrap_or("null");
        machine.note_group_number(number.at, &number.json, name);
    }
    machine.facts.merge(plain);
}

/// The tags in a list, as [`tags`] has them.
fn tags_at_once(json: &str) -> Vec<String> {
    let listed: Vec<String> = serde_json::from_str(json).unwrap_or_default();
    let mut tags: Vec<String> = listed.iter().map(|tag| cut_tag(tag).to_owned()).collect();
    tags.sort();
    tags.dedup();
    tags.truncate(MAX_TAGS_AT_ONCE);
    tags
}

/// The addresses that an API gives of a machine, as they are kept.
pub(super) fn addresses(report: &Facts) -> Vec<Value> {
    let json = report.json(shapes::machine::IP_ADDRESSES);
    let listed: Vec<Value> = json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
    let is_address = |entry: &&Map<String, Value>| {
        entry.get(IP_ADDRESS).and_then(Value::as_str).is_some_and(|text| text.len() <= MAX_ADDRESS_BYTES)
    };
    listed
        .iter()
        .filter_map(Value::as_object)
        .filter(is_address)
        .take(MAX_ADDRESSES_AT_ONCE)
        .map(|entry| members_of(&shapes::ip_address::SHAPE, entry, MAX_WORD_BYTES).into())
        .collect()
}

/// The addresses themselves.
pub(super) fn texts(addresses: &[Value]) -> impl Iterator<Item = &str> {
    addresses.iter().filter_map(|entry| entry.get(IP_ADDRESS)?.as_str())
}

/// The members of an object that a shape of texts has, each cut to so many bytes.
fn members_of(shape: &Shape, object: &Map<String, Value>, most: usize) -> Map<String, Value> {
    let known = |name: &str| {
        let text = object.get(name).and_then(Value::as_str);
        text.map(|text| text.get(..text.floor_char_boundary(most)).unwrap_or(text))
    };
    shape.members.iter().map(|member| (member.name.to_owned(), known(member.name).into())).collect()
}
