//! The data folder: it belongs to one process, and to one user.

use std::collections::BTreeSet;
use std::path::Path;

use pintle::config::Config;
use pintle::instance::{Instance, OpenError};
use pintle_store::{Error, Folder, Options};

use crate::command::run_on;

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn who_does_not_own_the_folder_changes_nothing_in_it() {
    let folder = tempfile::tempdir().unwrap();
    // Somebody else is about to make a new folder's files: none is there yet.
    let owned = Folder::lock(folder.path()).unwrap();
    let before = names(folder.path());

    let opened = Instance::open(folder.path(), Config::default(), Options::default().clock);
    assert!(matches!(opened, Err(OpenError::Store(Error::InUse(_)))));
    let dev = ["dev", "--http", "127.0.0.1:0", "--https", "127.0.0.1:0"];
    for command in [&dev[..], &["rebuild"]] {
        let ran = run_on(folder.path(), command);
        assert_eq!(ran.code, 1, "{command:?}: {}", ran.err);
        assert!(ran.err.contains("in use by another pintle"), "{command:?}: {}", ran.err);
    }
    assert_eq!(names(folder.path()), before);

    drop(owned);
    Instance::open(folder.path(), Config::default(), Options::default().clock).unwrap();
    assert!(names(folder.path()).is_superset(&["control.json".to_owned(), "archive".to_owned()].into()));
}
