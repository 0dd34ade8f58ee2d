//! What is counted, for Prometheus. Labels are of bounded sets only: routes are templates, never
//! paths, and nothing a client invents becomes a label.

mod labels;

use std::sync::Arc;
use std::time::Duration;

use pintle_ingest::Summary;
use pintle_model::Time;
use pintle_store::Expired;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use labels::{
    FormatLabels, KafkaLabels, LackLabels, OutcomeLabels, PullLabels, PullName, ReasonLabels, RequestLabels,
    RouteLabels, SourceLabels, ThingLabels, WatchLabels, WindowLabels,
};
pub use labels::{PullOutcome, Refusal, TokenOutcome, Window};

/// The counters of one process. Clones count together.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
    connections: Gauge,
    connections_refused: Family<ReasonLabels, Counter>,
    connections_displaced: Counter,
    ingest_records: Family<FormatLabels, Counter>,
    ingest_bytes: Family<FormatLabels, Counter>,
    ingest_rejects: Family<FormatLabels, Counter>,
    ingest_ignored: Family<FormatLabels, Counter>,
    ingest_file_events: Family<FormatLabels, Counter>,
    ingest_without_hash: Family<LackLabels, Counter>,
    ingest_last_arrival: Family<FormatLabels, Gauge>,
    ingest_last_event: Family<FormatLabels, Gauge>,
    ingest_sources: Gauge,
    ingest_sources_silent: Gauge,
    source_last_arrival: Family<SourceLabels, Gauge>,
    source_last_event: Family<SourceLabels, Gauge>,
    source_silent: Family<SourceLabels, Gauge>,
    source_records: Family<SourceLabels, Counter>,
    source_rejects: Family<SourceLabels, Counter>,
    source_file_events: Family<SourceLabels, Counter>,
    source_without_hash: Family<SourceLabels, Counter>,
    watched_files: Family<WatchLabels, Gauge>,
    watched_troubles: Family<WatchLabels, Gauge>,
    kafka_messages: Family<KafkaLabels, Counter>,
    kafka_partitions: Family<KafkaLabels, Gauge>,
    kafka_lag: Family<KafkaLabels, Gauge>,
    kafka_troubles: Family<KafkaLabels, Gauge>,
    quota_refusals: Family<WindowLabels, Counter>,
    tokens: Family<OutcomeLabels, Counter>,
    inlet_refusals: Counter,
    pull_rounds: Family<PullLabels, Counter>,
    pull_objects: Family<PullName, Counter>,
    retention_paused: Gauge,
    troubles: Gauge,
    retention_last_run: Gauge,
    retention_expired: Family<ThingLabels, Counter>,
}

