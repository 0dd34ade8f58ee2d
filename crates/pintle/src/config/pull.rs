//! Sections `[pull.NAME]`: stores of objects whose telemetry is fetched as it comes and grows.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use hyper::Uri;
use pintle_model::tables;
use toml::de::DeTable;

use super::section::{self, Name, Section};
use super::value::{Value, quoted};

/// What the sections' names begin with.
pub const SECTION: &str = "pull";

/// The most sections.
const MOST: usize = 64;

/// What stands in a URL for the name of each hunting table in turn.
const TABLE: &str = "{table}";

/// What the sample file says of these sections.
pub(super) const HELP: &str = "A bucket of S3, a container of Azure's Blob Storage or a folder whose telemetry \
    `pintle serve` fetches every interval has a section [pull.NAME]; NAME is the source's. url is where: \
    s3://BUCKET/PREFIX, az://CONTAINER/PREFIX or file:///FOLDER; {table} in it stands for the name of each \
    hunting table in lower case, so that one section takes all of Defender's storage export. An object of \
    lines of JSON that grows is taken from where it was; anything else is taken again whole when it has \
    changed. What has not changed for forget_after is remembered as taken, not each by itself. region and \
    account (of Azure) are as the platform calls them; endpoint is another host than the platform's own, and \
    without TLS only if it begins with http://. The credentials are the platform's (AWS_ACCESS_KEY_ID and the \
    like, a role of the machine), or credentials_file has them, as lines NAME=VALUE with the names that the \
    platform's environment variables have. With live = false what comes is no sign of life of its source. \
    `pintle pull NAME` fetches at once. Not set; for example:";

/// An example of such a section.
pub(super) const EXAMPLE: &str = r#"#[pull.defender-export]
#url = "az://insights-logs-advancedhunting-{table}/"
#account = "exportedtelemetry"
#tenant = "default"
#format = "mde-streaming"
#interval = "1m"
#live = true
#forget_after = "7d"
#endpoint = "https://storage.example.org:9000"
#region = "eu-central-1"
#credentials_file = "/etc/pintle/export.credentials"
"#;

/// A store of objects whose telemetry is fetched.
#[derive(Clone, Debug, PartialEq)]
pub struct Pull {
    /// Where.
    pub url: PullUrl,
    /// The host to ask instead of the platform's.
    pub endpoint: Option<Endpoint>,
    /// The platform's region.
    pub region: Option<String>,
    /// The storage account, of Azure.
    pub account: Option<String>,
    /// A file with credentials; `None`: the platform's.
    pub credentials_file: Option<PathBuf>,
    /// The tenant whose telemetry it is, by name or GUID.
    pub tenant: String,
    /// The format of all of it, or a mapping's name; `None`: told from each object's content.
    pub format: Option<String>,
    /// Between two looks.
    pub interval: Duration,
    /// Whether what comes is a sign of life of its source.
    pub is_live: bool,
    /// How long an object that does not change is remembered by itself.
    pub forget_after: Duration,
}

/// The kind of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// Amazon's S3, or what speaks like it.
    S3,
    /// Azure's Blob Storage.
    Azure,
    /// A folder.
    Folder,
}

/// A store, and the beginning of the names of the objects in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullUrl {
    text: String,
    /// What kind of store it is.
    pub store: Store,
}

/// A place in a store, of which all objects are fetched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The bucket or container; of a folder nothing.
    pub bucket: String,
    /// What the objects' names begin with; of a folder its path.
    pub prefix: String,
}

impl PullUrl {
    /// Each place that it stands for: one, or one a hunting table.
    pub fn places(&self) -> Vec<Place> {
        let place = |text: &str| {
            let (_, rest) = text.split_once("://").unwrap_or_default();
            if self.store == Store::Folder {
                return Place { bucket: String::new(), prefix: rest.to_owned() };
            }
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            Place { bucket: bucket.to_owned(), prefix: prefix.trim_matches('/').to_owned() }
        };
        if !self.text.contains(TABLE) {
            return vec![place(&self.text)];
        }
        let named = tables::ALL.iter().map(|table| self.text.replace(TABLE, &table.name.to_lowercase()));
        named.map(|text| place(&text)).collect()
    }
}

impl FromStr for PullUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<PullUrl, String> {
        let problem = || {
            format!(
                "expected s3://BUCKET/PREFIX, az://CONTAINER/PREFIX or file:///FOLDER, without user and \
                 query, found {text:?}"
            )
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(problem)?;
        let store = match scheme {
            "s3" => Store::S3,
            "az" | "azblob" => Store::Azure,
            "file" => Store::Folder,
            _ => return Err(problem()),
        };
        let bucket = rest.split('/').next().unwrap_or_default();
        let is_place = match store {
            Store::Folder => bucket.is_empty() && rest.len() > 1,
            _ => {
                let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
                !bucket.is_empty() && bucket.replace(TABLE, "").chars().all(plain)
            }
        };
        let is_plain = text.len() <= 2_048
            && !text.chars().any(|c| c.is_control() || "?#@".contains(c))
            && rest.split('/').all(|part| part != "." && part != "..");
        if is_place && is_plain { Ok(PullUrl { text: text.to_owned(), store }) } else { Err(problem()) }
    }
}

