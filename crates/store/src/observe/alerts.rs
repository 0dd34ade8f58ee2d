//! What the two alert tables of Defender say of an alert: `AlertInfo` has its title, severity and
//! category, each `AlertEvidence` row one entity attached to it. Either may come alone.

use std::collections::BTreeMap;

use pintle_model::{AlertId, Evidence, Facts, Row, Time, shapes, tables};
use serde_json::Value;

use super::{cut, note_evidence};
use crate::entity::Entity;

/// Notes what the row says, if its table is one of the two.
pub(super) fn note(alerts: &mut BTreeMap<AlertId, Entity>, row: &Row, at: Option<Time>) {
    use tables::{alert_evidence as e, alert_info as i};
    let id = if row.table_id() == i::TABLE.id {
        row.text(i::ALERT_ID)
    } else if row.table_id() == e::TABLE.id {
        row.text(e::ALERT_ID)
    } else {
        return;
    };
    let Some(id) = id.and_then(|id| id.parse().ok()) else { return };
    let alert = alerts.entry(id).or_default();
    alert.note_event(at);
    let told = at.unwrap_or(Time::MIN);
    if row.table_id() == i::TABLE.id {
        note_info(&mut alert.facts, row, told);
    } else {
        note_evidence_row(alert, row, told);
    }
}

fn note_info(facts: &mut Facts, row: &Row, told: Time) {
    use shapes::alert as a;
    use tables::alert_info as i;
    for (member, column) in [
        (a::TITLE, i::TITLE),
        (a::CATEGORY, i::CATEGORY),
        (a::SEVERITY, i::SEVERITY),
        (a::DETECTION_SOURCE, i::DETECTION_SOURCE),
        (a::RBAC_GROUP_NAME, i::MACHINE_GROUP),
    ] {
        facts.note_text(member, told, row.text(column).map(cut));
    }
    note_techniques(facts, row.text(i::ATTACK_TECHNIQUES), told);
}

fn note_evidence_row(alert: &mut Entity, row: &Row, told: Time) {
    use shapes::{alert as a, evidence as m};
    use tables::alert_evidence as e;
    for (member, column) in [
        (a::TITLE, e::TITLE),
        (a::SEVERITY, e::SEVERITY),
        (a::DETECTION_SOURCE, e::DETECTION_SOURCE),
        (a::THREAT_FAMILY_NAME, e::THREAT_FAMILY),
        (a::MACHINE_ID, e::DEVICE_ID),
        (a::COMPUTER_DNS_NAME, e::DEVICE_NAME),
        (a::RBAC_GROUP_NAME, e::MACHINE_GROUP),
    ] {
        alert.facts.note_text(member, told, row.text(column).map(cut));
    }
    let categories = row.text(e::CATEGORIES).and_then(|text| serde_json::from_str::<Vec<String>>(text).ok());
    let category = categories.as_ref().and_then(|categories| categories.first());
    alert.facts.note_text(a::CATEGORY, told, category.map(|category| cut(category)));
    note_techniques(&mut alert.facts, row.text(e::ATTACK_TECHNIQUES), told);

    let Some(kind) = row.text(e::ENTITY_TYPE).filter(|kind| *kind != "Machine") else { return };
    let details = row.text(e::ADDITIONAL_FIELDS).and_then(|text| serde_json::from_str::<Value>(text).ok());
    let mut facts = Facts::default();
    facts.note_text(m::ENTITY_TYPE, told, Some(cut(kind)));
    facts.note_time(m::EVIDENCE_CREATION_TIME, told, row.time(e::TIMESTAMP));
    for (member, column) in [
        (m::SHA1, e::SHA1),
        (m::SHA256, e::SHA256),
        (m::FILE_NAME, e::FILE_NAME),
        (m::FILE_PATH, e::FOLDER_PATH),
        (m::PROCESS_COMMAND_LINE, e::PROCESS_COMMAND_LINE),
        (m::URL, e::REMOTE_URL),
        (m::REGISTRY_VALUE, e::REGISTRY_VALUE_DATA),
        (m::REGISTRY_VALUE_NAME, e::REGISTRY_VALUE_NAME),
        (m::ACCOUNT_NAME, e::ACCOUNT_NAME),
        (m::DOMAIN_NAME, e::ACCOUNT_DOMAIN),
        (m::USER_SID, e::ACCOUNT_SID),
        (m::AAD_USER_ID, e::ACCOUNT_OBJECT_ID),
        (m::USER_PRINCIPAL_NAME, e::ACCOUNT_UPN),
    ] {
        facts.note_text(member, told, row.text(column).map(cut));
    }
    if kind == "Ip" {
        facts.note_text(
            m::IP_ADDRESS,
            told,
            row.text(e::REMOTE_IP).or_else(|| row.text(e::LOCAL_IP)).map(cut),
        );
    }
    if let Some(key) = row.text(e::REGISTRY_KEY) {
        let (hive, key) = key.split_once('\\').unwrap_or(("", key));
        facts.note_text(m::REGISTRY_HIVE, told, Some(cut(hive)));
        facts.note_text(m::REGISTRY_KEY, told, Some(cut(key)));
    }
    if kind == "Process" {
        let id = details.as_ref().and_then(|details| details.get("ProcessId")).and_then(number);
        facts.note_plain(m::PROCESS_ID, told, id);
    }
    note_evidence(alert, &Evidence(facts), told);
}

/// Techniques stand as `["Valid Accounts (T1078)", …]` in a text; the API gives their ids.
fn note_techniques(facts: &mut Facts, text: Option<&str>, told: Time) {
    let Some(named) = text.and_then(|text| serde_json::from_str::<Vec<String>>(text).ok()) else { return };
    let ids: Vec<&str> = named
        .iter()
        .filter_map(|name| name.rsplit_once('(').map_or(Some(name.as_str()), |(_, id)| id.strip_suffix(')')))
        .take(100)
        .map(cut)
        .collect();
    if !ids.is_empty() {
        facts.note(shapes::alert::MITRE_TECHNIQUES, told, Value::from(ids).to_string());
    }
}

/// A number that may stand in a text.
fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}
