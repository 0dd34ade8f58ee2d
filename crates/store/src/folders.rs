//! The data folder: who owns it, what lies where, and how a rebuilt base takes the old one's
//! place.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::Error;

/// Where the archive lies.
pub(crate) fn archive(folder: &Path) -> PathBuf {
    folder.join("archive")
}

/// Where the base lies.
pub(crate) fn base(folder: &Path) -> PathBuf {
    folder.join("base")
}

fn rebuilding(folder: &Path) -> PathBuf {
    folder.join("base.rebuilding")
}

fn replaced(folder: &Path) -> PathBuf {
    folder.join("base.replaced")
}

/// Makes the folder if it is not there, and takes it for this process. The lock goes with the
/// process, however it ends.
pub(crate) fn lock(folder: &Path) -> Result<File, Error> {
    let making = || format!("making the data folder {}", folder.display());
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(Error::io(making()))?;
    let name = folder.join("LOCK");
    let opening = format!("opening {}", name.display());
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&name)
        .map_err(Error::io(opening))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::InUse(folder.to_owned())),
        Err(errno) => Err(Error::Io { what: format!("locking {}", name.display()), source: errno.into() }),
    }
}

/// An empty folder for the new base.
pub(crate) fn start_rebuild(folder: &Path) -> Result<PathBuf, Error> {
    let new = rebuilding(folder);
    remove(&new)?;
    Ok(new)
}

/// Puts the new base in the old one's place. Stopping between any two steps leaves something that
/// [`recover_interrupted_rebuild`] makes whole.
pub(crate) fn finish_rebuild(folder: &Path) -> Result<(), Error> {
    rename(&base(folder), &replaced(folder))?;
    rename(&rebuilding(folder), &base(folder))?;
    sync_folder(folder)?;
    remove(&replaced(folder))
}

/// Cleans up after a rebuild that did not come to its end: without a base, the old one is put
/// back; whatever else is left over goes.
pub(crate) fn recover_interrupted_rebuild(folder: &Path) -> Result<(), Error> {
    if !base(folder).exists() && replaced(folder).exists() {
        rename(&replaced(folder), &base(folder))?;
    }
    remove(&replaced(folder))?;
    remove(&rebuilding(folder))
}

/// Makes new and renamed files of a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), Error> {
    let what = format!("syncing {}", folder.display());
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::io(what))
}

fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).map_err(Error::io(format!("renaming {} to {}", from.display(), to.display())))
}

fn remove(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Io { what: format!("removing {}", folder.display()), source: error })
        }
        _ => Ok(()),
    }
}
