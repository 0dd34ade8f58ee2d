//! The key layout: tenant, table, then what tells one from another.
//!
//! A *file* here is one distinct set of hashes as records gave it. Its key leads with the hash
//! that it is asked by most, SHA-1, else SHA-256, else MD5, so that a prefix finds every set
//! with that leading hash; the other hashes lead to it through [`Table::Links`]. Hashes are looked
//! for by their marks, eight bytes that nobody outside can make alike: telemetry may claim any
//! hashes, also ones that all begin the same.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};

use pintle_model::{FileHash, HashKind, Hashes, MachineId, Md5, Sha1, Sha256, TenantId, Time};
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

use crate::observable::{Observable, User};

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
    /// By mark and text: a domain, an IP address or a user; entity and postings.
    Observables,
    /// By machine's ordinal and user: the entity; the kinds of logon are the parts.
    Logons,
    /// By IP address and machine's ordinal: when the machine had the address.
    Addresses,
    /// By hour and place in the archive: which batches hold events of that hour.
    Frames,
}

impl Table {
    /// All of them.
    pub(crate) const ALL: [Table; 11] = [
        Table::Machines,
        Table::Files,
        Table::Links,
        Table::Alerts,
        Table::Rejects,
        Table::Batches,
        Table::BatchIds,
        Table::Observables,
        Table::Logons,
        Table::Addresses,
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
            Table::Observables => b'8',
            Table::Logons => b'9',
            Table::Addresses => b'A',
        }
    }
}

/// Bytes of tenant and table.
const HEAD: usize = 17;
/// Tenant, table and a mark, or the eight bytes of a machine's ordinal.
const MARKED: usize = HEAD + 8;

/// Eight bytes by which a hash or a name is looked for. What is found is compared whole.
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

    /// The mark of a name of this kind; never that of a hash, whatever the name is.
    fn of_name(&self, kind: u8, name: &[u8]) -> Mark {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        // Longer than any hash.
        hasher.write(b"a name that telemetry gives, of the kind:");
        hasher.write(&[kind]);
        hasher.write(name);
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
    let by_mark = matches!(key.get(HEAD - 1), Some(b'2' | b'3' | b'8' | b'9' | b'A'));
    key.get(..MARKED).filter(|_| by_mark).unwrap_or(key)
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

/// What tells kinds of observables apart in their keys.
const DOMAIN: u8 = b'd';
const IP: u8 = b'i';
const USER: u8 = b'u';
/// Between a user's name and domain, neither of which has it.
const BETWEEN: u8 = 0;

/// What follows the table in an observable's key: the mark of its name, then its kind and all of it. All
/// users of a name stand together.
pub(crate) fn observable(marks: &Marks, of: &Observable) -> Vec<u8> {
    match of {
        Observable::Domain(domain) => named(marks, DOMAIN, domain.as_str().as_bytes()),
        Observable::Ip(address) => named(marks, IP, &address_bytes(*address)),
        Observable::User(user) => {
            let mut key = users_named(marks, user.name());
            key.extend_from_slice(user.domain().as_bytes());
            key
        }
    }
}

/// Prefix of the same of all users of this name.
pub(crate) fn users_named(marks: &Marks, name: &str) -> Vec<u8> {
    let mut key = named(marks, USER, name.as_bytes());
    key.push(BETWEEN);
    key
}

fn named(marks: &Marks, kind: u8, name: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.len() + 16);
    key.extend_from_slice(&marks.of_name(kind, name));
    key.push(kind);
    key.extend_from_slice(name);
    key
}

/// Reads the user back from a whole key of [`Table::Observables`].
pub(crate) fn read_user(key: &[u8]) -> Option<User> {
    match key.get(MARKED..)?.split_first()? {
        (&USER, text) => user_of(text),
        _ => None,
    }
}

fn user_of(text: &[u8]) -> Option<User> {
    let (name, domain) = std::str::from_utf8(text).ok()?.split_once(char::from(BETWEEN))?;
    User::named(name, domain)
}

