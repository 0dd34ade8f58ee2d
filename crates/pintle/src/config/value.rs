//! The kinds of values a setting can have: how each is written in TOML, in an environment variable
//! and on the command line, and what is refused.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use toml::de::DeValue;

/// A value that can stand in a TOML file, an environment variable or a flag.
pub trait Value: Sized {
    /// Reads it from text, as in a variable or flag.
    fn from_text(text: &str) -> Result<Self, String>;

    /// Reads it from TOML; a string unless the kind says otherwise.
    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        match value {
            DeValue::String(text) => Self::from_text(text),
            other => Err(format!(
                "expected a string in quotes, found {}",
                kind_of(other)
            )),
        }
    }

    /// Writes it as TOML. `None`: not set.
    fn to_toml(&self) -> Option<String>;

    /// The word for having none of it, where that is something to say.
    const NONE: Option<&'static str> = None;
}

fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

fn quoted(text: impl fmt::Display) -> String {
    toml::Value::String(text.to_string()).to_string()
}

impl Value for bool {
    fn from_text(text: &str) -> Result<bool, String> {
        text.parse()
            .map_err(|_| format!("expected true or false, found {text:?}"))
    }

    fn from_toml(value: &DeValue<'_>) -> Result<bool, String> {
        value
            .as_bool()
            .ok_or_else(|| format!("expected true or false, found {}", kind_of(value)))
    }

    fn to_toml(&self) -> Option<String> {
        Some(self.to_string())
    }
}

macro_rules! count {
    ($kind:ty) => {
        impl Value for $kind {
            fn from_text(text: &str) -> Result<$kind, String> {
                text.parse().map_err(|_| {
                    format!(
                        "expected a whole number from 1 to {}, found {text:?}",
                        <$kind>::MAX
                    )
                })
            }

            fn from_toml(value: &DeValue<'_>) -> Result<$kind, String> {
                whole_number(value)
                    .and_then(|n| <$kind>::new(n.try_into().ok()?))
                    .ok_or_else(|| format!("expected a whole number from 1 to {}", <$kind>::MAX))
            }

            fn to_toml(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    };
}
count!(NonZeroU32);
count!(NonZeroUsize);

fn whole_number(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

impl<T: Value> Value for Option<T> {
    fn from_text(text: &str) -> Result<Self, String> {
        if T::NONE == Some(text) {
            Ok(None)
        } else {
            T::from_text(text).map(Some)
        }
    }

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        if T::NONE.is_some() && T::NONE == value.as_str() {
            return Ok(None);
        }
        T::from_toml(value).map(Some)
    }

    fn to_toml(&self) -> Option<String> {
        match self {
            Some(value) => value.to_toml(),
            None => T::NONE.map(quoted),
        }
    }
}

impl Value for PathBuf {
    fn from_text(text: &str) -> Result<PathBuf, String> {
        if text.is_empty() || text.contains('\0') {
            return Err("expected a path".to_owned());
        }
        Ok(PathBuf::from(text))
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(self.display()))
    }
}

impl Value for SocketAddr {
    fn from_text(text: &str) -> Result<SocketAddr, String> {
        text.parse().map_err(|_| {
            format!("expected an address and a port such as \"127.0.0.1:8080\" or \"[::1]:8080\", found {text:?}")
        })
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(self))
    }
}

/// Lists: an array in TOML, comma-separated in a variable or flag.
impl<T: FromStr<Err = String> + fmt::Display> Value for Vec<T> {
    fn from_text(text: &str) -> Result<Vec<T>, String> {
        text.split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(str::parse)
            .collect()
    }

    fn from_toml(value: &DeValue<'_>) -> Result<Vec<T>, String> {
        let items = value.as_array().ok_or_else(|| {
            format!(
                "expected a list such as [\"…\", \"…\"], found {}",
                kind_of(value)
            )
        })?;
        items
            .iter()
            .map(|item| match item.get_ref() {
                DeValue::String(text) => text.parse(),
                other => Err(format!(
                    "expected strings in the list, found {}",
                    kind_of(other)
                )),
            })
            .collect()
    }

    fn to_toml(&self) -> Option<String> {
        let items: Vec<String> = self.iter().map(quoted).collect();
        Some(format!("[{}]", items.join(", ")))
    }
}

/// Seconds, minutes, hours, days or weeks, and sums of them: `90s`, `1h30m`, `180d`.
impl Value for Duration {
    const NONE: Option<&'static str> = Some("unlimited");

    fn from_text(text: &str) -> Result<Duration, String> {
        parse_duration(text).ok_or_else(|| {
            format!(
                "expected a time longer than 0 such as \"30s\", \"12h\" or \"180d\", found {text:?}"
            )
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
            _ => {
                TIME_UNITS
                    .iter()
                    .find(|(name, _)| name.starts_with(unit))?
                    .1
            }
        };
        seconds = seconds.checked_add(number.parse::<u64>().ok()?.checked_mul(scale)?)?;
    }
    (1..=LONGEST)
        .contains(&seconds)
        .then(|| Duration::from_secs(seconds))
}

fn duration_text(duration: Duration) -> String {
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
    pub fn len(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    fn parse(text: &str) -> Option<Size> {
        let digits = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(digits)?;
        let unit = unit.trim_start();
        let scale = match unit {
            "" => 1,
            _ => {
                SIZE_UNITS
                    .iter()
                    .find(|(name, _)| name.eq_ignore_ascii_case(unit))?
                    .1
            }
        };
        let bytes = number.parse::<u64>().ok()?.checked_mul(scale)?;
        (bytes > 0).then_some(Size(bytes))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, scale) = SIZE_UNITS
            .into_iter()
            .find(|(_, scale)| self.0.is_multiple_of(*scale))
            .unwrap_or(("B", 1));
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
            _ => Err(
                "expected a size greater than 0 such as \"512MiB\" or a number of bytes".to_owned(),
            ),
        }
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(self))
    }
}

