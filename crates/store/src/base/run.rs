//! A run: keys in ascending order with their values, written once and never changed.
//!
//! ```text
//! header   magic, version
//! blocks   entries in order (block.rs)
//! index    where the blocks begin (index.rs), stored as a block
//! filter   which keys may be there (filter.rs), stored as a block
//! tail     offset of the index, offset of the filter, number of entries, crc32 of these, magic
//! ```
//!
//! Nothing is believed without its checksum. Where index or filter do not read, both are made again
//! from the blocks, which stand for themselves; keys beyond a block that does not read are not
//! answered but refused, with the file's name.

pub(crate) mod block;
pub(crate) mod filter;
pub(crate) mod index;
mod write;

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use block::Block;
use block::{Entries, HEADER_BYTES};
use filter::Filter;
use index::Index;
use quick_cache::Weighter;

use crate::Error;
use crate::base::key;

pub(crate) use write::RunWriter;

const MAGIC: &[u8; 8] = b"PINTLERN";
const TAIL_MAGIC: &[u8; 8] = b"PINTLERT";
/// The format of runs. A change adds a reader for the old one.
const VERSION: u32 = 1;
const FILE_HEADER_BYTES: u64 = 12;
const TAIL_BYTES: u64 = 36;

/// Blocks that were read lately, unpacked.
pub(crate) type BlockCache = quick_cache::sync::Cache<(u64, u32), Arc<Block>, ByLength>;

/// Weighs a block by its bytes.
#[derive(Clone)]
pub(crate) struct ByLength;

impl Weighter<(u64, u32), Arc<Block>> for ByLength {
    fn weight(&self, _: &(u64, u32), block: &Arc<Block>) -> u64 {
        block.weight() as u64
    }
}

/// A run, open for reading.
pub(crate) struct Run {
    /// Its number, which is never given again in one base.
    pub(crate) number: u64,
    path: PathBuf,
    file: File,
    index: Index,
    filter: Filter,
    /// Bytes of the file.
    pub(crate) length: u64,
    /// Entries in it, as far as it reads.
    pub(crate) entries: u64,
    /// What is wrong with it, found at opening.
    damage: Option<Damage>,
}

/// What does not read in a run.
#[derive(Clone, Debug)]
struct Damage {
    offset: u64,
    reason: &'static str,
    /// Whether blocks are missing, so that keys after the last good one are not known.
    lost_blocks: bool,
}

impl Run {
    /// Opens a run. Damage does not keep it from opening: see [`Run::damage`].
    pub(crate) fn open(path: PathBuf, number: u64) -> Result<Run, Error> {
        let what = || format!("opening {}", path.display());
        let file = File::open(&path).map_err(Error::io(what()))?;
        let length = file.metadata().map_err(Error::io(what()))?.len();
        let mut run = Run {
            number,
            path,
            file,
            index: Index::default(),
            filter: Filter::default(),
            length,
            entries: 0,
            damage: None,
        };
        if let Err(reason) = run.read_tail()? {
            run.salvage(reason)?;
        }
        Ok(run)
    }

    /// What is wrong with the run, if opening found something.
    pub(crate) fn damage(&self) -> Option<Error> {
        self.damage.as_ref().map(|damage| self.damaged(damage.offset, damage.reason))
    }

    /// Whether the key, or one that begins with it, may be there; `key` as [`key::probe`] cuts it.
    pub(crate) fn may_hold(&self, probe: &[u8]) -> bool {
        self.filter.may_hold(probe)
    }

    /// The entries from `key` on.
    pub(crate) fn from<'r>(&'r self, key: &[u8], cache: Option<&'r BlockCache>) -> Result<Cursor<'r>, Error> {
        let mut cursor = Cursor {
            run: self,
            cache,
            next_block: self.index.find(key),
            entries: Entries::default(),
            is_at_entry: false,
        };
        if cursor.next_block < self.index.blocks() {
            cursor.entries = Entries::of(cursor.block(cursor.next_block)?);
            cursor.next_block += 1;
            cursor.is_at_entry = cursor.entries.seek(key).ok_or_else(|| self.no_entry())?;
        }
        if !cursor.is_at_entry {
            // It lies behind the last of the block.
            while cursor.advance()? && cursor.key() < key {}
        }
        Ok(cursor)
    }

