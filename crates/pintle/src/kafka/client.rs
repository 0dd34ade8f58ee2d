//! What librdkafka is told: the settings, credentials, and what bounds its memory.

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::config::Kafka;
use crate::config::kafka::{Mechanism, Sasl};
use crate::pull::credentials;

/// What is fetched before it is asked for, in KiB.
const QUEUED: u32 = 16 << 10;
/// What one answer of a broker has beside a message that is larger by itself.
const FETCHED: u32 = 8 << 20;
/// The longest answer, and with it the largest message.
const LONGEST_ANSWER: u32 = 64 << 20;
/// The user whose password is a connection string, as Event Hubs has it.
const OF_CONNECTION_STRING: &str = "$ConnectionString";

/// What a file of credentials says.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Of [`Mechanism::Plain`] and the SCRAMs.
    Password {
        /// Who asks.
        user: String,
        /// The password.
        password: String,
    },
    /// Of [`Mechanism::OauthBearer`].
    Client {
        /// The application's id.
        id: String,
        /// Its secret.
        secret: String,
    },
}

impl Credentials {
    /// Reads the file. The reason why it cannot be used has nothing of what stands in it.
    pub fn read(sasl: &Sasl) -> Result<Credentials, String> {
        let found = credentials::read(&sasl.credentials_file)?;
        // As the portal gives it: Endpoint=sb://…;SharedAccessKeyName=…;SharedAccessKey=…
        let connection = found.iter().find(|(name, value)| name == "Endpoint" && value.starts_with("sb://"));
        if let (Some((_, rest)), Mechanism::Plain) = (connection, sasl.mechanism) {
            let password = format!("Endpoint={rest}");
            return Ok(Credentials::Password { user: OF_CONNECTION_STRING.to_owned(), password });
        }
        let of = |name| credentials::of(&sasl.credentials_file, &found, name);
        Ok(match sasl.mechanism {
            Mechanism::OauthBearer => {
                Credentials::Client { id: of("CLIENT_ID")?, secret: of("CLIENT_SECRET")? }
            }
            _ => Credentials::Password { user: of("USERNAME")?, password: of("PASSWORD")? },
        })
    }
}

/// What librdkafka is told of a section.
pub fn properties(settings: &Kafka, credentials: Option<&Credentials>) -> Vec<(&'static str, String)> {
    let brokers: Vec<String> = settings.brokers.iter().map(ToString::to_string).collect();
    let protocol = match (&settings.sasl, settings.has_tls) {
        (None, false) => "plaintext",
        (None, true) => "ssl",
        (Some(_), false) => "sasl_plaintext",
        (Some(_), true) => "sasl_ssl",
    };
    let mut told = vec![
        ("client.id", "pintle".to_owned()),
        ("bootstrap.servers", brokers.join(",")),
        ("security.protocol", protocol.to_owned()),
        ("group.id", settings.group.clone()),
        ("auto.offset.reset", settings.begin.word().to_owned()),
        // Offsets are stored, and committed, once what stands before them is durable.
        ("enable.auto.commit", "false".to_owned()),
        ("enable.auto.offset.store", "false".to_owned()),
        ("allow.auto.create.topics", "false".to_owned()),
        ("queued.max.messages.kbytes", QUEUED.to_string()),
        ("fetch.message.max.bytes", (1 << 20).to_string()),
        ("fetch.max.bytes", FETCHED.to_string()),
        ("receive.message.max.bytes", LONGEST_ANSWER.to_string()),
        // A message that takes a worker its ten minutes does not end the membership.
        ("max.poll.interval.ms", "1800000".to_owned()),
        // Event Hubs closes what is idle for four minutes, and takes no shorter sessions.
        ("session.timeout.ms", "30000".to_owned()),
        ("socket.keepalive.enable", "true".to_owned()),
        ("metadata.max.age.ms", "180000".to_owned()),
        ("statistics.interval.ms", "5000".to_owned()),
    ];
    if let Some(file) = &settings.ca_file {
        told.push(("ssl.ca.location", file.display().to_string()));
    }
    if let Some(sasl) = &settings.sasl {
        let mechanism = match sasl.mechanism {
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
            Mechanism::OauthBearer => "OAUTHBEARER",
        };
        told.push(("sasl.mechanism", mechanism.to_owned()));
    }
    if let Some(Credentials::Password { user, password }) = credentials {
        told.extend([("sasl.username", user.clone()), ("sasl.password", password.clone())]);
    }
    told
}

