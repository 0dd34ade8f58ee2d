//! What is not text is parsed by a worker, a process of its own, so that a hang, a huge allocation or
//! a panic costs one input and not the server. This is what a worker and its owner say to each other,
//! over any pipe; who starts the process, and what it may do, is for whoever calls
//! [`read`](crate::read).
//!
//! The worker has the word: it writes frames, and asks in one for each block of the input, which the
//! owner then writes. So neither waits for the other to read, however much there is to say. The owner
//! takes nothing at its word, since a hostile input may be what speaks: lengths are bounded, and
//! records are decoded as they are from anywhere.
//!
//! ```text
//! frame: kind (1 byte), where it begins (8), length (4), so many bytes
//! block: length (4), so many bytes; none at the end of the input
//! ```

use std::cell::RefCell;
use std::io::{self, BufReader, BufWriter, Read, Write};

use crate::Error;
use crate::error::Stop;
use crate::framing::{self, Layout, MAX_RECORD, Piece, Sink, TOO_LONG};
use crate::read::run::REJECT_BYTES;

/// Bytes of a block, at most.
const BLOCK: usize = 256 * 1024;
/// Bytes of a frame before its own.
const HEAD: usize = 13;
/// Bytes of the words that a worker may say: a reason, a limit.
const WORDS: usize = 1024;

/// Kinds of frames.
mod kind {
    /// A block of the input, please.
    pub const ASK: u8 = 1;
    /// A record.
    pub const RECORD: u8 = 2;
    /// A list without a record.
    pub const EMPTY: u8 = 3;
    /// No record: the reason, a line end, its first bytes.
    pub const BAD: u8 = 4;
    /// The input is beyond a limit, in words.
    pub const LIMIT: u8 = 5;
    /// All is said.
    pub const DONE: u8 = 6;
}

/// Starts workers.
pub trait Workers: Sync {
    /// Starts one for an input of that layout, which runs [`work`] at the other end. May wait until
    /// there are fewer of them. What it returns ends the worker when it is dropped.
    fn start(&self, layout: Layout) -> io::Result<Box<dyn Worker + '_>>;
}

/// The owner's end of a worker. Reading and writing must not block for ever.
pub trait Worker: Read + Write {
    /// Ends it, if it has not ended by itself, and says what became of it, as in "its reader ran out
    /// of memory".
    fn end(&mut self) -> String;
}

/// A worker's side: asks `owner` for the input, and says what is in it.
///
/// # Errors
///
/// When the owner is gone, or says what makes no sense.
pub fn work(layout: Layout, from_owner: &mut dyn Read, to_owner: &mut dyn Write) -> io::Result<()> {
    let out = RefCell::new(BufWriter::with_capacity(BLOCK, to_owner));
    let mut input = Asking { owner: from_owner, out: &out, left: 0, is_at_end: false };
    let split = framing::split(layout, &mut input, &mut |piece| Ok(say(&out, &piece)?));
    match split {
        Ok(()) => frame(&out, kind::DONE, 0, &[])?,
        Err(Stop::Said(Error::Limit(words))) => frame(&out, kind::LIMIT, 0, &[words.as_bytes()])?,
        Err(Stop::Said(error)) => return Err(io::Error::other(error)),
        Err(Stop::Input(error)) => return Err(error),
    }
    out.borrow_mut().flush()
}

/// Where a worker's frames go.
type Out<'o> = RefCell<BufWriter<&'o mut dyn Write>>;

fn say(out: &Out<'_>, piece: &Piece<'_>) -> io::Result<()> {
    let start = |bytes: &'_ [u8]| bytes.len().min(REJECT_BYTES);
    match piece {
        Piece::Record { offset, bytes } if bytes.len() <= MAX_RECORD => {
            frame(out, kind::RECORD, *offset, &[bytes])
        }
        Piece::Record { offset, bytes } => say(out, &Piece::Bad { offset: *offset, reason: TOO_LONG, bytes }),
        Piece::Empty => frame(out, kind::EMPTY, 0, &[]),
        Piece::Bad { offset, reason, bytes } => {
            let bytes = bytes.get(..start(bytes)).unwrap_or_default();
            frame(out, kind::BAD, *offset, &[reason.as_bytes(), b"\n", bytes])
        }
    }
}

fn frame(out: &Out<'_>, kind: u8, offset: u64, parts: &[&[u8]]) -> io::Result<()> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let length = u32::try_from(length).map_err(io::Error::other)?;
    let mut out = out.borrow_mut();
    out.write_all(&[kind])?;
    out.write_all(&offset.to_le_bytes())?;
    out.write_all(&length.to_le_bytes())?;
    parts.iter().try_for_each(|part| out.write_all(part))
}

/// The input, as a worker has it.
struct Asking<'a, 'o> {
    owner: &'a mut dyn Read,
    out: &'a Out<'o>,
    /// Bytes of the block that are still to be read.
    left: usize,
    is_at_end: bool,
}

