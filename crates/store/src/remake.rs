//! The base made anew from the archive while the store is in use, and with it the archive made anew
//! without what a purge takes out.
//!
//! 1. What is to be done is noted in the journal `remake.json`.
//! 2. The archive's last segment is ended. What is before it is copied to `archive.remade` without
//!    what the purges take out, and a base is made of that in `base.rebuilding`.
//! 3. The base catches up with what came in meanwhile; at the end nobody writes for a moment.
//! 4. The journal says that all is ready. The new segments and the new base take the places of the
//!    old ones, and the journal goes.
//!
//! Stopped before step 4, everything is as it was and the purge is done again at the next opening;
//! stopped within it, the next opening goes on with it. So what is purged does not come back.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use pintle_model::Time;
use serde::{Deserialize, Serialize};

use crate::archive::{self, Position, Until};
use crate::base::Earlier;
use crate::folders::sync_folder;
use crate::known::{Administered, Known, Upkeep};
use crate::purge::{self, Purge};
use crate::store::{Store, hold};
use crate::{Error, Folder, Memory, Replayed};

/// What came of making the base anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remade {
    /// Records that were taken out.
    pub records: u64,
    /// Records kept aside that were taken out.
    pub rejects: u64,
    /// Batches of which nothing is left.
    pub batches: u64,
    /// Records that stay.
    pub kept: u64,
}

/// What is being done, on the disk.
#[derive(Serialize, Deserialize)]
struct Journal {
    purges: Vec<Purge>,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Stage {
    Begun,
    Ready,
}

/// A line of `purges.jsonl`.
#[derive(Serialize)]
struct Noted<'a> {
    at: String,
    purges: &'a [Purge],
    #[serde(flatten)]
    remade: Remade,
}

impl Store {
    /// Takes records out of the archive and the base, as if they had never come, while the store is in
    /// use. Afterwards every answer is that of a store that never saw them. What was taken out is
    /// written to `purges.jsonl` in the folder. Calls `progress` after every batch. Fails if the
    /// archive's caps have dropped a part of it: nobody knows then what else the base has from it.
    pub fn purge(&self, purges: &[Purge], progress: &mut dyn FnMut(Replayed)) -> Result<Remade, Error> {
        self.remake(purges, progress)
    }

    /// Makes the base again from the archive while the store is in use. Fails as [`Store::purge`].
    pub fn rebuild_online(&self, progress: &mut dyn FnMut(Replayed)) -> Result<Remade, Error> {
        self.remake(&[], progress)
    }

    pub(crate) fn remake(
        &self,
        purges: &[Purge],
        progress: &mut dyn FnMut(Replayed),
    ) -> Result<Remade, Error> {
        let _one_at_a_time = hold(&self.maintenance);
        let folder = self.owned_folder();
        if let Some(lacking) = archive::incomplete(&folder.archive(), self.committed())? {
            // Nor would it be done at the next opening, if this is one that was stopped.
            discard(folder)?;
            return Err(Error::ArchiveIncomplete(lacking));
        }
        let journal = |stage| Journal { purges: purges.to_vec(), stage };
        write(folder, &journal(Stage::Begun))?;
        let made = self.make(purges, progress);
        let (remade, known, upkeep) = match made {
            Ok(made) => made,
            Err(error) => {
                // As it was: nothing of it may be done again by itself.
                discard(folder)?;
                return Err(error);
            }
        };
        self.replace_known(|committed, administered| {
            upkeep.catch_up(
                &folder.archive(),
                Until::Position(committed),
                &mut Replayed::default(),
                &mut |_| {},
                &mut Err,
            )?;
            drop(upkeep);
            known.base.skip_to(committed);
            known.finish()?;
            drop(known);
            if !purges.is_empty() {
                note(folder, purges, remade, self.now())?;
            }
            write(folder, &journal(Stage::Ready))?;
            finish(folder)?;
            Known::open(&folder.base(), self.memory(), None, administered)
        })?;
        Ok(remade)
    }

