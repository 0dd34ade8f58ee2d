//! `peers`: the same data for Pintle and for its peers, and Pintle's side of what is asked of them all. The
//! rest is in `bench/peers/`.

mod pairs;
mod questions;

use std::collections::HashMap;
use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pintle::dev::generator::Generator;
use pintle_model::tables::device_file_events as file_event;
use pintle_model::{Record, Row, Time};
use pintle_store::{Batch, DefaultGroup, DeviceGroup, DeviceGroups, DeviceRule, Operator, Options};
use pintle_store::{Row as RuleRow, Scope, Store};
use serde_json::{Value, json};

use crate::feed::Fleet;
use crate::scale::TENANT;
use crate::{Failure, machine};
use pairs::{Gatherer, Pair, Pairs};

/// The groups of the law, by number from 1.
const GROUPS: [&str; 3] = ["Servers", "Office", "Engineering"];

/// The group whose machines alone are seen where a question is restricted: about half.
pub const FILTERED: u32 = 2;

/// How `peers` is called.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    fleet: Fleet,
    /// Where the data and Pintle's stores go; new
    folder: PathBuf,
    /// Part of it: answer for Pintle what standard input asks
    #[arg(long, hide = true)]
    answer: bool,
}

/// What putting something in took.
#[derive(Default)]
struct Took {
    /// Of the processors, all threads of the store.
    cpu: Duration,
    /// Within the store's calls.
    wall: Duration,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        let folder = &self.folder;
        if self.answer {
            return questions::answer(folder);
        }
        if folder.exists() {
            return Err(format!("{} is there already", folder.display()).into());
        }
        fs::create_dir_all(folder)?;
        eprintln!("filling a store with whole records");
        let (records, pairs, whole) = self.fill_whole()?;
        let merged = pairs.merged();
        eprintln!("{records} records, {} pairs; filling a store with pairs alone", merged.len());
        let alone = fill_pairs(&folder.join("pairs"), &pairs)?;
        for store in ["whole", "pairs"] {
            check(&folder.join(store), &pairs, &merged)?;
        }
        pairs.write(folder)?;
        write_machines(folder, &pairs)?;
        questions::write(folder, &pairs, &merged)?;
        let took = |took: &Took| json!({"cpu": took.cpu.as_secs_f64(), "wall": took.wall.as_secs_f64()});
        let made = json!({
            "machines": pairs.machines.len(),
            "files": pairs.files.len(),
            "pairs": merged.len(),
            "sightings": pairs.chunks.iter().map(Vec::len).sum::<usize>(),
            "chunks": pairs.chunks.len(),
            "records": records,
            "filtered": FILTERED,
            "on": machine::describe()?,
            "whole": took(&whole),
            "alone": took(&alone),
        });
        Ok(fs::write(folder.join("made.json"), made.to_string())?)
    }

    /// Fills a store with the law's records as they are. Returns how many there were, and their pairs.
    fn fill_whole(&self) -> Result<(usize, Pairs, Took), Failure> {
        let mut generator = Generator::new(self.fleet.law());
        let (mut gatherer, mut records) = (Gatherer::default(), 0);
        let took = fill(&self.folder.join("whole"), || {
            let Some(batch) = generator.next() else { return Ok(None) };
            gatherer.take(&batch)?;
            records += batch.len();
            Ok(Some(batch))
        })?;
        Ok((records, gatherer.finish()?, took))
    }
}

/// Of a store with the groups of the law.
pub fn options() -> Options {
    let rule = |name: &str| {
        let source_group = vec![RuleRow { operator: Operator::Equals, value: name.to_owned() }];
        DeviceRule { source_group, ..DeviceRule::default() }
    };
    let group = |(name, id): (&str, u32)| DeviceGroup { id, name: name.to_owned(), rule: rule(name) };
    let ranked = GROUPS.into_iter().zip(1..).map(group).collect();
    let groups = DeviceGroups::new(ranked, DefaultGroup { id: 9, name: "Others".to_owned() });
    Options { device_groups: HashMap::from([(TENANT, groups)]), ..Options::default() }
}

