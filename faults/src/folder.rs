//! Copies of a data folder.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use crate::report::{Outcome, While};

/// The header of an archive's segment; frames follow.
const SEGMENT_HEADER_BYTES: usize = 12;

/// Copies a folder with all that is in it.
pub fn copy(from: &Path, to: &Path) -> Outcome<()> {
    fs::create_dir_all(to).during("making a copy")?;
    for entry in fs::read_dir(from).during("listing a folder")? {
        let entry = entry.during("listing a folder")?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to)?;
        } else if from.extension().is_none_or(|kind| kind != "sock") {
            fs::copy(&from, &to).during("making a copy")?;
        }
    }
    Ok(())
}

/// Puts everything in the archive's first segment into it once more.
pub fn double_archive(data: &Path) -> Outcome<()> {
    let segment = data.join("archive/00000001.seg");
    let frames = fs::read(&segment).during("reading the archive")?;
    let mut end = OpenOptions::new().append(true).open(&segment).during("opening the archive")?;
    end.write_all(frames.get(SEGMENT_HEADER_BYTES..).unwrap_or_default()).during("doubling the archive")
}
