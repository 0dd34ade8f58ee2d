//! A file's postings: the machines, by ordinal, on which it was seen, with first and last times.
//!
//! Three columns one after the other, so that who asks for the machines alone reads no times:
//!
//! ```text
//! shape u8   bits 0–1: the unit of times (UNITS), bit 2: ordinals are a bitmap
//! count      of pairs
//! base       the earliest first time, in ticks since 1990
//! ordinals   ascending: the distances; or the first, the length and a bitmap, if that is shorter
//! tags       a byte a pair: bits 0–2 and 3–5: bytes of the two times, bits 6–7: which spans (KINDS)
//! times      first as distance from the base, last as distance from first, in units
//! ```
//!
//! Numbers without a width are LEB128.

use pintle_model::Time;

use super::bytes::{put, put_short, take, take_short};
use crate::Span;
use crate::pair::Pair;

/// Ticks: 100 ns, a microsecond, a millisecond, a second. Sensors rarely tell more than milliseconds.
const UNITS: [u64; 4] = [1, 10, 10_000, 10_000_000];
const BITMAP: u8 = 4;

/// Both spans are the same, as they are for most pairs.
const SAME: u8 = 0;
/// Never the object of an event.
const ANY_ONLY: u8 = 1;
/// Two spans; the second follows with a tag of its own, within the first.
const BOTH: u8 = 2;
/// A byte follows: bit 0, was the object; bit 1, the span in any role is there.
const ODD: u8 = 3;

/// Writes postings; `pairs` ascend by ordinal.
pub(crate) fn encode(pairs: &[(u32, Pair)], out: &mut Vec<u8>) {
    let base = pairs.iter().filter_map(|(_, pair)| pair.any_role).map(since_1990).min().unwrap_or(0);
    let unit = coarsest_unit(pairs, base);
    let ordinals = Ordinals::of(pairs);
    out.push(u8::try_from(unit).unwrap_or(0) | if ordinals.bitmap.is_some() { BITMAP } else { 0 });
    put(out, pairs.len() as u64);
    put(out, base);
    ordinals.write(out);
    let unit = UNITS.get(unit).copied().unwrap_or(1);
    let mut times = Vec::with_capacity(pairs.len() * 8);
    for (_, pair) in pairs {
        let tag = put_pair(&mut times, pair, base, unit);
        out.push(tag);
    }
    out.append(&mut times);
}

fn put_pair(times: &mut Vec<u8>, pair: &Pair, base: u64, unit: u64) -> u8 {
    match (pair.any_role, pair.as_target, pair.target) {
        (Some(any), Some(target), true) if any == target => SAME << 6 | put_span(times, any, base, unit),
        (Some(any), None, false) => ANY_ONLY << 6 | put_span(times, any, base, unit),
        (Some(any), Some(target), true) => {
            let tag = BOTH << 6 | put_span(times, any, base, unit);
            let place = times.len();
            times.push(0);
            let within = put_span(times, target, since_1990(any), unit);
            if let Some(second) = times.get_mut(place) {
                *second = within;
            }
            tag
        }
        (any, _, target) => {
            let place = times.len();
            times.push(u8::from(target) | u8::from(any.is_some()) << 1);
            debug_assert!(place < times.len());
            ODD << 6 | any.map_or(0, |any| put_span(times, any, base, unit))
        }
    }
}

fn put_span(times: &mut Vec<u8>, span: Span, base: u64, unit: u64) -> u8 {
    let first = put_short(times, since_1990(span).saturating_sub(base) / unit);
    let last = put_short(times, length(span) / unit);
    first | last << 3
}

fn since_1990(span: Span) -> u64 {
    span.first.ticks().abs_diff(Time::EARLIEST_PLAUSIBLE.ticks())
}

fn length(span: Span) -> u64 {
    span.last.ticks().abs_diff(span.first.ticks())
}

