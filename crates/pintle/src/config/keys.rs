//! The table of keys: a setting is a row here and a field in [`Config`], nothing else. Names of
//! variables, flags and their help, the sample file and `config show` all come from this table.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;

use super::Config;
use super::value::{AccessLog, Audience, Level, LogFormat, Network, Profile, PublicUrl, Size, Value};

/// One setting.
pub struct Key {
    /// Section and name, as in `server.listen`.
    pub name: &'static str,
    /// The flag of `serve`, without its dashes.
    pub flag: Option<&'static str>,
    /// What a value looks like, in one word for the help.
    pub hint: &'static str,
    /// What it is for, in sentences.
    pub help: &'static str,
    /// A value for the sample file, in TOML, where the default is to have none.
    pub example: Option<&'static str>,
    set: fn(&mut Config, Input<'_>) -> Result<(), String>,
    show: fn(&Config) -> Option<String>,
}

/// A value as a source has it.
#[derive(Clone, Copy)]
pub enum Input<'a> {
    /// From a variable or a flag.
    Text(&'a str),
    /// From a file.
    Toml(&'a DeValue<'a>),
}

impl Input<'_> {
    fn read<T: Value>(self) -> Result<T, String> {
        match self {
            Input::Text(text) => T::from_text(text.trim()),
            Input::Toml(value) => T::from_toml(value),
        }
    }
}

impl Key {
    /// The section it stands in and its name there.
    pub fn section_and_name(&self) -> (&'static str, &'static str) {
        self.name.split_once('.').unwrap_or(("", self.name))
    }

    /// The environment variable.
    pub fn variable(&self) -> String {
        format!("PINTLE_{}", self.name.replace('.', "_").to_uppercase())
    }

    /// Sets it. The error says what was expected, without the key's name.
    pub fn set(&self, config: &mut Config, input: Input<'_>) -> Result<(), String> {
        (self.set)(config, input)
    }

    /// The value in effect, in TOML. `None`: not set.
    pub fn show(&self, config: &Config) -> Option<String> {
        (self.show)(config)
    }
}

/// The key of that name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

macro_rules! key {
    ($name:literal, $kind:ty, $($field:ident).+, $flag:expr, $hint:literal, $example:expr, $help:literal) => {
        Key {
            name: $name,
            flag: $flag,
            hint: $hint,
            help: $help,
            example: $example,
            set: |config, input| {
                config.$($field).+ = input.read::<$kind>()?;
                Ok(())
            },
            show: |config| config.$($field).+.to_toml(),
        }
    };
}

