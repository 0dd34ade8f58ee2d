//! A page of a column: its header, and its bytes unpacked. How much that may be is bounded, whatever a
//! header says.

use std::borrow::Cow;
use std::io::Read;

use super::bits::Runs;
use super::metadata::Chunk;
use super::schema::Leaf;
use super::thrift::{Kind, Reader};
use super::{Budget, Fault};
use crate::unpack;

/// The longest page, unpacked.
const MAX_PAGE: usize = 64 << 20;

const TOO_LONG: Fault = Fault::Limit("is Parquet with a page larger than 64 MiB; write it with smaller ones");
const CODEC: Fault =
    Fault::Limit("is Parquet in a compression that is not read: write it with zstd, snappy, gzip or lz4_raw");

/// A page.
pub enum Page<'f> {
    /// Values that others point to, and how many.
    Dictionary(Cow<'f, [u8]>, usize),
    /// Values.
    Data(DataPage<'f>),
}

/// A page with values.
pub struct DataPage<'f> {
    /// Its bytes.
    pub data: Cow<'f, [u8]>,
    /// Where the values are in them.
    pub values: usize,
    /// How values are written.
    pub encoding: i64,
    /// How many places for a value there are.
    pub count: u64,
    /// Which lists each place begins or goes on, if there are any.
    pub repetition: Option<Runs>,
    /// What of the path to it is there, if any of it may not be.
    pub definition: Option<Runs>,
}

/// What a header says.
#[derive(Default)]
struct Header {
    kind: i64,
    unpacked: usize,
    packed: usize,
    checksum: Option<i64>,
    count: usize,
    encoding: i64,
    /// How levels are written; always in runs in the second version.
    level_encodings: [i64; 2],
    /// Of the second version: how many bytes the levels take, which are never compressed.
    levels: Option<[usize; 2]>,
    is_packed: bool,
}

/// The pages of a column.
pub struct Pages<'f> {
    rest: &'f [u8],
    codec: i64,
}

impl<'f> Pages<'f> {
    /// The pages of a chunk of `file`.
    pub fn of(file: &'f [u8], chunk: &Chunk) -> Result<Pages<'f>, Fault> {
        let end = chunk.begin.checked_add(chunk.length).ok_or(Fault::Damage)?;
        Ok(Pages { rest: file.get(chunk.begin..end).ok_or(Fault::Damage)?, codec: chunk.codec })
    }

    /// The next page.
    pub fn next(&mut self, leaf: &Leaf, budget: &Budget) -> Result<Option<Page<'f>>, Fault> {
        while !self.rest.is_empty() {
            let mut reader = Reader::new(self.rest);
            let header = Header::read(&mut reader)?;
            let begin = self.rest.len() - reader.left();
            let bytes = self.rest.get(begin..).unwrap_or_default();
            let (packed, rest) = bytes.split_at_checked(header.packed).ok_or(Fault::Damage)?;
            self.rest = rest;
            // A page without rows costs work too.
            budget.work(header.count as u64 + 1)?;
            match header.kind {
                0 | 3 => return header.data(packed, self.codec, leaf).map(|page| Some(Page::Data(page))),
                2 => {
                    let data = unpack(packed, self.codec, header.unpacked)?;
                    return Ok(Some(Page::Dictionary(data, header.count)));
                }
                _ => {}
            }
        }
        Ok(None)
    }
}

