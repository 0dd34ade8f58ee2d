//! A copy of a data folder, made while it is in use, and the way back.
//!
//! 1. While nobody writes for a moment, everything that makes the store gets another name in
//!    `backup.staging` of the data folder: no file there is ever changed before its end.
//! 2. From there it is copied, synced, read back and checked.
//! 3. Last comes `BACKUP.json`, which names every file with its length and SHA-256
//!    ([`contents`]). A folder without it is no backup.
//!
//! Nothing of this touches the store's own files; a staging that was left over goes at the next
//! opening. A backup has the layout of a data folder.

pub(crate) mod contents;
mod copy;

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use pintle_model::Time;
use serde::{Deserialize, Serialize};

use crate::base::manifest::Manifest;
use crate::check::{Damage, Part, Progress, check};
use crate::folders::{make_private, sync_folder};
use crate::store::{Store, hold};
use crate::{Error, Folder, archive, base};
use contents::{Contents, Listed};
use copy::Cleared;

const STAGING: &str = "backup.staging";

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackedUp {
    /// Everything that was acknowledged before is in it.
    pub until: Time,
    /// Files.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// What came of looking through a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// What it says that it holds.
    pub backup: BackedUp,
    /// The version that made it.
    pub pintle: String,
    /// What is wrong; empty: all is sound.
    pub damages: Vec<Damage>,
}

/// The files of a store under other names. They go when this is dropped.
struct Staged {
    folder: PathBuf,
    /// Below the folder, with how many bytes count.
    files: Vec<(String, u64)>,
    until: Time,
}

impl Drop for Staged {
    fn drop(&mut self) {
        // What stays goes at the next opening.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Store {
    /// Copies the store to a folder that is not there or empty, with `others`: files of the data
    /// folder that are replaced as a whole or only grow. Beside them it puts `given`: files that are
    /// only in the backup, by their names, with what is in them. Reading and writing go on.
    pub fn backup(
        &self,
        to: &Path,
        others: &[String],
        given: &[(String, Vec<u8>)],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<BackedUp, Error> {
        let reading = Error::io(format!("reading {}", self.folder().display()));
        let own = self.folder().canonicalize().map_err(reading)?;
        if copy::where_it_lies(to)?.starts_with(own) {
            let reason = "it lies in the data folder";
            return Err(Error::UnfitFolder { folder: to.to_owned(), reason });
        }
        copy::must_be_empty(to)?;
        let mut staged = self.stage(others)?;
        staged.put(given)?;
        let cleared = Cleared::unless_done(to);
        let bytes: u64 = staged.files.iter().map(|(_, bytes)| bytes).sum();
        let mut come = Progress { bytes: 0, bytes_total: bytes * 2 };
        let mut files = Vec::with_capacity(staged.files.len());
        for (name, length) in &staged.files {
            let (from, new) = (staged.folder.join(name), to.join(name));
            let sha256 = copy::copy(&from, &new, *length, &mut |bytes| come.add(bytes, progress))?;
            files.push(Listed { name: name.clone(), bytes: *length, sha256 });
        }
        copy::sync_all(to)?;
        let before = come;
        let checked = check(to, &mut |read| {
            progress(Progress { bytes: come.bytes_total.min(before.bytes + read.bytes), ..come });
        })?;
        if let Some(Damage { file, offset, reason, .. }) = checked.damages.into_iter().next() {
            // The file that it was copied from: the copy goes.
            let file = file.strip_prefix(to).map_or(file.clone(), |name| self.folder().join(name));
            return Err(Error::Damaged { file, offset, reason });
        }
        let made = BackedUp { until: staged.until, files: files.len() as u64, bytes };
        Contents::new(staged.until, files).write(to)?;
        cleared.done();
        Ok(made)
    }

    fn stage(&self, others: &[String]) -> Result<Staged, Error> {
        let _as_it_is = hold(&self.maintenance);
        let folder = self.folder().join(STAGING);
        match fs::DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(Error::BackupUnderWay),
            made => made.map_err(Error::io(format!("making {}", folder.display())))?,
        }
        let mut staged = Staged { folder, files: Vec::new(), until: self.now() };
        // The more of it is in runs, the sooner what is restored is ready. What cannot be folded (for
        // want of space, say) is in the archive.
        let _ = self.fold_now();
        let manifest = self.without_writers(|committed| {
            staged.until = self.now();
            let owned = self.owned_folder();
            let manifest = base::link(&owned.base(), &staged.folder.join("base"))?;
            let linked = archive::link(&owned.archive(), &staged.folder.join("archive"), committed)?;
            staged.files.extend(linked.into_iter().map(|(name, bytes)| (format!("archive/{name}"), bytes)));
            staged.link_others(owned.path(), others)?;
            Ok(manifest)
        })?;
        staged.name_base(&manifest)?;
        Ok(staged)
    }
}

impl Staged {
    fn link_others(&mut self, from: &Path, others: &[String]) -> Result<(), Error> {
        for name in others {
            let (old, new) = (from.join(name), self.folder.join(name));
            make_private(&copy::parent(&new))?;
            match fs::hard_link(&old, &new) {
                Ok(()) => self.files.push((name.clone(), copy::length(&new)?)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io(format!("linking {}", old.display()))(error)),
            }
        }
        Ok(())
    }

