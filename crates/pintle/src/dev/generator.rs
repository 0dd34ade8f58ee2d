//! Telemetry of an invented company, by the law of published measurements: few files are on every
//! machine and most on one, few sightings are news and most repeat, people work in working hours.
//!
//! The law, with its sources in the field: operating system builds shared by Zipf, each with core
//! files on all its machines; application i on min(1, 8/i) of the machines; one new file a machine
//! and day that no other has (a developer's has 20); campaigns on k machines, P(k) ∝ k^-1.7;
//! within a machine the file of rank r is seen with p(r) ∝ (r+30)^-2.0. Ids and hashes depend on
//! the seed only, times also on when the telemetry ends.

mod campaign;
mod chance;
mod file;
mod machine;
mod rows;
mod words;

use std::collections::HashSet;

use pintle_model::{AlertId, Record, Sha1, Time};

use campaign::Hit;
use chance::Chance;
use machine::{Machine, News, Shelf};
use rows::Verb;

const SECOND: i64 = 10_000_000;
const DAY: i64 = 24 * 3600 * SECOND;

/// What is generated.
#[derive(Clone, Debug)]
pub struct Law {
    /// Everything follows from it.
    pub seed: u64,
    /// Machines.
    pub machines: usize,
    /// Days, the last of which ends at `end`.
    pub days: i64,
    /// Events: rows about files, processes, connections and logons. Daily reports, certificates
    /// and the 2 % of records that arrive twice come on top.
    pub events: usize,
    /// Alerts.
    pub alerts: usize,
    /// Applications that exist; a machine has about 52 of 2,000.
    pub applications: usize,
    /// When the telemetry ends.
    pub end: Time,
}

impl Law {
    /// What `pintle dev` shows: 25 machines, 30 days, 200,000 events, 12 alerts.
    pub fn demo(end: Time) -> Law {
        Law { seed: 1, machines: 25, days: 30, events: 200_000, alerts: 12, applications: 2_000, end }
    }

    /// How a machine's day compares with the 2,000 events for which the numbers of core and
    /// application files were published.
    fn scale(&self) -> f64 {
        let machine_days = (self.machines as f64 * self.days as f64).max(1.0);
        (self.events as f64 / machine_days / 2_000.0).min(1.0)
    }

    /// Core files of a build: 1,200 at full scale.
    fn core_files(&self) -> usize {
        (1_200.0 * self.scale()).max(40.0) as usize
    }

    /// Files of a middling application: 33 at full scale.
    fn application_files(&self) -> f64 {
        (33.0 * self.scale()).max(1.0)
    }

    fn day_start(&self, day: i64) -> i64 {
        self.end.ticks() - (self.days - day) * DAY
    }

    /// Whether most of a day of the window falls on a Saturday or Sunday.
    fn is_weekend(&self, day: i64) -> bool {
        // 1970-01-01 was a Thursday.
        let weekday = ((self.day_start(day) + DAY / 2).div_euclid(DAY) + 3).rem_euclid(7);
        weekday >= 5
    }
}

/// Ids for which the two questions have an answer.
#[derive(Clone, Debug)]
pub struct Example {
    /// An alert with a file.
    pub alert: AlertId,
    /// A file on several machines, and in that alert.
    pub file: Sha1,
}

/// The telemetry, a day after the other, in batches of at most [`Generator::BATCH`] records.
pub struct Generator {
    law: Law,
    machines: Vec<Machine>,
    hits: Vec<Hit>,
    chance: Chance,
    day: i64,
    /// Machine-days begun, and how many there are in all: events are dealt out evenly over them.
    dealt: u64,
    to_deal: u64,
    certified: HashSet<String>,
    late: Vec<Record>,
    ready: Vec<Record>,
}

impl Generator {
    /// The most records in a batch.
    pub const BATCH: usize = 20_000;

    /// Sets the company up.
    pub fn new(law: Law) -> Generator {
        let mut shelf = Shelf::default();
        let machines: Vec<Machine> =
            (0..law.machines).map(|number| Machine::new(&law, number, &mut shelf)).collect();
        let to_deal = (0..law.days)
            .map(|day| machines.iter().filter(|machine| machine.is_on(law.is_weekend(day))).count() as u64)
            .sum();
        let hits = campaign::draw(&law);
        let chance = Chance::of(law.seed, "delivery", 0);
        Generator {
            law,
            machines,
            hits,
            chance,
            to_deal,
            day: 0,
            dealt: 0,
            certified: HashSet::new(),
            late: Vec::new(),
            ready: Vec::new(),
        }
    }

    /// An alert and a file to ask for, if there is any alert.
    pub fn example(&self) -> Option<Example> {
        let (alert, file) = self.hits.iter().find_map(Hit::example)?;
        Some(Example { alert: alert.parse().ok()?, file: file.parse().ok()? })
    }

