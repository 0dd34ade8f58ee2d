//! The server as a client sees it: every file below `/tests/scenarios` is a story of calls and
//! answers, played against a router of its own with a folder and a clock of its own.

// Clippy's leave for tests does not reach their helpers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod administration;
mod audit;
mod bombs;
mod busy;
mod changes;
mod command;
mod commands;
mod compatibility;
mod cursor;
mod dev;
mod downgrade;
mod elastic;
mod event_logs;
mod folder;
mod forgetting;
mod generate;
mod ingest;
mod inlets;
#[cfg(feature = "kafka")]
mod kafka;
mod keep;
mod keys;
mod kill;
mod machine_rules;
mod map;
mod mirror;
mod openapi;
mod oracle;
mod origin;
mod outside;
mod poller;
mod pull;
mod pull_api;
mod recordings;
mod refused;
mod retention;
mod rights;
mod scenario;
mod server;
mod shippers;
mod sign_in;
mod table;
mod token;
mod truth;
mod truth_by_command;
mod watch;
mod workers;
mod world;
mod written;
