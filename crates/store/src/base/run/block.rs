//! A block: some entries in ascending order, packed together, with a checksum around them.
//!
//! Stored as `[stored length u32][plain length u32][crc32 u32][bytes]`, little-endian; the checksum
//! covers both lengths and the bytes, which are an LZ4 block, or plain if that is no shorter. Plain
//! it is entries one after the other: how many bytes of the key are those of the key before, how
//! many follow, how many the value has (LEB128), then both.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::atomic::{self, AtomicBool};
use std::sync::{Arc, OnceLock};

use crate::base::bytes::{put, take};
use crate::lz4;

/// Bytes before a block's own.
pub(crate) const HEADER_BYTES: usize = 12;
/// A block is closed once it is larger, so that a lookup reads little. One value may be more.
const TARGET_BYTES: usize = 16 << 10;
/// So many entries of a block lie between two of its restart points.
const ENTRIES_A_RESTART: usize = 16;
/// No block claims more; what does is damage.
const MAX_PLAIN_BYTES: usize = 1 << 30;

/// A block being filled.
#[derive(Default)]
pub(crate) struct BlockBuilder {
    plain: Vec<u8>,
    last_key: Vec<u8>,
}

impl BlockBuilder {
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) {
        let shared = self.last_key.iter().zip(key).take_while(|(one, other)| one == other).count();
        let own = key.get(shared..).unwrap_or_default();
        put(&mut self.plain, shared as u64);
        put(&mut self.plain, own.len() as u64);
        put(&mut self.plain, value.len() as u64);
        self.plain.extend_from_slice(own);
        self.plain.extend_from_slice(value);
        self.last_key.truncate(shared);
        self.last_key.extend_from_slice(own);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.plain.is_empty()
    }

    /// Whether it holds enough, with a value of so many bytes more.
    pub(crate) fn is_full_with(&self, more: usize) -> bool {
        !self.is_empty() && self.plain.len() + more > TARGET_BYTES
    }

    /// The block as it is stored; empty again afterwards.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let stored = store(&self.plain);
        self.plain.clear();
        self.last_key.clear();
        stored
    }
}

/// Packs bytes as blocks are.
pub(crate) fn store(plain: &[u8]) -> Vec<u8> {
    let packed = lz4_flex::block::compress(plain);
    let bytes = if packed.len() < plain.len() { packed.as_slice() } else { plain };
    let mut stored = Vec::with_capacity(HEADER_BYTES + bytes.len());
    stored.extend_from_slice(&length(bytes.len()));
    stored.extend_from_slice(&length(plain.len()));
    stored.extend_from_slice(&checksum(&stored, bytes).to_le_bytes());
    stored.extend_from_slice(bytes);
    stored
}

/// Unpacks what [`store`] packed. The error says what is wrong.
pub(crate) fn load(stored: Vec<u8>) -> Result<Vec<u8>, &'static str> {
    let (lengths, rest) = stored.split_first_chunk::<8>().ok_or("a block is cut short")?;
    let (crc, bytes) = rest.split_first_chunk::<4>().ok_or("a block is cut short")?;
    let (stored_length, plain_length) = lengths_of(lengths);
    if bytes.len() != stored_length {
        return Err("a block is not as long as it says");
    }
    if checksum(lengths, bytes) != u32::from_le_bytes(*crc) {
        return Err("the checksum does not match");
    }
    if plain_length == stored_length {
        return Ok(bytes.to_vec());
    }
    if plain_length > MAX_PLAIN_BYTES {
        return Err("a block claims to be larger than one can be");
    }
    lz4::unpack(bytes, plain_length).ok_or("a block does not unpack")
}

/// The length of the whole block that begins with these bytes.
pub(crate) fn stored_length(header: &[u8; HEADER_BYTES]) -> u64 {
    let lengths = header.first_chunk::<8>().copied().unwrap_or_default();
    HEADER_BYTES as u64 + lengths_of(&lengths).0 as u64
}

fn lengths_of(lengths: &[u8; 8]) -> (usize, usize) {
    let at = |from: usize| {
        let bytes = lengths.get(from..).and_then(|bytes| bytes.first_chunk()).copied().unwrap_or_default();
        usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX)
    };
    (at(0), at(4))
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes()
}

fn checksum(lengths: &[u8], bytes: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(lengths);
    crc.update(bytes);
    crc.finalize()
}

/// A block, unpacked.
#[derive(Default)]
pub(crate) struct Block {
    plain: Vec<u8>,
    /// Whether a key was sought in it before: who does so once pays for no restart points.
    is_sought: AtomicBool,
    restarts: OnceLock<Restarts>,
}

impl Block {
    pub(crate) fn of(plain: Vec<u8>) -> Block {
        Block { plain, ..Block::default() }
    }

    /// Bytes of memory that it takes, with restart points: these are about a twentieth.
    pub(crate) fn weight(&self) -> usize {
        self.plain.len() + self.plain.len() / 16 + size_of::<Block>()
    }

