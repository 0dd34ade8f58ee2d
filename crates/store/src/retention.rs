//! What is forgotten by age: from when on it is still answered for, and the clock by which it goes.
//!
//! Answers hide what has expired at once ([`crate::read`]); a job takes it out of the base once a
//! day, and drops what the archive's caps say. A clock that is wrong must not forget everything, so
//! the job stops when the clock has jumped.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::PoisonError;
use std::time::Duration;

use pintle_model::Time;
use serde::{Deserialize, Serialize};

use crate::base::{Stays, machines_there};
use crate::entity::Entity;
use crate::pair::Pair;
use crate::store::{Store, hold};
use crate::{Error, Retention, Span, Totals};

/// The oldest times that count, of one tenant at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cutoffs {
    alerts: Option<Time>,
    machines: Option<Time>,
    sightings: Option<Time>,
}

impl Cutoffs {
    pub(crate) fn at(now: Time, retention: Retention) -> Cutoffs {
        let before = |window: Option<Duration>| window.map(|window| now - window);
        Cutoffs {
            alerts: before(retention.alerts),
            machines: before(retention.machines),
            sightings: before(retention.sightings),
        }
    }

    /// Whether anything can have expired.
    pub(crate) fn is_any(&self) -> bool {
        self.alerts.is_some() || self.machines.is_some() || self.sightings.is_some()
    }

    /// An alert counts by its last update; one without, by its newest event; one without any, always.
    pub(crate) fn keeps_alert(&self, alert: &Entity) -> bool {
        self.alerts.is_none() || self.keeps_updated(alert.last_update())
    }

    /// The same by the time that an alert shows of its last update.
    pub(crate) fn keeps_updated(&self, updated: Option<Time>) -> bool {
        self.alerts.is_none_or(|oldest| updated.is_none_or(|updated| updated >= oldest))
    }

    /// A machine counts by its newest event; one without, always.
    pub(crate) fn keeps_machine(&self, machine: &Entity) -> bool {
        self.machines.is_none_or(|oldest| machine.span.is_none_or(|span| span.last >= oldest))
    }

    /// Whether no sighting expires.
    pub(crate) fn keeps_all_pairs(&self) -> bool {
        self.sightings.is_none()
    }

    /// A file on a machine counts by the newest event there; without one, always.
    pub(crate) fn keeps_pair(&self, pair: &Pair) -> bool {
        self.keeps_span(pair.any_role)
    }

    /// The same of anything that is seen on a machine.
    pub(crate) fn keeps_span(&self, seen: Option<Span>) -> bool {
        self.sightings.is_none_or(|oldest| seen.is_none_or(|span| span.last >= oldest))
    }

    /// Since when sightings count; `None`: since ever.
    pub(crate) fn sightings(&self) -> Option<Time> {
        self.sightings
    }
}

/// What left the base because it had expired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expired {
    /// Alerts.
    pub alerts: u64,
    /// Machines. The sightings on them went too.
    pub machines: u64,
    /// Pairs of a file, a domain, an IP address or a user and a machine.
    pub sightings: u64,
    /// Files of which no sighting is left.
    pub files: u64,
}

impl Expired {
    /// Counts it out of what a tenant holds.
    pub(crate) fn take_from(&self, totals: &mut Totals) {
        totals.alerts = totals.alerts.saturating_sub(self.alerts);
        totals.machines = totals.machines.saturating_sub(self.machines);
        totals.files = totals.files.saturating_sub(self.files);
    }
}

impl AddAssign for Expired {
    fn add_assign(&mut self, other: Expired) {
        let Expired { alerts, machines, sightings, files } = other;
        self.alerts += alerts;
        self.machines += machines;
        self.sightings += sightings;
        self.files += files;
    }
}

impl Store {
    /// Takes what has expired out of the base, and drops what the archive's caps say. Answers hide it
    /// already, but for sightings on machines that have expired before these, which are counted until then.
    /// It makes all runs of the base one, so it is for once a day; nobody is held up meanwhile.
    pub fn expire(&self) -> Result<Expired, Error> {
        let _one_at_a_time = hold(&self.maintenance);
        self.fold_now()?;
        let (known, now) = (self.known(), self.now());
        let mut stays = BTreeMap::new();
        for tenant in known.base.tenants() {
            let cutoffs = Cutoffs::at(now, self.retention(tenant));
            if cutoffs.is_any() {
                let directory = known.directories.of(tenant);
                let mut directory = directory.write().unwrap_or_else(PoisonError::into_inner);
                let old = |ordinal: &u32| {
                    directory.get(*ordinal).is_some_and(|machine| !cutoffs.keeps_machine(machine.entity()))
                };
                let old: Vec<u32> = directory.ordinals().filter(old).collect();
                old.into_iter().for_each(|ordinal| directory.forget(ordinal));
                stays.insert(tenant, Stays { cutoffs, machines: machines_there(&directory) });
            }
        }
        let mut expired = Expired::default();
        if !stays.is_empty() {
            for (tenant, of_tenant) in known.base.expire(&stays)? {
                expired += of_tenant;
                if of_tenant.alerts > 0 {
                    known.alert_indexes.forget(tenant);
                }
            }
        }
        self.drop_archived()?;
        Ok(expired)
    }
}

