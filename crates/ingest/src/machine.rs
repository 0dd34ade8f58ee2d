//! Which machine a record is about: never the collector that passed it on.

use pintle_model::MachineId;

/// The id of a machine whose source gives it a name only. `None` for a name that is none.
pub fn named(name: &str) -> Option<MachineId> {
    let name = name.trim();
    (!name.is_empty() && name != "-").then(|| MachineId::derived("host", name))
}

/// Whether an id that a source gives identifies nothing: missing, blank, or scrubbed to zeros.
pub fn is_no_id(id: &str) -> bool {
    id.bytes().all(|byte| matches!(byte, b'0' | b'-' | b' ' | b'\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrubbed_ids_identify_nothing() {
        for id in
            ["", "  ", "00000000-0000-0000-0000-000000000000", "0000000000000000000000000000000000000000"]
        {
            assert!(is_no_id(id), "{id}");
        }
        assert!(!is_no_id("t4563234bc5a"));
    }
}
