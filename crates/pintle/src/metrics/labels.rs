//! What tells the counters of a metric apart: of bounded sets only.

use std::fmt;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    pub route: String,
    pub method: &'static str,
    pub status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RouteLabels {
    pub route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabels {
    pub reason: Refusal,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FormatLabels {
    pub format: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LackLabels {
    pub format: String,
    pub reason: &'static str,
}

/// A source of telemetry of a tenant, of which there are no more than there may be.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SourceLabels {
    pub tenant: String,
    pub source: String,
}

/// The name of a section of the settings.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct WatchLabels {
    pub watch: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct KafkaLabels {
    pub kafka: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct WindowLabels {
    pub window: Window,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabels {
    pub outcome: TokenOutcome,
}

/// Names of pulls are the administrator's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PullName {
    pub pull: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PullLabels {
    pub pull: String,
    pub outcome: PullOutcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ThingLabels {
    pub thing: &'static str,
}

macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant),+
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
                match self { $($name::$variant => $word),+ }.encode(encoder)
            }
        }
    };
}

label! {
    /// Why a connection was not taken.
    Refusal {
        /// Its address has as many as it may have.
        Address = "address",
    }
}

label! {
    /// The window of a quota.
    Window {
        /// A sliding minute.
        Minute = "minute",
        /// A sliding hour.
        Hour = "hour",
    }
}

label! {
    /// How a request for a token ended.
    TokenOutcome {
        /// A token was issued.
        Issued = "issued",
        /// The request made no sense, or asked for what is not offered.
        InvalidRequest = "invalid_request",
        /// No such application, or a wrong secret.
        InvalidClient = "invalid_client",
        /// Something failed here.
        Failed = "failed",
    }
}

label! {
    /// How a look at a store that is fetched from ended.
    PullOutcome {
        /// All that is new and can be taken is.
        Done = "done",
        /// It came to no end.
        Failed = "failed",
    }
}
