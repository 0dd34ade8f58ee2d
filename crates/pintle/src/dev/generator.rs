//! Telemetry of an invented company, by the law of published measurements: few files are on every
//! machine and most on one, few sightings are news and most repeat, people work in working hours.
//!
//! The law, with its sources in the field: operating system builds shared by Zipf, each with core
//! files on all its machines; application i on min(1, 8/i) of the machines; one new file a machine
//! and day that no other has (a developer's has 20); campaigns on k machines, P(k) ∝ k^-1.7;
//! within a machine the file of rank r is seen with p(r) ∝ (r+30)^-2.0. Ids and hashes depend on
//! the seed only, times also on when the telemetry ends.
//!
//! It streams: a day is made in parts of some ten thousand records, each in order of time, and of
//! a machine only what it has installed is kept, not its files.

mod campaign;
mod chance;
mod file;
mod law;
mod machine;
mod rows;
mod words;

use std::collections::{HashSet, VecDeque};

use pintle_model::{AlertId, Record, Sha1, Time};

use campaign::Hit;
pub(super) use chance::Chance;
use law::REPEATED;
pub use law::{Inventory, Law};
use machine::{Machine, News, Shelf, Today};
use rows::Verb;

/// Ids for which the two questions have an answer.
#[derive(Clone, Debug)]
pub struct Example {
    /// An alert with a file.
    pub alert: AlertId,
    /// A file on several machines, and in that alert.
    pub file: Sha1,
}

/// What has been generated so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generated {
    /// Records, those that arrive twice counted twice.
    pub records: u64,
    /// Different files.
    pub files: u64,
    /// Pairs of a file and a machine that it was announced on. Under [`Inventory::Whole`] these
    /// are all pairs there are, but for programs that changed while their machine was off.
    pub pairs: u64,
    /// Alerts.
    pub alerts: u64,
}

/// The telemetry, a day after the other, in batches of at most [`Generator::BATCH`] records.
pub struct Generator {
    law: Law,
    machines: Vec<Machine>,
    example: Option<Example>,
    /// What campaigns will do, by day and machine.
    hits: VecDeque<(i64, Hit)>,
    chance: Chance,
    day: i64,
    /// The parts of the current day, and how many of them are done.
    parts: usize,
    part: usize,
    /// Events that are dealt out evenly over the days of machines that are on.
    to_deal: usize,
    dealt: u64,
    machine_days: u64,
    /// What campaigns do today, in the order of time.
    strikes: VecDeque<(Time, Record)>,
    campaign_files: HashSet<String>,
    /// What will arrive a second time.
    again: Vec<Record>,
    ready: Vec<Record>,
    generated: Generated,
}

/// About how many events a part of a day has.
const PART: usize = 16_000;

impl Generator {
    /// The most records in a batch.
    pub const BATCH: usize = 20_000;

    /// Sets the company up.
    pub fn new(law: Law) -> Generator {
        let mut shelf = Shelf::default();
        let machines: Vec<Machine> =
            (0..law.machines).map(|number| Machine::new(&law, number, &mut shelf)).collect();
        let hits = campaign::draw(&law);
        let example = hits.iter().find_map(Hit::example);
        let example = example
            .and_then(|(alert, file)| Some(Example { alert: alert.parse().ok()?, file: file.parse().ok()? }));
        let news = match law.inventory {
            Inventory::Fitted => 0,
            Inventory::Whole => {
                machines.iter().map(|machine| machine.files_in(law.days)).sum::<u64>() as usize
            }
        };
        let struck: usize = hits.iter().map(Hit::event_count).sum();
        let mut hits: Vec<(i64, Hit)> =
            hits.into_iter().map(|hit| (law.day_of(law.end - hit.before_end), hit)).collect();
        hits.sort_by_key(|(day, hit)| (*day, hit.machine));
        Generator {
            machines,
            example,
            hits: hits.into(),
            chance: Chance::of(law.seed, "delivery", 0),
            day: -1,
            parts: 0,
            part: 0,
            to_deal: law.events.saturating_sub(struck + news),
            dealt: 0,
            machine_days: law.machine_days() as u64,
            strikes: VecDeque::new(),
            campaign_files: HashSet::new(),
            again: Vec::new(),
            ready: Vec::new(),
            generated: Generated::default(),
            law,
        }
    }

