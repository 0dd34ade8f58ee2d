//! Where a run's blocks lie, and with which keys they begin.

use crate::base::bytes::{put, take, take_slice};

/// The blocks of a run in order.
#[derive(Default)]
pub(crate) struct Index {
    /// The beginnings of all blocks' first keys, one after the other.
    keys: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
    /// Where each block begins in the file, then where the last one ends.
    offsets: Vec<u64>,
}

impl Index {
    /// An index of blocks that begin at this offset of the file.
    pub(crate) fn starting_at(offset: u64) -> Index {
        Index { offsets: vec![offset], ..Index::default() }
    }

    /// Adds a block of so many bytes, whose first key is `first`, after one whose last key was
    /// `before`. As little of the key is kept as tells the two apart.
    pub(crate) fn push(&mut self, before: &[u8], first: &[u8], length: u64) {
        let shared = before.iter().zip(first).take_while(|(one, other)| one == other).count();
        self.keys.extend_from_slice(first.get(..shared + 1).unwrap_or(first));
        self.ends.push(self.keys.len());
        self.offsets.push(self.end() + length);
    }

    /// Where the last block ends.
    pub(crate) fn end(&self) -> u64 {
        self.offsets.last().copied().unwrap_or_default()
    }

    pub(crate) fn blocks(&self) -> usize {
        self.ends.len()
    }

    /// Where a block lies: offset and length.
    pub(crate) fn block(&self, number: usize) -> Option<(u64, u64)> {
        let (from, to) = (self.offsets.get(number)?, self.offsets.get(number + 1)?);
        Some((*from, to - from))
    }

    /// The only block that can hold this key, and the first that can hold one that begins with it.
    pub(crate) fn find(&self, key: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.key(middle) <= key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low.saturating_sub(1)
    }

    fn key(&self, number: usize) -> &[u8] {
        let from = number.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let to = self.ends.get(number).copied().unwrap_or(from);
        self.keys.get(from..to).unwrap_or_default()
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.keys.len() + self.ends.len() * 4 + 16);
        put(&mut bytes, self.offsets.first().copied().unwrap_or_default());
        put(&mut bytes, self.blocks() as u64);
        for number in 0..self.blocks() {
            let key = self.key(number);
            put(&mut bytes, key.len() as u64);
            bytes.extend_from_slice(key);
            put(&mut bytes, self.block(number).map_or(0, |(_, length)| length));
        }
        bytes
    }

    /// Reads what [`Index::to_bytes`] wrote. `None`: it did not write this.
    pub(crate) fn from_bytes(mut bytes: &[u8]) -> Option<Index> {
        let mut index = Index::starting_at(take(&mut bytes)?);
        for _ in 0..take(&mut bytes)? {
            index.keys.extend_from_slice(take_slice(&mut bytes)?);
            index.ends.push(index.keys.len());
            index.offsets.push(index.end().checked_add(take(&mut bytes)?)?);
        }
        bytes.is_empty().then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_looked_for_in_the_only_block_that_can_hold_it() {
        let mut index = Index::starting_at(12);
        for (before, first, length) in
            [(&b""[..], &b"bad"[..], 10), (b"cab", b"cage", 20), (b"dad", b"fad", 30)]
        {
            index.push(before, first, length);
        }
        let index = Index::from_bytes(&index.to_bytes()).unwrap();
        for (key, block) in
            [("a", 0), ("bad", 0), ("cab", 0), ("cag", 1), ("cage", 1), ("dad", 1), ("fad", 2), ("z", 2)]
        {
            assert_eq!(index.find(key.as_bytes()), block, "{key}");
        }
        assert_eq!(index.block(1), Some((22, 20)));
        assert_eq!((index.blocks(), index.end(), index.block(3)), (3, 72, None));
    }

    #[test]
    fn what_is_no_index_is_not_read() {
        for bytes in [&[][..], &[0, 1], &[0, 1, 200], &[0, 0, 7]] {
            assert!(Index::from_bytes(bytes).is_none(), "{bytes:?}");
        }
    }
}
