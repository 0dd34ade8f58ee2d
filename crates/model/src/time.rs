//! A point in time as the API writes it.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

const TICKS_A_SECOND: i64 = 10_000_000;

/// A UTC point in time in ticks of 100 ns since 1970, the resolution of the API and of KQL's
/// `datetime`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Time(i64);

impl Time {
    /// 1990-01-01T00:00:00Z. Older times in telemetry are unset clocks, never events.
    pub const EARLIEST_PLAUSIBLE: Time = Time(631_152_000 * TICKS_A_SECOND);

    /// The oldest value there is; used where a fact has no time of its own.
    pub const MIN: Time = Time(i64::MIN);

    /// From ticks of 100 ns since 1970.
    pub const fn from_ticks(ticks: i64) -> Time {
        Time(ticks)
    }

    /// Ticks of 100 ns since 1970.
    pub const fn ticks(self) -> i64 {
        self.0
    }

    /// From milliseconds since 1970.
    pub fn from_unix_millis(millis: i64) -> Time {
        Time(millis.saturating_mul(10_000))
    }

    /// From whole seconds since 1970.
    pub fn from_unix_seconds(seconds: i64) -> Time {
        Time(seconds.saturating_mul(TICKS_A_SECOND))
    }

    /// The tick after it.
    pub fn just_after(self) -> Time {
        Time(self.0.saturating_add(1))
    }

    /// Whole seconds since 1970, rounded down.
    pub fn unix_seconds(self) -> i64 {
        self.0.div_euclid(TICKS_A_SECOND)
    }

    /// The same instant cut to whole milliseconds.
    pub fn cut_to_millis(self) -> Time {
        Time(self.0 - self.0.rem_euclid(10_000))
    }

    /// Reads `2020-10-22 08:29:52.016`, `2022-05-13T08:54:06.4890000Z`, `…+02:00` and their like:
    /// a date and a time, `T` or a space between them, up to nine fractional digits, an offset or
    /// none. Without an offset the time is taken as UTC.
    pub fn parse(text: &str) -> Option<Time> {
        let text = text.trim();
        if let Some(time) = Time::parse_plain(text) {
            return Some(time);
        }
        let timestamp = match text.parse::<jiff::Timestamp>() {
            Ok(timestamp) => timestamp,
            Err(_) => text
                .parse::<jiff::civil::DateTime>()
                .ok()?
                .to_zoned(jiff::tz::TimeZone::UTC)
                .ok()?
                .timestamp(),
        };
        i64::try_from(timestamp.as_nanosecond().div_euclid(100)).ok().map(Time)
    }

    /// `YYYY-MM-DDThh:mm:ss`, up to seven fractional digits and `Z`, as Defender writes each of the
    /// times in its telemetry. `None` for all else, be it a time or not.
    fn parse_plain(text: &str) -> Option<Time> {
        let (date_and_time, fraction) = text.strip_suffix('Z')?.as_bytes().split_at_checked(19)?;
        let [a, b, c, d, b'-', e, f, b'-', g, h, b'T', i, j, b':', k, l, b':', m, n] = date_and_time else {
            return None;
        };
        let year = number(&[*a, *b, *c, *d])?;
        let (month, day) = (number(&[*e, *f])?, number(&[*g, *h])?);
        let (hour, minute, second) = (number(&[*i, *j])?, number(&[*k, *l])?, number(&[*m, *n])?);
        // The 29th to 31st are left to the calendar, whose months have them or not.
        let is_plain = year >= 1 && (1..=12).contains(&month) && (1..=28).contains(&day);
        if !is_plain || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let fraction = match fraction {
            [] => 0,
            [b'.', digits @ ..] if (1..=7).contains(&digits.len()) => {
                let missing = u32::try_from(7 - digits.len()).ok()?;
                number(digits)? * 10_i64.pow(missing)
            }
            _ => return None,
        };
        // Counted from March, so that the day that a leap year adds is the last of a year.
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
        const DAYS_BEFORE_1970: i64 = 719_468;
        let seconds = (days - DAYS_BEFORE_1970) * 86_400 + hour * 3600 + minute * 60 + second;
        Some(Time(seconds * TICKS_A_SECOND + fraction))
    }

    /// Whether an event of this time can be believed in a batch received at `received`: not before
    /// 1990 and at most 24 hours ahead.
    pub fn is_plausible(self, received: Time) -> bool {
        self >= Time::EARLIEST_PLAUSIBLE && self <= received + Duration::from_secs(24 * 3600)
    }
}

