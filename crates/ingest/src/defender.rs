//! Rows of hunting tables as Defender writes them, bare or inside a streaming record. Ids are kept
//! as Defender gives them; an id that was scrubbed or is missing gives way to the device's name.

use std::borrow::Cow;

use pintle_model::{AlertId, ColumnId, ColumnType, MachineId, Record, Row, Table, tables};

use crate::format::{Decoded, Problem};
use crate::json::{self, Next, Object, Plain};
use crate::{machine, time};

const DEVICE_ID: &str = "DeviceId";

/// Makes a row of `table` of an object with a member a column. Members that are no column are left
/// out: new columns appear without notice, and deliveries carry internal ones.
pub fn row(table: &'static Table, members: &Object<'_>) -> Result<Decoded, Problem> {
    let mut row = Row::new(table);
    let device = table.column(DEVICE_ID).map(|(column, _)| column);
    let mut id = None;
    let mut last = None;
    for (name, value) in &members.members {
        let Some((column, ty)) = table.column_after(name, last) else { continue };
        last = Some(column);
        let Some(text) = value.text() else { continue };
        if last == device {
            id = Some(text);
        } else if ty == ColumnType::Text && value.raw().starts_with(['{', '[']) {
            // JSON columns are text; the copies in Log Analytics have them as values.
            let mut json = String::with_capacity(text.len());
            value.write(&mut json);
            row.set_text(column, Some(&json));
        } else {
            put(&mut row, column, ty, &text);
        }
    }
    place_in_time(&mut row, members)?;
    finish(row, id.as_deref().unwrap_or_default())
}

/// The same of an object of which nothing was read yet, in a record of so many bytes. `None` where
/// it takes the general way.
pub fn plain_row(
    table: &'static Table,
    members: &mut Plain<'_>,
    record_bytes: usize,
) -> Option<Result<Decoded, Problem>> {
    // The rest of a record is names and punctuation.
    let mut row = Row::with_room(table, record_bytes / 3);
    let (mut id, mut room) = (String::new(), String::new());
    let device = table.column(DEVICE_ID).map(|(column, _)| column);
    let mut last = None;
    loop {
        let likely = table.likely_after(last);
        let next = members.member(likely.map(|column| table.name(column).unwrap_or_default()))?;
        let found = match next {
            Next::End => break,
            Next::Likely(place) => likely.get(place).copied(),
            Next::Member(name) => table.column(name).map(|(column, _)| column),
        };
        let text = members.scalar(&mut room)?.text();
        let Some(column) = found else { continue };
        last = found;
        let Some(text) = text else { continue };
        if found == device {
            id.clear();
            id.push_str(text);
        } else if let Some(about) = table.columns.get(usize::from(column.0)) {
            put(&mut row, column, about.ty, text);
        }
    }
    row.time(tables::device_events::TIMESTAMP)?;
    Some(finish(row, &id))
}

fn put(row: &mut Row, column: ColumnId, ty: ColumnType, text: &str) {
    match ty {
        ColumnType::Text => row.set_text(column, Some(text)),
        ColumnType::Long | ColumnType::Int => row.set_long(column, json::long(text)),
        ColumnType::Bool => row.set_bool(column, json::truth(text)),
        ColumnType::Time => row.set_time(column, time::read(text)),
    }
}

/// Gives a row its machine, the id of which the record gives or its device's name.
fn finish(mut row: Row, id: &str) -> Result<Decoded, Problem> {
    let machine = if machine::is_no_id(id) {
        derived_machine(&row)
    } else {
        let id = id.trim();
        if !MachineId::can_be(id) {
            return Err("DeviceId cannot be an id".into());
        }
        Some(Cow::Borrowed(id))
    };
    let table = row.table_id();
    let device = row.table().and_then(|table| table.column(DEVICE_ID));
    if let (Some((column, _)), Some(machine)) = (device, &machine) {
        row.set_text(column, Some(machine));
    }
    let alert = if table == tables::alert_info::TABLE.id {
        Some(tables::alert_info::ALERT_ID)
    } else if table == tables::alert_evidence::TABLE.id {
        Some(tables::alert_evidence::ALERT_ID)
    } else {
        None
    };
    if let Some(alert) = alert {
        let id = row.text(alert).ok_or("AlertId is missing")?;
        if !AlertId::can_be(id) {
            return Err("AlertId cannot be an id".into());
        }
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
        row.set_time(column, Some(time::read(&text).ok_or("Timestamp is no time")?));
    }
    Ok(())
}

/// The machine that a row is about, by the device's name.
fn derived_machine(row: &Row) -> Option<Cow<'static, str>> {
    let (column, _) = row.table()?.column("DeviceName")?;
    let machine = machine::named(row.text(column)?)?;
    Some(Cow::Owned(machine.as_str().to_owned()))
}
