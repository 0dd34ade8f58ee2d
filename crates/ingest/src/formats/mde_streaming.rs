//! Records of Defender's streaming export: an advanced hunting row in `properties`, its table in
//! `category`. The envelope's times say when the record travelled; only `properties.Timestamp`
//! says when something happened.

use std::borrow::Cow;

use pintle_model::Table;
use serde::Deserialize;

use crate::defender;
use crate::format::{Decoded, Format, Problem};
use crate::json::{Json, Next, Object, Plain, Scalar};

pub static FORMAT: Format = Format {
    name: "mde-streaming",
    description: "Defender's streaming export: JSON Lines, or {\"records\":[…]}",
    recognises: |object| object.has("category") && object.has("properties"),
    decode,
};

/// What is kept of a record.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    category: Cow<'a, str>,
    #[serde(borrow)]
    properties: Object<'a>,
}

fn decode(record: &[u8]) -> Result<Decoded, Problem> {
    let text = str::from_utf8(record).map_err(|_| Problem::from("not UTF-8"))?;
    decode_plain(text).unwrap_or_else(|| decode_any(text))
}

fn decode_any(text: &str) -> Result<Decoded, Problem> {
    match serde_json::from_str(text) {
        Ok(Envelope { category, properties }) => defender::row(table(&category)?, &properties),
        Err(_) => decode_by_members(text),
    }
}

/// A record as nearly all are, straight into its row; `None` for any other.
fn decode_plain(text: &str) -> Option<Result<Decoded, Problem>> {
    let mut record = Plain::open(text)?;
    let mut room = String::new();
    let (mut table, mut decoded) = (None, None);
    loop {
        match record.member(["category", "properties"])? {
            Next::End => break,
            Next::Likely(0) if table.is_none() => match record.scalar(&mut room)? {
                Scalar::Text(category) => table = Some(self::table(category).ok()?),
                _ => return None,
            },
            Next::Likely(1) if decoded.is_none() => {
                record.open_object()?;
                decoded = Some(defender::plain_row(table?, &mut record, text.len())?);
            }
            Next::Likely(_) => return None,
            Next::Member(_) => _ = record.scalar(&mut room)?,
        }
    }
    decoded.filter(|_| record.is_at_end())
}

/// The same in two passes, for records that repeat a member, and to say what is wrong with one.
fn decode_by_members(text: &str) -> Result<Decoded, Problem> {
    let record = Object::read(text)?;
    let category = record.get("category").and_then(Json::text).ok_or("category is missing")?;
    let table = table(&category)?;
    let properties = record.get("properties").and_then(Json::object).ok_or("properties is no object")?;
    defender::row(table, &properties)
}

fn table(category: &str) -> Result<&'static Table, Problem> {
    let name = category.strip_prefix("AdvancedHunting-").unwrap_or(category);
    Table::named(name).ok_or_else(|| unknown_table(name))
}

/// The reason for a table that is not kept, with as much of its name as a table's name can be.
fn unknown_table(name: &str) -> Problem {
    let plain = !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain { format!("table {name} is not kept").into() } else { Problem::from("a table that is not kept") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: &[&str] = &[
        "null",
        "true",
        "false",
        "nul",
        "truex",
        "nullnull",
        "",
        "\"",
        "\"\"",
        "\"a\"",
        "\"a\\\\b\\\"c\\/\\n\\t\"",
        "\"\\u0041\\u00e9\\u0000\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "\"\\u+041\"",
        "\"\\x\"",
        "\"\\u00\"",
        "\"é\"",
        "\"\\u00é9\"",
        "\"\t\"",
        "0",
        "-0",
        "-",
        "01",
        "-12",
        "1.5",
        "1e999",
        "12345678901234567890",
        "999999999999999999",
        "-9223372036854775808",
        "[]",
        "{}",
        "[1,",
        "{\"a\":[{}]}",
        "\"2026-01-15T09:00:00.5Z\"",
        "\"2026-01-15 09:00:00\"",
        "\"  \"",
        "\"a/b\"",
        " 7 ",
        "\"7\"",
        "7 7",
        "\"a\" \"b\"",
        "'a'",
        "1,",
        "1}",
        "1]",
    ];

    /// Records that have each value in each of a few places.
    fn records() -> Vec<String> {
        let row = |rest: &str| {
            format!(r#"{{"Timestamp":"2026-01-15T09:00:00Z","DeviceId":"d1","FileName":"a.exe"{rest}}}"#)
        };
        let record = |rest: &str, row: &str| {
            format!(
                r#"{{"time":"t","category":"AdvancedHunting-DeviceFileEvents"{rest},"properties":{row}}}"#
            )
        };
        let mut records = vec![
            record("", &row("")),
            record("", &row("")) + " ",
            record("", &row("")) + "x",
            record("", &row("")) + "}",
            record("", &row(",")),
            record("", "{,}"),
            record("", "{}"),
            record(",", &row("")),
            record(",\"categor\\u0079\":\"x\"", &row("")),
            record(r#","category":"DeviceInfo""#, &row("")),
            record(r#","properties":{}"#, &row("")),
            record("", &row("")).replace(':', " : ").replace(",\"", " , \""),
            record("", &row("")).replace(',', ",\n"),
            record("", &row("")).replace("FileEvents", "Things"),
            record("", &row("")).replace("\"DeviceId\"", "\"deviceid\""),
            record("", &row("")).replace("Timestamp", "TimeGenerated"),
            format!(r#"{{"properties":{},"category":"DeviceFileEvents"}}"#, row("")),
        ];
        for value in VALUES {
            records.push(record(&format!(",\"more\":{value}"), &row("")));
            records.push(format!(r#"{{"category":{value},"properties":{}}}"#, row("")));
            records.push(record("", value));
            for column in [
                "Timestamp",
                "DeviceId",
                "DeviceName",
                "FileName",
                "FileSize",
                "IsAzureInfoProtectionApplied",
                "AdditionalFields",
                "InitiatingProcessCreationTime",
                "RequestSourcePort",
                "NoColumn",
                "File\\u004eame",
            ] {
                records.push(record("", &row(&format!(",\"{column}\":{value}"))));
                records.push(record("", &format!("{{\"{column}\":{value},{}", row("").get(1..).unwrap())));
            }
        }
        records
    }

    #[test]
    fn the_short_way_through_a_record_leads_where_the_long_one_does() {
        let (mut short, all) = (0, records());
        for record in &all {
            if let Some(decoded) = decode_plain(record) {
                assert_eq!(decoded, decode_any(record), "{record}");
                short += 1;
            }
        }
        assert!(short > all.len() / 4, "{short} of {}", all.len());
    }
}
