//! One batch in the archive, or the mark that ends a closed segment: a frame of nothing.
//!
//! `[compressed length u32][plain length u32][block crc32 u32][header crc32 u32][LZ4 block]`,
//! little-endian. Unpacked, the block is, one after another:
//!
//! - its source, with a NUL behind it if the batch is live, and when it was received, as postcard writes
//!   a text and a number of ticks;
//! - the tenant's 16 bytes;
//! - the records and the changes by people, as [`records`] says;
//! - the rejects, as postcard writes a list of [`Reject`];
//! - the batch's id, 32 bytes: the SHA-256 of the tenant, the records and the rejects as they stand
//!   here. It comes last, because it is known only then: a batch is encoded once.

mod records;

use std::borrow::Cow;
use std::io::{self, Read, Write};

use pintle_model::{Record, TenantId, Time};
use sha2::{Digest, Sha256};

use crate::edit::Edit;
use crate::{Batch, Error, Reject, lz4};

/// A batch is refused beyond this many bytes; a frame that claims more is damaged.
const MAX_PLAIN_BYTES: usize = 1 << 30;
/// Bytes of a frame before its block.
pub(crate) const HEADER_BYTES: usize = 16;

/// Behind the source of a batch that came as it happened. No source has one in its name.
const LIVE: char = '\0';

/// Tells batches apart: the same tenant, records and rejects are the same batch.
pub(crate) type BatchId = [u8; 32];

/// A batch as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ArchivedBatch {
    pub(crate) source: String,
    /// When it was taken in: the measure of what is an implausible time, also in a rebuild.
    pub(crate) received: Time,
    pub(crate) tenant: TenantId,
    pub(crate) records: Vec<Record>,
    pub(crate) rejects: Vec<Reject>,
    pub(crate) edits: Vec<Edit>,
    pub(crate) is_live: bool,
    /// The SHA-256 of the encoded tenant, records and rejects.
    pub(crate) id: BatchId,
}

/// An encoded batch.
pub(crate) struct Encoded(pub(crate) Vec<u8>);

impl ArchivedBatch {
    /// Dresses a batch and changes by people for the archive, and encodes them.
    pub(crate) fn new(
        batch: Batch,
        edits: Vec<Edit>,
        received: Time,
    ) -> Result<(ArchivedBatch, Encoded), Error> {
        let broken = |error| Error::Engine(format!("encoding a batch: {error}"));
        let Batch { tenant, source, records, rejects, is_live } = batch;
        let named = if is_live { Cow::Owned(format!("{source}{LIVE}")) } else { Cow::Borrowed(&*source) };
        let mut plain = postcard::to_allocvec(&(named, received)).map_err(broken)?;
        let told_apart_from = plain.len();
        plain.extend_from_slice(tenant.as_bytes());
        records::write(&records, &edits, &mut plain).map_err(broken)?;
        plain = postcard::to_extend(&rejects, plain).map_err(broken)?;
        let id: BatchId = Sha256::digest(plain.get(told_apart_from..).unwrap_or_default()).into();
        plain.extend_from_slice(&id);
        if plain.len() > MAX_PLAIN_BYTES {
            return Err(Error::TooLarge { what: "bytes", found: plain.len(), limit: MAX_PLAIN_BYTES });
        }
        let batch = ArchivedBatch { source, received, tenant, records, rejects, edits, is_live, id };
        Ok((batch, Encoded(plain)))
    }

    /// Reads what [`ArchivedBatch::new`] encoded.
    pub(crate) fn decode(plain: &[u8]) -> Option<ArchivedBatch> {
        let ((mut source, received), plain): ((String, Time), _) = postcard::take_from_bytes(plain).ok()?;
        let is_live = source.ends_with(LIVE);
        source.truncate(source.len() - if is_live { LIVE.len_utf8() } else { 0 });
        let (tenant, plain) = plain.split_first_chunk()?;
        let (records, edits, plain) = records::read(plain)?;
        let (rejects, plain) = postcard::take_from_bytes(plain).ok()?;
        let (id, after) = plain.split_first_chunk()?;
        let tenant = TenantId::from_bytes(*tenant);
        let id = *id;
        let batch = ArchivedBatch { source, received, tenant, records, rejects, edits, is_live, id };
        after.is_empty().then_some(batch)
    }
}

