//! Which ordinals are one machine. Copied at no cost, and a copy stays as it was: an answer that takes long is
//! about one moment of the rules.

use std::collections::HashMap;
use std::sync::Arc;

use super::matching::Group;
use crate::pair::Pair;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Joins {
    /// The canonical ordinal of each that is in a join.
    of: Arc<HashMap<u32, u32>>,
    /// By canonical ordinal.
    members: Arc<HashMap<u32, Arc<Members>>>,
}

/// The ordinals of one machine, ascending.
#[derive(Debug, Default)]
pub(super) struct Members {
    pub(super) all: Box<[u32]>,
    /// See [`Group::deciding`].
    pub(super) deciding: Box<[u32]>,
}

impl Members {
    /// Whether no word counts before another's.
    pub(super) fn all_decide(&self) -> bool {
        self.all.len() == self.deciding.len()
    }
}

impl Joins {
    /// Whether every machine is one by itself.
    pub(crate) fn is_none(&self) -> bool {
        self.of.is_empty()
    }

    /// Whether a machine has another ordinal than this.
    pub(super) fn has(&self, ordinal: u32) -> bool {
        self.of.contains_key(&ordinal)
    }

    /// How many machines have several.
    pub(super) fn machines(&self) -> usize {
        self.members.len()
    }

    /// Whether these are the same, and not just alike.
    pub(super) fn is(&self, other: &Joins) -> bool {
        Arc::ptr_eq(&self.of, &other.of) && Arc::ptr_eq(&self.members, &other.members)
    }

    /// The ordinal by which a machine is counted.
    pub(crate) fn canonical(&self, ordinal: u32) -> u32 {
        self.of.get(&ordinal).copied().unwrap_or(ordinal)
    }

    /// Every ordinal of a machine that has several, with the one by which it is counted.
    pub(super) fn all(&self) -> impl Iterator<Item = (u32, u32)> {
        self.of.iter().map(|(ordinal, canonical)| (*ordinal, *canonical))
    }

    /// All ordinals of the machine that this one is of, ascending.
    pub(crate) fn members(&self, ordinal: u32) -> Vec<u32> {
        self.members_of(ordinal).map_or_else(|| vec![ordinal], |members| members.all.to_vec())
    }

    /// The same of a machine that has several.
    pub(super) fn members_of(&self, ordinal: u32) -> Option<&Arc<Members>> {
        self.members.get(&self.canonical(ordinal))
    }

    /// How many ordinals name a machine that has another.
    pub(crate) fn others(&self) -> usize {
        self.of.len() - self.members.len()
    }

    /// What was seen on each machine once, by its canonical ordinal, ascending.
    pub(crate) fn fold(&self, mut pairs: Vec<(u32, Pair)>) -> Vec<(u32, Pair)> {
        if self.is_none() || !pairs.iter().any(|(ordinal, _)| self.of.contains_key(ordinal)) {
            return pairs;
        }
        pairs.iter_mut().for_each(|(ordinal, _)| *ordinal = self.canonical(*ordinal));
        pairs.sort_unstable_by_key(|(ordinal, _)| *ordinal);
        pairs.dedup_by(|(next, more), (ordinal, pair)| {
            let is_one = next == ordinal;
            if is_one {
                pair.merge(more);
            }
            is_one
        });
        pairs
    }

    pub(super) fn insert(&mut self, group: &Group) {
        let of = Arc::make_mut(&mut self.of);
        group.members.iter().for_each(|member| _ = of.insert(*member, group.canonical));
        let members =
            Members { all: group.members.as_slice().into(), deciding: group.deciding.as_slice().into() };
        Arc::make_mut(&mut self.members).insert(group.canonical, Arc::new(members));
    }

    /// Takes the machine of an ordinal apart. Returns the ordinals that it had.
    pub(super) fn remove(&mut self, ordinal: u32) -> Arc<Members> {
        let Some(canonical) = self.of.get(&ordinal).copied() else { return Arc::default() };
        let members = Arc::make_mut(&mut self.members).remove(&canonical).unwrap_or_default();
        let of = Arc::make_mut(&mut self.of);
        members.all.iter().for_each(|member| _ = of.remove(member));
        members
    }
}
