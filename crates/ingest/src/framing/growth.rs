//! How an input that may still grow is to be read: what is made of lines can be taken line by line.

use super::splitter::{self, HEAD};
use super::window::Window;
use super::{csv, layout};
use crate::{archive, unpack};

/// How a file that grows is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Growth {
    /// A record a line.
    Lines,
    /// Rows below a header of so many bytes, with the end of its line.
    Table(u64),
    /// Only all of it makes sense: it is packed, an archive, an event log, Parquet, or a document.
    Whole,
    /// What is there does not say it yet.
    Unclear,
}

impl Growth {
    /// How much of a file is enough to say it.
    pub const ENOUGH: usize = HEAD;

    /// Tells it from a file's first bytes.
    pub fn of(head: &[u8]) -> Growth {
        if unpack::is_packed(head)
            || archive::kind(head).is_some()
            || layout(head).is_binary()
            // UTF-16, whose lines do not end in one byte.
            || head.starts_with(b"\xff\xfe")
            || head.starts_with(b"\xfe\xff")
        {
            return Growth::Whole;
        }
        // A line that is not whole yet says nothing.
        let whole = memchr::memrchr(b'\n', head).map_or(0, |end| end + 1);
        let lines = if head.len() < HEAD { head.get(..whole).unwrap_or_default() } else { head };
        if lines.trim_ascii().is_empty() {
            return Growth::Unclear;
        }
        let mark = if lines.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let mut text = lines.get(mark..).unwrap_or_default();
        let mut window = Window::new(&mut text);
        if let Ok(Some(header)) = csv::Header::find(&mut window) {
            let end = mark + header.length();
            // A line of names can also stand before lines of JSON, which their first byte says.
            return match head.get(end..).unwrap_or_default().trim_ascii_start().first() {
                None | Some(b'{' | b'[') => Growth::Unclear,
                Some(_) => Growth::Table(end as u64 + 1),
            };
        }
        match splitter::is_lines(&mut window) {
            Ok(true) => Growth::Lines,
            _ => Growth::Whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_from_what_makes_sense_only_as_a_whole() {
        for (text, growth) in [
            (&b""[..], Growth::Unclear),
            (b"{\"a\":1", Growth::Unclear),
            (b"{\"a\":1}\n", Growth::Lines),
            (b"\xef\xbb\xbf{\"a\":1}\n{\"a\"", Growth::Lines),
            (b"# comment\n{\"a\":1}\n", Growth::Lines),
            (b"{\n\"a\":1}\n", Growth::Whole),
            (b"[\n{\"a\":1}]\n", Growth::Whole),
            (b"[{\"a\":1}]\n", Growth::Lines),
            (b"time,ho", Growth::Unclear),
            (b"time,host,sha1\n", Growth::Unclear),
            (b"time,host,sha1\n2", Growth::Table(15)),
            (b"time,host,sha1\n{\"a\"", Growth::Unclear),
            (b"time,host,sha1\n{\"a\":1}\n", Growth::Lines),
            (b"time,host,sha1\n2026,a,b\n", Growth::Table(15)),
            (b"time,host,sha1\r\n2026,a,b\n", Growth::Table(16)),
            (b"\xff\xfe{\0\n\0", Growth::Whole),
            (b"\x1f\x8b\x08\0", Growth::Whole),
            (b"\x28\xb5\x2f\xfd\0", Growth::Whole),
            (b"PK\x03\x04\n", Growth::Whole),
            (b"ElfFile\0\n", Growth::Whole),
            (b"PAR1\n", Growth::Whole),
        ] {
            assert_eq!(Growth::of(text), growth, "{:?}", String::from_utf8_lossy(text));
        }
    }
}
