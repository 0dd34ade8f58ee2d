//! One pass over an object as nearly all are: on one line, of scalars, its texts without rare
//! escapes. Whatever is not so, is `None`, and the record is read in the general way; so this only
//! has to be right about what it takes, not to take everything.

use memchr::{memchr, memchr2};

/// A text, and how far it was read.
pub struct Plain<'a> {
    text: &'a str,
    at: usize,
    /// A comma or the end comes next.
    after_member: bool,
}

/// What comes next in an object.
pub enum Next<'a> {
    /// A member of one of the names that it might have had, by that name's place among them.
    Likely(usize),
    /// A member of another name.
    Member(&'a str),
    /// The object's end.
    End,
}

/// A member's value.
pub enum Scalar<'s> {
    /// `null`.
    Null,
    /// A string, unescaped.
    Text(&'s str),
    /// A number or a truth value, as it is written.
    Word(&'s str),
}

impl<'s> Scalar<'s> {
    /// The text that stands for it in a cell.
    pub fn text(self) -> Option<&'s str> {
        match self {
            Scalar::Null => None,
            Scalar::Text(text) | Scalar::Word(text) => Some(text),
        }
    }
}

impl<'a> Plain<'a> {
    /// Begins a text that is one object.
    pub fn open(text: &'a str) -> Option<Plain<'a>> {
        // One look at the whole text spares one at each string: none may hold a control character.
        if text.bytes().fold(false, |any, byte| any | (byte < b' ')) {
            return None;
        }
        let mut plain = Plain { text, at: 0, after_member: false };
        plain.open_object()?;
        Some(plain)
    }

    /// Begins an object that is a member's value.
    pub fn open_object(&mut self) -> Option<()> {
        self.pass(b'{')?;
        self.after_member = false;
        Some(())
    }

    /// What comes next in the object that was begun last and did not end; its value comes after
    /// it. `likely` are names that it might have.
    pub fn member(&mut self, likely: [&str; 2]) -> Option<Next<'a>> {
        match self.next()? {
            b'}' => {
                self.at += 1;
                self.after_member = true;
                return Some(Next::End);
            }
            b',' if self.after_member => self.at += 1,
            _ if self.after_member => return None,
            _ => {}
        }
        self.pass(b'"')?;
        let inside = self.text.as_bytes().get(self.at..)?;
        let (next, length) = match likely.iter().position(|name| is_next(inside, name.as_bytes())) {
            Some(place) => (Next::Likely(place), likely.get(place)?.len()),
            None => {
                let length = memchr(b'"', inside)?;
                let name = self.text.get(self.at..self.at + length)?;
                if memchr(b'\\', name.as_bytes()).is_some() {
                    return None;
                }
                (Next::Member(name), length)
            }
        };
        self.at += length + 1;
        self.pass(b':')?;
        self.after_member = true;
        Some(next)
    }

    /// The value that comes next. A text with escapes is unescaped into `room`.
    pub fn scalar<'s>(&mut self, room: &'s mut String) -> Option<Scalar<'s>>
    where
        'a: 's,
    {
        match self.next()? {
            b'"' => {
                let begin = self.at + 1;
                let inside = self.text.as_bytes().get(begin..)?;
                let end = memchr2(b'"', b'\\', inside)?;
                if inside.get(end) == Some(&b'"') {
                    self.at = begin + end + 1;
                    return Some(Scalar::Text(self.text.get(begin..begin + end)?));
                }
                self.at += 1;
                self.unescape(end, room)?;
                Some(Scalar::Text(room))
            }
            b'n' => self.word(b"null").map(|_| Scalar::Null),
            b't' => self.word(b"true").map(Scalar::Word),
            b'f' => self.word(b"false").map(Scalar::Word),
            _ => self.number().map(Scalar::Word),
        }
    }

    /// Whether the text is at its end.
    pub fn is_at_end(&mut self) -> bool {
        self.next().is_none()
    }

    fn word(&mut self, word: &[u8]) -> Option<&'a str> {
        self.text.as_bytes().get(self.at..)?.starts_with(word).then_some(())?;
        let begin = self.at;
        self.at += word.len();
        self.text.get(begin..self.at)
    }

    /// A whole number short enough that nothing about it can be wrong.
    fn number(&mut self) -> Option<&'a str> {
        let begin = self.at;
        let digits = self.text.as_bytes().get(begin..)?;
        let digits = digits.strip_prefix(b"-").unwrap_or(digits);
        let count = digits.iter().take(19).take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 || count > 18 || (count > 1 && digits.starts_with(b"0")) {
            return None;
        }
        self.at = self.text.len() - digits.len() + count;
        matches!(digits.get(count), Some(b',' | b'}' | b' ')).then_some(())?;
        self.text.get(begin..self.at)
    }

    /// Unescapes a string into `room`, from here to its quote; the first backslash is after so many
    /// bytes.
    fn unescape(&mut self, mut plain: usize, room: &mut String) -> Option<()> {
        room.clear();
        loop {
            room.push_str(self.text.get(self.at..self.at + plain)?);
            self.at += plain + 2;
            let code = *self.text.as_bytes().get(self.at - 1)?;
            room.push(match code {
                b'"' | b'\\' | b'/' => char::from(code),
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'u' => {
                    let digits = self.text.get(self.at..self.at + 4)?;
                    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                        return None;
                    }
                    self.at += 4;
                    // Not half a UTF-16 pair.
                    char::from_u32(u32::from_str_radix(digits, 16).ok()?)?
                }
                _ => return None,
            });
            let left = self.text.as_bytes().get(self.at..)?;
            plain = memchr2(b'"', b'\\', left)?;
            if left.get(plain) == Some(&b'"') {
                room.push_str(self.text.get(self.at..self.at + plain)?);
                self.at += plain + 1;
                return Some(());
            }
        }
    }

    /// The next byte that is no space; spaces before it are passed.
    fn next(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.as_bytes().get(self.at)?;
            if byte != b' ' {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    fn pass(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())?;
        self.at += 1;
        Some(())
    }
}

fn is_next(inside: &[u8], name: &[u8]) -> bool {
    inside.get(name.len()) == Some(&b'"') && inside.starts_with(name)
}
