//! What librdkafka tells and asks of itself: errors, how the partitions stand, tokens.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::statistics::Statistics;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::client::Credentials;
use crate::config::kafka::Sasl;
use crate::pull::{Client, token};

/// How long what went wrong counts that was not told again: an error that lasts is told more often.
const LASTING: Duration = Duration::from_secs(120);
/// Partitions that are told of.
const MOST_TOLD: usize = 1_000;
/// The longest text of an error that is kept, in characters.
const LONGEST_TEXT: usize = 500;

/// How a consumer stands.
#[derive(Default)]
pub struct Standing {
    /// What goes wrong, by its kind: when it was told last, and how.
    troubles: BTreeMap<String, (Instant, String)>,
    partitions: Vec<Partition>,
}

struct Partition {
    topic: String,
    number: i32,
    committed: Option<i64>,
    lag: Option<i64>,
}

impl Standing {
    /// Something goes wrong. It is logged when it begins.
    pub fn trouble(&mut self, section: &str, kind: &str, reason: &str) {
        let reason: String = reason.chars().take(LONGEST_TEXT).collect();
        if !self.troubles.contains_key(kind) {
            tracing::warn!(
                kafka = section,
                trouble = reason,
                "telemetry of Kafka is not taken; it is tried again"
            );
        }
        self.troubles.insert(kind.to_owned(), (Instant::now(), reason));
    }

    /// What went wrong does not any more.
    pub fn over(&mut self, section: &str, kind: &str) {
        if self.troubles.remove(kind).is_some() && self.troubles.is_empty() {
            tracing::info!(kafka = section, "telemetry of Kafka is taken again");
        }
    }

    /// Forgets what was not told again.
    pub fn forget(&mut self, section: &str) {
        let over = |(told, _): &(Instant, String)| told.elapsed() > LASTING;
        let kinds: Vec<String> =
            self.troubles.iter().filter(|(_, told)| over(told)).map(|(kind, _)| kind.clone()).collect();
        for kind in kinds {
            self.over(section, &kind);
        }
    }

    /// Partitions, the sum of what waits in them, troubles.
    pub fn counts(&self) -> (usize, i64, usize) {
        let lag = self.partitions.iter().filter_map(|partition| partition.lag).sum();
        (self.partitions.len(), lag, self.troubles.len())
    }

    /// As clients are told it.
    pub fn told(&self) -> (Vec<Value>, Vec<&str>) {
        let partitions = self.partitions.iter().take(MOST_TOLD).map(|partition| {
            let Partition { topic, number, committed, lag } = partition;
            json!({ "topic": topic, "partition": number, "committed": committed, "lag": lag })
        });
        (partitions.collect(), self.troubles.values().map(|(_, reason)| reason.as_str()).collect())
    }
}

/// Shared by a consumer and who owns it.
#[derive(Clone)]
pub struct Context {
    pub section: String,
    pub sasl: Option<Sasl>,
    pub client: Client,
    pub runtime: Handle,
    pub standing: Arc<Mutex<Standing>>,
}

impl Context {
    pub fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn token(&self) -> Result<OAuthToken, String> {
        let sasl = self.sasl.as_ref().ok_or("there is no sasl")?;
        // Read anew, as what is in it may be exchanged.
        let Credentials::Client { id, secret } = Credentials::read(sasl)? else {
            return Err("there is no application".to_owned());
        };
        let url = sasl.token_url.as_ref().ok_or("there is no token_url")?;
        let fetching = token::fetch(&self.client, url, sasl.scope.as_deref(), (&id, &secret));
        let token = self.runtime.block_on(fetching)?;
        let until = SystemTime::now() + token.lasts;
        let until = until.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let lifetime_ms = i64::try_from(until.as_millis()).unwrap_or(i64::MAX);
        Ok(OAuthToken { token: token.text, principal_name: id, lifetime_ms })
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        // Whatever matters of it comes as an error too.
        tracing::debug!(kafka = self.section, facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let kind = error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| format!("{code:?}"));
        self.standing().trouble(&self.section, &kind, reason);
    }

    fn stats(&self, statistics: Statistics) {
        let mut partitions = Vec::new();
        for topic in statistics.topics.into_values() {
            for (number, partition) in topic.partitions {
                // -1 is an internal one, and others' are not fetched.
                if number < 0 || partition.fetch_state == "none" {
                    continue;
                }
                let known = |number: i64| (number >= 0).then_some(number);
                partitions.push(Partition {
                    topic: topic.topic.clone(),
                    number,
                    committed: known(partition.committed_offset),
                    lag: known(partition.consumer_lag),
                });
            }
        }
        partitions.sort_by(|one, other| (&one.topic, one.number).cmp(&(&other.topic, other.number)));
        self.standing().partitions = partitions;
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        let got = self.token();
        match &got {
            Ok(_) => self.standing().over(&self.section, "token"),
            Err(reason) => {
                let reason = format!("there is no token for the brokers: {reason}");
                self.standing().trouble(&self.section, "token", &reason);
            }
        }
        Ok(got.map_err(|reason| reason.replace('\0', " "))?)
    }
}

impl ConsumerContext for Context {}
