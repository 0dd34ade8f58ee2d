//! Sections `[pull.NAME]`: what is fetched from, stores of objects and APIs, as its telemetry comes and grows.

mod api;
mod objects;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use hyper::Uri;
use toml::de::DeTable;

use super::section::{self, Name, Section};
use super::value::{Value, quoted};
pub use api::Api;
pub use objects::{Objects, Place, PullUrl, Store};

/// What the sections' names begin with.
pub const SECTION: &str = "pull";

/// The most sections.
const MOST: usize = 64;

/// What the sample file says of these sections.
pub(super) const HELP: &str = "A bucket of S3, a container of Azure's Blob Storage, a folder or an API like \
    Defender's whose telemetry `pintle serve` fetches every interval has a section [pull.NAME]; NAME is the \
    source's. url is where: s3://BUCKET/PREFIX, az://CONTAINER/PREFIX or file:///FOLDER; {table} in it stands for \
    the name of each hunting table in lower case, so that one section takes all of Defender's storage export. An \
    object of lines of JSON that grows is taken from where it was; anything else is taken again whole when it has \
    changed. What has not changed for forget_after is remembered as taken, not each by itself. region and \
    account (of Azure) are as the platform calls them; endpoint is another host than the platform's own, and \
    without TLS only if it begins with http://. The credentials are the platform's (AWS_ACCESS_KEY_ID and the \
    like, a role of the machine), or credentials_file has them, as lines NAME=VALUE with the names that the \
    platform's environment variables have. Where api is set instead of url, its alerts with their evidence are \
    fetched, at first those that were updated within look_back, every interval those that were updated since, and \
    its machines every machines_interval. credentials_file has the lines CLIENT_ID= and CLIENT_SECRET= of an \
    application that may read all alerts and machines, and tokens of the scope are got for it at token_url. It \
    is asked no oftener than calls_per_minute and calls_per_hour say (Defender allows an application 100 and \
    1500), and waits as long as it is told to. With live = false what comes is no sign of life of its source. \
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
#[pull.defender]
#api = "https://api.security.microsoft.com"
#token_url = "https://login.microsoftonline.com/TENANT/oauth2/v2.0/token"
#scope = "https://api.securitycenter.microsoft.com/.default"
#credentials_file = "/etc/pintle/defender.credentials"
#tenant = "default"
#interval = "1m"
#live = true
#look_back = "180d"
#machines_interval = "1h"
#calls_per_minute = 50
#calls_per_hour = 750
"#;

/// What is fetched from.
#[derive(Clone, Debug, PartialEq)]
pub struct Pull {
    /// Where.
    pub upstream: Upstream,
    /// The tenant whose telemetry it is, by name or GUID.
    pub tenant: String,
    /// Between two looks.
    pub interval: Duration,
    /// Whether what comes is a sign of life of its source.
    pub is_live: bool,
}

/// Who gives telemetry when asked for it.
#[derive(Clone, Debug, PartialEq)]
pub enum Upstream {
    /// A store of objects.
    Objects(Objects),
    /// An API like Defender's.
    Api(Api),
}

/// A host that speaks as another does whose place it takes.
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
            (section.problem)(section.at, format!("more than {MOST} sources are not fetched from"));
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

/// The keys that all sections have.
const KEYS: &[&str] = &["tenant", "interval", "live"];

impl Section<'_, '_> {
    /// The whole section; `None` if a key that it needs is missing or wrong.
    fn pull(&mut self) -> Option<Pull> {
        let is_api = self.find("api").is_some();
        self.no_others(&[if is_api { api::KEYS } else { objects::KEYS }, KEYS].concat());
        let pull = Pull {
            tenant: self.optional("tenant").map_or_else(|| "default".to_owned(), |Name(text)| text),
            interval: self.optional("interval").unwrap_or(Duration::from_secs(60)),
            is_live: self.optional("live").unwrap_or(true),
            upstream: if is_api { Upstream::Api(self.api()?) } else { Upstream::Objects(self.objects()?) },
        };
        if pull.interval < Duration::from_millis(100) {
            self.wrong("interval", "expected at least 100ms".to_owned());
        }
        Some(pull)
    }
}

impl Pull {
    /// The section as TOML, a line a key.
    pub(super) fn show(&self, name: &str) -> String {
        let path = format!("{SECTION}.{}", quoted(name));
        let mut keys = match &self.upstream {
            Upstream::Objects(objects) => objects.keys(),
            Upstream::Api(api) => api.keys(),
        };
        keys.extend([
            ("tenant", Some(quoted(&self.tenant))),
            ("interval", self.interval.to_toml()),
            ("live", self.is_live.to_toml()),
        ]);
        let mut text = String::new();
        for (key, value) in keys {
            match value {
                Some(value) => _ = writeln!(text, "{path}.{key} = {value}"),
                None => _ = writeln!(text, "#{path}.{key} is not set"),
            }
        }
        text
    }
}
