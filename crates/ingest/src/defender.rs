//! Rows of hunting tables as Defender writes them, bare or inside a streaming record. Ids are kept
//! as Defender gives them; an id that was scrubbed or is missing gives way to the device's name.

use pintle_model::{AlertId, ColumnType, MachineId, Record, Row, Table, Time, tables};

use crate::format::{Decoded, Problem};
use crate::json::{self, Object};
use crate::machine;

/// Makes a row of `table` of an object with a member a column. Members that are no column are left
/// out: new columns appear without notice, and deliveries carry internal ones.
pub fn row(table: &'static Table, members: &Object<'_>) -> Result<Decoded, Problem> {
    let mut row = Row::new(table);
    let device = table.column("DeviceId").map(|(column, _)| column);
    let mut id = None;
    let mut last = None;
    for (name, value) in &members.members {
        let Some((column, ty)) = table.column_after(name, last) else { continue };
        last = Some(column);
        let Some(text) = value.text() else { continue };
        match ty {
            _ if last == device => id = Some(text),
            ColumnType::Text if value.raw().starts_with(['{', '[']) => {
                // JSON columns are text; the copies in Log Analytics have them as values.
                let mut json = String::with_capacity(text.len());
                value.write(&mut json);
                row.set_text(column, Some(&json));
            }
            ColumnType::Text => row.set_text(column, Some(&text)),
            ColumnType::Long | ColumnType::Int => row.set_long(column, json::long(&text)),
            ColumnType::Bool => row.set_bool(column, json::truth(&text)),
            ColumnType::Time => row.set_time(column, Time::parse(&text)),
        }
    }
    place_in_time(&mut row, members)?;
    let machine = machine_of(&row, id.as_deref().unwrap_or_default())?;
    if let (Some(column), Some(machine)) = (device, &machine) {
        row.set_text(column, Some(machine.as_str()));
    }
    let alert = if table.id == tables::alert_info::TABLE.id {
        Some(tables::alert_info::ALERT_ID)
    } else if table.id == tables::alert_evidence::TABLE.id {
        Some(tables::alert_evidence::ALERT_ID)
    } else {
        None
    };
    if let Some(alert) = alert {
        let id = row.text(alert).ok_or("AlertId is missing")?;
        id.parse::<AlertId>().map_err(|_| "AlertId cannot be an id")?;
    } else if machine.is_none() {
        return Ok(Decoded::Nothing("event without a machine"));
    }
    Ok(Decoded::Record(Record::Row(row)))
}

/// A row's time is its `Timestamp`; the copies of the tables in Log Analytics may only have
/// `TimeGenerated`.
fn place_in_time(row: &mut Row, members: &Object<'_>) -> Result<(), Problem> {
    let column = tables::device_events::TIMESTAMP;
    let given = members.get("Timestamp").or_else(|| members.get("TimeGenerated"));
    if row.time(column).is_none()
        && let Some(text) = given.and_then(|value| value.text()).filter(|text| !text.is_empty())
    {
        row.set_time(column, Some(Time::parse(&text).ok_or("Timestamp is no time")?));
    }
    Ok(())
}

/// The machine that a row is about, by the id it gives or else by the device's name.
fn machine_of(row: &Row, id: &str) -> Result<Option<MachineId>, Problem> {
    if !machine::is_no_id(id) {
        return Ok(Some(id.trim().parse().map_err(|_| "DeviceId cannot be an id")?));
    }
    let name = row.table().and_then(|table| table.column("DeviceName"));
    Ok(name.and_then(|(column, _)| row.text(column)).and_then(machine::named))
}
