//! What is known of each source of telemetry: when it came last and how much of it, how late it is, what of it
//! could not be read, and how many of its events about files have no hash. Whoever takes telemetry in notes
//! it here (`crate::intake`).
//!
//! It is told of what came since the server first heard of the source, not of what the archive holds; it is
//! kept over a restart, and what a crash forgets of it is at most the last minute. A backup leaves it out:
//! counts of what came to one server are not those of another. A purge of a source or a tenant forgets it here
//! too; another purge leaves the counts, which are of what came and not of what is there.

mod measure;
mod silence;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pintle_ingest::Summary;
use pintle_model::{Record, TenantId, Time, shapes, tables};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::instance::Instance;
use crate::metrics::{Metrics, SourceMeasured};
use crate::private_file;
use measure::{Lags, Rate};
use silence::Silence;

/// The most sources of a tenant; of more, those that came least recently as files are forgotten, then live ones
/// that have not come for a month, and further ones are counted together.
const MOST_SOURCES: usize = 256;
/// How long a live source keeps its place without coming.
const KEEPS_PLACE: Duration = Duration::from_secs(30 * 24 * 3600);
/// The most formats of a source counted apart, …
const MOST_FORMATS: usize = 8;
/// … and reasons of a format.
const MOST_REASONS: usize = 20;
/// What counts together is called so.
const OTHERS: &str = "(others)";
/// What the format of telemetry that told none is called.
const NO_FORMAT: &str = "(none)";
/// The longest text of a failure or a reason that is kept, in characters.
const LONGEST_TEXT: usize = 256;
/// How often is looked for sources that are silent, and what is known is written.
const EVERY: Duration = Duration::from_secs(60);

/// The sources of all tenants.
pub struct Sources {
    path: PathBuf,
    all: Mutex<Kept>,
}

/// What is kept over a restart.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    tenants: BTreeMap<TenantId, BTreeMap<String, Source>>,
    #[serde(skip)]
    is_changed: bool,
}

/// A source.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Source {
    /// Whether it comes as it happens.
    is_live: bool,
    first: Time,
    last: Time,
    /// Since when it has come without a gap that would be a silence.
    regular_since: Time,
    silence: Option<Silence>,
    failures: u64,
    last_failure: Option<String>,
    formats: BTreeMap<String, Counts>,
}

/// What came from a source in one format.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Counts {
    last: Option<Time>,
    /// The time of the latest event, of those that can be believed.
    watermark: Option<Time>,
    records: u64,
    minute: Rate<5>,
    hour: Rate<300>,
    day: Rate<7200>,
    lags: Lags,
    rejects: BTreeMap<String, u64>,
    ignored: BTreeMap<String, u64>,
    file_events: u64,
    without_hash: BTreeMap<String, u64>,
}

/// What the events of an input say of time, gathered while it is read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    latest: Option<Time>,
    lags: Lags,
}

impl Times {
    /// Takes note of records that have come now.
    pub(crate) fn note(&mut self, records: &[Record], now: Time) {
        for record in records {
            let at = match record {
                // It is the first column of every table.
                Record::Row(row) => row.time(tables::device_events::TIMESTAMP),
                Record::Alert(alert) => alert.facts.time(shapes::alert::LAST_UPDATE_TIME),
                // One that is silent for long is no old news.
                Record::Machine(machine) => machine.read_at(),
            };
            let Some(at) = at.filter(|at| at.is_plausible(now)) else { continue };
            self.latest = self.latest.max(Some(at));
            let late = u64::try_from(now.ticks().saturating_sub(at.ticks())).unwrap_or(0);
            self.lags.note(Duration::from_nanos(late.saturating_mul(100)));
        }
    }
}

impl Times {
    /// The time of the latest event that can be believed.
    pub(crate) fn latest(&self) -> Option<Time> {
        self.latest
    }
}

/// Telemetry that came.
pub(crate) struct Came<'a> {
    pub(crate) tenant: TenantId,
    pub(crate) source: &'a str,
    pub(crate) is_live: bool,
    pub(crate) summary: &'a Summary,
    pub(crate) times: &'a Times,
    /// Why not all of it was read.
    pub(crate) failure: Option<String>,
}

impl Sources {
    /// As they were left in a data folder. The error says why that cannot be read, and nothing is known then.
    pub fn open(folder: &Path) -> (Sources, Option<io::Error>) {
        let path = folder.join("sources.json");
        let read = || -> io::Result<Option<Kept>> {
            private_file::read(&path)?.map(|text| Ok(serde_json::from_slice(&text)?)).transpose()
        };
        let (kept, problem) = match read() {
            Ok(kept) => (kept.unwrap_or_default(), None),
            Err(error) => (Kept::default(), Some(error)),
        };
        (Sources { path, all: Mutex::new(kept) }, problem)
    }

