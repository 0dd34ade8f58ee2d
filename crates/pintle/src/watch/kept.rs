//! What was taken of a watched folder, as it is kept in the data folder over a restart. A backup leaves it
//! out: what is restored may be older, and taking something again changes nothing.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::known::Known;
use crate::private_file;

#[derive(Serialize)]
struct Written<'k> {
    files: Vec<&'k Known>,
    gone: Vec<&'k Known>,
}

#[derive(Default, Deserialize)]
struct Read {
    files: Vec<Known>,
    gone: VecDeque<Known>,
}

fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("watch.{}.json", utf8_percent_encode(name, NON_ALPHANUMERIC)))
}

/// The files that were there, and those that were not any more.
pub fn read(folder: &Path, name: &str) -> io::Result<(Vec<Known>, VecDeque<Known>)> {
    let kept = private_file::read(&path(folder, name))?;
    let Read { files, gone } =
        kept.map_or_else(|| Ok(Read::default()), |text| serde_json::from_slice(&text))?;
    Ok((files, gone))
}

/// Durable when this returns.
pub fn write<'k>(
    folder: &Path,
    name: &str,
    files: impl Iterator<Item = &'k Known>,
    gone: impl Iterator<Item = &'k Known>,
) -> io::Result<()> {
    let written = Written { files: files.collect(), gone: gone.collect() };
    private_file::replace(&path(folder, name), &serde_json::to_vec(&written)?)
}