/// How far the clock may be from where it should be.
const MOST: Duration = Duration::from_secs(24 * 3600);
/// How long a clock that jumped must go steadily before it is believed.
const BELIEVED_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Watches the clock by which things are forgotten.
///
/// It is compared with one that only goes forward, and at a start with where it stood last. A server
/// that was off for longer than a day cannot be told from a clock that jumped, so that counts as a
/// jump too: nothing is forgotten for a day then, in which somebody can see the warning.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClockWatch {
    last: Option<Reading>,
    /// How the jump was, and when by the steady clock it was noticed.
    jumped: Option<(Jump, Duration)>,
}

#[derive(Clone, Copy, Debug)]
struct Reading {
    clock: Time,
    /// None for one from before this process.
    steady: Option<Duration>,
}

/// A clock that is not where it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jump {
    /// Where it should have been.
    pub expected: Time,
    /// Where it was.
    pub found: Time,
}

impl ClockWatch {
    /// Goes on from where the clock stood when this was last asked, in another process.
    pub fn from_last(clock: Option<Time>) -> ClockWatch {
        ClockWatch { last: clock.map(|clock| Reading { clock, steady: None }), jumped: None }
    }

    /// Notes where both clocks stand. Returns the jump for which nothing should be forgotten, if any.
    pub fn look(&mut self, clock: Time, steady: Duration) -> Option<Jump> {
        if let Some(last) = self.last {
            let gone = last.steady.map_or(Duration::ZERO, |before| steady.saturating_sub(before));
            let expected = last.clock + gone;
            let off = expected.ticks().abs_diff(clock.ticks());
            if u128::from(off) * 100 > MOST.as_nanos() {
                self.jumped = Some((Jump { expected, found: clock }, steady));
            }
        }
        self.last = Some(Reading { clock, steady: Some(steady) });
        if self.jumped.is_some_and(|(_, at)| steady.saturating_sub(at) >= BELIEVED_AFTER) {
            self.jumped = None;
        }
        self.jumped.map(|(jump, _)| jump)
    }

    /// Believes the clock as it stands: somebody has looked at it.
    pub fn believe(&mut self) {
        self.jumped = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(hours: i64) -> Time {
        Time::from_unix_seconds(1_700_000_000 + hours * 3600)
    }

    #[test]
    fn a_clock_that_goes_as_it_should_is_believed() {
        let mut watch = ClockWatch::default();
        assert_eq!(watch.look(at(0), HOUR * 5), None);
        assert_eq!(watch.look(at(1), HOUR * 6), None);
        // Suspended, or not asked for a week: both clocks went.
        assert_eq!(watch.look(at(170), HOUR * 175), None);
        // Set right by less than a day.
        assert_eq!(watch.look(at(148), HOUR * 176), None);
    }

    #[test]
    fn one_that_jumped_is_believed_after_a_day_or_when_somebody_says_so() {
        for (jumped_to, back) in [(at(26 + 24), false), (at(-24), false), (at(500_000), true)] {
            let mut watch = ClockWatch::default();
            watch.look(at(0), HOUR);
            let jump = Some(Jump { expected: at(1), found: jumped_to });
            assert_eq!(watch.look(jumped_to, HOUR * 2), jump);
            let later = |hours: u64| jumped_to + HOUR * u32::try_from(hours).unwrap();
            assert_eq!(watch.look(later(23), HOUR * 25), jump);
            if back {
                // It was set right again, which is a jump too.
                assert!(watch.look(at(24), HOUR * 25).is_some());
                watch.believe();
                assert_eq!(watch.look(at(25), HOUR * 26), None);
            } else {
                assert_eq!(watch.look(later(24), HOUR * 26), None);
            }
        }
    }

    #[test]
    fn a_start_goes_on_from_where_the_clock_stood() {
        let looked = |last: Option<Time>, now| ClockWatch::from_last(last).look(now, HOUR);
        assert_eq!(looked(None, at(0)), None);
        assert_eq!(looked(Some(at(0)), at(23)), None);
        assert_eq!(looked(Some(at(0)), at(25)), Some(Jump { expected: at(0), found: at(25) }));
        assert_eq!(looked(Some(at(0)), at(-25)), Some(Jump { expected: at(0), found: at(-25) }));
    }
}
