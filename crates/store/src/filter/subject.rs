//! An entity's JSON as a filter reads it: looked through once, not parsed, and nothing of it copied
//! but a text with escapes. The JSON is Pintle's own, without spaces; of any other, values may read
//! as `null`, and no more can go wrong.

use std::borrow::Cow;

use pintle_model::{MemberId, Shape};

/// A value that no source gave.
pub(crate) const NULL: &str = "null";

/// What a condition is tested on.
pub(crate) struct Subject<'a> {
    json: &'a str,
    /// The members' JSON by their place in the shape, if it is an object.
    members: [&'a str; MEMBERS],
}

/// As many members as a shape may have.
const MEMBERS: usize = 40;

impl<'a> Subject<'a> {
    /// A JSON object of this shape.
    pub(crate) fn object(shape: &Shape, object: &'a str) -> Subject<'a> {
        let mut members = [NULL; MEMBERS];
        let inside = object.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let mut expected = 0;
        for part in parts(inside.unwrap_or_default()) {
            let Some((name, value)) = member(part) else { continue };
            let is_next = shape.members.get(expected).is_some_and(|member| member.name == name);
            let place = if is_next { Some(expected) } else { place(shape, name) };
            let Some(place) = place else { continue };
            if let Some(slot) = members.get_mut(place) {
                *slot = value;
            }
            expected = place + 1;
        }
        Subject { json: object, members }
    }

    /// An element of a list of texts.
    pub(super) fn text(element: &'a str) -> Subject<'a> {
        Subject { json: element, members: [NULL; MEMBERS] }
    }

    /// A member of the object.
    pub(crate) fn member(&self, member: MemberId) -> &'a str {
        self.members.get(usize::from(member.0)).copied().unwrap_or(NULL)
    }

    /// All of it.
    pub(super) fn json(&self) -> &'a str {
        self.json
    }
}

fn place(shape: &Shape, name: &str) -> Option<usize> {
    shape.members.iter().position(|member| member.name == name)
}

/// The elements of a JSON array; of anything else none.
pub(super) fn elements(array: &str) -> impl Iterator<Item = &str> {
    let inside = array.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    parts(inside.unwrap_or_default())
}

/// The text of a JSON string; `None` for any other value.
pub(crate) fn text(value: &str) -> Option<Cow<'_, str>> {
    let inside = value.strip_prefix('"')?.strip_suffix('"')?;
    if inside.contains('\\') {
        return serde_json::from_str(value).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inside))
}

/// A text in lower case, character by character.
pub(crate) fn folded(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().flat_map(char::to_lowercase).collect())
}

/// The name and the value of `"name":value`.
fn member(part: &str) -> Option<(&str, &str)> {
    let rest = part.strip_prefix('"')?;
    let (name, value) = rest.split_once('"')?;
    Some((name, value.strip_prefix(':')?))
}

/// What stands between the commas that are in no list, object or string.
fn parts(mut rest: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = end_of_part(rest.as_bytes());
        let (part, after) = rest.split_at_checked(end)?;
        rest = after.strip_prefix(',').unwrap_or_default();
        Some(part)
    })
}

/// Where the first part ends: the first comma outside, what closes the list or the object that the parts
/// are in, or the end of all.
pub(crate) fn end_of_part(text: &[u8]) -> usize {
    let (mut depth, mut is_string, mut is_escaped) = (0_usize, false, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_string,
            b'"' => is_string = !is_string,
            _ if is_string => {}
            b'[' | b'{' => depth += 1,
            b',' | b']' | b'}' if depth == 0 => return at,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}
