//! Several sorted sources as one.

use super::key;
use super::run::Cursor;
use super::value;
use crate::Error;

/// A key and its value.
pub(crate) type Entry = (Vec<u8>, Vec<u8>);
/// A key and all its values.
type Group = (Vec<u8>, Vec<Vec<u8>>);

/// Entries in ascending order of keys.
pub(crate) enum Source<'r> {
    /// Of a run.
    Run(Cursor<'r>),
    /// In memory: the rest of them, the next one last.
    Held(Vec<Entry>),
}

impl Source<'_> {
    /// Of entries in ascending order.
    pub(crate) fn held(mut entries: Vec<Entry>) -> Source<'static> {
        entries.reverse();
        Source::Held(entries)
    }

    fn key(&self) -> Option<&[u8]> {
        match self {
            Source::Run(cursor) => cursor.is_at_entry().then(|| cursor.key()),
            Source::Held(entries) => entries.last().map(|(key, _)| key.as_slice()),
        }
    }

    fn take(&mut self) -> Result<Vec<u8>, Error> {
        match self {
            Source::Run(cursor) => {
                let value = cursor.value().to_vec();
                cursor.advance()?;
                Ok(value)
            }
            Source::Held(entries) => Ok(entries.pop().map(|(_, value)| value).unwrap_or_default()),
        }
    }
}

/// All sources' entries in ascending order, the values of one key together.
pub(crate) struct Merge<'r> {
    sources: Vec<Source<'r>>,
    prefix: Vec<u8>,
}

impl<'r> Merge<'r> {
    /// Of sources that stand at the first key with this prefix, to the last that has it.
    pub(crate) fn of(sources: Vec<Source<'r>>, prefix: Vec<u8>) -> Merge<'r> {
        Merge { sources, prefix }
    }

    /// The next key and all its values.
    pub(crate) fn next_group(&mut self) -> Result<Option<Group>, Error> {
        let least = self.sources.iter().filter_map(Source::key).min();
        let Some(key) = least.filter(|key| key.starts_with(&self.prefix)).map(<[u8]>::to_vec) else {
            return Ok(None);
        };
        let mut values = Vec::new();
        for source in &mut self.sources {
            if source.key() == Some(key.as_slice()) {
                values.push(source.take()?);
            }
        }
        Ok(Some((key, values)))
    }

    /// The next key with its values made one.
    pub(crate) fn next_merged(&mut self) -> Result<Option<Entry>, Error> {
        let Some((key, values)) = self.next_group()? else { return Ok(None) };
        let Some((_, table, _)) = key::split(&key) else {
            return Err(Error::Engine("a key of no table".to_owned()));
        };
        let merged = value::merge(table, &values)?;
        Ok(Some((key, merged)))
    }
}