/// Appends batches to a new store, until there are no more; making them does not count.
fn fill(
    folder: &Path,
    mut next: impl FnMut() -> Result<Option<Vec<Record>>, Failure>,
) -> Result<Took, Failure> {
    let store = Store::open(folder, options())?;
    let (began, mut making, mut wall) = (machine::process_time(), Duration::ZERO, Duration::ZERO);
    loop {
        let before = machine::thread_time();
        let Some(records) = next()? else { break };
        making += machine::thread_time() - before;
        let before = Instant::now();
        store.append(Batch { records, ..Batch::recorded(TENANT, "bench") })?;
        wall += before.elapsed();
    }
    let before = Instant::now();
    store.close()?;
    wall += before.elapsed();
    Ok(Took { cpu: machine::process_time() - began - making, wall })
}

/// Fills a store with what the peers get and no more: for each pair of a chunk the two events, or the one, that
/// have its times.
fn fill_pairs(folder: &Path, pairs: &Pairs) -> Result<Took, Failure> {
    let sightings = pairs.chunks.iter().flatten();
    let mut events = sightings.flat_map(|pair| {
        let Pair { file, machine, first, last } = *pair;
        [Some(first), Some(last).filter(|last| *last != first)]
            .into_iter()
            .flatten()
            .map(move |at| (file, machine, at))
    });
    fill(folder, || {
        let rows = events.by_ref().take(Generator::BATCH).map(|(file, machine, at)| {
            let (hashes, id) = (pairs.files.get(file as usize)?, pairs.machines.get(machine as usize)?);
            let mut row = Row::new(&file_event::TABLE);
            row.set_time(file_event::TIMESTAMP, Some(Time::from_ticks(at)));
            row.set_text(file_event::DEVICE_ID, Some(id));
            row.set_hashes(file_event::SHA1, file_event::SHA256, file_event::MD5, hashes);
            Some(Record::Row(row))
        });
        let rows: Vec<Record> = rows.collect::<Option<_>>().ok_or("no such file or machine")?;
        Ok(Some(rows).filter(|rows| !rows.is_empty()))
    })
}

/// Fails unless a store knows these pairs of all files, with their times, and no others.
fn check(folder: &Path, pairs: &Pairs, merged: &[Pair]) -> Result<(), Failure> {
    let store = Store::open(folder, options())?;
    let scope = Scope::whole(TENANT);
    for expected in merged.chunk_by(|one, other| one.file == other.file) {
        let Some(hashes) = expected.first().and_then(|pair| pairs.files.get(pair.file as usize)) else {
            continue;
        };
        for hash in hashes.iter() {
            let Some((found, _)) = store.file_sightings(&scope, &hash)? else {
                return Err(format!("{hash} is unknown to {}", folder.display()).into());
            };
            let found = found.iter().map(|sighting| {
                let seen = sighting.any_role?;
                Some((sighting.machine.as_str(), seen.first.ticks(), seen.last.ticks()))
            });
            let expected = expected.iter().map(|pair| {
                Some((pairs.machines.get(pair.machine as usize)?.as_str(), pair.first, pair.last))
            });
            if !found.eq(expected) {
                return Err(format!("{hash} was seen elsewhere, by {}", folder.display()).into());
            }
        }
    }
    Ok(store.close()?)
}

/// Writes machines as CSV: number, group's number, JSON as the API shows it.
fn write_machines(folder: &Path, pairs: &Pairs) -> Result<(), Failure> {
    let store = Store::open(&folder.join("whole"), options())?;
    let mut out = BufWriter::new(fs::File::create(folder.join("machines.csv"))?);
    for (id, number) in pairs.machines.iter().zip(0..) {
        let members = store.machine(&Scope::whole(TENANT), id)?.ok_or("a machine is unknown")?;
        let json = format!("{{{members}}}");
        let machine: Value = serde_json::from_str(&json)?;
        let group = machine.get("rbacGroupId").and_then(Value::as_u64).ok_or("a machine in no group")?;
        writeln!(out, "{number},{group},\"{}\"", json.replace('"', "\"\""))?;
    }
    Ok(out.flush()?)
}
