//! The kinds of values a setting can have: how each is written in TOML, in an environment variable
//! and on the command line, and what is refused.

mod address;
mod amount;
mod choice;
mod https;

use std::fmt;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;

use toml::de::DeValue;

pub use address::{Audience, Network, PublicUrl};
pub use amount::{Size, duration_text};
pub use choice::{AccessLog, Level, LogFormat, Profile};
pub use https::HttpsUrl;

/// A value that can stand in a TOML file, an environment variable or a flag.
pub trait Value: Sized {
    /// Reads it from text, as in a variable or flag.
    fn from_text(text: &str) -> Result<Self, String>;

    /// Reads it from TOML; a string unless the kind says otherwise.
    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        match value {
            DeValue::String(text) => Self::from_text(text),
            other => Err(format!("expected a string in quotes, found {}", kind_of(other))),
        }
    }

    /// Writes it as TOML. `None`: not set.
    fn to_toml(&self) -> Option<String>;

    /// The word for having none of it, where that is something to say.
    const NONE: Option<&'static str> = None;
}

pub(super) fn kind_of(value: &DeValue<'_>) -> &'static str {
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

pub(super) fn quoted(text: impl fmt::Display) -> String {
    toml::Value::String(text.to_string()).to_string()
}

impl Value for bool {
    fn from_text(text: &str) -> Result<bool, String> {
        text.parse().map_err(|_| format!("expected true or false, found {text:?}"))
    }

    fn from_toml(value: &DeValue<'_>) -> Result<bool, String> {
        value.as_bool().ok_or_else(|| format!("expected true or false, found {}", kind_of(value)))
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
                    format!("expected a whole number from 1 to {}, found {text:?}", <$kind>::MAX)
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
        if T::NONE == Some(text) { Ok(None) } else { T::from_text(text).map(Some) }
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
            format!(
                "expected an address and a port such as \"127.0.0.1:8080\" or \"[::1]:8080\", found {text:?}"
            )
        })
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(self))
    }
}

/// Lists: an array in TOML, comma-separated in a variable or flag.
impl<T: FromStr<Err = String> + fmt::Display> Value for Vec<T> {
    fn from_text(text: &str) -> Result<Vec<T>, String> {
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::parse).collect()
    }

    fn from_toml(value: &DeValue<'_>) -> Result<Vec<T>, String> {
        let items = value
            .as_array()
            .ok_or_else(|| format!("expected a list such as [\"…\", \"…\"], found {}", kind_of(value)))?;
        items
            .iter()
            .map(|item| match item.get_ref() {
                DeValue::String(text) => text.parse(),
                other => Err(format!("expected strings in the list, found {}", kind_of(other))),
            })
            .collect()
    }

    fn to_toml(&self) -> Option<String> {
        let items: Vec<String> = self.iter().map(quoted).collect();
        Some(format!("[{}]", items.join(", ")))
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
word!(HttpsUrl);
word!(Profile);
word!(LogFormat);
word!(Level);
word!(AccessLog);
