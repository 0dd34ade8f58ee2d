//! A list of machines on its way out.

use std::sync::Arc;
use std::vec::IntoIter;

use bytes::Bytes;
use pintle_model::shapes::machine;
use pintle_model::{MemberId, Time};

use super::{Directory, Grouping, Machine, Run, SharedDirectory, blocks};
use crate::filter::{Column, Columns, Subject, folded};
use crate::listing::{Ranked, Rows, Settled, Value, settle};
use crate::store::read_lock;
use crate::{About, Error, Listing, OrderBy, Page};

/// Machines to be written, in the order of their ids. Which ones, and which of them are one, was settled when
/// they were asked for; each is written as it is known when its turn comes. The directory is held for one piece at
/// a time, so that whoever reads slowly holds up nobody, and between two pieces there is nothing in
/// memory but the machines' numbers.
pub struct MachineList {
    directory: SharedDirectory,
    /// Which machines are one.
    then: Grouping,
    ordinals: IntoIter<u32>,
    about: About,
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

    /// The list of some machines, those one that were one then, or without that now; `candidates` gives a part
    /// of them, ascending by id.
    pub(crate) fn settled(
        shared: &SharedDirectory,
        then: Option<&Grouping>,
        candidates: impl FnOnce(&Directory, Page) -> Vec<u32>,
        now: Time,
        listing: &Listing<'_>,
    ) -> Result<MachineList, Error> {
        let page = listing.page;
        let is_all = listing.is_plain() && page.top == usize::MAX;
        // Of a plain list only the page and one more are looked at, which tells whether more follow.
        let until = page.skip.saturating_add(page.top).saturating_add(1);
        let part = match listing.is_plain() {
            true if is_all => page,
            true => Page { skip: 0, top: until },
            false => Page::ALL,
        };
        let (then, meant, mut candidates) = {
            let directory = read_lock(shared);
            let then = then.unwrap_or(directory.grouping()).clone();
            let meant = listing.filter.and_then(|filter| directory.meant(then.joins(), filter, machine::ID));
            (then, meant, candidates(&directory, part))
        };
        if is_all {
            return Ok(MachineList::new(Arc::clone(shared), then, candidates, now));
        }
        let listing = &Listing { filter: meant.as_ref().or(listing.filter), ..*listing };
        if let Some(ids) = listing.filter.and_then(|filter| filter.only(machine::ID)) {
            let directory = read_lock(shared);
            let is_asked = |machine: &Machine| ids.contains(&*folded(machine.id.as_str()));
            candidates.retain(|ordinal| directory.own(*ordinal).is_some_and(is_asked));
        }
        let rows = MachineRows { directory: shared, then: &then, now };
        let Settled { numbers, about } = settle(&rows, &candidates, listing)?;
        Ok(MachineList { about, ..MachineList::new(Arc::clone(shared), then, numbers, now) })
    }

    /// A list of these machines.
    pub(super) fn new(
        directory: SharedDirectory,
        then: Grouping,
        ordinals: Vec<u32>,
        now: Time,
    ) -> MachineList {
        let about = About::default();
        MachineList { directory, then, ordinals: ordinals.into_iter(), about, now, is_first: true }
    }

    /// What is known of the list as a whole.
    pub fn about(&self) -> &About {
        &self.about
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
            let Some(machine) = directory.get_as(&self.then, ordinal) else { continue };
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
        // Others are one now, so what is kept joined is of no use.
        while !directory.joins_as(&self.then)
            && copied.len() < ENOUGH_BYTES
            && let Some(ordinal) = self.ordinals.next()
        {
            let machine = directory.get_as(&self.then, ordinal);
            machine.into_iter().for_each(|machine| machine.write(self.now, &mut copied));
        }
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

/// The rows of a list of machines while it is settled: each as it is shown now.
struct MachineRows<'d> {
    directory: &'d SharedDirectory,
    then: &'d Grouping,
    now: Time,
}

impl MachineRows<'_> {
    /// What the order asks of a machine; `None`: the filter does not take it.
    fn look_at(&self, machine: &Machine, listing: &Listing<'_>, object: &mut Vec<u8>) -> Option<Vec<Value>> {
        let shown = Shown { machine, now: self.now };
        let taken = match listing.filter {
            None => Some(true),
            Some(filter) => filter.decides(&shown),
        };
        if taken == Some(false) {
            return None;
        }
        let at_hand = |by: &OrderBy| Value::of_column(&machine::SHAPE, by.member, shown.column(by.member));
        let values: Option<Vec<Value>> = listing.order.iter().map(at_hand).collect();
        if let (Some(true), Some(values)) = (taken, values) {
            return Some(values);
        }
        object.clear();
        machine.write(self.now, object);
        let object = str::from_utf8(object.strip_prefix(b",")?).ok()?;
        if taken.is_none() && listing.filter.is_some_and(|filter| !filter.matches(object)) {
            return None;
        }
        let subject = Subject::object(&machine::SHAPE, object);
        let value = |by: &OrderBy| Value::of_json(&machine::SHAPE, by.member, subject.member(by.member));
        Some(listing.order.iter().map(value).collect())
    }
}

impl Rows for MachineRows<'_> {
    fn look(
        &self,
        candidates: &[u32],
        first: usize,
        listing: &Listing<'_>,
        found: &mut Vec<Ranked>,
    ) -> Result<(), Error> {
        let directory = read_lock(self.directory);
        let mut object = Vec::new();
        for (ordinal, place) in candidates.iter().zip(first..) {
            let Some(machine) = directory.get_as(self.then, *ordinal) else { continue };
            let values = self.look_at(&machine, listing, &mut object);
            found.extend(values.map(|values| Ranked { values, place }));
        }
        Ok(())
    }

    fn id(&self, ordinal: u32) -> Option<String> {
        read_lock(self.directory).own(ordinal).map(|machine| machine.id.to_string())
    }
}

/// What of a machine is at hand without its JSON.
struct Shown<'m> {
    machine: &'m Machine,
    now: Time,
}

impl Columns for Shown<'_> {
    fn column(&self, member: MemberId) -> Column<'_> {
        match (member, &self.machine.label) {
            (machine::ID, _) => Column::Text(self.machine.id.as_str()),
            (machine::LAST_SEEN, _) => Column::Json(self.machine.rendered.last_seen()),
            (machine::HEALTH_STATUS, _) => Column::Json(self.machine.rendered.health(self.now)),
            (machine::RBAC_GROUP_ID, Some(label)) => Column::Int(label.id.into()),
            _ => Column::Unknown,
        }
    }
}
