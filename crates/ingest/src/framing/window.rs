//! A moving view of an input: bytes from here on, as many as were asked for and no more.

use std::io::{self, Read};

use super::MAX_RECORD;

/// Bytes asked of the input at once, …
const CHUNK: usize = 256 * 1024;
/// … and of one that may be short, as the members of an archive are, at first.
const FIRST: usize = 8 * 1024;

/// A record of more than this is a long one.
const LONG: usize = 4 * CHUNK;

/// The unread rest of an input, of which the first bytes are held in memory.
pub struct Window<'r> {
    input: &'r mut dyn Read,
    /// The bytes held are `start..end` of it; room for more is behind them.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    offset: u64,
}

impl<'r> Window<'r> {
    /// A window at the beginning of `input`.
    pub fn new(input: &'r mut dyn Read) -> Window<'r> {
        Window { input, buffer: Vec::new(), start: 0, end: 0, offset: 0 }
    }

    /// The bytes held, from the current offset on.
    pub fn held(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Where in the input the held bytes begin.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Moves on by `count` bytes, which must be held.
    pub fn discard(&mut self, count: usize) {
        let count = count.min(self.held().len());
        self.start += count;
        self.offset += count as u64;
    }

    /// Holds more bytes. `false` when the input is at its end.
    pub fn more(&mut self) -> io::Result<bool> {
        // Room is made only when there is little, so that bytes that come singly cost no more.
        let chunk = self.buffer.len().clamp(FIRST, CHUNK);
        if self.buffer.len() - self.end < chunk / 2 {
            self.buffer.drain(..self.start);
            self.end -= self.start;
            self.start = 0;
            // Beyond a few chunks it is for one long record, and has room for all of it at once: what an
            // allocator keeps of a buffer that doubles comes to as much as the buffer. Room that is not
            // used takes no memory.
            let room = self.end + chunk;
            if room > self.buffer.capacity() && room > LONG {
                self.buffer.reserve_exact((MAX_RECORD + LONG).max(room) - self.buffer.len());
            }
            self.buffer.resize(room, 0);
        }
        let read = loop {
            match self.input.read(self.buffer.get_mut(self.end..).unwrap_or_default()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.end += read;
        Ok(read > 0)
    }

    /// The byte at `place` of the held bytes, reading on as needed; `None` past the end.
    pub fn byte(&mut self, place: usize) -> io::Result<Option<u8>> {
        loop {
            if let Some(byte) = self.held().get(place) {
                return Ok(Some(*byte));
            }
            if !self.more()? {
                return Ok(None);
            }
        }
    }
}
