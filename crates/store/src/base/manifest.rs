//! The manifest: which runs make the base, and how much of the archive is in them. Replacing it is
//! the one step at which a fold, a merge or a removal takes place.
//!
//! `[magic][version u32][length u32][crc32 u32][postcard]`, little-endian, the checksum over version,
//! length and postcard. It is there twice: in `MANIFEST`, which counts, and in `MANIFEST.copy`, for
//! when that one does not read any more. The copy is replaced first: a crash in between leaves a copy
//! that is ahead, whose runs are all there, and opening makes the two alike again before it takes away
//! what neither names.
//!
//! Version 2 adds what the tenants' telemetry covers, when anything of theirs last changed, and from where
//! on in the archive the runs hold domains, IP addresses and users. One of version 1 is read as one that has
//! the last from what it holds on, and kept as it is until the first is known.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pintle_model::{TenantId, Time};
use serde::{Deserialize, Serialize};

use super::key::Marks;
use super::value::{decode, encode};
use crate::archive::Position;
use crate::coverage::{self, Coverage};
use crate::folders::sync_folder;
use crate::{Error, Totals};

const MAGIC: &[u8; 8] = b"PINTLEMF";
/// The base's format. A change that an older binary would misread raises it.
const VERSION: u32 = 2;
const HEADER_BYTES: usize = 20;

/// What the base consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// How much of the archive the runs hold.
    pub(crate) applied: Position,
    /// The number of the next run.
    pub(crate) next_run: u64,
    /// The numbers of the runs there are, ascending.
    pub(crate) runs: Vec<u64>,
    /// How hashes are marked in the runs.
    pub(crate) marks: Marks,
    /// What is counted of each tenant.
    pub(crate) tenants: BTreeMap<TenantId, Counts>,
    /// From where on in the archive the runs hold domains, IP addresses and users too, and where events are.
    pub(crate) observed_from: Position,
    /// It was read from version 1, and nobody has looked yet what the tenants' telemetry covers.
    #[serde(skip)]
    pub(crate) lacks_coverage: bool,
}

/// What is counted of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) totals: Totals,
    /// The ordinal of the next machine; none is given twice.
    pub(crate) next_ordinal: u32,
    /// The moment of the last change of any of its things.
    pub(crate) last_change: Time,
    /// Shared with those who tell it.
    #[serde(with = "coverage::shared")]
    pub(crate) coverage: Arc<Coverage>,
}

impl Default for Counts {
    fn default() -> Counts {
        let coverage = Arc::default();
        Counts { totals: Totals::default(), next_ordinal: 0, last_change: Time::MIN, coverage }
    }
}

/// A manifest of version 1.
#[derive(Serialize, Deserialize)]
struct ManifestV1 {
    applied: Position,
    next_run: u64,
    runs: Vec<u64>,
    marks: Marks,
    tenants: BTreeMap<TenantId, (Totals, u32)>,
}

impl From<ManifestV1> for Manifest {
    fn from(old: ManifestV1) -> Manifest {
        let ManifestV1 { applied, next_run, runs, marks, tenants } = old;
        let counts = |(totals, next_ordinal)| Counts { totals, next_ordinal, ..Counts::default() };
        let tenants = tenants.into_iter().map(|(tenant, old)| (tenant, counts(old))).collect();
        Manifest { applied, next_run, runs, marks, tenants, observed_from: applied, lacks_coverage: true }
    }
}

impl From<&Manifest> for ManifestV1 {
    fn from(manifest: &Manifest) -> ManifestV1 {
        let Manifest { applied, next_run, runs, marks, tenants, .. } = manifest;
        let counts = |counts: &Counts| (counts.totals, counts.next_ordinal);
        let tenants = tenants.iter().map(|(tenant, of)| (*tenant, counts(of))).collect();
        ManifestV1 { applied: *applied, next_run: *next_run, runs: runs.clone(), marks: *marks, tenants }
    }
}

impl Manifest {
    /// Of a base that holds nothing.
    pub(crate) fn empty(marks: Marks) -> Manifest {
        let (applied, tenants) = (Position::START, BTreeMap::new());
        let observed_from = Position::START;
        Manifest {
            applied,
            next_run: 1,
            runs: Vec::new(),
            marks,
            tenants,
            observed_from,
            lacks_coverage: false,
        }
    }

    /// What the runs do not hold though the archive does, and what makes them hold it; `None`: nothing.
    pub(crate) fn notice(&self) -> Option<String> {
        let Position { segment, offset } = self.observed_from;
        (self.observed_from > Position::START).then(|| {
            format!(
                "domains, IP addresses and users, and the events that alerts can be raised about, are known from byte {offset} \
of segment {segment} of the archive on: `pintle rebuild` makes those of earlier telemetry known"
            )
        })
    }

