//! Why reading stopped.

use std::io;

use crate::formats::FORMATS;

/// What went wrong in whoever takes the batches.
pub type DeliverError = Box<dyn std::error::Error + Send + Sync>;

/// Why reading an input stopped. Batches delivered before stay delivered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input could not be read; trying again may help.
    #[error("cannot read {0}: {1}")]
    Read(String, #[source] io::Error),
    /// It is beyond a limit that protects this machine; the text names the limit and what to do.
    #[error("{0}")]
    Limit(String),
    /// Its first records are of no format that is known.
    #[error("{0} is of no known format; name one with --format: {names}", names = format_names())]
    Unrecognised(String),
    /// A batch was not taken.
    #[error(transparent)]
    Deliver(DeliverError),
}

/// Why framing stopped before the end of the input.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The bytes ended in an error: of the input itself, or of undoing its compression.
    Input(io::Error),
    /// Whoever takes the pieces said so, or a limit.
    Said(Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Input(error)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Said(error)
    }
}

fn format_names() -> String {
    FORMATS.iter().map(|format| format.name).collect::<Vec<_>>().join(", ")
}
