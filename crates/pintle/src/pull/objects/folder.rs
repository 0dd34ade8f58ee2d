//! What lies in a folder that is fetched from. Links are not followed: what they lead to lies in the folder
//! itself, or is not to be reached. object_store's own list ends at the first name that is no text, link that
//! leads around in circles or folder that cannot be read; here only that is left out.

use std::fs::{self, ReadDir};
use std::io;
use std::path::{Path as FilePath, PathBuf};

use object_store::path::Path;

/// Folders deeper than this are not gone into.
const DEEPEST: usize = 64;

/// Goes through a folder: the names of its files, and what is left out and why.
pub struct Walk {
    top: PathBuf,
    /// Those that it is in, the innermost last.
    open: Vec<(PathBuf, ReadDir)>,
}

impl Walk {
    /// Through this folder.
    pub fn new(top: &FilePath) -> io::Result<Walk> {
        Ok(Walk { top: top.to_owned(), open: vec![(top.to_owned(), fs::read_dir(top)?)] })
    }

    /// The name of a file, or why it has none.
    fn name(&self, path: &FilePath) -> Result<Path, String> {
        let name = path.strip_prefix(&self.top).unwrap_or(path);
        let text = name.to_str().ok_or_else(|| format!("{}: its name is not UTF-8", name.display()))?;
        Path::parse(text).map_err(|error| format!("{text}: {error}"))
    }
}

impl Iterator for Walk {
    type Item = Result<Path, String>;

    fn next(&mut self) -> Option<Result<Path, String>> {
        let said = |path: &FilePath, error: &io::Error| Some(Err(format!("{}: {error}", path.display())));
        loop {
            let (folder, entries) = self.open.last_mut()?;
            let entry = match entries.next() {
                Some(Ok(entry)) => entry,
                Some(Err(error)) => {
                    let said = said(folder, &error);
                    self.open.pop();
                    return said;
                }
                None => {
                    self.open.pop();
                    continue;
                }
            };
            let path = entry.path();
            let opened = match entry.file_type() {
                Ok(kind) if kind.is_file() => return Some(self.name(&path)),
                Ok(kind) if !kind.is_dir() => continue,
                Ok(_) if self.open.len() >= DEEPEST => {
                    return Some(Err(format!("{}: more than {DEEPEST} folders deep", path.display())));
                }
                Ok(_) => fs::read_dir(&path),
                Err(error) => Err(error),
            };
            match opened {
                Ok(entries) => self.open.push((path, entries)),
                // It just went.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return said(&path, &error),
            }
        }
    }
}
