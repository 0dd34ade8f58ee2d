//! A file's postings: the machines, by ordinal, on which it was seen, with first and last times.
//!
//! Three columns one after the other, so that who asks for the machines alone reads no times:
//!
//! ```text
//! shape u8   bits 0–1: the unit of times (UNITS), bit 2: ordinals are a bitmap, bit 3: there are kinds
//! count      of pairs
//! base       the earliest first time, in ticks since 1990
//! ordinals   ascending: the distances; or the first, the length and a bitmap, if that is shorter
//! widths u8  of first times in bits, then of the other numbers
//! pairs      in bits, low bits first: the kind in two bits, unless all are SAME; then what it says
//! ```
//!
//! Numbers without a width are LEB128. A span is its first time as distance from the base, then its
//! length; that one, and what else is most often zero, is a bit 0, or a bit 1 and the number.

use pintle_model::Time;

use super::bits::{BitReader, BitWriter, width_of};
use super::bytes::{put, take};
use crate::Span;
use crate::pair::Pair;

/// Ticks: 100 ns, a microsecond, a millisecond, a second. Sensors rarely tell more than milliseconds.
const UNITS: [u64; 4] = [1, 10, 10_000, 10_000_000];
const BITMAP: u8 = 4;
const KINDS: u8 = 8;

/// Both spans are the same, as they are for most pairs.
const SAME: u64 = 0;
/// Never the object of an event.
const ANY_ONLY: u64 = 1;
/// Two spans: after the first, how much later the second begins, and its length.
const BOTH: u64 = 2;
/// Two bits follow: was the object; the span in any role is there, and follows.
const ODD: u64 = 3;

/// Writes postings; `pairs` ascend by ordinal.
pub(crate) fn encode(pairs: &[(u32, Pair)], out: &mut Vec<u8>) {
    let base = pairs.iter().filter_map(|(_, pair)| pair.any_role).map(since_1990).min().unwrap_or(0);
    let unit = coarsest_unit(pairs, base);
    let ordinals = Ordinals::of(pairs);
    let has_kinds = pairs.iter().any(|(_, pair)| kind(pair) != SAME);
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    out.push(
        u8::try_from(unit).unwrap_or(0) | flag(ordinals.bitmap.is_some(), BITMAP) | flag(has_kinds, KINDS),
    );
    put(out, pairs.len() as u64);
    put(out, base);
    ordinals.write(out);
    let scale = Scale::of(pairs, base, UNITS.get(unit).copied().unwrap_or(1));
    out.extend([scale.first_width, scale.width].map(|width| u8::try_from(width).unwrap_or(u8::MAX)));
    let mut bits = BitWriter::new(out);
    for (_, pair) in pairs {
        if has_kinds {
            bits.put(kind(pair), 2);
        }
        scale.put(&mut bits, pair);
    }
    bits.finish();
}

fn kind(pair: &Pair) -> u64 {
    match (pair.any_role, pair.as_target, pair.target) {
        (Some(any), Some(target), true) if any == target => SAME,
        (Some(_), None, false) => ANY_ONLY,
        (Some(_), Some(_), true) => BOTH,
        _ => ODD,
    }
}

/// How the times of a list are written.
#[derive(Clone, Copy, Debug)]
struct Scale {
    base: u64,
    unit: u64,
    /// Bits of first times, and of everything else.
    first_width: u32,
    width: u32,
}

impl Scale {
    fn of(pairs: &[(u32, Pair)], base: u64, unit: u64) -> Scale {
        let (mut first, mut other) = (0, 0);
        for (_, pair) in pairs {
            let Some(any) = pair.any_role else { continue };
            first = first.max(since_1990(any).saturating_sub(base));
            other = other.max(length(any));
            if let Some(target) = pair.as_target {
                other = other.max(later(target, any)).max(length(target));
            }
        }
        Scale { base, unit, first_width: width_of(first / unit), width: width_of(other / unit) }
    }

    fn put(&self, bits: &mut BitWriter<'_>, pair: &Pair) {
        if kind(pair) == ODD {
            bits.put(u64::from(pair.target), 1);
            bits.put(u64::from(pair.any_role.is_some()), 1);
        }
        let Some(any) = pair.any_role else { return };
        bits.put(since_1990(any).saturating_sub(self.base) / self.unit, self.first_width);
        bits.put_unless_zero(length(any) / self.unit, self.width);
        if let (BOTH, Some(target)) = (kind(pair), pair.as_target) {
            bits.put_unless_zero(later(target, any) / self.unit, self.width);
            bits.put_unless_zero(length(target) / self.unit, self.width);
        }
    }

