//! A page of sightings: the machines, by ordinal, on which a file was seen, with first and last
//! times. Ordinals are delta-coded and times stand as offsets, so that a pair takes a few bytes.

use pintle_model::Time;

use crate::Span;
use crate::pair::Pair;

const TARGET: u8 = 1;
const HAS_ANY: u8 = 2;
const HAS_TARGET: u8 = 4;
/// The target span equals the any-role span, as it does for most pairs.
const SAME: u8 = 8;

/// Writes a page; `pairs` ascend by ordinal.
pub(crate) fn encode<'p>(pairs: impl IntoIterator<Item = (u32, &'p Pair)>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut previous = 0;
    for (ordinal, pair) in pairs {
        put(&mut out, u64::from(ordinal - previous));
        previous = ordinal;
        let same = pair.as_target.is_some() && pair.as_target == pair.any_role;
        let mut flags = 0;
        flags |= if pair.target { TARGET } else { 0 };
        flags |= if pair.any_role.is_some() { HAS_ANY } else { 0 };
        flags |= if pair.as_target.is_some() { HAS_TARGET } else { 0 };
        flags |= if same { SAME } else { 0 };
        out.push(flags);
        if let Some(span) = pair.any_role {
            put_span(&mut out, span);
        }
        if let Some(span) = pair.as_target.filter(|_| !same) {
            put_span(&mut out, span);
        }
    }
    out
}

/// Reads a page. Stops at the first byte that makes no sense, which only damage beneath the
/// engine's checksums could bring about.
pub(crate) fn decode(mut bytes: &[u8]) -> impl Iterator<Item = (u32, Pair)> + '_ {
    let mut previous = 0u32;
    std::iter::from_fn(move || {
        let delta = take(&mut bytes)?;
        previous = previous.checked_add(u32::try_from(delta).ok()?)?;
        let (flags, rest) = bytes.split_first()?;
        bytes = rest;
        let any_role = if flags & HAS_ANY != 0 { Some(take_span(&mut bytes)?) } else { None };
        let as_target = match (flags & HAS_TARGET != 0, flags & SAME != 0) {
            (false, _) => None,
            (true, true) => any_role,
            (true, false) => Some(take_span(&mut bytes)?),
        };
        Some((previous, Pair { target: flags & TARGET != 0, as_target, any_role }))
    })
}

/// The first time counts from 1990, since no earlier one is plausible.
fn put_span(out: &mut Vec<u8>, span: Span) {
    put(out, span.first.ticks().abs_diff(Time::EARLIEST_PLAUSIBLE.ticks()));
    put(out, span.last.ticks().abs_diff(span.first.ticks()));
}

fn take_span(bytes: &mut &[u8]) -> Option<Span> {
    let first = Time::EARLIEST_PLAUSIBLE.ticks().checked_add_unsigned(take(bytes)?)?;
    let last = first.checked_add_unsigned(take(bytes)?)?;
    Some(Span { first: Time::from_ticks(first), last: Time::from_ticks(last) })
}

/// Two pages made one.
pub(crate) struct Merged {
    pub(crate) pairs: Vec<(u32, Pair)>,
    /// Pairs that were not known.
    pub(crate) new: u64,
    /// Whether anything was not known.
    pub(crate) changed: bool,
}

/// Merges what was seen into what is known; both ascend by ordinal.
pub(crate) fn merge(
    known: impl Iterator<Item = (u32, Pair)>,
    seen: impl Iterator<Item = (u32, Pair)>,
) -> Merged {
    let mut known = known.peekable();
    let mut merged = Merged { pairs: Vec::new(), new: 0, changed: false };
    for (ordinal, pair) in seen {
        while let Some(before) = known.next_if(|(known, _)| *known < ordinal) {
            merged.pairs.push(before);
        }
        match known.next_if(|(known, _)| *known == ordinal) {
            Some((_, mut both)) => {
                merged.changed |= both.merge(&pair);
                merged.pairs.push((ordinal, both));
            }
            None => {
                merged.new += 1;
                merged.changed = true;
                merged.pairs.push((ordinal, pair));
            }
        }
    }
    merged.pairs.extend(known);
    merged
}

/// LEB128: seven bits a byte, low bits first.
fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_reads_back_as_it_was_written() {
        let at = |seconds: i64| Time::from_unix_seconds(1_600_000_000 + seconds);
        let mut both = Pair::seen(true, Some(at(5)));
        both.merge(&Pair::seen(false, Some(at(9))));
        let pairs = [
            (0, Pair::seen(true, Some(at(1)))),
            (1, Pair::seen(false, Some(Time::EARLIEST_PLAUSIBLE))),
            (300, both),
            (4095, Pair::seen(true, None)),
            (4096 * 9, Pair::seen(false, None)),
        ];
        let bytes = encode(pairs.iter().map(|(ordinal, pair)| (*ordinal, pair)));
        assert_eq!(decode(&bytes).collect::<Vec<_>>(), pairs);
        assert_eq!(both.as_target, Some(Span::at(at(5))));
        assert_eq!(both.any_role, Some(Span { first: at(5), last: at(9) }));
    }

    #[test]
    fn merging_keeps_what_is_known_and_says_what_is_new() {
        let at = |seconds: i64| Some(Time::from_unix_seconds(1_600_000_000 + seconds));
        let (early, late) = (Pair::seen(true, at(1)), Pair::seen(true, at(9)));
        let mut both = early;
        both.merge(&late);
        let known = [(1, early), (3, early), (5, early)];
        let merged = merge(known.into_iter(), [(0, late), (3, late), (7, late)].into_iter());
        assert_eq!(merged.pairs, [(0, late), (1, early), (3, both), (5, early), (7, late)]);
        assert_eq!((merged.new, merged.changed), (2, true));
        let again = merge(known.into_iter(), [(3, early)].into_iter());
        assert_eq!(again.pairs, known);
        assert_eq!((again.new, again.changed), (0, false));
    }

    #[test]
    fn damaged_bytes_end_a_page_without_a_panic() {
        for bytes in [&[0x80][..], &[0xff; 40], &[1, 15, 0x80], &[1]] {
            assert!(decode(bytes).count() < 2);
        }
    }
}
