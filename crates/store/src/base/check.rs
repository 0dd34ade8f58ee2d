//! Reads every file of a base and compares it with its checksums.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::manifest::{self, Manifest};
use super::run::{self, Run};
use super::upkeep::has_runs;
use crate::Error;
use crate::archive::Position;

/// What was read of a base.
pub(crate) struct Read {
    /// How much of the archive it holds; `None`: there is no manifest, or it does not read.
    pub(crate) applied: Option<Position>,
    /// Files read.
    pub(crate) files: u64,
    /// What it does not hold though the archive does.
    pub(crate) notice: Option<String>,
}

/// Checks a base, which may be in use: runs are never changed, and one that is merged away meanwhile
/// need not be read any more. Tells `damaged` of each file in which something does not read, and
/// `progress` of each file's bytes. `has_all`: whether a base could be made from what the archive holds.
pub(crate) fn check(
    folder: &Path,
    has_all: bool,
    damaged: &mut dyn FnMut(PathBuf, Error),
    progress: &mut dyn FnMut(u64),
) -> Result<Read, Error> {
    let name = manifest::path(folder);
    let mut read = Read { applied: None, files: 0, notice: None };
    let mut checked = BTreeSet::new();
    loop {
        let manifest = match Manifest::read(folder) {
            Ok(Some(manifest)) => manifest,
            Ok(None) => {
                if !has_all || folder.exists() && has_runs(folder)? {
                    let (file, reason) = (name.clone(), "it is missing".to_owned());
                    damaged(name, Error::Damaged { file, offset: 0, reason });
                }
                return Ok(read);
            }
            Err(Error::Damaged { .. }) => {
                Manifest::check(folder).into_iter().for_each(|(file, error)| damaged(file, error));
                return Ok(read);
            }
            Err(error) => {
                damaged(name, error);
                return Ok(read);
            }
        };
        if read.files == 0 {
            read.files = 2;
            Manifest::check(folder).into_iter().for_each(|(file, error)| damaged(file, error));
        }
        read.applied = Some(manifest.applied);
        read.notice = manifest.notice();
        let Some(number) = manifest.runs.into_iter().find(|number| checked.insert(*number)) else {
            return Ok(read);
        };
        let path = run::path(folder, number);
        let sound = Run::open(path.clone(), number).and_then(|run| {
            run.check()?;
            Ok(run.length)
        });
        match sound {
            Ok(length) => {
                read.files += 1;
                progress(length);
            }
            Err(error) => {
                let now = Manifest::read(folder).ok().flatten();
                if path.exists() || now.is_none_or(|now| now.runs.contains(&number)) {
                    damaged(path, error);
                }
            }
        }
    }
}
