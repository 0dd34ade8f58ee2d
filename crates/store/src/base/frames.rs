//! Where in the archive the events of an hour are: what finds an event by its time without reading all
//! of it. Only events that have a number by which they can be named (`ReportId`) count.

use std::collections::BTreeSet;

use pintle_model::{TenantId, Time};

use super::key::{self, Table};
use super::value::{decode, encode};
use super::view::View;
use crate::Error;
use crate::archive::Position;
use crate::observe::Observed;

/// A batch whose events lie in more hours than this is noted once, with its first and its last event.
const MAX_HOURS: usize = 64;
/// Stands for the hour of such a batch.
const WIDE: i64 = i64::MAX;

/// Where a batch is, and one hour of its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HourOfFrame {
    hour: i64,
    at: Position,
    /// The first and the last event.
    span: (Time, Time),
}

/// The hour in which a time lies.
pub(crate) fn hour(time: Time) -> i64 {
    time.unix_seconds().div_euclid(3600)
}

/// What is noted of a batch.
pub(crate) fn of(observed: &Observed, at: Position) -> Vec<HourOfFrame> {
    let hours = &observed.named_hours;
    let hour_starts = |hour: i64| Time::from_unix_seconds(hour.saturating_mul(3600));
    let (Some(first), Some(last)) = (hours.first(), hours.last()) else { return Vec::new() };
    if hours.len() > MAX_HOURS {
        return vec![HourOfFrame { hour: WIDE, at, span: (hour_starts(*first), hour_starts(last + 1)) }];
    }
    let span = |hour: i64| (hour_starts(hour), hour_starts(hour + 1));
    hours.iter().map(|hour| HourOfFrame { hour: *hour, at, span: span(*hour) }).collect()
}

impl HourOfFrame {
    /// As a run has it.
    pub(crate) fn entry(&self, of: TenantId) -> Result<super::Entry, Error> {
        let mut key = prefix(of, self.hour);
        key.extend_from_slice(&self.at.segment.to_be_bytes());
        key.extend_from_slice(&self.at.offset.to_be_bytes());
        Ok((key, encode(&self.span)?))
    }

    pub(crate) fn read(key: &[u8], value: &[u8]) -> Option<Result<HourOfFrame, Error>> {
        let (_, _, rest) = key::split(key)?;
        let (hour, rest) = rest.split_first_chunk()?;
        let (segment, offset) = rest.split_first_chunk()?;
        let at = Position {
            segment: u32::from_be_bytes(*segment),
            offset: u64::from_be_bytes(offset.try_into().ok()?),
        };
        let hour = i64::from_be_bytes(*hour) ^ i64::MIN;
        Some(decode(value).map(|span| HourOfFrame { hour, at, span }))
    }
}

fn prefix(of: TenantId, hour: i64) -> Vec<u8> {
    // Hours before 1970 sort first.
    key::of(of, Table::Frames, &(hour ^ i64::MIN).to_be_bytes())
}

/// The batches that may hold an event of this moment, the newest first.
pub(crate) fn holding(view: &View, of: TenantId, moment: Time) -> Result<Vec<Position>, Error> {
    let mut found = BTreeSet::new();
    for hour in [hour(moment), WIDE] {
        let prefix = prefix(of, hour);
        for run in &view.runs {
            let mut cursor = run.from(&prefix, Some(&view.cache))?;
            while cursor.is_at_entry() && cursor.key().starts_with(&prefix) {
                if let Some(frame) = HourOfFrame::read(cursor.key(), cursor.value()) {
                    let HourOfFrame { at, span: (first, last), .. } = frame?;
                    if (first..=last).contains(&moment) {
                        found.insert(at);
                    }
                }
                cursor.advance()?;
            }
        }
        for delta in view.deltas() {
            let delta = super::read_delta(delta);
            let frames = delta.tenant(of).into_iter().flat_map(|held| &held.frames);
            let holds =
                |frame: &&HourOfFrame| frame.hour == hour && (frame.span.0..=frame.span.1).contains(&moment);
            found.extend(frames.filter(holds).map(|frame| frame.at));
        }
    }
    Ok(found.into_iter().rev().collect())
}