    fn take(&self, bits: &mut BitReader<'_>, kind: u64) -> Option<Pair> {
        if kind == ODD {
            let (target, is_timed) = (bits.take(1)? == 1, bits.take(1)? == 1);
            let any_role = if is_timed { Some(self.take_span(bits)?) } else { None };
            return Some(Pair { target, as_target: None, any_role });
        }
        let any = self.take_span(bits)?;
        let as_target = match kind {
            SAME => Some(any),
            BOTH => {
                let later = bits.take_unless_zero(self.width)?;
                let since = since_1990(any).checked_add(later.checked_mul(self.unit)?)?;
                Some(self.span(since, bits.take_unless_zero(self.width)?)?)
            }
            _ => None,
        };
        Some(Pair { target: as_target.is_some(), as_target, any_role: Some(any) })
    }

    fn take_span(&self, bits: &mut BitReader<'_>) -> Option<Span> {
        let since = self.base.checked_add(bits.take(self.first_width)?.checked_mul(self.unit)?)?;
        self.span(since, bits.take_unless_zero(self.width)?)
    }

    fn span(&self, since: u64, units: u64) -> Option<Span> {
        let first = Time::EARLIEST_PLAUSIBLE.ticks().checked_add_unsigned(since)?;
        let last = first.checked_add_unsigned(units.checked_mul(self.unit)?)?;
        Some(Span { first: Time::from_ticks(first), last: Time::from_ticks(last) })
    }
}

fn since_1990(span: Span) -> u64 {
    span.first.ticks().abs_diff(Time::EARLIEST_PLAUSIBLE.ticks())
}

fn length(span: Span) -> u64 {
    span.last.ticks().abs_diff(span.first.ticks())
}

/// How much later a span begins than the one that it is within.
fn later(span: Span, within: Span) -> u64 {
    since_1990(span).saturating_sub(since_1990(within))
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
    scale: Scale,
    has_kinds: bool,
    pairs: &'b [u8],
}

impl<'b> Postings<'b> {
    /// Reads the head and the ordinals. `None`: this is not what was written.
    pub(crate) fn read(mut bytes: &'b [u8]) -> Option<Postings<'b>> {
        let (shape, rest) = bytes.split_first()?;
        bytes = rest;
        let count = usize::try_from(take(&mut bytes)?).ok()?;
        let base = take(&mut bytes)?;
        let ordinals = if shape & BITMAP != 0 { bits(&mut bytes)? } else { distances(&mut bytes, count)? };
        let ([first_width, width], pairs) = bytes.split_first_chunk().filter(|_| ordinals.len() == count)?;
        let unit = UNITS.get(usize::from(shape & 3)).copied()?;
        let scale = Scale { base, unit, first_width: u32::from(*first_width), width: u32::from(*width) };
        Some(Postings { ordinals, scale, has_kinds: shape & KINDS != 0, pairs })
    }

    /// Reads the times too.
    pub(crate) fn pairs(self) -> Option<Vec<(u32, Pair)>> {
        let mut bits = BitReader::new(self.pairs);
        let read = |ordinal: u32| {
            let kind = if self.has_kinds { bits.take(2)? } else { SAME };
            Some((ordinal, self.scale.take(&mut bits, kind)?))
        };
        self.ordinals.into_iter().map(read).collect()
    }
}

fn distances(bytes: &mut &[u8], count: usize) -> Option<Vec<u32>> {
    // Each takes a byte or more.
    if count > bytes.len() {
        return None;
    }
    let mut previous = None;
    let next = |_| {
        let distance = u32::try_from(take(bytes)?).ok()?;
        // None is there twice: a bitmap could not say it, and would say less than there is.
        let ordinal = match previous {
            Some(_) if distance == 0 => return None,
            Some(previous) => distance.checked_add(previous)?,
            None => distance,
        };
        previous = Some(ordinal);
        previous
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
        assert!(read_back(&dense) < dense.len() / 2);
        assert!(read_back(&sparse) < sparse.len() * 3);
    }

    #[test]
    fn what_was_not_written_here_is_not_read() {
        for bytes in [
            &[][..],
            &[0],
            &[0x80; 4],
            &[0xff; 40],
            &[0, 3, 0, 1, 1],
            &[3, 2, 0, 5, 0, 0, 0, 3],
            &[4, 1, 0, 0, 0xff, 0xff],
        ] {
            assert!(Postings::read(bytes).is_none_or(|postings| postings.pairs().is_none()), "{bytes:?}");
        }
    }
}