/// The place in [`UNITS`] of the coarsest unit that loses nothing.
fn coarsest_unit(pairs: &[(u32, Pair)], base: u64) -> usize {
    let mut coarsest = UNITS.len() - 1;
    for span in pairs.iter().flat_map(|(_, pair)| [pair.any_role, pair.as_target]).flatten() {
        for distance in [since_1990(span).saturating_sub(base), length(span)] {
            while coarsest > 0 && UNITS.get(coarsest).is_some_and(|unit| distance % unit != 0) {
                coarsest -= 1;
            }
        }
        if coarsest == 0 {
            break;
        }
    }
    coarsest
}

/// The ordinals, both ways of writing them.
struct Ordinals {
    distances: Vec<u8>,
    /// The first, and the bits from it on.
    bitmap: Option<(u32, Vec<u8>)>,
}

impl Ordinals {
    fn of(pairs: &[(u32, Pair)]) -> Ordinals {
        let mut distances = Vec::with_capacity(pairs.len() + 4);
        let mut previous = 0;
        for (ordinal, _) in pairs {
            put(&mut distances, u64::from(ordinal - previous));
            previous = *ordinal;
        }
        let first = pairs.first().map_or(0, |(ordinal, _)| *ordinal);
        let bits = place(previous - first) / 8 + 1;
        // Ten bytes: the first ordinal and the length.
        let bitmap = (bits + 10 < distances.len()).then(|| {
            let mut bitmap = vec![0u8; bits];
            for (ordinal, _) in pairs {
                if let Some(byte) = bitmap.get_mut(place(ordinal - first) / 8) {
                    *byte |= 1 << ((ordinal - first) % 8);
                }
            }
            (first, bitmap)
        });
        Ordinals { distances, bitmap }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match &self.bitmap {
            Some((first, bitmap)) => {
                put(out, u64::from(*first));
                put(out, bitmap.len() as u64);
                out.extend_from_slice(bitmap);
            }
            None => out.extend_from_slice(&self.distances),
        }
    }
}

fn place(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Postings being read.
pub(crate) struct Postings<'b> {
    /// The machines, ascending.
    pub(crate) ordinals: Vec<u32>,
    base: u64,
    unit: u64,
    tags: &'b [u8],
    times: &'b [u8],
}

