//! The files, and how a line gets to their end.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pintle_model::Time;

use super::entry::{Actor, Entry};
use super::head::Head;
use super::line::{self, Hash};
use super::{Error, line::FILE};

/// The name of a file.
pub(super) fn name(number: u64) -> String {
    format!("{number:08}.jsonl")
}

/// The numbers of the files that are there, ascending.
pub(super) fn numbers(folder: &Path) -> Result<Vec<u64>, Error> {
    let reading = || Error::io("reading", folder);
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder).map_err(reading())? {
        let found = entry.map_err(reading())?.file_name();
        let number = found.to_str().and_then(|name| name.strip_suffix(".jsonl")).map(str::parse);
        // Only what has the name that it would be given.
        numbers.extend(number.and_then(Result::ok).filter(|number| *name(*number) == *found));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The last file, and where the chain has come to.
pub(super) struct Log {
    folder: PathBuf,
    /// Where lines go. `None`: nothing was written yet, and the file may not be there.
    file: Option<Arc<File>>,
    number: u64,
    /// The bytes in the file that are lines.
    bytes: u64,
    /// Whether there may be more, of a line that could not be written whole.
    has_rest: bool,
    seq: u64,
    hash: Hash,
    file_bytes: u64,
}

impl Log {
    /// Goes on after a line, in a file that may not be there yet.
    pub(super) fn open(
        folder: &Path,
        number: u64,
        (seq, hash): (u64, Hash),
        file_bytes: u64,
    ) -> Result<Log, Error> {
        let path = folder.join(name(number));
        let file = match OpenOptions::new().read(true).append(true).open(&path) {
            Ok(file) => Some(Arc::new(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(Error::io("opening", &path)(error)),
        };
        let bytes = file.as_ref().map_or(Ok(0), |file| file.metadata().map(|about| about.len()));
        let bytes = bytes.map_err(Error::io("reading", &path))?;
        let folder = folder.to_owned();
        Ok(Log { folder, file, number, bytes, has_rest: false, seq, hash, file_bytes })
    }

    /// Cuts so many bytes off that are no line. Returns where they are kept, and how many they are.
    pub(super) fn cut(&mut self, torn: u64) -> Result<Option<(String, u64)>, Error> {
        let Some(file) = self.file.as_ref().filter(|_| torn > 0) else { return Ok(None) };
        let whole = self.bytes.saturating_sub(torn);
        let kept = format!("{}.{whole}.torn", name(self.number));
        let cut = || {
            let mut file: &File = file;
            file.seek(SeekFrom::Start(whole))?;
            let mut options = OpenOptions::new();
            let options = options.write(true).create(true).truncate(true).mode(0o600);
            let mut new = options.open(self.folder.join(&kept))?;
            io::copy(&mut file.take(torn), &mut new)?;
            new.sync_all()?;
            File::open(&self.folder)?.sync_all()?;
            file.set_len(whole)
        };
        cut().map_err(Error::io("setting aside the end of", &self.folder.join(name(self.number))))?;
        self.bytes = whole;
        Ok(Some((kept, torn)))
    }

    /// Writes a line. Nothing of it stays if that fails.
    pub(super) fn append(&mut self, entry: &Entry, repeated: Option<u64>, now: Time) -> io::Result<()> {
        if self.bytes >= self.file_bytes {
            self.roll()?;
        }
        if self.bytes == 0 {
            let begins = Entry::new(Actor::server(), FILE).with("file", self.number);
            self.write(&begins, None, now)?;
        }
        self.write(entry, repeated, now)
    }

    /// As after a write that failed and could not be taken back.
    #[cfg(test)]
    pub(super) fn doubt(&mut self) {
        self.has_rest = true;
    }

    /// Where it ends; `None` before the first line.
    pub(super) fn end(&self) -> Option<(Arc<File>, Head)> {
        let head = Head { seq: self.seq, hash: self.hash, file: self.number };
        self.file.clone().map(|file| (file, head))
    }

    /// Ends the file. The next is made only once this one is on the disk, so that no line of it can be
    /// there without all before it.
    fn roll(&mut self) -> io::Result<()> {
        if let Some(file) = &self.file {
            file.sync_all()?;
        }
        let number = self.number + 1;
        self.file = Some(Arc::new(make(&self.folder, number)?));
        (self.number, self.bytes) = (number, 0);
        Ok(())
    }

    fn write(&mut self, entry: &Entry, repeated: Option<u64>, now: Time) -> io::Result<()> {
        let mut file: &File = match &mut self.file {
            Some(file) => file,
            none => none.insert(Arc::new(make(&self.folder, self.number)?)),
        };
        if self.has_rest {
            file.set_len(self.bytes)?;
            self.has_rest = false;
        }
        let (bytes, hash) = line::sealed(self.seq + 1, self.hash, now, entry, repeated)?;
        if let Err(error) = file.write_all(&bytes) {
            self.has_rest = file.set_len(self.bytes).is_err();
            return Err(error);
        }
        self.bytes += bytes.len() as u64;
        (self.seq, self.hash) = (self.seq + 1, hash);
        Ok(())
    }
}

fn make(folder: &Path, number: u64) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // One that is there was made right before a crash, or by a try that failed, and is empty.
    let options = options.read(true).append(true).create(true).mode(0o600);
    let file = options.open(folder.join(name(number)))?;
    File::open(folder)?.sync_all()?;
    Ok(file)
}
