//! Zip, by the directory at its end. The headers before each member are not gone by: what stands there may
//! differ from the directory, and somebody else would then see other members than Pintle.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use zip::read::{ArchiveOffset, Config, ZipFileEntry};
use zip::result::ZipError;
use zip::unstable::read::ZipIterable;
use zip::{CompressionMethod, ZipReadOptions};

use super::{DAMAGED, MAX_MEMBERS, Member, Visit};
use crate::error::Stop;
use crate::read::counts::Counts;

/// Bytes that may be read beyond twice the archive's own: the search for the directory, and the parts of it
/// that are read twice.
const BESIDE: u64 = 1 << 20;

const NO_DIRECTORY: &str = "damaged archive: its directory cannot be read";
const DAMAGED_MEMBER: &str = "damaged in the archive: reading stopped here";
const ENCRYPTED: &str = "encrypted: unpack it, and send what is in it";
const METHOD: &str = "packed in a way that is not read: only deflate and store are";

/// Hands the files of an archive to `visit`.
pub fn members(file: File, counts: &Counts, visit: &mut Visit<'_>) -> Result<(), Stop> {
    let length = file.metadata()?.len();
    let left = length.saturating_mul(2).saturating_add(BESIDE);
    let held = Held { file: BufReader::new(file), left, counts };
    let config = Config { archive_offset: ArchiveOffset::Known(0) };
    let mut archive = match ZipIterable::try_new(held, config) {
        Ok(archive) => archive,
        Err(error) => return damaged(error, NO_DIRECTORY, counts, visit),
    };
    if archive.len() > MAX_MEMBERS {
        return Err(super::too_many(counts));
    }
    let files = match archive.files() {
        Ok(files) => files,
        Err(error) => return damaged(error, NO_DIRECTORY, counts, visit),
    };
    while let Some(entry) = files.next() {
        match entry {
            Ok(entry) => member(entry, files.reader_mut(), counts, visit)?,
            Err(error) => return damaged(error, DAMAGED, counts, visit),
        }
    }
    Ok(())
}

/// The archive does not go on: it is not what it should be, or cannot be read at all.
fn damaged(
    error: ZipError,
    reason: &'static str,
    counts: &Counts,
    visit: &mut Visit<'_>,
) -> Result<(), Stop> {
    match error {
        ZipError::Io(error) if counts.is_over() => Err(Stop::Input(error)),
        _ => visit(Member::End(reason)),
    }
}

fn member(
    entry: ZipFileEntry<'_>,
    reader: &mut Held<'_>,
    counts: &Counts,
    visit: &mut Visit<'_>,
) -> Result<(), Stop> {
    let name = entry.name().map(|name| super::name(name.as_bytes()));
    let name = name.unwrap_or_else(|_| super::name(entry.name_raw()));
    if !entry.is_file() || super::is_left_out(&name) {
        return Ok(());
    }
    if entry.encrypted() {
        return visit(Member::Unreadable(name, ENCRYPTED));
    }
    if !matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
        return visit(Member::Unreadable(name, METHOD));
    }
    match entry.with_reader(reader, ZipReadOptions::new()) {
        Ok(mut file) => visit(Member::File(name, &mut file)),
        Err(ZipError::Io(error)) if counts.is_over() => Err(Stop::Input(error)),
        Err(_) => visit(Member::Unreadable(name, DAMAGED_MEMBER)),
    }
}

/// The archive's bytes. Members may overlap in the directory of a hostile one, so there is an end to how
/// often the same bytes are read.
struct Held<'c> {
    file: BufReader<File>,
    left: u64,
    counts: &'c Counts,
}

impl Read for Held<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer).inspect_err(|error| {
            self.counts.failed.set(error.kind() != io::ErrorKind::Interrupted);
        })?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => return Err(self.counts.refuse("has members that overlap: pack it anew")),
        }
        Ok(count)
    }
}

impl Seek for Held<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
