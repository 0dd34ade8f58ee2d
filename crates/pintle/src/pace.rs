//! Where lookups run. One that finds everything in memory takes a few microseconds, less than it
//! costs to hand it to another thread and be woken by that; one that waits for a disk would hold
//! up every connection its thread serves. Nobody knows beforehand which it will be, but they come
//! in spells: a cold cache, a busy disk, a question with a huge answer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long the last lookups took.
#[derive(Debug, Default)]
pub struct Pace {
    /// On average, in nanoseconds, older ones weighing less. It may miss some of what several
    /// threads note at once; it is an estimate all the same.
    mean: AtomicU64,
}

/// What a thread may spend on one request before others feel it.
const QUICK: Duration = Duration::from_micros(100);

/// One lookup moves the average by a sixteenth, so that the odd one that loses its processor for
/// some milliseconds does not count as a spell.
const WEIGHT: u64 = 16;

impl Pace {
    /// Whether lookups may run where they stand.
    pub fn is_quick(&self) -> bool {
        u128::from(self.mean.load(Ordering::Relaxed)) < QUICK.as_nanos()
    }

    /// Does a lookup and notes how long it took, wherever it runs.
    pub fn time<T>(&self, lookup: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let found = lookup();
        self.note(began.elapsed());
        found
    }

    fn note(&self, took: Duration) {
        // One that takes longer than any disk says no more than a slow one, and is forgotten as soon.
        let took = took.min(QUICK * 100).as_nanos();
        let took = u64::try_from(took).unwrap_or(u64::MAX);
        let mean = self.mean.load(Ordering::Relaxed);
        self.mean.store(mean - mean / WEIGHT + took / WEIGHT, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spell_of_slow_lookups_is_noticed_and_ends_and_a_single_one_is_none() {
        let pace = Pace::default();
        let note = |times: usize, micros: u64| {
            for _ in 0..times {
                pace.note(Duration::from_micros(micros));
            }
        };
        note(100, 5);
        note(1, 1_000);
        assert!(pace.is_quick(), "one in a hundred");
        note(10, 1_000);
        assert!(!pace.is_quick(), "a cold cache");
        note(100, 5);
        assert!(pace.is_quick(), "a warm one");
        note(1, 60_000_000);
        assert!(!pace.is_quick());
        note(100, 5);
        assert!(pace.is_quick(), "a minute is not held against those that follow");
    }
}
