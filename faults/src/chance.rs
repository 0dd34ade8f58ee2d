//! Choices that differ from run to run and can be had again by their seed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// SplitMix64.
pub struct Chance {
    seed: u64,
    state: u64,
}

impl Chance {
    /// Seeded by the clock.
    pub fn new() -> Chance {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Chance::from_seed(now.as_nanos() as u64)
    }

    /// The choices of that seed.
    pub fn from_seed(seed: u64) -> Chance {
        Chance { seed, state: seed }
    }

    /// What [`Chance::from_seed`] takes.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `0..n`; 0 for nothing to choose from.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next().checked_rem(n).unwrap_or(0)
    }

    /// One time in `n`.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// Uniform in `0.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        self.below(1 << 32) as f64 / (1u64 << 32) as f64
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        choices.get(self.below(choices.len() as u64) as usize)
    }

    /// A millisecond to some hundreds, short ones as often as long ones.
    pub fn delay(&mut self) -> Duration {
        let longest = self.pick(&[4_000, 30_000, 300_000]).copied().unwrap_or_default();
        Duration::from_micros(1_000 + self.below(longest))
    }
}
