//! A file on a machine.

use pintle_model::Time;

use crate::Span;

/// What is known of one file on one machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pair {
    /// Whether the file was ever the object of an event there, not just the process behind one.
    pub(crate) target: bool,
    /// First and last event as the object, of plausible time.
    pub(crate) as_target: Option<Span>,
    /// First and last event in any role, of plausible time.
    pub(crate) any_role: Option<Span>,
}

impl Pair {
    /// One event.
    pub(crate) fn seen(target: bool, at: Option<Time>) -> Pair {
        let span = at.map(Span::at);
        Pair { target, as_target: span.filter(|_| target), any_role: span }
    }

    /// Takes over what `other` adds. Returns whether anything changed.
    pub(crate) fn merge(&mut self, other: &Pair) -> bool {
        let before = *self;
        self.target |= other.target;
        self.as_target = Span::joined(self.as_target, other.as_target);
        self.any_role = Span::joined(self.any_role, other.any_role);
        *self != before
    }
}

impl Span {
    /// Of a single event.
    pub(crate) fn at(time: Time) -> Span {
        Span { first: time, last: time }
    }

    /// From the earlier first to the later last.
    pub(crate) fn joined(one: Option<Span>, other: Option<Span>) -> Option<Span> {
        match (one, other) {
            (Some(one), Some(other)) => {
                Some(Span { first: one.first.min(other.first), last: one.last.max(other.last) })
            }
            (one, other) => one.or(other),
        }
    }
}

/// Merges pairs, each list ascending by ordinal, into one.
pub(crate) fn merge(lists: Vec<Vec<(u32, Pair)>>) -> Vec<(u32, Pair)> {
    lists.into_iter().reduce(merge_two).unwrap_or_default()
}

fn merge_two(one: Vec<(u32, Pair)>, other: Vec<(u32, Pair)>) -> Vec<(u32, Pair)> {
    let mut merged = Vec::with_capacity(one.len().max(other.len()));
    let (mut one, mut other) = (one.into_iter().peekable(), other.into_iter().peekable());
    loop {
        match (one.peek().map(|(left, _)| *left), other.peek().map(|(right, _)| *right)) {
            (Some(left), Some(right)) if left == right => {
                if let (Some((ordinal, mut pair)), Some((_, more))) = (one.next(), other.next()) {
                    pair.merge(&more);
                    merged.push((ordinal, pair));
                }
            }
            (Some(left), Some(right)) if left < right => merged.extend(one.next()),
            (_, Some(_)) => merged.extend(other.next()),
            _ => {
                merged.extend(one);
                return merged;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_unix_seconds(1_600_000_000 + seconds)
    }

    #[test]
    fn merging_keeps_what_either_knows() {
        let (early, late) = (Pair::seen(true, Some(at(1))), Pair::seen(true, Some(at(9))));
        let mut both = early;
        both.merge(&late);
        let lists =
            vec![vec![(1, early), (3, early)], vec![(0, late), (3, late), (7, late)], vec![(7, late)]];
        assert_eq!(merge(lists), [(0, late), (1, early), (3, both), (7, late)]);
        assert_eq!(merge(Vec::new()), []);
    }
}
