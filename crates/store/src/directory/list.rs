//! A list of machines on its way out.

use std::vec::IntoIter;

use bytes::Bytes;
use pintle_model::Time;

use super::{Directory, Run, SharedDirectory, blocks};
use crate::store::read_lock;
use crate::{Filter, Page};

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

/// A piece ends once it is so long.
const ENOUGH_BYTES: usize = 64 * 1024;
/// Fewer machines of a block than one in so many are not worth joining it.
const FEW_OF_A_BLOCK: usize = 4;

impl MachineList {
    /// As many are written in one piece without a thought.
    pub const FEW: usize = blocks::MACHINES;

    pub(crate) fn new(directory: SharedDirectory, ordinals: Vec<u32>, now: Time) -> MachineList {
        MachineList { directory, ordinals: ordinals.into_iter(), now, is_first: true }
    }

    /// How many are still to be written.
    pub fn left(&self) -> usize {
        self.ordinals.len()
    }

    /// Appends all that are left, as `{…},{…}`.
    pub fn write(&mut self, out: &mut Vec<u8>) {
        let directory = read_lock(&self.directory);
        for ordinal in self.ordinals.by_ref() {
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

    /// The next piece, of about 64 KB; all of them joined are what [`MachineList::write`] appends.
    /// `None`: there are no more.
    pub fn next_piece(&mut self) -> Option<Bytes> {
        let directory = read_lock(&self.directory);
        let mut copied = Vec::new();
        let mut piece = None;
        while copied.len() < ENOUGH_BYTES
            && let Some(run) = directory.run(self.ordinals.as_slice())
        {
            if run.is_whole_block && !copied.is_empty() {
                break;
            }
            let ordinals = self.ordinals.by_ref().take(run.length);
            if run.is_whole_block {
                ordinals.for_each(drop);
                piece = directory.joined(run.block, self.now).map(|block| block.text().clone());
                break;
            }
            copied.reserve(ENOUGH_BYTES);
            copy(&directory, &run, ordinals, self.now, &mut copied);
        }
        let piece = piece.unwrap_or_else(|| copied.into());
        if piece.is_empty() {
            return None;
        }
        // No machine is before the first, so there is no comma either.
        let is_first = std::mem::take(&mut self.is_first);
        Some(if is_first { piece.slice(1..) } else { piece })
    }
}

/// Copies some machines of a block.
fn copy(directory: &Directory, run: &Run, ordinals: impl Iterator<Item = u32>, now: Time, out: &mut Vec<u8>) {
    let many = run.length * FEW_OF_A_BLOCK >= blocks::MACHINES;
    let block = many.then(|| directory.joined(run.block, now)).flatten();
    for ordinal in ordinals {
        match (&block, directory.rank(ordinal)) {
            (Some(block), Some(rank)) => out.extend_from_slice(block.machine(rank % blocks::MACHINES)),
            (None, Some(_)) => directory.get(ordinal).into_iter().for_each(|machine| machine.write(now, out)),
            // It was forgotten meanwhile.
            (_, None) => {}
        }
    }
}

/// Machines that are looked at before the directory is let go for others.
const FILTERED_AT_ONCE: usize = 1024;

/// Those of some machines that a filter takes as they are shown now, in the same order.
pub(crate) fn filtered(
    directory: &SharedDirectory,
    ordinals: Vec<u32>,
    page: Page,
    now: Time,
    filter: &Filter,
) -> Vec<u32> {
    let end = page.skip.saturating_add(page.top);
    let (mut found, mut object) = (Vec::new(), Vec::new());
    for some in ordinals.chunks(FILTERED_AT_ONCE) {
        let directory = read_lock(directory);
        found.extend(some.iter().copied().filter(|ordinal| {
            let Some(machine) = directory.get(*ordinal) else { return false };
            object.clear();
            machine.write(now, &mut object);
            let shown = object.strip_prefix(b",").map(str::from_utf8);
            shown.and_then(Result::ok).is_some_and(|object| filter.matches(object))
        }));
        if found.len() >= end {
            break;
        }
    }
    found.truncate(end);
    found.drain(..page.skip.min(found.len()));
    found
}
