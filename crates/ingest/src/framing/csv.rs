//! Tables as text (CSV): a header that names the columns, then a row a record. A row is handed on as a
//! JSON object of texts, so that decoders need not know which of the two they read.

use std::io;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use memchr::memchr;

use super::window::Window;
use super::{MAX_RECORD, Piece, Sink, TOO_LONG};
use crate::error::Stop;
use crate::json;

/// The longest header.
const MAX_HEADER: usize = 64 * 1024;
/// The longest name of a column.
const MAX_NAME: usize = 128;
/// The most fields of a row.
const MAX_FIELDS: usize = 4096;

const TOO_MANY: &str = "more fields than the header has names";
const NOT_UTF8: &str = "not UTF-8";

/// The names of a table's columns.
pub struct Header {
    names: Vec<String>,
    delimiter: u8,
    /// Bytes of the header, with what stands before it.
    length: usize,
}

impl Header {
    /// Its bytes, with what stands before it and without the end of its line.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The header that `window` begins with; `None` if what begins there is no table. A line of names
    /// before lines of JSON is none.
    pub fn find(window: &mut Window<'_>) -> io::Result<Option<Header>> {
        let Some((begin, end)) = line(window, 0)? else { return Ok(None) };
        let text = window.held().get(begin..end).unwrap_or_default();
        let Some((names, delimiter)) = names(text) else { return Ok(None) };
        if let Some((next, _)) = line(window, end)?
            && matches!(window.byte(next)?, Some(b'{' | b'['))
        {
            return Ok(None);
        }
        Ok(Some(Header { names, delimiter, length: end }))
    }
}

/// Where the next line that is not blank begins and ends, from the held byte `from` on; `None` if there is
/// none, or one that is longer than a header can be.
fn line(window: &mut Window<'_>, from: usize) -> io::Result<Option<(usize, usize)>> {
    let mut begin = from;
    while window.byte(begin)?.is_some_and(|byte| byte.is_ascii_whitespace()) && begin < from + MAX_HEADER {
        begin += 1;
    }
    let mut searched = begin;
    loop {
        let held = window.held();
        if let Some(place) = memchr(b'\n', held.get(searched..).unwrap_or_default()) {
            return Ok(Some((begin, searched + place)));
        }
        searched = held.len().max(searched);
        if searched - begin > MAX_HEADER || !window.more()? {
            return Ok((searched > begin && searched - begin <= MAX_HEADER).then_some((begin, searched)));
        }
    }
}

/// The names in a header and what stands between them, if the line can be one.
fn names(line: &[u8]) -> Option<(Vec<String>, u8)> {
    // No name begins like JSON, of which most inputs are.
    if line.len() > MAX_HEADER || matches!(line.first(), Some(b'{' | b'[')) {
        return None;
    }
    let count = |byte: &u8| line.iter().filter(|other| *other == byte).count();
    let delimiter = [b';', b'\t', b','].into_iter().max_by_key(count)?;
    let line = [line, b"\n"].concat();
    let mut rows = Rows::new(delimiter, MAX_HEADER);
    let mut source = line.as_slice();
    rows.read(&mut Window::new(&mut source)).ok()?;
    let names: Vec<String> = rows.fields().map(|name| column(name).to_owned()).collect();
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort_unstable();
    let is_repeated = sorted.windows(2).any(|pair| pair.first() == pair.last());
    // The first column may have no name: notebooks write the numbers of the rows into it.
    let named = if names.first().is_some_and(String::is_empty) { names.get(1..) } else { names.get(..) };
    let are_names = named.is_some_and(|named| !named.is_empty() && named.iter().all(|name| is_name(name)));
    (names.len() > 1 && !is_repeated && are_names).then_some((names, delimiter))
}

/// A column's name, without what portals add to it where the column has times.
fn column(name: &str) -> &str {
    let name = name.trim();
    ["[UTC]", "[Local Time]"].iter().find_map(|zone| name.strip_suffix(zone)).map_or(name, str::trim_end)
}

fn is_name(name: &str) -> bool {
    let is_first = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'@');
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b" _@.:/-()[]".contains(&byte);
    name.len() <= MAX_NAME && name.bytes().next().is_some_and(is_first) && name.bytes().all(is_part)
}

