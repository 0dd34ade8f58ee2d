//! A section's consumer: what comes is gathered, taken, and committed once it is durable.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pintle_ingest::Message;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};
use serde_json::json;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::client;
use super::context::{Context, Standing};
use crate::config::Kafka;
use crate::instance::Instance;
use crate::intake::{self, Input};
use crate::pull::{Client, backed_off};

/// Messages that are taken as one …
const MOST_GATHERED: usize = 10_000;
/// … or so many bytes of them, …
const MOST_BYTES: usize = 8 << 20;
/// … or what comes within this of the first.
const GATHERING: Duration = Duration::from_secs(1);
/// How often is looked whether to stop.
const LOOKING: Duration = Duration::from_millis(200);
/// After so long no further message is begun before what was taken is committed.
const TAKING: Duration = Duration::from_secs(60);
/// How long nothing is taken after something could not be kept.
const REST: Duration = Duration::from_secs(10);
/// Between two tries to commit.
const COMMITTING: Duration = Duration::from_secs(5);
/// Between two tellings of how it stands.
const TELLING: Duration = Duration::from_secs(1);
/// The first wait after a consumer could not be made or go on, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// A message that waits to be taken.
struct Held {
    topic: String,
    partition: i32,
    offset: i64,
    value: Vec<u8>,
}

/// What takes a section's topics.
struct Taker {
    instance: Arc<Instance>,
    /// The section's name.
    name: String,
    settings: Kafka,
    context: Context,
    stop: CancellationToken,
    /// The oldest first.
    held: VecDeque<Held>,
    held_bytes: usize,
    /// Whether something that is durable is not committed, and when that was tried last.
    uncommitted: Option<Instant>,
    told: Option<Instant>,
}

impl Taker {
    /// Takes what comes until it is told to stop.
    fn run(&mut self) {
        let mut times = 0;
        while let Err(reason) = self.consume(&mut times) {
            self.context.standing().trouble(&self.name, "client", &reason);
            let (first, longest) = WAITS;
            let until = Instant::now() + backed_off(first, times).min(longest);
            times = times.saturating_add(1);
            while Instant::now() < until {
                self.tell();
                if self.stop.is_cancelled() {
                    return;
                }
                std::thread::sleep(LOOKING);
            }
        }
    }

    /// The same with one consumer; the error says why another is needed. What was held goes with the consumer:
    /// it comes again.
    fn consume(&mut self, times: &mut u32) -> Result<(), String> {
        self.held.clear();
        self.held_bytes = 0;
        self.uncommitted = None;
        let said = |error: KafkaError| match error {
            // Whatever was set may be secret.
            KafkaError::ClientConfig(_, reason, name, _) => format!("{name}: {reason}"),
            error => error.to_string(),
        };
        let config = client::config(&self.settings)?;
        let consumer: BaseConsumer<Context> =
            config.create_with_context(self.context.clone()).map_err(said)?;
        let topics: Vec<&str> = self.settings.topics.iter().map(|topic| topic.as_str()).collect();
        consumer.subscribe(&topics).map_err(said)?;
        let mut is_resting = false;
        while !self.stop.is_cancelled() {
            if !is_resting {
                self.gather(&consumer)?;
            }
            if self.held.is_empty() {
                self.commit_again(&consumer);
            } else {
                match self.take() {
                    Ok(count) => {
                        *times = 0;
                        self.commit(&consumer, count);
                        let standing = &mut *self.context.standing();
                        standing.over(&self.name, "client");
                        standing.over(&self.name, "keeping");
                    }
                    Err(reason) => {
                        self.context.standing().trouble(&self.name, "keeping", &reason);
                        is_resting = true;
                        self.rest(&consumer)?;
                    }
                }
                if is_resting && self.held.is_empty() {
                    is_resting = false;
                    // What is not assigned any more needs none of it.
                    _ = consumer.assignment().and_then(|assigned| consumer.resume(&assigned));
                }
            }
            self.tell();
        }
        Ok(())
    }

    /// Waits for messages, and gathers what comes soon after the first.
    fn gather(&mut self, consumer: &BaseConsumer<Context>) -> Result<(), String> {
        let begun = Instant::now();
        while self.held.len() < MOST_GATHERED && self.held_bytes < MOST_BYTES {
            let left = GATHERING.saturating_sub(begun.elapsed());
            if left.is_zero() || self.stop.is_cancelled() {
                break;
            }
            self.poll(consumer, left.min(LOOKING))?;
        }
        Ok(())
    }

    /// Takes note of a message, if one comes. The error ends the consumer.
    fn poll(&mut self, consumer: &BaseConsumer<Context>, wait: Duration) -> Result<(), String> {
        match consumer.poll(wait) {
            None => {}
            Some(Ok(message)) => {
                let value = message.payload().unwrap_or_default().to_vec();
                self.held_bytes += value.len();
                let (topic, partition) = (message.topic().to_owned(), message.partition());
                self.held.push_back(Held { topic, partition, offset: message.offset(), value });
            }
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                return Err(format!("the consumer cannot go on: {code}"));
            }
            // What it asks with may have been exchanged.
            Some(Err(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Authentication) => {
                return Err("the brokers do not let it in".to_owned());
            }
            // The context was told of it, and librdkafka goes on.
            Some(Err(_)) => {}
        }
        Ok(())
    }

