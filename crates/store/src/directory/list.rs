//! A list of machines on its way out.

use std::vec::IntoIter;

use pintle_model::Time;

use super::SharedDirectory;
use crate::store::read_lock;

/// Machines to be written, in the order of their ids. Which ones was settled when they were asked
/// for; each is written as it is known when its turn comes. The directory is held for one piece at
/// a time, so that whoever reads slowly holds up nobody, and between two pieces there is nothing in
/// memory but the machines' numbers.
pub struct MachineList {
    directory: SharedDirectory,
    ordinals: IntoIter<u32>,
    now: Time,
    is_first: bool,
}

impl MachineList {
    pub(crate) fn new(directory: SharedDirectory, ordinals: Vec<u32>, now: Time) -> MachineList {
        MachineList { directory, ordinals: ordinals.into_iter(), now, is_first: true }
    }

    /// How many are still to be written.
    pub fn left(&self) -> usize {
        self.ordinals.len()
    }

    /// Appends machines as `{…},{…}`, all together with one call or piece by piece with several: as
    /// many as it takes to append `enough` bytes, or all that are left.
    pub fn write(&mut self, enough: usize, out: &mut Vec<u8>) {
        let enough = out.len().saturating_add(enough);
        let directory = read_lock(&self.directory);
        while out.len() < enough {
            let Some(ordinal) = self.ordinals.next() else { return };
            // One may have been forgotten meanwhile.
            let Some(machine) = directory.get(ordinal) else { continue };
            let start = out.len();
            machine.write(self.now, out);
            if std::mem::take(&mut self.is_first) {
                // No machine is before it, so there is no comma either.
                out.remove(start);
            }
        }
    }
}