/// Hands the rows below `header` to `sink`.
pub fn split(window: &mut Window<'_>, header: &Header, sink: &mut Sink<'_>) -> Result<(), Stop> {
    window.discard(header.length);
    let mut rows = Rows::new(header.delimiter, MAX_RECORD);
    let mut object = String::new();
    loop {
        let offset = rows.offset(window)?;
        let bad = match rows.read(window)? {
            Read::End => return Ok(()),
            Read::TooLong => Some(TOO_LONG),
            Read::Row if rows.count > header.names.len() => Some(TOO_MANY),
            Read::Row => None,
        };
        object.clear();
        let is_text = rows.write(&header.names, &mut object);
        let piece = match bad.or((!is_text).then_some(NOT_UTF8)) {
            Some(reason) => Piece::Bad { offset, reason, bytes: rows.bytes() },
            None => Piece::Record { offset, bytes: object.as_bytes() },
        };
        sink(piece)?;
    }
}

enum Read {
    Row,
    /// A row longer than is read; it was passed over.
    TooLong,
    End,
}

/// Rows, each unquoted into one buffer.
struct Rows {
    reader: Reader,
    /// The fields of the row one after another, …
    fields: Vec<u8>,
    length: usize,
    /// … where each ends, and how many there are.
    ends: Vec<usize>,
    count: usize,
    most: usize,
}

impl Rows {
    fn new(delimiter: u8, most: usize) -> Rows {
        let reader = ReaderBuilder::new().delimiter(delimiter).build();
        Rows { reader, fields: vec![0; 4096], length: 0, ends: vec![0; 64], count: 0, most }
    }

    /// Where the next row begins.
    fn offset(&self, window: &mut Window<'_>) -> io::Result<u64> {
        while window.byte(0)?.is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
            window.discard(1);
        }
        Ok(window.offset())
    }

    /// Reads the next row.
    fn read(&mut self, window: &mut Window<'_>) -> io::Result<Read> {
        (self.length, self.count) = (0, 0);
        let mut is_too_long = false;
        if window.held().is_empty() {
            window.more()?;
        }
        loop {
            // Nothing held tells the reader that the input has ended.
            if window.held().is_empty() {
                window.more()?;
            }
            let (result, read, written, ended) = self.reader.read_record(
                window.held(),
                self.fields.get_mut(self.length..).unwrap_or_default(),
                self.ends.get_mut(self.count..).unwrap_or_default(),
            );
            window.discard(read);
            if is_too_long {
                (self.length, self.count) = (0, 0);
            } else {
                self.length += written;
                self.count += ended;
            }
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull
                    if self.fields.len() >= self.most || self.ends.len() >= MAX_FIELDS =>
                {
                    is_too_long = true;
                    (self.length, self.count) = (0, 0);
                }
                ReadRecordResult::OutputFull => self.fields.resize(self.fields.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record if is_too_long => return Ok(Read::TooLong),
                ReadRecordResult::Record => return Ok(Read::Row),
                ReadRecordResult::End => return Ok(Read::End),
            }
        }
    }

    /// What was read of the row, unquoted.
    fn bytes(&self) -> &[u8] {
        self.fields.get(..self.length).unwrap_or_default()
    }

    /// The fields; one that is no text is empty.
    fn fields(&self) -> impl Iterator<Item = &str> {
        self.slices().map(|field| str::from_utf8(field).unwrap_or_default())
    }

    fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let mut begin = 0;
        self.ends.iter().take(self.count).map(move |end| {
            let field = self.fields.get(begin..*end).unwrap_or_default();
            begin = *end;
            field
        })
    }

    /// Appends the row as a JSON object, without the field of a column that has no name. `false` if a
    /// field is no text.
    fn write(&self, names: &[String], out: &mut String) -> bool {
        out.push('{');
        for (name, field) in names.iter().zip(self.slices()).filter(|(name, _)| !name.is_empty()) {
            let Ok(field) = str::from_utf8(field) else { return false };
            if !out.ends_with('{') {
                out.push(',');
            }
            json::write_string(out, name);
            out.push(':');
            json::write_string(out, field);
        }
        out.push('}');
        true
    }
}
