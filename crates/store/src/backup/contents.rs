//! `BACKUP.json`: what a backup holds. It has a checksum of itself, and one form only, so that no
//! byte of it can be another.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use pintle_model::Time;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::BackedUp;
use super::copy::{hex, write};
use crate::Error;
use crate::folders::sync_folder;

const NAME: &str = "BACKUP.json";
/// The format of backups. A change adds a reader for the old one.
const FORMAT: u32 = 1;

/// See the module.
#[derive(Serialize, Deserialize)]
pub(crate) struct Contents {
    format: u32,
    /// The version that made it.
    pub(super) pintle: String,
    /// When the store was as it is here.
    made: String,
    /// Every file but this one.
    pub(crate) files: Vec<Listed>,
}

/// A file of a backup.
#[derive(Serialize, Deserialize)]
pub(crate) struct Listed {
    /// Below the backup's folder, with `/` between.
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

impl Listed {
    /// Where the file lies in a folder. Fails if its name leads out of there.
    pub(crate) fn below(&self, folder: &Path) -> Result<PathBuf, Error> {
        let name = Path::new(&self.name);
        let stays = name.components().all(|part| matches!(part, Component::Normal(_)));
        if stays && !self.name.is_empty() {
            return Ok(folder.join(name));
        }
        Err(damaged(&folder.join(NAME), "it names a file outside of the backup"))
    }
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    contents: Contents,
    /// Of the contents as JSON without spaces.
    sha256: String,
}

impl Contents {
    pub(super) fn new(until: Time, files: Vec<Listed>) -> Contents {
        let pintle = env!("CARGO_PKG_VERSION").to_owned();
        Contents { format: FORMAT, pintle, made: until.to_string(), files }
    }

    pub(crate) fn summary(&self) -> BackedUp {
        BackedUp {
            until: Time::parse(&self.made).unwrap_or(Time::from_unix_seconds(0)),
            files: self.files.len() as u64,
            bytes: self.files.iter().map(|file| file.bytes).sum(),
        }
    }

    /// Makes a folder of copied files a backup.
    pub(super) fn write(self, folder: &Path) -> Result<(), Error> {
        let (name, new) = (folder.join(NAME), folder.join("BACKUP.json.new"));
        let sha256 = self.digest(&name)?;
        write(&new, &text(&Sealed { contents: self, sha256 }, &name)?)?;
        fs::rename(&new, &name).map_err(Error::io(format!("renaming {}", new.display())))?;
        sync_folder(folder)
    }

    /// Reads what a backup says of itself.
    pub(super) fn read(folder: &Path) -> Result<Contents, Error> {
        match fs::read(folder.join(NAME)) {
            Ok(bytes) => Contents::parse(folder, &bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::NoBackup(folder.to_owned())),
            Err(error) => Err(Error::io(format!("reading {}", folder.join(NAME).display()))(error)),
        }
    }

    /// Reads what the backup in a folder says of itself in these bytes.
    pub(crate) fn parse(folder: &Path, bytes: &[u8]) -> Result<Contents, Error> {
        #[derive(Deserialize)]
        struct Any {
            contents: Format,
        }
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let name = folder.join(NAME);
        let unreadable = |error: serde_json::Error| damaged(&name, &error.to_string());
        let Any { contents: Format { format } } = serde_json::from_slice(bytes).map_err(unreadable)?;
        if format > FORMAT {
            let what = format!("the backup {}", folder.display());
            return Err(Error::Newer { what, found: format, known: FORMAT });
        }
        let sealed: Sealed = serde_json::from_slice(bytes).map_err(unreadable)?;
        if sealed.contents.digest(&name)? != sealed.sha256 || text(&sealed, &name)? != bytes {
            return Err(damaged(&name, "its checksum does not match"));
        }
        Ok(sealed.contents)
    }

    fn digest(&self, name: &Path) -> Result<String, Error> {
        let bytes = serde_json::to_vec(self).map_err(|error| damaged(name, &error.to_string()))?;
        Ok(hex(&Sha256::digest(bytes)))
    }
}

fn text(sealed: &Sealed, name: &Path) -> Result<Vec<u8>, Error> {
    let text = serde_json::to_vec_pretty(sealed).map_err(|error| damaged(name, &error.to_string()))?;
    Ok([text.as_slice(), b"\n"].concat())
}

fn damaged(name: &Path, reason: &str) -> Error {
    Error::Damaged { file: name.to_owned(), offset: 0, reason: reason.to_owned() }
}
