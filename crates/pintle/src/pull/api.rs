//! APIs like Defender's, or a Pintle's, whose alerts with their evidence and machines are fetched.
//!
//! Of each list what was taken is remembered, so only what is new or says something new is taken. Of alerts what
//! was updated since the look before is asked for, and all of them once a day, since an alert may come to be
//! there with an older update; of machines always all, since nothing tells when something of them changed.
//! Pages are asked for by `$top` and `$skip`, which is all that Defender heeds. Whatever moves to another page
//! meanwhile was updated meanwhile, so the next look begins before this one began. What there is at first is no
//! news, and is taken as recorded.

pub(crate) mod asker;
pub(crate) mod kept;
mod pace;
pub(crate) mod page;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::time::Duration;

use bytes::Buf as _;
use pintle_ingest::{Content, MAX_BYTES};
use pintle_model::{TenantId, Time};
use pintle_store::Progress;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::keeping::Keeping;
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
    tenant: TenantId,
    api: Api,
    asker: Asker,
    kept: Kept,
    keeping: Keeping,
}

/// Which part of a list is asked for.
struct Window {
    skip: usize,
    top: usize,
    /// The most that may be asked for at once: half of what was too much.
    most: usize,
    /// Pages in turn without anything new, and elements that are too long.
    in_vain: usize,
}

impl Window {
    /// The first page.
    fn of(list: &List) -> Window {
        Window { skip: 0, top: list.page, most: list.page, in_vain: 0 }
    }
}

