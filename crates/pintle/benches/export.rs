//! Generated telemetry as Defender's streaming export writes it: one record a line, the row in
//! `properties` with every column of its table, `null` where there is no value.

use std::io::Write as _;
use std::time::Duration;

use pintle_model::tables::device_events::TIMESTAMP;
use pintle_model::{Cell, Column, ColumnId, Record, Row, Time};

use crate::measure::Failure;

/// The order in which a record names its columns. None is promised, and both are seen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Columns {
    /// As the table is published.
    AsPublished,
    /// By the alphabet.
    ByName,
}

/// Writes all rows; alerts are no part of the export.
pub fn json_lines(records: impl Iterator<Item = Record>, order: Columns) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    for record in records {
        if let Record::Row(row) = record {
            write_row(&row, order, &mut out)?;
        }
    }
    Ok(out)
}

fn write_row(row: &Row, order: Columns, out: &mut Vec<u8>) -> Result<(), Failure> {
    let table = row.table().ok_or("a row of no table")?;
    // All tables begin with it.
    let happened = row.time(TIMESTAMP).ok_or("a row without a time")?;
    write!(
        out,
        "{{\"time\":\"{}\",\"tenantId\":\"00000000-0000-4000-8000-000000000001\",\"operationName\":\"Publish\",\
         \"category\":\"AdvancedHunting-{}\",\"_TimeReceivedBySvc\":\"{}\",\"properties\":{{",
        seven_digits(happened + Duration::from_secs(240)),
        table.name,
        seven_digits(happened + Duration::from_secs(60)),
    )?;
    let mut columns: Vec<(u8, &Column)> = (0..).zip(table.columns).collect();
    if order == Columns::ByName {
        columns.sort_unstable_by_key(|(_, column)| column.name);
    }
    for (place, (column, Column { name, .. })) in columns.into_iter().enumerate() {
        write!(out, "{}\"{name}\":", if place == 0 { "" } else { "," })?;
        match row.cells().find(|(id, _)| *id == ColumnId(column)).map(|(_, cell)| cell) {
            Some(Cell::Text(text)) => serde_json::to_writer(&mut *out, text)?,
            Some(Cell::Long(number)) => write!(out, "{number}")?,
            Some(Cell::Bool(value)) => write!(out, "{value}")?,
            Some(Cell::Time(time)) => write!(out, "\"{time}\"")?,
            None => out.extend_from_slice(b"null"),
        }
    }
    out.extend_from_slice(b"},\"Tenant\":\"DefaultTenant\"}\r\n");
    Ok(())
}

/// The envelope's times always have seven digits, those of rows only as many as they need.
fn seven_digits(time: Time) -> String {
    let text = time.to_string();
    let (second, fraction) =
        text.trim_end_matches('Z').split_once('.').unwrap_or((text.trim_end_matches('Z'), ""));
    format!("{second}.{fraction:0<7}Z")
}
