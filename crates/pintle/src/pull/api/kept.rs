//! What is remembered of what an API gave, so that only what is new is taken.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use pintle_model::Time;
use serde::{Deserialize, Serialize};

use crate::pull::keeping;

/// Elements of a list that are remembered. Of more, those that are met first are; the others are taken again
/// whenever they are met, which changes nothing.
const MOST: usize = 1_000_000;

/// What is remembered of an API.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Kept {
    /// Whose lists these are: those of another API, or for another tenant, are others.
    pub of: String,
    /// By the list's name.
    pub lists: BTreeMap<String, Taken>,
}

/// What was taken of a list.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Taken {
    /// All that was updated before this is taken.
    pub watermark: Option<Time>,
    /// When all of it was looked at last.
    pub looked: Option<Time>,
    /// What was taken of each element, by its id.
    elements: BTreeMap<u64, u64>,
}

impl Taken {
    /// Whether this is what was taken last of the element of that id.
    pub fn is_known(&self, id: u64, digest: u64) -> bool {
        self.elements.get(&id) == Some(&digest)
    }

    /// It was taken.
    pub fn note(&mut self, id: u64, digest: u64) {
        if self.elements.len() < MOST || self.elements.contains_key(&id) {
            self.elements.insert(id, digest);
        }
    }

    /// Forgets what there is no more.
    pub fn retain(&mut self, is_there: impl Fn(u64) -> bool) {
        self.elements.retain(|id, _| is_there(*id));
    }
}

/// What was kept of what `of` says; nothing if nothing was.
pub fn read(folder: &Path, name: &str, of: &str) -> io::Result<Kept> {
    let kept = keeping::read(folder, name)?.filter(|kept: &Kept| kept.of == of);
    Ok(kept.unwrap_or_else(|| Kept { of: of.to_owned(), lists: BTreeMap::new() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_is_known_over_a_restart_and_not_of_another_api() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = read(folder.path(), "a/b", "https://one").unwrap();
        let list = kept.lists.entry("alerts".to_owned()).or_default();
        list.note(1, 10);
        list.note(2, 20);
        list.note(2, 21);
        list.watermark = Time::parse("2026-01-02T03:04:05.6789012Z");
        list.retain(|id| id == 2);
        keeping::write(folder.path(), "a/b", &kept).unwrap();
        let kept = read(folder.path(), "a/b", "https://one").unwrap();
        let list = &kept.lists["alerts"];
        assert!(list.is_known(2, 21) && !list.is_known(2, 20) && !list.is_known(1, 10));
        assert_eq!(list.watermark, Time::parse("2026-01-02T03:04:05.6789012Z"));
        assert!(read(folder.path(), "a/b", "https://other").unwrap().lists.is_empty());
    }
}