    /// Takes what is held, or a part of it, and says how many messages that were: they are durable.
    fn take(&mut self) -> Result<usize, String> {
        let Kafka { tenant, source, format, is_live, .. } = &self.settings;
        let known = self.instance.control.tenant(tenant);
        let tenant = known.ok_or_else(|| format!("there is no tenant {tenant}"))?.id;
        let choice = intake::choice(&self.instance.decoders, format.as_deref());
        let input = Input {
            tenant,
            source,
            name: source,
            is_live: *is_live,
            choice: choice.map_err(|unknown| unknown.to_string())?,
            namespace: None,
            limit: self.instance.config.ingest.max_body_bytes.bytes(),
            part: None,
        };
        let (begun, mut count) = (Instant::now(), 0);
        let mut messages = self.held.iter().map_while(|held| {
            if count > 0 && begun.elapsed() >= TAKING {
                return None;
            }
            count += 1;
            let name = format!("{source}:{}/{}@{}", held.topic, held.partition, held.offset);
            Some(Message { name, value: &held.value })
        });
        let taken = intake::take_messages(&self.instance, input, &mut messages);
        match taken.stopped {
            None => Ok(count),
            Some(error) => Err(format!("it cannot be kept: {error}")),
        }
    }

    /// Commits that so many messages were taken.
    fn commit(&mut self, consumer: &BaseConsumer<Context>, count: usize) {
        let mut next = BTreeMap::new();
        for held in self.held.drain(..count) {
            self.held_bytes = self.held_bytes.saturating_sub(held.value.len());
            next.insert((held.topic, held.partition), held.offset.saturating_add(1));
        }
        self.instance.metrics.kafka_messages(&self.name, count);
        for ((topic, partition), offset) in next {
            let mut one = TopicPartitionList::new();
            // Of a partition that is another's by now nothing is to be said.
            let stored = one
                .add_partition_offset(&topic, partition, Offset::Offset(offset))
                .and_then(|()| consumer.store_offsets(&one));
            if let Err(error) = stored {
                tracing::debug!(kafka = self.name, topic, partition, %error, "an offset is not stored");
            }
        }
        self.try_to_commit(consumer);
    }

    fn commit_again(&mut self, consumer: &BaseConsumer<Context>) {
        if self.uncommitted.is_some_and(|tried| tried.elapsed() >= COMMITTING) {
            self.try_to_commit(consumer);
        }
    }

    fn try_to_commit(&mut self, consumer: &BaseConsumer<Context>) {
        match consumer.commit_consumer_state(CommitMode::Sync) {
            // Nothing is stored of what is still assigned.
            Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {
                self.uncommitted = None;
                self.context.standing().over(&self.name, "commit");
            }
            Err(error) => {
                self.uncommitted = Some(Instant::now());
                let reason = format!("what was taken cannot be committed, so it may come again: {error}");
                self.context.standing().trouble(&self.name, "commit", &reason);
            }
        }
    }

    /// Lets the partitions rest for a while without leaving the group.
    fn rest(&mut self, consumer: &BaseConsumer<Context>) -> Result<(), String> {
        let begun = Instant::now();
        while begun.elapsed() < REST && !self.stop.is_cancelled() {
            // Each time, as others may have been assigned.
            if let Err(error) = consumer.assignment().and_then(|assigned| consumer.pause(&assigned)) {
                tracing::debug!(kafka = self.name, %error, "partitions do not rest");
            }
            self.poll(consumer, LOOKING)?;
            self.tell();
        }
        Ok(())
    }

    /// Tells how it stands, now and then.
    fn tell(&mut self) {
        if self.told.is_some_and(|told| told.elapsed() < TELLING) {
            return;
        }
        self.told = Some(Instant::now());
        let mut standing = self.context.standing();
        standing.forget(&self.name);
        let (count, lag, in_trouble) = standing.counts();
        let (partitions, troubles) = standing.told();
        let told = json!({
            "name": self.name,
            "source": self.settings.source,
            "group": self.settings.group,
            "partitionCount": count,
            "partitions": partitions,
            "troubles": troubles,
        });
        self.instance.consumed.tell(&self.name, told);
        self.instance.metrics.kafka(&self.name, count, lag, in_trouble);
    }
}

/// The topics that are being taken.
pub(crate) struct Consuming {
    stop: CancellationToken,
    threads: Vec<JoinHandle<()>>,
}

impl Consuming {
    /// Begins to take what the settings say.
    pub(crate) fn start(instance: &Arc<Instance>) -> io::Result<Consuming> {
        let mut consuming = Consuming { stop: CancellationToken::new(), threads: Vec::new() };
        for (name, settings) in &instance.config.kafka {
            let context = Context {
                section: name.clone(),
                sasl: settings.sasl.clone(),
                client: Client::new().map_err(io::Error::other)?,
                runtime: Handle::current(),
                standing: Arc::new(Standing::default().into()),
            };
            let mut taker = Taker {
                instance: Arc::clone(instance),
                name: name.clone(),
                settings: settings.clone(),
                context,
                stop: consuming.stop.clone(),
                held: VecDeque::new(),
                held_bytes: 0,
                uncommitted: None,
                told: None,
            };
            let thread = std::thread::Builder::new().name("kafka".to_owned());
            consuming.threads.push(thread.spawn(move || taker.run())?);
        }
        Ok(consuming)
    }

    /// Ends it, once what is being taken is taken. Blocks.
    pub(crate) fn end(self) {
        self.stop.cancel();
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("taking topics of Kafka ended in a panic");
            }
        }
    }
}
