//! The manifest: which runs make the base, and how much of the archive is in them. Replacing it is
//! the one step at which a fold, a merge or a removal takes place.
//!
//! The file holds the same copy twice, in its two halves, each `[magic][version u32][length
//! u32][crc32 u32][postcard]`: one that does not read any more leaves the other.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use pintle_model::TenantId;
use serde::{Deserialize, Serialize};

use super::key::Marks;
use super::value::{decode, encode};
use crate::archive::Position;
use crate::folders::sync_folder;
use crate::{Error, Totals};

const MAGIC: &[u8; 8] = b"PINTLEMF";
/// The base's format. A change that an older binary would misread raises it.
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 20;
/// Each half is a multiple of this, so that no page of the disk holds a part of both.
const PAGE_BYTES: usize = 4096;

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
}

/// What is counted of a tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) totals: Totals,
    /// The ordinal of the next machine; none is given twice.
    pub(crate) next_ordinal: u32,
}

impl Manifest {
    /// Of a base that holds nothing.
    pub(crate) fn empty(marks: Marks) -> Manifest {
        Manifest { applied: Position::START, next_run: 1, runs: Vec::new(), marks, tenants: BTreeMap::new() }
    }

    /// Reads the manifest of a base. `None`: there is none.
    pub(crate) fn read(folder: &Path) -> Result<Option<Manifest>, Error> {
        let name = path(folder);
        let bytes = match fs::read(&name) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(format!("reading {}", name.display()))(error)),
        };
        let (one, other) = halves(&bytes);
        let copy = match read_copy(one, &name) {
            Err(Error::Damaged { .. }) => read_copy(other, &name),
            read => read,
        };
        copy.map(Some)
    }

    /// Whether both copies read. The error names the file.
    pub(crate) fn check(folder: &Path) -> Result<(), Error> {
        let name = path(folder);
        let bytes = fs::read(&name).map_err(Error::io(format!("reading {}", name.display())))?;
        let (one, other) = halves(&bytes);
        if read_copy(one, &name)? == read_copy(other, &name)? && one == other {
            return Ok(());
        }
        Err(damaged(&name, "its two copies differ"))
    }

    /// Replaces the manifest of a base; durable afterwards.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), Error> {
        let plain = encode(self)?;
        let mut copy = Vec::with_capacity(PAGE_BYTES);
        copy.extend_from_slice(MAGIC);
        copy.extend_from_slice(&VERSION.to_le_bytes());
        copy.extend_from_slice(&u32::try_from(plain.len()).unwrap_or(u32::MAX).to_le_bytes());
        copy.extend_from_slice(&crc32fast::hash(&plain).to_le_bytes());
        copy.extend_from_slice(&plain);
        copy.resize(copy.len().next_multiple_of(PAGE_BYTES), 0);
        let (name, new) = (path(folder), folder.join("MANIFEST.new"));
        let what = || format!("writing {}", new.display());
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&new).map_err(Error::io(what()))?;
        file.write_all(&[copy.as_slice(), copy.as_slice()].concat()).map_err(Error::io(what()))?;
        file.sync_all().map_err(Error::io(what()))?;
        fs::rename(&new, &name).map_err(Error::io(format!("replacing {}", name.display())))?;
        sync_folder(folder)
    }
}

fn halves(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes.split_at_checked(bytes.len() / 2).unwrap_or_default()
}

fn read_copy(copy: &[u8], name: &Path) -> Result<Manifest, Error> {
    let number = |from: usize| {
        let bytes = copy.get(from..).and_then(|bytes| bytes.first_chunk()).copied().unwrap_or_default();
        u32::from_le_bytes(bytes)
    };
    if copy.get(..8) != Some(MAGIC) {
        return Err(damaged(name, "it is no manifest"));
    }
    let length = usize::try_from(number(12)).unwrap_or(usize::MAX);
    let plain = copy.get(HEADER_BYTES..).and_then(|rest| rest.get(..length));
    let plain = plain.ok_or_else(|| damaged(name, "it is cut short"))?;
    if crc32fast::hash(plain) != number(16) {
        return Err(damaged(name, "the checksum does not match"));
    }
    let found = number(8);
    if found > VERSION {
        return Err(Error::Newer { what: format!("the base {}", name.display()), found, known: VERSION });
    }
    decode(plain).map_err(|_| damaged(name, "it does not read"))
}

fn damaged(name: &Path, reason: &str) -> Error {
    Error::Damaged { file: name.to_owned(), offset: 0, reason: reason.to_owned() }
}

pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join("MANIFEST")
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
    fn a_manifest_outlives_any_one_page() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::read(folder.path()).unwrap(), None);
        let manifest = of(Marks::new());
        manifest.write(folder.path()).unwrap();
        Manifest::check(folder.path()).unwrap();
        let name = path(folder.path());
        let sound = fs::read(&name).unwrap();
        for page in 0..sound.len() / PAGE_BYTES {
            let mut bytes = sound.clone();
            bytes[page * PAGE_BYTES..][..PAGE_BYTES].fill(0);
            fs::write(&name, &bytes).unwrap();
            assert_eq!(Manifest::read(folder.path()).unwrap(), Some(manifest.clone()), "{page}");
            assert!(Manifest::check(folder.path()).is_err(), "{page}");
        }
        for place in (0..sound.len()).step_by(37) {
            let mut bytes = sound.clone();
            bytes[place] ^= 4;
            fs::write(&name, &bytes).unwrap();
            assert_eq!(Manifest::read(folder.path()).unwrap(), Some(manifest.clone()), "{place}");
            assert!(Manifest::check(folder.path()).is_err(), "{place}");
        }
        for length in [0, 1, 19, 100] {
            fs::write(&name, &sound[..length]).unwrap();
            assert!(matches!(Manifest::read(folder.path()), Err(Error::Damaged { .. })), "{length}");
        }
    }

    #[test]
    fn a_newer_one_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = of(Marks::new());
        manifest.write(folder.path()).unwrap();
        let name = path(folder.path());
        let mut bytes = fs::read(&name).unwrap();
        bytes[8] = 2;
        fs::write(&name, &bytes).unwrap();
        assert!(matches!(Manifest::read(folder.path()), Err(Error::Newer { found: 2, .. })));
    }
}