    /// Some of its bytes.
    pub(crate) fn get(&self, range: Range<usize>) -> Option<&[u8]> {
        self.plain.get(range)
    }

    /// Its restart points, from the second time on.
    fn restarts(&self) -> Option<&Restarts> {
        let is_again = self.is_sought.swap(true, atomic::Ordering::Relaxed);
        is_again.then(|| self.restarts.get_or_init(|| Restarts::of(&self.plain)))
    }
}

/// Restart points of a block, some of its entries: what is sought is walked to from the last of these before it.
#[derive(Default)]
struct Restarts {
    /// Where each begins, and the end of its key in `keys`.
    places: Vec<(u32, u32)>,
    keys: Vec<u8>,
}

impl Restarts {
    fn of(plain: &[u8]) -> Restarts {
        let (mut restarts, mut key, mut begin) = (Restarts::default(), Vec::new(), 0);
        for number in 0usize.. {
            // Where something is no entry, whoever walks as far comes upon it.
            let Some(Some(Step { shared, own, value })) = step(plain, begin, key.len()) else { break };
            key.truncate(shared);
            key.extend_from_slice(plain.get(own).unwrap_or_default());
            if number > 0 && number.is_multiple_of(ENTRIES_A_RESTART) {
                // No block is so large that a place in it is more; what is not marked is walked to.
                let ends = restarts.keys.len() + key.len();
                let (Ok(begin), Ok(end)) = (u32::try_from(begin), u32::try_from(ends)) else { break };
                restarts.keys.extend_from_slice(&key);
                restarts.places.push((begin, end));
            }
            begin = value.end;
        }
        restarts
    }

    /// The last one whose key is less than `target`: where it begins, and its key.
    fn before(&self, target: &[u8]) -> Option<(usize, &[u8])> {
        let key = |place: usize| {
            let before = place.checked_sub(1).and_then(|before| self.places.get(before));
            let (begin, end) = (before.map_or(0, |restart| restart.1), self.places.get(place)?.1);
            self.keys.get(usize::try_from(begin).ok()?..usize::try_from(end).ok()?)
        };
        let (mut low, mut high) = (0, self.places.len());
        while low < high {
            let middle = low.midpoint(high);
            if key(middle)? < target { low = middle + 1 } else { high = middle }
        }
        let place = low.checked_sub(1)?;
        Some((usize::try_from(self.places.get(place)?.0).ok()?, key(place)?))
    }
}

/// An entry: how many bytes of its key are those of the key before, and where its own and its value are, with
/// which it ends.
struct Step {
    shared: usize,
    own: Range<usize>,
    value: Range<usize>,
}

/// The entry that begins at a place of a block, behind one whose key is so long. `Some(None)`: there is none;
/// `None`: this is no entry.
fn step(plain: &[u8], begin: usize, length: usize) -> Option<Option<Step>> {
    let mut rest = plain.get(begin..)?;
    if rest.is_empty() {
        return Some(None);
    }
    // What is larger than memory can be is the length of nothing: this is no entry then.
    let length_at = |bytes: &mut &[u8]| usize::try_from(take(bytes)?).ok();
    let (shared, own, value) = (length_at(&mut rest)?, length_at(&mut rest)?, length_at(&mut rest)?);
    let from = plain.len() - rest.len();
    let until = from.checked_add(own)?;
    let end = until.checked_add(value)?;
    if shared > length || end > plain.len() {
        return None;
    }
    Some(Some(Step { shared, own: from..until, value: until..end }))
}

/// The entries of a block, one after the other.
#[derive(Default)]
pub(crate) struct Entries {
    block: Arc<Block>,
    next: usize,
    key: Vec<u8>,
    value: Range<usize>,
}

impl Entries {
    pub(crate) fn of(block: Arc<Block>) -> Entries {
        Entries { block, ..Entries::default() }
    }

    /// Goes to the next entry. `Some(false)`: there is none; `None`: this is no entry.
    pub(crate) fn advance(&mut self) -> Option<bool> {
        let Some((shared, own)) = self.step(self.key.len())? else { return Some(false) };
        self.key.truncate(shared);
        self.key.extend_from_slice(self.block.plain.get(own)?);
        Some(true)
    }

    /// Goes to the value of the next entry, without its key, behind a key that is so long: gives how many bytes
    /// of it are shared, and where its own are. `Some(None)`: there is none; `None`: this is no entry.
    fn step(&mut self, length: usize) -> Option<Option<(usize, Range<usize>)>> {
        let Some(Step { shared, own, value }) = step(&self.block.plain, self.next, length)? else {
            return Some(None);
        };
        (self.next, self.value) = (value.end, value);
        Some(Some((shared, own)))
    }

