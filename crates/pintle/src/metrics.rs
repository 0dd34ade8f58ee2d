//! What is counted, for Prometheus. Labels are of bounded sets only: routes are templates, never
//! paths, and nothing a client invents becomes a label.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pintle_model::Time;
use pintle_store::Expired;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

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
    ingest_records: Family<FormatLabels, Counter>,
    ingest_bytes: Family<FormatLabels, Counter>,
    ingest_rejects: Family<FormatLabels, Counter>,
    quota_refusals: Family<WindowLabels, Counter>,
    tokens: Family<OutcomeLabels, Counter>,
    retention_paused: Gauge,
    retention_last_run: Gauge,
    retention_expired: Family<ThingLabels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    method: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: Refusal,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FormatLabels {
    format: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WindowLabels {
    window: Window,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: TokenOutcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ThingLabels {
    thing: &'static str,
}

macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant),+
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
                match self { $($name::$variant => $word),+ }.encode(encoder)
            }
        }
    };
}

label! {
    /// Why a connection was not taken.
    Refusal {
        /// Its address has as many as it may have.
        Address = "address",
    }
}

label! {
    /// The window of a quota.
    Window {
        /// A sliding minute.
        Minute = "minute",
        /// A sliding hour.
        Hour = "hour",
    }
}

label! {
    /// How a request for a token ended.
    TokenOutcome {
        /// A token was issued.
        Issued = "issued",
        /// The request made no sense, or asked for what is not offered.
        InvalidRequest = "invalid_request",
        /// No such application, or a wrong secret.
        InvalidClient = "invalid_client",
        /// Something failed here.
        Failed = "failed",
    }
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
            ingest_records: Family::default(),
            ingest_bytes: Family::default(),
            ingest_rejects: Family::default(),
            quota_refusals: Family::default(),
            tokens: Family::default(),
            retention_paused: Gauge::default(),
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
        registry.register("ingest_records", "Records taken in", inner.ingest_records.clone());
        registry.register_with_unit(
            "ingest",
            "Telemetry taken in, unpacked",
            Unit::Bytes,
            inner.ingest_bytes.clone(),
        );
        registry.register("ingest_rejects", "Records kept aside", inner.ingest_rejects.clone());
        registry.register("quota_refusals", "Requests answered with 429", inner.quota_refusals.clone());
        registry.register("token_requests", "Requests for a token", inner.tokens.clone());
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

    /// Counts telemetry of one format that was taken in: records, unpacked bytes, and records kept
    /// aside.
    pub fn ingested(&self, format: &'static str, records: u64, bytes: u64, rejects: u64) {
        let labels = FormatLabels { format };
        self.0.ingest_records.get_or_create(&labels).inc_by(records);
        self.0.ingest_bytes.get_or_create(&labels).inc_by(bytes);
        self.0.ingest_rejects.get_or_create(&labels).inc_by(rejects);
    }

    /// Counts a request answered with 429.
    pub fn quota_refused(&self, window: Window) {
        self.0.quota_refusals.get_or_create(&WindowLabels { window }).inc();
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
