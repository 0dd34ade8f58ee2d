//! What a server is told: one tree of settings, every one of them optional.
//!
//! [`keys`] is the single table of keys, from which the environment variables, the flags of
//! `serve`, the sample file and `config show` are made; [`load`] puts the sources together; each
//! kind of value is parsed into its type in [`value`].

pub mod kafka;
pub mod keys;
pub mod load;
pub mod outside;
pub mod pull;
pub mod sample;
mod section;
pub mod value;
pub mod watch;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pintle_model::TenantId;
use pintle_store::{ArchiveCaps, Memory, Retention};

use crate::auth::keys::Schedule;

pub use kafka::Kafka;
pub use load::{Loaded, Origin, Problem, Sources};
pub use outside::OutsideIssuer;
pub use pull::{Endpoint, Pull, PullUrl};
pub use value::{AccessLog, Audience, HttpsUrl, Level, LogFormat, Network, Profile, PublicUrl, Size};
pub use watch::{After, Pattern, Watch};

/// Every setting of a server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Where data is kept.
    pub data: Data,
    /// How clients reach the server.
    pub server: Server,
    /// What is accepted as telemetry.
    pub ingest: Ingest,
    /// How answers look.
    pub api: Api,
    /// What callers see.
    pub scope: Scope,
    /// How many calls an application has.
    pub quota: Quota,
    /// The tokens of the built-in issuer.
    pub issuer: Issuer,
    /// How long things stay in answers, for tenants that have nothing of their own.
    pub retention: Retention,
    /// When closed parts of the archive are dropped.
    pub archive: Archive,
    /// How much the store holds in memory.
    pub store: Store,
    /// What the server says about itself.
    pub log: Log,
    /// Settings of single tenants, by their name or GUID as written in the file.
    pub tenants: BTreeMap<String, Tenant>,
    /// Issuers of others whose tokens are accepted, by the name of their section.
    pub outside_issuers: BTreeMap<String, OutsideIssuer>,
    /// Folders whose files are taken in, by the name of their section.
    pub watch: BTreeMap<String, Watch>,
    /// Stores whose telemetry is fetched, by the name of their section.
    pub pull: BTreeMap<String, Pull>,
    /// Topics whose telemetry is taken, by the name of their section.
    pub kafka: BTreeMap<String, Kafka>,
}

/// Where data is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Data {
    /// The data folder; [`Config::data_folder`] fills in the platform's default.
    pub folder: Option<PathBuf>,
}

/// How clients reach the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Address of the API. Without TLS only a loopback address is accepted.
    pub listen: SocketAddr,
    /// Address of health and metrics, always without TLS.
    pub health_listen: SocketAddr,
    /// The URL under which clients know the server: issuer, links and `@odata.context`.
    pub public_url: Option<PublicUrl>,
    /// PEM file with the certificate chain.
    pub tls_certificate: Option<PathBuf>,
    /// PEM file with the certificate's private key.
    pub tls_key: Option<PathBuf>,
    /// Proxies whose `Forwarded` and `X-Forwarded-…` headers are believed.
    pub trusted_proxies: Vec<Network>,
    /// What a client may take up.
    pub limits: Limits,
}

/// Certificate and key of a TLS listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tls<'a> {
    /// PEM file with the certificate chain.
    pub certificate: &'a Path,
    /// PEM file with the private key.
    pub key: &'a Path,
}

/// What a connection and a request may take up. In the file these keys stand under `[server]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// From the connection to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// From there to the first byte, and from the first byte of a request to the end of its headers.
    pub header_timeout: Duration,
    /// Between two pieces of a request's body.
    pub body_timeout: Duration,
    /// Bytes a second that an answer must be taken with, taken over all of it.
    pub min_answer_rate: Size,
    /// How long a connection without a request is kept.
    pub idle_timeout: Duration,
    /// How long running requests have when the server stops.
    pub drain_timeout: Duration,
    /// Connections in all.
    pub max_connections: NonZeroUsize,
    /// Connections from one address.
    pub max_connections_per_address: NonZeroUsize,
}

