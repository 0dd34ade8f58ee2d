//! The values of a page, one after another, however they are written.

use std::borrow::Cow;

use super::bits::{Distances, Runs, bits};
use super::schema::Stored;
use super::{ENCODING, Fault, MAX_RECORD};

/// A value, before anybody asks what it means.
#[derive(Clone, Copy, Debug)]
pub enum Value<'v> {
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// The bytes of anything else.
    Bytes(&'v [u8]),
}

/// Values that others point to.
pub struct Dictionary<'f> {
    data: Cow<'f, [u8]>,
    /// Where each begins and ends, unless all have one length.
    places: Vec<(u32, u32)>,
    width: Option<usize>,
}

impl<'f> Dictionary<'f> {
    /// The `count` values in `data`.
    pub fn of(data: Cow<'f, [u8]>, count: usize, stored: Stored) -> Result<Dictionary<'f>, Fault> {
        let mut places = Vec::new();
        if stored == Stored::Bytes {
            let mut at = 0;
            for _ in 0..count {
                let (begin, end) = counted(&data, at)?;
                let place = |place| u32::try_from(place).map_err(|_| Fault::Damage);
                places.push((place(begin)?, place(end)?));
                at = end;
            }
        }
        Ok(Dictionary { data, places, width: stored.width() })
    }

    /// How much memory it takes.
    pub fn held(&self) -> u64 {
        held(&self.data) + self.places.len() as u64 * 8
    }

    fn get(&self, number: usize) -> Result<&[u8], Fault> {
        let bytes = match self.width {
            Some(width) => {
                let begin = number.checked_mul(width).ok_or(Fault::Damage)?;
                self.data.get(begin..begin.saturating_add(width))
            }
            None => {
                self.places.get(number).and_then(|(begin, end)| self.data.get(*begin as usize..*end as usize))
            }
        };
        bytes.ok_or(Fault::Damage)
    }
}

/// How much memory bytes take that may only be looked at.
#[expect(clippy::ptr_arg, reason = "whether they are only looked at is the question")]
pub fn held(data: &Cow<'_, [u8]>) -> u64 {
    match data {
        Cow::Borrowed(_) => 0,
        Cow::Owned(data) => data.len() as u64,
    }
}

/// How the values of a page are written, and how far they were read.
pub enum Values {
    /// Bits, from one on.
    Bits(usize),
    /// Bits in runs.
    BitRuns(Runs),
    /// One after another, each of so many bytes.
    Wide(usize, usize),
    /// One after another, each after its length.
    Counted(usize),
    /// Numbers of values in the dictionary.
    Pointers(Runs),
    /// Whole numbers by their distances.
    Distances(Distances, Stored),
    /// Their lengths, then all their bytes.
    Lengths(Distances, usize),
    /// How much of each is as in the one before, then the rest of each.
    Prefixes { prefixes: Distances, lengths: Distances, at: usize, last: Vec<u8> },
    /// The first byte of all, then the second of all, and so on: bytes of each, how many, and which is next.
    Split { width: usize, count: usize, next: usize, last: Vec<u8>, begin: usize },
}

impl Values {
    /// The values in `data` from `at` on, in a page with `count` places for them.
    pub fn of(data: &[u8], at: usize, encoding: i64, stored: Stored, count: u64) -> Result<Values, Fault> {
        Ok(match (encoding, stored) {
            (0, Stored::Bit) => Values::Bits(at.saturating_mul(8)),
            (0, Stored::Bytes) => Values::Counted(at),
            (0, _) => Values::Wide(at, stored.width().ok_or(ENCODING)?),
            (2 | 8, _) => {
                // A page without values may have nothing here.
                let width = data.get(at).copied().unwrap_or_default();
                let begin = data.len().min(at.saturating_add(1));
                Values::Pointers(Runs::new(begin, data.len(), width.into())?)
            }
            (3, Stored::Bit) => {
                let begin = data.len().min(at.saturating_add(4));
                Values::BitRuns(Runs::new(begin, data.len(), 1)?)
            }
            (5..=7, _) if at == data.len() => Values::Counted(at),
            (5, Stored::Int32 | Stored::Int64) => Values::Distances(Distances::new(data, at, count)?, stored),
            (6, Stored::Bytes) => {
                let lengths = Distances::new(data, at, count)?;
                let at = lengths.end(data)?;
                Values::Lengths(lengths, at)
            }
            (7, Stored::Bytes | Stored::Fixed(_)) => {
                let prefixes = Distances::new(data, at, count)?;
                let lengths = Distances::new(data, prefixes.end(data)?, count)?;
                let at = lengths.end(data)?;
                Values::Prefixes { prefixes, lengths, at, last: Vec::new() }
            }
            (9, _) => {
                let width = stored.width().ok_or(ENCODING)?;
                let count = data.len().saturating_sub(at) / width;
                Values::Split { width, count, next: 0, last: vec![0; width], begin: at }
            }
            _ => return Err(ENCODING),
        })
    }

