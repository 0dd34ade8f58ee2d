//! Measures that take little room however much is measured.

use std::time::Duration;

use pintle_model::Time;
use serde::{Deserialize, Serialize};

/// Parts of the time that a rate is over.
const PARTS: usize = 12;

/// How many came in the last twelve times so many seconds, counted by parts: of the oldest part, what of it is
/// too old counts too.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Rate<const SECONDS: i64> {
    /// The number of the newest part since 1970.
    newest: i64,
    /// By the number of the part, modulo [`PARTS`].
    parts: [u64; PARTS],
}

impl<const SECONDS: i64> Rate<SECONDS> {
    /// Counts some that came now.
    pub fn note(&mut self, now: Time, count: u64) {
        let part = now.unix_seconds().div_euclid(SECONDS);
        // After a clock that went back, the newest part takes what comes until it is there again.
        let gone = part.saturating_sub(self.newest).clamp(0, PARTS as i64);
        self.newest = self.newest.max(part);
        for gone in 0..gone {
            if let Some(part) = self.parts.get_mut(place(self.newest - gone)) {
                *part = 0;
            }
        }
        if let Some(part) = self.parts.get_mut(place(self.newest)) {
            *part += count;
        }
    }

    /// How many came by now.
    pub fn sum(&self, now: Time) -> u64 {
        let mut until_now = self.clone();
        until_now.note(now, 0);
        until_now.parts.iter().sum()
    }
}

fn place(part: i64) -> usize {
    usize::try_from(part.rem_euclid(PARTS as i64)).unwrap_or_default()
}

/// Steps of a lag: each is half as long again as the one before, from a tenth of a second to a year.
const STEPS: usize = 50;
const FIRST: f64 = 0.1;
const FACTOR: f64 = 1.5;
/// Beyond so many the older ones count half, so that what is told is of late.
const MANY: u64 = 100_000;

/// How late events come, in steps: what is told of it is at most half as much again as it was.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Lags(Vec<u64>);

impl Lags {
    /// Counts an event that came so late.
    pub fn note(&mut self, lag: Duration) {
        let steps = (lag.as_secs_f64() / FIRST).log(FACTOR).ceil();
        let step = if steps > 0.0 { (steps as usize).min(STEPS - 1) } else { 0 };
        if self.0.len() <= step {
            self.0.resize(step + 1, 0);
        }
        if let Some(count) = self.0.get_mut(step) {
            *count += 1;
        }
    }

    /// Adds others.
    pub fn add(&mut self, others: &Lags) {
        if self.0.len() < others.0.len() {
            self.0.resize(others.0.len().min(STEPS), 0);
        }
        self.0.iter_mut().zip(&others.0).for_each(|(count, more)| *count += more);
        while self.0.iter().sum::<u64>() > MANY {
            self.0.iter_mut().for_each(|count| *count /= 2);
        }
    }

    /// The lag in seconds that such a share of the events does not exceed; `None`: nothing came.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let all: u64 = self.0.iter().sum();
        let wanted = ((all as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let step = self.0.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        let seconds = FIRST * FACTOR.powi(i32::try_from(step).unwrap_or(i32::MAX));
        // As many digits as it is worth.
        Some((seconds * 10.0).round() / 10.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_unix_seconds(1_800_000_000 + seconds)
    }

    #[test]
    fn a_rate_is_of_the_last_while_only() {
        let mut minute = Rate::<5>::default();
        minute.note(at(0), 10);
        minute.note(at(30), 5);
        assert_eq!(
            (minute.sum(at(30)), minute.sum(at(54)), minute.sum(at(60)), minute.sum(at(95))),
            (15, 15, 5, 0)
        );
        minute.note(at(10_000), 1);
        assert_eq!(minute.sum(at(10_000)), 1);
        // A clock that went back.
        minute.note(at(0), 2);
        assert_eq!(minute.sum(at(0)), 3);
    }

    #[test]
    fn quantiles_are_right_within_a_step_and_of_late() {
        let mut lags = Lags::default();
        assert_eq!(lags.quantile(0.5), None);
        for second in 1..=100 {
            lags.note(Duration::from_secs(second));
        }
        let (median, most) = (lags.quantile(0.5).unwrap(), lags.quantile(0.99).unwrap());
        assert!((50.0..=75.0).contains(&median) && (99.0..=150.0).contains(&most), "{median} {most}");
        lags.note(Duration::MAX);
        lags.note(Duration::ZERO);
        assert_eq!(lags.0.len(), STEPS);
        let mut late = Lags::default();
        (0..100_000).for_each(|_| late.note(Duration::from_secs(3_000)));
        let mut all = Lags::default();
        all.add(&lags);
        (0..4).for_each(|_| all.add(&late));
        assert!((3_000.0..=4_500.0).contains(&all.quantile(0.05).unwrap()));
        assert!(all.0.iter().sum::<u64>() <= MANY);
    }
}