/// Why a frame could not be read.
pub(crate) enum Problem {
    Io(io::Error),
    /// Not what was written.
    Broken(&'static str),
    /// What was written, but not as this version writes it.
    Strange(&'static str),
}

/// A batch as it is appended.
pub(crate) struct Frame {
    plain_bytes: usize,
    block: Vec<u8>,
    block_crc: u32,
}

impl Frame {
    /// Packs an encoded batch.
    pub(crate) fn of(Encoded(plain): &Encoded) -> Frame {
        let block = lz4_flex::block::compress(plain);
        Frame { plain_bytes: plain.len(), block_crc: crc32fast::hash(&block), block }
    }

    /// What a closed segment ends with.
    pub(super) fn end_mark() -> Frame {
        Frame { plain_bytes: 0, block: Vec::new(), block_crc: 0 }
    }

    /// Bytes that it takes.
    pub(crate) fn len(&self) -> u64 {
        (HEADER_BYTES + self.block.len()) as u64
    }

    /// Writes it.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(&length(self.block.len()));
        header.extend_from_slice(&length(self.plain_bytes));
        header.extend_from_slice(&self.block_crc.to_le_bytes());
        header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
        out.write_all(&header)?;
        out.write_all(&self.block)
    }
}

/// The part of a frame before its block.
#[derive(Clone, Copy)]
pub(super) struct Header {
    block_bytes: u32,
    plain_bytes: u32,
    block_crc: u32,
}

impl Header {
    /// `None`: these are not the first bytes of a frame.
    pub(super) fn read(bytes: &[u8; HEADER_BYTES]) -> Option<Header> {
        let (fields, crc) = bytes.split_last_chunk::<4>()?;
        if crc32fast::hash(fields) != u32::from_le_bytes(*crc) {
            return None;
        }
        let ([block, plain, block_crc], _) = fields.as_chunks::<4>() else { return None };
        Some(Header {
            block_bytes: u32::from_le_bytes(*block),
            plain_bytes: u32::from_le_bytes(*plain),
            block_crc: u32::from_le_bytes(*block_crc),
        })
    }

    /// Whether it is that of [`Frame::end_mark`].
    pub(super) fn is_end_mark(&self) -> bool {
        self.block_bytes == 0
    }

    /// Bytes of the whole frame.
    pub(super) fn frame_bytes(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.block_bytes)
    }
}

/// Reads the next frame of a file that has `left` bytes more. Returns the batch, or nothing for an end
/// mark, and the frame's length.
pub(crate) fn read(reader: &mut impl Read, left: u64) -> Result<(Option<ArchivedBatch>, u64), Problem> {
    if left < HEADER_BYTES as u64 {
        return Err(Problem::Broken("the frame's header is cut short"));
    }
    let mut header = [0; HEADER_BYTES];
    reader.read_exact(&mut header).map_err(Problem::Io)?;
    let header = Header::read(&header).ok_or(Problem::Broken("this is no frame"))?;
    if header.frame_bytes() > left {
        return Err(Problem::Broken("the frame is cut short"));
    }
    if header.is_end_mark() {
        return Ok((None, header.frame_bytes()));
    }
    let mut block = vec![0; usize::try_from(header.block_bytes).unwrap_or(usize::MAX)];
    reader.read_exact(&mut block).map_err(Problem::Io)?;
    if crc32fast::hash(&block) != header.block_crc {
        return Err(Problem::Broken("the checksum does not match"));
    }
    let plain_bytes = usize::try_from(header.plain_bytes).unwrap_or(usize::MAX);
    if plain_bytes > MAX_PLAIN_BYTES {
        return Err(Problem::Strange("the batch claims to be larger than one can be"));
    }
    let plain = lz4::unpack(&block, plain_bytes).ok_or(Problem::Strange("the block does not unpack"))?;
    let batch = ArchivedBatch::decode(&plain)
        .ok_or(Problem::Strange("the batch does not read: a newer pintle may have written it"))?;
    Ok((Some(batch), header.frame_bytes()))
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes()
}
