//! Of sections `[pull.NAME]` what names an API.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use super::Endpoint;
use crate::config::section::{Name, Section};
use crate::config::value::{Value, quoted};

/// The keys that only these sections have.
pub(super) const KEYS: &[&str] = &[
    "api",
    "token_url",
    "scope",
    "credentials_file",
    "look_back",
    "machines_interval",
    "calls_per_minute",
    "calls_per_hour",
];

/// The scope of tokens for the API, by the name that it has at the platform.
const SCOPE: &str = "https://api.securitycenter.microsoft.com/.default";

/// An API like Defender's, or a Pintle.
#[derive(Clone, Debug, PartialEq)]
pub struct Api {
    /// Where it is asked; `/api/alerts` and the like follow.
    pub api: Endpoint,
    /// Where tokens are got for it, …
    pub token_url: Endpoint,
    /// … of this scope, …
    pub scope: String,
    /// … by the application whose `CLIENT_ID` and `CLIENT_SECRET` this file has.
    pub credentials_file: PathBuf,
    /// How old the oldest alerts are that are fetched, by their last update.
    pub look_back: Duration,
    /// Between two looks at its machines.
    pub machines_interval: Duration,
    /// The most calls in a minute …
    pub calls_per_minute: NonZeroU32,
    /// … and in an hour.
    pub calls_per_hour: NonZeroU32,
}

impl Section<'_, '_> {
    /// The API that the section names; `None` if what it needs is missing or wrong.
    pub(super) fn api(&mut self) -> Option<Api> {
        let minute = Duration::from_secs(60);
        let credentials = "a file with the lines CLIENT_ID= and CLIENT_SECRET= of the application that asks";
        let (api, token_url, credentials_file) = (
            self.required::<Endpoint>("api", "where the API is"),
            self.required::<Endpoint>("token_url", "where tokens for the API are got"),
            self.required::<PathBuf>("credentials_file", credentials),
        );
        let mut calls = |name, most| {
            self.optional(name).unwrap_or_else(|| NonZeroU32::new(most).unwrap_or(NonZeroU32::MIN))
        };
        let (calls_per_minute, calls_per_hour) =
            (calls("calls_per_minute", 50), calls("calls_per_hour", 750));
        let api = Api {
            scope: self.optional("scope").map_or_else(|| SCOPE.to_owned(), |Name(text)| text),
            look_back: self.optional("look_back").unwrap_or(minute * 60 * 24 * 180),
            machines_interval: self.optional("machines_interval").unwrap_or(minute * 60),
            calls_per_minute,
            calls_per_hour,
            api: api?,
            token_url: token_url?,
            credentials_file: credentials_file?,
        };
        if api.machines_interval < Duration::from_millis(100) {
            self.wrong("machines_interval", "expected at least 100ms".to_owned());
        }
        Some(api)
    }
}

impl Api {
    /// Its keys, with what is set of them, as TOML.
    pub(super) fn keys(&self) -> Vec<(&'static str, Option<String>)> {
        vec![
            ("api", self.api.to_toml()),
            ("token_url", self.token_url.to_toml()),
            ("scope", Some(quoted(&self.scope))),
            ("credentials_file", self.credentials_file.to_toml()),
            ("look_back", self.look_back.to_toml()),
            ("machines_interval", self.machines_interval.to_toml()),
            ("calls_per_minute", self.calls_per_minute.to_toml()),
            ("calls_per_hour", self.calls_per_hour.to_toml()),
        ]
    }
}
