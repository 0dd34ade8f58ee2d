//! What a machine's own record in an API (of Defender, of another Pintle) says of it all at once: kept beside
//! what telemetry says piece by piece, so that whichever is newer shows.

use pintle_model::{Fact, MemberId, Time, shapes::machine as m};

use super::{Entity, most};

/// What begins the names of parts that such a record gave: they stay before all others, and no adapter is
/// called so.
pub(crate) const MARK: &str = "\0";
/// All addresses of all adapters.
const ADDRESSES: &str = "\0a";
/// The address that the machine had last, or that it had none.
const LAST_ADDRESS: &str = "\0l";

/// The number under which a machine keeps the name of the group whose number it has: telemetry may name
/// another one later, and gives no numbers.
const NUMBERED_GROUP: MemberId = MemberId(0x7c);

impl Entity {
    /// Notes all addresses of a machine, as a JSON array.
    pub(crate) fn note_addresses(&mut self, at: Time, json: String) {
        self.note_part(ADDRESSES.into(), Fact { at, json: json.into() }, most::ADAPTERS);
    }

    /// Notes the address that a machine had last, as JSON.
    pub(crate) fn note_last_address(&mut self, at: Time, json: String) {
        self.note_part(LAST_ADDRESS.into(), Fact { at, json: json.into() }, most::ADAPTERS);
    }

    /// The addresses that its record in an API says the machine has.
    pub(crate) fn addresses(&self) -> Option<&Fact> {
        self.parts.get(ADDRESSES)
    }

    /// The address that its record in an API says the machine had last.
    pub(crate) fn last_address(&self) -> Option<&Fact> {
        self.parts.get(LAST_ADDRESS)
    }

    /// What telemetry says of each adapter.
    pub(crate) fn adapters(&self) -> impl Iterator<Item = &Fact> {
        self.told().filter(|(name, _)| !name.starts_with(MARK)).map(|(_, fact)| fact)
    }

    /// Notes the number of a machine's group, with the name that was told with it, both as JSON.
    pub(crate) fn note_group_number(&mut self, at: Time, number: &str, name: &str) {
        self.facts.note(m::RBAC_GROUP_ID, at, number);
        self.facts.note(NUMBERED_GROUP, at, name);
    }

    /// The number of the group that the machine is in now, if it was told.
    pub(crate) fn group_number(&self) -> Option<&str> {
        let name = |member| self.facts.json(member).filter(|json| *json != "null");
        let number = self.facts.json(m::RBAC_GROUP_ID).filter(|json| *json != "null");
        number.filter(|_| name(NUMBERED_GROUP) == name(m::RBAC_GROUP_NAME))
    }
}