    /// Reads the manifest of a base. `None`: there is none.
    pub(crate) fn read(folder: &Path) -> Result<Option<Manifest>, Error> {
        match read_file(&path(folder)) {
            Ok(Some(manifest)) => Ok(Some(manifest)),
            Ok(None) => read_file(&copy(folder)),
            Err(damage @ Error::Damaged { .. }) => match read_file(&copy(folder)) {
                Ok(None) | Err(Error::Damaged { .. }) => Err(damage),
                read => read,
            },
            Err(error) => Err(error),
        }
    }

    /// The files of a base that has a manifest which do not hold it, each with what is wrong.
    pub(crate) fn check(folder: &Path) -> Vec<(PathBuf, Error)> {
        let flaw = |name: PathBuf| match read_file(&name) {
            Ok(Some(_)) => None,
            Ok(None) => Some((name.clone(), damaged(&name, "it is missing"))),
            Err(error) => Some((name, error)),
        };
        [path(folder), copy(folder)].into_iter().filter_map(flaw).collect()
    }

    /// Makes the manifest and its copy alike, if they are not.
    pub(crate) fn mend(&self, folder: &Path) -> Result<(), Error> {
        let is_alike = |name: PathBuf| matches!(read_file(&name), Ok(Some(found)) if found == *self);
        if is_alike(path(folder)) && is_alike(copy(folder)) { Ok(()) } else { self.write(folder) }
    }

    /// Replaces the manifest of a base; durable afterwards.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), Error> {
        let (version, plain) = match self.lacks_coverage {
            true => (1, encode(&ManifestV1::from(self))?),
            false => (VERSION, encode(self)?),
        };
        let bytes = framed(version, &plain);
        for name in [copy(folder), path(folder)] {
            replace(&name, &folder.join("MANIFEST.new"), &bytes)?;
            sync_folder(folder)?;
        }
        Ok(())
    }
}

/// A manifest of a version as a file has it.
pub(crate) fn framed(version: u32, plain: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + plain.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(plain.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(&checksum(&bytes, plain).to_le_bytes());
    bytes.extend_from_slice(plain);
    bytes
}

fn replace(name: &Path, new: &Path, bytes: &[u8]) -> Result<(), Error> {
    let what = || format!("writing {}", new.display());
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(new).map_err(Error::io(what()))?;
    file.write_all(bytes).map_err(Error::io(what()))?;
    file.sync_all().map_err(Error::io(what()))?;
    fs::rename(new, name).map_err(Error::io(format!("replacing {}", name.display())))
}

fn read_file(name: &Path) -> Result<Option<Manifest>, Error> {
    let bytes = match fs::read(name) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(format!("reading {}", name.display()))(error)),
    };
    parse(name, &bytes).map(Some)
}

/// Reads the manifest that a file of this name has.
pub(crate) fn parse(name: &Path, bytes: &[u8]) -> Result<Manifest, Error> {
    let number = |from: usize| {
        let bytes = bytes.get(from..).and_then(|bytes| bytes.first_chunk()).copied().unwrap_or_default();
        u32::from_le_bytes(bytes)
    };
    if bytes.get(..8) != Some(MAGIC) {
        return Err(damaged(name, "it is no manifest"));
    }
    let plain = bytes.get(HEADER_BYTES..).unwrap_or_default();
    if u32::try_from(plain.len()) != Ok(number(12)) {
        return Err(damaged(name, "it is not as long as it says"));
    }
    if checksum(bytes, plain) != number(16) {
        return Err(damaged(name, "the checksum does not match"));
    }
    let found = number(8);
    if found > VERSION {
        return Err(Error::Newer { what: format!("the base {}", name.display()), found, known: VERSION });
    }
    let read = match found {
        0 | 1 => decode::<ManifestV1>(plain).map(Manifest::from),
        _ => decode(plain),
    };
    read.map_err(|_| damaged(name, "it does not read"))
}

/// Over what the head says after the magic, and what follows the head.
fn checksum(head: &[u8], plain: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(head.get(MAGIC.len()..HEADER_BYTES - 4).unwrap_or_default());
    crc.update(plain);
    crc.finalize()
}

fn damaged(name: &Path, reason: &str) -> Error {
    Error::Damaged { file: name.to_owned(), offset: 0, reason: reason.to_owned() }
}

pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join("MANIFEST")
}

pub(crate) fn copy(folder: &Path) -> PathBuf {
    folder.join("MANIFEST.copy")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(marks: Marks) -> Manifest {
        let counts = Counts { next_ordinal: 9, ..Counts::default() };
        Manifest {
            runs: (3..900).collect(),
            next_run: 900,
            tenants: [(TenantId::from_bytes([1; 16]), counts)].into(),
            ..Manifest::empty(marks)
        }
    }

    #[test]
    fn a_manifest_outlives_whatever_happens_to_one_of_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert_eq!(Manifest::read(folder).unwrap(), None);
        let manifest = of(Marks::new());
        manifest.write(folder).unwrap();
        assert!(Manifest::check(folder).is_empty());
        let sound = fs::read(path(folder)).unwrap();
        let mut broken: Vec<Option<Vec<u8>>> = vec![None, Some(vec![0; sound.len()])];
        broken.extend((0..sound.len()).step_by(7).map(|length| Some(sound[..length].to_vec())));
        broken.extend((0..sound.len()).map(|place| {
            let mut bytes = sound.clone();
            bytes[place] ^= 4;
            Some(bytes)
        }));
        for name in [path(folder), copy(folder)] {
            for bytes in &broken {
                match bytes {
                    Some(bytes) => fs::write(&name, bytes).unwrap(),
                    None => fs::remove_file(&name).unwrap(),
                }
                assert_eq!(Manifest::read(folder).unwrap(), Some(manifest.clone()));
                let flaws = Manifest::check(folder);
                assert_eq!(flaws.iter().map(|(name, _)| name).collect::<Vec<_>>(), [&name]);
                manifest.mend(folder).unwrap();
                assert!(Manifest::check(folder).is_empty());
            }
        }
        for name in [path(folder), copy(folder)] {
            fs::write(&name, &sound[..9]).unwrap();
        }
        assert!(matches!(Manifest::read(folder), Err(Error::Damaged { file, .. }) if file == path(folder)));
        assert_eq!(Manifest::check(folder).len(), 2);
    }

    #[test]
    fn a_crash_between_the_two_files_leaves_what_was_before() {
        let folder = tempfile::tempdir().unwrap();
        let before = of(Marks::new());
        before.write(folder.path()).unwrap();
        let sound = fs::read(path(folder.path())).unwrap();
        let after = Manifest { next_run: 901, ..before.clone() };
        after.write(folder.path()).unwrap();
        fs::write(path(folder.path()), sound).unwrap();
        let found = Manifest::read(folder.path()).unwrap().unwrap();
        assert_eq!(found, before);
        found.mend(folder.path()).unwrap();
        assert_eq!(read_file(&copy(folder.path())).unwrap(), Some(before));
    }

    #[test]
    fn a_newer_one_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = of(Marks::new());
        manifest.write(folder.path()).unwrap();
        let name = path(folder.path());
        let mut bytes = fs::read(&name).unwrap();
        bytes[8] = 3;
        let crc = checksum(&bytes, &bytes[HEADER_BYTES..]).to_le_bytes();
        bytes[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&crc);
        fs::write(&name, &bytes).unwrap();
        assert!(matches!(Manifest::read(folder.path()), Err(Error::Newer { found: 3, .. })));
    }

    #[test]
    fn one_of_version_1_is_read_and_the_next_change_makes_it_one_of_this_version() {
        let folder = tempfile::tempdir().unwrap();
        let applied = Position { segment: 3, offset: 77 };
        let old = |applied| ManifestV1::from(&Manifest { applied, ..of(Marks::new()) });
        let write = |old: &ManifestV1| {
            for name in [path(folder.path()), copy(folder.path())] {
                fs::write(name, framed(1, &encode(old).unwrap())).unwrap();
            }
        };
        let told = old(applied);
        write(&told);
        let read = || Manifest::read(folder.path()).unwrap().unwrap();
        assert!(Manifest::check(folder.path()).is_empty());
        assert_eq!((read().observed_from, read().runs, read().marks), (applied, told.runs, told.marks));
        assert!(read().notice().unwrap().contains("byte 77 of segment 3"));
        let later =
            Manifest { applied: Position { segment: 4, offset: 12 }, lacks_coverage: false, ..read() };
        later.write(folder.path()).unwrap();
        assert_eq!((read(), read().observed_from), (later, applied));
        assert_eq!(fs::read(path(folder.path())).unwrap()[8], 2);
        write(&old(Position::START));
        assert_eq!((read().observed_from, read().notice()), (Position::START, None));
    }
}
