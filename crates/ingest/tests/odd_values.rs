//! Whatever stands in the place of a value, a decoder says what it makes of it or what is wrong, and does not
//! panic: every value of every sample is replaced by every odd one.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use pintle_ingest::FORMATS;
use serde_json::{Value, json};

fn odd_values() -> Vec<Value> {
    vec![
        Value::Null,
        json!(""),
        json!("-"),
        json!("\u{1f980}\0:\\/¦;=,"),
        json!(-1),
        json!(i64::MAX),
        json!(1e300),
        json!(true),
        json!([]),
        json!([null, 1, "x", [{}], {"id": {}}]),
        json!({}),
        json!({"name": {"name": []}, "uid": 1, "hash": {"sha1": [1]}, "#text": {}, "data": {"Event": {"System": 1}}}),
    ]
}

/// The records of a sample; those that are no JSON are others' to test.
fn records(folder: &Path) -> Vec<Value> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut records = Vec::new();
    for file in files.filter(|file| file.file_stem().is_some_and(|stem| stem == "input")) {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let documents = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
        for document in documents.map_while(Result::ok) {
            match document {
                Value::Array(list) => records.extend(list),
                document => records.push(document),
            }
        }
    }
    records
}

/// Where the values of a record are, by their paths.
fn places(record: &Value) -> Vec<String> {
    let mut places = Vec::new();
    let mut open = vec![(String::new(), record)];
    while let Some((path, value)) = open.pop() {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    let name = name.replace('~', "~0").replace('/', "~1");
                    open.push((format!("{path}/{name}"), value));
                }
            }
            Value::Array(list) => {
                open.extend(list.iter().enumerate().map(|(place, value)| (format!("{path}/{place}"), value)));
            }
            _ => {}
        }
        places.push(path);
    }
    places
}

#[test]
fn no_odd_value_in_any_place_makes_a_decoder_panic() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/formats/samples");
    let odd = odd_values();
    let mut tried = 0;
    for format in FORMATS {
        for record in records(&samples.join(format.name)) {
            for place in places(&record) {
                for value in &odd {
                    let mut record = record.clone();
                    *record.pointer_mut(&place).unwrap() = value.clone();
                    // What it makes of it is for the samples to show.
                    drop((format.decode)(record.to_string().as_bytes()));
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 10_000, "{tried}");
}
