//! What is fetched as it comes: stores of objects, and APIs like Defender's.
//!
//! A source is what a section `[pull.NAME]` names. Each has a thread in a server; `pintle pull` does a round on
//! its own.

pub(crate) mod api;
pub(crate) mod credentials;
mod http;
mod keeping;
pub(crate) mod objects;
pub(crate) mod token;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pintle_store::Progress;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::config::pull::Upstream;
use crate::config::{Config, Pull};
use crate::instance::Instance;
#[cfg(feature = "kafka")]
pub(crate) use http::Client;

/// The longest wait after rounds that failed.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// How long who asks for a round waits for one that goes on.
const PATIENCE: Duration = Duration::from_secs(30);
/// What could not be taken and is told by name.
const MOST_TROUBLES: usize = 10;

/// What a round came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Came {
    /// Objects that there are, of an API alerts and machines.
    pub(crate) listed: u64,
    /// Of these, how many had something new that was taken.
    pub(crate) taken: u64,
    /// Bytes that were taken, …
    pub(crate) bytes: u64,
    /// … and records in them.
    pub(crate) records: u64,
    /// Objects that are not taken, and are tried again.
    pub(crate) failed: u64,
    /// Which these are and why, the first of them.
    pub(crate) troubles: Vec<String>,
}

impl Came {
    /// One more that is not taken, and why.
    fn failed(&mut self, trouble: impl FnOnce() -> String) {
        self.failed += 1;
        if self.troubles.len() < MOST_TROUBLES {
            self.troubles.push(trouble());
        }
    }
}

/// Why a round did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PullError {
    /// No section has that name.
    #[error("there is no [pull.{0}] in the settings")]
    Unknown(String),
    /// What went wrong.
    #[error("{0}")]
    Failed(String),
    /// The server stops.
    #[error("it was stopped")]
    Stopped,
}

/// All that is fetched from. A source is opened when it is first needed.
pub struct Pulls {
    sources: BTreeMap<String, (Pull, Mutex<Option<Source>>)>,
    stop: CancellationToken,
}

impl Pulls {
    /// What the settings say.
    pub fn new(config: &Config) -> Pulls {
        let sources = config.pull.iter();
        let sources = sources.map(|(name, settings)| (name.clone(), (settings.clone(), Mutex::default())));
        Pulls { sources: sources.collect(), stop: CancellationToken::new() }
    }