/// Sixteen bytes for an address of either version.
fn address_bytes(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// Prefix of the users of a machine.
pub(crate) fn logons_on(tenant: TenantId, ordinal: u32) -> Vec<u8> {
    of(tenant, Table::Logons, &u64::from(ordinal).to_be_bytes())
}

/// Key of a user on a machine.
pub(crate) fn logon(tenant: TenantId, ordinal: u32, user: &User) -> Vec<u8> {
    let mut key = logons_on(tenant, ordinal);
    key.extend_from_slice(user.name().as_bytes());
    key.push(BETWEEN);
    key.extend_from_slice(user.domain().as_bytes());
    key
}

/// Reads the machine's ordinal and the user back.
pub(crate) fn read_logon(key: &[u8]) -> Option<(u32, User)> {
    let (ordinal, text) = key.get(HEAD..)?.split_first_chunk()?;
    Some((u32::try_from(u64::from_be_bytes(*ordinal)).ok()?, user_of(text)?))
}

/// Prefix of the machines that had an address.
pub(crate) fn machines_at(marks: &Marks, tenant: TenantId, address: IpAddr) -> Vec<u8> {
    let bytes = address_bytes(address);
    let mut key = of(tenant, Table::Addresses, &marks.of_name(IP, &bytes));
    key.extend_from_slice(&bytes);
    key
}

/// Key of an address of a machine.
pub(crate) fn address(marks: &Marks, tenant: TenantId, address: IpAddr, ordinal: u32) -> Vec<u8> {
    let mut key = machines_at(marks, tenant, address);
    key.extend_from_slice(&ordinal.to_be_bytes());
    key
}

/// Reads the address and the machine's ordinal back.
pub(crate) fn read_address(key: &[u8]) -> Option<(IpAddr, u32)> {
    let (address, ordinal) = key.get(MARKED..)?.split_first_chunk::<16>()?;
    Some((Ipv6Addr::from(*address).to_canonical(), u32::from_be_bytes(ordinal.try_into().ok()?)))
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

    #[test]
    fn what_telemetry_names_is_found_by_the_mark_of_its_name_and_reads_back() {
        let marks = Marks([7; 16]);
        let user = User::named("alex", "corp").unwrap();
        let domain = Observable::Domain("evil.example".parse().unwrap());
        let ip = Observable::ip("192.0.2.7").unwrap();
        let rests = [&Observable::User(user.clone()), &domain, &ip].map(|one| observable(&marks, one));
        let keys = rests.clone().map(|rest| of(TENANT, Table::Observables, &rest));
        assert_eq!(keys.clone().map(|key| read_user(&key)), [Some(user.clone()), None, None]);
        for (key, rest) in keys.iter().zip(&rests) {
            assert_eq!((probe(key), split(key).unwrap().1), (&key[..MARKED], Table::Observables));
            assert_eq!(mark(key).unwrap(), rest[..8]);
        }
        let longer = Observable::User(User::named("alexa", "corp").unwrap());
        let elsewhere = Observable::User(User::named("alex", "").unwrap());
        let named = users_named(&marks, "alex");
        assert!(rests[0].starts_with(&named) && observable(&marks, &elsewhere).starts_with(&named));
        assert!(!observable(&marks, &longer).starts_with(&named));

        let key = logon(TENANT, 7, &user);
        assert_eq!(read_logon(&key), Some((7, user)));
        assert_eq!((probe(&key), key.starts_with(&logons_on(TENANT, 7))), (&*logons_on(TENANT, 7), true));
        for text in ["192.0.2.7", "2001:db8::1"] {
            let told: IpAddr = text.parse().unwrap();
            let key = address(&marks, TENANT, told, 9);
            assert_eq!(read_address(&key), Some((told, 9)));
            assert!(key.starts_with(&machines_at(&marks, TENANT, told)) && probe(&key).len() == MARKED);
        }
    }
}
