//! What lies in a watched folder. Links are not followed, so nothing outside is reached; hidden files and
//! folders are left out.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Folders deeper than this are not gone into.
const DEEPEST: usize = 16;
/// The most folders gone into, …
const MOST_FOLDERS: usize = 1024;
/// … and files looked at.
pub const MOST_FILES: usize = 10_000;

/// Which file it is, under whatever name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Id {
    device: u64,
    inode: u64,
}

/// A file in the folder.
#[derive(Clone, Debug)]
pub struct Entry {
    pub path: PathBuf,
    pub id: Id,
    pub stamp: Stamp,
}

/// By which it shows that a file changed.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct Stamp {
    /// Since 1970, with nanoseconds.
    modified: (i64, i64),
    pub size: u64,
}

impl Stamp {
    /// As a file stands.
    pub fn of(metadata: &Metadata) -> Stamp {
        Stamp { modified: (metadata.mtime(), metadata.mtime_nsec()), size: metadata.len() }
    }
}

impl Id {
    /// Of a file.
    pub fn of(metadata: &Metadata) -> Id {
        Id { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// What was found.
#[derive(Default)]
pub struct Found {
    /// By what they are, so that a file with several names counts once.
    pub files: BTreeMap<Id, Entry>,
    /// The folders gone into.
    pub folders: Vec<PathBuf>,
    /// Parts that could not be looked at, …
    pub unseen: Vec<PathBuf>,
    /// … and why.
    pub troubles: Vec<String>,
}

impl Found {
    /// What is there cannot be told.
    fn missed(&mut self, path: PathBuf, error: &io::Error) {
        self.troubles.push(format!("{}: {error}", path.display()));
        self.unseen.push(path);
    }

    /// Whether a file is not there any more. Where nothing could be looked at, none is known to be gone.
    pub fn lacks(&self, id: Id, path: &Path) -> bool {
        !self.files.contains_key(&id) && !self.unseen.iter().any(|unseen| path.starts_with(unseen))
    }
}

/// Goes through a folder.
pub fn scan(top: &Path, is_recursive: bool) -> io::Result<Found> {
    let mut found = Found::default();
    let mut waiting = vec![(top.to_owned(), 0)];
    while let Some((folder, depth)) = waiting.pop() {
        if found.folders.len() >= MOST_FOLDERS {
            found
                .troubles
                .push(format!("it has more than {MOST_FOLDERS} folders: the others are not watched"));
            break;
        }
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if depth == 0 => return Err(error),
            // One that went while it was looked for is no trouble.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                found.missed(folder, &error);
                continue;
            }
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    found.missed(folder.clone(), &error);
                    break;
                }
            };
            let path = entry.path();
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            // Of the entry itself, not of what a link points to; one that just went is left out.
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                Err(error) => {
                    if error.kind() != io::ErrorKind::NotFound {
                        found.missed(path, &error);
                    }
                    continue;
                }
            };
            if metadata.is_dir() && is_recursive && depth < DEEPEST {
                waiting.push((path, depth + 1));
            } else if metadata.is_file() {
                if found.files.len() >= MOST_FILES {
                    found
                        .troubles
                        .push(format!("it has more than {MOST_FILES} files: the others are not watched"));
                    return Ok(found);
                }
                let id = Id::of(&metadata);
                let entry = Entry { path, id, stamp: Stamp::of(&metadata) };
                found
                    .files
                    .entry(id)
                    .and_modify(|first| first.path = first.path.clone().min(entry.path.clone()))
                    .or_insert(entry);
            }
        }
        found.folders.push(folder);
    }
    Ok(found)
}
