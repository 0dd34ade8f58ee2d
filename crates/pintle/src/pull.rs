//! Stores of objects (a bucket, a container, a folder) whose telemetry is fetched as it comes and grows.
//!
//! A source is what a section `[pull.NAME]` names. A round of it lists what there is in each of its places
//! and takes what is new: of lines what follows the offset that is durable already, as long as what stands
//! before it is what was taken; anything else whole. What was taken is durable before that is noted, so after a
//! crash some is taken again, which changes nothing. What has not changed for long is not remembered object by
//! object: everything is taken that changed last before a certain time.
//!
//! Each source has a thread in a server; `pintle pull` does a round on its own.

mod folder;
mod http;
mod kept;
mod round;
mod store;
mod take;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use pintle_store::Progress;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Pull};
use crate::instance::Instance;
pub(crate) use round::{Came, Source};
#[cfg(feature = "kafka")]
pub(crate) use {http::Client, store::credentials};

/// The longest wait after rounds that failed.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

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
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Came, PullError> {
        let (settings, source) = self.sources.get(name).ok_or_else(|| PullError::Unknown(name.to_owned()))?;
        let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
        let source = match &mut *source {
            Some(source) => source,
            none => none.insert(Source::open(instance, name, settings)?),
        };
        let came = source.round(instance, runtime, &self.stop, progress);
        if came != Err(PullError::Stopped) {
            instance.metrics.pulled(name, came.is_ok());
        }
        came
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
                tracing::error!("fetching from a store ended in a panic");
            }
        }
    }
}

fn pull(instance: &Instance, name: &str, interval: Duration, runtime: &Handle) {
    let stop = &instance.pulls.stop;
    let mut failed: Option<(u32, PullError)> = None;
    loop {
        let wait = match instance.pulls.round(instance, name, runtime, &mut |_| {}) {
            Ok(_) => {
                if failed.take().is_some() {
                    tracing::info!(pull = name, "a store can be fetched from again");
                }
                interval
            }
            Err(PullError::Stopped) => return,
            Err(error) => {
                let times = failed.as_ref().map_or(0, |(times, _)| *times);
                if failed.as_ref().is_none_or(|(_, before)| *before != error) {
                    tracing::warn!(pull = name, %error, "a store cannot be fetched from; it is tried again");
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
/// so that many who wait for one store do not come at once.
pub(crate) fn backed_off(interval: Duration, times: u32) -> Duration {
    let whole = interval.saturating_mul(1 << times.min(12)).min(LONGEST_WAIT.max(interval));
    let chance = u32::from(uuid::Uuid::new_v4().as_bytes().first().copied().unwrap_or_default());
    whole - whole / 512 * chance
}
