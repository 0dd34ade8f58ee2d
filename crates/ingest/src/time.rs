//! Points in time as sensors of all kinds write them. Whatever has no zone is taken as UTC.

use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use pintle_model::Time;

/// Ways of writing that are neither ISO 8601 nor a number, each with the source that has it.
const PATTERNS: &[&str] = &[
    // osquery's `calendarTime`.
    "%a %b %d %H:%M:%S %Y UTC",
    // Exports of Defender's portal.
    "%m/%d/%Y, %I:%M:%S%.f %p",
    // The portal's older exports, and Log Analytics.
    "%m/%d/%Y %I:%M:%S%.f %p",
];

/// Reads a time: ISO 8601 in its many forms, seconds, milliseconds, microseconds or nanoseconds since 1970
/// (told apart by their size, with or without a fraction), or one of a few ways of writing for people.
pub fn read(text: &str) -> Option<Time> {
    let text = text.trim();
    if text.len() > 64 {
        return None;
    }
    Time::parse(text).or_else(|| since_1970(text)).or_else(|| with_zone(text)).or_else(|| for_people(text))
}

/// `2026-01-15 09:30:00.123 +0000 UTC`: an offset apart from the time, and the zone's name after it, as
/// programs in Go print a time.
fn with_zone(text: &str) -> Option<Time> {
    let (text, zone) = text.rsplit_once(' ')?;
    let (civil, offset) = text.rsplit_once(' ')?;
    let is_zone = zone.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-'));
    (is_zone && offset.starts_with(['+', '-'])).then(|| Time::parse(&format!("{civil}{offset}"))).flatten()
}

/// A number of seconds or of a smaller unit: any time from 1973 to 5138 is told apart.
fn since_1970(text: &str) -> Option<Time> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 19 || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let count: i128 = whole.parse().ok()?;
    // In ticks of 100 ns.
    let (unit, divisor) = match whole.trim_start_matches('0').len() {
        ..=11 => (10_000_000, 1),
        12..=14 => (10_000, 1),
        15..=17 => (10, 1),
        _ => (1, 100),
    };
    let fraction: String = fraction.chars().chain("0000000".chars()).take(7).collect();
    let part: i128 = fraction.parse().ok()?;
    let ticks = (count * unit + part * unit / 10_000_000) / divisor;
    i64::try_from(ticks).ok().map(Time::from_ticks)
}

fn for_people(text: &str) -> Option<Time> {
    let text = text.strip_suffix("[Local Time]").unwrap_or(text).trim();
    // What is not of one pattern may be of the next; of none, it is no time.
    let civil = |pattern: &&str| strtime::parse(pattern, text).and_then(|parts| parts.to_datetime()).ok();
    let civil: DateTime = PATTERNS.iter().find_map(civil)?;
    let nanoseconds = civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_nanosecond();
    i64::try_from(nanoseconds.div_euclid(100)).ok().map(Time::from_ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_way_that_sensors_write_them() {
        for (text, time) in [
            ("2026-01-15T09:30:00.1234567Z", "2026-01-15T09:30:00.1234567Z"),
            ("2026-01-15 09:30:00.123", "2026-01-15T09:30:00.123Z"),
            ("2026-01-15T11:30:00.123+0200", "2026-01-15T09:30:00.123Z"),
            ("2026-01-15T11:30:00+02:00", "2026-01-15T09:30:00Z"),
            ("1768469400", "2026-01-15T09:30:00Z"),
            ("1768469400.25", "2026-01-15T09:30:00.25Z"),
            ("1768469400123", "2026-01-15T09:30:00.123Z"),
            ("1768469400123456", "2026-01-15T09:30:00.123456Z"),
            ("1768469400123456700", "2026-01-15T09:30:00.1234567Z"),
            ("2026-01-15 09:30:00.1234567 +0000 UTC", "2026-01-15T09:30:00.1234567Z"),
            ("2026-01-15 11:30:00 +0200 CEST", "2026-01-15T09:30:00Z"),
            ("Thu Jan 15 09:30:00 2026 UTC", "2026-01-15T09:30:00Z"),
            ("1/15/2026, 9:30:00.123 AM", "2026-01-15T09:30:00.123Z"),
            ("1/15/2026, 9:30:00.123 PM [Local Time]", "2026-01-15T21:30:00.123Z"),
        ] {
            assert_eq!(read(text), Time::parse(time), "{text}");
        }
        for text in [
            "",
            "-",
            "soon",
            "1.2.3",
            "2026-01-15 09:30:00 +0000 (UTC)",
            "at +1 UTC",
            "99999999999999999999",
            "-5",
            "1768469400x",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
