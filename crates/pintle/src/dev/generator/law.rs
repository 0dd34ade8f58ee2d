//! How much is generated, and when it happens.

use pintle_model::Time;

use super::chance::Chance;

pub(super) const SECOND: i64 = 10_000_000;
pub(super) const DAY: i64 = 24 * 3600 * SECOND;

/// The share of what is sent that is sent twice.
pub(super) const REPEATED: f64 = 0.02;

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
    /// What is installed, and how soon it is seen.
    pub inventory: Inventory,
    /// When the telemetry ends.
    pub end: Time,
}

/// How many files builds and applications have, and when a file that is new on a machine is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inventory {
    /// Few enough that the events can show them: at most every second event is about a new file.
    /// A campaign raises alerts on at most three of its machines.
    Fitted,
    /// As many as were published: 1,200 a build, 33 an application. Every new file is seen on the
    /// first day on which its machine is on, however few events there are; the other events are
    /// repeats. A campaign raises an alert on every machine.
    Whole,
}

impl Law {
    /// What `pintle dev` shows: 25 machines, 30 days, 200,000 events, 12 alerts.
    pub fn demo(end: Time) -> Law {
        Law {
            seed: 1,
            machines: 25,
            days: 30,
            events: 200_000,
            alerts: 12,
            applications: 2_000,
            inventory: Inventory::Fitted,
            end,
        }
    }

    /// A whole fleet with so many sightings a day on each machine that is on, and 0.02 alerts a
    /// machine and day.
    pub fn fleet(machines: usize, days: i64, sightings: usize, end: Time) -> Law {
        let law = Law { machines, days, inventory: Inventory::Whole, ..Law::demo(end) };
        Law {
            events: sightings.saturating_mul(law.machine_days()),
            alerts: (0.02 * machines as f64 * days as f64).ceil() as usize,
            ..law
        }
    }

    /// The same with repeats thinned, so that there are about so many records in all. What is seen
    /// for the first time stays, even if that alone is more.
    pub fn thinned(self, records: usize) -> Law {
        let reports = 2 * self.machine_days();
        let events = (records as f64 / (1.0 + REPEATED)) as usize;
        Law { events: events.saturating_sub(reports).min(self.events), ..self }
    }

    /// Days of machines that are on.
    pub fn machine_days(&self) -> usize {
        let weekend = (0..self.days).filter(|day| self.is_weekend(*day)).count();
        let all = usize::try_from(self.days).unwrap_or_default();
        (all - weekend) * self.machines + weekend * (0..self.machines).filter(|n| is_server(*n)).count()
    }

    /// How a machine's day compares with the 2,000 events for which the numbers of core and
    /// application files were published.
    fn scale(&self) -> f64 {
        let machine_days = (self.machines as f64 * self.days as f64).max(1.0);
        match self.inventory {
            Inventory::Fitted => (self.events as f64 / machine_days / 2_000.0).min(1.0),
            Inventory::Whole => 1.0,
        }
    }

    /// Core files of a build: 1,200 at full scale.
    pub(super) fn core_files(&self) -> usize {
        (1_200.0 * self.scale()).max(40.0) as usize
    }

    /// The median of an application's files, and how far the logarithm spreads around it. At full
    /// scale the mean is 33.
    pub(super) fn application_files(&self) -> (f64, f64) {
        let spread: f64 = 0.6;
        match self.inventory {
            Inventory::Fitted => ((33.0 * self.scale()).max(1.0), spread),
            Inventory::Whole => (33.0 / (spread * spread / 2.0).exp(), spread),
        }
    }

    /// On how many of a campaign's machines alerts are raised at most.
    pub(super) fn alerts_a_campaign(&self) -> usize {
        match self.inventory {
            Inventory::Fitted => 3,
            Inventory::Whole => usize::MAX,
        }
    }

    pub(super) fn day_start(&self, day: i64) -> i64 {
        self.end.ticks() - (self.days - day) * DAY
    }

    /// The day of the window on which something happens so long before its end.
    pub(super) fn day_of(&self, at: Time) -> i64 {
        (at.ticks() - self.day_start(0)).div_euclid(DAY)
    }