/// What is accepted as telemetry over HTTP.
#[derive(Clone, Debug, PartialEq)]
pub struct Ingest {
    /// Size of a body after decompression.
    pub max_body_bytes: Size,
    /// Bytes a second that a body must come with, taken over all of it.
    pub min_body_rate: Size,
    /// The folder with the administrator's mappings.
    pub mappings: Option<PathBuf>,
    /// After what time without telemetry a source that came regularly is silent; `None`: none ever is.
    pub silent_after: Option<Duration>,
}

/// How answers look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Api {
    /// Which edition of the API is imitated where editions differ.
    pub profile: Profile,
}

/// What callers see.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scope {
    /// Whether files and their statistics are counted over the machines that the caller sees.
    pub narrow_statistics: bool,
}

/// How many calls an application has to one endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Quota {
    /// Whether calls are counted at all.
    pub enabled: bool,
    /// Calls in a sliding minute.
    pub per_minute: NonZeroU32,
    /// Calls in a sliding hour.
    pub per_hour: NonZeroU32,
}

/// The tokens of the built-in issuer.
#[derive(Clone, Debug, PartialEq)]
pub struct Issuer {
    /// How long a token is good.
    pub token_lifetime: Duration,
    /// How long a key signs tokens.
    pub rotate_keys_every: Duration,
    /// How long before it signs a key is among the public keys.
    pub publish_keys_before: Duration,
    /// Audiences accepted beside those of the API and the public URL.
    pub accepted_audiences: Vec<Audience>,
    /// Whether a client may send a user's name and password itself.
    pub password_grant: bool,
    /// How long a refresh token is good that is not used.
    pub refresh_token_lifetime: Duration,
}

/// When closed parts of the archive are dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Archive {
    /// Drop parts whose newest batch is older.
    pub max_age: Option<Duration>,
    /// Drop the oldest parts while the archive is larger.
    pub max_bytes: Option<Size>,
}

/// How much the store holds in memory: what is new before it writes it to the base, and what it read of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Store {
    /// About how many bytes.
    pub memory: Size,
    /// How many records.
    pub fold_after_records: NonZeroUsize,
    /// How much of what was read of the base stays in memory.
    pub cache: Size,
}

/// What the server says about itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    /// Text or JSON lines.
    pub format: LogFormat,
    /// The least serious events that are written.
    pub level: Level,
    /// Which requests are written.
    pub access: AccessLog,
}

/// Settings of one tenant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tenant {
    /// The tenant's retention, complete: what it does not set itself is the general one.
    pub retention: Retention,
}

impl Default for Server {
    fn default() -> Server {
        Server {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            health_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)),
            public_url: None,
            tls_certificate: None,
            tls_key: None,
            trusted_proxies: Vec::new(),
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            min_answer_rate: Size::from_bytes(4 << 10),
            idle_timeout: Duration::from_secs(75),
            drain_timeout: Duration::from_secs(30),
            max_connections: NonZeroUsize::MIN.saturating_add(4095),
            max_connections_per_address: NonZeroUsize::MIN.saturating_add(255),
        }
    }
}

impl Default for Store {
    fn default() -> Store {
        let Memory { bytes, records, cache } = Memory::default();
        let records = usize::try_from(records).ok().and_then(NonZeroUsize::new);
        Store {
            memory: Size::from_bytes(bytes as u64),
            fold_after_records: records.unwrap_or(NonZeroUsize::MAX),
            cache: Size::from_bytes(cache as u64),
        }
    }
}

impl Default for Ingest {
    fn default() -> Ingest {
        Ingest {
            max_body_bytes: Size::mebibytes(256),
            min_body_rate: Size::from_bytes(64 << 10),
            mappings: None,
            silent_after: None,
        }
    }
}

impl Default for Quota {
    fn default() -> Quota {
        Quota {
            enabled: true,
            per_minute: NonZeroU32::MIN.saturating_add(99),
            per_hour: NonZeroU32::MIN.saturating_add(1499),
        }
    }
}

