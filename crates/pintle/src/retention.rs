//! Takes out what has expired once a day, by a clock that is watched: one that jumped by more than a
//! day must not forget everything, so nothing is forgotten then until somebody has looked at it, or
//! it has gone steadily for a day.
//!
//! What must survive a restart (where the clock stood, when the next run is due, the pause) is in
//! `retention.json` in the data folder.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pintle_model::Time;
use pintle_store::{Clock, ClockWatch, Expired, Jump};
use serde::{Deserialize, Serialize};

use crate::audit::{Actor, Entry};
use crate::instance::Instance;
use crate::metrics::Metrics;
use crate::private_file;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A clock that only goes forward: the time since some moment.
pub type Steady = Arc<dyn Fn() -> Duration + Send + Sync>;

/// A run of the job.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// When it ended.
    pub at: Time,
    /// How long it took.
    pub seconds: f64,
    /// What went.
    pub expired: Expired,
}

/// Why nothing is forgotten: the clock is not where it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// When that was noticed, by the clock that is doubted.
    pub since: Time,
    /// Where it should have been.
    pub expected: Time,
    /// Where it was.
    pub found: Time,
}

/// How the job stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// Where the clock stood when this was looked at.
    pub clock: Time,
    /// When the next run is due.
    pub due: Time,
    /// The last run.
    pub last: Option<Run>,
    /// Why there is none for now.
    pub paused: Option<Pause>,
}

impl Standing {
    /// Whether it is time for a run.
    pub fn is_due(&self) -> bool {
        self.paused.is_none() && self.clock >= self.due
    }
}

/// What survives a restart.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Kept {
    clock: Time,
    due: Time,
    last: Option<Run>,
    paused: Option<Pause>,
}

/// Decides by both clocks. Knows neither a store nor a file.
#[derive(Debug)]
struct Schedule {
    watch: ClockWatch,
    kept: Option<Kept>,
    /// Where the steady clock stood when a pause from before this process was found.
    inherited: Option<Duration>,
}

impl Schedule {
    fn new(kept: Option<Kept>, steady: Duration) -> Schedule {
        let inherited = kept.and_then(|kept| kept.paused).map(|_| steady);
        Schedule { watch: ClockWatch::from_last(kept.map(|kept| kept.clock)), kept, inherited }
    }

    fn look(&mut self, clock: Time, steady: Duration) -> Standing {
        let jump = self.watch.look(clock, steady);
        // The first run comes a day after the first look, so that somebody can see a wrong clock.
        let mut kept = self.kept.unwrap_or(Kept { clock, due: clock + DAY, last: None, paused: None });
        kept.clock = clock;
        // After a clock that went back it is not to wait for the old time to come again.
        kept.due = kept.due.min(clock + DAY);
        match jump {
            Some(Jump { expected, found }) => {
                self.inherited = None;
                let is_new = kept.paused.is_none_or(|old| (old.expected, old.found) != (expected, found));
                if is_new {
                    kept.paused = Some(Pause { since: clock, expected, found });
                }
            }
            None if self.inherited.is_some_and(|since| steady.saturating_sub(since) < DAY) => {}
            None => {
                self.inherited = None;
                kept.paused = None;
            }
        }
        self.kept = Some(kept);
        let Kept { due, last, paused, .. } = kept;
        Standing { clock, due, last, paused }
    }

    /// Somebody has looked at the clock and believes it.
    fn resume(&mut self, clock: Time, steady: Duration) -> Standing {
        self.watch.look(clock, steady);
        self.watch.believe();
        self.inherited = None;
        self.look(clock, steady)
    }

    fn ran(&mut self, run: Run) {
        if let Some(kept) = &mut self.kept {
            kept.last = Some(run);
            kept.due = run.at + DAY;
        }
    }
}

/// Why nothing was taken out.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The clock is not believed.
    #[error(
        "the clock should have stood at {} and stood at {}, so nothing is forgotten: look at the \
         clock, set it right if it is wrong, then run `pintle retention resume`",
        .0.expected, .0.found
    )]
    Paused(Pause),
    /// There is nothing to go by.
    #[error("nothing is configured to be forgotten: retention.… and archive.… in the settings say what is")]
    NothingConfigured,
    /// The store cannot.
    #[error(transparent)]
    Store(#[from] pintle_store::Error),
}

/// The job that takes out what has expired, and its state in the data folder.
pub struct Job {
    path: PathBuf,
    clock: Clock,
    steady: Steady,
    schedule: Mutex<Schedule>,
}

