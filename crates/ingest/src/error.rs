//! Why reading stopped.

use std::io;

/// What went wrong in whoever takes the batches.
pub type DeliverError = Box<dyn std::error::Error + Send + Sync>;

/// Why reading an input stopped. Batches delivered before stay delivered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input could not be read; trying again may help.
    #[error("cannot read {0}: {1}")]
    Read(String, #[source] io::Error),
    /// An archive has to be held while it is read, and could not be.
    #[error("cannot hold {0} while it is read: {1}")]
    Hold(String, #[source] io::Error),
    /// It is beyond a limit that protects this machine; the text names the limit and what to do.
    #[error("{0}")]
    Limit(String),
    /// Its first records are of no format that is known; the names of those that are.
    #[error("{0} is of no known format; name one with --format: {1}")]
    Unrecognised(String, String),
    /// It is no request of documents; why.
    #[error("the request cannot be read: {0}")]
    Malformed(String),
    /// There was no process to read it in; trying again may help.
    #[error("the process that reads the {0} cannot be started: {1}")]
    Worker(&'static str, #[source] io::Error),
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
