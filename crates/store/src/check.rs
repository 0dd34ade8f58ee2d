//! Whether what is on the disk is what was written: every file of a data folder or a backup is read
//! once and compared with its checksums. Nothing is changed, and all that is wrong is named.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::archive::{self, Position};
use crate::store::{Store, hold};
use crate::{Error, base};

/// What a check has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Files read.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Batches in the archive, as far as they read.
    pub batches: u64,
    /// What is wrong; empty: all is sound.
    pub damages: Vec<Damage>,
    /// The file in which the archive ends in batches that were being written when everything
    /// stopped, and where they begin. They were never acknowledged, so this is no damage.
    pub torn: Option<(PathBuf, u64)>,
    /// What is not answered for though it is in the archive, and what would change that.
    #[serde(default)]
    pub notices: Vec<String>,
}

/// Something that does not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// What the file belongs to, which says what to do.
    pub part: Part,
    /// The file.
    pub file: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// What is wrong.
    pub reason: String,
}

/// A part of a data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// What is derived from the archive: a rebuild makes it anew.
    Base,
    /// The truth: only a backup has it.
    Archive,
    /// Keys, applications, journals, and what a backup says of itself.
    Other,
}

/// How far reading or copying has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Bytes done, of `bytes_total`.
    pub bytes: u64,
    /// Bytes in all.
    pub bytes_total: u64,
}

impl Progress {
    pub(crate) fn add(&mut self, bytes: u64, tell: &mut dyn FnMut(Progress)) {
        self.bytes = self.bytes_total.min(self.bytes + bytes);
        tell(*self);
    }
}

impl Damage {
    pub(crate) fn of(part: Part, file: PathBuf, error: &Error) -> Damage {
        match error {
            Error::Damaged { file, offset, reason } => {
                Damage { part, file: file.clone(), offset: *offset, reason: reason.clone() }
            }
            other => Damage { part, file, offset: 0, reason: other.to_string() },
        }
    }
}

/// Checks a data folder that nobody writes to, or a backup.
pub fn check(folder: &Path, progress: &mut dyn FnMut(Progress)) -> Result<Checked, Error> {
    walk(folder, None, progress)
}

impl Store {
    /// Checks everything that is durable by now. Reading and writing go on; a purge waits.
    pub fn check(&self, progress: &mut dyn FnMut(Progress)) -> Result<Checked, Error> {
        let _as_it_is = hold(&self.maintenance);
        walk(self.folder(), Some(self.committed()), progress)
    }
}

/// Checks what is before `end`, or all there is.
fn walk(folder: &Path, end: Option<Position>, progress: &mut dyn FnMut(Progress)) -> Result<Checked, Error> {
    let (based, archived) = (folder.join("base"), folder.join("archive"));
    let mut come = Progress { bytes: 0, bytes_total: size(&based) + size(&archived) };
    let mut checked = Checked { bytes: come.bytes_total, ..Checked::default() };
    let mut damages = Vec::new();
    let is_being_remade = check_journals(folder, &mut checked);

    let has_all = archive::is_from_the_first(&archived);
    let mut damaged = |file, error: Error| damages.push(Damage::of(Part::Base, file, &error));
    let read = base::check(&based, has_all, &mut damaged, &mut |bytes| come.add(bytes, progress))?;
    // What is half-way in the place of the other has not the length that the base knows.
    let applied = read.applied.filter(|_| !is_being_remade).unwrap_or(Position::START);

    let mut damaged = |file, error: Error| damages.push(Damage::of(Part::Archive, file, &error));
    let mut passed = |bytes| come.add(bytes, progress);
    let walked = archive::check(&archived, applied, end, &mut damaged, &mut passed)?;
    checked.files += read.files + walked.segments;
    checked.batches = walked.batches;
    checked.torn = walked.torn;
    checked.notices = read.notice.into_iter().collect();
    checked.damages.extend(damages);
    Ok(checked)
}

/// The journal of a purge and the list of those that were. Returns whether one is under way.
fn check_journals(folder: &Path, checked: &mut Checked) -> bool {
    let mut read = |name: &str, is_sound: fn(&[u8]) -> bool| {
        let file = folder.join(name);
        let Ok(bytes) = fs::read(&file) else { return false };
        checked.files += 1;
        checked.bytes += bytes.len() as u64;
        if !is_sound(&bytes) {
            let reason = "it does not read".to_owned();
            checked.damages.push(Damage { part: Part::Other, file, offset: 0, reason });
        }
        true
    };
    read("purges.jsonl", |bytes| {
        // One that was being written when everything stopped has no end.
        let lines = bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
        lines.map(serde_json::from_slice::<serde_json::Value>).all(|line| line.is_ok())
    });
    read("remake.json", |bytes| serde_json::from_slice::<serde_json::Value>(bytes).is_ok())
}

/// Bytes of the files in a folder; for showing progress, so what cannot be read counts nothing.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.metadata().ok())
        .filter(fs::Metadata::is_file)
        .map(|about| about.len())
        .sum()
}
