//! `HEAD`: the last line that is certain to be on the disk. It is written once that is so, and lines
//! that a crash took were after it.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::line::Hash;
use crate::private_file;

pub(super) const NAME: &str = "HEAD";

/// The last line that is certain to be there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) seq: u64,
    pub(super) hash: Hash,
    /// The number of the file in which it is.
    pub(super) file: u64,
}

/// `None`: there is none yet.
pub(super) fn read(folder: &Path) -> io::Result<Option<Head>> {
    private_file::read(&folder.join(NAME))?.map(|text| Ok(serde_json::from_slice(&text)?)).transpose()
}

pub(super) fn write(folder: &Path, head: Head) -> io::Result<()> {
    let mut text = serde_json::to_vec(&head)?;
    text.push(b'\n');
    private_file::replace(&folder.join(NAME), &text)
}
