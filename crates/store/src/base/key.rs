//! The key layout: tenant, table, then what tells one from another.
//!
//! A *file* here is one distinct set of hashes as records gave it. Its key leads with the hash
//! that it is asked by most, SHA-1, else SHA-256, else MD5, so that a prefix finds every set
//! with that leading hash; the other hashes lead to it through [`Table::Links`]. Hashes are looked
//! for by their marks, eight bytes that nobody outside can make alike: telemetry may claim any
//! hashes, also ones that all begin the same.

use std::hash::{BuildHasher, Hasher, RandomState};

use pintle_model::{FileHash, HashKind, Hashes, MachineId, Md5, Sha1, Sha256, TenantId, Time};
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

/// The kinds of thing that the base holds. The order is that of the keys of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    /// By id and ordinal: the entity.
    Machines,
    /// By set of hashes: entity and postings.
    Files,
    /// From the mark of a hash that leads no key to the mark of one that does.
    Links,
    /// By id: the entity; its evidence are the parts.
    Alerts,
    /// By digest: a record kept aside.
    Rejects,
    /// By time of arrival and id: what came in.
    Batches,
    /// By id: the time of arrival.
    BatchIds,
    /// By hour and place in the archive: which batches hold events of that hour.
    Frames,
}

impl Table {
    /// All of them.
    pub(crate) const ALL: [Table; 8] = [
        Table::Machines,
        Table::Files,
        Table::Links,
        Table::Alerts,
        Table::Rejects,
        Table::Batches,
        Table::BatchIds,
        Table::Frames,
    ];

    fn byte(self) -> u8 {
        match self {
            Table::Machines => b'1',
            Table::Files => b'2',
            Table::Links => b'3',
            Table::Alerts => b'4',
            Table::Rejects => b'5',
            Table::Batches => b'6',
            Table::BatchIds => b'7',
            Table::Frames => b'f',
        }
    }
}

/// Bytes of tenant and table.
const HEAD: usize = 17;
/// Tenant, table and the mark of a hash.
const MARKED: usize = HEAD + 8;

/// Eight bytes by which a hash is looked for. What is found is compared whole.
pub(crate) type Mark = [u8; 8];

/// Makes marks, by a secret of the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marks([u8; 16]);

impl Marks {
    /// With a new secret.
    pub(crate) fn new() -> Marks {
        // Seeded by the operating system.
        let random = || RandomState::new().build_hasher().finish();
        Marks(((u128::from(random()) << 64) | u128::from(random())).to_le_bytes())
    }

    pub(crate) fn of(&self, hash: &FileHash) -> Mark {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write(hash.bytes());
        hasher.finish().to_le_bytes()
    }
}

/// The first bytes of every key of a table.
pub(crate) fn table(of: TenantId, table: Table) -> Vec<u8> {
    let mut key = Vec::with_capacity(96);
    key.extend_from_slice(of.as_bytes());
    key.push(table.byte());
    key
}

/// The key of what goes by a text, a digest or the like.
pub(crate) fn of(tenant: TenantId, within: Table, rest: &[u8]) -> Vec<u8> {
    let mut key = table(tenant, within);
    key.extend_from_slice(rest);
    key
}

/// A machine's key. One that was forgotten and seen again has another ordinal, so it is another
/// machine here.
pub(crate) fn machine(tenant: TenantId, id: &MachineId, ordinal: u32) -> Vec<u8> {
    let mut key = of(tenant, Table::Machines, id.as_str().as_bytes());
    key.extend_from_slice(&ordinal.to_be_bytes());
    key
}

/// Reads a machine's key back.
pub(crate) fn read_machine(key: &[u8]) -> Option<(MachineId, u32)> {
    let (id, ordinal) = key.get(HEAD..)?.split_last_chunk()?;
    Some((std::str::from_utf8(id).ok()?.parse().ok()?, u32::from_be_bytes(*ordinal)))
}

/// A batch's key: in the order of arrival.
pub(crate) fn batch(tenant: TenantId, received: Time, id: &[u8]) -> Vec<u8> {
    let mut key = table(tenant, Table::Batches);
    // Times before 1970 sort first.
    key.extend_from_slice(&(received.ticks() ^ i64::MIN).to_be_bytes());
    key.extend_from_slice(id);
    key
}

/// Reads a batch's key back.
pub(crate) fn read_batch(key: &[u8]) -> Option<(Time, [u8; 32])> {
    let (ticks, id) = key.get(HEAD..)?.split_first_chunk()?;
    Some((Time::from_ticks(i64::from_be_bytes(*ticks) ^ i64::MIN), id.try_into().ok()?))
}

/// Whose it is, of which table, and what tells it from others.
pub(crate) fn split(key: &[u8]) -> Option<(TenantId, Table, &[u8])> {
    let (tenant, rest) = key.split_first_chunk::<16>()?;
    let (byte, rest) = rest.split_first()?;
    let table = Table::ALL.into_iter().find(|table| table.byte() == *byte)?;
    Some((TenantId::from_bytes(*tenant), table, rest))
}

/// The part of a key that everyone who looks for it knows: what filters remember.
pub(crate) fn probe(key: &[u8]) -> &[u8] {
    let by_hash = matches!(key.get(HEAD - 1), Some(b'2' | b'3'));
    key.get(..MARKED).filter(|_| by_hash).unwrap_or(key)
}

