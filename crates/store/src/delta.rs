//! What was observed lately, in memory: it can be read as soon as it is here, repeats are folded
//! together, and it becomes a run of the base when there is enough of it.

mod observables;
mod sightings;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use pintle_model::{AlertId, Hashes, MachineId, TenantId, Time};

use crate::archive::{BatchId, Position};
use crate::base::Entry;
use crate::base::frames::HourOfFrame;
use crate::base::key::{self, Mark, Marks, Table};
use crate::base::manifest::Counts;
use crate::base::value::{self, Arrival, encode};
use crate::entity::{Entity, most};
use crate::pair::Pair;
use crate::{Error, Reject};
pub(crate) use observables::Observables;
use sightings::{PAIR_BYTES, Sightings};

/// What one delta holds, of all tenants.
pub(crate) struct Delta {
    pub(crate) tenants: BTreeMap<TenantId, TenantDelta>,
    /// Counts of each tenant, with what is in the base before this.
    pub(crate) counts: BTreeMap<TenantId, Counts>,
    /// Everything in the archive before here is in this delta or in the base before it.
    pub(crate) after: Position,
    /// Records that came in.
    pub(crate) records: u64,
}

impl Delta {
    /// Nothing yet, after what these counts and this position say.
    pub(crate) fn new(counts: BTreeMap<TenantId, Counts>, after: Position) -> Delta {
        Delta { tenants: BTreeMap::new(), counts, after, records: 0 }
    }

    pub(crate) fn tenant(&self, of: TenantId) -> Option<&TenantDelta> {
        self.tenants.get(&of)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tenants.is_empty()
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.tenants.values().map(|tenant| tenant.bytes + tenant.observables.bytes).sum()
    }
}

/// What one tenant's share holds.
#[derive(Default)]
pub(crate) struct TenantDelta {
    files: Vec<HeldFile>,
    by_hashes: HashMap<Hashes, u32>,
    /// The last file that holds a hash of this mark; the others hang on it.
    by_mark: HashMap<Mark, u32>,
    sightings: Sightings,
    pub(crate) observables: Observables,
    /// Ordinals of machines that changed; the directory has what they are.
    pub(crate) machines: BTreeSet<u32>,
    pub(crate) alerts: BTreeMap<AlertId, Entity>,
    pub(crate) rejects: BTreeMap<[u8; 32], Reject>,
    pub(crate) batches: BTreeMap<(Time, BatchId), Arrival>,
    pub(crate) batch_ids: HashMap<BatchId, Time>,
    pub(crate) frames: BTreeSet<HourOfFrame>,
    bytes: usize,
}

/// Gives a machine's id and value by its ordinal.
type MachineOf<'f> = &'f dyn Fn(u32) -> Result<Option<(MachineId, Vec<u8>)>, Error>;

const NONE: u32 = u32::MAX;
/// About what a file takes, with its entity and its places in three maps.
const FILE_BYTES: usize = 900;

struct HeldFile {
    hashes: Hashes,
    entity: Entity,
    /// The file before that holds a hash of the same mark, for each of its hashes.
    before: [u32; 3],
    marks: [Mark; 3],
}

impl TenantDelta {
    /// The number of this set of hashes here.
    pub(crate) fn number_of(&self, hashes: &Hashes) -> Option<u32> {
        self.by_hashes.get(hashes).copied()
    }

    /// Takes in what is said of a file. Returns its number here.
    pub(crate) fn note_file(&mut self, marks: &Marks, hashes: Hashes, change: Entity) -> u32 {
        if let Some(number) = self.number_of(&hashes) {
            if let Some(file) = self.files.get_mut(at(number)) {
                file.entity.merge(change, most::PATHS);
            }
            return number;
        }
        let number = u32::try_from(self.files.len()).unwrap_or(NONE);
        let (mut before, mut marked) = ([NONE; 3], [Mark::default(); 3]);
        for ((hash, before), mark) in hashes.iter().zip(&mut before).zip(&mut marked) {
            *mark = marks.of(&hash);
            *before = self.by_mark.insert(*mark, number).unwrap_or(NONE);
        }
        self.by_hashes.insert(hashes, number);
        self.bytes += FILE_BYTES + change.parts.keys().map(|name| name.len()).sum::<usize>();
        self.files.push(HeldFile { hashes, entity: change, before, marks: marked });
        number
    }