/// A number of decimal digits, few enough to fit.
fn number(digits: &[u8]) -> Option<i64> {
    let mut number = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number * 10 + i64::from(digit - b'0');
    }
    Some(number)
}

impl From<SystemTime> for Time {
    fn from(time: SystemTime) -> Time {
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => Time(ticks(since)),
            Err(before) => Time(ticks(before.duration()).saturating_neg()),
        }
    }
}

fn ticks(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos() / 100).unwrap_or(i64::MAX)
}

impl std::ops::Add<Duration> for Time {
    type Output = Time;
    fn add(self, rhs: Duration) -> Time {
        Time(self.0.saturating_add(ticks(rhs)))
    }
}

impl std::ops::Sub<Duration> for Time {
    type Output = Time;
    fn sub(self, rhs: Duration) -> Time {
        Time(self.0.saturating_sub(ticks(rhs)))
    }
}

/// UTC with `Z`, up to seven fractional digits, trailing zeros cut and the point with them, as the
/// API writes dates.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i128::from(self.0) * 100;
        let Ok(timestamp) = jiff::Timestamp::from_nanosecond(nanos) else {
            // Beyond the years a calendar can name; telemetry may hold anything.
            return f.write_str(if self.0 < 0 { "0001-01-01T00:00:00Z" } else { "9999-12-31T23:59:59Z" });
        };
        let civil = timestamp.to_zoned(jiff::tz::TimeZone::UTC).datetime();
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            civil.year(),
            civil.month(),
            civil.day(),
            civil.hour(),
            civil.minute(),
            civil.second()
        )?;
        let fraction = self.0.rem_euclid(TICKS_A_SECOND);
        if fraction > 0 {
            let digits = format!("{fraction:07}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_shapes_seen_in_telemetry_and_writes_the_api_shape() {
        for (text, written) in [
            ("2020-10-22 08:29:52.016", "2020-10-22T08:29:52.016Z"),
            ("2022-05-13T08:54:06.4890000Z", "2022-05-13T08:54:06.489Z"),
            ("2025-11-27T07:40:10.165324Z", "2025-11-27T07:40:10.165324Z"),
            ("2022-05-11T18:10:20.399931000Z", "2022-05-11T18:10:20.399931Z"),
            ("2022-11-07T17:07:42.0259186Z", "2022-11-07T17:07:42.0259186Z"),
            ("2018-07-11T17:43:52.914+02:00", "2018-07-11T15:43:52.914Z"),
            ("2018-07-11T17:43:52.914+0200", "2018-07-11T15:43:52.914Z"),
            ("2021-09-02T18:23:41Z", "2021-09-02T18:23:41Z"),
        ] {
            assert_eq!(Time::parse(text).map(|t| t.to_string()).as_deref(), Some(written), "{text}");
        }
    }

    #[test]
    fn a_time_written_plainly_is_the_time_that_the_calendar_says() {
        let mut plain = 0;
        for year in [1, 4, 100, 1600, 1900, 1969, 1970, 1999, 2000, 2023, 2024, 2100, 2400, 9999] {
            for (month, day) in (1..=12).flat_map(|month| (1..=31).map(move |day| (month, day))) {
                for clock in ["00:00:00", "23:59:59.0000001", "07:08:09.5", "23:59:60", "24:00:00", "1:00:00"]
                {
                    let text = format!("{year:04}-{month:02}-{day:02}T{clock}Z");
                    let Some(time) = Time::parse_plain(&text) else { continue };
                    let said: jiff::Timestamp = text.parse().unwrap();
                    assert_eq!(i128::from(time.ticks()) * 100, said.as_nanosecond(), "{text}");
                    plain += 1;
                }
            }
        }
        assert_eq!(plain, 14 * 12 * 28 * 3);
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in ["", "-", "Unknown", "10/25/2023, 9:43:21.994 AM", "99999"] {
            assert_eq!(Time::parse(text), None, "{text}");
        }
    }

    #[test]
    fn extremes_are_written_without_a_panic() {
        assert_eq!(Time::MIN.to_string(), "0001-01-01T00:00:00Z");
        assert_eq!(Time::from_ticks(i64::MAX).to_string(), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn plausible_is_after_1990_and_at_most_a_day_ahead() {
        let received = Time::parse("2026-01-01T00:00:00Z").unwrap();
        let day = Duration::from_secs(24 * 3600);
        assert!((received + day).is_plausible(received));
        assert!(!(received + day + Duration::from_secs(1)).is_plausible(received));
        assert!(!Time::from_unix_seconds(0).is_plausible(received));
    }
}
