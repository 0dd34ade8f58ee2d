//! One pass over an object as nearly all are: on one line, of scalars, its texts without rare
//! escapes. Whatever is not so, is `None`, and the record is read in the general way; so this only
//! has to be right about what it takes, not to take everything.

use memchr::{memchr, memchr2};

/// What is left of the text.
pub struct Plain<'a> {
    left: &'a str,
    /// A comma or the end comes next.
    after_member: bool,
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
        let mut plain = Plain { left: text, after_member: false };
        plain.open_object()?;
        Some(plain)
    }

    /// Begins an object that is a member's value.
    pub fn open_object(&mut self) -> Option<()> {
        self.pass(b'{')?;
        self.after_member = false;
        Some(())
    }

    /// The text up to the end of the object that was begun last; the next member's name or, where
    /// there is none, `Some(None)`. `likely` are names that it might have.
    #[expect(clippy::option_option, reason = "what cannot be read is not an end")]
    pub fn member(&mut self, likely: [&str; 2]) -> Option<Option<&'a str>> {
        match self.next()? {
            b'}' => {
                self.skip(1)?;
                self.after_member = true;
                return Some(None);
            }
            b',' if self.after_member => {
                self.skip(1)?;
                self.after_member = false;
                self.next();
            }
            _ if self.after_member => return None,
            _ => {}
        }
        let inside = self.left.strip_prefix('"')?;
        let name = match likely.into_iter().find(|name| is_next(inside, name)) {
            Some(likely) => inside.get(..likely.len())?,
            None => inside.get(..memchr(b'"', inside.as_bytes())?)?,
        };
        self.left = inside.get(name.len() + 1..)?;
        if name.contains('\\') {
            return None;
        }
        self.pass(b':')?;
        self.after_member = true;
        Some(Some(name))
    }

    /// The value that comes next. A text with escapes is unescaped into `room`.
    pub fn scalar<'s>(&mut self, room: &'s mut String) -> Option<Scalar<'s>>
    where
        'a: 's,
    {
        match self.next()? {
            b'"' => {
                let inside = self.left.get(1..)?;
                let end = memchr2(b'"', b'\\', inside.as_bytes())?;
                if inside.as_bytes().get(end) == Some(&b'"') {
                    self.left = inside.get(end + 1..)?;
                    return Some(Scalar::Text(inside.get(..end)?));
                }
                self.left = unescape(inside, end, room)?;
                Some(Scalar::Text(room))
            }
            b'n' => self.word("null").map(|_| Scalar::Null),
            b't' => self.word("true").map(Scalar::Word),
            b'f' => self.word("false").map(Scalar::Word),
            _ => self.number().map(Scalar::Word),
        }
    }

    /// Whether the text is at its end.
    pub fn is_at_end(&mut self) -> bool {
        self.next().is_none()
    }

    fn word(&mut self, word: &str) -> Option<&'a str> {
        let found = self.left.get(..word.len()).filter(|found| *found == word)?;
        self.skip(word.len())?;
        Some(found)
    }

    /// A whole number short enough that nothing about it can be wrong.
    fn number(&mut self) -> Option<&'a str> {
        let sign = usize::from(self.left.starts_with('-'));
        let digits = self.left.get(sign..)?;
        let count = digits.bytes().take(19).take_while(u8::is_ascii_digit).count();
        if count == 0 || count > 18 || (count > 1 && digits.starts_with('0')) {
            return None;
        }
        let number = self.left.get(..sign + count)?;
        self.skip(number.len())?;
        matches!(self.left.as_bytes().first(), Some(b',' | b'}' | b' ')).then_some(number)
    }

    /// The next byte that is no space; spaces before it are passed.
    fn next(&mut self) -> Option<u8> {
        loop {
            let byte = *self.left.as_bytes().first()?;
            if byte != b' ' {
                return Some(byte);
            }
            self.skip(1)?;
        }
    }

    fn pass(&mut self, byte: u8) -> Option<()> {
        if self.next()? != byte {
            return None;
        }
        self.skip(1)?;
        self.next().map(|_| ())
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.left = self.left.get(count..)?;
        Some(())
    }
}

fn is_next(inside: &str, name: &str) -> bool {
    inside.as_bytes().get(name.len()) == Some(&b'"') && inside.as_bytes().starts_with(name.as_bytes())
}

/// Unescapes a string into `room`, from its first byte to its quote; the first backslash is at
/// `escape`. Returns what is left after the quote.
fn unescape<'a>(mut inside: &'a str, mut escape: usize, room: &mut String) -> Option<&'a str> {
    room.clear();
    loop {
        room.push_str(inside.get(..escape)?);
        let code = *inside.as_bytes().get(escape + 1)?;
        let mut taken = 2;
        room.push(match code {
            b'"' | b'\\' | b'/' => char::from(code),
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'u' => {
                taken = 6;
                let digits = inside.get(escape + 2..escape + 6)?;
                if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return None;
                }
                // Not half a UTF-16 pair.
                char::from_u32(u32::from_str_radix(digits, 16).ok()?)?
            }
            _ => return None,
        });
        inside = inside.get(escape + taken..)?;
        escape = memchr2(b'"', b'\\', inside.as_bytes())?;
        if inside.as_bytes().get(escape) == Some(&b'"') {
            room.push_str(inside.get(..escape)?);
            return inside.get(escape + 1..);
        }
    }
}
