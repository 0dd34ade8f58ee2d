//! The key layout: tenant first, always.
//!
//! A *file* here is one distinct set of hashes as records gave it. Its key leads with the hash
//! that it is asked by most, SHA-1, else SHA-256, else MD5, so that a prefix finds every set
//! with that leading hash; the other hashes lead to it through the `hashes` keyspace.

use pintle_model::{FileHash, HashKind, Hashes, Md5, Sha1, Sha256, TenantId};

/// Machines a page of sightings covers, by ordinal: bounds what one write rewrites.
pub(crate) const MACHINES_A_PAGE: u32 = 4096;

/// The first bytes of every key of a tenant.
pub(crate) fn tenant(tenant: TenantId) -> Vec<u8> {
    let mut key = Vec::with_capacity(96);
    key.extend_from_slice(tenant.as_bytes());
    key
}

/// Key of an entity that goes by a text: machine, alert.
pub(crate) fn text(of: TenantId, id: &str) -> Vec<u8> {
    let mut key = tenant(of);
    key.extend_from_slice(id.as_bytes());
    key
}

/// Prefix of all that leads with this hash: in `sightings` and `files` the sets led by it, in
/// `hashes` the sets that hold it but are led by another.
pub(crate) fn hash(of: TenantId, hash: &FileHash) -> Vec<u8> {
    let mut key = tenant(of);
    key.push(kind_byte(hash.kind()));
    key.extend_from_slice(hash.bytes());
    key
}

/// Key of a file: its leading hash, then which others follow, then those.
pub(crate) fn file(of: TenantId, hashes: &Hashes) -> Vec<u8> {
    let mut key = tenant(of);
    push_file(&mut key, hashes);
    key
}

/// Key of one page of a file's sightings.
pub(crate) fn page(of: TenantId, hashes: &Hashes, page: u16) -> Vec<u8> {
    let mut key = file(of, hashes);
    key.extend_from_slice(&page.to_be_bytes());
    key
}

/// Keys in `hashes` that lead from a file's other hashes to it.
pub(crate) fn links(of: TenantId, hashes: &Hashes) -> impl Iterator<Item = Vec<u8>> + '_ {
    hashes.iter().skip(1).map(move |other| {
        let mut key = hash(of, &other);
        push_file(&mut key, hashes);
        key
    })
}

/// The page that holds a machine.
pub(crate) fn page_of(ordinal: u32) -> u16 {
    u16::try_from(ordinal / MACHINES_A_PAGE).unwrap_or(u16::MAX)
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

/// Reads a file back from a key, past the tenant (and in `hashes` past the linking hash). Returns
/// what follows it too: the page's number in `sightings`.
pub(crate) fn read_file(key: &[u8]) -> Option<(Hashes, &[u8])> {
    let (lead, rest) = key.split_first()?;
    let mut hashes = Hashes::default();
    let rest = take_hash(&mut hashes, *lead, rest)?;
    let (mask, mut rest) = rest.split_first()?;
    for kind in [1, 2, 3].into_iter().filter(|kind| kind != lead && mask & (1 << kind) != 0) {
        rest = take_hash(&mut hashes, kind, rest)?;
    }
    Some((hashes, rest))
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

/// Reads the hash that a key leads with, past the tenant.
pub(crate) fn read_hash(key: &[u8]) -> Option<(FileHash, &[u8])> {
    let (kind, rest) = key.split_first()?;
    let mut hashes = Hashes::default();
    let rest = take_hash(&mut hashes, *kind, rest)?;
    let hash = hashes.iter().next()?;
    Some((hash, rest))
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

    #[test]
    fn a_key_reads_back_as_the_file_it_names_whatever_hashes_it_has() {
        let (sha1, sha256, md5) = (Some(Sha1([1; 20])), Some(Sha256([2; 32])), Some(Md5([3; 16])));
        for which in 1..8 {
            let hashes = Hashes {
                sha1: sha1.filter(|_| which & 1 != 0),
                sha256: sha256.filter(|_| which & 2 != 0),
                md5: md5.filter(|_| which & 4 != 0),
            };
            let of = TenantId::from_bytes([9; 16]);
            let key = page(of, &hashes, 7);
            assert_eq!(read_file(&key[16..]), Some((hashes, [0, 7].as_slice())));
            assert_eq!(links(of, &hashes).count(), hashes.iter().count() - 1);
            for link in links(of, &hashes) {
                let (_, rest) = read_hash(&link[16..]).unwrap();
                assert_eq!(read_file(rest), Some((hashes, [].as_slice())));
            }
        }
    }
}
