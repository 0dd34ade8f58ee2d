//! One change of one file.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::chance::Chance;
use crate::report::{Failure, Outcome, While};

const PAGE: u64 = 4_096;

/// Which part of the data folder a file belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The truth.
    Archive,
    /// What is derived from it.
    Base,
}

#[derive(Clone, Copy, Debug)]
enum Change {
    FlippedBit { offset: u64, bit: u8 },
    ZeroedPage { offset: u64 },
    Truncated { length: u64 },
}

/// What was done to which file.
#[derive(Debug)]
pub struct Damage {
    /// Where the file belongs.
    pub part: Part,
    /// Below the data folder.
    file: PathBuf,
    size: u64,
    change: Change,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} in {} of {} bytes", self.change, self.file.display(), self.size)
    }
}

impl Damage {
    /// Damages a file of a data folder: every byte is as likely to be in it as any other, or every
    /// file is.
    pub fn make(data: &Path, chance: &mut Chance) -> Outcome<Damage> {
        let mut files = Vec::new();
        for (part, folder) in [(Part::Archive, "archive"), (Part::Base, "base")] {
            list(&data.join(folder), part, &mut files)?;
        }
        files.sort_by(|one, other| one.1.cmp(&other.1));
        loop {
            let Some((part, file, size)) = choose(&files, chance) else {
                return Err(Failure::Unable("there is no file to damage".into()));
            };
            let change = match chance.below(3) {
                0 => Change::FlippedBit { offset: chance.below(*size), bit: chance.below(8) as u8 },
                1 => Change::ZeroedPage { offset: chance.below(*size) / PAGE * PAGE },
                _ => Change::Truncated { length: chance.below(*size) },
            };
            if apply(file, *size, change).during("damaging a file")? {
                let file = file.strip_prefix(data).unwrap_or(file).to_owned();
                return Ok(Damage { part: *part, file, size: *size, change });
            }
        }
    }

    /// Whether something that was said names the file, not only a part of its name.
    pub fn is_named(&self, said: &str) -> bool {
        said.contains(&*self.file.to_string_lossy())
    }
}

/// Makes the change; false if it changes nothing.
fn apply(file: &Path, size: u64, change: Change) -> std::io::Result<bool> {
    let file = OpenOptions::new().read(true).write(true).open(file)?;
    match change {
        Change::FlippedBit { offset, bit } => {
            let mut byte = [0];
            file.read_exact_at(&mut byte, offset)?;
            file.write_all_at(&[byte[0] ^ 1 << bit], offset)?;
        }
        Change::ZeroedPage { offset } => {
            let mut page = vec![0; PAGE.min(size - offset) as usize];
            file.read_exact_at(&mut page, offset)?;
            if page.iter().all(|byte| *byte == 0) {
                return Ok(false);
            }
            page.fill(0);
            file.write_all_at(&page, offset)?;
        }
        Change::Truncated { length } => file.set_len(length)?,
    }
    Ok(true)
}

/// Flips a bit of any file in a folder.
pub fn flip_a_bit(folder: &Path, chance: &mut Chance) -> Outcome<()> {
    let mut files = Vec::new();
    list(folder, Part::Archive, &mut files)?;
    let Some((_, file, size)) = choose(&files, chance) else {
        return Err(Failure::Unable("there is no file to damage".into()));
    };
    let change = Change::FlippedBit { offset: chance.below(*size), bit: chance.below(8) as u8 };
    apply(file, *size, change).during("damaging a file").map(drop)
}

type Sized = (Part, PathBuf, u64);

fn choose<'f>(files: &'f [Sized], chance: &mut Chance) -> Option<&'f Sized> {
    if chance.one_in(2) {
        return chance.pick(files);
    }
    let mut left = chance.below(files.iter().map(|(_, _, size)| size).sum());
    files.iter().find(|(_, _, size)| match left.checked_sub(*size) {
        None => true,
        Some(rest) => {
            left = rest;
            false
        }
    })
}

/// All files below a folder that hold anything.
fn list(folder: &Path, part: Part, files: &mut Vec<Sized>) -> Outcome<()> {
    for entry in fs::read_dir(folder).during("listing a folder")? {
        let path = entry.during("listing a folder")?.path();
        if path.is_dir() {
            list(&path, part, files)?;
            continue;
        }
        let size = path.metadata().during("looking at a file")?.len();
        if size > 0 {
            files.push((part, path, size));
        }
    }
    Ok(())
}
