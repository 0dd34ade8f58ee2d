//! Which alerts may name something: by marks, eight bytes that nobody outside can make alike. Two things
//! may have one mark, and an alert may name something no more, so what is found is to be looked at.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};

use pintle_model::FileHash;

use crate::evidence;

/// What an alert can be looked for by.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) enum Named<'a> {
    /// Its id, in lower case.
    Id(&'a str),
    File(&'a FileHash),
    /// In lower case.
    Domain(&'a str),
    /// As addresses are written.
    Address(&'a str),
    /// The account name, in lower case.
    User(&'a str),
}

/// Marks, with the numbers of the alerts that have them.
#[derive(Default)]
pub(super) struct Marks {
    secret: RandomState,
    /// Ascending.
    sorted: Vec<(u64, u32)>,
    /// Those that are not among them yet.
    recent: BTreeSet<(u64, u32)>,
}

/// So many are kept apart before they are sorted in.
const FEW: usize = 1_024;

impl Marks {
    /// Notes what an alert of this number and id names.
    pub(super) fn note(&mut self, number: u32, folded_id: &str, names: &evidence::Named) {
        let hashes: Vec<FileHash> = names.files.iter().flat_map(|hashes| hashes.iter()).collect();
        let marks = [Named::Id(folded_id)].into_iter();
        let marks = marks.chain(hashes.iter().map(Named::File));
        let marks = marks.chain(names.domains.iter().map(|domain| Named::Domain(domain)));
        let marks = marks.chain(names.addresses.iter().map(|address| Named::Address(address)));
        let marks = marks.chain(names.users.iter().map(|user| Named::User(user.name())));
        let marks: Vec<u64> = marks.map(|named| self.secret.hash_one(named)).collect();
        for mark in marks {
            if self.sorted.binary_search(&(mark, number)).is_err() {
                self.recent.insert((mark, number));
            }
        }
    }

    /// Sorts in what was noted, if it is worth it.
    pub(super) fn settle(&mut self) {
        if self.recent.len() > FEW + self.sorted.len() / 8 {
            self.sorted.extend(std::mem::take(&mut self.recent));
            self.sorted.sort_unstable();
            self.sorted.shrink_to_fit();
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.sorted.len() + self.recent.len()
    }

    /// The numbers of the alerts that may name it, ascending.
    pub(super) fn find(&self, named: Named<'_>) -> BTreeSet<u32> {
        let mark = self.secret.hash_one(named);
        let start = self.sorted.partition_point(|(other, _)| *other < mark);
        let sorted = self.sorted.iter().skip(start).take_while(|(other, _)| *other == mark);
        let recent = self.recent.range((mark, 0)..=(mark, u32::MAX));
        sorted.chain(recent).map(|(_, number)| *number).collect()
    }
}
