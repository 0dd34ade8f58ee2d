//! Gives the files of a base other names, under which they stay as they are.

use std::fs;
use std::io;
use std::path::Path;

use super::manifest::{self, Manifest};
use super::run;
use crate::Error;
use crate::folders::make_private;

/// Links the runs of a base in use into another folder. Returns the manifest that goes with them.
pub(crate) fn link(folder: &Path, to: &Path) -> Result<Manifest, Error> {
    make_private(to)?;
    loop {
        let missing =
            || Error::Damaged { file: manifest::path(folder), offset: 0, reason: "it is missing".into() };
        let manifest = Manifest::read(folder)?.ok_or_else(missing)?;
        if link_runs(folder, to, &manifest)? {
            return Ok(manifest);
        }
    }
}

/// Whether all of them were there: a merge may have replaced one by then.
fn link_runs(folder: &Path, to: &Path, manifest: &Manifest) -> Result<bool, Error> {
    for number in &manifest.runs {
        let (name, other) = (run::path(folder, *number), run::path(to, *number));
        match fs::hard_link(&name, &other) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let is_gone = Manifest::read(folder)?.is_some_and(|now| !now.runs.contains(number));
                if is_gone {
                    return Ok(false);
                }
                return Err(Error::Damaged { file: name, offset: 0, reason: "it is missing".into() });
            }
            Err(error) => return Err(Error::io(format!("linking {}", name.display()))(error)),
        }
    }
    Ok(true)
}

/// The names of the files of a base with this manifest.
pub(crate) fn file_names(manifest: &Manifest) -> Vec<String> {
    let here = Path::new("");
    let runs = manifest.runs.iter().map(|number| run::path(here, *number));
    let names = runs.chain([manifest::path(here), manifest::copy(here)]);
    names.map(|name| name.to_string_lossy().into_owned()).collect()
}
