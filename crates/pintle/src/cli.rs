//! The command line: one command a file.

pub mod alerts;
pub mod client;
mod failure;
pub mod ingest;
mod listing;
pub mod machines;
mod place;
pub mod rebuild;
pub mod rejects;
pub mod search;
mod terminal;

pub use failure::Failure;
pub(crate) use failure::{json, print};
pub use listing::Listing;
pub use place::{Folder, Place};

/// The names of the formats, as `--format` takes them.
fn formats() -> clap::builder::PossibleValuesParser {
    let formats = pintle_ingest::FORMATS.iter();
    clap::builder::PossibleValuesParser::new(
        formats.map(|format| clap::builder::PossibleValue::new(format.name).help(format.description)),
    )
}