/// What a round has at hand, and what it came to.
struct Round<'a> {
    instance: &'a Instance,
    runtime: &'a Handle,
    stop: &'a CancellationToken,
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
        let tenant = instance.control.tenant(&settings.tenant).map(|tenant| tenant.id);
        let tenant =
            tenant.ok_or_else(|| PullError::Failed(format!("there is no tenant {}", settings.tenant)))?;
        // What was taken for one tenant, or from one, says nothing of another's.
        let of = format!("{} {} {tenant}", api.api.as_str(), api.token_url.as_str());
        let kept = kept::read(instance.store.folder(), name, &of).unwrap_or_else(|error| {
            tracing::warn!(pull = name, %error, "what was taken of an API cannot be read: all is taken again");
            Kept { of, ..Kept::default() }
        });
        Ok(Source {
            name: name.to_owned(),
            settings: settings.clone(),
            tenant,
            api: api.clone(),
            asker: Asker::new(api).map_err(PullError::Failed)?,
            kept,
            keeping: Keeping::new(),
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
        let mut round = Round { instance, runtime, stop, progress, came: Came::default() };
        // One that cannot be looked at keeps nothing from the other.
        let went =
            [(&ALERTS, LOOKING_AT_ALL), (&MACHINES, self.api.machines_interval)].map(|(list, every)| {
                let (now, known) = (instance.now(), self.of(list));
                let is_due = known.looked.is_none_or(|looked| now < looked || now >= looked + every);
                // What is new is not to wait for a look at all, nor for one that fails.
                if known.watermark.is_some() && list.has_updates {
                    self.look(&mut round, list, false)?;
                }
                match is_due || !list.has_updates && asked == Asked::ByPeople {
                    true => self.look(&mut round, list, true),
                    false => Ok(()),
                }
            });
        self.keeping.keep(instance, &self.name, &self.kept);
        went.into_iter().collect::<Result<(), _>>().map(|()| round.came)
    }

    /// Looks at a list, at all of it or at what was updated since the look before, and takes what is new.
    fn look(&mut self, round: &mut Round<'_>, list: &List, is_whole: bool) -> Result<(), PullError> {
        let begun = round.instance.now();
        let watermark = self.of(list).watermark;
        let oldest = (begun - self.api.look_back).max(Time::EARLIEST_PLAUSIBLE);
        let lately = watermark.map(|time| time - OVERLAP);
        let since = lately.map_or(oldest, |lately| if is_whole { oldest.min(lately) } else { lately });
        let is_live = self.settings.is_live && watermark.is_some();
        let filter =
            if list.has_updates { format!("$filter=lastUpdateTime%20ge%20{since}&") } else { String::new() };
        let (mut met, mut window) = (HashSet::new(), Window::of(list));
        // By the clock of the API.
        let (mut first_answer, mut newest) = (None, watermark.filter(|_| !is_whole).unwrap_or(since));
        loop {
            let as_of = list.is_of_now.then(|| round.instance.now());
            let Some((path, answer)) = self.page(round, list, &filter, &mut window)? else { break };
            first_answer = first_answer.or(answer.at);
            let page = Page::read(&answer.body);
            let failed =
                |reason: &str| PullError::Failed(format!("{}{path}: {reason}", self.api.api.as_str()));
            let page = page.map_err(|reason| failed(&reason))?;
            let rows = page.rows.0.as_slice();
            let known_before = met.len();
            met.extend(rows.iter().map(|row| row.id));
            newest = rows.iter().filter_map(|row| row.updated).fold(newest, Time::max);
            window.in_vain = if met.len() == known_before { window.in_vain + 1 } else { 0 };
            let is_last = rows.is_empty() || rows.len() < window.top.min(SHORT) && !page.is_followed();
            if !is_last && (window.in_vain > MOST_IN_VAIN || met.len() > MOST_LISTED) {
                return Err(failed("it gives the same again and again, or has no end"));
            }
            round.came.listed += rows.len() as u64;
            round.came.bytes += answer.body.len() as u64;
            (round.progress)(Progress { bytes: round.came.bytes, bytes_total: round.came.bytes });
            self.take(round, list, rows, as_of, is_live)?;
            if is_last {
                break;
            }
            window.skip += rows.len();
            window.top = (window.top * 2).min(window.most);
        }
        let reached = newest.min(first_answer.unwrap_or(begun));
        let taken = self.of(list);
        let is_changed = is_whole || taken.watermark != Some(reached);
        taken.watermark = Some(reached);
        if is_whole {
            taken.looked = Some(begun);
            taken.retain(|id| met.contains(&id));
        }
        self.keeping.is_changed |= is_changed;
        Ok(())
    }

    /// Asks for a page, for a smaller one where that is too much; gives what was asked for, and the answer.
    /// `None`: there is no such list.
    fn page(
        &mut self,
        round: &mut Round<'_>,
        list: &List,
        filter: &str,
        window: &mut Window,
    ) -> Result<Option<(String, Answer)>, PullError> {
        loop {
            let Window { skip, top, in_vain, .. } = *window;
            let path = format!("/api/{}?{filter}$top={top}&$skip={skip}{}", list.name, list.options);
            match round.runtime.block_on(self.asker.get(&path, round.stop)) {
                Ok(answer) => return Ok(Some((path, answer))),
                Err(Unanswered::TooLong | Unanswered::TooSlow(_)) if top > 1 => {
                    (window.top, window.most) = (top / 2, top / 2);
                }
                Err(Unanswered::TooLong) if in_vain < MOST_IN_VAIN => {
                    let reason = "it is longer than what is read";
                    tracing::warn!(pull = self.name, path, reason, "an element of a list is not taken");
                    round.came.failed(|| format!("{path}: {reason}"));
                    *window = Window { skip: skip + 1, in_vain: in_vain + 1, ..Window::of(list) };
                }
                Err(Unanswered::TooLong) => {
                    let url = self.api.api.as_str();
                    return Err(PullError::Failed(format!("{url}{path}: its answers are too long")));
                }
                // As Defender may say that there is none.
                Err(Unanswered::NotThere(_)) if skip == 0 && !list.has_updates => return Ok(None),
                Err(
                    Unanswered::Failed(reason) | Unanswered::TooSlow(reason) | Unanswered::NotThere(reason),
                ) => return Err(PullError::Failed(reason)),
                Err(Unanswered::Stopped) => return Err(PullError::Stopped),
            }
        }
    }

    /// Takes of a page what is new. It is durable when this is `Ok`.
    fn take(
        &mut self,
        round: &mut Round<'_>,
        list: &List,
        rows: &[Row<'_>],
        as_of: Option<Time>,
        is_live: bool,
    ) -> Result<(), PullError> {
        let taken = self.of(list);
        let is_new = |row: &&Row<'_>| !taken.is_known(row.id, row.digest);
        let new: Vec<&Row<'_>> = rows.iter().filter(is_new).collect();
        if new.is_empty() {
            return Ok(());
        }
        let records = self.read(round, list, envelope(&new, as_of), is_live)?;
        round.came.taken += new.len() as u64;
        round.came.records += records;
        round.instance.metrics.pulled_objects(&self.name, new.len() as u64);
        let taken = self.of(list);
        new.iter().for_each(|row| taken.note(row.id, row.digest));
        self.keeping.is_changed = true;
        if self.keeping.is_due(KEEPING) {
            self.keeping.keep(round.instance, &self.name, &self.kept);
        }
        Ok(())
    }

    /// Reads elements in an envelope; gives how many records it had.
    fn read(
        &self,
        round: &Round<'_>,
        list: &List,
        envelope: Vec<u8>,
        is_live: bool,
    ) -> Result<u64, PullError> {
        let failed = |reason: String| PullError::Failed(format!("{}: {reason}", list.name));
        let choice = intake::choice(&round.instance.decoders, Some(list.format));
        let choice = choice.map_err(|unknown| failed(unknown.to_string()))?;
        let name = format!("{}:{}", self.name, list.name);
        let input = Input {
            tenant: self.tenant,
            source: &self.name,
            name: &name,
            is_live,
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
}

/// Elements as the API lists them; with the time at which they say what they do, if they do not say it.
fn envelope(rows: &[&Row<'_>], as_of: Option<Time>) -> Vec<u8> {
    let as_of = as_of.map(|time| format!("{{\"@timestamp\":\"{time}\","));
    let mut text = String::from("{\"value\":[");
    for (place, row) in rows.iter().enumerate() {
        // So that what is wrong with one ends with its line.
        text.push_str(if place == 0 { "" } else { ",\n" });
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
