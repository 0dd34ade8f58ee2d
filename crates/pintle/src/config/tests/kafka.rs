//! Sections of Kafka.

use super::*;

#[cfg(not(feature = "kafka"))]
#[test]
fn a_section_says_how_to_build_where_there_is_no_kafka() {
    let problems = problems("[kafka.a]\nbrokers = [\"k:9092\"]\ntopics = [\"t\"]\n", &[]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    let expected =
        "kafka.a: this pintle is built without Kafka: build it with `cargo build --release --features kafka`";
    assert!(problems[0].ends_with(expected), "{problems:?}");
}

#[cfg(feature = "kafka")]
mod with_kafka {
    use std::path::Path;

    use super::*;
    use crate::config::kafka::{Begin, Mechanism};

    const SENSORS: &str = r#"
[kafka.sensors]
brokers = ["k1.example.org:9093", "[::1]:9093"]
topics = ["edr", "alerts.v1"]
group = "soc"
tenant = "acme"
source = "edr"
format = "mde-streaming"
begin = "latest"
live = false
tls = true
ca_file = "/etc/pintle/brokers.pem"
sasl = "oauthbearer"
credentials_file = "/etc/pintle/sensors"
token_url = "https://login.example.org/token"
scope = "https://n.servicebus.windows.net/.default"
"#;

    #[test]
    fn a_section_is_read_whole_and_shown_as_it_was() {
        let config = load(SENSORS);
        let kafka = &config.kafka["sensors"];
        let brokers: Vec<String> = kafka.brokers.iter().map(ToString::to_string).collect();
        assert_eq!(brokers, ["k1.example.org:9093", "[::1]:9093"]);
        assert_eq!(kafka.topics.iter().map(|topic| topic.as_str()).collect::<Vec<_>>(), ["edr", "alerts.v1"]);
        assert_eq!(
            (kafka.group.as_str(), kafka.tenant.as_str(), kafka.source.as_str()),
            ("soc", "acme", "edr")
        );
        assert_eq!((kafka.begin, kafka.is_live, kafka.has_tls), (Begin::Latest, false, true));
        assert_eq!(kafka.ca_file.as_deref(), Some(Path::new("/etc/pintle/brokers.pem")));
        let sasl = kafka.sasl.as_ref().unwrap();
        assert_eq!(
            (sasl.mechanism, sasl.credentials_file.as_path()),
            (Mechanism::OauthBearer, Path::new("/etc/pintle/sensors"))
        );
        assert_eq!(sasl.token_url.as_ref().unwrap().as_str(), "https://login.example.org/token");
        assert_eq!(load(&kafka.show("sensors")), config);
    }

    #[test]
    fn what_is_not_set_has_a_default() {
        let config = load("[kafka.a]\nbrokers = [\"k:9092\"]\ntopics = [\"t\"]\n");
        let kafka = &config.kafka["a"];
        assert_eq!(
            (kafka.group.as_str(), kafka.tenant.as_str(), kafka.source.as_str()),
            ("pintle", "default", "a")
        );
        assert_eq!((kafka.begin, kafka.is_live, kafka.has_tls), (Begin::Earliest, true, true));
        assert_eq!((&kafka.format, &kafka.ca_file, &kafka.sasl), (&None, &None, &None));
        assert_eq!(load(&kafka.show("a")), config);
    }

    #[test]
    fn what_is_wrong_with_a_section_is_said_with_its_remedy() {
        let without = |line: &str| {
            SENSORS.lines().filter(|have| !have.starts_with(line)).collect::<Vec<_>>().join("\n")
        };
        let with = |wrong: &str, right: &str| SENSORS.replacen(right, wrong, 1);
        for (file, expected) in [
            (without("brokers"), "kafka.sensors.brokers is not set: it is where the cluster is"),
            (without("topics"), "kafka.sensors.topics is not set: it is what to take"),
            (with("[]", "[\"edr\", \"alerts.v1\"]"), "kafka.sensors.topics: expected 1 to 64"),
            (with("\"^edr\"", "\"edr\""), "kafka.sensors.topics: expected a topic's name"),
            (
                with("\"k1,k2:9093\"", "\"k1.example.org:9093\""),
                "kafka.sensors.brokers: expected a host and a port",
            ),
            (with("\"k1\"", "\"k1.example.org:9093\""), "kafka.sensors.brokers: expected a host and a port"),
            (with("\"newest\"", "\"latest\""), "kafka.sensors.begin: expected one of"),
            (with("\"gssapi\"", "\"oauthbearer\""), "kafka.sensors.sasl: expected one of"),
            (
                with("\"plain\"", "\"oauthbearer\""),
                "kafka.sensors.token_url: counts only with sasl = \"oauthbearer\"",
            ),
            (with("tls = false", "tls = true"), "kafka.sensors.ca_file: counts only with TLS"),
            (without("sasl"), "kafka.sensors.credentials_file: counts only with sasl"),
            (without("credentials_file"), "kafka.sensors.sasl: needs a credentials_file"),
            (without("token_url"), "kafka.sensors.sasl: oauthbearer needs the token_url"),
            (with("source = \"(pintle)\"", "source = \"edr\""), "no telemetry comes under the name"),
            (with("gruop", "group"), "unknown key kafka.sensors.gruop, did you mean kafka.sensors.group"),
            (with("[kafak.sensors]", "[kafka.sensors]"), "did you mean [kafka.NAME]"),
        ] {
            let problems = problems(&file, &[]);
            assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected}: {problems:#?}");
        }
    }
}
