//! Many hashes looked up one after the other, as an investigation has a list of them.

use std::vec::IntoIter;

use pintle_model::{FileHash, Hashes};

use super::{FileQuestion, Seen, ordinals_of};
use crate::directory::SharedDirectory;
use crate::store::{Store, read_lock};
use crate::{Error, FileMachines, Page, Scope, Span};

/// A question about many files, answered as things stood at one moment. It holds no locks, but keeps what
/// was known then in memory and on the disk: for a list that takes long, begin another now and then.
pub struct FileLookup<'s> {
    question: FileQuestion<'s>,
    damaged: bool,
}

/// What is known of a hash that was looked up.
pub struct FoundFile {
    /// The hashes of the file that are beyond doubt.
    pub hashes: Hashes,
    /// On how many machines it was seen: all of the tenant, unless the scope narrows statistics.
    pub machines: usize,
    /// From the first to the last event there; `None`: none had a plausible time.
    pub seen: Option<Span>,
    /// Why machines may be missing.
    pub gaps: FileMachines,
    /// Ascending.
    ordinals: Vec<u32>,
}

/// Machines on their way out, in the order of their ids. Which ones was settled when they were asked for.
pub struct MachineIds {
    directory: SharedDirectory,
    /// Those by which the machines go.
    ordinals: IntoIter<u32>,
}

impl Store {
    /// Begins a question about many files.
    pub fn look_up_files<'s>(&self, scope: &'s Scope) -> Result<FileLookup<'s>, Error> {
        Ok(FileLookup { question: self.ask_of_files(scope)?, damaged: self.lacks_some() })
    }
}

impl FileLookup<'_> {
    /// What is known of a hash; `None`: it is unknown, by the rules of [`Store::file`].
    pub fn find(&self, hash: &FileHash) -> Result<Option<FoundFile>, Error> {
        let Some(found) = self.question.seen(hash)? else { return Ok(None) };
        let (hashes, seen) = (found.resolved.hashes(), found.span());
        let Seen { resolved, pairs } = found;
        let gaps = FileMachines {
            written: 0,
            ask_instead: resolved.ask_instead,
            cut_short: resolved.cut_short,
            damaged: self.damaged,
        };
        let ordinals: Vec<u32> = ordinals_of(&pairs).collect();
        Ok(Some(FoundFile { hashes, machines: ordinals.len(), seen, gaps, ordinals }))
    }

    /// The machines within retention on which a file was seen and that the caller may see.
    pub fn machine_ids(&self, file: FoundFile) -> Result<MachineIds, Error> {
        let (scope, window) = (self.question.scope, self.question.window);
        let (directory, then) = (self.question.known.directory(scope.tenant())?, self.question.then()?);
        let ordinals = read_lock(&directory).some(then, scope, window, file.ordinals.into_iter(), Page::ALL);
        Ok(MachineIds { directory, ordinals: ordinals.into_iter() })
    }
}

impl MachineIds {
    /// Gives up to so many of those that are left, without a lock being held in between. Returns whether
    /// there are more.
    pub fn next_some(&mut self, most: usize, each: &mut dyn FnMut(&str)) -> bool {
        let directory = read_lock(&self.directory);
        for ordinal in self.ordinals.by_ref().take(most) {
            // One may have been forgotten meanwhile.
            if let Some(machine) = directory.own(ordinal) {
                each(machine.id.as_str());
            }
        }
        self.ordinals.len() > 0
    }
}
