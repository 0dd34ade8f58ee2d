//! Alerts as the API gives them, one a line.

use pintle_model::shapes::{alert, evidence};
use pintle_model::{Alert, Facts, MemberId, Record, Shape};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::value::RawValue;

use super::Sender;

pub(super) fn alerts(record: &Record, _: &mut Sender, out: &mut Vec<u8>) -> serde_json::Result<()> {
    if let Record::Alert(alert) = record {
        serde_json::to_writer(&mut *out, &Whole(alert))?;
        out.push(b'\n');
    }
    Ok(())
}

struct Whole<'a>(&'a Alert);

impl Serialize for Whole<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(None)?;
        write(&mut members, &self.0.facts, &alert::SHAPE)?;
        members.serialize_entry("evidence", &Pieces(self.0))?;
        members.end()
    }
}

struct Pieces<'a>(&'a Alert);

impl Serialize for Pieces<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.evidence.len()))?;
        for piece in &self.0.evidence {
            list.serialize_element(&Piece(&piece.0))?;
        }
        list.end()
    }
}

struct Piece<'a>(&'a Facts);

impl Serialize for Piece<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(None)?;
        write(&mut members, self.0, &evidence::SHAPE)?;
        members.end()
    }
}

/// Every member but the evidence, which stands apart: `null` where it is not known.
fn write<M: SerializeMap>(members: &mut M, facts: &Facts, shape: &Shape) -> Result<(), M::Error> {
    let known = (0..).zip(shape.members).filter(|(_, member)| member.name != "evidence");
    for (place, member) in known {
        let json = facts.json(MemberId(place)).and_then(|json| serde_json::from_str::<&RawValue>(json).ok());
        members.serialize_entry(member.name, &json)?;
    }
    Ok(())
}
