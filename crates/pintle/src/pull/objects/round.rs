//! A round of a source: what there is is listed, what is new is taken.

use std::collections::BTreeSet;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};
use pintle_model::TenantId;
use pintle_store::Progress;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::kept::{Kept, Object, Taken};
use super::store::{self, List};
use super::take::{Failed, Taking};
use crate::config::Pull;
use crate::config::pull::{Objects, Place, Store};
use crate::instance::Instance;
use crate::pull::http::Client;
use crate::pull::keeping::{self, Keeping};
use crate::pull::{Came, PullError};

/// The next part of a list.
const LISTING: Duration = Duration::from_secs(240);
/// How often what was taken is written down while much is taken.
const KEEPING: Duration = Duration::from_secs(5);
/// Objects one after the other that the store did not give, before the round is given up.
const MOST_FAILURES: u32 = 3;
/// What cannot be listed and is said in the log, and not again.
const MOST_UNLISTED: usize = 1_000;
/// Where there are so many objects, everything is looked at only …
const MANY: u64 = 10_000;
/// … so often; between that, what stands behind the first that changed lately.
const LOOKING_AT_ALL: Duration = Duration::from_secs(3600);

/// A section's stores, and what was taken of them.
pub(crate) struct Source {
    name: String,
    settings: Pull,
    objects: Objects,
    client: Client,
    kept: Kept,
    keeping: Keeping,
    /// When everything was looked at last, and how many there were.
    looked: Option<(Instant, u64)>,
    /// What could not be listed in the last round: it is not said again.
    unlisted: BTreeSet<String>,
}

/// What is kept of a place is kept under this.
pub(super) fn key(settings: &Objects, place: &Place) -> String {
    let endpoint = settings.endpoint.as_ref().map_or("", |endpoint| endpoint.as_str());
    let account = settings.account.as_deref().unwrap_or_default();
    format!("{endpoint} {account} {} {}", place.bucket, place.prefix)
}

impl Source {
    /// As it was left.
    pub(crate) fn open(
        instance: &Instance,
        name: &str,
        settings: &Pull,
        objects: &Objects,
    ) -> Result<Source, PullError> {
        let kept = keeping::read(instance.store.folder(), name).unwrap_or_else(|error| {
            tracing::warn!(pull = name, %error, "what was taken of a store cannot be read: all is taken again");
            None
        });
        Ok(Source {
            name: name.to_owned(),
            settings: settings.clone(),
            objects: objects.clone(),
            client: Client::new().map_err(|error| PullError::Failed(error.to_string()))?,
            kept: kept.unwrap_or_default(),
            keeping: Keeping::new(),
            looked: None,
            unlisted: BTreeSet::new(),
        })
    }

