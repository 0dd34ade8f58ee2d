//! What records say of files and machines, kept as somebody would who keeps nothing but that: the
//! input of the peers, and what a store's answers are held against.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use pintle_model::{Alert, ColumnId, FileHash, HashKind, Hashes, Record, Row, TableId, Time, shapes};

use crate::Failure;

/// Records whose repeats are merged before anybody is given them: as many as a store keeps in memory
/// until it writes them.
const CHUNK: usize = 500_000;

/// A file on a machine, both by number, and when it was seen there first and last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    pub file: u32,
    pub machine: u32,
    pub first: i64,
    pub last: i64,
}

/// All pairs of a fleet's records.
#[derive(Default)]
pub struct Pairs {
    /// The hashes of each file.
    pub files: Vec<Hashes>,
    /// The id of each machine, ascending.
    pub machines: Vec<String>,
    /// Pairs in the order in which they came, each chunk sorted and without repeats.
    pub chunks: Vec<Vec<Pair>>,
}

/// Gathers the pairs of records as they come.
#[derive(Default)]
pub struct Gatherer {
    pairs: Pairs,
    file_numbers: HashMap<FileHash, u32>,
    machine_numbers: HashMap<String, u32>,
    columns: HashMap<TableId, Columns>,
    chunk: HashMap<(u32, u32), (i64, i64)>,
    records: usize,
}

/// Where a table has what is looked for.
#[derive(Clone, Copy)]
struct Columns {
    machine: Option<ColumnId>,
    time: Option<ColumnId>,
    /// SHA-1, SHA-256, MD5 of the file that an event is about, and of the program behind it.
    files: [[Option<ColumnId>; 3]; 2],
}

impl Columns {
    fn of(row: &Row) -> Result<Columns, Failure> {
        let table = row.table().ok_or("a row of no table")?;
        let column = |name: &str| table.column(name).map(|(column, _)| column);
        let hashes = |prefix: &str| ["SHA1", "SHA256", "MD5"].map(|kind| column(&format!("{prefix}{kind}")));
        let files = [hashes(""), hashes("InitiatingProcess")];
        Ok(Columns { machine: column("DeviceId"), time: column("Timestamp"), files })
    }
}

impl Gatherer {
    /// Takes what some records say.
    pub fn take(&mut self, records: &[Record]) -> Result<(), Failure> {
        for record in records {
            if let Record::Row(row) = record {
                self.row(row)?;
            } else if let Record::Alert(alert) = record {
                self.alert(alert)?;
            }
            self.records += 1;
            if self.records.is_multiple_of(CHUNK) {
                self.end_chunk();
            }
        }
        Ok(())
    }

    fn row(&mut self, row: &Row) -> Result<(), Failure> {
        let columns = match self.columns.get(&row.table_id()) {
            Some(columns) => *columns,
            None => *self.columns.entry(row.table_id()).or_insert(Columns::of(row)?),
        };
        let (Some(machine), Some(time)) = (columns.machine, columns.time) else { return Ok(()) };
        let (Some(machine), Some(at)) = (row.text(machine), row.time(time)) else { return Ok(()) };
        for kinds in columns.files {
            let [sha1, sha256, md5] = kinds.map(|column| row.text(column?));
            self.seen(&Hashes::read(sha1, sha256, md5), machine, at)?;
        }
        Ok(())
    }

    fn alert(&mut self, alert: &Alert) -> Result<(), Failure> {
        let Some(machine) = alert.facts.text(shapes::alert::MACHINE_ID) else { return Ok(()) };
        for evidence in &alert.evidence {
            let at = evidence.created().ok_or("evidence without a time")?;
            self.seen(&evidence.hashes(), &machine, at)?;
        }
        Ok(())
    }

    fn seen(&mut self, hashes: &Hashes, machine: &str, at: Time) -> Result<(), Failure> {
        // Every record of the law has the SHA-256 of a file, but for certificates: they have the SHA-1.
        let Some(by) = hashes.get(HashKind::Sha256).or(hashes.get(HashKind::Sha1)) else { return Ok(()) };
        let files = &mut self.pairs.files;
        let file = *self.file_numbers.entry(by).or_insert_with(|| {
            files.push(Hashes::default());
            u32::try_from(files.len() - 1).unwrap_or(u32::MAX)
        });
        join(files.get_mut(file as usize).ok_or("no such file")?, hashes)?;
        let machine = match self.machine_numbers.get(machine) {
            Some(number) => *number,
            None => {
                let number = u32::try_from(self.machine_numbers.len())?;
                *self.machine_numbers.entry(machine.to_owned()).or_insert(number)
            }
        };
        let at = at.ticks();
        let (first, last) = self.chunk.entry((file, machine)).or_insert((at, at));
        (*first, *last) = (at.min(*first), at.max(*last));
        Ok(())
    }

