//! Thrift's compact protocol, in which Parquet writes its footer and the headers of its pages: a struct is
//! fields, each with a number and a kind. What nobody asks for is passed over. Nothing is believed about
//! sizes: every step takes at least a byte of what is there.

use super::Fault;

/// What was not read yet.
#[derive(Clone, Copy)]
pub struct Reader<'f> {
    rest: &'f [u8],
}

/// What kind of value a field or an element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A truth value, which in a field is in its kind already.
    Bool(bool),
    /// A byte.
    Byte,
    /// A whole number of any size.
    Int,
    /// Eight bytes.
    Double,
    /// Bytes with their length.
    Binary,
    /// A list or a set.
    List,
    /// Keys with their values.
    Map,
    /// Fields.
    Struct,
    /// Sixteen bytes.
    Uuid,
}

/// The most values within one another that are passed over.
const MAX_DEPTH: usize = 64;

/// Something begun and not yet passed over.
enum Open {
    Fields,
    Elements(Kind, u64),
    Pairs(Kind, Kind, u64),
}

impl<'f> Reader<'f> {
    /// Reads from the beginning of `bytes`.
    pub fn new(bytes: &'f [u8]) -> Reader<'f> {
        Reader { rest: bytes }
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// Reads a struct: `take` gets each field and says whether it has read it; the others are passed over.
    pub fn fields(
        &mut self,
        take: &mut dyn FnMut(&mut Reader<'f>, i16, Kind) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        let mut last = 0;
        while let Some((number, kind)) = self.field(last)? {
            last = number;
            if !take(self, number, kind)? {
                self.pass(kind)?;
            }
        }
        Ok(())
    }

    /// Begins a list: the kind of its elements and how many there are, each of which takes a byte or more.
    pub fn list(&mut self) -> Result<(Kind, usize), Fault> {
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => usize::try_from(self.varint()?).map_err(|_| Fault::Damage)?,
            count => usize::from(count),
        };
        if count > self.left() {
            return Err(Fault::Damage);
        }
        // Some writers give an empty list no kind.
        let kind = if count == 0 { Kind::Byte } else { kind(head & 15)? };
        Ok((kind, count))
    }

    /// A whole number.
    pub fn int(&mut self) -> Result<i64, Fault> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
    }

    /// Bytes with their length.
    pub fn binary(&mut self) -> Result<&'f [u8], Fault> {
        let length = usize::try_from(self.varint()?).map_err(|_| Fault::Damage)?;
        self.bytes(length)
    }

    /// Passes over a value.
    pub fn pass(&mut self, kind: Kind) -> Result<(), Fault> {
        let mut open = Vec::new();
        self.pass_begin(kind, false, &mut open)?;
        while let Some(innermost) = open.last_mut() {
            let next = match innermost {
                Open::Fields => self.field(0)?.map(|(_, kind)| (kind, false)),
                Open::Elements(_, 0) | Open::Pairs(_, _, 0) => None,
                Open::Elements(kind, left) => {
                    *left -= 1;
                    Some((*kind, true))
                }
                Open::Pairs(key, value, left) => {
                    *left -= 1;
                    let next = if *left % 2 == 1 { *key } else { *value };
                    Some((next, true))
                }
            };
            match next {
                Some((kind, is_element)) => self.pass_begin(kind, is_element, &mut open)?,
                None => _ = open.pop(),
            }
        }
        Ok(())
    }

    /// Passes over a value that has none within it, or begins to.
    fn pass_begin(&mut self, kind: Kind, is_element: bool, open: &mut Vec<Open>) -> Result<(), Fault> {
        match kind {
            Kind::Bool(_) if !is_element => {}
            Kind::Bool(_) | Kind::Byte => _ = self.byte()?,
            Kind::Int => _ = self.varint()?,
            Kind::Double => _ = self.bytes(8)?,
            Kind::Uuid => _ = self.bytes(16)?,
            Kind::Binary => _ = self.binary()?,
            Kind::Struct => open.push(Open::Fields),
            Kind::List => {
                let (kind, count) = self.list()?;
                open.push(Open::Elements(kind, count as u64));
            }
            Kind::Map => {
                let count = self.varint()?;
                if count > 0 {
                    let kinds = self.byte()?;
                    let twice = count.checked_mul(2).ok_or(Fault::Damage)?;
                    open.push(Open::Pairs(self::kind(kinds >> 4)?, self::kind(kinds & 15)?, twice));
                }
            }
        }
        if open.len() > MAX_DEPTH { Err(Fault::Damage) } else { Ok(()) }
    }

    /// The number and kind of a struct's next field; `None` at its end.
    fn field(&mut self, last: i16) -> Result<Option<(i16, Kind)>, Fault> {
        let head = self.byte()?;
        if head == 0 {
            return Ok(None);
        }
        let number = match head >> 4 {
            0 => i16::try_from(self.int()?).map_err(|_| Fault::Damage)?,
            step => last.checked_add(step.into()).ok_or(Fault::Damage)?,
        };
        Ok(Some((number, kind(head & 15)?)))
    }

    fn varint(&mut self) -> Result<u64, Fault> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Fault::Damage)
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        self.bytes(1)?.first().copied().ok_or(Fault::Damage)
    }

    fn bytes(&mut self, count: usize) -> Result<&'f [u8], Fault> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Fault::Damage)?;
        self.rest = rest;
        Ok(taken)
    }
}

fn kind(number: u8) -> Result<Kind, Fault> {
    Ok(match number {
        1 => Kind::Bool(true),
        2 => Kind::Bool(false),
        3 => Kind::Byte,
        4..=6 => Kind::Int,
        7 => Kind::Double,
        8 => Kind::Binary,
        9 | 10 => Kind::List,
        11 => Kind::Map,
        12 => Kind::Struct,
        13 => Kind::Uuid,
        _ => return Err(Fault::Damage),
    })
}
