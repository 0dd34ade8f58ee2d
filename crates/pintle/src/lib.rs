//! A self-hosted server that answers endpoint-investigation questions over the Defender for
//! Endpoint API, and its command line.
//!
//! All that a client can touch is here: only this crate knows JSON envelopes, OData, OAuth2 and
//! status codes.

mod admin;
pub mod audit;
pub mod auth;
pub mod cli;
pub mod config;
pub mod dev;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod http;
pub mod instance;
mod intake;
mod kafka;
mod keep;
pub mod logging;
mod mappings;
mod memory;
pub mod metrics;
mod open_files;
pub mod pace;
mod private_file;
pub mod pull;
pub mod quota;
pub mod repeats;
pub mod retention;
pub mod slots;
pub mod socket;
pub mod sources;
#[cfg(test)]
mod testing;
mod troubles;
mod watch;
pub mod worker;