    /// Whether most of a day of the window falls on a Saturday or Sunday.
    pub(super) fn is_weekend(&self, day: i64) -> bool {
        // 1970-01-01 was a Thursday.
        let weekday = ((self.day_start(day) + DAY / 2).div_euclid(DAY) + 3).rem_euclid(7);
        weekday >= 5
    }

    /// The moment of a day by which a share of all that happens that day has happened.
    pub(super) fn moment(&self, day: i64, share: f64) -> Time {
        let start = self.day_start(day);
        // The days of the window begin at any hour, so the clock is laid over the window.
        let opens = start.rem_euclid(DAY) as f64 / DAY as f64;
        let share = share_by(opens) + share.clamp(0.0, 1.0);
        let clock = if share < 1.0 { clock_by(share) } else { 1.0 + clock_by(share - 1.0) };
        let since = ((clock - opens) * DAY as f64) as i64;
        Time::from_ticks(start + since.clamp(0, DAY - 1))
    }

    /// When a record of `at` happened that arrives late: 5 % do, by up to 48 hours.
    pub(super) fn lateness(&self, at: Time, server: bool, chance: &mut Chance) -> Time {
        if !chance.happens(0.05) {
            return at;
        }
        let earlier = Time::from_ticks(at.ticks() - chance.between(0, 2 * DAY));
        let day = self.day_of(earlier);
        // A machine that was off had nothing to tell.
        let was_on = day >= 0 && (server || !self.is_weekend(day));
        if was_on { earlier } else { at }
    }
}

/// Every fifth machine is a server: on at weekends too.
pub(super) fn is_server(number: usize) -> bool {
    number.is_multiple_of(5)
}

/// Working hours, as shares of the day, and the share of all that is done in them.
const OPENING: f64 = 8.0 / 24.0;
const CLOSING: f64 = 18.0 / 24.0;
const WORK: f64 = 0.8;
/// What is done in the hours before the opening.
const EARLY: f64 = (1.0 - WORK) * OPENING / (1.0 - (CLOSING - OPENING));

/// The share of a day's events that have happened by an hour of the clock, both in 0..1.
fn share_by(clock: f64) -> f64 {
    if clock < OPENING {
        EARLY * clock / OPENING
    } else if clock < CLOSING {
        EARLY + WORK * (clock - OPENING) / (CLOSING - OPENING)
    } else {
        EARLY + WORK + (1.0 - EARLY - WORK) * (clock - CLOSING) / (1.0 - CLOSING)
    }
}

/// The inverse of [`share_by`].
fn clock_by(share: f64) -> f64 {
    if share < EARLY {
        OPENING * share / EARLY
    } else if share < EARLY + WORK {
        OPENING + (CLOSING - OPENING) * (share - EARLY) / WORK
    } else {
        CLOSING + (1.0 - CLOSING) * (share - EARLY - WORK) / (1.0 - EARLY - WORK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_hours_are_each_others_inverse() {
        for step in 0..1_000 {
            let clock = f64::from(step) / 1_000.0;
            assert!((clock_by(share_by(clock)) - clock).abs() < 1e-9, "{clock}");
        }
        assert!((share_by(CLOSING) - share_by(OPENING) - 0.8).abs() < 1e-9);
    }

    #[test]
    fn the_moments_of_a_day_follow_each_other_within_it() {
        let law = Law::demo(Time::parse("2026-01-15T13:31:00Z").unwrap());
        let mut last = law.day_start(3);
        for step in 0..=100 {
            let at = law.moment(3, f64::from(step) / 100.0).ticks();
            assert!(at >= last && at < law.day_start(4), "{step}");
            last = at;
        }
    }

    #[test]
    fn thinning_leaves_about_so_many_records_and_never_adds_any() {
        let law = Law::fleet(100, 14, 600, Time::parse("2026-01-15T13:31:00Z").unwrap());
        assert_eq!(law.events, 600 * law.machine_days());
        assert_eq!(law.clone().thinned(usize::MAX).events, law.events);
        assert!(law.clone().thinned(500_000).events < 500_000);
    }
}