    fn end_chunk(&mut self) {
        let pair = |((file, machine), (first, last))| Pair { file, machine, first, last };
        self.pairs.chunks.push(self.chunk.drain().map(pair).collect());
    }

    /// All of them: a file that came by its SHA-1 alone is that of the same SHA-1, machines are
    /// numbered by their ids.
    pub fn finish(mut self) -> Result<Pairs, Failure> {
        self.end_chunk();
        let Pairs { files: found, chunks, .. } = self.pairs;
        let by_sha1 = found.iter().zip(0..).filter(|(hashes, _)| hashes.sha256.is_some());
        let by_sha1: HashMap<_, u32> =
            by_sha1.filter_map(|(hashes, number)| Some((hashes.sha1?, number))).collect();
        let (mut files, mut numbers) = (Vec::new(), HashMap::new());
        for (hashes, number) in found.iter().zip(0u32..) {
            if hashes.sha256.is_some() || hashes.sha1.is_none_or(|sha1| !by_sha1.contains_key(&sha1)) {
                numbers.insert(number, u32::try_from(files.len())?);
                files.push(*hashes);
            }
        }
        for (hashes, number) in found.iter().zip(0u32..) {
            let same = hashes.sha1.and_then(|sha1| numbers.get(by_sha1.get(&sha1)?).copied());
            if let Some(same) = same {
                numbers.entry(number).or_insert(same);
            }
        }
        let mut ids: Vec<(String, u32)> = self.machine_numbers.into_iter().collect();
        ids.sort_unstable();
        let places: HashMap<u32, u32> = ids.iter().map(|(_, number)| *number).zip(0..).collect();
        let mut pairs = Pairs { files, machines: ids.into_iter().map(|(id, _)| id).collect(), chunks };
        for chunk in &mut pairs.chunks {
            for pair in &mut *chunk {
                pair.file = *numbers.get(&pair.file).ok_or("no such file")?;
                pair.machine = *places.get(&pair.machine).ok_or("no such machine")?;
            }
            merge(chunk);
        }
        Ok(pairs)
    }
}

/// Joins what is known of a file's hashes: those of the law belong together one to one.
fn join(known: &mut Hashes, more: &Hashes) -> Result<(), Failure> {
    if known == more {
        return Ok(());
    }
    for hash in more.iter() {
        match (known.get(hash.kind()), hash) {
            (Some(known), hash) if known != hash => return Err(format!("{hash} beside {known}").into()),
            (_, FileHash::Sha1(hash)) => known.sha1 = Some(hash),
            (_, FileHash::Sha256(hash)) => known.sha256 = Some(hash),
            (_, FileHash::Md5(hash)) => known.md5 = Some(hash),
        }
    }
    Ok(())
}

/// Sorts pairs and makes one of repeats.
fn merge(pairs: &mut Vec<Pair>) {
    pairs.sort_unstable();
    pairs.dedup_by(|next, kept| {
        let same = (next.file, next.machine) == (kept.file, kept.machine);
        if same {
            kept.first = kept.first.min(next.first);
            kept.last = kept.last.max(next.last);
        }
        same
    });
}

impl Pairs {
    /// Each pair once, by file and machine.
    pub fn merged(&self) -> Vec<Pair> {
        let mut all = self.chunks.concat();
        merge(&mut all);
        all
    }

    /// Writes files and chunks as CSV.
    pub fn write(&self, folder: &Path) -> Result<(), Failure> {
        let mut out = BufWriter::new(File::create(folder.join("files.csv"))?);
        for (hashes, number) in self.files.iter().zip(0..) {
            let hash = |kind| hashes.get(kind).map(|hash: FileHash| hash.to_string()).unwrap_or_default();
            let [sha1, sha256, md5] = [HashKind::Sha1, HashKind::Sha256, HashKind::Md5].map(hash);
            writeln!(out, "{number},{sha1},{sha256},{md5}")?;
        }
        out.flush()?;
        for (chunk, number) in self.chunks.iter().zip(0..) {
            let mut out = BufWriter::new(File::create(folder.join(format!("pairs-{number:04}.csv")))?);
            for Pair { file, machine, first, last } in chunk {
                writeln!(out, "{file},{machine},{first},{last}")?;
            }
            out.flush()?;
        }
        Ok(())
    }
}