    fn all(&self) -> MutexGuard<'_, Kept> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what changed.
    pub fn save(&self) -> io::Result<()> {
        let bytes = {
            let mut all = self.all();
            if !std::mem::take(&mut all.is_changed) {
                return Ok(());
            }
            serde_json::to_vec(&*all)?
        };
        private_file::replace(&self.path, &bytes).inspect_err(|_| self.all().is_changed = true)
    }

    /// Takes note of telemetry that came now. `silent_after`: a longer gap makes it come anew.
    pub(crate) fn note(&self, came: &Came<'_>, now: Time, silent_after: Option<Duration>) {
        let mut all = self.all();
        all.is_changed = true;
        let sources = all.tenants.entry(came.tenant).or_default();
        let name = place(sources, came.source, now);
        let source = sources.entry(name).or_insert_with(|| Source::new(now));
        source.note(came, now, silent_after);
    }

    /// What is known of a tenant's sources, by name and format, as it is told to clients.
    pub(crate) fn told(&self, tenant: TenantId, now: Time, silent_after: Option<Duration>) -> Vec<Value> {
        let all = self.all();
        let sources = all.tenants.get(&tenant).into_iter().flatten();
        sources.flat_map(|(name, source)| source.told(name, now, silent_after)).collect()
    }

    /// Forgets a source of a tenant, or all of them.
    pub(crate) fn forget(&self, tenant: TenantId, source: Option<&str>) {
        let mut all = self.all();
        all.is_changed = true;
        match (source, all.tenants.get_mut(&tenant)) {
            (Some(source), Some(sources)) => _ = sources.remove(source),
            (None, Some(_)) => _ = all.tenants.remove(&tenant),
            (_, None) => {}
        }
    }

    /// Shows in the metrics how the sources stand that come as it happens. `name_of` names a tenant, if it is
    /// there.
    fn measure(&self, metrics: &Metrics, name_of: &dyn Fn(TenantId) -> Option<String>) {
        let all = self.all();
        let mut measured = Vec::new();
        for (tenant, sources) in &all.tenants {
            let Some(tenant) = name_of(*tenant) else { continue };
            let live = sources.iter().filter(|(_, source)| source.is_live);
            measured.extend(live.map(|(name, source)| source.measured(&tenant, name)));
        }
        drop(all);
        metrics.sources(&measured);
    }
}

/// Under which name a source is counted. Makes room for it if it can.
fn place(sources: &mut BTreeMap<String, Source>, name: &str, now: Time) -> String {
    if sources.len() < MOST_SOURCES || sources.contains_key(name) {
        return name.to_owned();
    }
    let may_go = |source: &Source| !source.is_live || now > source.last + KEEPS_PLACE;
    let old = sources.iter().filter(|(name, source)| may_go(source) && *name != OTHERS);
    let oldest = old.min_by_key(|(_, source)| (source.is_live, source.last)).map(|(name, _)| name.clone());
    match oldest {
        Some(oldest) => {
            sources.remove(&oldest);
            name.to_owned()
        }
        None => OTHERS.to_owned(),
    }
}

impl Source {
    fn new(now: Time) -> Source {
        Source {
            is_live: false,
            first: now,
            last: now,
            regular_since: now,
            silence: None,
            failures: 0,
            last_failure: None,
            formats: BTreeMap::new(),
        }
    }

    fn note(&mut self, came: &Came<'_>, now: Time, silent_after: Option<Duration>) {
        if silent_after.is_some_and(|gap| now > self.last + gap) {
            self.regular_since = now;
        }
        self.is_live |= came.is_live;
        if let Some(failure) = &came.failure {
            self.failures += 1;
            self.last_failure = Some(failure.chars().take(LONGEST_TEXT).collect());
        }
        let summary = came.summary;
        if summary.records == 0 {
            return;
        }
        self.last = now;
        let format = summary.format.as_deref().unwrap_or(NO_FORMAT);
        let known = self.formats.len() < MOST_FORMATS || self.formats.contains_key(format);
        let format = if known { format } else { OTHERS };
        self.formats.entry(format.to_owned()).or_default().note(came, now);
    }