    /// Takes what is new.
    pub(crate) fn round(
        &mut self,
        instance: &Instance,
        runtime: &Handle,
        stop: &CancellationToken,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Came, PullError> {
        let tenant = instance.control.tenant(&self.settings.tenant).map(|tenant| tenant.id);
        let tenant = tenant
            .ok_or_else(|| PullError::Failed(format!("there is no tenant {}", self.settings.tenant)))?;
        let is_all = self.looked.is_none_or(|(at, there)| there < MANY || at.elapsed() >= LOOKING_AT_ALL);
        let mut round = Round {
            instance,
            runtime,
            stop,
            tenant,
            is_all,
            progress,
            came: Came::default(),
            come: Progress::default(),
            failures: 0,
            unlisted: BTreeSet::new(),
        };
        let places = self.objects.url.places();
        let mut went = Ok(());
        for place in &places {
            match self.look(&mut round, place) {
                Ok(()) => {}
                // What is made when something is first written to it is not there yet.
                Err(Failed::Gone) if places.len() > 1 => {}
                Err(failed) => {
                    went = Err(error(failed, place));
                    break;
                }
            }
        }
        let keys: Vec<String> = places.iter().map(|place| key(&self.objects, place)).collect();
        self.kept.places.retain(|kept, _| keys.contains(kept));
        self.keeping.keep(instance, &self.name, &self.kept);
        self.unlisted = std::mem::take(&mut round.unlisted);
        went?;
        if is_all {
            self.looked = Some((Instant::now(), round.came.listed));
        }
        Ok(round.came)
    }

    /// Looks at a place and takes what is new there.
    fn look(&mut self, round: &mut Round<'_>, place: &Place) -> Result<(), Failed> {
        let is_folder = self.objects.url.store == Store::Folder;
        if is_folder && !FilePath::new(&place.prefix).exists() {
            return Err(Failed::Gone);
        }
        let opened = store::open(&self.objects, place, &self.client).map_err(Failed::Store)?;
        let key = key(&self.objects, place);
        let now = round.instance.now().unix_seconds().saturating_mul(1_000);
        let begin = self.of(&key).begin(round.is_all, opened.is_ordered, now);
        let mut list = opened.list(begin.from())?;
        let mut is_whole = true;
        loop {
            let meta = match round.next(&mut list) {
                Ok(Some(meta)) => meta,
                Ok(None) => break,
                Err(Failed::Object(reason)) if is_folder => {
                    is_whole = false;
                    self.unlisted(round, reason);
                    continue;
                }
                Err(failed) => return Err(failed),
            };
            round.came.listed += 1;
            let name = meta.location.to_string();
            let is_wanted = !is_folder || is_inside(FilePath::new(&place.prefix), &name);
            if is_wanted && let Some(object) = self.of(&key).noted(&name, &meta) {
                self.take(round, &opened.store, &key, &meta.location, object)?;
            }
            if begin.is_of_all() && opened.is_ordered {
                self.of(&key).reached = Some(name);
            }
        }
        if !is_whole {
            // What it did not meet may be there.
            return Ok(());
        }
        // A file that is moved into a folder keeps the time of its last change.
        let forget_after = if is_folder { Duration::MAX } else { self.objects.forget_after };
        let forget_after = i64::try_from(forget_after.as_millis()).unwrap_or(i64::MAX);
        self.of(&key).end(&begin, forget_after);
        Ok(())
    }

    /// What was taken of a place.
    fn of(&mut self, key: &str) -> &mut Taken {
        // Made each time, as there is no way to look for a borrowed name and to make an owned one.
        self.kept.places.entry(key.to_owned()).or_default()
    }

    /// Takes what is new of an object, and notes it. What is wrong with it alone is no error.
    fn take(
        &mut self,
        round: &mut Round<'_>,
        store: &Arc<dyn ObjectStore>,
        key: &str,
        name: &Path,
        mut object: Object,
    ) -> Result<(), Failed> {
        let Round { instance, came, come, progress, .. } = round;
        come.bytes_total = come.bytes_total.saturating_add(object.size.saturating_sub(object.offset));
        progress(*come);
        let mut took = |bytes: u64, records: u64| {
            came.bytes += bytes;
            came.records += records;
            come.bytes = (come.bytes + bytes).min(come.bytes_total);
            progress(*come);
        };
        let before = object.offset;
        let mut taking = Taking {
            instance,
            store,
            runtime: round.runtime,
            stop: round.stop,
            source: &self.name,
            tenant: round.tenant,
            format: self.objects.format.as_deref(),
            is_live: self.settings.is_live,
            took: &mut took,
        };
        let went = taking.take(name, &mut object);
        if object.offset != before || object.is_done {
            instance.metrics.pulled_objects(&self.name, 1);
            came.taken += 1;
        }
        let went = match went {
            Ok(()) => {
                object.trouble = None;
                round.failures = 0;
                Ok(())
            }
            // It is gone since it was listed.
            Err(Failed::Gone) => return Ok(()),
            Err(Failed::Object(reason)) => {
                self.failed(round, name, &mut object, &reason);
                Ok(())
            }
            Err(Failed::Store(reason)) => {
                self.failed(round, name, &mut object, &reason);
                round.failures += 1;
                if round.failures < MOST_FAILURES { Ok(()) } else { Err(Failed::Store(reason)) }
            }
            Err(failed) => Err(failed),
        };
        self.of(key).note(name.to_string(), object);
        self.keeping.is_changed = true;
        if self.keeping.is_due(KEEPING) {
            self.keeping.keep(round.instance, &self.name, &self.kept);
        }
        went
    }

    fn failed(&self, round: &mut Round<'_>, name: &Path, object: &mut Object, reason: &str) {
        round.came.failed(|| format!("{name}: {reason}"));
        if object.failed(reason) {
            let (pull, object) = (&self.name, name.as_ref());
            tracing::warn!(pull, object, reason, "an object of a store is not taken; it is tried again");
        }
    }

    /// What lies in a folder and cannot be listed: it is told, and keeps nothing else from being taken.
    fn unlisted(&self, round: &mut Round<'_>, reason: String) {
        round.came.failed(|| reason.clone());
        if round.unlisted.len() < MOST_UNLISTED && !self.unlisted.contains(&reason) {
            tracing::warn!(pull = self.name, reason, "what lies in a folder is not taken");
        }
        if round.unlisted.len() < MOST_UNLISTED {
            round.unlisted.insert(reason);
        }
    }
}

/// What a round has at hand, and what it came to.
struct Round<'a> {
    instance: &'a Instance,
    runtime: &'a Handle,
    stop: &'a CancellationToken,
    tenant: TenantId,
    /// Whether everything is looked at.
    is_all: bool,
    progress: &'a mut dyn FnMut(Progress),
    came: Came,
    come: Progress,
    /// Objects one after the other that the store did not give.
    failures: u32,
    /// What could not be listed.
    unlisted: BTreeSet<String>,
}

impl Round<'_> {
    fn next(&self, list: &mut List) -> Result<Option<ObjectMeta>, Failed> {
        self.runtime.block_on(async {
            tokio::select! {
                next = timeout(LISTING, list.next()) => match next {
                    Ok(next) => next.transpose(),
                    Err(_) => Err(Failed::Store("it does not go on listing".to_owned())),
                },
                () = self.stop.cancelled() => Err(Failed::Stopped),
            }
        })
    }
}

fn error(failed: Failed, place: &Place) -> PullError {
    let Place { bucket, prefix } = place;
    match failed {
        Failed::Gone => PullError::Failed(format!("{bucket}/{prefix} is not there")),
        Failed::Object(reason) | Failed::Store(reason) => PullError::Failed(reason),
        Failed::Keeping(reason) => PullError::Failed(format!("what came cannot be kept: {reason}")),
        Failed::Stopped => PullError::Stopped,
    }
}

/// Whether a file of a folder lies in it, whatever links lead to it. One that is gone does not.
fn is_inside(folder: &FilePath, name: &str) -> bool {
    match (folder.canonicalize(), folder.join(name).canonicalize()) {
        (Ok(folder), Ok(file)) => file.starts_with(folder),
        _ => false,
    }
}
