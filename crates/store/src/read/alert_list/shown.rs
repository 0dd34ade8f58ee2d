//! The columns of an alert as a caller is shown it: of its machine the id by which that goes.

use std::sync::Arc;

use pintle_model::{MemberId, shapes};

use crate::alert_index::Row;
use crate::filter::{Column, Columns};

/// How a caller sees the machine of alerts.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) is_visible: bool,
    /// The id by which it goes, as JSON, where that is another than the one that the alerts have.
    pub(super) id: Option<Arc<str>>,
}

/// The columns of an alert as it is shown.
pub(super) struct ShownRow<'r> {
    pub(super) row: &'r Row<'r>,
    pub(super) machine: Option<Arc<str>>,
}

impl Columns for ShownRow<'_> {
    fn column(&self, member: MemberId) -> Column<'_> {
        match &self.machine {
            Some(id) if member == shapes::alert::MACHINE_ID && !self.row.is_odd() => Column::Json(id),
            _ => self.row.column(member),
        }
    }
}
