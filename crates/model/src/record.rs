//! What a decoder makes of one record.

use serde::{Deserialize, Serialize};

use crate::{AlertId, Facts, Hashes, MachineId, MemberId, Row, Time, shapes};

/// One record of telemetry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Something that happened, as a row of a hunting table.
    Row(Row),
    /// An alert as the API gives it.
    Alert(Alert),
    /// A machine as the API gives it.
    Machine(Machine),
}

/// An alert, or a part of one: a shipper may split its evidence over several records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The alert's id.
    pub id: AlertId,
    /// The members the source gave ([`shapes::alert`]), all at the alert's last update.
    pub facts: Facts,
    /// The evidence in this record.
    pub evidence: Vec<Evidence>,
}

/// What the API says of a machine: all at once, and all at the time when it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The machine's id.
    pub id: MachineId,
    /// The members the source gave ([`shapes::machine`]), without the id.
    pub facts: Facts,
}

impl Machine {
    /// When it was read, as far as that is known.
    pub fn read_at(&self) -> Option<Time> {
        self.facts.iter().map(|(_, fact)| fact.at).max().filter(|at| *at != Time::MIN)
    }
}

/// One piece of evidence: members of [`shapes::evidence`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence(pub Facts);

impl Evidence {
    /// The hashes that it names.
    pub fn hashes(&self) -> Hashes {
        let text = |member: MemberId| self.0.text(member);
        Hashes::read(text(shapes::evidence::SHA1).as_deref(), text(shapes::evidence::SHA256).as_deref(), None)
    }

    /// When it was attached to its alert.
    pub fn created(&self) -> Option<Time> {
        self.0.time(shapes::evidence::EVIDENCE_CREATION_TIME)
    }
}
