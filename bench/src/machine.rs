//! What a measurement was made on, and its clocks.

use std::fs;
use std::time::Duration;

use pintle_model::Time;
use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::Failure;

/// A line under every table: machine, version, date.
pub fn describe() -> Result<String, Failure> {
    let cores = std::thread::available_parallelism()?;
    let memory = field("/proc/meminfo", "MemTotal:")? / (1 << 30);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let load = fs::read_to_string("/proc/loadavg")?;
    let now = Time::from(std::time::SystemTime::now()).to_string();
    Ok(format!(
        "{cores} cores {}, {memory} GiB, Linux {}, pintle {}, load average {}, {}",
        std::env::consts::ARCH,
        kernel.trim(),
        env!("CARGO_PKG_VERSION"),
        load.split(' ').next().unwrap_or_default(),
        now.get(..10).unwrap_or_default(),
    ))
}

/// The most memory this process has had, in bytes.
pub fn peak_memory() -> Result<u64, Failure> {
    field("/proc/self/status", "VmHWM:")
}

/// The most memory another process has had, in bytes, since that was last forgotten.
pub fn peak_memory_of(process: u32) -> Result<u64, Failure> {
    field(&format!("/proc/{process}/status"), "VmHWM:")
}

/// The memory that another process has now, in bytes.
pub fn memory_of(process: u32) -> Result<u64, Failure> {
    field(&format!("/proc/{process}/status"), "VmRSS:")
}

/// Forgets the most memory that a process has had: from now on it counts anew.
pub fn forget_peak(process: u32) -> Result<(), Failure> {
    Ok(fs::write(format!("/proc/{process}/clear_refs"), "5")?)
}

/// What all threads of another process took of the processors so far.
pub fn time_of(process: u32) -> Result<Duration, Failure> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name in parentheses may have blanks in it.
    let (_, fields) = text.rsplit_once(')').ok_or("no name")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()))
}

/// A size that the kernel gives in kB, in bytes.
fn field(file: &str, name: &str) -> Result<u64, Failure> {
    let text = fs::read_to_string(file)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line")?;
    let number = line.split_whitespace().next().ok_or("no number")?;
    Ok(number.parse::<u64>()? * 1024)
}

/// What all threads of this process took of its processors so far.
pub fn process_time() -> Duration {
    duration(clock_gettime(ClockId::ProcessCPUTime))
}

/// What this thread took.
pub fn thread_time() -> Duration {
    duration(clock_gettime(ClockId::ThreadCPUTime))
}

fn duration(time: Timespec) -> Duration {
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// The value below which a share of some sorted values lies.
pub fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let place = (sorted.len() as f64 * share) as usize;
    sorted.get(place.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}
