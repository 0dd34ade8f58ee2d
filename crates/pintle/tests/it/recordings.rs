//! Real recordings, and an independently computed truth (`expected.json` beside them). What tests
//! them is skipped, with a notice, where they are absent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use pintle_model::MachineId;
use serde_json::Value;

/// Names or ids of machines and files, in order.
pub type Names = BTreeSet<String>;

/// The recordings and what is true of them.
pub struct Recordings {
    folder: PathBuf,
    pub expected: Value,
}

impl Recordings {
    /// `None`, with a notice, where they are absent.
    pub fn find() -> Option<Recordings> {
        let folder = std::env::var_os("PINTLE_SHARED_DATA").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
            PathBuf::from,
        );
        let Ok(expected) = std::fs::read_to_string(folder.join("expected.json")) else {
            let required = std::env::var_os("PINTLE_REQUIRE_RECORDINGS").is_some();
            assert!(!required, "there are no recordings in {}", folder.display());
            println!("skipped: no recordings in {}", folder.display());
            return None;
        };
        Some(Recordings { folder, expected: serde_json::from_str(&expected).unwrap() })
    }

    /// The files of which the truth is known.
    pub fn files(&self) -> Vec<&str> {
        let files = self.expected["files"].as_object().unwrap().iter();
        files.filter(|(_, truth)| truth["records"].is_u64()).map(|(file, _)| file.as_str()).collect()
    }

    /// Where such a file lies.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// What is true of one file alone.
    pub fn of(&self, file: &str) -> &Value {
        &self.expected["files"][file]
    }
}

/// Machines of Defender go by their id, others by their name, which is the member `name`; those of sources
/// that give none by the id that follows from the source's own.
pub fn known_as(machine: &Value, name: &str, known: &Names) -> String {
    let id = machine["id"].as_str().unwrap().to_lowercase();
    if known.contains(&id) {
        return id;
    }
    let derived = |own: &&String| {
        ["crowdstrike", "sentinelone"].iter().any(|kind| MachineId::derived(kind, own).as_str() == id)
    };
    match known.iter().find(derived) {
        Some(own) => own.clone(),
        None => machine[name].as_str().unwrap_or_default().to_lowercase(),
    }
}

/// A list of names.
pub fn names(list: &Value) -> Names {
    list.as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// Per SHA-1 the machines in any role.
pub fn machines_by_sha1(truth: &Value) -> BTreeMap<String, Names> {
    let mut machines: BTreeMap<String, Names> = BTreeMap::new();
    for (sha1, by_machine) in truth["sha1_to_machines"].as_object().unwrap() {
        machines.entry(sha1.clone()).or_default().extend(by_machine.as_object().unwrap().keys().cloned());
    }
    for (sha1, more) in truth["sha1_to_machines_any_role_extra"].as_object().unwrap() {
        machines.entry(sha1.clone()).or_default().extend(names(more));
    }
    machines
}
