//! Records of Defender's streaming export: an advanced hunting row in `properties`, its table in
//! `category`. The envelope's times say when the record travelled; only `properties.Timestamp`
//! says when something happened.

use pintle_model::Table;

use crate::defender;
use crate::format::{Decoded, Format, Problem};
use crate::json::{Json, Object};

pub static FORMAT: Format = Format {
    name: "mde-streaming",
    description: "Defender's streaming export: JSON Lines, or {\"records\":[…]}",
    recognises: |object| object.has("category") && object.has("properties"),
    decode,
};

fn decode(record: &[u8]) -> Result<Decoded, Problem> {
    let record = Object::parse(record)?;
    let category = record.get("category").and_then(Json::text).ok_or("category is missing")?;
    let name = category.strip_prefix("AdvancedHunting-").unwrap_or(&category);
    let table = Table::named(name).ok_or_else(|| unknown_table(name))?;
    let properties = record.get("properties").and_then(Json::object).ok_or("properties is no object")?;
    defender::row(table, &properties)
}

/// The reason for a table that is not kept, with as much of its name as a table's name can be.
fn unknown_table(name: &str) -> Problem {
    let plain = !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain { format!("table {name} is not kept").into() } else { Problem::from("a table that is not kept") }
}