    /// Reads everything and compares it with its checksums and its order. The error names the file.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if let Some(damage) = self.damage() {
            return Err(damage);
        }
        let mut header = [0; FILE_HEADER_BYTES as usize];
        self.file.read_exact_at(&mut header, 0).map_err(|_| self.damaged(0, "the header is cut short"))?;
        if header.as_slice() != file_header() {
            return Err(self.damaged(0, "this is not the header of a run"));
        }
        let (mut before, mut entries) = (Vec::new(), 0);
        let mut cursor = self.from(b"", None)?;
        while cursor.is_at_entry {
            if entries > 0 && cursor.key() <= before.as_slice() {
                return Err(self.damaged(0, "its keys are not in order"));
            }
            if !self.may_hold(key::probe(cursor.key())) {
                return Err(self.damaged(self.index.end(), "its filter does not hold its keys"));
            }
            before.clear();
            before.extend_from_slice(cursor.key());
            entries += 1;
            cursor.advance()?;
        }
        if entries != self.entries {
            return Err(self.damaged(self.index.end(), "it does not hold as many entries as it says"));
        }
        Ok(())
    }

    fn damaged(&self, offset: u64, reason: &str) -> Error {
        Error::Damaged { file: self.path.clone(), offset, reason: reason.to_owned() }
    }

    fn no_entry(&self) -> Error {
        self.damaged(self.index.end(), "an entry does not read")
    }

    fn io(&self) -> impl FnOnce(std::io::Error) -> Error {
        Error::io(format!("reading {}", self.path.display()))
    }

    /// Bytes of the file. `Ok(None)`: it ends before.
    fn bytes(&self, offset: u64, length: u64) -> Result<Option<Vec<u8>>, Error> {
        if offset.checked_add(length).is_none_or(|end| end > self.length) {
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        match self.file.read_exact_at(&mut bytes, offset) {
            Ok(()) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(self.io()(error)),
        }
    }

    /// Reads index and filter, as the tail says where they are. The inner error: what is wrong.
    fn read_tail(&mut self) -> Result<Result<(), &'static str>, Error> {
        const CUT: &str = "its end is cut short";
        let Some(tail) = self.bytes(self.length.saturating_sub(TAIL_BYTES), TAIL_BYTES)? else {
            return Ok(Err(CUT));
        };
        let Some(tail) = Tail::read(&tail) else { return Ok(Err("its end does not read")) };
        let end = self.length - TAIL_BYTES;
        let part = |from: u64, to: u64| self.bytes(from, to.saturating_sub(from));
        let (Some(index), Some(filter)) = (part(tail.index, tail.filter)?, part(tail.filter, end)?) else {
            return Ok(Err(CUT));
        };
        let index = block::load(index).ok().and_then(|bytes| Index::from_bytes(&bytes));
        let filter = block::load(filter).ok().and_then(|bytes| Filter::from_bytes(&bytes));
        let (Some(index), Some(filter)) = (index, filter) else {
            return Ok(Err("its index or its filter does not read"));
        };
        (self.index, self.filter, self.entries) = (index, filter, tail.entries);
        Ok(Ok(()))
    }

    /// Makes the index again from the blocks.
    fn salvage(&mut self, reason: &'static str) -> Result<(), Error> {
        let mut index = Index::starting_at(FILE_HEADER_BYTES);
        let (mut before, mut entries, mut keys) = (Vec::new(), 0, Vec::new());
        // Where the blocks end is known only by what follows them: an index reads as one too.
        while let Some(header) = self.bytes(index.end(), HEADER_BYTES as u64)? {
            let length = block::stored_length(header.first_chunk().unwrap_or(&[0; HEADER_BYTES]));
            let Some(stored) = self.bytes(index.end(), length)? else { break };
            let Ok(plain) = block::load(stored) else { break };
            let mut block = Entries::of(Arc::new(Block::of(plain)));
            let mut first = Vec::new();
            let mut count = 0;
            while block.advance() == Some(true) && key::split(block.key()).is_some() {
                if count == 0 {
                    first = block.key().to_vec();
                }
                count += 1;
                keys.push(key::probe(block.key()).to_vec());
            }
            if count == 0 || (!before.is_empty() && first <= before) {
                break;
            }
            index.push(&before, &first, length);
            before = block.key().to_vec();
            entries += count;
        }
        keys.dedup();
        let mut filter = Filter::for_keys(keys.len() as u64);
        keys.iter().for_each(|key| filter.insert(key));
        // The index follows the last block; if it reads, no block is missing.
        let lost_blocks = !self.is_index(index.end(), index.blocks())?;
        // A key that may have stood in a lost block must be looked for, to be refused.
        self.filter = if lost_blocks { Filter::default() } else { filter };
        self.damage = Some(Damage { offset: index.end(), reason, lost_blocks });
        (self.index, self.entries) = (index, entries);
        Ok(())
    }

    /// Whether the index of so many blocks lies here, or the file's tail says that it does.
    fn is_index(&self, offset: u64, blocks: usize) -> Result<bool, Error> {
        let tail = self.bytes(self.length.saturating_sub(TAIL_BYTES), TAIL_BYTES)?;
        if tail.as_deref().and_then(Tail::read).is_some_and(|tail| tail.index == offset) {
            return Ok(true);
        }
        let Some(header) = self.bytes(offset, HEADER_BYTES as u64)? else { return Ok(false) };
        let length = block::stored_length(header.first_chunk().unwrap_or(&[0; HEADER_BYTES]));
        let Some(stored) = self.bytes(offset, length)? else { return Ok(false) };
        let index = block::load(stored).ok().and_then(|bytes| Index::from_bytes(&bytes));
        Ok(index.is_some_and(|index| index.blocks() == blocks))
    }

    fn load(&self, number: usize) -> Result<Block, Error> {
        let (offset, length) = self.index.block(number).unwrap_or_default();
        let stored =
            self.bytes(offset, length)?.ok_or_else(|| self.damaged(offset, "a block is cut short"))?;
        block::load(stored).map(Block::of).map_err(|reason| self.damaged(offset, reason))
    }
}

