//! Gives the archive's files other names, under which they stay as they are.

use std::fs;
use std::path::Path;

use super::{Position, path, segments};
use crate::Error;
use crate::folders::make_private;

/// Links everything before `end` into another folder. Returns the files' names and how many bytes of
/// each count: the last may still grow.
pub(crate) fn link(folder: &Path, to: &Path, end: Position) -> Result<Vec<(String, u64)>, Error> {
    make_private(to)?;
    let mut linked = Vec::new();
    for segment in segments(folder)?.into_iter().filter(|segment| *segment <= end.segment) {
        let (name, other) = (path(folder, segment), path(to, segment));
        fs::hard_link(&name, &other).map_err(Error::io(format!("linking {}", name.display())))?;
        let about = other.metadata().map_err(Error::io(format!("reading {}", other.display())))?;
        let bytes = if segment == end.segment { about.len().min(end.offset) } else { about.len() };
        linked.push((format!("{segment:08}.seg"), bytes));
    }
    Ok(linked)
}
