//! The ears: anyone's telemetry becomes records.
//!
//! [`read`] takes the bytes of one input. On the way, `unpack` undoes gzip and zstd, `archive` goes through
//! the members of zip and tar, `framing` finds the single records (lines, JSON documents, envelopes, event
//! logs; what is not text in a `worker` of its own), and one decoder of [`FORMATS`], or a [`Mapping`] that an
//! administrator wrote, makes a [`Record`](pintle_model::Record) of each. What cannot be read is kept aside
//! with its offset and reason and the rest goes on.
//!
//! What formats share lies beside them: `json` (one record as borrowed members), `windows` and
//! `sysmon` (events of Windows and Sysmon, whoever shipped them), `defender` (rows of hunting
//! tables as Defender writes them), `members` (a flat record's members), `event`, `alert` and
//! `inventory` (what any vendor's events, alerts and reports of machines become), `attack` (tactics
//! and techniques), `device` and `words` (machines and words of Defender's incident APIs),
//! `sigma` (what rules found in Windows events).
//! `envelope` is what shippers put around a line.
//! `namespace` keeps one source's machines and alerts apart from all others'.

mod additional;
mod alert;
mod archive;
mod attack;
mod decoder;
mod defender;
mod device;
mod envelope;
mod error;
mod event;
mod format;
mod formats;
mod framing;
mod inventory;
mod json;
mod machine;
mod mapping;
mod members;
mod namespace;
mod read;
mod sigma;
mod sysmon;
mod time;
mod unpack;
mod windows;
mod words;
mod worker;

pub use decoder::{Choice, Decoder, Decoders};
pub use error::{DeliverError, Error};
pub use format::{Decoded, Format, Problem};
pub use formats::FORMATS;
pub use framing::{Growth, Layout};
pub use mapping::{MAX_BYTES as MAX_MAPPING_BYTES, Mapping, Unusable};
pub use namespace::{Namespace, NoNamespace};
pub use read::documents::{Action, Answers, Documents, Item, Outcome};
pub use read::messages::{Message, read_messages};
pub use read::{Content, MAX_BYTES, PartOf, Reading, Summary, read, read_documents};
pub use unpack::{is_packed, unpacked};
pub use worker::{Worker, Workers, work};
