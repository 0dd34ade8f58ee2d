//! APIs like Defender's, or a Pintle's, whose alerts with their evidence and machines are fetched.
//!
//! Of each list what was taken is remembered, so only what is new or says something new is taken. Of alerts what
//! was updated since the look before is asked for, and all of them once a day, since an alert may come to be
//! there with an older update; of machines always all, since nothing tells when something of them changed.
//! Pages are asked for by `$top` and `$skip`, which is all that Defender heeds. Whatever moves to another page
//! meanwhile was updated meanwhile, so the next look begins before this one began.

mod asker;
mod kept;
mod pace;
mod page;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use bytes::Buf as _;
use pintle_ingest::{Content, MAX_BYTES};
use pintle_model::{TenantId, Time};
use pintle_store::Progress;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{Asked, Came, PullError};
use crate::config::Pull;
use crate::config::pull::Api;
use crate::instance::Instance;
use crate::intake::{self, Input};
use asker::{Answer, Asker, Unanswered};
use kept::{Kept, Taken};
use page::{MOST_ROWS, Page, Row};

/// How much before the end of the look before a look begins: what is updated may be shown some time later.
const OVERLAP: Duration = Duration::from_secs(300);
/// Between two looks at all alerts.
const LOOKING_AT_ALL: Duration = Duration::from_secs(24 * 3600);
/// How often what was taken is written down while much is taken.
const KEEPING: Duration = Duration::from_secs(30);
/// A page with less than this is the last one, if it has less than was asked for.
const SHORT: usize = 100;
/// The most elements of a list.
const MOST_LISTED: usize = 2_000_000;
/// Pages one after the other without anything new, and elements that are too long, before a look is given up.
const MOST_IN_VAIN: usize = 100;

/// A list of the API.
struct List {
    /// Its name in URLs.
    name: &'static str,
    /// What is asked for besides.
    options: &'static str,
    /// Elements of a page: alerts come with their evidence.
    page: usize,
    /// What decodes them.
    format: &'static str,
    /// Whether it says of each when it was updated last, and is asked for what was updated since.
    has_updates: bool,
    /// Whether what an element says holds as of when it was asked for, by a member that is put in.
    is_of_now: bool,
}

static ALERTS: List = List {
    name: "alerts",
    options: "&$expand=evidence",
    page: 1_000,
    format: "mde-alerts",
    has_updates: true,
    is_of_now: false,
};

static MACHINES: List = List {
    name: "machines",
    options: "",
    page: MOST_ROWS,
    format: "mde-machines",
    has_updates: false,
    is_of_now: true,
};

/// An API, and what was taken of it.
pub(super) struct Source {
    name: String,
    settings: Pull,
    api: Api,
    asker: Asker,
    kept: Kept,
    /// Whether there is something to keep over a restart, …
    is_changed: bool,
    /// … and when that was done last.
    written: Instant,
}

/// What a round has at hand, and what it came to.
struct Round<'a> {
    instance: &'a Instance,
    runtime: &'a Handle,
    stop: &'a CancellationToken,
    tenant: TenantId,
    progress: &'a mut dyn FnMut(Progress),
    came: Came,
}

impl Source {
    /// As it was left.
    pub(super) fn open(
        instance: &Instance,
        name: &str,
        settings: &Pull,
        api: &Api,
    ) -> Result<Source, PullError> {
        let url = api.api.as_str();
        let kept = kept::read(instance.store.folder(), name, url).unwrap_or_else(|error| {
            tracing::warn!(pull = name, %error, "what was taken of an API cannot be read: all is taken again");
            Kept { api: url.to_owned(), ..Kept::default() }
        });
        Ok(Source {
            name: name.to_owned(),
            settings: settings.clone(),
            api: api.clone(),
            asker: Asker::new(api).map_err(PullError::Failed)?,
            kept,
            is_changed: false,
            written: Instant::now(),
        })
    }

