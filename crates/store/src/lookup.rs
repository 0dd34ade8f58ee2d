//! The identity rule: which records speak for a file.
//!
//! A question about hash *H* of kind *K* is answered by every record that carries *H*, and by
//! every record that carries no hash of kind *K* but one (its SHA-256, else its SHA-1, else its
//! MD5) that has been seen beside exactly one hash of kind *K*, namely *H*. No further step:
//! links are never followed transitively, and a hash with several partners is a conflict, not a
//! merge.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use pintle_model::{FileHash, HashKind, Hashes, TenantId};

use crate::base::{Base, Files, Found};
use crate::entity::{Entity, most};
use crate::pair::{self, Pair};
use crate::{Conflict, Error};

/// The most sets of hashes looked at for one hash. Real conflicts have tens of partners; without
/// a bound, telemetry that pairs one MD5 with a million SHA-256 would make every question about
/// it as large.
const MAX_SETS: usize = 1000;
/// The most partners of a hash that are listed.
const MAX_PARTNERS: usize = 1000;

/// Everything that a hash stands for.
pub(crate) struct Resolved {
    of: TenantId,
    /// The sets of hashes that carry it.
    carrying: Vec<Found>,
    /// The sets that lack its kind but can only mean it.
    meaning: Vec<Found>,
    /// Hashes beside it that stand beside others of its kind as well, so that records that carry
    /// only these stayed out.
    pub(crate) ask_instead: Vec<FileHash>,
    /// There are more sets than are looked at, so machines may be missing.
    pub(crate) cut_short: bool,
}

impl Resolved {
    /// All sets whose sightings answer for the hash.
    fn sets(&self) -> impl Iterator<Item = &Found> {
        self.carrying.iter().chain(&self.meaning)
    }

    /// The sets of hashes that answer for it.
    pub(crate) fn hash_sets(&self) -> impl Iterator<Item = Hashes> {
        self.sets().map(Found::hashes)
    }

    /// The machines on which it was seen, ascending by ordinal.
    pub(crate) fn pairs(&self) -> Result<Vec<(u32, Pair)>, Error> {
        let lists = self.sets().map(|set| set.pairs(self.of)).collect::<Result<Vec<_>, _>>()?;
        Ok(pair::merge(lists))
    }

    /// The machines on which it was seen, by ordinal, in no order, some perhaps twice.
    pub(crate) fn machines(&self) -> Result<Vec<u32>, Error> {
        let mut machines = Vec::new();
        self.sets().try_for_each(|set| set.machines(self.of, &mut machines))?;
        Ok(machines)
    }

    /// What sensors say of its content.
    pub(crate) fn entity(&self) -> Result<Entity, Error> {
        let mut entity = Entity::default();
        for set in self.sets() {
            entity.merge(set.entity(self.of)?, most::PATHS);
        }
        Ok(entity)
    }

    /// The hash of a kind that the file has beyond doubt: the only one seen beside it.
    fn only(&self, kind: HashKind) -> Option<FileHash> {
        let mut there = self.sets().filter_map(|set| set.hashes().get(kind));
        let first = there.next()?;
        there.all(|other| other == first).then_some(first)
    }

    /// The three hashes of the file, each if beyond doubt.
    pub(crate) fn hashes(&self) -> Hashes {
        let mut hashes = Hashes::default();
        for kind in HashKind::ALL {
            match self.only(kind) {
                Some(FileHash::Sha1(hash)) => hashes.sha1 = Some(hash),
                Some(FileHash::Sha256(hash)) => hashes.sha256 = Some(hash),
                Some(FileHash::Md5(hash)) => hashes.md5 = Some(hash),
                None => {}
            }
        }
        hashes
    }
}

/// The sets of hashes that a question may look at.
struct Sets<'q> {
    files: Files,
    /// Whether a machine counts; none given: also sets count that were seen on no machine.
    counts: Option<&'q dyn Fn(u32) -> bool>,
    /// What came of it, since a set is met on several ways.
    known: HashMap<Hashes, bool>,
}

impl Sets<'_> {
    /// Those that carry a hash, and whether there are more than are looked at.
    fn with(&mut self, hash: &FileHash) -> Result<(Vec<Found>, bool), Error> {
        let found = self.files.with(hash, MAX_SETS)?;
        let cut_short = found.len() >= MAX_SETS;
        Ok((self.counting(found)?, cut_short))
    }

    /// Whether one that a hash leads is such.
    fn leads_any(&mut self, hash: &FileHash, such: &dyn Fn(&Hashes) -> bool) -> Result<bool, Error> {
        let mut found = self.files.led_by(hash, MAX_SETS)?;
        found.retain(|set| such(&set.hashes()));
        Ok(!self.counting(found)?.is_empty())
    }

    /// Those of them that count.
    fn counting(&mut self, found: Vec<Found>) -> Result<Vec<Found>, Error> {
        let Some(counts) = self.counts else { return Ok(found) };
        let mut counting = Vec::with_capacity(found.len());
        for set in found {
            let is_known = match self.known.entry(set.hashes()) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => {
                    let mut machines = Vec::new();
                    set.machines(self.files.of, &mut machines)?;
                    *new.insert(machines.into_iter().any(counts))
                }
            };
            counting.extend(is_known.then_some(set));
        }
        Ok(counting)
    }
}

