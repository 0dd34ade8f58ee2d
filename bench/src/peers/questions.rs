//! What is asked of Pintle and its peers, written to files, and a process that answers for Pintle.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use pintle_model::{FileHash, Sha1};
use pintle_store::{Page, Scope, Store};

use super::pairs::{Pair, Pairs};
use super::{FILTERED, options};
use crate::scale::TENANT;
use crate::{Failure, machine};

/// How many files of a kind are asked for, by how many machines have them.
const FILES: [(&str, usize); 3] = [("one", 1_000), ("some", 1_000), ("most", 100)];

/// How many hashes are asked about at once, one in so many of them known.
const HASHES: usize = 100_000;
const KNOWN_IN: usize = 10;

/// Writes the questions: SHA-1s of files on one machine, on three of a hundred machines and on nine of ten
/// or more, and the mixed hashes. Of each kind all of the files are spread over, in an order that jumps about.
pub fn write(folder: &Path, pairs: &Pairs, merged: &[Pair]) -> Result<(), Failure> {
    let all = pairs.machines.len();
    let mut kinds: [Vec<Sha1>; 3] = Default::default();
    for pairs_of_file in merged.chunk_by(|one, other| one.file == other.file) {
        let Some(Pair { file, .. }) = pairs_of_file.first() else { continue };
        let Some(sha1) = pairs.files.get(*file as usize).and_then(|hashes| hashes.sha1) else { continue };
        let kind = match pairs_of_file.len() {
            1 => 0,
            some if (all / 40..=all / 28).contains(&some) || some == 2 && all < 56 => 1,
            most if most * 10 >= all * 9 => 2,
            _ => continue,
        };
        kinds.get_mut(kind).ok_or("no such kind")?.push(sha1);
    }
    for ((name, most), files) in FILES.into_iter().zip(&kinds) {
        if files.is_empty() {
            return Err(format!("no file is of the kind {name:?}: the fleet is too small").into());
        }
        let step = (files.len() / most).max(1);
        let mut files: Vec<&Sha1> = files.iter().step_by(step).take(most).collect();
        files.sort_unstable();
        let lines: Vec<String> = files.into_iter().map(Sha1::to_string).collect();
        fs::write(folder.join(format!("{name}.txt")), lines.join("\n"))?;
    }
    let known: Vec<FileHash> =
        pairs.files.iter().flat_map(|hashes| hashes.iter().collect::<Vec<_>>()).collect();
    let step = (known.len() * KNOWN_IN / HASHES).max(1);
    let mut known = known.iter().step_by(step);
    let mut lines = Vec::with_capacity(HASHES);
    for number in 0..HASHES {
        let known = if number.is_multiple_of(KNOWN_IN) { known.next() } else { None };
        lines.push(known.map_or_else(|| never_seen(number), FileHash::to_string));
    }
    Ok(fs::write(folder.join("hashes.txt"), lines.join("\n"))?)
}

/// A hash that no file has, of each kind in turn.
fn never_seen(number: usize) -> String {
    let spread = (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut digits = format!("{spread:016x}").repeat(4);
    digits.truncate([40, 64, 32].get(number % 3).copied().unwrap_or(64));
    digits
}

/// Answers for Pintle: a line that comes in is `QUESTION FILES SECONDS`, to be asked over and over for so long,
/// or `QUESTION FILES PATH`, to be answered once into that file. One line of JSON goes out for each.
pub fn answer(folder: &Path) -> Result<(), Failure> {
    let store = Store::open(&folder.join("whole"), options())?;
    let mut out = io::stdout();
    writeln!(out, "ready")?;
    for line in io::stdin().lines() {
        let line = line?;
        let [question, files, how] =
            line.split(' ').collect::<Vec<_>>().try_into().map_err(|_| "three words")?;
        let asked = fs::read_to_string(folder.join(format!("{files}.txt")))?;
        let asked: Vec<FileHash> = asked.lines().map(str::parse).collect::<Result<_, _>>()?;
        let asking = Asking { store: &store, question, asked };
        match how.parse() {
            Ok(seconds) => asking.measure(seconds, &mut out)?,
            Err(_) => {
                asking.all(&mut BufWriter::new(fs::File::create(how)?))?;
                writeln!(out, "{{}}")?;
            }
        }
        out.flush()?;
    }
    Ok(store.close()?)
}

struct Asking<'a> {
    store: &'a Store,
    question: &'a str,
    asked: Vec<FileHash>,
}

impl Asking<'_> {
    fn measure(&self, seconds: f64, out: &mut impl Write) -> Result<(), Failure> {
        let (began, cpu) = (Instant::now(), machine::process_time());
        let mut asked = 0;
        while asked == 0 || began.elapsed().as_secs_f64() < seconds {
            self.all(&mut io::sink())?;
            asked += self.asked.len();
        }
        let wall = began.elapsed().as_secs_f64();
        let cpu = (machine::process_time() - cpu).as_secs_f64();
        Ok(writeln!(out, "{{\"asked\":{asked},\"cpu\":{cpu},\"wall\":{wall}}}")?)
    }

    /// Asks all, and writes the answers.
    fn all(&self, out: &mut impl Write) -> Result<(), Failure> {
        let whole = Scope::whole(TENANT);
        match self.question {
            "machines" => self.machines(&whole, out),
            "group" => self.machines(&Scope::device_groups(TENANT, [FILTERED]), out),
            "times" => self.times(&whole, out),
            "hashes" => self.hashes(&whole, out),
            other => Err(format!("{other:?} is no question").into()),
        }
    }

    fn machines(&self, scope: &Scope, out: &mut impl Write) -> Result<(), Failure> {
        let mut json = Vec::new();
        for hash in &self.asked {
            json.clear();
            let found = self.store.file_machines(scope, hash, Page::ALL, &mut json)?;
            write!(out, "{hash}\t{}\t", found.map_or(0, |found| found.written))?;
            out.write_all(&json)?;
            writeln!(out)?;
        }
        Ok(())
    }

    fn times(&self, scope: &Scope, out: &mut impl Write) -> Result<(), Failure> {
        let mut json = Vec::new();
        for hash in &self.asked {
            json.clear();
            self.store.file_machines(scope, hash, Page::ALL, &mut json)?;
            let (sightings, _) = self.store.file_sightings(scope, hash)?.unwrap_or_default();
            write!(out, "{hash}\t{}\t", sightings.len())?;
            out.write_all(&json)?;
            for seen in sightings.iter().filter_map(|sighting| sighting.any_role) {
                write!(out, "\t{} {}", seen.first.ticks(), seen.last.ticks())?;
            }
            writeln!(out)?;
        }
        Ok(())
    }

    fn hashes(&self, scope: &Scope, out: &mut impl Write) -> Result<(), Failure> {
        let lookup = self.store.look_up_files(scope)?;
        for hash in &self.asked {
            let Some(found) = lookup.find(hash)? else { continue };
            let seen = found.seen.ok_or("seen at no time")?;
            writeln!(out, "{hash}\t{}\t{}\t{}", found.machines, seen.first.ticks(), seen.last.ticks())?;
        }
        Ok(())
    }
}