impl Header {
    fn read(reader: &mut Reader<'_>) -> Result<Header, Fault> {
        let mut header = Header { is_packed: true, ..Header::default() };
        reader.fields(&mut |reader, field, kind| {
            match (field, kind) {
                (1, Kind::Int) => header.kind = reader.int()?,
                (2, Kind::Int) => header.unpacked = size(reader)?,
                (3, Kind::Int) => header.packed = size(reader)?,
                (4, Kind::Int) => header.checksum = Some(reader.int()?),
                (5 | 7, Kind::Struct) => header.first_version(reader)?,
                (8, Kind::Struct) => header.second_version(reader)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        if header.unpacked > MAX_PAGE { Err(TOO_LONG) } else { Ok(header) }
    }

    fn first_version(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        reader.fields(&mut |reader, field, kind| {
            let [definition, repetition] = &mut self.level_encodings;
            match (field, kind) {
                (1, Kind::Int) => self.count = size(reader)?,
                (2, Kind::Int) => self.encoding = reader.int()?,
                (3, Kind::Int) => *definition = reader.int()?,
                (4, Kind::Int) => *repetition = reader.int()?,
                _ => return Ok(false),
            }
            Ok(true)
        })
    }

    fn second_version(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let (mut definition, mut repetition) = (0, 0);
        reader.fields(&mut |reader, field, kind| {
            match (field, kind) {
                (1, Kind::Int) => self.count = size(reader)?,
                (4, Kind::Int) => self.encoding = reader.int()?,
                (5, Kind::Int) => definition = size(reader)?,
                (6, Kind::Int) => repetition = size(reader)?,
                (7, Kind::Bool(is_packed)) => self.is_packed = is_packed,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        self.levels = Some([definition, repetition]);
        Ok(())
    }

    fn data<'f>(self, packed: &'f [u8], codec: i64, leaf: &Leaf) -> Result<DataPage<'f>, Fault> {
        if self.checksum.is_some_and(|sum| sum as u32 != crc32fast::hash(packed)) {
            return Err(Fault::Damage);
        }
        let count = self.count as u64;
        let page = |data, values, repetition, definition| DataPage {
            data,
            values,
            encoding: self.encoding,
            count,
            repetition,
            definition,
        };
        let Some([definition, repetition]) = self.levels else {
            let data = unpack(packed, codec, self.unpacked)?;
            let [definition, repetition] = self.level_encodings;
            let mut at = 0;
            let repetition = levels(&data, &mut at, leaf.repetition, repetition)?;
            let definition = levels(&data, &mut at, leaf.level, definition)?;
            return Ok(page(data, at, repetition, definition));
        };
        let end = definition.checked_add(repetition).ok_or(Fault::Damage)?;
        let (levels, values) = packed.split_at_checked(end).ok_or(Fault::Damage)?;
        let unpacked = self.unpacked.checked_sub(end).ok_or(Fault::Damage)?;
        // Where there are no values, there may be nothing to unpack.
        let is_packed = self.is_packed && codec != 0 && unpacked > 0;
        let data = if is_packed {
            Cow::Owned([levels, &unpack(values, codec, unpacked)?].concat())
        } else {
            Cow::Borrowed(packed)
        };
        let runs = |begin, end, most: u16| {
            (most > 0).then(|| Runs::new(begin, end, width_of(most.into()))).transpose()
        };
        Ok(page(data, end, runs(0, repetition, leaf.repetition)?, runs(repetition, end, leaf.level)?))
    }
}

/// The levels at `at`, after how many bytes they take.
fn levels(data: &[u8], at: &mut usize, most: u16, encoding: i64) -> Result<Option<Runs>, Fault> {
    if most == 0 {
        return Ok(None);
    }
    if encoding != 3 {
        return Err(super::ENCODING);
    }
    let begin = at.saturating_add(4);
    let length = data.get(*at..begin).and_then(|bytes| bytes.first_chunk()).ok_or(Fault::Damage)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| Fault::Damage)?;
    *at = begin.checked_add(length).filter(|end| *end <= data.len()).ok_or(Fault::Damage)?;
    Runs::new(begin, *at, width_of(most.into())).map(Some)
}

/// How many bits a number up to `most` takes.
fn width_of(most: u32) -> usize {
    (u32::BITS - most.leading_zeros()) as usize
}

fn size(reader: &mut Reader<'_>) -> Result<usize, Fault> {
    i32::try_from(reader.int()?).ok().and_then(|size| usize::try_from(size).ok()).ok_or(Fault::Damage)
}

/// Undoes a page's compression, which must give as many bytes as its header says.
fn unpack(packed: &[u8], codec: i64, size: usize) -> Result<Cow<'_, [u8]>, Fault> {
    let mut unpacked = Vec::new();
    // A little more than there should be shows that it is too much.
    let most = size as u64 + 1;
    let read = match codec {
        0 => return Ok(Cow::Borrowed(packed)),
        1 => {
            if snap::raw::decompress_len(packed).ok() != Some(size) {
                return Err(Fault::Damage);
            }
            unpacked.resize(size, 0);
            snap::raw::Decoder::new().decompress(packed, &mut unpacked).is_ok()
        }
        2 => flate2::read::MultiGzDecoder::new(packed).take(most).read_to_end(&mut unpacked).is_ok(),
        6 => unpack::zstd(packed).is_ok_and(|zstd| zstd.take(most).read_to_end(&mut unpacked).is_ok()),
        7 => {
            unpacked.resize(size, 0);
            lz4_flex::block::decompress_into(packed, &mut unpacked).is_ok_and(|given| given == size)
        }
        _ => return Err(CODEC),
    };
    if read && unpacked.len() == size { Ok(Cow::Owned(unpacked)) } else { Err(Fault::Damage) }
}
