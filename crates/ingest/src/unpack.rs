//! Undoes gzip and zstd, told by their first bytes. What comes out is bounded, so that a small
//! file cannot unpack without end.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::FrameDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// How much an input may unpack to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Times the packed bytes read so far. Logs of one machine pack to a hundredth.
    pub ratio: u64,
    /// Unpacked bytes below which the ratio is not looked at.
    pub free: u64,
}

impl Limits {
    /// What [`read`](crate::read) allows.
    pub const DEFAULT: Limits = Limits { ratio: 1_000, free: 64 << 20 };
}

/// The input unpacks to more than the limits allow; the text names the limit.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// Opens an input, packed or not. `taken` counts the packed bytes that were read of it.
pub fn open<'a>(
    mut input: impl Read + 'a,
    taken: &'a Cell<u64>,
    limits: Limits,
) -> io::Result<Box<dyn Read + 'a>> {
    let head = peek::<4>(&mut input)?;
    let input = Cursor::new(head.clone()).chain(input);
    let unpacked: Box<dyn Read + 'a> = if head.starts_with(&GZIP) {
        Box::new(MultiGzDecoder::new(input))
    } else if head == ZSTD || is_skippable(&head) {
        Box::new(Zstd { input: BufReader::new(input), decoder: FrameDecoder::new(), in_frame: false })
    } else {
        return Ok(Box::new(input));
    };
    Ok(Box::new(Bounded { unpacked, taken, given: 0, limits }))
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

struct Bounded<'a> {
    unpacked: Box<dyn Read + 'a>,
    taken: &'a Cell<u64>,
    given: u64,
    limits: Limits,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.unpacked.read(buffer)?;
        self.given += count as u64;
        let Limits { ratio, free } = self.limits;
        if self.given > free && self.given > self.taken.get().saturating_mul(ratio) {
            let refused =
                format!("unpacks to more than {ratio} times its size; unpack it yourself if you trust it");
            return Err(io::Error::other(Refused(refused)));
        }
        Ok(count)
    }
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
