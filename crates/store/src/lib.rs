//! What is known about a thing: entities, relations, sightings.
//!
//! An accepted batch is appended to the archive and synced, then applied to the base; the archive
//! is the truth and the base is derived from it (`archive`, `base`). Nothing is read without a
//! [`Scope`], and only this crate knows a key layout.

mod alert_index;
mod archive;
mod backup;
mod base;
mod batch;
mod check;
mod coverage;
mod delta;
mod device_group;
mod directory;
mod edit;
mod entity;
mod error;
mod event;
mod evidence;
mod filter;
mod folders;
mod found;
#[cfg(fuzzing)]
pub mod fuzzing;
mod known;
mod listing;
mod lookup;
mod lz4;
mod machine_rule;
mod observable;
mod observe;
mod options;
mod pair;
mod presence;
mod projection;
mod purge;
mod raise;
mod read;
mod regroup;
mod rejoin;
mod remake;
mod render;
mod retention;
mod scope;
mod store;

pub use backup::{BackedUp, Verified, restore, verify};
pub use batch::{Batch, Receipt, Reject, Totals};
pub use check::{Checked, Damage, Part, Progress, check};
pub use coverage::Coverage;
pub use device_group::{BadRule, DefaultGroup, DeviceGroup, DeviceGroups, DeviceRule, Operator, Row};
pub use directory::MachineList;
pub use edit::{AlertChange, MachineChange, Refused, TagChange};
pub use error::Error;
pub use filter::{BadCondition, Comparison, Condition, Filter, Literal, Operand, Quantifier, TextTest};
pub use folders::Folder;
pub use found::{BatchInfo, Conflict, FileMachines, Page, Sighting, Span};
pub use listing::{About, Listing, OrderBy, Place};
pub use machine_rule::{
    BadMachineRule, JoinRefused, MachineKind, MachineRule, MachineRules, SameMachines, SameNames,
};
pub use observable::{Domain, NoDomain, NoUser, Observable, User, UserName};
pub use options::{ArchiveCaps, Clock, Memory, Options, Retention};
pub use projection::{Projection, Rows};
pub use purge::{Purge, Purged};
pub use raise::NewAlert;
pub use read::alert_list::AlertList;
pub use read::look_up::{FileLookup, FoundFile, MachineIds};
pub use read::observables::Prevalence;
pub use read::stats::FileStats;
pub use regroup::{Preview, Regrouped};
pub use rejoin::{JoinedMachine, JoinsAsked, MachineMember, MachineRulePreview, NotJoined, Rejoined};
pub use remake::Remade;
pub use render::Extras;
pub use retention::{ClockWatch, Expired, Jump};
pub use scope::Scope;
pub use store::{Replayed, Store};