    /// An alert and a file to ask for, if there is any alert.
    pub fn example(&self) -> Option<Example> {
        self.example.clone()
    }

    /// How many days have been generated, of how many.
    pub fn progress(&self) -> (i64, i64) {
        let done = if self.part < self.parts { self.day } else { self.day + 1 };
        (done.min(self.law.days), self.law.days)
    }

    /// What has been generated so far.
    pub fn generated(&self) -> Generated {
        self.generated
    }

    /// How many events the next machine that is on may have today, beside those that must be.
    fn deal(&mut self) -> usize {
        let all = self.to_deal as u128;
        let upto = |dealt: u64| (all * u128::from(dealt) / u128::from(self.machine_days.max(1))) as usize;
        let before = upto(self.dealt);
        self.dealt += 1;
        upto(self.dealt) - before
    }

    /// Plans the next day; `false` when there is none.
    fn begin_day(&mut self) -> bool {
        if self.day + 1 >= self.law.days {
            return false;
        }
        self.day += 1;
        let weekend = self.law.is_weekend(self.day);
        let mut events = 0;
        let mut strikes = Vec::new();
        for place in 0..self.machines.len() {
            let on = self.machines.get(place).is_some_and(|machine| machine.is_on(weekend));
            let dealt = if on { self.deal() } else { 0 };
            let Some(machine) = self.machines.get_mut(place) else {
                continue;
            };
            machine.begin(self.day);
            while let Some((_, hit)) =
                self.hits.pop_front_if(|(day, hit)| (*day, hit.machine) <= (self.day, machine.number))
            {
                strike(&self.law, machine, &hit, &mut self.campaign_files, &mut self.generated, &mut strikes);
            }
            machine.today = match (on, self.law.inventory) {
                (false, _) => Today::default(),
                (true, Inventory::Fitted) => Today::of(dealt, 0, machine),
                (true, Inventory::Whole) => Today::of(dealt, machine.unseen(), machine),
            };
            events += machine.today.events;
        }
        strikes.sort_by_key(|(at, _)| *at);
        self.strikes = strikes.into();
        (self.part, self.parts) = (0, events.div_ceil(PART).max(1));
        true
    }

    /// Makes the next part of the day.
    fn generate_part(&mut self) {
        let share = |part: usize| part as f64 / self.parts as f64;
        let (from, to) = (share(self.part), share(self.part + 1));
        self.part += 1;
        let mut made = Vec::with_capacity(PART + PART / 4);
        for machine in &mut self.machines {
            let mut living =
                Living { law: &self.law, day: self.day, machine, generated: &mut self.generated };
            living.part(from, to, &mut made);
        }
        let end = self.law.moment(self.day, to);
        let last = self.part == self.parts;
        while let Some(struck) = self.strikes.pop_front_if(|(at, _)| last || *at < end) {
            made.push(struck);
        }
        made.sort_by_key(|(at, _)| *at);
        self.deliver(made);
    }

    /// 2 % of what is sent arrives again some time later. Alerts come once.
    fn deliver(&mut self, made: Vec<(Time, Record)>) {
        let ready = self.ready.len();
        self.ready.append(&mut self.again);
        for (_, record) in made {
            if matches!(record, Record::Row(_)) && self.chance.happens(REPEATED) {
                self.again.push(record.clone());
            }
            self.ready.push(record);
        }
        if self.part == self.parts && self.day + 1 == self.law.days {
            self.ready.append(&mut self.again);
        }
        self.generated.records += (self.ready.len() - ready) as u64;
    }
}

impl Iterator for Generator {
    type Item = Vec<Record>;

    fn next(&mut self) -> Option<Vec<Record>> {
        while self.ready.len() < Generator::BATCH && (self.part < self.parts || self.begin_day()) {
            self.generate_part();
        }
        let rest = self.ready.split_off(self.ready.len().min(Generator::BATCH));
        let batch = std::mem::replace(&mut self.ready, rest);
        (!batch.is_empty()).then_some(batch)
    }
}

