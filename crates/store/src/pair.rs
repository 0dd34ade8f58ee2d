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