    /// Does a round of a source, after the one that is going on. Blocks; must be called where the runtime's
    /// tasks do not run.
    pub(crate) fn round(
        &self,
        instance: &Instance,
        name: &str,
        runtime: &Handle,
        asked: Asked,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Came, PullError> {
        let (settings, source) = self.sources.get(name).ok_or_else(|| PullError::Unknown(name.to_owned()))?;
        let mut source = held(source, asked).ok_or_else(|| {
            let reason = "it is being fetched from just now, and waits as long as it is told to";
            PullError::Failed(format!("{name}: {reason}; try again later"))
        })?;
        let source = match &mut *source {
            Some(source) => source,
            none => none.insert(Source::open(instance, name, settings)?),
        };
        let came = source.round(instance, runtime, &self.stop, asked, progress);
        if came != Err(PullError::Stopped) {
            instance.metrics.pulled(name, came.is_ok());
        }
        came
    }
}

/// The source, once no other round of it goes on. People wait for that only so long.
fn held(source: &Mutex<Option<Source>>, asked: Asked) -> Option<MutexGuard<'_, Option<Source>>> {
    if asked == Asked::ByTheClock {
        return Some(source.lock().unwrap_or_else(PoisonError::into_inner));
    }
    let patience = Instant::now() + PATIENCE;
    loop {
        match source.try_lock() {
            Ok(source) => return Some(source),
            Err(TryLockError::Poisoned(source)) => return Some(source.into_inner()),
            Err(TryLockError::WouldBlock) if Instant::now() >= patience => return None,
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// Why a round is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// It is time for it.
    ByTheClock,
    /// Somebody wants to have at once what there is.
    ByPeople,
}

/// What is fetched from, and what was taken of it.
enum Source {
    Objects(Box<objects::Source>),
    Api(Box<api::Source>),
}

impl Source {
    /// As it was left.
    fn open(instance: &Instance, name: &str, settings: &Pull) -> Result<Source, PullError> {
        Ok(match &settings.upstream {
            Upstream::Objects(objects) => {
                Source::Objects(Box::new(objects::Source::open(instance, name, settings, objects)?))
            }
            Upstream::Api(api) => Source::Api(Box::new(api::Source::open(instance, name, settings, api)?)),
        })
    }

    /// Takes what is new.
    fn round(
        &mut self,
        instance: &Instance,
        runtime: &Handle,
        stop: &CancellationToken,
        asked: Asked,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Came, PullError> {
        match self {
            Source::Objects(source) => source.round(instance, runtime, stop, progress),
            Source::Api(source) => source.round(instance, runtime, stop, asked, progress),
        }
    }
}

/// The threads of a server that fetch.
pub(crate) struct Pulling {
    stop: CancellationToken,
    threads: Vec<JoinHandle<()>>,
}

impl Pulling {
    /// Begins to fetch what the settings say.
    pub(crate) fn start(instance: &Arc<Instance>) -> io::Result<Pulling> {
        let stop = instance.pulls.stop.clone();
        let mut pulling = Pulling { stop, threads: Vec::new() };
        for (name, (settings, _)) in &instance.pulls.sources {
            let (instance, runtime) = (Arc::clone(instance), Handle::current());
            let (name, interval) = (name.clone(), settings.interval);
            let thread = std::thread::Builder::new().name("pull".to_owned());
            pulling.threads.push(thread.spawn(move || pull(&instance, &name, interval, &runtime))?);
        }
        Ok(pulling)
    }

    /// Ends it, once what is being read is taken. Blocks.
    pub(crate) fn end(self) {
        self.stop.cancel();
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("fetching ended in a panic");
            }
        }
    }
}

fn pull(instance: &Instance, name: &str, interval: Duration, runtime: &Handle) {
    let stop = &instance.pulls.stop;
    let mut failed: Option<(u32, PullError)> = None;
    loop {
        let wait = match instance.pulls.round(instance, name, runtime, Asked::ByTheClock, &mut |_| {}) {
            Ok(_) => {
                if failed.take().is_some() {
                    tracing::info!(pull = name, "it can be fetched from again");
                }
                interval
            }
            Err(PullError::Stopped) => return,
            Err(error) => {
                let times = failed.as_ref().map_or(0, |(times, _)| *times);
                if failed.as_ref().is_none_or(|(_, before)| *before != error) {
                    tracing::warn!(pull = name, %error, "it cannot be fetched from; it is tried again");
                }
                failed = Some((times.saturating_add(1), error));
                backed_off(interval, times)
            }
        };
        let stopped = async {
            tokio::select! {
                () = stop.cancelled() => true,
                () = tokio::time::sleep(wait) => false,
            }
        };
        if runtime.block_on(stopped) {
            return;
        }
    }
}

/// The wait after so many failures before: each twice as long, up to an hour, and by chance up to a half shorter,
/// so that many who wait for one do not come at once.
pub(crate) fn backed_off(interval: Duration, times: u32) -> Duration {
    let whole = interval.saturating_mul(1 << times.min(12)).min(LONGEST_WAIT.max(interval));
    let chance = u32::from(uuid::Uuid::new_v4().as_bytes().first().copied().unwrap_or_default());
    whole - whole / 512 * chance
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_an_hour() {
        let minute = Duration::from_secs(60);
        for (times, least, most) in
            [(0, minute / 2, minute), (3, minute * 4, minute * 8), (40, minute * 30, minute * 60)]
        {
            let wait = backed_off(minute, times);
            assert!(least <= wait && wait <= most, "{times}: {wait:?}");
        }
        assert!(backed_off(minute * 600, 5) >= minute * 300);
    }
}
