//! All machines of a tenant get other device groups, while they are asked about and heard of: where
//! each belongs is worked out beside what counts, and then all change at one moment.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLockWriteGuard};

use super::{Directory, Grouping, SharedDirectory, place};
use crate::Regrouped;
use crate::device_group::DeviceGroups;
use crate::store::read_lock;

/// Machines looked at or rendered before others are let in.
const AT_ONCE: u32 = 1_000;
/// So few that changed meanwhile can be looked at while everybody waits.
const FEW: usize = 100;
/// How often those that changed meanwhile are looked at in the hope that few are left then.
const ROUNDS: usize = 8;

/// Where machines belong, by ordinal; `None` where there is none.
type Belonging = Vec<Option<u32>>;

/// Puts every machine in the group of these that takes it. Only one may do so at a time.
pub(crate) fn regroup(directory: &SharedDirectory, groups: &Arc<DeviceGroups>) -> Regrouped {
    // From here on machines that change are noted.
    write_lock(directory).changed = Some(BTreeSet::new());
    let mut belonging = Belonging::new();
    let all = read_lock(directory).next_ordinal();
    for slice in slices(all) {
        read_lock(directory).look_at(groups, slice, &mut belonging);
    }
    for _ in 0..ROUNDS {
        let changed: Vec<u32> =
            write_lock(directory).changed.replace(BTreeSet::new()).into_iter().flatten().collect();
        for slice in changed.chunks(FEW) {
            read_lock(directory).look_at(groups, slice.iter().copied(), &mut belonging);
        }
        if changed.len() <= FEW {
            break;
        }
    }
    let (regrouped, all) = {
        let mut directory = write_lock(directory);
        let changed = directory.changed.take().unwrap_or_default();
        directory.look_at(groups, changed.into_iter(), &mut belonging);
        let joins = directory.grouping.joins().clone();
        let new = Grouping::of(Arc::clone(groups), belonging, joins);
        let old = std::mem::replace(&mut directory.grouping, new);
        let (machines, moved) = (directory.count(), directory.grouping.moved(&old));
        (Regrouped { machines, moved }, directory.next_ordinal())
    };
    // Those that come or change from here on show their new groups as they are.
    for slice in slices(all) {
        write_lock(directory).show_groups(slice);
    }
    regrouped
}

/// Some ordinals after others, as many as are looked at before others are let in.
pub(super) fn slices(all: u32) -> impl Iterator<Item = Range<u32>> {
    (0..all).step_by(place(AT_ONCE)).map(move |start| start..start.saturating_add(AT_ONCE).min(all))
}

pub(super) fn write_lock(directory: &SharedDirectory) -> RwLockWriteGuard<'_, Directory> {
    directory.write().unwrap_or_else(PoisonError::into_inner)
}

impl Directory {
    /// Finds out where some machines belong.
    fn look_at(&self, groups: &DeviceGroups, ordinals: impl Iterator<Item = u32>, of: &mut Belonging) {
        for ordinal in ordinals {
            if of.len() <= place(ordinal) {
                of.resize(place(ordinal).saturating_add(1), None);
            }
            if let Some(slot) = of.get_mut(place(ordinal)) {
                *slot = self.deciding(ordinal).map(|machine| groups.group_of(&machine));
            }
        }
    }

    /// Renders those of some machines that show another group than theirs.
    fn show_groups(&mut self, ordinals: Range<u32>) {
        for ordinal in ordinals {
            if self.is_joined(ordinal) {
                self.show_group_of_join(ordinal);
                continue;
            }
            let label = self.grouping.label(ordinal);
            let machine = self.machines.get_mut(place(ordinal)).and_then(Option::as_mut);
            let Some(machine) = machine.filter(|machine| machine.label.as_ref() != label) else { continue };
            machine.label = label.cloned();
            machine.render();
            self.outdate(ordinal);
        }
    }
}
