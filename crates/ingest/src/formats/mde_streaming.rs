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
    if let Some(decoded) = decode_plain(text) {
        return decoded;
    }
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
