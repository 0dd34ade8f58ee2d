//! A run being written.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::block::{self, BlockBuilder};
use super::filter::Filter;
use super::index::Index;
use super::{FILE_HEADER_BYTES, Run, Tail, file_header, path};
use crate::Error;
use crate::base::key;

/// Writes a run. Entries are pushed in ascending order of keys, each key once. Without
/// [`RunWriter::finish`] no run comes of it, and the file is taken away.
pub(crate) struct RunWriter {
    number: u64,
    path: PathBuf,
    file: Option<BufWriter<std::fs::File>>,
    block: BlockBuilder,
    index: Index,
    filter: Filter,
    entries: u64,
    first_of_block: Vec<u8>,
    last_of_block_before: Vec<u8>,
    last: Vec<u8>,
    last_probe: Vec<u8>,
}

impl RunWriter {
    /// Begins a run of about so many entries.
    pub(crate) fn create(folder: &Path, number: u64, entries: u64) -> Result<RunWriter, Error> {
        let path = path(folder, number);
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        let file = file.map_err(Error::io(format!("making {}", path.display())))?;
        let mut writer = RunWriter {
            number,
            path,
            file: Some(BufWriter::with_capacity(1 << 18, file)),
            block: BlockBuilder::default(),
            index: Index::starting_at(FILE_HEADER_BYTES),
            filter: Filter::for_keys(entries),
            entries: 0,
            first_of_block: Vec::new(),
            last_of_block_before: Vec::new(),
            last: Vec::new(),
            last_probe: Vec::new(),
        };
        writer.write(&file_header())?;
        Ok(writer)
    }

    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        debug_assert!(self.entries == 0 || self.last.as_slice() < key);
        if self.block.is_full_with(key.len() + value.len()) {
            self.close_block()?;
        }
        if self.block.is_empty() {
            self.first_of_block = key.to_vec();
        }
        self.block.push(key, value);
        let probe = key::probe(key);
        if probe != self.last_probe {
            self.filter.insert(probe);
            self.last_probe = probe.to_vec();
        }
        self.last.clear();
        self.last.extend_from_slice(key);
        self.entries += 1;
        Ok(())
    }

    fn close_block(&mut self) -> Result<(), Error> {
        let stored = self.block.finish();
        self.write(&stored)?;
        self.index.push(&self.last_of_block_before, &self.first_of_block, stored.len() as u64);
        self.last_of_block_before.clone_from(&self.last);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(bytes).map_err(Error::io(format!("writing {}", self.path.display())))
    }

    /// Ends the run, makes it durable but for its name in the folder, and opens it.
    pub(crate) fn finish(mut self) -> Result<Run, Error> {
        if !self.block.is_empty() {
            self.close_block()?;
        }
        let index = block::store(&self.index.to_bytes());
        let filter = block::store(&self.filter.to_bytes());
        let tail = Tail {
            index: self.index.end(),
            filter: self.index.end() + index.len() as u64,
            entries: self.entries,
        };
        for part in [index, filter, tail.to_bytes()] {
            self.write(&part)?;
        }
        let what = format!("syncing {}", self.path.display());
        if let Some(file) = self.file.take() {
            let written = file.into_inner().map_err(std::io::IntoInnerError::into_error);
            if let Err(error) = written.and_then(|file| file.sync_all()) {
                discard(&self.path);
                return Err(Error::io(what)(error));
            }
        }
        Run::open(self.path.clone(), self.number)
    }
}

impl Drop for RunWriter {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            discard(&self.path);
        }
    }
}

/// A file that is no run yet. If it cannot be taken away now, opening the base does.
fn discard(path: &Path) {
    let _ = std::fs::remove_file(path);
}