impl fmt::Display for PullUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Value for PullUrl {
    fn from_text(text: &str) -> Result<PullUrl, String> {
        text.parse()
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(self))
    }
}

/// A host that speaks as a platform's does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

impl Endpoint {
    /// Its URL, without a slash at the end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is spoken to without TLS.
    pub fn is_plain(&self) -> bool {
        self.0.starts_with("http://")
    }
}

impl Value for Endpoint {
    fn from_text(text: &str) -> Result<Endpoint, String> {
        let problem =
            || format!("expected a URL such as \"https://storage.example.org:9000\", found {text:?}");
        let uri: Uri = text.parse().map_err(|_| problem())?;
        let is_endpoint = matches!(uri.scheme_str(), Some("https" | "http"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
            && uri.query().is_none()
            && !text.contains('#')
            && text.len() <= 2_048;
        is_endpoint.then(|| Endpoint(text.trim_end_matches('/').to_owned())).ok_or_else(problem)
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(&self.0))
    }
}

/// Reads the table of sections. `problem` is told, with its place in the file, whatever is wrong.
pub(super) fn read(sections: &DeTable<'_>, problem: &mut dyn FnMut(usize, String)) -> BTreeMap<String, Pull> {
    let mut pulls: BTreeMap<String, Pull> = BTreeMap::new();
    section::each(SECTION, sections, problem, &mut |name, section| {
        if pulls.len() >= MOST {
            (section.problem)(section.at, format!("more than {MOST} stores are not fetched from"));
            return;
        }
        if let Err(message) = Name::from_text(name) {
            (section.problem)(section.at, format!("{}: {message}", section.path));
            return;
        }
        if let Some(pull) = section.pull() {
            pulls.insert(name.to_owned(), pull);
        }
    });
    pulls
}

/// The keys of a section.
const KEYS: &[&str] = &[
    "url",
    "endpoint",
    "region",
    "account",
    "credentials_file",
    "tenant",
    "format",
    "interval",
    "live",
    "forget_after",
];

impl Section<'_, '_> {
    /// The whole section; `None` if a key that it needs is missing or wrong.
    fn pull(&mut self) -> Option<Pull> {
        self.no_others(KEYS);
        let url = self.required::<PullUrl>("url", "where to fetch from");
        let minute = Duration::from_secs(60);
        let mut text = |name| self.optional(name).map(|Name(text)| text);
        let pull = Pull {
            tenant: text("tenant").unwrap_or_else(|| "default".to_owned()),
            format: text("format"),
            region: text("region"),
            account: text("account"),
            endpoint: self.optional("endpoint"),
            credentials_file: self.optional("credentials_file"),
            interval: self.optional("interval").unwrap_or(minute),
            is_live: self.optional("live").unwrap_or(true),
            forget_after: self.optional("forget_after").unwrap_or(minute * 60 * 24 * 7),
            url: url?,
        };
        if pull.interval < Duration::from_millis(100) {
            self.wrong("interval", "expected at least 100ms".to_owned());
        }
        if pull.forget_after < minute * 60 {
            self.wrong("forget_after", "expected at least 1h".to_owned());
        }
        if pull.account.is_some() && pull.url.store != Store::Azure {
            self.wrong("account", "only Azure has accounts: az://CONTAINER/PREFIX".to_owned());
        }
        let of_platform = pull.endpoint.is_some() || pull.credentials_file.is_some();
        if of_platform && pull.url.store == Store::Folder {
            self.wrong("url", "a folder has no endpoint and no credentials".to_owned());
        }
        Some(pull)
    }
}

impl Pull {
    /// The section as TOML, a line a key.
    pub(super) fn show(&self, name: &str) -> String {
        let path = format!("{SECTION}.{}", quoted(name));
        let mut text = String::new();
        for (key, value) in [
            ("url", self.url.to_toml()),
            ("endpoint", self.endpoint.to_toml()),
            ("region", self.region.as_deref().map(quoted)),
            ("account", self.account.as_deref().map(quoted)),
            ("credentials_file", self.credentials_file.to_toml()),
            ("tenant", Some(quoted(&self.tenant))),
            ("format", self.format.as_deref().map(quoted)),
            ("interval", self.interval.to_toml()),
            ("live", self.is_live.to_toml()),
            ("forget_after", self.forget_after.to_toml()),
        ] {
            match value {
                Some(value) => _ = writeln!(text, "{path}.{key} = {value}"),
                None => _ = writeln!(text, "#{path}.{key} is not set"),
            }
        }
        text
    }
}
