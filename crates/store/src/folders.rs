//! The data folder: who owns it, what lies where, and how a rebuilt base takes the old one's
//! place.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::Error;

/// A data folder that belongs to this process for as long as this value lives. Nothing in a data
/// folder may be changed by who has no such value of it.
pub struct Folder {
    path: PathBuf,
    /// The lock goes with the process, however it ends.
    _lock: File,
}

impl Folder {
    /// Makes the folder if it is not there, and takes it for this process. Fails with
    /// [`Error::InUse`] if another one has it.
    pub fn lock(path: &Path) -> Result<Folder, Error> {
        make_private(path)?;
        let name = path.join("LOCK");
        let opening = format!("opening {}", name.display());
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&name)
            .map_err(Error::io(opening))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Folder { path: path.to_owned(), _lock: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::InUse(path.to_owned())),
            Err(errno) => {
                Err(Error::Io { what: format!("locking {}", name.display()), source: errno.into() })
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the archive lies.
    pub(crate) fn archive(&self) -> PathBuf {
        self.path.join("archive")
    }

    /// Where the base lies.
    pub(crate) fn base(&self) -> PathBuf {
        self.path.join("base")
    }

    fn rebuilding(&self) -> PathBuf {
        self.path.join("base.rebuilding")
    }

    fn replaced(&self) -> PathBuf {
        self.path.join("base.replaced")
    }

    /// Nothing where the new base is to be made.
    pub(crate) fn start_rebuild(&self) -> Result<PathBuf, Error> {
        let new = self.rebuilding();
        remove(&new)?;
        Ok(new)
    }

    /// Where an archive is made that is to take the other's place.
    pub(crate) fn remade_archive(&self) -> PathBuf {
        self.path.join("archive.remade")
    }

    pub(crate) fn remove_remade_archive(&self) -> Result<(), Error> {
        remove(&self.remade_archive())
    }

    /// Puts the new base in the old one's place. Stopping between any two steps leaves something
    /// that [`Folder::recover_interrupted_rebuild`] makes whole, and doing it again brings to its end.
    pub(crate) fn finish_rebuild(&self) -> Result<(), Error> {
        if self.rebuilding().exists() {
            if self.base().exists() {
                remove(&self.replaced())?;
                rename(&self.base(), &self.replaced())?;
            }
            rename(&self.rebuilding(), &self.base())?;
        }
        sync_folder(&self.path)?;
        remove(&self.replaced())
    }

    /// Cleans up after a rebuild that did not come to its end: without a base, the old one is put
    /// back; whatever else is left over goes.
    pub(crate) fn recover_interrupted_rebuild(&self) -> Result<(), Error> {
        if !self.base().exists() && self.replaced().exists() {
            rename(&self.replaced(), &self.base())?;
        }
        remove(&self.replaced())?;
        remove(&self.rebuilding())
    }
}

/// Makes a folder that is not there for its owner alone. One that is there stays as it is.
pub(crate) fn make_private(folder: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(Error::io(format!("making {}", folder.display())))
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
