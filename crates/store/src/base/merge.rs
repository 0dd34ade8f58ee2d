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
    /// The same, and what gives those behind a key.
    Pieces(Vec<Entry>, More<'r>),
}

/// Gives the next entries behind a key in ascending order, the first ones without a key; none at the end.
type More<'r> = Box<dyn FnMut(Option<&[u8]>) -> Vec<Entry> + 'r>;

impl<'r> Source<'r> {
    /// Of entries in ascending order.
    pub(crate) fn held(mut entries: Vec<Entry>) -> Source<'r> {
        entries.reverse();
        Source::Held(entries)
    }

    /// Of entries in ascending order, which are read piece by piece as they are asked for.
    pub(crate) fn in_pieces(mut more: impl FnMut(Option<&[u8]>) -> Vec<Entry> + 'r) -> Source<'r> {
        let mut first = more(None);
        first.reverse();
        Source::Pieces(first, Box::new(more))
    }

    fn key(&self) -> Option<&[u8]> {
        match self {
            Source::Run(cursor) => cursor.is_at_entry().then(|| cursor.key()),
            Source::Held(entries) | Source::Pieces(entries, _) => {
                entries.last().map(|(key, _)| key.as_slice())
            }
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
            Source::Pieces(entries, more) => {
                let Some((key, value)) = entries.pop() else { return Ok(Vec::new()) };
                if entries.is_empty() {
                    *entries = more(Some(&key));
                    entries.reverse();
                }
                Ok(value)
            }
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn what_is_read_in_pieces_is_read_as_far_as_it_is_asked_for_and_once() {
        let entries: Vec<Entry> = (0..10u8).map(|n| (vec![n], vec![n])).collect();
        let pieces = Cell::new(0);
        let more = |after: Option<&[u8]>| {
            pieces.set(pieces.get() + 1);
            let behind = entries.iter().filter(|(key, _)| after.is_none_or(|after| key.as_slice() > after));
            behind.take(3).cloned().collect()
        };
        let others = Source::held(vec![(vec![4], vec![44]), (vec![20], vec![20])]);
        let mut merge = Merge::of(vec![others, Source::in_pieces(more)], Vec::new());
        let mut next = || merge.next_group().unwrap().map(|(key, values)| (key[0], values.concat()));
        assert_eq!((next(), pieces.get()), (Some((0, vec![0])), 1));
        let rest: Vec<_> = std::iter::from_fn(next).collect();
        assert_eq!(rest.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 20]);
        assert_eq!((&rest[3].1, pieces.get()), (&vec![44, 4], 5));
    }
}
