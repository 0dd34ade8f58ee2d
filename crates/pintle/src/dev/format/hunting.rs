//! Rows of the hunting tables, in Defender's streaming export and bare: every column of the table,
//! `null` where there is no value. The export has no alerts of its own; they come as rows of
//! `AlertInfo` and `AlertEvidence`.

use std::time::Duration;

use pintle_model::shapes::{alert, evidence};
use pintle_model::tables::{alert_evidence, alert_info, device_events};
use pintle_model::{Alert, Cell, Evidence, Record, Row, Time};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Sender, TENANT};

/// Records of the streaming export.
pub(super) fn streaming(record: &Record, _: &mut Sender, out: &mut Vec<u8>) -> serde_json::Result<()> {
    each_row(record, &mut |row| {
        // The first column of every table.
        let happened = row.time(device_events::TIMESTAMP).unwrap_or(Time::MIN);
        serde_json::to_writer(
            &mut *out,
            &Streamed {
                time: seven_digits(happened + Duration::from_secs(240)),
                tenant: TENANT,
                operation: "Publish",
                category: format_args!("AdvancedHunting-{}", row.table().map_or("", |table| table.name)),
                received: seven_digits(happened + Duration::from_secs(60)),
                properties: Columns(row),
                name: "DefaultTenant",
            },
        )?;
        out.extend_from_slice(b"\r\n");
        Ok(())
    })
}

/// Bare rows, one a line.
pub(super) fn rows(record: &Record, _: &mut Sender, out: &mut Vec<u8>) -> serde_json::Result<()> {
    each_row(record, &mut |row| {
        serde_json::to_writer(&mut *out, &Columns(row))?;
        out.push(b'\n');
        Ok(())
    })
}

#[derive(serde::Serialize)]
struct Streamed<'a> {
    time: String,
    #[serde(rename = "tenantId")]
    tenant: &'a str,
    #[serde(rename = "operationName")]
    operation: &'a str,
    category: std::fmt::Arguments<'a>,
    #[serde(rename = "_TimeReceivedBySvc")]
    received: String,
    properties: Columns<'a>,
    #[serde(rename = "Tenant")]
    name: &'a str,
}

/// All columns of a row's table.
struct Columns<'a>(&'a Row);

impl Serialize for Columns<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let columns = self.0.table().map_or(&[][..], |table| table.columns);
        let mut members = serializer.serialize_map(Some(columns.len()))?;
        let mut cells = self.0.cells().peekable();
        for (place, column) in columns.iter().enumerate() {
            match cells.next_if(|(id, _)| usize::from(id.0) == place).map(|(_, cell)| cell) {
                Some(Cell::Text(text)) => members.serialize_entry(column.name, text)?,
                Some(Cell::Long(number)) => members.serialize_entry(column.name, &number)?,
                Some(Cell::Bool(value)) => members.serialize_entry(column.name, &value)?,
                Some(Cell::Time(time)) => members.serialize_entry(column.name, &format_args!("{time}"))?,
                None => members.serialize_entry(column.name, &())?,
            }
        }
        members.end()
    }
}

/// The envelope's times always have seven digits, those of rows only as many as they need.
pub(super) fn seven_digits(time: Time) -> String {
    let text = time.to_string();
    let text = text.trim_end_matches('Z');
    let (second, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{second}.{fraction:0<7}Z")
}

fn each_row(
    record: &Record,
    write: &mut dyn FnMut(&Row) -> serde_json::Result<()>,
) -> serde_json::Result<()> {
    match record {
        Record::Row(row) => write(row),
        Record::Alert(alert) => {
            write(&info(alert))?;
            alert.evidence.iter().try_for_each(|piece| write(&attached(alert, piece)))
        }
        // No row says what it says.
        Record::Machine(_) => Ok(()),
    }
}

fn info(raised: &Alert) -> Row {
    use alert_info as columns;
    let mut row = Row::new(&columns::TABLE);
    row.set_time(columns::TIMESTAMP, raised.facts.time(alert::ALERT_CREATION_TIME));
    row.set_text(columns::ALERT_ID, Some(raised.id.as_str()));
    for (column, member) in [
        (columns::TITLE, alert::TITLE),
        (columns::CATEGORY, alert::CATEGORY),
        (columns::SEVERITY, alert::SEVERITY),
        (columns::DETECTION_SOURCE, alert::DETECTION_SOURCE),
        (columns::MACHINE_GROUP, alert::RBAC_GROUP_NAME),
    ] {
        row.set_text(column, raised.facts.text(member).as_deref());
    }
    row.set_text(columns::SERVICE_SOURCE, Some("Microsoft Defender for Endpoint"));
    row.set_text(columns::ATTACK_TECHNIQUES, raised.facts.json(alert::MITRE_TECHNIQUES));
    row
}

fn attached(raised: &Alert, piece: &Evidence) -> Row {
    use alert_evidence as columns;
    let mut row = Row::new(&columns::TABLE);
    row.set_time(columns::TIMESTAMP, piece.created());
    row.set_text(columns::ALERT_ID, Some(raised.id.as_str()));
    for (column, member) in [
        (columns::TITLE, alert::TITLE),
        (columns::DETECTION_SOURCE, alert::DETECTION_SOURCE),
        (columns::SEVERITY, alert::SEVERITY),
        (columns::DEVICE_ID, alert::MACHINE_ID),
        (columns::DEVICE_NAME, alert::COMPUTER_DNS_NAME),
    ] {
        row.set_text(column, raised.facts.text(member).as_deref());
    }
    for (column, member) in [
        (columns::ENTITY_TYPE, evidence::ENTITY_TYPE),
        (columns::FILE_NAME, evidence::FILE_NAME),
        (columns::FOLDER_PATH, evidence::FILE_PATH),
        (columns::SHA1, evidence::SHA1),
        (columns::SHA256, evidence::SHA256),
        (columns::ACCOUNT_NAME, evidence::ACCOUNT_NAME),
        (columns::ACCOUNT_DOMAIN, evidence::DOMAIN_NAME),
        (columns::ACCOUNT_SID, evidence::USER_SID),
        (columns::ACCOUNT_UPN, evidence::USER_PRINCIPAL_NAME),
        (columns::PROCESS_COMMAND_LINE, evidence::PROCESS_COMMAND_LINE),
    ] {
        row.set_text(column, piece.0.text(member).as_deref());
    }
    row.set_text(columns::SERVICE_SOURCE, Some("Microsoft Defender for Endpoint"));
    row.set_text(columns::EVIDENCE_ROLE, Some("Related"));
    row
}