    /// How many days have been generated, of how many.
    pub fn progress(&self) -> (i64, i64) {
        (self.day, self.law.days)
    }

    /// How many events the next machine that is on may have today.
    fn deal(&mut self) -> usize {
        let campaigns: usize = self.hits.iter().map(Hit::event_count).sum();
        let events = self.law.events.saturating_sub(campaigns) as u64;
        let upto =
            |dealt: u64| (u128::from(events) * u128::from(dealt) / u128::from(self.to_deal.max(1))) as usize;
        let before = upto(self.dealt);
        self.dealt += 1;
        upto(self.dealt) - before
    }

    fn generate_day(&mut self) {
        let day = self.day;
        self.day += 1;
        let weekend = self.law.is_weekend(day);
        let mut today = Vec::new();
        for place in 0..self.machines.len() {
            let on = self.machines.get(place).is_some_and(|machine| machine.is_on(weekend));
            let events = if on { self.deal() } else { 0 };
            let Some(machine) = self.machines.get_mut(place) else {
                continue;
            };
            machine.begin(&self.law, day);
            strike(&self.law, day, machine, &self.hits, &mut today);
            if on {
                live(&self.law, day, events, machine, &mut self.certified, &mut today);
            }
        }
        today.sort_by_key(|(at, _)| *at);
        self.deliver(today.into_iter().map(|(_, record)| record));
    }

    /// 5 % of what is sent arrives a day or more late, 2 % twice. Alerts come once and at once.
    fn deliver(&mut self, today: impl Iterator<Item = Record>) {
        let waiting = std::mem::take(&mut self.late);
        for record in waiting {
            if self.day < self.law.days && self.chance.happens(0.3) {
                self.late.push(record);
            } else {
                self.ready.push(record);
            }
        }
        for record in today {
            let is_row = matches!(record, Record::Row(_));
            if is_row && self.chance.happens(0.02) {
                self.ready.push(record.clone());
            }
            if is_row && self.day < self.law.days && self.chance.happens(0.05) {
                self.late.push(record);
            } else {
                self.ready.push(record);
            }
        }
    }
}

impl Iterator for Generator {
    type Item = Vec<Record>;

    fn next(&mut self) -> Option<Vec<Record>> {
        while self.ready.len() < Generator::BATCH && self.day < self.law.days {
            self.generate_day();
        }
        let rest = self.ready.split_off(self.ready.len().min(Generator::BATCH));
        let batch = std::mem::replace(&mut self.ready, rest);
        (!batch.is_empty()).then_some(batch)
    }
}

/// An ordinary day of a machine that is on.
fn live(
    law: &Law,
    day: i64,
    events: usize,
    machine: &mut Machine,
    certified: &mut HashSet<String>,
    out: &mut Vec<(Time, Record)>,
) {
    let at = moment(law, day, &mut machine.chance);
    out.extend(rows::report_rows(machine, at).map(|record| (at, record)));
    for _ in 0..events {
        let at = moment(law, day, &mut machine.chance);
        let Some(by) = machine.next_program() else {
            return;
        };
        let kind = machine.chance.unit();
        let record = if kind < 0.06 {
            rows::network_row(machine, at, &by)
        } else if kind < 0.08 {
            rows::logon_row(machine, at, &by)
        } else {
            let Some((file, news)) = machine.next_file() else {
                return;
            };
            if let Some(signer) =
                file.signer.filter(|_| news != News::Repeat && certified.insert(file.sha1.clone()))
            {
                out.push((at, rows::certificate_row(machine, at, &file, signer)));
            }
            let verb = if news == News::Arrival { Verb::Created } else { Verb::of(file.kind, machine) };
            rows::file_row(machine, at, verb, &file, &by)
        };
        out.push((at, record));
    }
}

/// What campaigns do to a machine today.
fn strike(law: &Law, day: i64, machine: &mut Machine, hits: &[Hit], out: &mut Vec<(Time, Record)>) {
    let today = law.day_start(day)..law.day_start(day + 1);
    for hit in hits {
        if hit.machine != machine.number || !today.contains(&(law.end - hit.before_end).ticks()) {
            continue;
        }
        let Some(by) = machine.next_program() else {
            continue;
        };
        out.extend(hit.events(machine, law.end, &by));
        out.extend(hit.alert(machine, law.end, &by));
    }
}

/// A moment of a day: 80 % of all is done between eight and six.
fn moment(law: &Law, day: i64, chance: &mut Chance) -> Time {
    let hour = if chance.happens(0.8) { chance.between(8, 18) } else { (18 + chance.between(0, 14)) % 24 };
    let clock = hour * 3600 * SECOND + chance.between(0, 3600 * SECOND);
    // The days of the window begin at any hour, so the clock is laid over the window.
    let start = law.day_start(day);
    Time::from_ticks(start + (clock - start).rem_euclid(DAY))
}

#[cfg(test)]
mod tests;
