//! Which machine a record is about: never the collector that passed it on.

use std::borrow::Cow;

use pintle_model::MachineId;

/// A machine as a record names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine<'a> {
    /// Its id: the source's own where that is the API's, or one derived from what identifies it best.
    pub id: MachineId,
    /// Its name in lower case, if the source knows it.
    pub name: Option<Cow<'a, str>>,
}

impl<'a> Machine<'a> {
    /// A machine of which the source knows a name only, so that every source that does means the same.
    pub fn named(name: &str) -> Option<Machine<'a>> {
        Some(Machine { id: named(name)?, name: Some(Cow::Owned(name.trim().to_lowercase())) })
    }

    /// A machine that sources of one `kind` (`osquery`, `crowdstrike`, …) know by an `id` of their own,
    /// whatever its name is today; by its name where the id identifies nothing.
    pub fn identified(kind: &str, id: Option<&str>, name: Option<&str>) -> Option<Machine<'a>> {
        let name = name.map(str::trim).filter(|name| !matches!(*name, "" | "-"));
        match id.map(str::trim).filter(|id| !is_no_id(id)) {
            Some(id) => Some(Machine {
                id: MachineId::derived(kind, id),
                name: name.map(|name| Cow::Owned(name.to_lowercase())),
            }),
            None => Machine::named(name?),
        }
    }

    /// The machine of an id that Defender gave it, with the name that it has among those that are known.
    pub fn among(known: &[Machine<'_>], id: Option<&str>) -> Option<Machine<'static>> {
        let machine = Machine::of_defender(Some(id?), None)?;
        Some(known.iter().find(|known| known.id == machine.id).map_or(machine, Machine::owned))
    }

    /// The same, borrowed from nothing.
    pub fn owned(&self) -> Machine<'static> {
        let name = self.name.as_ref().map(|name| Cow::Owned(name.clone().into_owned()));
        Machine { id: self.id.clone(), name }
    }

    /// A machine by the id that Defender itself gives it; by its name where that was scrubbed.
    pub fn of_defender(id: Option<&str>, name: Option<&str>) -> Option<Machine<'a>> {
        let id = id.map(str::trim).filter(|id| !is_no_id(id) && MachineId::can_be(id));
        match id.and_then(|id| id.parse().ok()) {
            Some(id) => Some(Machine { id, name: name.map(|name| Cow::Owned(name.trim().to_lowercase())) }),
            None => Machine::named(name?),
        }
    }
}

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
