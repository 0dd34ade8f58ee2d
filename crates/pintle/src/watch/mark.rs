//! What stands at a place of a file, by which its content is known again under whatever name.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The most bytes that a mark is of.
pub const LONGEST: u64 = 1024;

/// So many bytes at a place, by their hash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// How many; none are at every place.
    pub length: u64,
    hash: String,
}

impl Mark {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Mark {
        let digest = Sha256::digest(bytes);
        let hash = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Mark { length: bytes.len() as u64, hash }
    }

    /// Of up to so many bytes at a place of a file.
    pub fn at(file: &File, place: u64, length: u64) -> io::Result<Mark> {
        Ok(Mark::of(&read_at(file, place, length.min(LONGEST))?))
    }

    /// Of what stands before a place.
    pub fn before(file: &File, place: u64) -> io::Result<Mark> {
        let length = place.min(LONGEST);
        Mark::at(file, place - length, length)
    }

    /// Whether a file has it there.
    pub fn is_at(&self, file: &File, place: u64) -> io::Result<bool> {
        Ok(self.length == 0 || Mark::at(file, place, self.length)? == *self)
    }

    /// Whether a file has it before a place.
    pub fn is_before(&self, file: &File, place: u64) -> io::Result<bool> {
        match place.checked_sub(self.length) {
            Some(begin) => self.is_at(file, begin),
            None => Ok(false),
        }
    }
}

/// Bytes that are read, of which the first and the last are remembered.
pub struct Passing<R> {
    bytes: R,
    first: Vec<u8>,
    last: Vec<u8>,
    count: u64,
}

impl<R> Passing<R> {
    /// None of these was read yet.
    pub fn new(bytes: R) -> Passing<R> {
        Passing { bytes, first: Vec::new(), last: Vec::new(), count: 0 }
    }

    /// Whether a file has what was read between these two places, and no more was read and no less. One that
    /// was truncated and written anew meanwhile has not.
    pub fn is_between(&self, file: &File, from: u64, to: u64) -> io::Result<bool> {
        let (first, last) = (self.first.len() as u64, self.last.len() as u64);
        Ok(self.count == to.saturating_sub(from)
            && read_at(file, from, first)? == self.first
            && read_at(file, to.saturating_sub(last), last)? == self.last)
    }
}

impl<R: Read> Read for Passing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        let longest = usize::try_from(LONGEST).map_err(io::Error::other)?;
        let bytes = buffer.get(..count).unwrap_or_default();
        self.first.extend(bytes.iter().take(longest.saturating_sub(self.first.len())));
        self.last.extend_from_slice(bytes.get(count.saturating_sub(longest)..).unwrap_or_default());
        self.last.drain(..self.last.len().saturating_sub(longest));
        self.count += count as u64;
        Ok(count)
    }
}

/// Up to so many bytes at a place of a file.
pub fn read_at(file: &File, place: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    let mut read = 0;
    while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, place + read as u64) {
            Ok(0) => break,
            Ok(count) => read += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(read);
    Ok(bytes)
}

/// Read of a file at once to look for an end of line.
const BLOCK: u64 = 256 * 1024;

/// The end of the last whole line between two places of a file; `None`: there is none. Of a table no line end
/// within quotes counts: a row may go over several lines. A quote within a field that does not begin with one
/// is only a letter.
pub fn last_line_end(file: &File, from: u64, to: u64, is_table: bool) -> io::Result<Option<u64>> {
    let (mut at, mut end, mut is_quoted) = (from, None, false);
    // The byte before the block, and the place behind the last quote that ended something.
    let (mut before, mut behind) = (b'\n', None);
    while at < to {
        let block = read_at(file, at, BLOCK.min(to - at))?;
        let Some(last) = block.last() else { break };
        for place in memchr::memchr2_iter(b'\n', b'"', &block) {
            let here = at + place as u64;
            match block.get(place) {
                Some(b'"') if is_quoted => (is_quoted, behind) = (false, Some(here + 1)),
                Some(b'"') => {
                    let before = place.checked_sub(1).and_then(|place| block.get(place)).unwrap_or(&before);
                    let begins = matches!(before, b',' | b';' | b'\t' | b'\n' | b'\r');
                    // Two of them within quotes stand for one.
                    is_quoted = is_table && (begins || behind == Some(here));
                }
                _ if !is_quoted => end = Some(here + 1),
                _ => {}
            }
        }
        (at, before) = (at + block.len() as u64, *last);
    }
    Ok(end)
}

