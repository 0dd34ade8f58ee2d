//! Settings that are one of a few words.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

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
                .ok_or_else(|| format!("expected off, all or a share such as \"1/100\", found {text:?}")),
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
