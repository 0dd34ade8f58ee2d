//! The ears: anyone's telemetry becomes records.
//!
//! [`read`] takes the bytes of one input. On the way, `unpack` undoes gzip and zstd, `framing`
//! finds the single records (lines, JSON documents, envelopes, event logs), and one decoder of
//! [`FORMATS`] makes a [`Record`](pintle_model::Record) of each. What cannot be read is kept aside
//! with its offset and reason and the rest goes on.
//!
//! What formats share lies beside them: `json` (one record as borrowed members), `windows` and
//! `sysmon` (events of Windows and Sysmon, whoever shipped them) and `defender` (rows of hunting
//! tables as Defender writes them).

mod defender;
mod error;
mod format;
mod formats;
mod framing;
mod json;
mod machine;
mod read;
mod sysmon;
mod unpack;
mod windows;

pub use error::{DeliverError, Error};
pub use format::{Decoded, Format, Problem};
pub use formats::FORMATS;
pub use read::{MAX_BYTES, Summary, read};
