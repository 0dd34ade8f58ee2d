//! Which device group each machine is in, and which ordinals are one machine: those are in one group.
//! Copied at no cost, and a copy stays as it was: who goes through much keeps one, so that a change of the
//! groups shows whole in the answer or not at all.

use std::sync::Arc;

use super::{Joins, place};
use crate::Scope;
use crate::device_group::{DeviceGroups, GroupLabel};

/// See the module.
#[derive(Clone, Default)]
pub(crate) struct Grouping {
    groups: Arc<DeviceGroups>,
    /// By machine's ordinal, apart from all else that is known of it: what decides about ten thousand
    /// machines at once should lie close together.
    of: Arc<Vec<u32>>,
    joins: Joins,
}

/// What stands in a machine's place when there is none: no scope that names groups sees it.
const NO_MACHINE: u32 = u32::MAX;

impl Grouping {
    /// The groups, and yet no machine.
    pub(super) fn new(groups: Arc<DeviceGroups>) -> Grouping {
        Grouping { groups, ..Grouping::default() }
    }

    /// The groups, what is there by ordinal, and what of it is one.
    pub(super) fn of(groups: Arc<DeviceGroups>, of: Vec<Option<u32>>, joins: Joins) -> Grouping {
        let of = of.into_iter().map(|group| group.unwrap_or(NO_MACHINE)).collect();
        Grouping { groups, of: Arc::new(of), joins }
    }

    /// Which ordinals are one machine.
    pub(crate) fn joins(&self) -> &Joins {
        &self.joins
    }

    pub(super) fn joins_mut(&mut self) -> &mut Joins {
        &mut self.joins
    }

    /// The tenant's groups.
    pub(crate) fn groups(&self) -> &DeviceGroups {
        &self.groups
    }

    /// Puts a machine in a group; `None`: it is gone.
    pub(super) fn put(&mut self, ordinal: u32, group: Option<u32>) {
        let (place, group) = (place(ordinal), group.unwrap_or(NO_MACHINE));
        // Nearly always it is there already, and a copy that somebody keeps need not be made.
        if self.of.get(place) == Some(&group) {
            return;
        }
        let of = Arc::make_mut(&mut self.of);
        if of.len() <= place {
            of.resize(place.saturating_add(1), NO_MACHINE);
        }
        if let Some(slot) = of.get_mut(place) {
            *slot = group;
        }
    }

    /// The group of a machine; `None`: there is no such machine.
    pub(crate) fn group(&self, ordinal: u32) -> Option<u32> {
        self.of.get(place(ordinal)).copied().filter(|group| *group != NO_MACHINE)
    }

    /// What a machine shows of its group; `None`: what telemetry says.
    pub(crate) fn label(&self, ordinal: u32) -> Option<&Arc<GroupLabel>> {
        self.groups.label(self.group(ordinal)?)
    }

    /// Whether there is this machine and the caller may see it.
    pub(crate) fn sees(&self, scope: &Scope, ordinal: u32) -> bool {
        self.group(ordinal).is_some_and(|group| scope.sees(group))
    }

    /// How many machines are in another group than in `other`.
    pub(super) fn moved(&self, other: &Grouping) -> usize {
        let is_other =
            |ordinal: u32, one: u32, other: u32| one != other && self.joins.canonical(ordinal) == ordinal;
        (0..)
            .zip(self.of.iter().zip(&*other.of))
            .filter(|(at, (one, other))| is_other(*at, **one, **other))
            .count()
    }
}
