//! Events in the Open Cybersecurity Schema Framework (OCSF) 1.x, as sensors, Amazon Security Lake (in
//! Parquet) and pipelines give them: a class by its number, an activity by its number within it. `device` is
//! the endpoint; an event without one is about something else than an endpoint.
//!
//! A device's id is its product's own, so that a machine is the same one whether its product's events come
//! as OCSF or as the product writes them.

mod entity;
mod event;
mod finding;

use std::borrow::Cow;

use pintle_model::Time;

use crate::format::{Decoded, Format, Problem};
use crate::json::{self, Json, Object};
use crate::machine::Machine;
use crate::time;

pub static FORMAT: Format = Format {
    name: "ocsf",
    description: "OCSF 1.x events as JSON, or as Parquet from Amazon Security Lake",
    recognises: |object| object.has("class_uid") && (object.has("metadata") || object.has("category_uid")),
    decode,
};

/// An event.
struct Ocsf<'a> {
    members: Object<'a>,
    class: i64,
    activity: i64,
    time: Option<Time>,
    machine: Option<Machine<'static>>,
    /// Who made the sensor, in lower-case letters and digits.
    vendor: String,
}

fn decode(record: &[u8]) -> Result<Decoded, Problem> {
    let members = Object::parse(record)?;
    let class = number(&members, "class_uid").ok_or("class_uid is missing or no number")?;
    let time = match text(&members, "time").or_else(|| text(&members, "time_dt")) {
        Some(text) => Some(time::read(&text).ok_or("time is none")?),
        None => None,
    };
    let vendor = vendor(&members);
    let machine = members.get("device").and_then(|device| machine(device, &members, &vendor));
    let activity = number(&members, "activity_id").unwrap_or_default();
    let ocsf = Ocsf { members, class, activity, time, machine, vendor };
    match class {
        finding::SECURITY_FINDING | finding::DETECTION_FINDING => finding::decode(&ocsf),
        _ => event::decode(&ocsf),
    }
}

/// The vendor's name, by which its ids are told from others'.
fn vendor(members: &Object<'_>) -> String {
    let name = at(members, &["metadata", "product", "vendor_name"]).and_then(Json::text);
    let letters = name.iter().flat_map(|name| name.chars());
    let vendor: String = letters.filter(char::is_ascii_alphanumeric).take(64).collect();
    vendor.to_ascii_lowercase()
}

/// The machine that a device object means.
fn machine(device: Json<'_>, members: &Object<'_>, vendor: &str) -> Option<Machine<'static>> {
    let device = device.object()?;
    let uid = text(&device, "uid");
    let name = text(&device, "hostname").or_else(|| text(&device, "name"));
    let product = at(members, &["metadata", "product", "name"]).and_then(Json::text);
    match vendor {
        "microsoft" if product.is_some_and(|product| product.contains("Defender")) => {
            Machine::of_defender(uid.as_deref(), name.as_deref())
        }
        "" => Machine::identified("ocsf", uid.as_deref(), name.as_deref()),
        vendor => Machine::identified(vendor, uid.as_deref(), name.as_deref()),
    }
}

/// The text of a member, unless it is missing or empty.
fn text<'a>(object: &Object<'a>, name: &str) -> Option<Cow<'a, str>> {
    object.get(name)?.text().filter(|text| !text.trim().is_empty())
}

fn number(object: &Object<'_>, name: &str) -> Option<i64> {
    json::long(&text(object, name)?)
}

/// The value at the end of a path.
fn at<'a>(object: &Object<'a>, path: &[&str]) -> Option<Json<'a>> {
    let (first, rest) = path.split_first()?;
    object.get(first)?.at(rest)
}

/// The elements of a list that is a member; none if it is not there.
fn list<'a>(object: &Object<'a>, name: &str) -> Vec<Json<'a>> {
    object.get(name).filter(|list| !list.is_null()).map(Json::elements).unwrap_or_default()
}
