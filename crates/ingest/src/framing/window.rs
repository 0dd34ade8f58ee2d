//! A moving view of an input: bytes from here on, as many as were asked for and no more.

use std::io::{self, Read};

/// Bytes asked of the input at once.
const CHUNK: usize = 256 * 1024;

/// The unread rest of an input, of which the first bytes are held in memory.
pub struct Window<'r> {
    input: &'r mut dyn Read,
    buffer: Vec<u8>,
    start: usize,
    offset: u64,
}

impl<'r> Window<'r> {
    /// A window at the beginning of `input`.
    pub fn new(input: &'r mut dyn Read) -> Window<'r> {
        Window { input, buffer: Vec::new(), start: 0, offset: 0 }
    }

    /// The bytes held, from the current offset on.
    pub fn held(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
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
        self.buffer.drain(..self.start);
        self.start = 0;
        let held = self.buffer.len();
        self.buffer.resize(held + CHUNK, 0);
        let read = loop {
            match self.input.read(self.buffer.get_mut(held..).unwrap_or_default()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer.truncate(held + read.as_ref().unwrap_or(&0));
        Ok(read? > 0)
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