impl Job {
    /// Goes on from what the folder says. What cannot be read counts as nothing; the reason is given.
    pub fn open(folder: &Path, clock: Clock) -> (Job, Option<io::Error>) {
        let started = Instant::now();
        Job::open_by(folder, clock, Arc::new(move || started.elapsed()))
    }

    /// The same with another steady clock.
    pub fn open_by(folder: &Path, clock: Clock, steady: Steady) -> (Job, Option<io::Error>) {
        let path = folder.join("retention.json");
        let read = || -> io::Result<Option<Kept>> {
            private_file::read(&path)?.map(|text| Ok(serde_json::from_slice(&text)?)).transpose()
        };
        let (kept, problem) = match read() {
            Ok(kept) => (kept, None),
            Err(error) => (None, Some(error)),
        };
        let schedule = Mutex::new(Schedule::new(kept, steady()));
        (Job { path, clock, steady, schedule }, problem)
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the clocks.
    pub fn look(&self) -> Standing {
        let mut schedule = self.schedule();
        let standing = schedule.look((self.clock)(), (self.steady)());
        self.keep(&schedule);
        standing
    }

    /// Believes the clock as it stands.
    pub fn resume(&self) -> Standing {
        let mut schedule = self.schedule();
        let standing = schedule.resume((self.clock)(), (self.steady)());
        self.keep(&schedule);
        standing
    }

    fn ran(&self, run: Run) {
        let mut schedule = self.schedule();
        schedule.ran(run);
        self.keep(&schedule);
    }

    fn keep(&self, schedule: &Schedule) {
        let Some(kept) = &schedule.kept else { return };
        let kept = serde_json::to_vec(kept).map_err(io::Error::from);
        if let Err(error) = kept.and_then(|kept| private_file::replace(&self.path, &kept)) {
            tracing::error!(%error, "where the clock stands cannot be written: a restart will not notice a jump");
        }
    }
}

/// Takes out what has expired, now. Blocks.
pub fn run(instance: &Instance) -> Result<Run, RunError> {
    if !instance.config.forgets() {
        return Err(RunError::NothingConfigured);
    }
    let standing = instance.retention.look();
    show(&instance.metrics, &standing);
    if let Some(pause) = standing.paused {
        return Err(RunError::Paused(pause));
    }
    let started = Instant::now();
    let expired = instance.store.expire()?;
    let run = Run { at: instance.now(), seconds: started.elapsed().as_secs_f64(), expired };
    instance.retention.ran(run);
    instance.metrics.retention_ran(run.at);
    instance.metrics.expired(expired);
    let Expired { alerts, machines, sightings, files } = expired;
    tracing::info!(
        alerts,
        machines,
        sightings,
        files,
        seconds = run.seconds,
        "what had expired was taken out"
    );
    Ok(run)
}

/// Shows in the metrics how the job stands.
pub fn show(metrics: &Metrics, standing: &Standing) {
    metrics.retention_paused(standing.paused.is_some());
    if let Some(run) = standing.last {
        metrics.retention_ran(run.at);
    }
}

/// Looks every hour, and runs when it is time. Where nothing is configured to be forgotten it only
/// notes how the clock stands. Never returns; drop it to stop.
pub async fn keep(instance: Arc<Instance>) {
    let mut every_hour = tokio::time::interval(HOUR);
    every_hour.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every_hour.tick().await;
        let instance = Arc::clone(&instance);
        let looked = tokio::task::spawn_blocking(move || look_and_run(&instance)).await;
        if let Err(error) = looked {
            tracing::error!(%error, "taking out what has expired stopped half-way");
        }
    }
}

fn look_and_run(instance: &Instance) {
    let standing = instance.retention.look();
    if !instance.config.forgets() {
        return;
    }
    show(&instance.metrics, &standing);
    if let Some(Pause { since, expected, found }) = standing.paused {
        tracing::error!(
            %since, %expected, %found,
            "the clock jumped by more than a day, so nothing is forgotten: look at the clock, then run `pintle retention resume`"
        );
    } else if standing.is_due() {
        let entry = Entry::new(Actor::server(), "retention.run");
        match run(instance) {
            Ok(run) => instance.audit.note(told(entry, &run)),
            Err(error) => {
                tracing::error!(%error, "what has expired was not taken out; it is tried again in an hour");
                instance.audit.note(entry.failed(error));
            }
        }
    }
}

/// With what a run took out.
pub(crate) fn told(entry: Entry, run: &Run) -> Entry {
    let Expired { alerts, machines, sightings, files } = run.expired;
    entry.with("alerts", alerts).with("machines", machines).with("sightings", sightings).with("files", files)
}

#[cfg(test)]
mod tests;
