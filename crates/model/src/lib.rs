//! The nouns of Pintle: machine, file, hash, alert, evidence, record, hunting tables.
//!
//! Everything here is data: no I/O, no clock, no threads. Decoders build these values, the store
//! keeps them, the server dresses them. What a source does not say stays absent; nothing here
//! invents a value.

mod facts;
mod hash;
mod ids;
mod record;
mod row;
mod shape;
pub mod shapes;
mod table;
pub mod tables;
mod time;

pub use facts::{Change, Fact, Facts};
pub use hash::{FileHash, HashKind, Hashes, Md5, ParseHashError, Sha1, Sha256};
pub use ids::{AlertId, MachineId, ParseIdError, TenantId};
pub use record::{Alert, Evidence, Machine, Record};
pub use row::{Cell, Row};
pub use shape::{Kind, Member, MemberId, Part, Shape};
pub use table::{Column, ColumnId, ColumnType, Table, TableId};
pub use time::Time;
