//! How often an API may be asked.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// The calls that count still.
pub struct Pace {
    a_minute: usize,
    an_hour: usize,
    /// When they were made, the oldest first.
    calls: VecDeque<Instant>,
}

impl Pace {
    /// No oftener than so many times a minute, and an hour.
    pub fn new(a_minute: NonZeroU32, an_hour: NonZeroU32) -> Pace {
        let most = |calls: NonZeroU32| usize::try_from(calls.get()).unwrap_or(usize::MAX);
        Pace { a_minute: most(a_minute), an_hour: most(an_hour), calls: VecDeque::new() }
    }

    /// How long is to be waited until it may be asked. Where that is no time the call counts as made.
    pub fn wait(&mut self, now: Instant) -> Duration {
        while self.calls.front().is_some_and(|call| now.duration_since(*call) >= HOUR) {
            self.calls.pop_front();
        }
        let until = |most: usize, span: Duration| {
            let call = self.calls.len().checked_sub(most).and_then(|place| self.calls.get(place));
            call.map_or(Duration::ZERO, |call| span.saturating_sub(now.duration_since(*call)))
        };
        let wait = until(self.a_minute, MINUTE).max(until(self.an_hour, HOUR));
        if wait.is_zero() {
            self.calls.push_back(now);
        }
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_minute_nor_an_hour_has_more_calls_than_it_may() {
        let calls = |n| NonZeroU32::new(n).unwrap();
        let mut pace = Pace::new(calls(3), calls(5));
        let begin = Instant::now();
        let mut wait = |seconds: u64| pace.wait(begin + Duration::from_secs(seconds)).as_secs();
        assert_eq!([wait(0), wait(0), wait(10)], [0, 0, 0]);
        assert_eq!([wait(10), wait(59), wait(60), wait(60)], [50, 1, 0, 0]);
        // There were three in the last minute; and five in the last hour.
        assert_eq!([wait(61), wait(70)], [3539, 3530]);
        assert_eq!([wait(3599), wait(3600), wait(3600), wait(3600)], [1, 0, 0, 10]);
    }
}
