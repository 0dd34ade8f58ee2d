//! An event found again in the archive, by what names it.

use std::sync::atomic::{AtomicBool, Ordering};

use pintle_model::{MachineId, Record, Row, Time};

use crate::observe::{machine_of, report_of, time_of};
use crate::store::Store;
use crate::{Error, Scope, archive};

impl Store {
    /// The event on a machine at this moment that has this number (`ReportId`), with the id that it gives the
    /// machine, if the caller may see the machine and the part of the archive is there that holds it. Reads
    /// every batch that may, so it is for a thread of its own, and ends with [`Error::Stopped`] at the next
    /// batch once `stop` is set.
    pub(crate) fn event(
        &self,
        scope: &Scope,
        machine: &MachineId,
        at: Time,
        report: i64,
        stop: &AtomicBool,
    ) -> Result<Option<(MachineId, Row)>, Error> {
        let known = self.known();
        let Some(ids) = self.ids_of_machine(scope, machine)? else { return Ok(None) };
        let is_it = |record: &Record| {
            report_of(record) == Some(report)
                && time_of(record) == Some(at)
                && machine_of(record).is_some_and(|id| ids.contains(&id))
        };
        for position in known.base.frames_holding(scope.tenant(), at)? {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Stopped);
            }
            let Some(batch) = archive::read_at(&self.owned_folder().archive(), position)? else { continue };
            if batch.tenant != scope.tenant() {
                continue;
            }
            if let Some(record) = batch.records.into_iter().find(is_it)
                && let (Some(machine), Record::Row(row)) = (machine_of(&record), record)
            {
                return Ok(Some((machine, row)));
            }
        }
        Ok(None)
    }
}