/// How a source of telemetry stands.
pub struct SourceMeasured {
    /// The tenant's name.
    pub tenant: String,
    /// The source's.
    pub source: String,
    /// When it came last.
    pub last_arrival: Time,
    /// When the latest event in it was.
    pub last_event: Option<Time>,
    /// Whether it came regularly and does not any more.
    pub is_silent: bool,
    /// Records that came.
    pub records: u64,
    /// Those kept aside.
    pub rejects: u64,
    /// Events about a file, …
    pub file_events: u64,
    /// … and those of them without a usable hash of it.
    pub without_hash: u64,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Metrics {
        let mut registry = Registry::with_prefix("pintle");
        // From half a millisecond, where answers belong, to the slowest a client waits for.
        let durations: fn() -> Histogram = || {
            Histogram::new([
                0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
            ])
        };
        let mut inner = Inner {
            registry: Registry::default(),
            requests: Family::default(),
            durations: Family::new_with_constructor(durations),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            connections_refused: Family::default(),
            connections_displaced: Counter::default(),
            ingest_records: Family::default(),
            ingest_bytes: Family::default(),
            ingest_rejects: Family::default(),
            ingest_ignored: Family::default(),
            ingest_file_events: Family::default(),
            ingest_without_hash: Family::default(),
            ingest_last_arrival: Family::default(),
            ingest_last_event: Family::default(),
            ingest_sources: Gauge::default(),
            ingest_sources_silent: Gauge::default(),
            source_last_arrival: Family::default(),
            source_last_event: Family::default(),
            source_silent: Family::default(),
            source_records: Family::default(),
            source_rejects: Family::default(),
            source_file_events: Family::default(),
            source_without_hash: Family::default(),
            watched_files: Family::default(),
            watched_troubles: Family::default(),
            kafka_messages: Family::default(),
            kafka_partitions: Family::default(),
            kafka_lag: Family::default(),
            kafka_troubles: Family::default(),
            quota_refusals: Family::default(),
            tokens: Family::default(),
            inlet_refusals: Counter::default(),
            pull_rounds: Family::default(),
            pull_objects: Family::default(),
            retention_paused: Gauge::default(),
            troubles: Gauge::default(),
            retention_last_run: Gauge::default(),
            retention_expired: Family::default(),
        };
        registry.register("http_requests", "Requests answered", inner.requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "Time from a request's headers to its answer's",
            Unit::Seconds,
            inner.durations.clone(),
        );
        registry.register("http_requests_in_flight", "Requests at work", inner.in_flight.clone());
        registry.register("connections", "Connections open", inner.connections.clone());
        registry.register(
            "connections_refused",
            "Connections closed at once",
            inner.connections_refused.clone(),
        );
        registry.register(
            "connections_displaced",
            "Connections closed to make room for others, while their clients were waited for",
            inner.connections_displaced.clone(),
        );
        registry.register("ingest_records", "Records taken in", inner.ingest_records.clone());
        registry.register_with_unit(
            "ingest",
            "Telemetry taken in, unpacked",
            Unit::Bytes,
            inner.ingest_bytes.clone(),
        );
        registry.register("ingest_rejects", "Records kept aside", inner.ingest_rejects.clone());
        register_sources(&mut registry, &inner);
        registry.register("quota_refusals", "Requests answered with 429", inner.quota_refusals.clone());
        registry.register(
            "inlet_refusals",
            "Requests with what is no key of an inlet",
            inner.inlet_refusals.clone(),
        );
        registry.register("pull_rounds", "Looks at what is fetched from", inner.pull_rounds.clone());
        registry.register(
            "pull_objects",
            "Objects, of an API alerts and machines, of which something was taken",
            inner.pull_objects.clone(),
        );
        registry.register("token_requests", "Requests for a token", inner.tokens.clone());
        registry.register(
            "store_troubles",
            "What is wrong with what is on the disk, as the log says",
            inner.troubles.clone(),
        );
        registry.register(
            "retention_paused",
            "1 while nothing is forgotten because the clock jumped",
            inner.retention_paused.clone(),
        );
        registry.register_with_unit(
            "retention_last_run_timestamp",
            "When what had expired was last taken out, since 1970",
            Unit::Seconds,
            inner.retention_last_run.clone(),
        );
        registry.register(
            "retention_expired",
            "What was taken out because it had expired",
            inner.retention_expired.clone(),
        );
        registry.register("build", "This program", Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
        inner.registry = registry;
        Metrics(Arc::new(inner))
    }

    /// The registry, for whoever shows it beside others.
    pub fn encode(&self) -> String {
        let mut encoded = String::new();
        // Writing to a string does not fail.
        _ = text::encode(&mut encoded, &self.0.registry);
        encoded
    }

    /// Counts a request while it is at work. Drop it when the answer is there.
    pub fn request_begun(&self) -> InFlight {
        self.0.in_flight.inc();
        InFlight(self.0.in_flight.clone())
    }

    /// Counts an answer. `route` is the route's template.
    pub fn request(&self, route: &str, method: &hyper::Method, status: u16, took: Duration) {
        let labels = RequestLabels { route: route.to_owned(), method: method_label(method), status };
        self.0.requests.get_or_create(&labels).inc();
        let labels = RouteLabels { route: route.to_owned() };
        self.0.durations.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Counts a connection.
    pub fn connection_opened(&self) {
        self.0.connections.inc();
    }

    /// Counts its end.
    pub fn connection_closed(&self) {
        self.0.connections.dec();
    }

    /// Counts a connection that was closed at once.
    pub fn connection_refused(&self, reason: Refusal) {
        self.0.connections_refused.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Counts a connection that made room for another.
    pub fn connection_displaced(&self) {
        self.0.connections_displaced.inc();
    }

    /// Counts telemetry of one format that was taken in now, with the time of its latest event.
    pub fn ingested(&self, format: &str, summary: &Summary, latest: Option<Time>, now: Time) {
        let labels = FormatLabels { format: format.to_owned() };
        self.0.ingest_records.get_or_create(&labels).inc_by(summary.records);
        self.0.ingest_bytes.get_or_create(&labels).inc_by(summary.bytes);
        self.0.ingest_rejects.get_or_create(&labels).inc_by(summary.rejects());
        self.0.ingest_ignored.get_or_create(&labels).inc_by(summary.ignored.values().sum());
        self.0.ingest_file_events.get_or_create(&labels).inc_by(summary.file_events);
        for (reason, count) in &summary.without_hash {
            let labels = LackLabels { format: format.to_owned(), reason };
            self.0.ingest_without_hash.get_or_create(&labels).inc_by(*count);
        }
        self.0.ingest_last_arrival.get_or_create(&labels).set(now.unix_seconds());
        if let Some(latest) = latest {
            let gauge = self.0.ingest_last_event.get_or_create(&labels);
            gauge.set(gauge.get().max(latest.unix_seconds()));
        }
    }

    /// Shows how the sources of telemetry stand, and no others any more.
    pub fn sources(&self, all: &[SourceMeasured]) {
        let inner = &self.0;
        let silent = all.iter().filter(|source| source.is_silent).count();
        inner.ingest_sources.set(i64::try_from(all.len()).unwrap_or(i64::MAX));
        inner.ingest_sources_silent.set(i64::try_from(silent).unwrap_or(i64::MAX));
        for gauges in [&inner.source_last_arrival, &inner.source_last_event, &inner.source_silent] {
            gauges.clear();
        }
        for counters in [
            &inner.source_records,
            &inner.source_rejects,
            &inner.source_file_events,
            &inner.source_without_hash,
        ] {
            counters.clear();
        }
        for source in all {
            let labels = SourceLabels { tenant: source.tenant.clone(), source: source.source.clone() };
            inner.source_last_arrival.get_or_create(&labels).set(source.last_arrival.unix_seconds());
            if let Some(at) = source.last_event {
                inner.source_last_event.get_or_create(&labels).set(at.unix_seconds());
            }
            inner.source_silent.get_or_create(&labels).set(source.is_silent.into());
            inner.source_records.get_or_create(&labels).inc_by(source.records);
            inner.source_rejects.get_or_create(&labels).inc_by(source.rejects);
            inner.source_file_events.get_or_create(&labels).inc_by(source.file_events);
            inner.source_without_hash.get_or_create(&labels).inc_by(source.without_hash);
        }
    }

    /// Shows how many files a watched folder has, and how much of it is not taken for something being wrong.
    pub fn watched(&self, watch: &str, files: usize, troubles: usize) {
        let labels = WatchLabels { watch: watch.to_owned() };
        self.0.watched_files.get_or_create(&labels).set(i64::try_from(files).unwrap_or(i64::MAX));
        self.0.watched_troubles.get_or_create(&labels).set(i64::try_from(troubles).unwrap_or(i64::MAX));
    }

    /// Counts messages of a section's topics that were taken.
    pub fn kafka_messages(&self, kafka: &str, count: usize) {
        let labels = KafkaLabels { kafka: kafka.to_owned() };
        self.0.kafka_messages.get_or_create(&labels).inc_by(count as u64);
    }

    /// Shows how many partitions a section's consumer has, how much waits in them, and how much goes wrong.
    pub fn kafka(&self, kafka: &str, partitions: usize, lag: i64, troubles: usize) {
        let (inner, labels) = (&self.0, KafkaLabels { kafka: kafka.to_owned() });
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        inner.kafka_partitions.get_or_create(&labels).set(gauge(partitions));
        inner.kafka_lag.get_or_create(&labels).set(lag);
        inner.kafka_troubles.get_or_create(&labels).set(gauge(troubles));
    }

    /// Counts a request answered with 429.
    pub fn quota_refused(&self, window: Window) {
        self.0.quota_refusals.get_or_create(&WindowLabels { window }).inc();
    }

    /// Counts a request with what is no key of an inlet.
    pub fn inlet_refused(&self) {
        self.0.inlet_refusals.inc();
    }

    /// Counts a look at what is fetched from.
    pub fn pulled(&self, pull: &str, is_done: bool) {
        let outcome = if is_done { PullOutcome::Done } else { PullOutcome::Failed };
        self.0.pull_rounds.get_or_create(&PullLabels { pull: pull.to_owned(), outcome }).inc();
    }

    /// Counts objects there of which something was taken.
    pub fn pulled_objects(&self, pull: &str, count: u64) {
        self.0.pull_objects.get_or_create(&PullName { pull: pull.to_owned() }).inc_by(count);
    }

    /// Shows how much is wrong with what is on the disk.
    pub fn troubles(&self, count: usize) {
        self.0.troubles.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Shows whether the clock keeps anything from being forgotten.
    pub fn retention_paused(&self, is_paused: bool) {
        self.0.retention_paused.set(is_paused.into());
    }

    /// Shows when what had expired was last taken out.
    pub fn retention_ran(&self, at: Time) {
        self.0.retention_last_run.set(at.unix_seconds());
    }

    /// Counts what was taken out because it had expired.
    pub fn expired(&self, expired: Expired) {
        let Expired { alerts, machines, sightings, files } = expired;
        for (thing, number) in
            [("alert", alerts), ("machine", machines), ("sighting", sightings), ("file", files)]
        {
            self.0.retention_expired.get_or_create(&ThingLabels { thing }).inc_by(number);
        }
    }

    /// Counts a request for a token.
    pub fn token_requested(&self, outcome: TokenOutcome) {
        self.0.tokens.get_or_create(&OutcomeLabels { outcome }).inc();
    }
}

fn register_sources(registry: &mut Registry, inner: &Inner) {
    registry.register("ingest_ignored", "Records left out on purpose", inner.ingest_ignored.clone());
    registry.register("ingest_file_events", "Events about a file", inner.ingest_file_events.clone());
    registry.register(
        "ingest_file_events_without_hash",
        "Those of them without a usable hash of the file",
        inner.ingest_without_hash.clone(),
    );
    registry.register_with_unit(
        "ingest_last_arrival_timestamp",
        "When telemetry came last, since 1970",
        Unit::Seconds,
        inner.ingest_last_arrival.clone(),
    );
    registry.register_with_unit(
        "ingest_last_event_timestamp",
        "When the latest event in it was, since 1970",
        Unit::Seconds,
        inner.ingest_last_event.clone(),
    );
    registry.register(
        "ingest_sources",
        "Sources known of telemetry that comes as it happens",
        inner.ingest_sources.clone(),
    );
    registry.register(
        "ingest_sources_silent",
        "Those that came regularly and do not any more (ingest.silent_after)",
        inner.ingest_sources_silent.clone(),
    );
    register_each_source(registry, inner);
    registry.register("watched_files", "Files in a watched folder", inner.watched_files.clone());
    registry.register(
        "watched_troubles",
        "What is not taken of a watched folder for something being wrong",
        inner.watched_troubles.clone(),
    );
    register_kafka(registry, inner);
}

fn register_kafka(registry: &mut Registry, inner: &Inner) {
    registry.register(
        "kafka_messages",
        "Messages of Kafka that were taken, those kept aside too",
        inner.kafka_messages.clone(),
    );
    registry.register(
        "kafka_partitions",
        "Partitions that a section's consumer has",
        inner.kafka_partitions.clone(),
    );
    registry.register("kafka_lag", "Messages that wait in them", inner.kafka_lag.clone());
    registry.register(
        "kafka_troubles",
        "What goes wrong with a section's consumer",
        inner.kafka_troubles.clone(),
    );
}

/// What is measured of each source. It is brought up to date every minute.
fn register_each_source(registry: &mut Registry, inner: &Inner) {
    registry.register_with_unit(
        "ingest_source_last_arrival_timestamp",
        "When the source came last, since 1970",
        Unit::Seconds,
        inner.source_last_arrival.clone(),
    );
    registry.register_with_unit(
        "ingest_source_last_event_timestamp",
        "When the latest event from it was, since 1970",
        Unit::Seconds,
        inner.source_last_event.clone(),
    );
    registry.register(
        "ingest_source_silent",
        "Whether it came regularly and does not any more (ingest.silent_after)",
        inner.source_silent.clone(),
    );
    for (name, help, counters) in [
        ("ingest_source_records", "Records that came from it", &inner.source_records),
        ("ingest_source_rejects", "Those of them kept aside", &inner.source_rejects),
        ("ingest_source_file_events", "Events from it about a file", &inner.source_file_events),
        (
            "ingest_source_file_events_without_hash",
            "Those of them without a usable hash of the file",
            &inner.source_without_hash,
        ),
    ] {
        registry.register(name, help, counters.clone());
    }
}

/// A request at work.
pub struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A method is whatever a client writes, so only the known ones become labels.
fn method_label(method: &hyper::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
