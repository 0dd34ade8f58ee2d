//! Sources that came regularly and do not any more: an alert says so, once, and is resolved when they come
//! again.

use std::time::Duration;

use pintle_model::{Alert, AlertId, Facts, Record, TenantId, Time, shapes};
use pintle_store::Batch;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{EVERY, OTHERS, Source, Sources};
use crate::instance::Instance;

/// A silence that was told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Silence {
    /// When the source came last.
    pub since: Time,
    /// The alert about it.
    pub alert: String,
}

/// What is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    pub tenant: TenantId,
    pub source: String,
    /// When it came last before it was silent.
    pub since: Time,
    pub alert: String,
    /// Whether it has come again.
    pub is_over: bool,
}

/// When it was looked, by a clock that may jump and a server that may have been away: what could not come
/// here in that time is not silent.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    /// Since when sources could come.
    open: Time,
    looked: Time,
}

impl Watch {
    /// From now on.
    pub fn new(now: Time) -> Watch {
        Watch { open: now, looked: now }
    }

    /// As if it had just been looked, for tests whose time goes in hours.
    #[cfg(test)]
    pub fn at(self, now: Time) -> Watch {
        Watch { looked: now, ..self }
    }

    fn look(&mut self, now: Time) {
        if now < self.looked || now > self.looked + EVERY * 10 {
            self.open = now;
        }
        self.looked = now;
    }
}

impl Source {
    /// Whether it came for that long without a gap of that length, and has not for longer than that.
    fn is_silent(&self, open: Time, now: Time, after: Duration) -> bool {
        let is_regular = self.is_live && self.last >= self.regular_since + after;
        is_regular && now > self.last.max(open) + after
    }
}

impl Sources {
    /// What is to be told now.
    pub(super) fn news(&self, watch: &Watch, now: Time, after: Option<Duration>) -> Vec<News> {
        let all = self.all();
        let mut news = Vec::new();
        for (tenant, sources) in &all.tenants {
            for (name, source) in sources.iter().filter(|(name, _)| *name != OTHERS) {
                let of = |since: Time, alert: String, is_over| News {
                    tenant: *tenant,
                    source: name.clone(),
                    since,
                    alert,
                    is_over,
                };
                match (&source.silence, after) {
                    (Some(silence), _) if source.last > silence.since => {
                        news.push(of(silence.since, silence.alert.clone(), true));
                    }
                    (None, Some(after)) if source.is_silent(watch.open, now, after) => {
                        news.push(of(source.last, alert_id(*tenant, name, source.last), false));
                    }
                    _ => {}
                }
            }
        }
        news
    }

    /// Takes note that it was told.
    pub(super) fn told_news(&self, news: &News) {
        let mut all = self.all();
        all.is_changed = true;
        let source = all.tenants.get_mut(&news.tenant).and_then(|sources| sources.get_mut(&news.source));
        if let Some(source) = source {
            let News { since, alert, .. } = news.clone();
            source.silence = (!news.is_over).then_some(Silence { since, alert });
        }
    }
}

/// The id of the alert about a silence: the same one if it is raised again after a crash.
fn alert_id(tenant: TenantId, source: &str, since: Time) -> String {
    let digest = Sha256::digest(format!("{tenant}\0{source}\0{since}"));
    let digits: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("ps{digits}")
}

/// Looks for silences and ends of them, and tells them.
pub fn look(instance: &Instance, watch: &mut Watch) {
    let now = instance.now();
    watch.look(now);
    for news in instance.sources.news(watch, now, instance.config.ingest.silent_after) {
        match tell(instance, &news, now) {
            Ok(()) => instance.sources.told_news(&news),
            Err(error) => {
                tracing::error!(
                    source = news.source,
                    error,
                    "that a source is silent could not be told; it is tried again"
                );
            }
        }
    }
}

fn tell(instance: &Instance, news: &News, now: Time) -> Result<(), String> {
    let News { source, since, is_over, .. } = news;
    if *is_over {
        tracing::info!(source, %since, "a source has come again");
    } else {
        tracing::warn!(source, %since, "a source has gone silent");
    }
    let record = Record::Alert(alert(news, now)?);
    let batch = Batch { records: vec![record], ..Batch::live(news.tenant, Batch::PINTLE) };
    instance.store.append(batch).map(drop).map_err(|error| error.to_string())
}

fn alert(news: &News, now: Time) -> Result<Alert, String> {
    use shapes::alert as a;
    let News { source, since, is_over, .. } = news;
    let id: AlertId = news.alert.parse().map_err(|_| "an alert's id is none".to_owned())?;
    let mut facts = Facts::default();
    facts.note_time(a::LAST_UPDATE_TIME, now, Some(now));
    if *is_over {
        facts.note_text(a::STATUS, now, Some("Resolved"));
        facts.note_time(a::RESOLVED_TIME, now, Some(now));
        return Ok(Alert { id, facts, evidence: Vec::new() });
    }
    let title = format!("Telemetry source {source} has gone silent");
    let description = format!(
        "Telemetry came from {source} regularly, and none has since {since}. Whatever happens on its machines is \
         not seen here meanwhile: the sensor, what ships its telemetry, or the way here may be down, or somebody \
         may have stopped them. Pintle raised this alert itself, and resolves it when the source comes again."
    );
    for (member, text) in [
        (a::TITLE, title.as_str()),
        (a::DESCRIPTION, description.as_str()),
        (a::SEVERITY, "Medium"),
        (a::CATEGORY, "SuspiciousActivity"),
        (a::STATUS, "New"),
        (a::DETECTION_SOURCE, "Pintle"),
    ] {
        facts.note_text(member, now, Some(text));
    }
    for (member, time) in
        [(a::ALERT_CREATION_TIME, now), (a::FIRST_EVENT_TIME, *since), (a::LAST_EVENT_TIME, *since)]
    {
        facts.note_time(member, now, Some(time));
    }
    Ok(Alert { id, facts, evidence: Vec::new() })
}
