//! Draws from the distributions of the law. Every thing (a machine, an application, a campaign)
//! draws from a stream of its own, so that one more machine changes nothing about the others;
//! the draws are made here and not by a library, whose algorithms may change between versions.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

/// The dice of one thing.
pub(in crate::dev) struct Chance(ChaCha8Rng);

impl Chance {
    /// The stream of the `number`th `subject` under `seed`.
    pub(in crate::dev) fn of(seed: u64, subject: &str, number: usize) -> Chance {
        let key = Sha256::new()
            .chain_update(seed.to_le_bytes())
            .chain_update(subject)
            .chain_update((number as u64).to_le_bytes())
            .finalize();
        Chance(ChaCha8Rng::from_seed(key.into()))
    }

    /// Uniform in 0.0..1.0.
    pub(super) fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in 0..n; 0 when there is nothing to choose from.
    pub(in crate::dev) fn below(&mut self, n: usize) -> usize {
        ((self.unit() * n as f64) as usize).min(n.saturating_sub(1))
    }

    /// Uniform in `low..high`.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + (self.unit() * (high - low) as f64) as i64
    }

    /// True with probability `p`.
    pub(in crate::dev) fn happens(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// One of `items`, all alike.
    pub(super) fn pick<T: Copy + Default>(&mut self, items: &[T]) -> T {
        items.get(self.below(items.len())).copied().unwrap_or_default()
    }

    /// A place by Zipf.
    pub(super) fn zipf(&mut self, law: &Zipf) -> usize {
        let drawn = self.unit() * law.0.last().copied().unwrap_or_default();
        law.0.partition_point(|sum| *sum <= drawn).min(law.0.len().saturating_sub(1))
    }

    /// A rank in 0..n by the law within a machine, p(r) ∝ (r+30)^-2.0. The sum of the law is
    /// taken as its integral, 1/30 - 1/(r+30), which inverts in one line.
    pub(super) fn rank(&mut self, n: usize) -> usize {
        let n_f = n as f64;
        let rank = 30.0 / (1.0 - self.unit() * n_f / (n_f + 30.0)) - 30.0;
        (rank as usize).min(n.saturating_sub(1))
    }

    /// How many machines a campaign reaches: P(k) ∝ k^-1.7 from 2 up to `most`.
    pub(super) fn reach(&mut self, most: usize) -> usize {
        let (low, high) = (2f64.powf(-0.7), (most as f64 + 1.0).powf(-0.7));
        let reach = (low - self.unit() * (low - high)).powf(-1.0 / 0.7);
        (reach as usize).clamp(most.min(2), most.max(1))
    }

    /// Poisson, for small means.
    pub(super) fn poisson(&mut self, mean: f64) -> usize {
        let (limit, mut product, mut count) = ((-mean).exp(), self.unit(), 0);
        while product > limit {
            product *= self.unit();
            count += 1;
        }
        count
    }

    /// Log-normal around a median, `spread` being the standard deviation of the logarithm.
    pub(super) fn log_normal(&mut self, median: f64, spread: f64) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.unit()).cos();
        median * (spread * normal).exp()
    }
}

/// The law p(i) ∝ 1/(i+1) over a number of places: its running sums.
pub(super) struct Zipf(Vec<f64>);

impl Zipf {
    /// Over `n` places.
    pub(super) fn over(n: usize) -> Zipf {
        let sums = (1..=n).scan(0.0, |sum, i| {
            *sum += 1.0 / i as f64;
            Some(*sum)
        });
        Zipf(sums.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(n: usize, mut draw: impl FnMut(&mut Chance) -> usize) -> Vec<usize> {
        let mut chance = Chance::of(7, "test", 0);
        (0..n).map(|_| draw(&mut chance)).collect()
    }

    #[test]
    fn ranks_give_the_distinct_files_that_were_measured() {
        // telemetry.md §4: 3,000 files give 67, 137, 271, 478, 852 distinct ones at these points.
        let ranks = draws(10_000, |chance| chance.rank(3_000));
        for (n, expected) in [(100, 67.0), (300, 137.0), (1_000, 271.0), (3_000, 478.0), (10_000, 852.0)] {
            let distinct = ranks[..n].iter().collect::<std::collections::HashSet<_>>().len() as f64;
            assert!((distinct / expected - 1.0).abs() < 0.15, "{n} draws: {distinct}, expected {expected}");
        }
    }

    #[test]
    fn campaigns_reach_from_two_machines_to_all_and_mostly_few() {
        let reaches = draws(10_000, |chance| chance.reach(25));
        assert!(reaches.iter().all(|k| (2..=25).contains(k)));
        let twos = reaches.iter().filter(|k| **k == 2).count();
        // The share of k = 2 in sum k^-1.7 over 2..=25 is 0.308/0.91; the integral gives a little more.
        assert!((2_800..4_500).contains(&twos), "{twos}");
        assert!(reaches.contains(&25));
    }

    #[test]
    fn poisson_has_its_mean() {
        let sum: usize = draws(20_000, |chance| chance.poisson(0.9)).iter().sum();
        assert!((sum as f64 / 20_000.0 - 0.9).abs() < 0.03, "{sum}");
    }

    #[test]
    fn one_stream_never_moves_another() {
        let mut first = Chance::of(1, "machine", 4);
        let mut again = Chance::of(1, "machine", 4);
        let mut other = Chance::of(1, "machine", 5);
        let a: Vec<_> = (0..4).map(|_| first.below(1000)).collect();
        assert_eq!(a, (0..4).map(|_| again.below(1000)).collect::<Vec<_>>());
        assert_ne!(a, (0..4).map(|_| other.below(1000)).collect::<Vec<_>>());
    }
}