impl<'b> Postings<'b> {
    /// Reads the head and the ordinals. `None`: this is not what was written.
    pub(crate) fn read(mut bytes: &'b [u8]) -> Option<Postings<'b>> {
        let (shape, rest) = bytes.split_first()?;
        bytes = rest;
        let count = usize::try_from(take(&mut bytes)?).ok().filter(|count| *count <= bytes.len())?;
        let base = take(&mut bytes)?;
        let ordinals = if shape & BITMAP != 0 { bits(&mut bytes)? } else { distances(&mut bytes, count)? };
        let (tags, times) = bytes.split_at_checked(count).filter(|_| ordinals.len() == count)?;
        Some(Postings { ordinals, base, unit: UNITS.get(usize::from(shape & 3)).copied()?, tags, times })
    }

    /// Reads the times too.
    pub(crate) fn pairs(self) -> Option<Vec<(u32, Pair)>> {
        let mut times = self.times;
        let tags = self.ordinals.into_iter().zip(self.tags);
        let read =
            |(ordinal, tag): (u32, &u8)| Some((ordinal, take_pair(&mut times, *tag, self.base, self.unit)?));
        tags.map(read).collect()
    }
}

fn distances(bytes: &mut &[u8], count: usize) -> Option<Vec<u32>> {
    let mut previous = 0u32;
    let next = |_| {
        previous = previous.checked_add(u32::try_from(take(bytes)?).ok()?)?;
        Some(previous)
    };
    (0..count).map(next).collect()
}

fn bits(bytes: &mut &[u8]) -> Option<Vec<u32>> {
    let first = u32::try_from(take(bytes)?).ok()?;
    let bitmap = super::bytes::take_slice(bytes)?;
    let mut ordinals = Vec::with_capacity(bitmap.len() * 8);
    for (eighth, byte) in (0u32..).zip(bitmap) {
        let mut left = *byte;
        while left != 0 {
            ordinals.push(first.checked_add(eighth.checked_mul(8)?)?.checked_add(left.trailing_zeros())?);
            left &= left - 1;
        }
    }
    Some(ordinals)
}

fn take_pair(times: &mut &[u8], tag: u8, base: u64, unit: u64) -> Option<Pair> {
    match tag >> 6 {
        ODD => {
            let (what, rest) = times.split_first()?;
            *times = rest;
            let any_role = if what & 2 != 0 { Some(take_span(times, tag, base, unit)?) } else { None };
            Some(Pair { target: what & 1 != 0, as_target: None, any_role })
        }
        kind => {
            let any = take_span(times, tag, base, unit)?;
            let as_target = match kind {
                SAME => Some(any),
                BOTH => {
                    let (within, rest) = times.split_first()?;
                    *times = rest;
                    Some(take_span(times, *within, since_1990(any), unit)?)
                }
                _ => None,
            };
            Some(Pair { target: as_target.is_some(), as_target, any_role: Some(any) })
        }
    }
}

fn take_span(times: &mut &[u8], tag: u8, base: u64, unit: u64) -> Option<Span> {
    let since = base.checked_add(take_short(times, tag & 7)?.checked_mul(unit)?)?;
    let first = Time::EARLIEST_PLAUSIBLE.ticks().checked_add_unsigned(since)?;
    let last = first.checked_add_unsigned(take_short(times, tag >> 3 & 7)?.checked_mul(unit)?)?;
    Some(Span { first: Time::from_ticks(first), last: Time::from_ticks(last) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_unix_seconds(1_600_000_000 + seconds)
    }

    fn read_back(pairs: &[(u32, Pair)]) -> usize {
        let mut bytes = Vec::new();
        encode(pairs, &mut bytes);
        let postings = Postings::read(&bytes).unwrap();
        assert!(postings.ordinals.iter().eq(pairs.iter().map(|(ordinal, _)| ordinal)));
        assert_eq!(postings.pairs().unwrap(), pairs);
        bytes.len()
    }

    #[test]
    fn postings_read_back_as_they_were_written() {
        let mut both = Pair::seen(true, Some(at(5)));
        both.merge(&Pair::seen(false, Some(at(9))));
        let mut untimed_target = Pair::seen(true, None);
        untimed_target.merge(&Pair::seen(false, Some(at(3))));
        let all = [
            (0, Pair::seen(true, Some(at(1)))),
            (1, Pair::seen(false, Some(Time::EARLIEST_PLAUSIBLE))),
            (300, both),
            (4_095, Pair::seen(true, None)),
            (70_000, Pair::seen(false, None)),
            (u32::MAX, untimed_target),
        ];
        for from in 0..all.len() {
            for to in from..=all.len() {
                read_back(&all[from..to]);
            }
        }
    }

    #[test]
    fn times_keep_every_digit_that_they_have() {
        for step in [1, 10, 10_000, 10_000_000, 7] {
            let spans: Vec<(u32, Pair)> = (0..50)
                .map(|n| {
                    let first = Time::from_ticks(at(0).ticks() + i64::from(n) * 3 * step);
                    let mut pair = Pair::seen(true, Some(first));
                    pair.merge(&Pair::seen(n % 2 == 0, Some(Time::from_ticks(first.ticks() + 11 * step))));
                    (n * 5, pair)
                })
                .collect();
            read_back(&spans);
        }
    }

    #[test]
    fn many_machines_take_a_bit_each_for_their_names() {
        let pair = Pair::seen(true, Some(at(0)));
        let dense: Vec<(u32, Pair)> = (1_000..9_000).filter(|n| n % 7 != 0).map(|n| (n, pair)).collect();
        let sparse: Vec<(u32, Pair)> = (0..500).map(|n| (n * 1_000, pair)).collect();
        assert!(read_back(&dense) < dense.len() * 3 / 2);
        assert!(read_back(&sparse) < sparse.len() * 4);
    }

    #[test]
    fn what_was_not_written_here_is_not_read() {
        for bytes in [&[][..], &[0], &[0x80; 4], &[0xff; 40], &[0, 3, 0, 1, 1], &[4, 1, 0, 0, 0xff, 0xff]] {
            assert!(Postings::read(bytes).is_none_or(|postings| postings.pairs().is_none()), "{bytes:?}");
        }
    }
}