    fn put(&mut self, given: &[(String, Vec<u8>)]) -> Result<(), Error> {
        for (name, bytes) in given {
            let new = self.folder.join(name);
            make_private(&copy::parent(&new))?;
            copy::write(&new, bytes)?;
            self.files.push((name.clone(), bytes.len() as u64));
        }
        Ok(())
    }

    /// Writes the manifest that goes with the linked runs.
    fn name_base(&mut self, manifest: &Manifest) -> Result<(), Error> {
        let based = self.folder.join("base");
        manifest.write(&based)?;
        let names = base::file_names(manifest);
        for name in names {
            let bytes = copy::length(&based.join(&name))?;
            self.files.push((format!("base/{name}"), bytes));
        }
        Ok(())
    }
}

/// Takes away what a backup left that was stopped.
pub(crate) fn remove_staging(folder: &Folder) -> Result<(), Error> {
    copy::remove(&folder.path().join(STAGING))
}

/// Makes a data folder of a backup, in a place where nothing is. Every file is compared with what the
/// backup says of it, and the whole is checked, before it gets its name. Right before that `prepare` has
/// it, for what is otherwise in a data folder than in a backup.
pub fn restore(
    backup: &Path,
    to: &Path,
    prepare: &mut dyn FnMut(&Path) -> io::Result<()>,
    progress: &mut dyn FnMut(Progress),
) -> Result<BackedUp, Error> {
    let contents = Contents::read(backup)?;
    copy::must_be_empty(to)?;
    let new = copy::beside(to)?;
    // Who restores to the same place is kept out; what was left of an earlier try goes.
    let locked = Folder::lock(&new)?;
    copy::empty(&new, "LOCK")?;
    let cleared = Cleared::unless_done(&new);
    for part in ["base", "archive"] {
        make_private(&new.join(part))?;
    }
    let made = contents.summary();
    let mut come = Progress { bytes: 0, bytes_total: made.bytes * 2 };
    for listed in &contents.files {
        let (from, new) = (listed.below(backup)?, listed.below(&new)?);
        let sha256 = copy::copy(&from, &new, listed.bytes, &mut |bytes| come.add(bytes, progress))?;
        if sha256 != listed.sha256 || copy::length(&from)? != listed.bytes {
            return Err(listed.damaged(from));
        }
    }
    let before = come;
    let checked = check(&new, &mut |read| {
        progress(Progress { bytes: come.bytes_total.min(before.bytes + read.bytes), ..come });
    })?;
    if let Some(Damage { file, offset, reason, .. }) = checked.damages.into_iter().next() {
        let file = file.strip_prefix(&new).map_or(file.clone(), |name| backup.join(name));
        return Err(Error::Damaged { file, offset, reason });
    }
    prepare(&new).map_err(Error::io(format!("preparing {}", to.display())))?;
    copy::sync_all(&new)?;
    let what = format!("renaming {} to {}", new.display(), to.display());
    fs::rename(&new, to).map_err(Error::io(what))?;
    cleared.done();
    drop(locked);
    sync_folder(&copy::parent(to))?;
    Ok(made)
}

/// Reads a backup whole: every file is as long as it was and has the SHA-256 that it had, and what it
/// holds reads. All that is wrong is named.
pub fn verify(backup: &Path, progress: &mut dyn FnMut(Progress)) -> Result<Verified, Error> {
    let contents = Contents::read(backup)?;
    let made = contents.summary();
    let mut come = Progress { bytes: 0, bytes_total: made.bytes * 2 };
    let mut damages = Vec::new();
    for listed in &contents.files {
        let file = listed.below(backup)?;
        let read = copy::read(&file, u64::MAX, &mut |_| Ok(()), &mut |bytes| come.add(bytes, progress));
        let error = match read {
            Ok((bytes, sha256)) if bytes == listed.bytes && sha256 == listed.sha256 => continue,
            Ok(_) => listed.damaged(file.clone()),
            Err(error) => error,
        };
        damages.push(Damage::of(listed.part(), file, &error));
    }
    let before = come;
    let checked = check(backup, &mut |read| {
        progress(Progress { bytes: come.bytes_total.min(before.bytes + read.bytes), ..come });
    })?;
    // What has another SHA-256 is named already.
    for damage in checked.damages {
        if !damages.iter().any(|named| named.file == damage.file) {
            damages.push(damage);
        }
    }
    Ok(Verified { backup: made, pintle: contents.pintle.clone(), damages })
}

impl Listed {
    fn part(&self) -> Part {
        match self.name.split_once('/') {
            Some(("base", _)) => Part::Base,
            Some(("archive", _)) => Part::Archive,
            _ => Part::Other,
        }
    }

    fn damaged(&self, file: PathBuf) -> Error {
        let reason = "it is not what was backed up: its length or its SHA-256 is another".to_owned();
        Error::Damaged { file, offset: 0, reason }
    }
}
