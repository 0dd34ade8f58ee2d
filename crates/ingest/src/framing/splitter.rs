//! Text into records. Two framings of JSON: *lines*, each a value of its own, and *documents*, values that
//! run over many lines or share one. Both open arrays and envelopes; after damage both go on at
//! the next line that begins a value.

use std::io::{self, Read};

use memchr::{memchr, memrchr};

use super::nesting::{Fed, Nesting};
use super::window::Window;
use super::{MAX_RECORD, Piece, Sink, TOO_LONG, csv};
use crate::error::Stop;

/// How much of an input is looked at to tell lines from documents, and of an object to tell whether
/// it is an envelope.
pub const HEAD: usize = 1024 * 1024;

const CUT_OFF: &str = "cut off in the middle";
const BROKEN: &str = "not JSON: brackets or quotes do not match";
const NO_VALUE: &str = "not JSON";

/// Members of an envelope that hold its records: streaming export, API lists, exports of events,
/// the two hunting APIs, lists of Cisco, osquery's batches, lists of CrowdStrike.
const RECORD_LISTS: &[&[u8]] =
    &[b"records", b"value", b"events", b"Results", b"results", b"data", b"resources"];

/// Members that may stand before the list, besides `@odata.…`.
const BEFORE_LISTS: &[&[u8]] =
    &[b"Stats", b"Schema", b"version", b"metadata", b"meta", b"node_key", b"log_type"];

/// Hands the records of `input` to `sink`. `has_lines`: it is told already that it is lines.
pub fn split(input: &mut dyn Read, has_lines: bool, sink: &mut Sink<'_>) -> Result<(), Stop> {
    let mut window = Window::new(input);
    if !has_lines && let Some(header) = csv::Header::find(&mut window)? {
        return csv::split(&mut window, &header, sink);
    }
    let mut splitter = Splitter { window, in_lines: false, damaged: false, sink };
    splitter.in_lines = has_lines || is_lines(&mut splitter.window)?;
    if splitter.in_lines { splitter.lines() } else { splitter.document() }
}

/// Whether the first line that begins a value is a whole value. Text without any is lines:
/// each is then kept aside by itself.
pub fn is_lines(window: &mut Window<'_>) -> io::Result<bool> {
    let mut begin = 0;
    loop {
        let Some(length) = memchr(b'\n', window.held().get(begin..).unwrap_or_default()) else {
            if window.held().len() < HEAD && window.more()? {
                continue;
            }
            let rest = window.held().get(begin..).unwrap_or_default().trim_ascii();
            return Ok(!begins_value(rest) && window.held().len() < HEAD);
        };
        let line = window.held().get(begin..begin + length).unwrap_or_default().trim_ascii();
        if begins_value(line) {
            return Ok(serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok());
        }
        begin += length + 1;
    }
}

struct Splitter<'r, 's, 'f> {
    window: Window<'r>,
    /// Lines, not documents.
    in_lines: bool,
    /// A piece was broken, so that closing brackets of what was around it are to be expected.
    damaged: bool,
    sink: &'s mut Sink<'f>,
}

