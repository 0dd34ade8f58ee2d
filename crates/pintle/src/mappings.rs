//! The administrator's mappings: a folder of TOML files, each of which makes a format of its own.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use pintle_ingest::{Decoders, Mapping};

/// Why the mappings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder or a file in it cannot be read.
    #[error("ingest.mappings: {0}: {1}")]
    Unreadable(PathBuf, #[source] io::Error),
    /// A file is no mapping.
    #[error("{0} is no mapping: {1}")]
    Unusable(PathBuf, #[source] pintle_ingest::Unusable),
    /// Two files, or a file and a format, have one name.
    #[error("ingest.mappings: {0}: {1}")]
    Names(PathBuf, #[source] pintle_ingest::Unusable),
}

/// What decodes telemetry, with the mappings of that folder.
pub fn decoders(folder: Option<&Path>) -> Result<Decoders, Error> {
    let Some(folder) = folder else { return Ok(Decoders::default()) };
    let unreadable = |error| Error::Unreadable(folder.to_owned(), error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    let mappings = files.iter().map(|file| read(file)).collect::<Result<_, _>>()?;
    Decoders::with(mappings).map_err(|error| Error::Names(folder.to_owned(), error))
}

/// The mapping in a file.
pub fn read(file: &Path) -> Result<Mapping, Error> {
    let text = text(file).map_err(|error| Error::Unreadable(file.to_owned(), error))?;
    Mapping::read(&text).map_err(|error| Error::Unusable(file.to_owned(), error))
}

/// The text of a file, and of one that is too long only as much as shows it.
pub fn text(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(pintle_ingest::MAX_MAPPING_BYTES as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_folder_are_formats_and_a_bad_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let mapping = |name| format!("name = \"{name}\"\n[machine]\nname = \"host\"\n[[event]]\n");
        let write = |file: &str, text: &str| std::fs::write(folder.path().join(file), text).unwrap();
        write("a.toml", &mapping("a"));
        write("notes.txt", "none");
        assert_eq!(decoders(Some(folder.path())).unwrap().named("A").unwrap().name(), "a");
        write("b.toml", &mapping("evtx"));
        let error = decoders(Some(folder.path())).unwrap_err().to_string();
        assert!(error.contains("another format is called evtx"), "{error}");
        write("b.toml", "name = 3");
        let error = decoders(Some(folder.path())).unwrap_err().to_string();
        assert!(error.contains("b.toml is no mapping: TOML parse error at line 1"), "{error}");
        let error = decoders(Some(&folder.path().join("none"))).unwrap_err().to_string();
        assert!(error.starts_with("ingest.mappings: "), "{error}");
    }
}
