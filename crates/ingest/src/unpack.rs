//! Undoes gzip and zstd, told by their first bytes. What comes out is bounded, so that a small
//! file cannot unpack without end.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{DEFAULT_MAX_WINDOW_SIZE, FrameDecoder};

use crate::read::MAX_BYTES;
use crate::read::counts::Counts;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A frame without content and with the least window.
const EMPTY_FRAME: &[u8] = b"\x28\xb5\x2f\xfd\x00\x00\x01\x00\x00";

/// The largest window of zstd in a file: the decoder holds as much of what it unpacked, so whoever packs
/// chooses how much memory that takes.
const WINDOW_OF_FILES: u64 = DEFAULT_MAX_WINDOW_SIZE;
/// The largest one in an input that may only have so many bytes, and may be one of many: the window that
/// every receiver of zstd over HTTP must take, and no more (RFC 9659 §3).
const WINDOW: u64 = 8 << 20;

/// An input cannot be unpacked within the limits; the text names the limit.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

/// The limit, if that is why reading what was packed failed.
pub fn refused(error: &io::Error) -> Option<&Refused> {
    error.get_ref().and_then(|error| error.downcast_ref())
}

/// Opens an input, packed or not. `counts` hold what comes out to a ratio of what came in.
pub fn open<'a>(mut input: impl Read + 'a, counts: &'a Counts) -> io::Result<Box<dyn Read + 'a>> {
    let head = peek::<4>(&mut input)?;
    let input = Cursor::new(head.clone()).chain(input);
    if head.starts_with(&GZIP) {
        Ok(Box::new(counts.bounded(MultiGzDecoder::new(input))))
    } else if head == ZSTD || is_skippable(&head) {
        let window = if counts.max_bytes() < MAX_BYTES { WINDOW } else { WINDOW_OF_FILES };
        Ok(Box::new(counts.bounded(zstd_within(input, window)?)))
    } else {
        Ok(Box::new(input))
    }
}

/// Undoes zstd, without a bound: the caller takes no more than there may be.
///
/// # Errors
///
/// None that depends on the input.
pub fn zstd(input: impl Read) -> io::Result<impl Read> {
    zstd_within(input, WINDOW_OF_FILES)
}

fn zstd_within<R: Read>(input: R, window: u64) -> io::Result<Zstd<R>> {
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size(window);
    // A decoder that has had a frame makes room for a window at once, instead of growing into it: what
    // an allocator keeps of buffers that were outgrown comes to as much as the window.
    decoder.reset(EMPTY_FRAME).map_err(io::Error::other)?;
    Ok(Zstd { input: BufReader::new(input), decoder, in_frame: false })
}

/// Whether an input with these first bytes is packed.
pub fn is_packed(head: &[u8]) -> bool {
    let head = head.get(..4).unwrap_or(head);
    head.starts_with(&GZIP) || head == ZSTD || is_skippable(head)
}

/// Lets `look` see what comes out of an input, packed or not, within the bounds of [`read`](crate::read()).
pub fn unpacked<T>(input: impl Read, look: impl FnOnce(&mut dyn Read) -> io::Result<T>) -> io::Result<T> {
    let counts = Counts::up_to(MAX_BYTES);
    let mut unpacked = open(counts.came(input), &counts)?;
    look(&mut unpacked)
}

/// Up to `N` first bytes of an input.
pub fn peek<const N: usize>(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(N);
    input.by_ref().take(N as u64).read_to_end(&mut head)?;
    Ok(head)
}

fn is_skippable(head: &[u8]) -> bool {
    matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18])
}

/// Zstandard frames one after another, skippable ones passed over, checksums compared.
struct Zstd<R> {
    input: BufReader<R>,
    decoder: FrameDecoder,
    in_frame: bool,
}

impl<R: Read> Zstd<R> {
    /// Begins the next frame; `false` at the end of the input.
    fn next_frame(&mut self) -> io::Result<bool> {
        while !self.input.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.input) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    io::copy(&mut self.input.by_ref().take(length.into()), &mut io::sink())?;
                }
                Err(FrameDecoderError::WindowSizeTooBig { requested, max }) => {
                    let refused = format!(
                        "needs a zstd window of {requested} bytes, of which {max} are taken: pack it without --long and --ultra"
                    );
                    return Err(io::Error::other(Refused(refused)));
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.in_frame && !self.next_frame()? {
                return Ok(0);
            }
            self.in_frame = true;
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let strategy = ruzstd::decoding::BlockDecodingStrategy::UptoBlocks(1);
                self.decoder.decode_blocks(&mut self.input, strategy).map_err(io::Error::other)?;
            }
            let count = self.decoder.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let wanted = self.decoder.get_checksum_from_data();
            if wanted.is_some() && wanted != self.decoder.get_calculated_checksum() {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "zstd checksum does not match"));
            }
            self.in_frame = false;
        }
    }
}
