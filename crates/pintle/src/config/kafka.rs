//! Sections `[kafka.NAME]`: topics of Kafka, or of what speaks like it, whose telemetry is taken as it comes.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::str::FromStr;

use pintle_store::Batch;
use toml::de::DeTable;

use super::pull::Endpoint;
use super::section::{self, Name, Section};
use super::value::{Value, quoted};

/// What the sections' names begin with.
pub const SECTION: &str = "kafka";

/// The most sections.
const MOST: usize = 64;
/// The most topics, or brokers, of a section.
const MOST_NAMES: usize = 64;

/// What the sample file says of these sections.
pub(super) const HELP: &str = "Topics of Kafka, or of Azure Event Hubs, whose telemetry `pintle serve` takes as it \
    comes have a section [kafka.NAME]; NAME is the source's unless source says another. A message is a record, \
    lines, a list or an envelope of records, packed or not. Offsets are committed for the consumer group only \
    once what was taken is durable, so after a crash some is taken again, which changes nothing. What cannot be \
    read is kept aside and never waited for. begin says where a group begins that has committed nothing yet: \
    earliest, or latest, with which a partition that never gave anything begins at its end after each start. \
    Brokers are spoken to over TLS unless tls is false; ca_file has other authorities than the system's. sasl is \
    plain, scram-sha-256 or scram-sha-512, for which credentials_file has lines USERNAME= and PASSWORD=, or as its \
    only line a connection string of Event Hubs; or oauthbearer, for which it has CLIENT_ID= and CLIENT_SECRET=, \
    with which tokens of the scope are got at token_url. With live = false what comes is no sign of life of its \
    source. Only where Pintle is built with `--features kafka`. Not set; for example:";

/// An example of such a section.
pub(super) const EXAMPLE: &str = r#"#[kafka.sensors]
#brokers = ["NAMESPACE.servicebus.windows.net:9093"]
#topics = ["defender"]
#group = "pintle"
#tenant = "default"
#source = "sensors"
#format = "mde-streaming"
#begin = "earliest"
#live = true
#tls = true
#ca_file = "/etc/pintle/brokers.pem"
#sasl = "oauthbearer"
#credentials_file = "/etc/pintle/sensors.credentials"
#token_url = "https://login.microsoftonline.com/TENANT/oauth2/v2.0/token"
#scope = "https://NAMESPACE.servicebus.windows.net/.default"
"#;

/// Topics whose telemetry is taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Kafka {
    /// Where a cluster is first asked.
    pub brokers: Vec<Broker>,
    /// What is taken.
    pub topics: Vec<Topic>,
    /// The consumer group.
    pub group: String,
    /// The tenant whose telemetry it is, by name or GUID.
    pub tenant: String,
    /// The source of it.
    pub source: String,
    /// The format of all of it, or a mapping's name; `None`: told from each message.
    pub format: Option<String>,
    /// Where a group begins that has committed nothing.
    pub begin: Begin,
    /// Whether what comes is a sign of life of its source.
    pub is_live: bool,
    /// Whether brokers are spoken to over TLS.
    pub has_tls: bool,
    /// A file with the authorities that vouch for brokers; `None`: the system's.
    pub ca_file: Option<PathBuf>,
    /// How brokers are shown who asks.
    pub sasl: Option<Sasl>,
}

/// How brokers are shown who asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Sasl {
    /// The mechanism.
    pub mechanism: Mechanism,
    /// A file with what it needs.
    pub credentials_file: PathBuf,
    /// Where tokens are got, for [`Mechanism::OauthBearer`].
    pub token_url: Option<Endpoint>,
    /// Of which scope.
    pub scope: Option<String>,
}

