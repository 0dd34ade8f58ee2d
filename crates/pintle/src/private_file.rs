//! Small files that only their owner may read, replaced as a whole: after a crash the old content
//! is there or the new one, never half of either.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

/// Writes `bytes` to `path` with mode 0600, on disk when this returns.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = folder_of(path)?;
    written_in(folder, bytes)?.persist(path).map_err(|error| error.error)?;
    // The new name is durable only once its folder is.
    File::open(folder)?.sync_all()
}

/// Writes `bytes` to `path` unless there is such a file. Gives what is there afterwards, so that
/// two processes starting at once go on with the same content.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let folder = folder_of(path)?;
    match written_in(folder, bytes)?.persist_noclobber(path) {
        Ok(_) => {
            File::open(folder)?.sync_all()?;
            Ok(bytes.to_owned())
        }
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => fs::read(path),
        Err(error) => Err(error.error),
    }
}

fn folder_of(path: &Path) -> io::Result<&Path> {
    path.parent().ok_or_else(|| io::Error::other("a file needs a folder"))
}

fn written_in(folder: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    // tempfile makes files with 0600, so the content is never readable by others, not even shortly.
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// The file's content, or `None` if there is no such file.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_the_owner_may_read_and_nothing_is_left_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pepper");
        assert_eq!(read(&path).unwrap(), None);
        assert_eq!(create(&path, b"one").unwrap(), b"one");
        assert_eq!(create(&path, b"late").unwrap(), b"one");
        replace(&path, b"two").unwrap();
        assert_eq!(read(&path).unwrap().unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
