//! What stands under the keys, and how two values of one key become one. Every merge takes its
//! values in any order, any number of times, to the same bytes, so runs can be merged at any time.

use pintle_model::Time;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::bytes::{put, take_slice};
use super::key::Table;
use super::postings::{self, Postings};
use crate::Error;
use crate::entity::{Entity, most};
use crate::pair::{self, Pair};
use crate::presence::Presence;

/// What is noted of a batch beside its records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Arrival {
    pub(crate) source: String,
    pub(crate) records: u64,
    pub(crate) rejects: u64,
}

/// A file or an observable as it is kept: the entity, then the postings.
pub(crate) fn file(entity: &Entity, pairs: &[(u32, Pair)]) -> Vec<u8> {
    let entity = entity.to_bytes();
    let mut value = Vec::with_capacity(entity.len() + pairs.len() * 12 + 16);
    put(&mut value, entity.len() as u64);
    value.extend_from_slice(&entity);
    postings::encode(pairs, &mut value);
    value
}

/// The two halves of the same.
pub(crate) fn split_file(mut value: &[u8]) -> Result<(&[u8], Postings<'_>), Error> {
    let halves = take_slice(&mut value).and_then(|entity| Some((entity, Postings::read(value)?)));
    halves.ok_or_else(|| unreadable("a file"))
}

/// A file's machines with times.
pub(crate) fn pairs(postings: Postings<'_>) -> Result<Vec<(u32, Pair)>, Error> {
    postings.pairs().ok_or_else(|| unreadable("a file's sightings"))
}

/// Merges the values of one key; at least one.
pub(crate) fn merge(table: Table, values: &[Vec<u8>]) -> Result<Vec<u8>, Error> {
    match (table, values) {
        (_, [only]) => Ok(only.clone()),
        (Table::Files | Table::Observables, _) => {
            let most_parts = if table == Table::Files { most::PATHS } else { most::LOGON_TYPES };
            let mut entity = Entity::default();
            let mut lists = Vec::with_capacity(values.len());
            for value in values {
                let (part, postings) = split_file(value)?;
                entity.merge(Entity::from_bytes(part)?, most_parts);
                lists.push(pairs(postings)?);
            }
            Ok(file(&entity, &pair::merge(lists)))
        }
        (Table::Machines, _) => Ok(entity(values.iter().map(Vec::as_slice), most::ADAPTERS)?.to_bytes()),
        (Table::Alerts, _) => Ok(entity(values.iter().map(Vec::as_slice), most::EVIDENCE)?.to_bytes()),
        (Table::Logons, _) => Ok(entity(values.iter().map(Vec::as_slice), most::LOGON_TYPES)?.to_bytes()),
        (Table::Addresses, _) => {
            let mut merged = Presence::default();
            for value in values {
                merged.merge(&presence(value)?);
            }
            Ok(merged.to_bytes())
        }
        (Table::BatchIds, _) => {
            let times = values.iter().map(|value| decode::<Time>(value)).collect::<Result<Vec<_>, _>>()?;
            encode(&times.into_iter().min().unwrap_or(Time::MIN))
        }
        // The key says it all, or the values are the same.
        (Table::Links | Table::Rejects | Table::Batches | Table::Frames, _) => {
            Ok(values.first().cloned().unwrap_or_default())
        }
    }
}

/// When a machine had an address.
pub(crate) fn presence(value: &[u8]) -> Result<Presence, Error> {
    Presence::from_bytes(value).ok_or_else(|| unreadable("an address of a machine"))
}

/// An entity from all that is kept of it.
pub(crate) fn entity<'v>(values: impl Iterator<Item = &'v [u8]>, most_parts: usize) -> Result<Entity, Error> {
    let mut merged = Entity::default();
    for value in values {
        merged.merge(Entity::from_bytes(value)?, most_parts);
    }
    Ok(merged)
}

/// Reads a value.
pub(crate) fn decode<T: DeserializeOwned>(value: &[u8]) -> Result<T, Error> {
    postcard::from_bytes(value).map_err(|error| Error::Engine(format!("a value does not read: {error}")))
}

/// Writes a value.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    postcard::to_allocvec(value).map_err(|error| Error::Engine(format!("a value does not write: {error}")))
}

fn unreadable(what: &str) -> Error {
    Error::Engine(format!("{what} does not read"))
}
