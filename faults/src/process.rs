//! What the system says of a process.

use std::fs;
use std::time::Duration;

use crate::report::{Failure, Outcome, While};

/// A process, by its id.
#[derive(Clone, Copy)]
pub struct Process(pub u32);

/// What a process has open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// Sockets: connections and listeners.
    pub sockets: usize,
    /// Those and everything else.
    pub all: usize,
}

impl Process {
    /// What it has open now.
    pub fn open(self) -> Outcome<Open> {
        let mut open = Open { sockets: 0, all: 0 };
        for file in fs::read_dir(format!("/proc/{}/fd", self.0)).during("looking at what is open")? {
            open.all += 1;
            // It may be closed by now.
            let target = file.ok().and_then(|file| fs::read_link(file.path()).ok()).unwrap_or_default();
            open.sockets += usize::from(target.to_string_lossy().starts_with("socket:"));
        }
        Ok(open)
    }

    /// The most memory it ever had, in MiB.
    pub fn most_memory(self) -> Outcome<u64> {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.0)).during("looking at its memory")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kibibytes.map(|kibibytes| kibibytes >> 10).ok_or(Failure::Unable(status))
    }

    /// The processor's time that it has had.
    pub fn worked(self) -> Outcome<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).during("looking at its time")?;
        // Its name, which may have blanks, ends with the last parenthesis.
        let fields = stat.rsplit_once(") ").map(|(_, fields)| fields).unwrap_or_default();
        let ticks = fields.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        Ok(Duration::from_millis(ticks_to_millis(ticks)))
    }
}

/// Linux counts a hundredth of a second for programs, whatever its own clock does.
fn ticks_to_millis(ticks: u64) -> u64 {
    ticks * 10
}