    /// Takes what is new.
    pub(super) fn round(
        &mut self,
        instance: &Instance,
        runtime: &Handle,
        stop: &CancellationToken,
        asked: Asked,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Came, PullError> {
        let tenant = instance.control.tenant(&self.settings.tenant).map(|tenant| tenant.id);
        let tenant = tenant
            .ok_or_else(|| PullError::Failed(format!("there is no tenant {}", self.settings.tenant)))?;
        let mut round = Round { instance, runtime, stop, tenant, progress, came: Came::default() };
        let mut went = Ok(());
        for (list, every) in [(&MACHINES, self.api.machines_interval), (&ALERTS, LOOKING_AT_ALL)] {
            let now = instance.now();
            let looked = self.of(list).looked;
            let is_due = looked.is_none_or(|looked| now < looked || now >= looked + every);
            let is_whole = is_due || !list.has_updates && asked == Asked::ByPeople;
            if is_whole || list.has_updates {
                went = self.look(&mut round, list, is_whole);
            }
            if went.is_err() {
                break;
            }
        }
        self.keep(instance);
        went.map(|()| round.came)
    }

    /// Looks at a list, at all of it or at what was updated since the look before, and takes what is new.
    fn look(&mut self, round: &mut Round<'_>, list: &List, is_whole: bool) -> Result<(), PullError> {
        let begun = round.instance.now();
        let oldest = begun - self.api.look_back;
        let since = self.of(list).watermark.filter(|_| !is_whole).map_or(oldest, |time| time - OVERLAP);
        let filter =
            if list.has_updates { format!("$filter=lastUpdateTime%20ge%20{since}&") } else { String::new() };
        let (mut met, mut skip, mut top) = (HashSet::new(), 0, list.page);
        // By the clock of the API.
        let (mut first_answer, mut newest) = (None, since);
        let mut in_vain = 0;
        loop {
            let path = format!("/api/{}?{filter}$top={top}&$skip={skip}{}", list.name, list.options);
            let answer = match round.runtime.block_on(self.asker.get(&path, round.stop)) {
                Ok(answer) => answer,
                Err(Unanswered::TooLong) if top > 1 => {
                    top = (top / 2).max(1);
                    continue;
                }
                Err(Unanswered::TooLong) if in_vain < MOST_IN_VAIN => {
                    round.came.failed(|| format!("{path}: the answer is longer than what is read"));
                    (skip, top, in_vain) = (skip + 1, list.page, in_vain + 1);
                    continue;
                }
                Err(Unanswered::TooLong) => {
                    return Err(PullError::Failed(format!(
                        "{}{path}: its answers are too long",
                        self.kept.api
                    )));
                }
                Err(Unanswered::Failed(reason)) => return Err(PullError::Failed(reason)),
                Err(Unanswered::Stopped) => return Err(PullError::Stopped),
            };
            first_answer = first_answer.or(answer.at).or(Some(begun));
            let page = Page::read(&answer.body);
            let page =
                page.map_err(|reason| PullError::Failed(format!("{}{path}: {reason}", self.kept.api)))?;
            let rows = page.rows.0.as_slice();
            let known_before = met.len();
            met.extend(rows.iter().map(|row| row.id));
            newest = rows.iter().filter_map(|row| row.updated).fold(newest, Time::max);
            self.take(round, list, rows, &answer)?;
            skip += rows.len();
            if rows.is_empty() || rows.len() < top.min(SHORT) && !page.is_followed() {
                break;
            }
            in_vain += usize::from(met.len() == known_before);
            if in_vain > MOST_IN_VAIN || met.len() > MOST_LISTED {
                let what = "it gives the same again and again, or has no end";
                return Err(PullError::Failed(format!("{}{path}: {what}", self.kept.api)));
            }
            top = (top * 2).min(list.page);
        }
        self.is_changed = true;
        let taken = self.of(list);
        taken.watermark = taken.watermark.max(first_answer.map(|first| newest.min(first)));
        if is_whole {
            taken.looked = Some(begun);
            taken.retain(|id| met.contains(&id));
        }
        Ok(())
    }

    /// Takes of a page what is new. It is durable when this is `Ok`.
    fn take(
        &mut self,
        round: &mut Round<'_>,
        list: &List,
        rows: &[Row<'_>],
        answer: &Answer,
    ) -> Result<(), PullError> {
        round.came.listed += rows.len() as u64;
        round.came.bytes += answer.body.len() as u64;
        (round.progress)(Progress { bytes: round.came.bytes, bytes_total: round.came.bytes });
        let taken = self.of(list);
        let is_new = |row: &&Row<'_>| !taken.is_known(row.id, row.digest);
        let new: Vec<&Row<'_>> = rows.iter().filter(is_new).collect();
        if new.is_empty() {
            return Ok(());
        }
        let as_of = list.is_of_now.then(|| round.instance.now());
        let records = self.read(round, list, envelope(&new, as_of))?;
        round.came.taken += new.len() as u64;
        round.came.records += records;
        round.instance.metrics.pulled_objects(&self.name, new.len() as u64);
        let taken = self.of(list);
        new.iter().for_each(|row| taken.note(row.id, row.digest));
        self.is_changed = true;
        if self.written.elapsed() >= KEEPING {
            self.keep(round.instance);
        }
        Ok(())
    }

    /// Reads elements in an envelope; gives how many records it had.
    fn read(&self, round: &Round<'_>, list: &List, envelope: Vec<u8>) -> Result<u64, PullError> {
        let failed = |reason: String| PullError::Failed(format!("{}: {reason}", list.name));
        let choice = intake::choice(&round.instance.decoders, Some(list.format));
        let choice = choice.map_err(|unknown| failed(unknown.to_string()))?;
        let name = format!("{}:{}", self.name, list.name);
        let input = Input {
            tenant: round.tenant,
            source: &self.name,
            name: &name,
            is_live: self.settings.is_live,
            choice,
            namespace: None,
            limit: MAX_BYTES,
            part: None,
        };
        let content = Content::stream(envelope.reader());
        let taken = intake::take(round.instance, input, content, &mut |_| {});
        match taken.stopped {
            None => Ok(taken.summary.records),
            Some(error) => Err(failed(format!("what came cannot be kept: {error}"))),
        }
    }

    /// What was taken of a list.
    fn of(&mut self, list: &List) -> &mut Taken {
        self.kept.lists.entry(list.name.to_owned()).or_default()
    }

    /// Writes down what was taken.
    fn keep(&mut self, instance: &Instance) {
        if !std::mem::take(&mut self.is_changed) {
            return;
        }
        self.written = Instant::now();
        if let Err(error) = kept::write(instance.store.folder(), &self.name, &self.kept) {
            self.is_changed = true;
            tracing::error!(pull = self.name, %error, "what was taken of an API cannot be written: a restart takes some of it again");
        }
    }
}

/// Elements as the API lists them; with the time at which they say what they do, if they do not say it.
fn envelope(rows: &[&Row<'_>], as_of: Option<Time>) -> Vec<u8> {
    let as_of = as_of.map(|time| format!("{{\"@timestamp\":\"{time}\","));
    let mut text = String::from("{\"value\":[");
    for (place, row) in rows.iter().enumerate() {
        text.push_str(if place == 0 { "" } else { "," });
        match (&as_of, row.text.strip_prefix('{')) {
            (Some(as_of), Some(members)) if members.trim_start() != "}" => {
                text.push_str(as_of);
                text.push_str(members);
            }
            _ => text.push_str(row.text),
        }
    }
    text.push_str("]}");
    text.into_bytes()
}