/// Whether a set of hashes that lacks a kind and is told by `other` instead leads with `other`. Of a set with no
/// MD5 that is its SHA-256, though a SHA-1 may stand before that; else it is what the set leads with.
fn leads_where_it_stands_for(kind: HashKind, other: &FileHash) -> bool {
    !matches!((kind, other), (HashKind::Md5, FileHash::Sha256(_)))
}

/// Finds what a hash stands for; `None` if no record ever carried it. If only some machines count
/// (`counts`, by ordinal), sets of hashes that were seen on none of them are as if nobody had ever
/// told of them: they make no file known, link nothing and are in no conflict.
pub(crate) fn resolve(
    files: Files,
    hash: &FileHash,
    counts: Option<&dyn Fn(u32) -> bool>,
) -> Result<Option<Resolved>, Error> {
    let (kind, of) = (hash.kind(), files.of);
    let mut sets = Sets { files, counts, known: HashMap::new() };
    let (carrying, cut_short) = sets.with(hash)?;
    if carrying.is_empty() {
        return Ok(None);
    }
    let hashes = carrying.iter().map(Found::hashes);
    let beside: BTreeSet<FileHash> =
        hashes.flat_map(|set| set.iter().collect::<Vec<_>>()).filter(|other| other.kind() != kind).collect();
    let mut resolved = Resolved { of, carrying, meaning: Vec::new(), ask_instead: Vec::new(), cut_short };
    for other in beside {
        let lacks = |set: &Hashes| set.get(kind).is_none() && set.best_besides(kind) == Some(other);
        if leads_where_it_stands_for(kind, &other) && !sets.leads_any(&other, &lacks)? {
            continue;
        }
        let (sets, is_cut) = sets.with(&other)?;
        let mut lacking = sets.iter().filter(|set| lacks(&set.hashes())).cloned().peekable();
        if lacking.peek().is_none() {
            continue;
        }
        let mut partners = sets.iter().filter_map(|set| set.hashes().get(kind));
        if !is_cut && partners.all(|found| found == *hash) {
            resolved.meaning.extend(lacking);
        } else {
            resolved.ask_instead.push(other);
        }
    }
    Ok(Some(resolved))
}

/// Every file whose hashes do not belong together one to one, ascending.
pub(crate) fn conflicts(base: &Base, tenant: TenantId) -> Result<Vec<Conflict>, Error> {
    let mut conflicts: BTreeMap<FileHash, BTreeSet<FileHash>> = BTreeMap::new();
    base.files(tenant).shared(MAX_PARTNERS, &mut |hash, sets| {
        let mut partners = BTreeSet::new();
        for set in sets {
            if partners.len() < MAX_PARTNERS {
                partners.extend(set.iter().filter(|other| *other != hash));
            }
        }
        note_conflict(hash, partners, &mut conflicts);
    })?;
    Ok(conflicts
        .into_iter()
        .map(|(hash, partners)| Conflict { hash, partners: partners.into_iter().collect() })
        .collect())
}

/// Counts a hash with several partners of one kind to the file that it names.
fn note_conflict(
    hash: FileHash,
    partners: BTreeSet<FileHash>,
    conflicts: &mut BTreeMap<FileHash, BTreeSet<FileHash>>,
) {
    let only = |kind: HashKind| {
        let mut of_kind = partners.iter().filter(|partner| partner.kind() == kind);
        of_kind.next().filter(|_| of_kind.next().is_none()).copied()
    };
    let several = HashKind::ALL
        .into_iter()
        .any(|kind| partners.iter().filter(|partner| partner.kind() == kind).count() > 1);
    if !several {
        return;
    }
    let file = match hash.kind() {
        HashKind::Sha1 => hash,
        HashKind::Sha256 => only(HashKind::Sha1).unwrap_or(hash),
        HashKind::Md5 => only(HashKind::Sha1).or_else(|| only(HashKind::Sha256)).unwrap_or(hash),
    };
    let beside = conflicts.entry(file).or_default();
    beside.extend(partners);
    beside.insert(hash);
    beside.remove(&file);
}
