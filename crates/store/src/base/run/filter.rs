//! Which keys a run may hold: a Bloom filter whose bits for one key lie in one cache line, so that
//! asking for what is not there costs one look at memory.

use xxhash_rust::xxh3::xxh3_64;

const BITS_A_KEY: usize = 10;
/// 512 bits.
const WORDS_A_LINE: usize = 8;
/// Bits set for a key: nine of them fit in the hash beside the line's number.
const PROBES: u32 = 6;

/// A filter. One without lines holds every key.
#[derive(Default)]
pub(crate) struct Filter {
    words: Vec<u64>,
}

impl Filter {
    /// An empty filter for about so many keys.
    pub(crate) fn for_keys(keys: u64) -> Filter {
        let bits = usize::try_from(keys).unwrap_or(usize::MAX).saturating_mul(BITS_A_KEY);
        let lines = bits.div_ceil(WORDS_A_LINE * 64).clamp(1, 1 << 27);
        Filter { words: vec![0; lines * WORDS_A_LINE] }
    }

    pub(crate) fn insert(&mut self, key: &[u8]) {
        let hash = xxh3_64(key);
        let line = self.line(hash);
        for (word, bit) in bits(hash) {
            if let Some(word) = self.words.get_mut(line + word) {
                *word |= bit;
            }
        }
    }

    /// Whether the key may be there. A no is certain.
    pub(crate) fn may_hold(&self, key: &[u8]) -> bool {
        let hash = xxh3_64(key);
        let line = self.line(hash);
        bits(hash).all(|(word, bit)| self.words.get(line + word).is_none_or(|word| word & bit != 0))
    }

    fn line(&self, hash: u64) -> usize {
        let lines = (self.words.len() / WORDS_A_LINE) as u128;
        // The high bits of the hash, scaled down to the number of lines.
        usize::try_from((u128::from(hash) * lines) >> 64).unwrap_or(0) * WORDS_A_LINE
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Reads what [`Filter::to_bytes`] wrote. `None`: it did not write this.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Filter> {
        let (words, rest) = bytes.as_chunks::<8>();
        let whole = rest.is_empty() && !words.is_empty() && words.len() % WORDS_A_LINE == 0;
        whole.then(|| Filter { words: words.iter().map(|word| u64::from_le_bytes(*word)).collect() })
    }
}

/// The bits of a key within its line, as word and bit. Taken from another mix of the hash than the
/// line is, since keys of one line share its high bits.
fn bits(hash: u64) -> impl Iterator<Item = (usize, u64)> {
    let mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..PROBES).map(move |probe| {
        let place = mixed >> (probe * 9) & 511;
        (usize::try_from(place >> 6).unwrap_or(0), 1 << (place & 63))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_found_and_little_else() {
        let mut filter = Filter::for_keys(10_000);
        (0..10_000u32).for_each(|n| filter.insert(&n.to_le_bytes()));
        let read = Filter::from_bytes(&filter.to_bytes()).unwrap();
        assert!((0..10_000u32).all(|n| read.may_hold(&n.to_le_bytes())));
        let wrong = (10_000..110_000u32).filter(|n| read.may_hold(&n.to_le_bytes())).count();
        assert!(wrong < 2_500, "{wrong} of 100,000");
    }

    #[test]
    fn one_without_lines_holds_every_key() {
        assert!(Filter::default().may_hold(b"anything"));
        assert!(Filter::from_bytes(&[0; 63]).is_none());
    }
}
