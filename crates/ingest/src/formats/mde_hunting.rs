//! Bare rows of advanced hunting, as a query or an export of a table gives them. Nothing in a row
//! names its table but, in copies of Log Analytics, `Type`; otherwise, in this order:
//!
//! 1. `AlertId` is only in the alert tables, and of these only `AlertEvidence` has `EntityType`,
//!    `EvidenceRole` or a device;
//! 2. an `ActionType` that only one table has;
//! 3. the table that has the most of the row's columns, `DeviceEvents` before others with as many,
//!    then the first in the order of the tables.

use std::collections::HashMap;
use std::sync::LazyLock;

use pintle_model::tables::{self, alert_evidence, alert_info, device_events};
use pintle_model::{Table, TableId};

use crate::defender;
use crate::format::{Decoded, Format, Problem};
use crate::json::{Json, Object};

pub static FORMAT: Format = Format {
    name: "mde-hunting",
    description: "rows of Defender's advanced hunting tables",
    recognises: |object| {
        (object.has("Timestamp") || object.has("TimeGenerated"))
            && (object.has("DeviceId") || object.has("DeviceName") || object.has("AlertId"))
    },
    decode,
};

/// `ActionType`s by the one table that has them; every other belongs to `DeviceEvents`.
const ACTIONS: &[(&str, &[&str])] = &[
    ("DeviceProcessEvents", &["ProcessCreated", "ProcessCreatedAggregatedReport"]),
    ("DeviceImageLoadEvents", &["ImageLoaded"]),
    ("DeviceLogonEvents", &["LogonSuccess", "LogonFailed", "LogonAttempted", "LogonSuccessAggregatedReport"]),
    (
        "DeviceFileEvents",
        &[
            "FileCreated",
            "FileCreatedAggregatedReport",
            "FileDeleted",
            "FileModified",
            "FileModifiedAggregatedReport",
            "FileRead",
            "FileRenamed",
            "FileRenamedAggregatedReport",
        ],
    ),
    (
        "DeviceRegistryEvents",
        &[
            "RegistryKeyCreated",
            "RegistryKeyDeleted",
            "RegistryKeyRenamed",
            "RegistryValueDeleted",
            "RegistryValueSet",
        ],
    ),
    (
        "DeviceNetworkEvents",
        &[
            "ConnectionAcknowledged",
            "ConnectionAttempt",
            "ConnectionFailed",
            "ConnectionFailedAggregatedReport",
            "ConnectionFound",
            "ConnectionRequest",
            "ConnectionSuccess",
            "ConnectionSuccessAggregatedReport",
            "DnsConnectionInspected",
            "FtpConnectionInspected",
            "HttpConnectionInspected",
            "IcmpConnectionInspected",
            "InboundConnectionAccepted",
            "InboundConnectionAttempt",
            "InboundInternetScanInspected",
            "ListeningConnectionCreated",
            "NetworkSignatureInspected",
            "SmtpConnectionInspected",
            "SshConnectionInspected",
            "SslConnectionInspected",
        ],
    ),
];

/// The tables that have a column, one bit a table.
static TABLES_WITH: LazyLock<HashMap<&'static str, u16>> = LazyLock::new(|| {
    let mut tables_with = HashMap::new();
    for (place, table) in tables::ALL.iter().enumerate() {
        for column in table.columns {
            *tables_with.entry(column.name).or_default() |= 1_u16 << place;
        }
    }
    tables_with
});

fn decode(record: &[u8]) -> Result<Decoded, Problem> {
    let row = Object::parse(record)?;
    let table = table_of(&row).ok_or("a row of no table that is known")?;
    defender::row(table, &row)
}

fn table_of(row: &Object<'_>) -> Option<&'static Table> {
    let text = |name: &str| row.get(name).and_then(Json::text).filter(|text| !text.is_empty());
    if let Some(table) = text("Type").and_then(|name| Table::named(&name)) {
        return Some(table);
    }
    if row.has("AlertId") {
        let evidence =
            ["EntityType", "EvidenceRole", "DeviceId", "DeviceName"].iter().any(|name| row.has(name));
        return Some(if evidence { &alert_evidence::TABLE } else { &alert_info::TABLE });
    }
    if let Some(action) = text("ActionType") {
        let known = ACTIONS.iter().find(|(_, actions)| actions.contains(&&*action));
        if let Some((name, _)) = known {
            return Table::named(name);
        }
    }
    best_covering(row)
}

fn best_covering(row: &Object<'_>) -> Option<&'static Table> {
    let mut covered = [0_u16; 16];
    for (name, _) in &row.members {
        let mut tables = TABLES_WITH.get(&**name).copied().unwrap_or_default();
        while tables != 0 {
            if let Some(count) = covered.get_mut(tables.trailing_zeros() as usize) {
                *count += 1;
            }
            tables &= tables - 1;
        }
    }
    let score = |table: &&&Table| {
        let TableId(id) = table.id;
        let count = covered.get(usize::from(id)).copied().unwrap_or_default();
        (count, table.id == device_events::TABLE.id, std::cmp::Reverse(id))
    };
    tables::ALL.iter().max_by_key(score).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rows_table_is_told_from_its_columns_and_values() {
        for (row, table) in [
            (
                r#"{"Timestamp":"","DeviceId":"","ActionType":"ProcessCreated","SHA1":""}"#,
                "DeviceProcessEvents",
            ),
            (r#"{"Timestamp":"","DeviceId":"","ActionType":"DpapiAccessed"}"#, "DeviceEvents"),
            (
                r#"{"Timestamp":"","DeviceId":"","DeviceName":"","SHA1":"","Signer":"","IsSigned":true}"#,
                "DeviceFileCertificateInfo",
            ),
            (r#"{"Timestamp":"","DeviceId":"","MacAddress":"","IPAddresses":""}"#, "DeviceNetworkInfo"),
            (r#"{"Timestamp":"","DeviceId":"","OSPlatform":"","OSBuild":1}"#, "DeviceInfo"),
            (r#"{"Timestamp":"","AlertId":"","Title":""}"#, "AlertInfo"),
            (r#"{"Timestamp":"","AlertId":"","EntityType":"File"}"#, "AlertEvidence"),
            (
                r#"{"TimeGenerated":"","DeviceId":"","ActionType":"X","Type":"DeviceLogonEvents"}"#,
                "DeviceLogonEvents",
            ),
        ] {
            let object = Object::read(row).unwrap();
            assert_eq!(table_of(&object).unwrap().name, table, "{row}");
        }
    }

    #[test]
    fn an_action_type_belongs_to_one_table_that_exists() {
        for (name, _) in ACTIONS {
            assert!(Table::named(name).is_some(), "{name}");
        }
    }
}
