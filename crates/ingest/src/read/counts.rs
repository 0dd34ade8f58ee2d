//! How many bytes an input has come to, and what ends reading it: nobody may send more than they were
//! allowed, however often it is packed.

use std::cell::{Cell, RefCell};
use std::io::{self, Read};

use crate::framing::Layout;

/// How much an input may unpack to, times the packed bytes read so far. Logs of one machine pack to a
/// hundredth.
const RATIO: u64 = 1_000;
/// Unpacked bytes below which the ratio is not looked at.
const FREE: u64 = 64 << 20;
/// How much the records of event logs may come to, times their bytes: real ones come to four times.
const LOGS_RATIO: u64 = 100;

/// The counts of one input, whatever is in it. Shared by all that is read on the way.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Bytes as they came.
    pub(crate) packed: Cell<u64>,
    /// Bytes of text and event logs, unpacked.
    pub(crate) unpacked: Cell<u64>,
    /// Bytes of archives, with what is passed over in them.
    archived: Cell<u64>,
    /// Bytes of records made of what is not text.
    made: Cell<u64>,
    /// The most that the input may come to.
    max_bytes: u64,
    /// The input itself could not be read.
    pub(crate) failed: Cell<bool>,
    limit: RefCell<Option<String>>,
}

impl Counts {
    /// At zero.
    pub(crate) fn up_to(max_bytes: u64) -> Counts {
        Counts { max_bytes, ..Counts::default() }
    }

    /// The most that the input may come to.
    pub(crate) fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// The limit that was hit, as what the input did. Decoders wrap what they are told, so it does not
    /// come with the error.
    pub(crate) fn limit(&self) -> Option<String> {
        self.limit.borrow().clone()
    }

    /// Whether all of the input ends here, not only what of it was being read.
    pub(crate) fn is_over(&self) -> bool {
        self.failed.get() || self.limit.borrow().is_some()
    }

    /// Ends the input at a limit.
    pub(crate) fn refuse(&self, limit: impl Into<String>) -> io::Error {
        self.limit.borrow_mut().get_or_insert(limit.into());
        io::Error::other("beyond a limit")
    }

    fn check_size(&self, bytes: u64, most: u64) -> io::Result<()> {
        if bytes > most {
            let max = self.max_bytes;
            return Err(
                self.refuse(format!("has more than {max} bytes, packed or unpacked: send it in parts"))
            );
        }
        Ok(())
    }

    /// So many bytes came out of what was unpacked.
    fn check_ratio(&self, unpacked: u64) -> io::Result<()> {
        if unpacked > FREE && unpacked > self.packed.get().saturating_mul(RATIO) {
            return Err(self.refuse(format!(
                "unpacks to more than {RATIO} times its size; unpack it yourself if you trust it"
            )));
        }
        Ok(())
    }

    /// Counts the bytes of a record. What is not text is unpacked by being read, and there may be many of
    /// that in an archive, none of which is beyond a limit of its own.
    pub(crate) fn made(&self, layout: Layout, bytes: usize) -> io::Result<()> {
        if !layout.is_binary() {
            return Ok(());
        }
        let made = self.made.get().saturating_add(bytes as u64);
        self.made.set(made);
        match layout {
            Layout::EventLog if made > FREE && made > self.unpacked.get().saturating_mul(LOGS_RATIO) => {
                Err(self.refuse(format!(
                    "has event logs whose records come to more than {LOGS_RATIO} times their size"
                )))
            }
            Layout::Parquet => self.check_size(made, self.max_bytes),
            _ => Ok(()),
        }
    }

    /// Counts bytes of the input as they come.
    pub(crate) fn came<R: Read>(&self, input: R) -> Came<'_, R> {
        Came { input, counts: self }
    }

    /// Counts all of a file that can be read back and forth.
    pub(crate) fn came_whole(&self, bytes: u64) -> io::Result<()> {
        self.packed.set(bytes);
        self.check_size(bytes, self.max_bytes)
    }

    /// Holds what is unpacked to the ratio.
    pub(crate) fn bounded<R: Read>(&self, unpacked: R) -> Bounded<'_, R> {
        Bounded { unpacked, given: 0, counts: self }
    }

    /// Counts the bytes of an archive.
    pub(crate) fn archived<R: Read>(&self, input: R) -> Counted<'_, R> {
        // The bytes of an archive in an archive count twice.
        Counted { input, count: &self.archived, most: self.max_bytes.saturating_mul(3), counts: self }
    }

    /// Counts unpacked bytes in which records are looked for.
    pub(crate) fn unpacked<R: Read>(&self, input: R) -> Counted<'_, R> {
        Counted { input, count: &self.unpacked, most: self.max_bytes, counts: self }
    }
}

/// See [`Counts::came`].
pub(crate) struct Came<'c, R> {
    input: R,
    counts: &'c Counts,
}

impl<R: Read> Read for Came<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.input.read(buffer) {
            Ok(count) => {
                self.counts.packed.set(self.counts.packed.get() + count as u64);
                self.counts.check_size(self.counts.packed.get(), self.counts.max_bytes)?;
                Ok(count)
            }
            Err(error) => {
                self.counts.failed.set(error.kind() != io::ErrorKind::Interrupted);
                Err(error)
            }
        }
    }
}

/// See [`Counts::bounded`].
pub(crate) struct Bounded<'c, R> {
    unpacked: R,
    given: u64,
    counts: &'c Counts,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.unpacked.read(buffer)?;
        self.given += count as u64;
        self.counts.check_ratio(self.given)?;
        Ok(count)
    }
}

/// See [`Counts::archived`] and [`Counts::unpacked`].
pub(crate) struct Counted<'c, R> {
    input: R,
    count: &'c Cell<u64>,
    most: u64,
    counts: &'c Counts,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        let bytes = self.count.get() + count as u64;
        self.count.set(bytes);
        self.counts.check_size(bytes, self.most)?;
        self.counts.check_ratio(bytes)?;
        Ok(count)
    }
}
