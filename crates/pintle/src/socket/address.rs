//! A path that a socket address can hold: those are short (107 bytes on Linux), data folders may
//! lie deep.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// `sun_path` less its NUL: 108 on Linux, 104 on the BSDs and macOS.
const LONGEST: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Where a socket can be bound or found. Keeps the folder open as long as the path is needed.
pub(super) struct Address {
    pub(super) path: PathBuf,
    _folder: Option<File>,
}

impl Address {
    /// The address of `name` in `folder`. When the path is too long it goes by the folder's file
    /// descriptor, where the system has such paths.
    pub(super) fn of(folder: &Path, name: &str) -> io::Result<Address> {
        let path = folder.join(name);
        if path.as_os_str().as_bytes().len() <= LONGEST {
            return Ok(Address { path, _folder: None });
        }
        let open = File::open(folder)?;
        let by_descriptor = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()));
        if !by_descriptor.exists() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "the path {} is longer than the {LONGEST} bytes of a socket address: reach the data folder by a shorter path or link",
                    path.display()
                ),
            ));
        }
        Ok(Address { path: by_descriptor.join(name), _folder: Some(open) })
    }
}
