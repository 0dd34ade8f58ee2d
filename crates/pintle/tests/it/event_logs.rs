//! Event logs in the making, which `crates/ingest` tests too, without a worker.

#[path = "../../../ingest/tests/event_log/log.rs"]
pub mod log;
#[path = "../../../ingest/tests/event_log/shapes.rs"]
pub mod shapes;
