//! Somebody who asks a server all along whether it lives, as a supervisor does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::client::Connection;
use crate::report::Wrong;

/// What an answer may take.
const PROMISED: Duration = Duration::from_millis(100);
/// Between two questions.
const EVERY: Duration = Duration::from_millis(50);

/// The one who asks.
pub struct Prober {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Option<Duration>>>,
}

impl Prober {
    /// Begins to ask.
    pub fn begin(health: &str) -> Prober {
        let (stop, health) = (Arc::new(AtomicBool::new(false)), health.to_owned());
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut took = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let began = Instant::now();
                let answer = Connection::open(&health, "none").and_then(|mut server| server.get("/livez"));
                took.push(answer.ok().filter(|answer| answer.status == 200).map(|_| began.elapsed()));
                std::thread::sleep(EVERY);
            }
            took
        });
        Prober { stop, thread }
    }

    /// Ends it. On a machine that others work on, this process may itself be kept from its answer for longer than
    /// the server took for it: one late answer between two that came in time is that. `patience` is added to
    /// what is promised. Gives the slowest answer.
    pub fn end(self, patience: Duration, wrong: &mut Wrong) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        let Ok(took) = self.thread.join() else {
            wrong.add("nobody asked for health", "who asks stopped");
            return Duration::ZERO;
        };
        let is_late = |took: &Option<Duration>| took.is_none_or(|took| took > PROMISED + patience);
        for (first, second) in took.iter().zip(took.iter().skip(1)) {
            if is_late(first) && is_late(second) {
                wrong.add("health answered late", format!("{first:?}, {second:?}"));
            }
        }
        for _ in took.iter().filter(|took| took.is_none()) {
            wrong.add("health not answered", "");
        }
        took.into_iter().flatten().max().unwrap_or_default()
    }
}
