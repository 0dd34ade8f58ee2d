//! The base: what follows from the archive, laid out for the questions that are asked.
//!
//! | keyspace | key, past the tenant | value |
//! | --- | --- | --- |
//! | `sightings` | file, page | the machines of the page with first and last seen (`page`) |
//! | `hashes` | hash, file | nothing: leads from a file's other hashes to it (`key`) |
//! | `files` | file | what sensors say of its content (`entity.rs`) |
//! | `machines` | id | ordinal and entity |
//! | `alerts` | id | entity; its evidence are the parts |
//! | `rejects` | digest | a record kept aside |
//! | `totals` | – | how much the tenant holds |
//! | `batches` | (no tenant) batch id | nothing: the batch is in the archive |
//! | `meta` | (no tenant) | format version; how much of the archive is applied |
//!
//! A batch is applied in one atomic write together with the archive position after it, so
//! applying can stop anywhere and go on, and applying twice changes nothing.

mod key;
mod page;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, RwLock};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};
use pintle_model::{FileHash, Hashes, MachineId, TenantId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::archive::{ArchivedBatch, BatchId, Position};
use crate::directory::{Directory, SharedDirectory};
use crate::entity::{Entity, most};
use crate::folders::make_private;
use crate::observe::Observed;
use crate::pair::Pair;
use crate::{Error, Receipt, Reject, Totals};

/// The base's format. A change that an older binary would misread raises it.
const VERSION: u32 = 1;
const CACHE_BYTES: u64 = 64 << 20;

/// A machine that a batch changed.
pub(crate) struct ChangedMachine {
    pub(crate) ordinal: u32,
    pub(crate) id: MachineId,
    pub(crate) entity: Entity,
}

/// The derived half of the store.
pub(crate) struct Base {
    db: Database,
    sightings: Keyspace,
    hashes: Keyspace,
    files: Keyspace,
    machines: Keyspace,
    alerts: Keyspace,
    rejects: Keyspace,
    totals: Keyspace,
    batches: Keyspace,
    meta: Keyspace,
}

impl Base {
    /// Opens the base, making an empty one if there is none.
    pub(crate) fn open(folder: &Path) -> Result<Base, Error> {
        // The engine makes its files as the umask says; behind this door nobody else sees them.
        make_private(folder)?;
        let db = Database::builder(folder).cache_size(CACHE_BYTES).worker_threads(1).open()?;
        let keyspace = |name: &str| db.keyspace(name, KeyspaceCreateOptions::default);
        let base = Base {
            sightings: keyspace("sightings")?,
            hashes: keyspace("hashes")?,
            files: keyspace("files")?,
            machines: keyspace("machines")?,
            alerts: keyspace("alerts")?,
            rejects: keyspace("rejects")?,
            totals: keyspace("totals")?,
            batches: keyspace("batches")?,
            meta: keyspace("meta")?,
            db,
        };
        match get::<u32>(&base.meta, b"version")? {
            None => base.meta.insert("version", encode(&VERSION)?)?,
            Some(found) if found > VERSION => {
                return Err(Error::Newer {
                    what: format!("the base {}", folder.display()),
                    found,
                    known: VERSION,
                });
            }
            Some(_) => {}
        }
        Ok(base)
    }

    /// How much of the archive is applied.
    pub(crate) fn applied(&self) -> Result<Position, Error> {
        Ok(get(&self.meta, b"applied")?.unwrap_or(Position::START))
    }

    /// Whether a batch of this id was applied.
    pub(crate) fn knows(&self, batch: &BatchId) -> Result<bool, Error> {
        Ok(self.batches.contains_key(batch)?)
    }

    /// Makes what was applied survive a power cut, so that less is applied again after one.
    pub(crate) fn persist(&self) -> Result<(), Error> {
        Ok(self.db.persist(PersistMode::SyncAll)?)
    }

    /// All tenants' machines.
    pub(crate) fn directories(&self) -> Result<HashMap<TenantId, SharedDirectory>, Error> {
        let mut machines: BTreeMap<TenantId, BTreeMap<u32, (MachineId, Entity)>> = BTreeMap::new();
        for guard in self.machines.iter() {
            let (key, value) = guard.into_inner()?;
            let Some((tenant, id)) = key.split_first_chunk::<16>() else { continue };
            let Some(id) = std::str::from_utf8(id).ok().and_then(|id| id.parse().ok()) else { continue };
            let (ordinal, entity) = decode(&value)?;
            machines.entry(TenantId::from_bytes(*tenant)).or_default().insert(ordinal, (id, entity));
        }
        let mut directories = HashMap::new();
        for (tenant, machines) in machines {
            let mut directory = Directory::default();
            for (ordinal, (id, entity)) in machines {
                directory.put(ordinal, id, entity);
            }
            directories.insert(tenant, Arc::new(RwLock::new(directory)));
        }
        Ok(directories)
    }

    /// Applies what was observed in one batch. Returns the machines that changed too: the
    /// directory is to be brought up to date with them afterwards.
    pub(crate) fn apply(
        &self,
        batch: &ArchivedBatch,
        observed: Observed,
        after: Position,
        directory: &Directory,
    ) -> Result<(Receipt, Vec<ChangedMachine>), Error> {
        let tenant = batch.tenant;
        let mut receipt = Receipt { implausible_times: observed.implausible_times, ..Receipt::default() };
        let mut totals = self.totals(tenant)?;
        let mut write = self.db.batch();

        let mut ordinals = Vec::with_capacity(observed.machines.len());
        let mut changed_machines = Vec::new();
        for (id, change) in observed.machines {
            let key = key::text(tenant, id.as_str());
            let known = get::<(u32, Entity)>(&self.machines, &key)?;
            let is_new = known.is_none();
            let next = u64::from(directory.next_ordinal()) + receipt.new_machines;
            let (ordinal, mut entity) =
                known.unwrap_or_else(|| (u32::try_from(next).unwrap_or(u32::MAX), Entity::default()));
            ordinals.push(ordinal);
            receipt.new_machines += u64::from(is_new);
            if entity.merge(change, most::ADAPTERS).is_any() || is_new {
                write.insert(&self.machines, key, encode(&(ordinal, &entity))?);
                changed_machines.push(ChangedMachine { ordinal, id, entity });
            }
        }

        let files: Vec<Hashes> = observed.files.iter().map(|(hashes, _)| *hashes).collect();
        for (hashes, change) in observed.files {
            receipt.new_files += u64::from(self.apply_file(&mut write, tenant, &hashes, change)?);
        }
        receipt.new_pairs = self.apply_pairs(&mut write, tenant, &files, &ordinals, observed.pairs)?;

        for (id, change) in observed.alerts {
            let key = key::text(tenant, id.as_str());
            let known = get::<Entity>(&self.alerts, &key)?;
            totals.alerts += u64::from(known.is_none());
            let is_new = known.is_none();
            let mut entity = known.unwrap_or_default();
            if entity.merge(change, most::EVIDENCE).is_any() || is_new {
                write.insert(&self.alerts, key, encode(&entity)?);
            }
        }
        for reject in &batch.rejects {
            let value = encode(reject)?;
            let mut key = key::tenant(tenant);
            key.extend_from_slice(&Sha256::digest(&value));
            write.insert(&self.rejects, key, value);
        }

        totals.machines += receipt.new_machines;
        totals.files += receipt.new_files;
        totals.pairs += receipt.new_pairs;
        write.insert(&self.totals, key::tenant(tenant), encode(&totals)?);
        write.insert(&self.batches, batch.id.as_slice(), b"");
        write.insert(&self.meta, "applied", encode(&after)?);
        write.commit()?;
        Ok((receipt, changed_machines))
    }

    /// Notes what is said of a file. Returns whether it is new.
    fn apply_file(
        &self,
        write: &mut OwnedWriteBatch,
        tenant: TenantId,
        hashes: &Hashes,
        change: Entity,
    ) -> Result<bool, Error> {
        let key = key::file(tenant, hashes);
        let known = get::<Entity>(&self.files, &key)?;
        let is_new = known.is_none();
        let mut entity = known.unwrap_or_default();
        if entity.merge(change, most::PATHS).is_any() || is_new {
            write.insert(&self.files, key, encode(&entity)?);
        }
        if is_new {
            for link in key::links(tenant, hashes) {
                write.insert(&self.hashes, link, b"");
            }
        }
        Ok(is_new)
    }

    /// Merges pairs of file and machine into their pages. Returns how many are new.
    fn apply_pairs(
        &self,
        write: &mut OwnedWriteBatch,
        tenant: TenantId,
        files: &[Hashes],
        ordinals: &[u32],
        pairs: HashMap<(u32, u32), Pair>,
    ) -> Result<u64, Error> {
        let at = |place: u32| usize::try_from(place).unwrap_or(usize::MAX);
        let mut seen: Vec<(u32, u32, Pair)> = pairs
            .into_iter()
            .filter_map(|((file, machine), pair)| Some((file, *ordinals.get(at(machine))?, pair)))
            .collect();
        seen.sort_unstable_by_key(|(file, ordinal, _)| (*file, *ordinal));
        let page = |(file, ordinal, _): &(u32, u32, Pair)| (*file, key::page_of(*ordinal));
        let mut new_pairs = 0;
        for seen in seen.chunk_by(|one, other| page(one) == page(other)) {
            let Some((file, number)) = seen.first().map(page) else { continue };
            let Some(hashes) = files.get(at(file)) else { continue };
            let key = key::page(tenant, hashes, number);
            let old = self.sightings.get(&key)?;
            let known = old.as_deref().map(page::decode).into_iter().flatten();
            let merged = page::merge(known, seen.iter().map(|(_, ordinal, pair)| (*ordinal, *pair)));
            new_pairs += merged.new;
            if merged.changed {
                let pairs = merged.pairs.iter().map(|(ordinal, pair)| (*ordinal, pair));
                write.insert(&self.sightings, key, page::encode(pairs));
            }
        }
        Ok(new_pairs)
    }

    /// How much a tenant holds.
    pub(crate) fn totals(&self, tenant: TenantId) -> Result<Totals, Error> {
        Ok(get(&self.totals, &key::tenant(tenant))?.unwrap_or_default())
    }

    /// The files that hold this hash, up to `most`.
    pub(crate) fn files_with(
        &self,
        tenant: TenantId,
        hash: &FileHash,
        most: usize,
    ) -> Result<Vec<Hashes>, Error> {
        let prefix = key::hash(tenant, hash);
        let mut found = Vec::new();
        for guard in self.files.prefix(&prefix).take(most) {
            let key = guard.key()?;
            found.extend(key.get(16..).and_then(key::read_file).map(|(hashes, _)| hashes));
        }
        // No file is led by another hash than its SHA-1 when it has one.
        if !matches!(hash, FileHash::Sha1(_)) {
            for guard in self.hashes.prefix(&prefix).take(most.saturating_sub(found.len())) {
                let key = guard.key()?;
                found.extend(key.get(prefix.len()..).and_then(key::read_file).map(|(hashes, _)| hashes));
            }
        }
        Ok(found)
    }

    /// Calls `each` with every machine on which the file was seen.
    pub(crate) fn pairs_of(
        &self,
        tenant: TenantId,
        file: &Hashes,
        each: &mut dyn FnMut(u32, Pair),
    ) -> Result<(), Error> {
        for guard in self.sightings.prefix(key::file(tenant, file)) {
            let (_, value) = guard.into_inner()?;
            page::decode(&value).for_each(|(ordinal, pair)| each(ordinal, pair));
        }
        Ok(())
    }

    /// What sensors say of a file.
    pub(crate) fn file(&self, tenant: TenantId, file: &Hashes) -> Result<Option<Entity>, Error> {
        get(&self.files, &key::file(tenant, file))
    }

    /// An alert.
    pub(crate) fn alert(&self, tenant: TenantId, id: &str) -> Result<Option<Entity>, Error> {
        get(&self.alerts, &key::text(tenant, id))
    }

    /// All alerts, ascending by id.
    pub(crate) fn alerts(&self, tenant: TenantId) -> impl Iterator<Item = Result<(String, Entity), Error>> {
        self.alerts.prefix(key::tenant(tenant)).map(|guard| {
            let (key, value) = guard.into_inner()?;
            let id = key.get(16..).map(String::from_utf8_lossy).unwrap_or_default().into_owned();
            Ok((id, decode(&value)?))
        })
    }

    /// All records kept aside.
    pub(crate) fn rejects(&self, tenant: TenantId) -> impl Iterator<Item = Result<Reject, Error>> {
        self.rejects.prefix(key::tenant(tenant)).map(|guard| decode(&guard.into_inner()?.1))
    }

    /// Every pair of a file's hashes, as (hash, file that holds it), ascending by hash: first the
    /// files led by a hash, then those that hold it besides.
    pub(crate) fn every_hash(
        &self,
        tenant: TenantId,
    ) -> impl Iterator<Item = Result<(FileHash, Hashes), Error>> {
        let prefix = key::tenant(tenant);
        let read = |bytes: &[u8], is_link: bool| {
            let past_tenant = bytes.get(16..)?;
            let (hash, rest) = key::read_hash(past_tenant)?;
            let (file, _) = key::read_file(if is_link { rest } else { past_tenant })?;
            Some((hash, file))
        };
        let led = self.files.prefix(&prefix).map(move |guard| Ok(read(&guard.key()?, false)));
        let linked = self.hashes.prefix(&prefix).map(move |guard| Ok(read(&guard.key()?, true)));
        merge_ascending(led.filter_map(Result::transpose), linked.filter_map(Result::transpose))
    }
}

/// Merges two ascending sequences of (hash, file).
fn merge_ascending<T: Ord + Copy, V>(
    one: impl Iterator<Item = Result<(T, V), Error>>,
    other: impl Iterator<Item = Result<(T, V), Error>>,
) -> impl Iterator<Item = Result<(T, V), Error>> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(Ok((left, _))), Some(Ok((right, _)))) if right < left => other.next(),
        (None, _) | (_, Some(Err(_))) => other.next(),
        _ => one.next(),
    })
}

fn get<T: DeserializeOwned>(keyspace: &Keyspace, key: &[u8]) -> Result<Option<T>, Error> {
    keyspace.get(key)?.map(|value| decode(&value)).transpose()
}

fn decode<T: DeserializeOwned>(value: &[u8]) -> Result<T, Error> {
    postcard::from_bytes(value).map_err(|error| Error::Engine(format!("a value does not read: {error}")))
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    postcard::to_allocvec(value).map_err(|error| Error::Engine(format!("a value does not write: {error}")))
}