/// Reads a word of several, and writes it.
macro_rules! words {
    ($(#[$about:meta])* $kind:ident { $($(#[$of:meta])* $variant:ident = $word:literal),+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $kind { $($(#[$of])* $variant),+ }

        impl $kind {
            /// As the settings have it.
            pub fn word(self) -> &'static str {
                match self { $($kind::$variant => $word),+ }
            }
        }

        impl Value for $kind {
            fn from_text(text: &str) -> Result<$kind, String> {
                match text {
                    $($word => Ok($kind::$variant),)+
                    _ => Err(format!("expected one of {:?}, found {text:?}", [$($word),+])),
                }
            }

            fn to_toml(&self) -> Option<String> {
                Some(quoted(self.word()))
            }
        }
    };
}

words!(
    /// Where a group begins that has committed nothing.
    Begin {
        /// With what there is.
        Earliest = "earliest",
        /// With what comes.
        Latest = "latest"
    }
);

words!(
    /// A mechanism of SASL.
    Mechanism {
        /// A name and a password, as they are.
        Plain = "plain",
        /// A password that is proved and not told.
        ScramSha256 = "scram-sha-256",
        /// The same with a longer hash.
        ScramSha512 = "scram-sha-512",
        /// A token of an OAuth2 server.
        OauthBearer = "oauthbearer"
    }
);

/// A broker's host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker(String);

impl FromStr for Broker {
    type Err = String;

    fn from_str(text: &str) -> Result<Broker, String> {
        let is_host = |host: &str| {
            !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_[]:".contains(c))
        };
        let is_broker = text.len() <= 300
            && text
                .rsplit_once(':')
                .is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok_and(|port| port > 0));
        let problem =
            || format!("expected a host and a port such as \"kafka.example.org:9093\", found {text:?}");
        is_broker.then(|| Broker(text.to_owned())).ok_or_else(problem)
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A topic's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic(String);

impl Topic {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Topic {
    type Err = String;