impl Default for Issuer {
    fn default() -> Issuer {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Issuer {
            token_lifetime: Duration::from_secs(3600),
            rotate_keys_every: DAY * 90,
            publish_keys_before: DAY,
            accepted_audiences: Vec::new(),
            password_grant: false,
            refresh_token_lifetime: DAY * 14,
        }
    }
}

impl Server {
    /// Certificate and key, when both are set.
    pub fn tls(&self) -> Option<Tls<'_>> {
        let certificate = self.tls_certificate.as_deref()?;
        let key = self.tls_key.as_deref()?;
        Some(Tls { certificate, key })
    }

    /// Whether a peer's forwarded headers are believed.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(peer))
    }
}

impl Archive {
    /// The same in the store's terms.
    pub fn caps(&self) -> ArchiveCaps {
        ArchiveCaps { max_age: self.max_age, max_bytes: self.max_bytes.map(Size::bytes) }
    }
}

impl Issuer {
    /// When keys are exchanged.
    pub fn schedule(&self) -> Schedule {
        Schedule { rotate_every: self.rotate_keys_every, publish_before: self.publish_keys_before }
    }
}

impl Store {
    /// The same in the store's terms.
    pub fn limits(&self) -> Memory {
        Memory {
            bytes: self.memory.as_usize(),
            records: self.fold_after_records.get() as u64,
            cache: self.cache.as_usize(),
        }
    }
}

impl Config {
    /// The data folder: the configured one, else `/var/lib/pintle` for root, else `pintle` in the
    /// user's state folder. `None` when there is no home folder to put it in.
    pub fn data_folder(&self) -> Option<PathBuf> {
        self.data.folder.clone().or_else(default_data_folder)
    }

    /// The retention of a tenant. A section named by the GUID goes before one named by the name.
    pub fn retention_of(&self, tenant: TenantId, name: &str) -> Retention {
        self.tenants
            .iter()
            .find(|(key, _)| key.parse().is_ok_and(|id: TenantId| id == tenant))
            .or_else(|| self.tenants.get_key_value(name))
            .map_or(self.retention, |(_, settings)| settings.retention)
    }

    /// Whether anything is ever forgotten.
    pub fn forgets(&self) -> bool {
        let caps = self.archive.caps();
        let any = |retention: &Retention| *retention != Retention::default();
        any(&self.retention)
            || self.tenants.values().any(|tenant| any(&tenant.retention))
            || caps != ArchiveCaps::default()
    }

    /// What stops `serve` from running with these settings, each with its remedy. Empty: nothing.
    pub fn problems_for_serving(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let server = &self.server;
        if server.public_url.is_none() {
            problems.push(
                "server.public_url is not set: the built-in issuer signs tokens for the URL that \
                 clients use, such as \"https://pintle.example.org\""
                    .to_owned(),
            );
        }
        match (&server.tls_certificate, &server.tls_key) {
            (Some(_), None) => problems.push(
                "server.tls_certificate is set but server.tls_key is not: set both or neither".to_owned(),
            ),
            (None, Some(_)) => problems.push(
                "server.tls_key is set but server.tls_certificate is not: set both or neither".to_owned(),
            ),
            (None, None) if !server.listen.ip().to_canonical().is_loopback() => {
                problems.push(format!(
                    "server.listen is {}, which other machines can reach, but there is no TLS: set \
                     server.tls_certificate and server.tls_key, or listen on a loopback address \
                     behind a proxy on this host",
                    server.listen
                ));
            }
            _ => {}
        }
        if server.listen == server.health_listen && server.listen.port() != 0 {
            problems.push(format!(
                "server.listen and server.health_listen are both {}: give them different ports",
                server.listen
            ));
        }
        if self.data_folder().is_none() {
            problems.push(
                "data.folder is not set and there is no home folder to put one in: set data.folder"
                    .to_owned(),
            );
        }
        problems
    }
}

fn default_data_folder() -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some(PathBuf::from("/var/lib/pintle"));
    }
    // A relative XDG path is to be ignored, says the base directory specification.
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|p| p.is_absolute());
    let state = state.or_else(|| Some(std::env::home_dir()?.join(".local/state")))?;
    Some(state.join("pintle"))
}