/// The same as librdkafka takes it.
pub fn config(settings: &Kafka) -> Result<ClientConfig, String> {
    let credentials = settings.sasl.as_ref().map(Credentials::read).transpose()?;
    let mut config = ClientConfig::new();
    for (name, value) in properties(settings, credentials.as_ref()) {
        config.set(name, value);
    }
    config.set_log_level(RDKafkaLogLevel::Info);
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{Loaded, Sources};

    /// What a section with these lines, and these in its credentials_file, tells librdkafka.
    fn told(lines: &str, credentials: &str) -> Result<BTreeMap<&'static str, String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("credentials");
        std::fs::write(&file, credentials).unwrap();
        let lines = lines.replace("CREDENTIALS", file.to_str().unwrap());
        let text = format!("[kafka.a]\nbrokers = [\"k:1\", \"l:2\"]\ntopics = [\"t\"]\n{lines}\n");
        let sources = Sources { file: Some(("pintle.toml".into(), text)), ..Sources::default() };
        let kafka = Loaded::from_sources(&sources).unwrap().config.kafka["a"].clone();
        let credentials = kafka.sasl.as_ref().map(Credentials::read).transpose()?;
        let told: BTreeMap<_, _> = properties(&kafka, credentials.as_ref()).into_iter().collect();
        // librdkafka has each, and takes the values.
        config(&kafka)?.create_native_config().map_err(|error| error.to_string())?;
        Ok(told)
    }

    fn has(told: &BTreeMap<&str, String>, expected: &[(&str, &str)]) {
        for (name, value) in expected {
            assert_eq!(told.get(name).map(String::as_str), Some(*value), "{name}");
        }
    }

    #[test]
    fn nothing_is_committed_before_it_is_said_to_be_durable() {
        let told = told("group = \"soc\"\nbegin = \"latest\"", "").unwrap();
        has(
            &told,
            &[
                ("bootstrap.servers", "k:1,l:2"),
                ("security.protocol", "ssl"),
                ("group.id", "soc"),
                ("auto.offset.reset", "latest"),
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
            ],
        );
        assert!(!told.contains_key("sasl.mechanism") && !told.contains_key("ssl.ca.location"));
    }

    #[test]
    fn what_is_spoken_and_who_asks_is_as_the_settings_say() {
        has(&told("tls = false", "").unwrap(), &[("security.protocol", "plaintext")]);
        has(&told("ca_file = \"/etc/ca.pem\"", "").unwrap(), &[("ssl.ca.location", "/etc/ca.pem")]);
        let password = "# of the sensors\nUSERNAME=soc\nPASSWORD=hush=hush;\n";
        let sasl = |mechanism: &str| format!("sasl = \"{mechanism}\"\ncredentials_file = \"CREDENTIALS\"");
        for (mechanism, called) in
            [("plain", "PLAIN"), ("scram-sha-256", "SCRAM-SHA-256"), ("scram-sha-512", "SCRAM-SHA-512")]
        {
            let told = told(&sasl(mechanism), password).unwrap();
            let expected = [
                ("security.protocol", "sasl_ssl"),
                ("sasl.mechanism", called),
                ("sasl.username", "soc"),
                ("sasl.password", "hush=hush;"),
            ];
            has(&told, &expected);
        }
        let plain = format!("tls = false\n{}", sasl("plain"));
        has(&told(&plain, password).unwrap(), &[("security.protocol", "sasl_plaintext")]);
        let bearer = format!("{}\ntoken_url = \"https://login.example.org/t\"", sasl("oauthbearer"));
        let told = told(&bearer, "CLIENT_ID=a\nCLIENT_SECRET=hush\n").unwrap();
        has(&told, &[("sasl.mechanism", "OAUTHBEARER"), ("security.protocol", "sasl_ssl")]);
        assert!(!told.contains_key("sasl.password") && !told.values().any(|value| value.contains("hush")));
    }

    #[test]
    fn a_connection_string_of_event_hubs_is_taken_as_the_portal_gives_it() {
        let text =
            "Endpoint=sb://n.servicebus.windows.net/;SharedAccessKeyName=listen;SharedAccessKey=c2VjcmV0=";
        let told =
            told("sasl = \"plain\"\ncredentials_file = \"CREDENTIALS\"", &format!("{text}\n")).unwrap();
        has(&told, &[("sasl.username", "$ConnectionString"), ("sasl.password", text)]);
    }

    #[test]
    fn what_is_missing_of_credentials_is_said_and_nothing_of_what_is_there() {
        let lines = "sasl = \"plain\"\ncredentials_file = \"CREDENTIALS\"";
        for (file, expected) in [
            ("USERNAME=hush\n", "no line PASSWORD="),
            ("hush\n", "line 1 is not NAME=VALUE"),
            ("", "no credentials"),
        ] {
            let problem = told(lines, file).unwrap_err();
            assert!(problem.contains(expected) && !problem.contains("hush"), "{problem}");
        }
    }
}