    fn from_str(text: &str) -> Result<Topic, String> {
        let is_topic = (1..=249).contains(&text.len())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        let problem = || format!("expected a topic's name of letters, digits, dots, _ and -, found {text:?}");
        is_topic.then(|| Topic(text.to_owned())).ok_or_else(problem)
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads the table of sections. `problem` is told, with its place in the file, whatever is wrong.
pub(super) fn read(
    sections: &DeTable<'_>,
    problem: &mut dyn FnMut(usize, String),
) -> BTreeMap<String, Kafka> {
    let mut kafkas: BTreeMap<String, Kafka> = BTreeMap::new();
    section::each(SECTION, sections, problem, &mut |name, section| {
        if !cfg!(feature = "kafka") {
            let path = section.path;
            let remedy = "build it with `cargo build --release --features kafka`";
            (section.problem)(section.at, format!("{path}: this pintle is built without Kafka: {remedy}"));
        }
        if kafkas.len() >= MOST {
            (section.problem)(section.at, format!("more than {MOST} sections of Kafka are not read"));
            return;
        }
        if let Err(message) = Name::from_text(name) {
            (section.problem)(section.at, format!("{}: {message}", section.path));
            return;
        }
        if let Some(kafka) = section.kafka(name) {
            kafkas.insert(name.to_owned(), kafka);
        }
    });
    kafkas
}

/// The keys of a section.
const KEYS: &[&str] = &[
    "brokers",
    "topics",
    "group",
    "tenant",
    "source",
    "format",
    "begin",
    "live",
    "tls",
    "ca_file",
    "sasl",
    "credentials_file",
    "token_url",
    "scope",
];

impl Section<'_, '_> {
    /// The whole section; `None` if a key that it needs is missing or wrong.
    fn kafka(&mut self, name: &str) -> Option<Kafka> {
        self.no_others(KEYS);
        let brokers = self.required::<Vec<Broker>>("brokers", "where the cluster is");
        let topics = self.required::<Vec<Topic>>("topics", "what to take");
        let mut text = |name| self.optional(name).map(|Name(text)| text);
        let group = text("group").unwrap_or_else(|| "pintle".to_owned());
        let tenant = text("tenant").unwrap_or_else(|| "default".to_owned());
        let source = text("source").unwrap_or_else(|| name.to_owned());
        let format = text("format");
        let kafka = Kafka {
            group,
            tenant,
            source,
            format,
            begin: self.optional("begin").unwrap_or(Begin::Earliest),
            is_live: self.optional("live").unwrap_or(true),
            has_tls: self.optional("tls").unwrap_or(true),
            ca_file: self.optional("ca_file"),
            sasl: self.sasl(),
            brokers: brokers?,
            topics: topics?,
        };
        for (key, count) in [("brokers", kafka.brokers.len()), ("topics", kafka.topics.len())] {
            if !(1..=MOST_NAMES).contains(&count) {
                self.wrong(key, format!("expected 1 to {MOST_NAMES} of them"));
            }
        }
        if Batch::is_reserved(&kafka.source) {
            self.wrong("source", format!("no telemetry comes under the name {:?}", kafka.source));
        }
        if kafka.ca_file.is_some() && !kafka.has_tls {
            self.wrong("ca_file", "counts only with TLS".to_owned());
        }
        Some(kafka)
    }

    fn sasl(&mut self) -> Option<Sasl> {
        let mechanism = self.optional::<Mechanism>("sasl");
        let credentials_file = self.optional::<PathBuf>("credentials_file");
        let token_url = self.optional::<Endpoint>("token_url");
        let scope = self.optional("scope").map(|Name(scope)| scope);
        let Some(mechanism) = mechanism else {
            for key in ["credentials_file", "token_url", "scope"] {
                if self.find(key).is_some() && self.find("sasl").is_none() {
                    self.wrong(key, "counts only with sasl".to_owned());
                }
            }
            return None;
        };
        if credentials_file.is_none() && self.find("credentials_file").is_none() {
            self.wrong("sasl", "needs a credentials_file".to_owned());
        }
        match (mechanism, &token_url) {
            (Mechanism::OauthBearer, None) if self.find("token_url").is_none() => {
                self.wrong("sasl", "oauthbearer needs the token_url where tokens are got".to_owned());
            }
            (Mechanism::OauthBearer, _) => {}
            _ => {
                for key in ["token_url", "scope"] {
                    if self.find(key).is_some() {
                        self.wrong(key, "counts only with sasl = \"oauthbearer\"".to_owned());
                    }
                }
            }
        }
        Some(Sasl { mechanism, credentials_file: credentials_file?, token_url, scope })
    }
}

impl Kafka {
    /// The section as TOML, a line a key.
    pub(super) fn show(&self, name: &str) -> String {
        let path = format!("{SECTION}.{}", quoted(name));
        let sasl = self.sasl.as_ref();
        let mut text = String::new();
        for (key, value) in [
            ("brokers", self.brokers.to_toml()),
            ("topics", self.topics.to_toml()),
            ("group", Some(quoted(&self.group))),
            ("tenant", Some(quoted(&self.tenant))),
            ("source", Some(quoted(&self.source))),
            ("format", self.format.as_deref().map(quoted)),
            ("begin", self.begin.to_toml()),
            ("live", self.is_live.to_toml()),
            ("tls", self.has_tls.to_toml()),
            ("ca_file", self.ca_file.to_toml()),
            ("sasl", sasl.and_then(|sasl| sasl.mechanism.to_toml())),
            ("credentials_file", sasl.and_then(|sasl| sasl.credentials_file.to_toml())),
            ("token_url", sasl.and_then(|sasl| sasl.token_url.to_toml())),
            ("scope", sasl.and_then(|sasl| sasl.scope.as_deref()).map(quoted)),
        ] {
            match value {
                Some(value) => _ = writeln!(text, "{path}.{key} = {value}"),
                None => _ = writeln!(text, "#{path}.{key} is not set"),
            }
        }
        text
    }
}
