//! Blocks of LZ4, unpacked into no more memory than they can fill.

/// No byte of a block stands for more: a length goes on in bytes of 255 each.
const MOST_A_BYTE: usize = 255;

/// Unpacks a block that says how long it is unpacked. `None`: it is not what was packed.
pub(crate) fn unpack(packed: &[u8], length: usize) -> Option<Vec<u8>> {
    if length > packed.len().saturating_mul(MOST_A_BYTE) {
        return None;
    }
    lz4_flex::block::decompress(packed, length).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_packs_best_is_unpacked_and_what_claims_more_is_not() {
        for length in [1, 100, 10_000, 16 << 20] {
            let plain = vec![7; length];
            let packed = lz4_flex::block::compress(&plain);
            assert_eq!(unpack(&packed, length), Some(plain));
            assert_eq!(unpack(&packed, packed.len() * MOST_A_BYTE + 1), None);
        }
        assert_eq!(unpack(&[], 1 << 30), None);
    }
}