/// Every key, by section, in the order of the sample file.
#[rustfmt::skip]
pub static KEYS: &[Key] = &[
    Key {
        name: "data.folder",
        flag: Some("data"),
        hint: "PATH",
        help: "Folder for everything the server keeps. Default: /var/lib/pintle for root, else \
               ~/.local/state/pintle.",
        example: Some("\"/var/lib/pintle\""),
        set: |config, input| {
            config.data.folder = Some(input.read::<PathBuf>()?);
            Ok(())
        },
        show: |config| config.data_folder().to_toml(),
    },

    key!("server.listen", SocketAddr, server.listen, Some("listen"), "ADDRESS:PORT", None,
        "Address of the API. Without TLS only a loopback address is accepted: a proxy that ends \
         TLS belongs on the same host."),
    key!("server.health_listen", SocketAddr, server.health_listen, Some("health-listen"), "ADDRESS:PORT", None,
        "Address of /livez, /readyz and /metrics, always without TLS. They tell how busy the \
         server is, and nothing of its data."),
    key!("server.public_url", Option<PublicUrl>, server.public_url, Some("public-url"), "URL",
        Some("\"https://pintle.example.org\""),
        "The URL that clients use, without /api. Tokens are issued under it, and links in answers \
         begin with it. `serve` needs it: https, or http on a loopback host."),
    key!("server.tls_certificate", Option<PathBuf>, server.tls_certificate, Some("tls-certificate"), "PATH",
        Some("\"/etc/pintle/certificate.pem\""),
        "PEM file with the certificate and what chains it to its authority. Read again on SIGHUP; \
         connections stay."),
    key!("server.tls_key", Option<PathBuf>, server.tls_key, Some("tls-key"), "PATH",
        Some("\"/etc/pintle/key.pem\""),
        "PEM file with the certificate's private key."),
    key!("server.trusted_proxies", Vec<Network>, server.trusted_proxies, Some("trusted-proxies"), "ADDRESS,…",
        Some("[\"127.0.0.1\", \"192.0.2.0/24\"]"),
        "Addresses and ranges of proxies whose Forwarded and X-Forwarded headers are believed. \
         Anyone else's are ignored."),
    key!("server.handshake_timeout", Duration, server.limits.handshake_timeout, Some("handshake-timeout"), "TIME", None,
        "How long a TLS handshake may take."),
    key!("server.header_timeout", Duration, server.limits.header_timeout, Some("header-timeout"), "TIME", None,
        "How long a new connection may be silent, and how long a request's headers may take."),
    key!("server.body_timeout", Duration, server.limits.body_timeout, Some("body-timeout"), "TIME", None,
        "How long a request's body may stall before the request ends with 408."),
    key!("server.min_answer_rate", Size, server.limits.min_answer_rate, Some("min-answer-rate"), "SIZE", None,
        "Bytes a second that an answer must have been taken with on average, server.body_timeout apart. Who \
         takes it slower is cut off: a long list is kept for them as long."),
    key!("server.idle_timeout", Duration, server.limits.idle_timeout, Some("idle-timeout"), "TIME", None,
        "How long a connection is kept open between requests."),
    key!("server.drain_timeout", Duration, server.limits.drain_timeout, Some("drain-timeout"), "TIME", None,
        "How long running requests have to finish when the server stops."),
    key!("server.max_connections", NonZeroUsize, server.limits.max_connections, Some("max-connections"), "NUMBER", None,
        "Connections in all. One more takes the place of another that its client keeps waiting, of those who \
         have the most connections; where all are at work it waits in the system's queue."),
    key!("server.max_connections_per_address", NonZeroUsize, server.limits.max_connections_per_address,
        Some("max-connections-per-address"), "NUMBER", None,
        "Connections from one address. One more takes the place of another of that address that is idle or \
         slow, else it is closed at once. Trusted proxies are exempt."),

    key!("ingest.max_body_bytes", Size, ingest.max_body_bytes, Some("ingest-max-body-bytes"), "SIZE", None,
        "Size of a body sent to the ingest endpoint, after decompression."),
    key!("ingest.min_body_rate", Size, ingest.min_body_rate, Some("ingest-min-body-rate"), "SIZE", None,
        "Bytes a second, as they come, that such a body must have had on average once it was waited \
         for server.body_timeout. A slower one ends with 408: it keeps others waiting."),
    key!("ingest.mappings", Option<PathBuf>, ingest.mappings, Some("ingest-mappings"), "FOLDER",
        Some("\"/etc/pintle/mappings\""),
        "A folder with mappings (*.toml): formats of your own, described instead of programmed. They are \
         read when Pintle starts."),

    key!("ingest.silent_after", Option<Duration>, ingest.silent_after, Some("ingest-silent-after"), "TIME",
        Some("\"24h\""),
        "A live source (HTTP, a watched folder) that has come for so long without a gap of that length, and then \
         has not for longer, is silent: an alert says so, and is resolved when it comes again. Off unless \
         set: how long is long depends on the sensors, and Pintle raises no alert of its own unasked."),

    key!("api.profile", Profile, api.profile, Some("profile"), "2021|today", None,
        "Which edition of the API is imitated where editions differ. 2021: machines of an unknown \
         file are a 404. today: an empty list."),

    key!("scope.narrow_statistics", bool, scope.narrow_statistics, Some("narrow-statistics"), "true|false", None,
        "Whether files and their statistics are counted over the machines that the caller sees, and what \
         was seen on none of them is unknown. Off, they are of the whole tenant, as Defender's are."),

    key!("quota.enabled", bool, quota.enabled, Some("quota-enabled"), "true|false", None,
        "Whether calls are counted. Quotas are per application, tenant and endpoint, in sliding windows."),
    key!("quota.per_minute", NonZeroU32, quota.per_minute, Some("quota-per-minute"), "NUMBER", None,
        "Calls to one endpoint in a minute."),
    key!("quota.per_hour", NonZeroU32, quota.per_hour, Some("quota-per-hour"), "NUMBER", None,
        "Calls to one endpoint in an hour."),

    key!("issuer.token_lifetime", Duration, issuer.token_lifetime, Some("token-lifetime"), "TIME", None,
        "How long a token is good."),
    key!("issuer.rotate_keys_every", Duration, issuer.rotate_keys_every, Some("rotate-keys-every"), "TIME", None,
        "How long a key signs tokens before another does. Tokens of the old one stay good until they \
         expire."),
    key!("issuer.publish_keys_before", Duration, issuer.publish_keys_before, Some("publish-keys-before"), "TIME", None,
        "How long before that the next key is among the public keys: whoever verifies tokens with a \
         copy of these has so long to fetch them again."),
    key!("issuer.accepted_audiences", Vec<Audience>, issuer.accepted_audiences, Some("accepted-audiences"), "AUDIENCE,…",
        Some("[\"https://defender.example.org\"]"),
        "Audiences accepted in tokens beside those of the API and the public URL."),
    key!("issuer.password_grant", bool, issuer.password_grant, Some("password-grant"), "true|false", None,
        "Whether a client may send a user's name and password itself (grant_type=password), as old \
         scripts do. Off, users type their password only into the server's own page."),
    key!("issuer.refresh_token_lifetime", Duration, issuer.refresh_token_lifetime, Some("refresh-token-lifetime"), "TIME", None,
        "How long a user who signed in stays so without a request. Each refresh token is good once; \
         after 90 days a user signs in again in any case."),

    key!("retention.alerts", Option<Duration>, retention.alerts, Some("retention-alerts"), "TIME", None,
        "Alerts leave the answers when their last update is older. Defender's window is 30d to \
         180d. Each key here can be set for one tenant under [tenants.NAME.retention], where NAME \
         is the tenant's name or GUID."),
    key!("retention.machines", Option<Duration>, retention.machines, Some("retention-machines"), "TIME", None,
        "Machines last seen longer ago leave the answers. Counts have them until a server takes them \
         out, once a day."),
    key!("retention.sightings", Option<Duration>, retention.sightings, Some("retention-sightings"), "TIME", None,
        "A file last seen on a machine longer ago is no longer reported for it."),

    key!("archive.max_age", Option<Duration>, archive.max_age, Some("archive-max-age"), "TIME", None,
        "Drop parts of the archive that are older. No answer is lost by it, but `pintle rebuild` \
         and `pintle purge` need all of it and refuse from then on."),
    key!("archive.max_bytes", Option<Size>, archive.max_bytes, Some("archive-max-bytes"), "SIZE", None,
        "Drop the oldest parts of the archive while it is larger, at the same cost."),

    key!("store.memory", Size, store.memory, Some("store-memory"), "SIZE", None,
        "About how much new telemetry is held in memory, where repeats are folded together, before \
         it is written to the base. While that is under way, it is twice as much."),
    key!("store.fold_after_records", NonZeroUsize, store.fold_after_records, Some("store-fold-after-records"),
        "NUMBER", None,
        "It is written to the base after so many records as well, since what is not must be read \
         from the archive again after a crash."),
    key!("store.cache", Size, store.cache, Some("store-cache"), "SIZE", None,
        "How much of what was read of the base is kept in memory, unpacked. More of it makes lookups faster \
         where they are spread over a large base."),

    key!("log.format", LogFormat, log.format, Some("log-format"), "auto|text|json", None,
        "Text for people or one JSON object a line. auto: text when standard error is a terminal."),
    key!("log.level", Level, log.level, Some("log-level"), "LEVEL", None,
        "The least serious events that are written: error, warn, info, debug or trace."),
    key!("log.access", AccessLog, log.access, Some("log-access"), "off|all|1/N", None,
        "Which requests are written: off, all, or one in N as \"1/100\". Tokens and bodies never are."),
];
