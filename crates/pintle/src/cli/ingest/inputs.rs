//! Which files a command line names.

use std::io;
use std::path::{Path, PathBuf};

use super::outcome::Outcome;

/// Folders deeper than this are not gone into: nobody nests exports so deep, but a link can.
const DEEPEST: usize = 64;

/// Something to ingest.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// `-`.
    Standard,
    /// A file of so many bytes.
    File { path: PathBuf, bytes: u64 },
}

impl Input {
    /// What rejects name as their source.
    pub(super) fn name(&self) -> String {
        match self {
            Input::Standard => "standard input".to_owned(),
            Input::File { path, .. } => path.to_string_lossy().into_owned(),
        }
    }

    /// How large it is, if that can be known.
    pub(super) fn bytes(&self) -> Option<u64> {
        match self {
            Input::Standard => None,
            Input::File { bytes, .. } => Some(*bytes),
        }
    }
}

/// Every input that the paths name, in order, and what cannot be read as failed already.
pub(super) fn find(paths: &[PathBuf]) -> (Vec<Input>, Outcome) {
    let (mut inputs, mut outcome) = (Vec::new(), Outcome::default());
    for path in paths {
        if path.as_os_str() == "-" {
            inputs.push(Input::Standard);
        } else {
            walk(path, DEEPEST, &mut inputs, &mut outcome);
        }
    }
    (inputs, outcome)
}

fn walk(path: &Path, depth: usize, inputs: &mut Vec<Input>, outcome: &mut Outcome) {
    let mut visit = || -> io::Result<()> {
        let metadata = std::fs::metadata(path)?;
        if !metadata.is_dir() {
            inputs.push(Input::File { path: path.to_owned(), bytes: metadata.len() });
            return Ok(());
        }
        if depth == 0 {
            return Err(io::Error::other("folders are nested too deep"));
        }
        let mut members: Vec<PathBuf> =
            std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
        members.sort();
        for member in members.iter().filter(|member| !is_left_out(member)) {
            walk(member, depth - 1, inputs, outcome);
        }
        Ok(())
    };
    if let Err(error) = visit() {
        outcome.fail(path.to_string_lossy().into_owned(), error.to_string());
    }
}

/// Hidden files, and what archivers of macOS put beside every file.
fn is_left_out(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.starts_with(b".") || name == b"__MACOSX"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_gone_through_by_name_without_hidden_files() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["b/2.json", "b/1.json", "a.json", ".hidden", "__MACOSX/._a.json", "b/.git/config"] {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "xyz").unwrap();
        }
        std::os::unix::fs::symlink(folder.path(), folder.path().join("b/loop")).unwrap();
        let (inputs, _) = find(&[folder.path().join("a.json"), "-".into(), folder.path().join("b/1.json")]);
        assert_eq!(inputs.len(), 3);
        assert_eq!((inputs[1].bytes(), inputs[0].bytes()), (None, Some(3)));

        std::fs::remove_file(folder.path().join("b/loop")).unwrap();
        let (inputs, outcome) = find(&[folder.path().to_owned()]);
        let names: Vec<_> = inputs
            .iter()
            .map(|input| input.name().replace(&folder.path().display().to_string(), ""))
            .collect();
        assert_eq!(names, ["/a.json", "/b/1.json", "/b/2.json"]);
        assert_eq!(outcome, Outcome::default());
    }

    #[test]
    fn what_is_not_there_fails_by_name_and_the_rest_is_found() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.json"), "").unwrap();
        let (inputs, outcome) = find(&[folder.path().join("missing"), folder.path().join("a.json")]);
        assert_eq!(inputs.len(), 1);
        assert!(outcome.failed()[0].0.ends_with("/missing"));
    }
}