    /// Makes archive and base beside those in use, but for the last of what comes in meanwhile.
    fn make(
        &self,
        purges: &[Purge],
        progress: &mut dyn FnMut(Replayed),
    ) -> Result<(Remade, Arc<Known>, Upkeep), Error> {
        let folder = self.owned_folder();
        let archived = folder.archive();
        let end = self.end_segment()?;
        let mut remade = Remade::default();
        let source = if purges.is_empty() {
            archived.clone()
        } else {
            let bytes_total = archive::size_from(&archived, Position::START)? * 2;
            let mut so_far = Replayed { bytes_total, ..Replayed::default() };
            let mut left = |batch| {
                let left = purge::left(batch, purges);
                remade.records += left.records;
                remade.rejects += left.rejects;
                remade.batches += u64::from(left.batch.is_none());
                left
            };
            archive::rewrite(&archived, &folder.remade_archive(), end.segment, &mut left, &mut |bytes| {
                so_far.bytes = bytes;
                progress(so_far);
            })?;
            folder.remade_archive()
        };
        let earlier = Earlier { base: Arc::clone(&self.known().base), is_purged: !purges.is_empty() };
        let marks = earlier.base.marks();
        // Nothing of it is read again after a crash, so only memory bounds what is folded at once.
        let bytes = self.memory().bytes.max(Memory::default().bytes);
        let memory = Memory { records: u64::MAX, bytes, ..self.memory() };
        // Nobody asks this one about machines, so it does not matter which are seen by whom, and which are one.
        let known = Known::open(&folder.start_rebuild()?, memory, Some(marks), &Administered::default())?;
        let known = Arc::new(known.instead_of(Some(earlier)));
        let upkeep = Upkeep::start(&known)?;
        let before = archive::size_from(&source, Position::START)?;
        let (bytes, bytes_total) = if purges.is_empty() { (0, before) } else { (before, before * 2) };
        let mut so_far = Replayed { bytes, bytes_total, ..Replayed::default() };
        upkeep.catch_up(&source, Until::Position(end), &mut so_far, progress, &mut Err)?;
        known.base.skip_to(end);
        // What comes in while this catches up is less each time.
        for _ in 0..3 {
            upkeep.catch_up(&archived, Until::Position(self.committed()), &mut so_far, progress, &mut Err)?;
        }
        remade.kept = so_far.records;
        Ok((remade, known, upkeep))
    }
}

fn path(folder: &Folder) -> PathBuf {
    folder.path().join("remake.json")
}

fn write(folder: &Folder, journal: &Journal) -> Result<(), Error> {
    let (name, new) = (path(folder), folder.path().join("remake.json.new"));
    let what = || format!("writing {}", name.display());
    let text = serde_json::to_vec(journal).map_err(|error| Error::Engine(error.to_string()))?;
    let mut options = OpenOptions::new();
    let mut file =
        options.write(true).create(true).truncate(true).mode(0o600).open(&new).map_err(Error::io(what()))?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(Error::io(what()))?;
    fs::rename(&new, &name).map_err(Error::io(what()))?;
    sync_folder(folder.path())
}

/// Brings what was stopped half-way to its end, or back to its beginning. Returns the purges that
/// are to be done again.
pub(crate) fn recover(folder: &Folder) -> Result<Option<Vec<Purge>>, Error> {
    let name = path(folder);
    let text = match fs::read(&name) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            remove_what_was_made(folder)?;
            return Ok(None);
        }
        Err(error) => return Err(Error::io(format!("reading {}", name.display()))(error)),
    };
    let journal: Journal = serde_json::from_slice(&text).map_err(|error| Error::Damaged {
        file: name.clone(),
        offset: 0,
        reason: error.to_string(),
    })?;
    match journal.stage {
        Stage::Ready => {
            finish(folder)?;
            Ok(None)
        }
        Stage::Begun if journal.purges.is_empty() => {
            discard(folder)?;
            Ok(None)
        }
        Stage::Begun => {
            // The journal stays until the purge is done: opening may be stopped before that too.
            remove_what_was_made(folder)?;
            Ok(Some(journal.purges))
        }
    }
}

/// Step 4 of the module's list.
fn finish(folder: &Folder) -> Result<(), Error> {
    if folder.remade_archive().exists() {
        archive::replace(&folder.remade_archive(), &folder.archive())?;
    }
    folder.finish_rebuild()?;
    forget_journal(folder)
}

fn discard(folder: &Folder) -> Result<(), Error> {
    remove_what_was_made(folder)?;
    forget_journal(folder)
}

fn remove_what_was_made(folder: &Folder) -> Result<(), Error> {
    folder.remove_remade_archive()?;
    folder.recover_interrupted_rebuild()
}

fn forget_journal(folder: &Folder) -> Result<(), Error> {
    let name = path(folder);
    match fs::remove_file(&name) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(format!("removing {}", name.display()))(error))
        }
        _ => sync_folder(folder.path()),
    }
}

/// Notes a purge for good. Stopped right after it, the purge is done again and noted again.
fn note(folder: &Folder, purges: &[Purge], remade: Remade, at: Time) -> Result<(), Error> {
    let name = folder.path().join("purges.jsonl");
    let what = || format!("writing {}", name.display());
    let line = serde_json::to_string(&Noted { at: at.to_string(), purges, remade });
    let line = line.map_err(|error| Error::Engine(error.to_string()))? + "\n";
    let mut file =
        OpenOptions::new().append(true).create(true).mode(0o600).open(&name).map_err(Error::io(what()))?;
    file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(Error::io(what()))?;
    sync_folder(folder.path())
}
