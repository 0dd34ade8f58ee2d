//! `lookups`: how long a store takes to say which machines have seen a file, beside a smaller one.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pintle_model::{FileHash, Sha1};
use pintle_store::{Options, Page, Scope, Store};

use crate::scale::{SAMPLE, TENANT};
use crate::{Failure, machine};

/// How `lookups` is called.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder of a store that `scale` has filled
    large: PathBuf,
    /// Another, with about a million pairs (`--part 100`)
    small: PathBuf,
    /// Questions of each kind to each store
    #[arg(long, default_value_t = 20_000)]
    questions: usize,
}

/// Kinds of files, by how many machines have them.
pub const KINDS: [(&str, std::ops::RangeInclusive<usize>); 5] = [
    ("unknown", 0..=0),
    ("on one machine", 1..=1),
    ("on 2 to 9 machines", 2..=9),
    ("on 80 to 100 machines", 80..=100),
    ("on 5,000 machines or more", 5_000..=usize::MAX),
];

/// A store with files to ask for, by kind.
struct Asked {
    store: Store,
    files: [Vec<FileHash>; KINDS.len()],
    took: [Vec<Duration>; KINDS.len()],
    out: Vec<u8>,
}

impl Asked {
    fn open(folder: &Path) -> Result<Asked, Failure> {
        let store = Store::open(&folder.join("store"), Options::default())?;
        let mut asked = Asked { store, files: Default::default(), took: Default::default(), out: Vec::new() };
        for line in fs::read_to_string(folder.join(SAMPLE))?.lines() {
            let hash = FileHash::Sha1(line.parse()?);
            let machines = asked.ask(&hash)?;
            let kind = KINDS.iter().position(|(_, range)| range.contains(&machines));
            if let Some(files) = kind.and_then(|kind| asked.files.get_mut(kind)) {
                files.push(hash);
            }
        }
        let [unknown, ..] = &mut asked.files;
        *unknown = (0..1_000_u32).map(never_seen).collect();
        Ok(asked)
    }

    /// Asks for a file's machines, and says how many there are.
    fn ask(&mut self, hash: &FileHash) -> Result<usize, Failure> {
        self.out.clear();
        let scope = Scope::whole(TENANT);
        let found = self.store.file_machines(&scope, hash, Page::ALL, &mut self.out)?;
        Ok(found.map_or(0, |found| found.written))
    }

    /// Asks for the nth file of a kind, in an order that jumps about.
    fn measure(&mut self, kind: usize, nth: usize) -> Result<(), Failure> {
        let files = self.files.get(kind).map(Vec::as_slice).unwrap_or_default();
        let place = nth.wrapping_mul(0x9e37_79b9) % files.len().max(1);
        let Some(hash) = files.get(place).copied() else { return Ok(()) };
        let began = Instant::now();
        self.ask(&hash)?;
        let took = began.elapsed();
        self.took.get_mut(kind).ok_or("no such kind")?.push(took);
        Ok(())
    }
}

/// The hash of a file that no store knows.
pub fn never_seen(number: u32) -> FileHash {
    let mut bytes = [0x5a; 20];
    let mixed = number.wrapping_mul(0x9e37_79b9).to_be_bytes();
    bytes.iter_mut().zip(mixed).for_each(|(byte, new)| *byte = new);
    FileHash::Sha1(Sha1(bytes))
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        let mut stores = [Asked::open(&self.large)?, Asked::open(&self.small)?];
        for nth in 0..self.questions {
            for kind in 0..KINDS.len() {
                // A large answer takes a thousand times as long as a small one.
                if kind + 1 == KINDS.len() && !nth.is_multiple_of(20) {
                    continue;
                }
                // Whoever is asked second finds the processor warm, so they take turns.
                let [large, small] = &mut stores;
                let turns = if nth.is_multiple_of(2) { [large, small] } else { [small, large] };
                for store in turns {
                    store.measure(kind, nth)?;
                }
            }
        }
        println!("| file | store | files asked for | p50 µs | p99 µs | p99.9 µs | p99 against the small |");
        println!("| --- | --- | ---: | ---: | ---: | ---: | ---: |");
        let small_p99 = |stores: &mut [Asked; 2], kind: usize| {
            let [_, small] = stores;
            let took = small.took.get_mut(kind)?;
            took.sort_unstable();
            (!took.is_empty()).then(|| machine::quantile(took, 0.99))
        };
        for (kind, (name, _)) in KINDS.iter().enumerate() {
            let base = small_p99(&mut stores, kind);
            for (label, store) in ["large", "small"].iter().zip(&mut stores) {
                let files = store.files.get(kind).map_or(0, Vec::len);
                let Some(took) = store.took.get_mut(kind).filter(|took| !took.is_empty()) else { continue };
                took.sort_unstable();
                let at = |share| machine::quantile(took, share).as_secs_f64() * 1e6;
                let ratio = base.map_or_else(
                    || "–".to_owned(),
                    |base| format!("{:.2}", at(0.99) / (base.as_secs_f64() * 1e6)),
                );
                println!(
                    "| {name} | {label} | {files} | {:.1} | {:.1} | {:.1} | {ratio} |",
                    at(0.5),
                    at(0.99),
                    at(0.999)
                );
            }
        }
        println!("\n{}", machine::describe()?);
        Ok(())
    }
}
