//! Requests that come by the clock, whether others are answered or not. Each is counted from when it was due.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::batches::{Batches, body, machine};
use crate::client::Connection;
use crate::report::{Outcome, While};

/// Connections of one address: fewer than a server lets it have.
const OF_ONE_ADDRESS: usize = 100;
/// Of how many requests one brings telemetry.
const INGEST_ONE_IN: u64 = 100;
/// Who finds no connection free for so long gives up.
const GIVES_UP: Duration = Duration::from_millis(20);
/// Most of what a client's thread has on its stack.
const STACK: usize = 256 << 10;

/// Who asks, and whom.
pub struct Clients<'a> {
    /// The server.
    pub to: SocketAddr,
    /// What they show.
    pub token: &'a str,
    /// What they send.
    pub batches: &'a Batches,
    /// How many requests may be under way.
    pub connections: usize,
    /// What an answer may take to be of use.
    pub deadline: Duration,
}

/// What became of requests.
#[derive(Default)]
pub struct Load {
    due: AtomicU64,
    good: AtomicU64,
    late: AtomicU64,
    refused: AtomicU64,
    broken: AtomicU64,
    unsent: AtomicU64,
}

/// The same as figures.
#[derive(Clone, Copy, Debug, Default)]
pub struct Came {
    /// Requests that were due.
    pub due: u64,
    /// Answered with 200 in time.
    pub good: u64,
    /// Answered with 200 too late, or not within that time.
    pub late: u64,
    /// Answered with 429 or 503.
    pub refused: u64,
    /// Answered with something else, or a connection that broke.
    pub broken: u64,
    /// Not sent, as no connection was free.
    pub unsent: u64,
}

impl Load {
    /// The figures.
    pub fn came(&self) -> Came {
        let [due, good, late, refused, broken, unsent] =
            [&self.due, &self.good, &self.late, &self.refused, &self.broken, &self.unsent]
                .map(|count| count.load(Ordering::Relaxed));
        Came { due, good, late, refused, broken, unsent }
    }
}

impl Clients<'_> {
    /// Asks so often a second for a while.
    pub fn ask(&self, per_second: f64, time: Duration) -> Outcome<Came> {
        let (load, began) = (&Load::default(), Instant::now());
        thread::scope(|scope| {
            for nth in 0..self.connections {
                let client = thread::Builder::new().stack_size(STACK);
                let work = move || self.one(nth, per_second, began, time, load);
                client.spawn_scoped(scope, work).during("starting a client")?;
            }
            Ok(())
        })?;
        Ok(load.came())
    }

    fn one(&self, nth: usize, per_second: f64, began: Instant, time: Duration, load: &Load) {
        let from = IpAddr::V4(Ipv4Addr::new(127, 0, 1, 1 + (nth / OF_ONE_ADDRESS) as u8));
        let mut kept = None;
        loop {
            let number = load.due.fetch_add(1, Ordering::Relaxed);
            let after = Duration::from_secs_f64(number as f64 / per_second);
            if after >= time {
                // Due after the end.
                load.due.fetch_sub(1, Ordering::Relaxed);
                return;
            }
            let due = began + after;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if due.elapsed() > GIVES_UP {
                load.unsent.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let connect = || Connection::open_from(from, self.to, self.token, self.deadline);
            let answered = kept.take().map_or_else(connect, Ok).and_then(|mut server| {
                let answer = if number.is_multiple_of(INGEST_ONE_IN) {
                    server.post("/api/ingest", &body(self.batches.take()))
                } else {
                    server.get(&format!("/api/machines/{}", machine(0)))
                };
                Ok((answer?, server))
            });
            let is_late = due.elapsed() > self.deadline;
            let count = match &answered {
                Ok((answer, _)) if answer.status == 200 && !is_late => &load.good,
                Ok((answer, _)) if [429, 503].contains(&answer.status) => &load.refused,
                Ok((answer, _)) if answer.status != 200 => &load.broken,
                Err(_) if !is_late => &load.broken,
                _ => &load.late,
            };
            count.fetch_add(1, Ordering::Relaxed);
            kept = answered.ok().map(|(_, server)| server);
        }
    }
}