/// Walks a run's entries in order.
pub(crate) struct Cursor<'r> {
    run: &'r Run,
    cache: Option<&'r BlockCache>,
    next_block: usize,
    entries: Entries,
    is_at_entry: bool,
}

impl Cursor<'_> {
    /// Goes to the next entry; false at the end.
    pub(crate) fn advance(&mut self) -> Result<bool, Error> {
        loop {
            match self.entries.advance() {
                Some(true) => {
                    self.is_at_entry = true;
                    return Ok(true);
                }
                None => return Err(self.run.no_entry()),
                Some(false) if self.next_block >= self.run.index.blocks() => {
                    self.is_at_entry = false;
                    return match &self.run.damage {
                        Some(damage) if damage.lost_blocks => {
                            Err(self.run.damaged(damage.offset, damage.reason))
                        }
                        _ => Ok(false),
                    };
                }
                Some(false) => {
                    self.entries = Entries::of(self.block(self.next_block)?);
                    self.next_block += 1;
                }
            }
        }
    }

    fn block(&self, number: usize) -> Result<Arc<Block>, Error> {
        let Some(cache) = self.cache else { return self.run.load(number).map(Arc::new) };
        let place = (self.run.number, u32::try_from(number).unwrap_or(u32::MAX));
        cache.get_or_insert_with(&place, || self.run.load(number).map(Arc::new))
    }

    /// Whether it stands at an entry; otherwise it is past the last.
    pub(crate) fn is_at_entry(&self) -> bool {
        self.is_at_entry
    }

    pub(crate) fn key(&self) -> &[u8] {
        self.entries.key()
    }

    pub(crate) fn value(&self) -> &[u8] {
        self.entries.value()
    }

    /// The value as a place in its block, which stays when the cursor goes on.
    pub(crate) fn place(&self) -> (Arc<Block>, Range<usize>) {
        self.entries.place()
    }
}

/// The last bytes of a run.
struct Tail {
    index: u64,
    filter: u64,
    entries: u64,
}

impl Tail {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> =
            [self.index, self.filter, self.entries].iter().flat_map(|number| number.to_le_bytes()).collect();
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        bytes.extend_from_slice(TAIL_MAGIC);
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Tail> {
        let (numbers, rest) = bytes.split_at_checked(24)?;
        let (crc, magic) = rest.split_first_chunk::<4>()?;
        let (numbers, _) = numbers.as_chunks::<8>();
        let [index, filter, entries] = numbers else { return None };
        let tail = Tail {
            index: u64::from_le_bytes(*index),
            filter: u64::from_le_bytes(*filter),
            entries: u64::from_le_bytes(*entries),
        };
        let sound =
            magic == TAIL_MAGIC && crc32fast::hash(numbers.as_flattened()) == u32::from_le_bytes(*crc);
        sound.then_some(tail)
    }
}

fn file_header() -> Vec<u8> {
    [MAGIC.as_slice(), &VERSION.to_le_bytes()].concat()
}

/// The file of a run in its folder.
pub(crate) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:08}.run"))
}

#[cfg(test)]
mod tests;
