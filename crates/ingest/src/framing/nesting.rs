//! Where a JSON value ends, found without keeping it: brackets, strings and escapes, fed in pieces
//! of any size. It sees enough of the grammar to notice that a value was cut off and another one
//! begins; whether the value is good JSON is the decoder's question.

use memchr::memchr3;

/// The deepest nesting followed; the same depth at which the JSON parser gives up.
const MAX_DEPTH: u32 = 127;

/// How far into one value the scan has come.
#[derive(Clone, Copy, Default)]
pub struct Nesting {
    /// One bit a level, the innermost lowest: set for an object, clear for an array.
    objects: u128,
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// The last byte outside strings that was no space.
    before: u8,
    /// Whether a line end stops the value.
    on_one_line: bool,
}

/// What a piece of input did.
#[derive(Debug, PartialEq, Eq)]
pub enum Fed {
    /// The value ends after so many bytes of the piece.
    Ended(usize),
    /// The value goes on after the piece.
    Open,
    /// At this byte of the piece it stopped being a value.
    Broken(usize),
}

impl Nesting {
    /// A scan that begins inside an object, after one of its values.
    pub fn inside_object() -> Nesting {
        Nesting { objects: 1, depth: 1, before: b']', ..Nesting::default() }
    }

    /// A scan of a value that is no value any more where its line ends.
    pub fn on_one_line() -> Nesting {
        Nesting { on_one_line: true, ..Nesting::default() }
    }

    fn in_object(&self) -> bool {
        self.depth > 0 && self.objects & 1 == 1
    }

    /// Takes the next bytes of the value.
    pub fn feed(&mut self, bytes: &[u8]) -> Fed {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let Some(step) = (if self.in_string { self.string(rest) } else { self.structure(rest) }) else {
                // A string is cut off at a line end: the fault is the first byte that is not its own.
                let fault = if self.in_string { memchr::memchr(b'\n', rest).unwrap_or(0) } else { 0 };
                return Fed::Broken(at + fault);
            };
            at += step;
            if self.depth == 0 && !self.in_string {
                return Fed::Ended(at);
            }
        }
        Fed::Open
    }

    /// Bytes of a string; `None` at a line end, which no JSON string can hold.
    fn string(&mut self, rest: &[u8]) -> Option<usize> {
        if self.escaped {
            self.escaped = false;
            // Not even an escaped one.
            return (rest.first() != Some(&b'\n')).then_some(1);
        }
        let Some(place) = memchr3(b'"', b'\\', b'\n', rest) else {
            return Some(rest.len());
        };
        match rest.get(place) {
            Some(b'"') => {
                self.in_string = false;
                self.before = b'"';
            }
            Some(b'\\') => self.escaped = true,
            _ => return None,
        }
        Some(place + 1)
    }

    /// Bytes outside strings up to a change of depth or the beginning of a string; `None` where a
    /// bracket cannot stand.
    fn structure(&mut self, rest: &[u8]) -> Option<usize> {
        for (place, byte) in rest.iter().enumerate() {
            match byte {
                b'"' => {
                    self.in_string = true;
                    return Some(place + 1);
                }
                b'{' | b'[' => {
                    let begins = match self.depth {
                        0 => true,
                        _ if self.in_object() => self.before == b':',
                        _ => matches!(self.before, b'[' | b','),
                    };
                    if !begins || self.depth >= MAX_DEPTH || place > 0 {
                        // Stop before it first, so that a fault is reported at the bracket itself.
                        return if place > 0 { Some(place) } else { None };
                    }
                    self.objects = self.objects << 1 | u128::from(*byte == b'{');
                    self.depth += 1;
                    self.before = *byte;
                    return Some(1);
                }
                b'}' | b']' => {
                    if place > 0 {
                        return Some(place);
                    }
                    if self.in_object() != (*byte == b'}') {
                        return None;
                    }
                    self.objects >>= 1;
                    self.depth -= 1;
                    self.before = *byte;
                    return Some(1);
                }
                b'\n' if self.on_one_line => return (place > 0).then_some(place),
                b' ' | b'\t' | b'\r' | b'\n' => {}
                other => self.before = *other,
            }
        }
        Some(rest.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_ends_where_its_brackets_close_however_it_is_cut_into_pieces() {
        let text = br#"{"a":[1,{"b":"}]\"{\\"}],"c":null} tail"#;
        for size in 1..text.len() {
            let (mut nesting, mut at) = (Nesting::default(), 0);
            let end = text.chunks(size).find_map(|piece| match nesting.feed(piece) {
                Fed::Ended(count) => Some(at + count),
                Fed::Open => {
                    at += piece.len();
                    None
                }
                Fed::Broken(place) => panic!("broken at {place}"),
            });
            assert_eq!(end, Some(text.len() - " tail".len()), "pieces of {size}");
        }
    }

    #[test]
    fn a_value_that_is_cut_off_is_noticed_where_the_next_begins() {
        for (text, fault) in [
            (&b"{\"a\":1,\n{\"b\":2}"[..], 8),
            (b"{\"a\":1\n{\"b\":2}", 7),
            (b"{\"a\":\"cut\n{\"b\":2}", 9),
            (b"{\"a\":\"cut\\\n{\"b\":2}", 10),
            (b"[1\n{\"b\":2}", 3),
            (b"{\"a\":[1}", 7),
        ] {
            assert_eq!(
                Nesting::default().feed(text),
                Fed::Broken(fault),
                "{}",
                String::from_utf8_lossy(text)
            );
        }
    }

    #[test]
    fn depth_is_bounded() {
        assert_eq!(Nesting::default().feed(&[b'['; 200]), Fed::Broken(MAX_DEPTH as usize));
    }
}
