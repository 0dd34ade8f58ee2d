//! Topics of Kafka, or of what speaks like it, whose telemetry is taken as it comes.
//!
//! Each section `[kafka.NAME]` has a thread with a consumer of its own. What comes is gathered for a moment and
//! taken as one; only once it is durable the offsets behind it are committed for the consumer group. So a crash,
//! or partitions that go to another consumer meanwhile, let some be taken again, which changes nothing. What
//! cannot be read of a message is kept aside; what cannot be kept is tried again until it can, while the
//! partitions rest. The client is librdkafka, behind the feature `kafka`.

#[cfg(feature = "kafka")]
mod client;
#[cfg(feature = "kafka")]
mod consumer;
#[cfg(feature = "kafka")]
mod context;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

#[cfg(feature = "kafka")]
pub(crate) use consumer::Consuming;

/// How the consumers stood when they were looked at last.
#[derive(Default)]
pub(crate) struct Consumed(Mutex<BTreeMap<String, Value>>);

impl Consumed {
    /// Of the section of that name; `None`: it was not begun.
    pub(crate) fn told(&self, name: &str) -> Option<Value> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    #[cfg(feature = "kafka")]
    fn tell(&self, name: &str, standing: Value) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), standing);
    }
}