    /// Takes in a sighting.
    pub(crate) fn note_pair(&mut self, file: u32, machine: u32, seen: &Pair) {
        if self.sightings.note(file, machine, seen) {
            self.bytes += PAIR_BYTES;
        }
    }

    /// Takes in what is said of an alert.
    pub(crate) fn note_alert(&mut self, id: AlertId, change: Entity) {
        self.bytes += change.parts.values().map(|fact| fact.json.len() + 100).sum::<usize>();
        let alert = self.alerts.entry(id).or_insert_with(|| {
            self.bytes += 1000;
            Entity::default()
        });
        alert.merge(change, most::EVIDENCE);
    }

    /// Notes that a batch came in, and what was kept aside of it.
    pub(crate) fn note_batch(&mut self, id: BatchId, received: Time, arrival: Arrival) {
        self.bytes += 300;
        self.batch_ids.insert(id, received);
        self.batches.insert((received, id), arrival);
    }

    /// Notes where a batch is, by the hours of its events.
    pub(crate) fn note_frames(&mut self, frames: Vec<HourOfFrame>) {
        self.bytes += 100 * frames.len();
        self.frames.extend(frames);
    }

    /// Keeps a record that could not be read.
    pub(crate) fn note_reject(&mut self, digest: [u8; 32], reject: &Reject) {
        self.bytes += 300 + reject.bytes.len();
        self.rejects.insert(digest, reject.clone());
    }

    /// The files that hold a hash of this mark, by number; whether it is the one that leads.
    pub(crate) fn marked(&self, mark: Mark) -> impl Iterator<Item = (u32, &Hashes, bool)> {
        let mut next = self.by_mark.get(&mark).copied();
        std::iter::from_fn(move || {
            let number = next?;
            let file = self.files.get(at(number))?;
            let place = file.marks.iter().position(|of| *of == mark)?;
            next = file.before.get(place).copied().filter(|before| *before != NONE);
            Some((number, &file.hashes, place == 0))
        })
    }

    /// What is said here of a file.
    pub(crate) fn entity(&self, file: u32) -> Option<&Entity> {
        self.files.get(at(file)).map(|file| &file.entity)
    }

    /// Where the file was seen, ascending by ordinal.
    pub(crate) fn pairs(&self, file: u32) -> Vec<(u32, Pair)> {
        self.sightings.of(file)
    }

    /// The machines on which the file was seen, by ordinal, in no order.
    pub(crate) fn machines_of(&self, file: u32) -> impl Iterator<Item = u32> {
        self.sightings.machines(file)
    }

    /// The entries of a table, as a run has them: ascending by key. `machine` gives a machine's
    /// id and value by its ordinal.
    pub(crate) fn entries(
        &self,
        marks: &Marks,
        of: TenantId,
        table: Table,
        machine: MachineOf<'_>,
    ) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        match table {
            Table::Machines => {
                for ordinal in &self.machines {
                    if let Some((id, value)) = machine(*ordinal)? {
                        entries.push((key::machine(of, &id, *ordinal), value));
                    }
                }
            }
            Table::Files => {
                for (number, file) in (0..).zip(&self.files) {
                    let value = value::file(&file.entity, &self.pairs(number));
                    entries.push((key::file(marks, of, &file.hashes), value));
                }
            }
            Table::Links => {
                let links = self.files.iter().flat_map(|file| key::links(marks, of, &file.hashes));
                entries.extend(links.map(|link| (link, Vec::new())));
            }
            Table::Alerts => {
                for (id, entity) in &self.alerts {
                    entries.push((key::of(of, table, id.as_str().as_bytes()), entity.to_bytes()));
                }
            }
            Table::Rejects => {
                for (digest, reject) in &self.rejects {
                    entries.push((key::of(of, table, digest), encode(reject)?));
                }
            }
            Table::Batches => {
                for ((received, id), arrival) in &self.batches {
                    entries.push((key::batch(of, *received, id), encode(arrival)?));
                }
            }
            Table::BatchIds => {
                for (id, received) in &self.batch_ids {
                    entries.push((key::of(of, table, id), encode(received)?));
                }
            }
            Table::Frames => {
                for frame in &self.frames {
                    entries.push(frame.entry(of)?);
                }
            }
            Table::Observables | Table::Logons | Table::Addresses => {
                entries = self.observables.entries(marks, of, table);
            }
        }
        entries.sort_unstable();
        // Two files may share two hashes.
        entries.dedup_by(|one, other| one.0 == other.0);
        Ok(entries)
    }
}

fn at(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
