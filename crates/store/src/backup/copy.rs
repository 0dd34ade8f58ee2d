//! Files copied for their owner alone, and the folders that take them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::Error;
use crate::folders::{make_private, sync_folder};

const BUFFER_BYTES: usize = 1 << 20;

/// Copies the first `length` bytes of a file to a new one, which is durable then but for its name.
/// It keeps the time of the last change, by which the archive's caps go. Returns the SHA-256.
pub(super) fn copy(
    from: &Path,
    to: &Path,
    length: u64,
    progress: &mut dyn FnMut(u64),
) -> Result<String, Error> {
    make_private(&parent(to))?;
    let writing = || Error::io(format!("writing {}", to.display()));
    let mut new =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to).map_err(writing())?;
    let (copied, sha256) =
        read(from, length, &mut |bytes| new.write_all(bytes).map_err(writing()), progress)?;
    if copied < length {
        let reason = "it is shorter than it was".to_owned();
        return Err(Error::Damaged { file: from.to_owned(), offset: copied, reason });
    }
    if let Ok(modified) = from.metadata().and_then(|about| about.modified()) {
        new.set_modified(modified).map_err(writing())?;
    }
    new.sync_all().map_err(writing())?;
    Ok(sha256)
}

/// Hands over up to `length` bytes of a file. Returns how many there were, and their SHA-256.
pub(super) fn read(
    from: &Path,
    length: u64,
    each: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
    progress: &mut dyn FnMut(u64),
) -> Result<(u64, String), Error> {
    let reading = || Error::io(format!("reading {}", from.display()));
    let mut file = File::open(from).map_err(reading())?.take(length);
    let (mut sha256, mut buffer, mut total) = (Sha256::new(), vec![0; BUFFER_BYTES], 0);
    loop {
        let bytes = match file.read(&mut buffer) {
            Ok(0) => return Ok((total, hex(&sha256.finalize()))),
            Ok(read) => buffer.get(..read).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(reading()(error)),
        };
        each(bytes)?;
        sha256.update(bytes);
        total += bytes.len() as u64;
        progress(bytes.len() as u64);
    }
}

/// Writes a small file; durable but for its name.
pub(super) fn write(name: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(name);
    let written = file.and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.map_err(Error::io(format!("writing {}", name.display())))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn length(file: &Path) -> Result<u64, Error> {
    let about = file.metadata().map_err(Error::io(format!("reading {}", file.display())))?;
    Ok(about.len())
}

/// The folder in which something lies.
pub(super) fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Where something is made that is to take this name: beside it, so that it can be renamed.
pub(super) fn beside(to: &Path) -> Result<PathBuf, Error> {
    let unfit = || Error::UnfitFolder { folder: to.to_owned(), reason: "it has no name of its own" };
    let mut name = to.file_name().ok_or_else(unfit)?.to_owned();
    name.push(".restoring");
    make_private(&parent(to))?;
    Ok(to.with_file_name(name))
}

/// A path without links and steps back, also of what is not there yet.
pub(super) fn where_it_lies(path: &Path) -> Result<PathBuf, Error> {
    let mut missing = Vec::new();
    let mut there = std::path::absolute(path).map_err(Error::io(format!("finding {}", path.display())))?;
    loop {
        match there.canonicalize() {
            Ok(found) => return Ok(missing.into_iter().rev().fold(found, |path, name| path.join(name))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                missing.extend(there.file_name().map(ToOwned::to_owned));
                if !there.pop() {
                    return Ok(there);
                }
            }
            Err(error) => return Err(Error::io(format!("finding {}", path.display()))(error)),
        }
    }
}

/// Fails if anything is there but an empty folder.
pub(super) fn must_be_empty(folder: &Path) -> Result<(), Error> {
    let unfit = |reason| Err(Error::UnfitFolder { folder: folder.to_owned(), reason });
    match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().map_or(Ok(()), |_| unfit("it is not empty")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => unfit("it is no folder"),
        Err(error) => Err(Error::io(format!("reading {}", folder.display()))(error)),
    }
}

/// Makes the names of everything below a folder durable, and its own.
pub(super) fn sync_all(folder: &Path) -> Result<(), Error> {
    let reading = || Error::io(format!("reading {}", folder.display()));
    for entry in fs::read_dir(folder).map_err(reading())? {
        let path = entry.map_err(reading())?.path();
        if path.is_dir() {
            sync_folder(&path)?;
        }
    }
    sync_folder(folder)?;
    sync_folder(&parent(folder))
}

/// Removes a folder with all that is in it, if it is there.
pub(super) fn remove(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::Io { what: format!("removing {}", folder.display()), source: error })
        }
        _ => Ok(()),
    }
}

/// Removes what is in a folder, but for one file.
pub(super) fn empty(folder: &Path, but: &str) -> Result<(), Error> {
    let reading = || Error::io(format!("reading {}", folder.display()));
    for entry in fs::read_dir(folder).map_err(reading())? {
        let entry = entry.map_err(reading())?;
        let path = entry.path();
        if path.is_dir() {
            remove(&path)?;
        } else if entry.file_name() != but {
            fs::remove_file(&path).map_err(Error::io(format!("removing {}", path.display())))?;
        }
    }
    Ok(())
}

/// Takes away what was copied to a folder, unless it came to its end.
pub(super) struct Cleared(Option<PathBuf>);

impl Cleared {
    pub(super) fn unless_done(folder: &Path) -> Cleared {
        Cleared(Some(folder.to_owned()))
    }

    pub(super) fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for Cleared {
    fn drop(&mut self) {
        if let Some(folder) = self.0.take() {
            // It is no backup and no data folder either way.
            let _ = fs::remove_dir_all(folder);
        }
    }
}
