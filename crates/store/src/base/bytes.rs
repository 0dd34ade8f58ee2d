//! Whole numbers in bytes.

/// LEB128: seven bits a byte, low bits first.
pub(crate) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Reads what [`put`] wrote.
pub(crate) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Reads a length or a count, and as many bytes.
pub(crate) fn take_slice<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = usize::try_from(take(bytes)?).ok()?;
    let (slice, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(slice)
}

/// As many low bytes as the number needs, low bytes first; at most seven. Returns how many.
pub(crate) fn put_short(out: &mut Vec<u8>, number: u64) -> u8 {
    let bytes = number.min(MAX_SHORT).to_le_bytes();
    let length = 8 - bytes.iter().rev().take_while(|byte| **byte == 0).count();
    out.extend(bytes.iter().take(length));
    u8::try_from(length).unwrap_or(7)
}

const MAX_SHORT: u64 = (1 << 56) - 1;

/// Reads what [`put_short`] wrote.
pub(crate) fn take_short(bytes: &mut &[u8], length: u8) -> Option<u64> {
    let (taken, rest) = bytes.split_at_checked(usize::from(length))?;
    *bytes = rest;
    Some(taken.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}