    /// To the first entry whose key is not less than `target`. `Some(false)`: there is
    /// none; `None`: something is no entry.
    ///
    /// By how much an entry shares with the key before it is nearly always known on which side of the
    /// target it lies: no key is put together and compared on the way.
    pub(crate) fn seek(&mut self, target: &[u8]) -> Option<bool> {
        let common =
            |one: &[u8], other: &[u8]| one.iter().zip(other).take_while(|(one, other)| one == other).count();
        let block = Arc::clone(&self.block);
        // Of the key before: how much of the target it begins with, and its length.
        let (mut matched, mut length) = (0, 0);
        if let Some((begin, key)) = block.restarts().and_then(|restarts| restarts.before(target)) {
            (matched, length, self.next) = (common(key, target), key.len(), begin);
            self.step(length)??;
        }
        loop {
            let Some((shared, own)) = self.step(length)? else { return Some(false) };
            let own = block.plain.get(own)?;
            length = shared + own.len();
            let is_less = match shared.cmp(&matched) {
                // It differs from the target where the one before did.
                Ordering::Greater => true,
                // It is greater than the one before where that one was the target's.
                Ordering::Less => false,
                Ordering::Equal => {
                    let left = target.get(matched..).unwrap_or_default();
                    let more = common(own, left);
                    let is_less = own.get(more) < left.get(more);
                    matched += more;
                    is_less
                }
            };
            if !is_less {
                self.key.clear();
                self.key.extend_from_slice(target.get(..shared)?);
                self.key.extend_from_slice(own);
                return Some(true);
            }
        }
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    pub(crate) fn value(&self) -> &[u8] {
        self.block.plain.get(self.value.clone()).unwrap_or_default()
    }

    /// The value as a place in the block.
    pub(crate) fn place(&self) -> (Arc<Block>, Range<usize>) {
        (Arc::clone(&self.block), self.value.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_read_back_as_they_were_written() {
        let entries: Vec<(Vec<u8>, Vec<u8>)> =
            (0..500u32).map(|n| (format!("tenant/{n:05}").into_bytes(), vec![7; n as usize % 300])).collect();
        let mut builder = BlockBuilder::default();
        entries.iter().for_each(|(key, value)| builder.push(key, value));
        let mut read = Entries::of(Arc::new(Block::of(load(builder.finish()).unwrap())));
        for (key, value) in &entries {
            assert_eq!(read.advance(), Some(true));
            assert_eq!((read.key(), read.value()), (key.as_slice(), value.as_slice()));
        }
        assert_eq!(read.advance(), Some(false));
        assert!(builder.is_empty());
    }

    #[test]
    fn a_key_is_sought_as_if_one_entry_after_the_other_were_read() {
        // Of three letters up to four long, so that keys share much and are each other's beginnings.
        let all: Vec<Vec<u8>> = (0..=4u32)
            .flat_map(|length| (0..3u32.pow(length)).map(move |n| (length, n)))
            .map(|(length, n)| (0..length).map(|place| b'a' + (n / 3u32.pow(place) % 3) as u8).collect())
            .collect();
        for step in [1, 2, 3, 7, 50] {
            let mut keys: Vec<&Vec<u8>> = all.iter().skip(1).step_by(step).collect();
            keys.sort();
            let mut builder = BlockBuilder::default();
            keys.iter().for_each(|key| builder.push(key, key));
            let plain = load(builder.finish()).unwrap();
            assert_eq!(Restarts::of(&plain).places.len(), (keys.len() - 1) / ENTRIES_A_RESTART);
            // The first time without restart points, then with them.
            for (target, again) in all.iter().flat_map(|target| [(target, false), (target, true)]) {
                let block = Arc::new(Block::of(plain.clone()));
                block.is_sought.store(again, atomic::Ordering::Relaxed);
                let mut sought = Entries::of(block);
                let expected = keys.iter().position(|key| *key >= target);
                assert_eq!(sought.seek(target), Some(expected.is_some()), "{step} {target:?}");
                // From there on it goes as before.
                for key in keys.iter().skip(expected.unwrap_or(keys.len())) {
                    assert_eq!((sought.key(), sought.value()), (key.as_slice(), key.as_slice()));
                    sought.advance().unwrap();
                }
                assert_eq!(sought.advance(), Some(false));
            }
        }
    }

    #[test]
    fn any_flipped_bit_and_any_missing_end_is_noticed() {
        let stored = store(b"what was written, what was written, what was written");
        assert!(load(stored.clone()).is_ok());
        for place in 0..stored.len() {
            for bit in 0..8 {
                let mut flipped = stored.clone();
                flipped[place] ^= 1 << bit;
                assert!(load(flipped).is_err(), "{place} {bit}");
            }
            assert!(load(stored[..place].to_vec()).is_err(), "{place}");
        }
    }

    #[test]
    fn bytes_that_are_no_entries_end_a_block_without_a_panic() {
        for bytes in [&[0x80][..], &[1, 0, 0], &[0, 9, 0], &[0, 0, 9], &[0xff; 30]] {
            let block = Arc::new(Block::of(bytes.to_vec()));
            assert_eq!(Entries::of(Arc::clone(&block)).advance(), None, "{bytes:?}");
            for _ in 0..2 {
                assert_eq!(Entries::of(Arc::clone(&block)).seek(b"key"), None, "{bytes:?}");
            }
        }
    }
}