impl Splitter<'_, '_, '_> {
    fn lines(&mut self) -> Result<(), Stop> {
        loop {
            let Some(first) = self.skip_space()? else {
                return Ok(());
            };
            if first == b'[' || (first == b'{' && self.envelope()?.is_some()) {
                self.top_level_value(first)?;
            } else {
                self.line()?;
            }
        }
    }

    /// The line that begins here, as one record.
    fn line(&mut self) -> Result<(), Stop> {
        let mut searched = 0;
        loop {
            let held = self.window.held();
            match memchr(b'\n', held.get(searched..).unwrap_or_default()) {
                Some(place) => {
                    let end = searched + place;
                    self.record(end)?;
                    self.window.discard(end + 1);
                    return Ok(());
                }
                None if held.len() > MAX_RECORD => {
                    self.bad(TOO_LONG, MAX_RECORD)?;
                    return self.skip_line();
                }
                None => {
                    searched = held.len();
                    if !self.window.more()? {
                        self.record(searched)?;
                        self.window.discard(searched);
                        return Ok(());
                    }
                }
            }
        }
    }

    fn document(&mut self) -> Result<(), Stop> {
        loop {
            match self.skip_space()? {
                None => return Ok(()),
                Some(first @ (b'{' | b'[')) => self.top_level_value(first)?,
                Some(b',') => self.window.discard(1),
                Some(b']' | b'}') if self.damaged => self.window.discard(1),
                Some(_) => {
                    let line = self.held_line()?;
                    self.bad(NO_VALUE, line)?;
                    self.resynchronise()?;
                }
            }
        }
    }

    fn top_level_value(&mut self, first: u8) -> Result<(), Stop> {
        if first == b'[' {
            self.window.discard(1);
            self.elements()?;
        } else if let Some(list) = self.envelope()? {
            self.window.discard(list);
            if self.elements()? {
                // What comes after the list (`@odata.nextLink`, …) is no record.
                self.pass(Nesting::inside_object(), false)?;
            }
        } else {
            self.pass(Nesting::default(), true)?;
        }
        Ok(())
    }

    /// The elements of an array whose bracket has been passed. `false` when it did not come to
    /// its end.
    fn elements(&mut self) -> Result<bool, Stop> {
        let mut empty = true;
        loop {
            match self.skip_space()? {
                None => {
                    self.bad(CUT_OFF, 0)?;
                    return Ok(false);
                }
                Some(b']') => {
                    self.window.discard(1);
                    if empty {
                        (self.sink)(Piece::Empty)?;
                    }
                    return Ok(true);
                }
                Some(b',') => self.window.discard(1),
                Some(b'{' | b'[' | b'"') => {
                    empty = false;
                    if !self.pass(Nesting::default(), true)? {
                        return Ok(false);
                    }
                }
                Some(_) => {
                    empty = false;
                    self.scalar()?;
                }
            }
        }
    }

    /// A number, a word or rubbish among the elements of an array.
    fn scalar(&mut self) -> Result<(), Stop> {
        let mut end = 1;
        while let Some(byte) = self.window.byte(end)? {
            if matches!(byte, b',' | b']' | b'}' | b'{' | b'[' | b'"')
                || byte.is_ascii_whitespace()
                || end >= 64
            {
                break;
            }
            end += 1;
        }
        self.bad(NO_VALUE, end)?;
        self.window.discard(end);
        Ok(())
    }

    /// Passes the value that `nesting` is in; hands it over if it is a record. `false` when it was
    /// no value and reading goes on at the next line that begins one.
    fn pass(&mut self, mut nesting: Nesting, is_record: bool) -> Result<bool, Stop> {
        let mut at = 0;
        // Once a value is too long its bytes are let go as they come.
        let mut too_long = false;
        loop {
            match nesting.feed(self.window.held().get(at..).unwrap_or_default()) {
                Fed::Ended(count) => {
                    if is_record && !too_long {
                        self.record(at + count)?;
                    }
                    self.window.discard(at + count);
                    return Ok(true);
                }
                Fed::Broken(count) => {
                    let line = memrchr(b'\n', self.window.held().get(..=at + count).unwrap_or_default());
                    let end = line.unwrap_or(at + count);
                    if !too_long {
                        self.bad(BROKEN, end)?;
                    }
                    self.damaged = true;
                    self.window.discard(end);
                    self.resynchronise()?;
                    return Ok(false);
                }
                Fed::Open => {
                    at = self.window.held().len();
                    if at > MAX_RECORD || (too_long && at > 0) {
                        if !too_long {
                            self.bad(TOO_LONG, MAX_RECORD)?;
                        }
                        too_long = true;
                        self.window.discard(at);
                        at = 0;
                    }
                    if !self.window.more()? {
                        if !too_long {
                            self.bad(CUT_OFF, at)?;
                        }
                        self.window.discard(at);
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// If an envelope begins here: how many bytes until its first record. An envelope is an object
    /// in which only [`BEFORE_LISTS`] stand before the list; among lines, all of that on one.
    ///
    /// What is looked at in vain is passed right after, as a line or a value: looking costs no more
    /// than reading, whatever the input.
    fn envelope(&mut self) -> io::Result<Option<usize>> {
        let mut at = 1;
        loop {
            at = self.after_space(at)?;
            if self.ahead(at)? != Some(b'"') {
                return Ok(None);
            }
            let begin = at + 1;
            at = begin;
            loop {
                match self.ahead(at)? {
                    Some(b'"') => break,
                    Some(_) if at - begin <= 64 => at += 1,
                    _ => return Ok(None),
                }
            }
            let name = self.window.held().get(begin..at).unwrap_or_default();
            let is_list = RECORD_LISTS.contains(&name);
            if !is_list && !name.starts_with(b"@odata.") && !BEFORE_LISTS.contains(&name) {
                return Ok(None);
            }
            at = self.after_space(at + 1)?;
            if self.ahead(at)? != Some(b':') {
                return Ok(None);
            }
            at = self.after_space(at + 1)?;
            if is_list {
                return Ok((self.ahead(at)? == Some(b'[')).then_some(at + 1));
            }
            let Some(end) = self.end_of_value(at)? else {
                return Ok(None);
            };
            at = self.after_space(end)?;
            if self.ahead(at)? != Some(b',') {
                return Ok(None);
            }
            at += 1;
        }
    }

    /// The byte at `at`, as far as an envelope's opening may reach.
    fn ahead(&mut self, at: usize) -> io::Result<Option<u8>> {
        if at >= HEAD {
            return Ok(None);
        }
        let byte = self.window.byte(at)?;
        Ok(byte.filter(|byte| !self.in_lines || *byte != b'\n'))
    }

    /// Where the value at `at` ends; `None` when it is none, or ends beyond what is looked at.
    fn end_of_value(&mut self, at: usize) -> io::Result<Option<usize>> {
        let mut end = at;
        let mut nesting = if self.in_lines { Nesting::on_one_line() } else { Nesting::default() };
        match self.ahead(at)? {
            Some(b'{' | b'[' | b'"') => {}
            _ => {
                while self
                    .window
                    .byte(end)?
                    .is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
                {
                    end += 1;
                }
                return Ok(Some(end));
            }
        }
        loop {
            match nesting.feed(self.window.held().get(end..).unwrap_or_default()) {
                Fed::Ended(count) => return Ok(Some(end + count)),
                Fed::Broken(_) => return Ok(None),
                Fed::Open => end = self.window.held().len(),
            }
            if end > HEAD || !self.window.more()? {
                return Ok(None);
            }
        }
    }

    /// Moves to the next line that begins a value, or to the end.
    fn resynchronise(&mut self) -> Result<(), Stop> {
        loop {
            self.skip_line()?;
            match self.skip_space()? {
                None | Some(b'{' | b'[') => return Ok(()),
                Some(_) => {}
            }
        }
    }

    fn skip_line(&mut self) -> Result<(), Stop> {
        loop {
            let held = self.window.held();
            let (count, done) = match memchr(b'\n', held) {
                Some(place) => (place + 1, true),
                None => (held.len(), false),
            };
            self.window.discard(count);
            if done || !self.window.more()? {
                return Ok(());
            }
        }
    }

    /// The rest of the line as far as it is short, for a piece that is kept aside.
    fn held_line(&mut self) -> io::Result<usize> {
        let mut length = 0;
        while length < 8192 && self.window.byte(length)?.is_some_and(|byte| byte != b'\n') {
            length += 1;
        }
        Ok(length)
    }

    /// Passes white space; the byte after it, `None` at the end.
    fn skip_space(&mut self) -> io::Result<Option<u8>> {
        loop {
            let space = self.window.held().iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            self.window.discard(space);
            if let Some(byte) = self.window.held().first() {
                return Ok(Some(*byte));
            }
            if !self.window.more()? {
                return Ok(None);
            }
        }
    }

    fn after_space(&mut self, mut at: usize) -> io::Result<usize> {
        while self.ahead(at)?.is_some_and(|byte| byte.is_ascii_whitespace()) {
            at += 1;
        }
        Ok(at)
    }

    fn record(&mut self, length: usize) -> Result<(), Stop> {
        let bytes = self.window.held().get(..length).unwrap_or_default().trim_ascii_end();
        (self.sink)(Piece::Record { offset: self.window.offset(), bytes })
    }

    fn bad(&mut self, reason: &'static str, length: usize) -> Result<(), Stop> {
        let bytes = self.window.held().get(..length).unwrap_or_default().trim_ascii_end();
        (self.sink)(Piece::Bad { offset: self.window.offset(), reason, bytes })
    }
}

fn begins_value(line: &[u8]) -> bool {
    matches!(line.first(), Some(b'{' | b'['))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one line at a time and counts what it gave.
    struct Lines<'a> {
        rest: &'a [u8],
        given: &'a std::cell::Cell<usize>,
    }

    impl Read for Lines<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let line = memchr(b'\n', self.rest).map_or(self.rest.len(), |place| place + 1);
            let count = self.rest.take(line as u64).read(buffer)?;
            self.rest = &self.rest[count..];
            self.given.set(self.given.get() + count);
            Ok(count)
        }
    }

    #[test]
    fn no_line_is_looked_beyond_to_tell_whether_it_is_an_envelope() {
        for open in [
            "{\"Stats\":[\"\\\n\",\"\\\n",
            "{\"Stats\":[\n{},\n",
            "{\n\n\n",
            "{\"Stats\":1\n{\"Stats\":1,\n",
            "{\"Stats\n",
        ] {
            let text = "{\"a\":1}\n".to_owned() + &open.repeat(500);
            let given = std::cell::Cell::new(0);
            let mut pieces = 0;
            let mut sink = |piece: Piece<'_>| {
                if let Piece::Record { offset, bytes } | Piece::Bad { offset, bytes, .. } = piece {
                    let end = offset as usize + bytes.len() + 1;
                    assert!(given.get() <= end, "{open:?}: {} read for what ends at {end}", given.get());
                }
                pieces += 1;
                Ok(())
            };
            split(&mut Lines { rest: text.as_bytes(), given: &given }, false, &mut sink).unwrap();
            assert!(pieces > 500, "{open:?}");
        }
    }

    #[test]
    fn an_opening_without_end_is_not_held() {
        let text = "{\n".to_owned() + &"\"Stats\":0,\n".repeat(20 * 1024 * 1024 / 11);
        let given = std::cell::Cell::new(0);
        let mut reasons = Vec::new();
        let mut sink = |piece: Piece<'_>| {
            let Piece::Bad { reason, .. } = piece else { panic!("{piece:?}") };
            assert!(given.get() < MAX_RECORD + HEAD, "{} read", given.get());
            reasons.push(reason.to_owned());
            Ok(())
        };
        split(&mut Lines { rest: text.as_bytes(), given: &given }, false, &mut sink).unwrap();
        assert_eq!(reasons, [TOO_LONG]);
    }
}
