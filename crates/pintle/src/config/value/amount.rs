//! Amounts: how long and how much, with their units.

use std::fmt;
use std::time::Duration;

use toml::de::DeValue;

use super::{Value, quoted, whole_number};

/// Seconds, minutes, hours, days or weeks, and sums of them: `90s`, `1h30m`, `180d`.
impl Value for Duration {
    const NONE: Option<&'static str> = Some("unlimited");

    fn from_text(text: &str) -> Result<Duration, String> {
        parse_duration(text).ok_or_else(|| {
            format!("expected a time longer than 0 such as \"30s\", \"12h\" or \"180d\", found {text:?}")
        })
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(duration_text(*self)))
    }
}

/// Units of time, each with its seconds, the longest first.
const TIME_UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

fn parse_duration(text: &str) -> Option<Duration> {
    // Ten thousand years: more than any retention, and far from where sums of times overflow.
    const LONGEST: u64 = 10_000 * 366 * 86_400;
    if let Some(millis) = text.strip_suffix("ms") {
        let millis = millis.parse().ok().filter(|millis| *millis > 0)?;
        return (millis / 1000 <= LONGEST).then(|| Duration::from_millis(millis));
    }
    let mut seconds = 0u64;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, tail) = rest.split_at_checked(rest.find(|c: char| !c.is_ascii_digit())?)?;
        let unit = tail.chars().next()?;
        rest = tail.strip_prefix(unit)?;
        let scale = match unit {
            'w' => 7 * 86_400,
            _ => TIME_UNITS.iter().find(|(name, _)| name.starts_with(unit))?.1,
        };
        seconds = seconds.checked_add(number.parse::<u64>().ok()?.checked_mul(scale)?)?;
    }
    (1..=LONGEST).contains(&seconds).then(|| Duration::from_secs(seconds))
}

/// As it is written in settings: `1h30m`.
pub fn duration_text(duration: Duration) -> String {
    if duration.subsec_millis() != 0 {
        return format!("{}ms", duration.as_millis());
    }
    let mut seconds = duration.as_secs();
    let mut text = String::new();
    for (unit, scale) in TIME_UNITS {
        if seconds >= scale {
            text.push_str(&format!("{}{unit}", seconds / scale));
            seconds %= scale;
        }
    }
    text
}

/// A number of bytes: `512MiB`, `10GB`, or a plain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

/// Units of size; the binary ones first, the longest first, as they are preferred for writing.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

impl Size {
    /// So many times 2^20 bytes.
    pub const fn mebibytes(count: u32) -> Size {
        Size((count as u64) << 20)
    }

    /// So many bytes.
    pub const fn from_bytes(bytes: u64) -> Size {
        Size(bytes)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes, for lengths in memory; what does not fit is the longest length.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    fn parse(text: &str) -> Option<Size> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(digits)?;
        let unit = unit.trim_start();
        let scale = match unit {
            "" => 1,
            _ => SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?.1,
        };
        let bytes = number.parse::<u64>().ok()?.checked_mul(scale)?;
        (bytes > 0).then_some(Size(bytes))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, scale) =
            SIZE_UNITS.into_iter().find(|(_, scale)| self.0.is_multiple_of(*scale)).unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / scale)
    }
}

impl Value for Size {
    const NONE: Option<&'static str> = Some("unlimited");

    fn from_text(text: &str) -> Result<Size, String> {
        Size::parse(text).ok_or_else(|| {
            format!("expected a size greater than 0 such as \"512MiB\" or a number of bytes, found {text:?}")
        })
    }

    fn from_toml(value: &DeValue<'_>) -> Result<Size, String> {
        match (value, whole_number(value)) {
            (_, Some(bytes)) if bytes > 0 => Ok(Size(bytes)),
            (DeValue::String(text), _) => Size::from_text(text),
            _ => Err("expected a size greater than 0 such as \"512MiB\" or a number of bytes".to_owned()),
        }
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(self))
    }
}