    /// The next value.
    pub fn next<'v>(
        &'v mut self,
        data: &'v [u8],
        dictionary: Option<&'v Dictionary<'_>>,
        stored: Stored,
    ) -> Result<Value<'v>, Fault> {
        Ok(match self {
            Values::Bits(at) => {
                let bit = bits(data, *at, 1)?;
                *at += 1;
                Value::Bool(bit == 1)
            }
            Values::BitRuns(runs) => Value::Bool(runs.next(data)? == 1),
            Values::Wide(at, width) => raw(slice(data, at, *width)?, stored),
            Values::Counted(at) => {
                let (begin, end) = counted(data, *at)?;
                *at = end;
                Value::Bytes(data.get(begin..end).ok_or(Fault::Damage)?)
            }
            Values::Pointers(runs) => {
                let number = usize::try_from(runs.next(data)?).map_err(|_| Fault::Damage)?;
                raw(dictionary.ok_or(Fault::Damage)?.get(number)?, stored)
            }
            Values::Distances(numbers, Stored::Int32) => Value::Int((numbers.next(data)? as i32).into()),
            Values::Distances(numbers, _) => Value::Int(numbers.next(data)?),
            Values::Lengths(lengths, at) => Value::Bytes(slice(data, at, length(lengths, data)?)?),
            Values::Prefixes { prefixes, lengths, at, last } => {
                let kept = length(prefixes, data)?;
                let rest = slice(data, at, length(lengths, data)?)?;
                if kept > last.len() || kept + rest.len() > MAX_RECORD {
                    return Err(Fault::Damage);
                }
                last.truncate(kept);
                last.extend_from_slice(rest);
                raw(last, stored)
            }
            Values::Split { width, count, next, last, begin } => {
                if *next >= *count {
                    return Err(Fault::Damage);
                }
                for (place, byte) in last.iter_mut().take(*width).enumerate() {
                    *byte = *data.get(*begin + place * *count + *next).ok_or(Fault::Damage)?;
                }
                *next += 1;
                raw(last, stored)
            }
        })
    }
}

/// What bytes are, by how the column is kept.
fn raw(bytes: &[u8], stored: Stored) -> Value<'_> {
    match (stored, bytes) {
        (Stored::Int32, [a, b, c, d]) => Value::Int(i32::from_le_bytes([*a, *b, *c, *d]).into()),
        (Stored::Int64, bytes) => match bytes.first_chunk() {
            Some(bytes) => Value::Int(i64::from_le_bytes(*bytes)),
            None => Value::Bytes(bytes),
        },
        _ => Value::Bytes(bytes),
    }
}

fn slice<'v>(data: &'v [u8], at: &mut usize, length: usize) -> Result<&'v [u8], Fault> {
    let end = at.checked_add(length).ok_or(Fault::Damage)?;
    let slice = data.get(*at..end).ok_or(Fault::Damage)?;
    *at = end;
    Ok(slice)
}

/// Where bytes that stand after their length begin and end.
fn counted(data: &[u8], at: usize) -> Result<(usize, usize), Fault> {
    let mut begin = at;
    let length = slice(data, &mut begin, 4)?.first_chunk().ok_or(Fault::Damage)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| Fault::Damage)?;
    let end = begin.checked_add(length).filter(|end| *end <= data.len()).ok_or(Fault::Damage)?;
    Ok((begin, end))
}

fn length(lengths: &mut Distances, data: &[u8]) -> Result<usize, Fault> {
    usize::try_from(lengths.next(data)? as i32).map_err(|_| Fault::Damage)
}