    /// `silent`, `active` if it has come within the time after which it would be, else `unknown`.
    fn state(&self, now: Time, silent_after: Option<Duration>) -> &'static str {
        if self.silence.is_some() {
            "silent"
        } else if silent_after.is_some_and(|after| now <= self.last + after) {
            "active"
        } else {
            "unknown"
        }
    }

    fn measured(&self, tenant: &str, name: &str) -> SourceMeasured {
        let sum = |of: fn(&Counts) -> u64| self.formats.values().map(of).sum();
        SourceMeasured {
            tenant: tenant.to_owned(),
            source: name.to_owned(),
            last_arrival: self.last,
            last_event: self.formats.values().filter_map(|counts| counts.watermark).max(),
            is_silent: self.silence.is_some(),
            records: sum(|counts| counts.records),
            rejects: sum(|counts| counts.rejects.values().sum()),
            file_events: sum(|counts| counts.file_events),
            without_hash: sum(|counts| counts.without_hash.values().sum()),
        }
    }

    fn told(&self, name: &str, now: Time, silent_after: Option<Duration>) -> Vec<Value> {
        let of = |format: Option<(&String, &Counts)>| {
            let counts = format.map(|(_, counts)| counts.clone()).unwrap_or_default();
            let text = |time: Option<Time>| time.map(|time| time.to_string());
            json!({
                "source": name,
                "format": format.map(|(format, _)| format),
                "live": self.is_live,
                "state": self.state(now, silent_after),
                "firstArrival": text(Some(self.first)),
                "lastArrival": text(Some(counts.last.unwrap_or(self.last))),
                "lastEvent": text(counts.watermark),
                "silentSince": text(self.silence.as_ref().map(|silence| silence.since)),
                "records": counts.records,
                "recordsLastMinute": counts.minute.sum(now),
                "recordsLastHour": counts.hour.sum(now),
                "recordsLastDay": counts.day.sum(now),
                "lagSecondsMedian": counts.lags.quantile(0.5),
                "lagSecondsP99": counts.lags.quantile(0.99),
                "rejectedByReason": counts.rejects,
                "ignored": counts.ignored,
                "fileEvents": counts.file_events,
                "withoutHashByReason": counts.without_hash,
                "failures": self.failures,
                "lastFailure": self.last_failure,
            })
        };
        if self.formats.is_empty() {
            return vec![of(None)];
        }
        self.formats.iter().map(|format| of(Some(format))).collect()
    }
}

impl Counts {
    fn note(&mut self, came: &Came<'_>, now: Time) {
        let Summary { records, rejects_by_reason, ignored, file_events, without_hash, .. } = came.summary;
        self.last = Some(now);
        self.watermark = self.watermark.max(came.times.latest);
        self.records += records;
        self.minute.note(now, *records);
        self.hour.note(now, *records);
        self.day.note(now, *records);
        if came.is_live {
            // What was recorded elsewhere is as late as somebody brought it.
            self.lags.add(&came.times.lags);
        }
        add(&mut self.rejects, rejects_by_reason.iter().map(|(reason, count)| (reason.as_str(), *count)));
        add(&mut self.ignored, ignored.iter().map(|(reason, count)| (*reason, *count)));
        self.file_events += file_events;
        add(&mut self.without_hash, without_hash.iter().map(|(reason, count)| (*reason, *count)));
    }
}

/// Adds counts by reason, of which there are not too many.
fn add<'a>(counts: &mut BTreeMap<String, u64>, more: impl Iterator<Item = (&'a str, u64)>) {
    for (reason, count) in more {
        // It may quote what somebody sent.
        let reason: String = reason.chars().take(LONGEST_TEXT).collect();
        let known = counts.len() < MOST_REASONS || counts.contains_key(&reason);
        *counts.entry(if known { reason } else { OTHERS.to_owned() }).or_default() += count;
    }
}

/// What is known of a tenant's sources, its watched folders and its consumers of topics, as clients and commands
/// are told it.
pub(crate) fn status(instance: &Instance, tenant: TenantId) -> Value {
    let is_its = |name: &str| instance.control.tenant(name).is_some_and(|its| its.id == tenant);
    let watched = instance.config.watch.iter().filter(|(_, settings)| is_its(&settings.tenant));
    let watched: Vec<Value> = watched.filter_map(|(name, _)| instance.watched.told(name)).collect();
    let kafka = instance.config.kafka.iter().filter(|(_, settings)| is_its(&settings.tenant));
    let kafka: Vec<Value> = kafka.filter_map(|(name, _)| instance.consumed.told(name)).collect();
    let told = instance.sources.told(tenant, instance.now(), instance.config.ingest.silent_after);
    json!({ "value": told, "watched": watched, "kafka": kafka })
}

/// Looks every minute for sources that are silent or have come again, raises and resolves the alerts about
/// it, and writes what is known. Never returns; drop it to stop, and call [`Sources::save`] then.
pub async fn keep(instance: Arc<Instance>) {
    let mut every_minute = tokio::time::interval(EVERY);
    every_minute.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut watch = silence::Watch::new(instance.now());
    loop {
        every_minute.tick().await;
        let instance = Arc::clone(&instance);
        let looked = tokio::task::spawn_blocking(move || {
            silence::look(&instance, &mut watch);
            let tenants = instance.control.tenants();
            let name_of =
                |id| tenants.iter().find(|tenant| tenant.id == id).map(|tenant| tenant.name.clone());
            instance.sources.measure(&instance.metrics, &name_of);
            if let Err(error) = instance.sources.save() {
                tracing::error!(%error, "what is known of the sources cannot be written: a restart will forget it");
            }
            watch
        });
        match looked.await {
            Ok(looked) => watch = looked,
            Err(error) => {
                tracing::error!(%error, "looking for silent sources stopped half-way");
                return;
            }
        }
    }
}