/// Prefix of the files that lead with the hash of this mark.
pub(crate) fn led_by(tenant: TenantId, mark: Mark) -> Vec<u8> {
    of(tenant, Table::Files, &mark)
}

/// Prefix of the links from the hash of this mark.
pub(crate) fn links_from(tenant: TenantId, mark: Mark) -> Vec<u8> {
    of(tenant, Table::Links, &mark)
}

/// Key of a file: its leading hash's mark, then that hash, which others follow, then those.
pub(crate) fn file(marks: &Marks, tenant: TenantId, hashes: &Hashes) -> Vec<u8> {
    let mut key = table(tenant, Table::Files);
    if let Some(lead) = hashes.iter().next() {
        key.extend_from_slice(&marks.of(&lead));
    }
    push_file(&mut key, hashes);
    key
}

/// Keys that lead from a file's other hashes to it.
pub(crate) fn links(marks: &Marks, tenant: TenantId, hashes: &Hashes) -> impl Iterator<Item = Vec<u8>> {
    let mut all = hashes.iter().map(|hash| marks.of(&hash));
    let lead = all.next().unwrap_or_default();
    let others: Vec<Mark> = all.collect();
    others.into_iter().map(move |other| {
        let mut key = links_from(tenant, other);
        key.extend_from_slice(&lead);
        key
    })
}

/// The mark of the leading hash to which a link leads.
pub(crate) fn target(link: &[u8]) -> Option<Mark> {
    link.get(MARKED..)?.try_into().ok()
}

/// The mark with which a key of [`Table::Files`] or [`Table::Links`] begins.
pub(crate) fn mark(key: &[u8]) -> Option<Mark> {
    key.get(HEAD..)?.first_chunk().copied()
}

fn push_file(key: &mut Vec<u8>, hashes: &Hashes) {
    let mut all = hashes.iter();
    let Some(lead) = all.next() else { return };
    key.push(kind_byte(lead.kind()));
    key.extend_from_slice(lead.bytes());
    key.push(hashes.iter().map(|hash| 1 << kind_byte(hash.kind())).sum());
    for other in all {
        key.extend_from_slice(other.bytes());
    }
}

/// Reads a file back from its key.
pub(crate) fn read_file(key: &[u8]) -> Option<Hashes> {
    let (lead, rest) = key.get(MARKED..)?.split_first()?;
    let mut hashes = Hashes::default();
    let rest = take_hash(&mut hashes, *lead, rest)?;
    let (mask, mut rest) = rest.split_first()?;
    for kind in [1, 2, 3].into_iter().filter(|kind| kind != lead && mask & (1 << kind) != 0) {
        rest = take_hash(&mut hashes, kind, rest)?;
    }
    rest.is_empty().then_some(hashes)
}

fn take_hash<'k>(hashes: &mut Hashes, kind: u8, key: &'k [u8]) -> Option<&'k [u8]> {
    match kind {
        1 => {
            let (bytes, rest) = key.split_first_chunk()?;
            hashes.sha1 = Some(Sha1(*bytes));
            Some(rest)
        }
        2 => {
            let (bytes, rest) = key.split_first_chunk()?;
            hashes.sha256 = Some(Sha256(*bytes));
            Some(rest)
        }
        3 => {
            let (bytes, rest) = key.split_first_chunk()?;
            hashes.md5 = Some(Md5(*bytes));
            Some(rest)
        }
        _ => None,
    }
}

fn kind_byte(kind: HashKind) -> u8 {
    match kind {
        HashKind::Sha1 => 1,
        HashKind::Sha256 => 2,
        HashKind::Md5 => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: TenantId = TenantId::from_bytes([9; 16]);

    #[test]
    fn a_key_reads_back_as_the_file_it_names_whatever_hashes_it_has() {
        let (sha1, sha256, md5) = (Some(Sha1([1; 20])), Some(Sha256([2; 32])), Some(Md5([3; 16])));
        for which in 1..8 {
            let hashes = Hashes {
                sha1: sha1.filter(|_| which & 1 != 0),
                sha256: sha256.filter(|_| which & 2 != 0),
                md5: md5.filter(|_| which & 4 != 0),
            };
            let marks = Marks([7; 16]);
            let lead = marks.of(&hashes.iter().next().unwrap());
            let key = file(&marks, TENANT, &hashes);
            assert_eq!(read_file(&key), Some(hashes));
            assert_eq!(split(&key).unwrap().1, Table::Files);
            assert_eq!((probe(&key), mark(&key)), (led_by(TENANT, lead).as_slice(), Some(lead)));
            let links: Vec<_> = links(&marks, TENANT, &hashes).collect();
            for (link, other) in links.iter().zip(hashes.iter().skip(1)) {
                assert_eq!(probe(link), links_from(TENANT, marks.of(&other)));
                assert_eq!(target(link), Some(lead));
            }
            assert_eq!(links.len(), hashes.iter().count() - 1);
        }
    }

    #[test]
    fn batches_sort_by_time_of_arrival() {
        let times = [i64::MIN, -5, 0, 3, i64::MAX].map(Time::from_ticks);
        let keys = times.map(|time| batch(TENANT, time, &[7; 32]));
        assert!(keys.is_sorted());
        assert_eq!(keys.map(|key| read_batch(&key)), times.map(|time| Some((time, [7; 32]))));
    }
}
