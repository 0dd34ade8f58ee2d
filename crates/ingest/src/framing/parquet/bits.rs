//! Numbers of a few bits each: packed one behind another, repeated, or as distances.

use super::Fault;

/// The number in `width` bits of `data` (at most 64) from the bit `at` on, the lowest first.
pub fn bits(data: &[u8], at: usize, width: usize) -> Result<u64, Fault> {
    let bytes = data.get(at / 8..(at + width).div_ceil(8)).ok_or(Fault::Damage)?;
    let mut whole = [0; 16];
    let room = whole.get_mut(..bytes.len()).ok_or(Fault::Damage)?;
    room.copy_from_slice(bytes);
    let number = u128::from_le_bytes(whole) >> (at % 8);
    Ok((number & ((1 << width) - 1)) as u64)
}

/// The number at `at` in seven bits a byte, the lowest first; moves `at` behind it.
pub fn varint(data: &[u8], at: &mut usize) -> Result<u64, Fault> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *data.get(*at).ok_or(Fault::Damage)?;
        *at += 1;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Fault::Damage)
}

/// A number with a sign, as [`varint`].
pub fn zigzag(data: &[u8], at: &mut usize) -> Result<i64, Fault> {
    let number = varint(data, at)?;
    Ok((number >> 1).cast_signed() ^ -((number & 1).cast_signed()))
}

/// Numbers in runs, each either of one number or of packed ones.
#[derive(Debug)]
pub struct Runs {
    at: usize,
    end: usize,
    width: usize,
    run: Run,
}

#[derive(Clone, Copy, Debug)]
enum Run {
    Repeated { number: u64, left: u64 },
    Packed { bit: usize, left: u64 },
}

impl Runs {
    /// The runs in `at..end`, of numbers of `width` bits.
    pub fn new(at: usize, end: usize, width: usize) -> Result<Runs, Fault> {
        if width > 32 || at > end {
            return Err(Fault::Damage);
        }
        Ok(Runs { at, end, width, run: Run::Repeated { number: 0, left: 0 } })
    }

    /// The next number in `data`.
    pub fn next(&mut self, data: &[u8]) -> Result<u64, Fault> {
        let data = data.get(..self.end).ok_or(Fault::Damage)?;
        loop {
            match &mut self.run {
                Run::Repeated { left: 0, .. } | Run::Packed { left: 0, .. } => self.begin(data)?,
                Run::Repeated { number, left } => {
                    *left -= 1;
                    return Ok(*number);
                }
                Run::Packed { bit, left } => {
                    *left -= 1;
                    let number = bits(data, *bit, self.width)?;
                    *bit += self.width;
                    return Ok(number);
                }
            }
        }
    }

    /// Begins the next run; each takes a byte at least.
    fn begin(&mut self, data: &[u8]) -> Result<(), Fault> {
        let head = varint(data, &mut self.at)?;
        let count = head >> 1;
        self.run = if head & 1 == 1 {
            let bytes = usize::try_from(count).ok().and_then(|groups| groups.checked_mul(self.width));
            let bit = self.at * 8;
            // The last run may be cut off behind the last number that counts.
            self.at = bytes.and_then(|bytes| self.at.checked_add(bytes)).ok_or(Fault::Damage)?;
            Run::Packed { bit, left: count.saturating_mul(8) }
        } else {
            let bytes = self.width.div_ceil(8);
            let number = bits(data, self.at * 8, bytes * 8)?;
            self.at += bytes;
            Run::Repeated { number, left: count }
        };
        Ok(())
    }
}

/// Whole numbers, each told by how far it is from the one before, in blocks of so many.
#[derive(Clone, Debug)]
pub struct Distances {
    at: usize,
    end: usize,
    /// Of each block: how many parts, and numbers in a part.
    parts: usize,
    in_part: usize,
    left: u64,
    number: i64,
    is_first: bool,
    least: i64,
    /// Where the widths of the block's parts are, which part it is, and how many of its numbers are left.
    widths: usize,
    part: usize,
    left_in_part: usize,
    width: usize,
    bit: usize,
}

impl Distances {
    /// The numbers in `data` from `at` on, at most `most` of them.
    pub fn new(data: &[u8], mut at: usize, most: u64) -> Result<Distances, Fault> {
        let size = |number| usize::try_from(number).ok().filter(|size| (1..=1 << 20).contains(size));
        let block = size(varint(data, &mut at)?).ok_or(Fault::Damage)?;
        let parts = size(varint(data, &mut at)?).ok_or(Fault::Damage)?;
        let left = varint(data, &mut at)?;
        let number = zigzag(data, &mut at)?;
        let in_part = block / parts;
        if in_part == 0 || !in_part.is_multiple_of(8) || left > most {
            return Err(Fault::Damage);
        }
        Ok(Distances {
            at,
            end: data.len(),
            parts,
            in_part,
            left,
            number,
            is_first: true,
            least: 0,
            widths: 0,
            part: parts,
            left_in_part: 0,
            width: 0,
            bit: 0,
        })
    }

    /// Where what follows the numbers begins.
    pub fn end(&self, data: &[u8]) -> Result<usize, Fault> {
        let mut numbers = self.clone();
        while numbers.left > 0 {
            numbers.next(data)?;
        }
        Ok(numbers.at)
    }

    /// The next number.
    pub fn next(&mut self, data: &[u8]) -> Result<i64, Fault> {
        self.left = self.left.checked_sub(1).ok_or(Fault::Damage)?;
        if self.is_first {
            self.is_first = false;
            return Ok(self.number);
        }
        if self.left_in_part == 0 {
            self.begin_part(data)?;
        }
        self.left_in_part -= 1;
        let distance = bits(data, self.bit, self.width)?.cast_signed();
        self.bit += self.width;
        self.number = self.number.wrapping_add(self.least).wrapping_add(distance);
        Ok(self.number)
    }

    fn begin_part(&mut self, data: &[u8]) -> Result<(), Fault> {
        if self.part == self.parts {
            self.least = zigzag(data, &mut self.at)?;
            self.widths = self.at;
            self.at += self.parts;
            self.part = 0;
        }
        self.width = usize::from(*data.get(self.widths + self.part).ok_or(Fault::Damage)?);
        if self.width > 64 {
            return Err(Fault::Damage);
        }
        self.part += 1;
        self.left_in_part = self.in_part;
        self.bit = self.at * 8;
        self.at += self.in_part / 8 * self.width;
        if self.at > self.end { Err(Fault::Damage) } else { Ok(()) }
    }
}
