//! When a machine had an address: spans of time, to be asked whether it had it about a moment.

use std::collections::BTreeSet;
use std::time::Duration;

use pintle_model::Time;

use crate::Span;
use crate::base::bytes::{put, take};

/// Reports at most so far apart are one span: nobody asks for a shorter time than this, so no answer
/// changes by it.
const JOINED_WITHIN: Duration = Duration::from_secs(30 * 60);
/// Of so many days the newest are kept, 48 spans each at the most. Questions reach back 30 days.
const MOST_DAYS: usize = 40;
const TICKS_A_DAY: i64 = 24 * 3600 * 10_000_000;

/// When a machine had an address.
///
/// No span goes beyond a day of UTC, and whole days are dropped: so what is kept depends on what was
/// reported alone, not on the order in which it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Presence {
    /// Ascending, apart.
    spans: Vec<Span>,
}

fn day(at: Time) -> i64 {
    at.ticks().div_euclid(TICKS_A_DAY)
}

impl Presence {
    /// Whether nothing is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Notes a report.
    pub(crate) fn note(&mut self, at: Time) {
        // Most often it is within the last span, or soon after it.
        if let Some(last) = self.spans.last_mut()
            && at >= last.first
            && at <= last.last + JOINED_WITHIN
            && day(at) == day(last.first)
        {
            last.last = last.last.max(at);
            return;
        }
        self.merge(&Presence { spans: vec![Span::at(at)] });
    }

    /// Takes over what `other` adds.
    pub(crate) fn merge(&mut self, other: &Presence) {
        let mut all = std::mem::take(&mut self.spans);
        all.extend_from_slice(&other.spans);
        all.sort_unstable_by_key(|span| (span.first, span.last));
        for span in all {
            match self.spans.last_mut() {
                Some(last)
                    if span.first <= last.last + JOINED_WITHIN && day(span.first) == day(last.first) =>
                {
                    last.last = last.last.max(span.last);
                }
                _ => self.spans.push(span),
            }
        }
        let days: BTreeSet<i64> = self.spans.iter().map(|span| day(span.first)).collect();
        if let Some(oldest) = days.iter().nth_back(MOST_DAYS - 1) {
            self.spans.retain(|span| day(span.first) >= *oldest);
        }
    }

    /// Whether the machine reported the address so near to a moment.
    pub(crate) fn is_near(&self, at: Time, within: Duration) -> bool {
        self.spans.iter().any(|span| span.first <= at + within && span.last >= at - within)
    }

    /// Forgets the spans that ended before this. Returns whether there were any.
    pub(crate) fn forget_before(&mut self, oldest: Time) -> bool {
        let before = self.spans.len();
        self.spans.retain(|span| span.last >= oldest);
        self.spans.len() < before
    }

    /// As the base stores it: the number of spans, then of each how long after the end of the one before
    /// (the first: after 1990) it begins, and how long it is, in ticks. All LEB128.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(&mut bytes, self.spans.len() as u64);
        let mut before = Time::EARLIEST_PLAUSIBLE;
        for span in &self.spans {
            put(&mut bytes, span.first.ticks().abs_diff(before.ticks()));
            put(&mut bytes, span.last.ticks().abs_diff(span.first.ticks()));
            before = span.last;
        }
        bytes
    }

    /// Reads what [`Presence::to_bytes`] wrote. `None`: this was not written here.
    pub(crate) fn from_bytes(mut bytes: &[u8]) -> Option<Presence> {
        let mut spans = Vec::new();
        let mut before = Time::EARLIEST_PLAUSIBLE;
        let later = |from: Time, ticks: u64| from.ticks().checked_add_unsigned(ticks).map(Time::from_ticks);
        for _ in 0..take(&mut bytes)? {
            let first = later(before, take(&mut bytes)?)?;
            let last = later(first, take(&mut bytes)?)?;
            spans.push(Span { first, last });
            before = last;
        }
        bytes.is_empty().then_some(Presence { spans })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Minutes after a midnight.
    fn at(minutes: i64) -> Time {
        Time::from_unix_seconds(1_700_006_400 + minutes * 60)
    }

    fn of(minutes: &[i64]) -> Presence {
        let mut presence = Presence::default();
        minutes.iter().for_each(|minute| presence.note(at(*minute)));
        presence
    }

    #[test]
    fn reports_close_together_are_one_span_and_no_question_is_answered_otherwise_for_it() {
        let reports = [0, 10, 40, 71, 100, 1_430, 1_445, 1_500, 3_000];
        let presence = of(&reports);
        assert_eq!(presence.spans.len(), 6, "{presence:?}");
        for minute in -60..3_100 {
            for within in [15, 16] {
                let near = reports.iter().any(|report| report.abs_diff(minute) <= within);
                let within = Duration::from_secs(within * 60);
                assert_eq!(presence.is_near(at(minute), within), near, "{minute}");
            }
        }
    }

    #[test]
    fn it_is_the_same_in_any_order_and_in_any_parts_and_bounded() {
        // Two months, each day in the middle of the other's gaps.
        let reports: Vec<i64> = (0..60 * 48).map(|nth| nth * 31).collect();
        let whole = of(&reports);
        assert_eq!(whole.spans.iter().map(|span| day(span.first)).collect::<BTreeSet<_>>().len(), MOST_DAYS);
        assert!(whole.spans.len() <= MOST_DAYS * 48);
        let mut state = 7u64;
        for _ in 0..20 {
            let mut parts = vec![Presence::default(); 5];
            for report in &reports {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let (one, other) = (
                    usize::try_from(state >> 60).unwrap() % 5,
                    usize::try_from(state >> 40 & 7).unwrap() % 5,
                );
                parts[one].note(at(*report));
                parts[other].note(at(*report));
            }
            let mut merged = Presence::default();
            parts.iter().rev().for_each(|part| merged.merge(part));
            assert_eq!(merged, whole);
            merged.merge(&whole);
            assert_eq!(merged, whole);
        }
    }

    #[test]
    fn it_reads_back_as_it_was_written_and_nothing_else_does() {
        for reports in [&[][..], &[3], &[0, 29, 500, 10_000]] {
            let presence = of(reports);
            let bytes = presence.to_bytes();
            assert_eq!(Presence::from_bytes(&bytes), Some(presence));
            for cut in 0..bytes.len() {
                assert_eq!(Presence::from_bytes(&bytes[..cut]), None);
            }
        }
        assert_eq!(Presence::from_bytes(&[0xff; 30]), None);
        assert_eq!(Presence::from_bytes(&[0, 0]), None);
    }

    #[test]
    fn what_ended_before_a_time_is_forgotten() {
        let mut presence = of(&[0, 20, 300]);
        assert!(!presence.forget_before(at(20)));
        assert!(presence.forget_before(at(21)));
        assert_eq!(presence, of(&[300]));
        assert!(presence.forget_before(at(301)) && presence.is_empty());
    }
}