impl Today {
    /// The day of a machine that is on.
    fn of(dealt: usize, news: usize, machine: &mut Machine) -> Today {
        let (phase, report) = (machine.chance.unit(), Some(machine.chance.unit()));
        Today { events: dealt + news, done: 0, news, phase, report }
    }

    /// How many events have happened by a share of the day.
    fn by(&self, share: f64) -> usize {
        ((self.events as f64).mul_add(share, self.phase) as usize).min(self.events)
    }
}

/// An ordinary day of a machine.
struct Living<'a> {
    law: &'a Law,
    day: i64,
    machine: &'a mut Machine,
    generated: &'a mut Generated,
}

impl Living<'_> {
    /// What happens between two shares of the day.
    fn part(&mut self, from: f64, to: f64, out: &mut Vec<(Time, Record)>) {
        if let Some(report) = self.machine.today.report.take_if(|report| *report < to) {
            let at = self.law.moment(self.day, report);
            out.extend(rows::report_rows(self.machine, at).map(|record| (at, record)));
        }
        let today = self.machine.today;
        let upto = if to >= 1.0 { today.events } else { today.by(to) };
        for _ in today.done..upto {
            let sent = self.law.moment(self.day, from + (to - from) * self.machine.chance.unit());
            let at = self.law.lateness(sent, self.machine.server, &mut self.machine.chance);
            if !self.event(at, sent, out) {
                return;
            }
            self.machine.today.done += 1;
        }
    }

    /// One event, and when it is sent; `false` from a machine without files.
    fn event(&mut self, at: Time, sent: Time, out: &mut Vec<(Time, Record)>) -> bool {
        let Some(by) = self.machine.next_program() else {
            return false;
        };
        let news = if self.is_about_news() { self.machine.next_unseen(self.law.seed) } else { None };
        let record = match news {
            Some((file, news)) => {
                self.generated.pairs += 1;
                if file.is_news() {
                    self.generated.files += 1;
                    if let Some(signer) = file.signer {
                        out.push((sent, rows::certificate_row(self.machine, at, &file, signer)));
                    }
                }
                let verb =
                    if news == News::Arrival { Verb::Created } else { Verb::of(file.kind, self.machine) };
                rows::file_row(self.machine, at, verb, &file, &by)
            }
            None => {
                let kind = self.machine.chance.unit();
                if kind < 0.06 {
                    rows::network_row(self.machine, at, &by)
                } else if kind < 0.08 {
                    rows::logon_row(self.machine, at, &by)
                } else {
                    let Some(file) = self.machine.next_seen(self.law.seed, self.day) else {
                        return false;
                    };
                    let verb = Verb::of(file.kind, self.machine);
                    rows::file_row(self.machine, at, verb, &file, &by)
                }
            }
        };
        out.push((sent, record));
        true
    }

    /// Whether the next event is about a file that has not been seen yet.
    fn is_about_news(&mut self) -> bool {
        match self.law.inventory {
            Inventory::Fitted => self.machine.chance.happens(0.5),
            // Whatever is unseen comes today, anywhere among the events.
            Inventory::Whole => {
                let Today { events, done, news, .. } = self.machine.today;
                let is_news = self.machine.chance.below(events - done) < news;
                self.machine.today.news -= usize::from(is_news);
                is_news
            }
        }
    }
}

/// What a campaign does to a machine.
fn strike(
    law: &Law,
    machine: &mut Machine,
    hit: &Hit,
    known: &mut HashSet<String>,
    generated: &mut Generated,
    out: &mut Vec<(Time, Record)>,
) {
    let Some(by) = machine.next_program() else {
        return;
    };
    generated.pairs += hit.files().len() as u64;
    generated.files += hit.files().iter().filter(|file| known.insert(file.sha1.clone())).count() as u64;
    out.extend(hit.events(machine, law.end, &by));
    if let Some(alert) = hit.alert(machine, law.end, &by) {
        generated.alerts += 1;
        out.push(alert);
    }
}

#[cfg(test)]
mod tests;
