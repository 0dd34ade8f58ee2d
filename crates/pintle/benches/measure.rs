//! What the benchmarks share: the processors' clock, and the middle of several measurements.

use std::error::Error;
use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Whatever stops a benchmark.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Whether this is a benchmark (`cargo bench`) or only a look whether it runs (`cargo test --benches`).
pub fn is_in_earnest() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// What this process took of its processors so far: user and system, all threads.
#[allow(dead_code, reason = "not every benchmark that has this module asks")]
pub fn processor_time() -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(tv_sec.unsigned_abs(), u32::try_from(tv_nsec).unwrap_or_default())
}

/// The same of this thread alone.
#[allow(dead_code, reason = "not every benchmark that has this module asks")]
pub fn thread_time() -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(tv_sec.unsigned_abs(), u32::try_from(tv_nsec).unwrap_or_default())
}

/// The middle of some numbers, the least and the greatest.
pub fn middle(numbers: impl IntoIterator<Item = f64>) -> (f64, f64, f64) {
    let mut numbers: Vec<f64> = numbers.into_iter().collect();
    numbers.sort_by(f64::total_cmp);
    let at = |place: usize| numbers.get(place).copied().unwrap_or(f64::NAN);
    (at(numbers.len() / 2), at(0), at(numbers.len().saturating_sub(1)))
}