/// The end of the first line between two places of a file; `None`: there is none.
pub fn first_line_end(file: &File, from: u64, to: u64) -> io::Result<Option<u64>> {
    let mut at = from;
    while at < to {
        let block = read_at(file, at, BLOCK.min(to - at))?;
        if let Some(place) = memchr::memchr(b'\n', &block) {
            return Ok(Some(at + place as u64 + 1));
        }
        if block.is_empty() {
            break;
        }
        at += block.len() as u64;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn a_file_is_known_by_what_stands_in_it() {
        let (log, copy) = (file(b"one\ntwo\nthree"), file(b"one\ntwo\n"));
        let (head, tail) = (Mark::at(&log, 0, 4).unwrap(), Mark::before(&log, 8).unwrap());
        assert!(head.is_at(&copy, 0).unwrap() && tail.is_before(&copy, 8).unwrap());
        assert!(!head.is_at(&copy, 4).unwrap() && !tail.is_before(&copy, 4).unwrap());
        assert!(!Mark::before(&log, 12).unwrap().is_before(&copy, 12).unwrap());
        assert!(Mark::default().is_before(&copy, 0).unwrap());
    }

    #[test]
    fn what_was_read_is_known_not_to_be_there_any_more() {
        let text: Vec<u8> = (0..5_000_u32).flat_map(u32::to_le_bytes).collect();
        let log = file(&text);
        let mut passing = Passing::new(&text[100..19_000]);
        io::copy(&mut passing, &mut io::sink()).unwrap();
        assert!(passing.is_between(&log, 100, 19_000).unwrap());
        assert!(!passing.is_between(&log, 100, 18_999).unwrap());
        assert!(!passing.is_between(&log, 99, 18_999).unwrap());
        // Truncated; and written anew, with another beginning or another end.
        assert!(!passing.is_between(&file(&text[..18_999]), 100, 19_000).unwrap());
        for place in [100, 18_999] {
            let mut other = text.clone();
            other[place] ^= 1;
            assert!(!passing.is_between(&file(&other), 100, 19_000).unwrap(), "{place}");
        }
    }

    #[test]
    fn a_line_that_is_not_whole_waits_and_a_row_may_go_over_lines() {
        for (text, is_table, end) in [
            ("", false, None),
            ("torn", false, None),
            ("a\nb\ntorn", false, Some(4)),
            ("a\n\"b\n", false, Some(5)),
            ("a\n\"b\n", true, Some(2)),
            ("a\n\"b\nc\"\nd", true, Some(8)),
            ("a,5\" b\nc\n", true, Some(9)),
            ("a,\"5\"\"\nb\"\nc", true, Some(10)),
            ("a,\"\"\nb\n", true, Some(7)),
            ("\"a\"5\"\nb\n", true, Some(8)),
        ] {
            assert_eq!(
                last_line_end(&file(text.as_bytes()), 0, text.len() as u64, is_table).unwrap(),
                end,
                "{text}"
            );
        }
        let long = "x".repeat(700_000) + "\n";
        assert_eq!(last_line_end(&file(long.as_bytes()), 5, 700_001, false).unwrap(), Some(700_001));
        let long = file((long + "y\n").as_bytes());
        assert_eq!(first_line_end(&long, 5, 700_003).unwrap(), Some(700_001));
        assert_eq!(first_line_end(&long, 5, 700_000).unwrap(), None);
        // A quote that ends at the end of what is read at once.
        for length in (BLOCK - 4)..(BLOCK + 4) {
            let length = usize::try_from(length).unwrap();
            let text = format!("{},\"a\n\"\"\nb\"\nc\n", "x".repeat(length));
            let size = text.len() as u64;
            assert_eq!(last_line_end(&file(text.as_bytes()), 0, size - 2, true).unwrap(), Some(size - 2));
            assert_eq!(last_line_end(&file(text.as_bytes()), 0, size - 3, true).unwrap(), None);
        }
    }
}
