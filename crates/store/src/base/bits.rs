//! Numbers of any width in bits, low bits first.

/// Writes bits behind what is in a vector.
pub(super) struct BitWriter<'o> {
    out: &'o mut Vec<u8>,
    /// Bits that do not fill a byte yet, and how many.
    rest: u128,
    length: u32,
}

impl<'o> BitWriter<'o> {
    pub(super) fn new(out: &'o mut Vec<u8>) -> BitWriter<'o> {
        BitWriter { out, rest: 0, length: 0 }
    }

    /// Writes the low `width` bits; at most 64. The others are zero.
    pub(super) fn put(&mut self, number: u64, width: u32) {
        debug_assert!(width_of(number) <= width && width <= 64);
        self.rest |= u128::from(number) << self.length;
        self.length += width;
        while self.length >= 8 {
            self.out.push(self.rest.to_le_bytes()[0]);
            self.rest >>= 8;
            self.length -= 8;
        }
    }

    /// A bit, and the number only if it is not zero.
    pub(super) fn put_unless_zero(&mut self, number: u64, width: u32) {
        self.put(u64::from(number != 0), 1);
        if number != 0 {
            self.put(number, width);
        }
    }

    /// Fills the last byte up.
    pub(super) fn finish(self) {
        if self.length > 0 {
            self.out.push(self.rest.to_le_bytes()[0]);
        }
    }
}

/// Reads what [`BitWriter`] wrote. `None`: there are no more.
pub(super) struct BitReader<'b> {
    bytes: &'b [u8],
    /// Bits read.
    at: usize,
}

impl<'b> BitReader<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> BitReader<'b> {
        BitReader { bytes, at: 0 }
    }

    pub(super) fn take(&mut self, width: u32) -> Option<u64> {
        let end = self.at.checked_add(usize::try_from(width).ok()?)?;
        if end.div_ceil(8) > self.bytes.len() || width > 64 {
            return None;
        }
        let window = self.bytes.get(self.at / 8..)?;
        let window = window.first_chunk::<16>().copied().unwrap_or_else(|| {
            let mut padded = [0; 16];
            padded.iter_mut().zip(window).for_each(|(to, from)| *to = *from);
            padded
        });
        let bits = u128::from_le_bytes(window) >> (self.at % 8) & ((1 << width) - 1);
        self.at = end;
        u64::try_from(bits).ok()
    }

    pub(super) fn take_unless_zero(&mut self, width: u32) -> Option<u64> {
        if self.take(1)? == 0 { Some(0) } else { self.take(width) }
    }
}

/// Bits that a number needs.
pub(super) fn width_of(number: u64) -> u32 {
    u64::BITS - number.leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_width_read_back_one_after_the_other() {
        let numbers: Vec<(u64, u32)> = (0..=64u32)
            .flat_map(|width| [(0, width), (u64::MAX.checked_shr(64 - width).unwrap_or(0), width)])
            .collect();
        let mut bytes = vec![];
        let mut writer = BitWriter::new(&mut bytes);
        for (number, width) in &numbers {
            writer.put(*number, *width);
            writer.put_unless_zero(*number, *width);
        }
        writer.finish();
        let mut reader = BitReader::new(&bytes);
        for (number, width) in &numbers {
            assert_eq!(reader.take(*width), Some(*number), "{width}");
            assert_eq!(reader.take_unless_zero(*width), Some(*number), "{width}");
        }
        assert_eq!(reader.take(8), None);
        assert_eq!(BitReader::new(&[0; 40]).take(65), None);
    }
}