impl Read for Asking<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && !self.is_at_end && !buffer.is_empty() {
            frame(self.out, kind::ASK, 0, &[])?;
            self.out.borrow_mut().flush()?;
            let mut length = [0; 4];
            self.owner.read_exact(&mut length)?;
            self.left = usize::try_from(u32::from_le_bytes(length)).map_err(io::Error::other)?;
            self.is_at_end = self.left == 0;
        }
        let most = buffer.len().min(self.left);
        // Asked for no bytes, a socket may wait for some.
        let Some(buffer) = buffer.get_mut(..most).filter(|buffer| !buffer.is_empty()) else { return Ok(0) };
        let count = self.owner.read(buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count;
        Ok(count)
    }
}

/// Hands the records of an input to `sink`, which a worker finds in it. When the worker is lost, what it
/// said stays, one more piece says what became of it, and it is `false`.
pub(crate) fn split(
    workers: &dyn Workers,
    layout: Layout,
    input: &mut dyn Read,
    sink: &mut Sink<'_>,
) -> Result<bool, Stop> {
    let worker = workers.start(layout).map_err(|error| Error::Worker(layout.noun(), error))?;
    let mut owner = Owner { worker: BufReader::with_capacity(BLOCK, worker), last: 0 };
    let became = match owner.serve(input, sink) {
        Ok(()) => return Ok(true),
        Err(Lost::Stop(stop)) => return Err(stop),
        Err(Lost::Gone) => owner.worker.get_mut().end(),
        Err(Lost::Nonsense) => "what its reader said makes no sense".to_owned(),
    };
    let reason = format!("the {} could not be read further: {became}", layout.noun());
    sink(Piece::Bad { offset: owner.last, reason: &reason, bytes: &[] })?;
    Ok(false)
}

/// Why a worker did not come to the end of its work.
enum Lost {
    /// Not because of the worker.
    Stop(Stop),
    /// It cannot be spoken to.
    Gone,
    /// It says what it cannot mean.
    Nonsense,
}

impl From<io::Error> for Lost {
    fn from(_: io::Error) -> Lost {
        // What it was that ended shows in the worker itself.
        Lost::Gone
    }
}

impl From<Stop> for Lost {
    fn from(stop: Stop) -> Lost {
        Lost::Stop(stop)
    }
}

struct Owner<'w> {
    worker: BufReader<Box<dyn Worker + 'w>>,
    /// Where the last record began.
    last: u64,
}

impl Owner<'_> {
    fn serve(&mut self, input: &mut dyn Read, sink: &mut Sink<'_>) -> Result<(), Lost> {
        let mut block = vec![0; BLOCK];
        let mut bytes = Vec::new();
        loop {
            let (kind, offset) = self.next(&mut bytes)?;
            match kind {
                kind::ASK => self.give(input, &mut block)?,
                kind::RECORD => {
                    self.last = offset;
                    sink(Piece::Record { offset, bytes: &bytes })?;
                }
                kind::EMPTY => sink(Piece::Empty)?,
                kind::BAD => {
                    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or(Lost::Nonsense)?;
                    let (reason, rest) = bytes.split_at_checked(end).ok_or(Lost::Nonsense)?;
                    let reason = words(reason)?;
                    sink(Piece::Bad { offset, reason, bytes: rest.get(1..).unwrap_or_default() })?;
                }
                kind::LIMIT => return Err(Stop::Said(Error::Limit(words(&bytes)?.to_owned())).into()),
                kind::DONE => return Ok(()),
                _ => return Err(Lost::Nonsense),
            }
        }
    }

    /// The next frame: its kind and place; its bytes are put into `bytes`.
    fn next(&mut self, bytes: &mut Vec<u8>) -> Result<(u8, u64), Lost> {
        let mut head = [0; HEAD];
        self.worker.read_exact(&mut head)?;
        let [kind, rest @ ..] = head;
        let (offset, length) = rest.split_first_chunk::<8>().ok_or(Lost::Nonsense)?;
        let length = u32::from_le_bytes(length.try_into().map_err(|_| Lost::Nonsense)?);
        let most = match kind {
            kind::RECORD => MAX_RECORD,
            kind::BAD => WORDS + REJECT_BYTES,
            kind::LIMIT => WORDS,
            _ => 0,
        };
        if usize::try_from(length).is_ok_and(|length| length > most) {
            return Err(Lost::Nonsense);
        }
        bytes.clear();
        let came = self.worker.by_ref().take(length.into()).read_to_end(bytes)?;
        if u32::try_from(came) == Ok(length) {
            Ok((kind, u64::from_le_bytes(*offset)))
        } else {
            Err(Lost::Gone)
        }
    }

    /// Writes the next block of the input.
    fn give(&mut self, input: &mut dyn Read, block: &mut [u8]) -> Result<(), Lost> {
        let count = loop {
            match input.read(block) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other.map_err(Stop::Input)?,
            }
        };
        let length = u32::try_from(count).map_err(|_| Lost::Nonsense)?;
        let worker = self.worker.get_mut();
        worker.write_all(&length.to_le_bytes())?;
        worker.write_all(block.get(..count).unwrap_or_default())?;
        worker.flush()?;
        Ok(())
    }
}

/// What a worker said, as far as it is text.
fn words(bytes: &[u8]) -> Result<&str, Lost> {
    if bytes.len() > WORDS {
        return Err(Lost::Nonsense);
    }
    str::from_utf8(bytes).map_err(|_| Lost::Nonsense)
}
