//! A block: some entries in ascending order, packed together, with a checksum around them.
//!
//! Stored as `[stored length u32][plain length u32][crc32 u32][bytes]`, little-endian; the checksum
//! covers both lengths and the bytes, which are an LZ4 block, or plain if that is no shorter. Plain
//! it is entries one after the other: how many bytes of the key are those of the key before, how
//! many follow, how many the value has (LEB128), then both.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use crate::base::bytes::{put, take};

/// Bytes before a block's own.
pub(crate) const HEADER_BYTES: usize = 12;
/// A block is closed once it is larger, so that a lookup reads little. One value may be more.
const TARGET_BYTES: usize = 16 << 10;
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
    lz4_flex::block::decompress(bytes, plain_length).map_err(|_| "a block does not unpack")
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

/// The entries of a block, one after the other.
#[derive(Default)]
pub(crate) struct Entries {
    plain: Arc<Vec<u8>>,
    next: usize,
    key: Vec<u8>,
    value: Range<usize>,
}

impl Entries {
    pub(crate) fn of(plain: Arc<Vec<u8>>) -> Entries {
        Entries { plain, ..Entries::default() }
    }

    /// Goes to the next entry. `Some(false)`: there is none; `None`: this is no entry.
    pub(crate) fn advance(&mut self) -> Option<bool> {
        let Some((shared, own)) = self.step(self.key.len())? else { return Some(false) };
        self.key.truncate(shared);
        self.key.extend_from_slice(self.plain.get(own)?);
        Some(true)
    }

    /// Goes to the value of the next entry, without its key: how many bytes that shares with the key
    /// before, which is so long, and where its own are. `Some(None)`: there is none; `None`: this is no
    /// entry.
    fn step(&mut self, length: usize) -> Option<Option<(usize, Range<usize>)>> {
        let mut rest = self.plain.get(self.next..)?;
        if rest.is_empty() {
            return Some(None);
        }
        let number = |bytes: &mut &[u8]| usize::try_from(take(bytes)?).ok();
        let (shared, own, value) = (number(&mut rest)?, number(&mut rest)?, number(&mut rest)?);
        let from = self.plain.len() - rest.len();
        let until = from.checked_add(own)?;
        let end = until.checked_add(value)?;
        if shared > length || end > self.plain.len() {
            return None;
        }
        (self.value, self.next) = (until..end, end);
        Some(Some((shared, from..until)))
    }

    /// From the start to the first entry whose key is not less than `target`. `Some(false)`: there is
    /// none; `None`: something is no entry.
    ///
    /// By how much an entry shares with the key before it is nearly always known on which side of the
    /// target it lies: no key is put together and compared on the way.
    pub(crate) fn seek(&mut self, target: &[u8]) -> Option<bool> {
        // Of the key before: how much of the target it begins with, and its length.
        let (mut matched, mut length) = (0, 0);
        loop {
            let Some((shared, own)) = self.step(length)? else { return Some(false) };
            let own = self.plain.get(own)?;
            length = shared + own.len();
            let is_less = match shared.cmp(&matched) {
                // It differs from the target where the one before did.
                Ordering::Greater => true,
                // It is greater than the one before where that one was the target's.
                Ordering::Less => false,
                Ordering::Equal => {
                    let left = target.get(matched..).unwrap_or_default();
                    let common = own.iter().zip(left).take_while(|(one, other)| one == other).count();
                    let is_less = own.get(common) < left.get(common);
                    matched += common;
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
        self.plain.get(self.value.clone()).unwrap_or_default()
    }

    /// The value as a place in the block.
    pub(crate) fn place(&self) -> (Arc<Vec<u8>>, Range<usize>) {
        (Arc::clone(&self.plain), self.value.clone())
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
        let mut read = Entries::of(Arc::new(load(builder.finish()).unwrap()));
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
            let block = Arc::new(load(builder.finish()).unwrap());
            for target in &all {
                let mut sought = Entries::of(Arc::clone(&block));
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
            assert_eq!(Entries::of(Arc::new(bytes.to_vec())).advance(), None, "{bytes:?}");
            assert_eq!(Entries::of(Arc::new(bytes.to_vec())).seek(b"key"), None, "{bytes:?}");
        }
    }
}