/// An audience that a token's `aud` may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audience(Box<str>);

impl Audience {
    /// The audience as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Audience {
    type Err = String;

    fn from_str(text: &str) -> Result<Audience, String> {
        let plain = !text.is_empty()
            && text.len() <= 512
            && !text.chars().any(|c| c.is_control() || c == ' ');
        plain.then(|| Audience(text.into())).ok_or_else(|| {
            format!("expected an audience such as \"https://api.example.org\", found {text:?}")
        })
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An address, or a range of them in CIDR notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether the address lies in it. An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (ours, theirs) = match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => (
                // Into the upper bits, so that one prefix comparison serves both families.
                u128::from(ours.to_bits()) << 96,
                u128::from(theirs.to_bits()) << 96,
            ),
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => (ours.to_bits(), theirs.to_bits()),
            _ => return false,
        };
        (ours ^ theirs).leading_zeros() >= u32::from(self.prefix)
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Network, String> {
        let problem = || {
            format!(
                "expected an address or a range such as \"192.0.2.10\" or \"192.0.2.0/24\", found {text:?}"
            )
        };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| problem())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix
                .parse()
                .ok()
                .filter(|p| *p <= longest)
                .ok_or_else(problem)?,
            None => longest,
        };
        Ok(Network { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = if self.address.is_ipv4() { 32 } else { 128 };
        match self.prefix {
            prefix if prefix == longest => write!(f, "{}", self.address),
            prefix => write!(f, "{}/{prefix}", self.address),
        }
    }
}

/// The URL under which clients know the server: `https`, or `http` on a loopback host, without a
/// slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(Box<str>);

impl PublicUrl {
    /// The URL, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<PublicUrl, String> {
        let example = "such as \"https://pintle.example.org\"";
        let trimmed = text.trim_end_matches('/');
        let uri: hyper::Uri = trimmed
            .parse()
            .map_err(|_| format!("expected a URL {example}, found {text:?}"))?;
        let host = uri.host().unwrap_or_default();
        let plain = uri.query().is_none()
            && !trimmed.contains('#')
            && uri
                .authority()
                .is_some_and(|authority| !authority.as_str().contains('@'));
        if host.is_empty() || !plain {
            return Err(format!(
                "expected a URL {example}, without user, query or fragment, found {text:?}"
            ));
        }
        match uri.scheme_str() {
            Some("https") => Ok(PublicUrl(trimmed.into())),
            Some("http") if is_loopback_host(host) => Ok(PublicUrl(trimmed.into())),
            Some("http") => Err(format!(
                "http is only for a loopback host, found {text:?}: use https, by TLS of its own or a proxy's"
            )),
            _ => Err(format!("expected a URL {example}, found {text:?}")),
        }
    }
}

fn is_loopback_host(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! word {
    ($kind:ty) => {
        impl Value for $kind {
            fn from_text(text: &str) -> Result<$kind, String> {
                text.parse()
            }

            fn to_toml(&self) -> Option<String> {
                Some(quoted(self))
            }
        }
    };
}
word!(PublicUrl);
word!(Profile);
word!(LogFormat);
word!(Level);
word!(AccessLog);

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant),+
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<$name, String> {
                match text {
                    $($word => Ok($name::$variant),)+
                    _ => Err(format!("expected one of {}, found {text:?}", [$($word),+].join(", "))),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($name::$variant => $word),+ })
            }
        }
    };
}

choice! {
    /// Which edition of the API is imitated where editions differ.
    Profile {
        /// What the two normative pages of 2021 say.
        #[default]
        V2021 = "2021",
        /// What the service does today.
        Today = "today",
    }
}

choice! {
    /// How log lines are written.
    LogFormat {
        /// Text when standard error is a terminal, else JSON.
        #[default]
        Auto = "auto",
        /// Text for people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

choice! {
    /// The least serious events that are written.
    Level {
        /// What failed.
        Error = "error",
        /// What may become a failure.
        Warn = "warn",
        /// What happened.
        #[default]
        Info = "info",
        /// What led to it.
        Debug = "debug",
        /// Every step.
        Trace = "trace",
    }
}

/// Which requests are written to the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessLog {
    /// None.
    #[default]
    Off,
    /// Every one.
    All,
    /// One in so many.
    OneIn(NonZeroU32),
}

impl FromStr for AccessLog {
    type Err = String;

    fn from_str(text: &str) -> Result<AccessLog, String> {
        match text {
            "off" => Ok(AccessLog::Off),
            "all" | "1/1" => Ok(AccessLog::All),
            _ => text
                .strip_prefix("1/")
                .and_then(|n| n.parse().ok())
                .map(AccessLog::OneIn)
                .ok_or_else(|| {
                    format!("expected off, all or a share such as \"1/100\", found {text:?}")
                }),
        }
    }
}

impl fmt::Display for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccessLog::Off => f.write_str("off"),
            AccessLog::All => f.write_str("all"),
            AccessLog::OneIn(n) => write!(f, "1/{n}"),
        }
    }
}
