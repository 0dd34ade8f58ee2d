//! One JSON record as its members: names and values borrowed from the record's bytes, and a value
//! only unescaped when somebody asks for it. Most of a log line is never asked for.

mod list;
mod plain;

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::format::Problem;

pub use list::List;
pub use plain::{Next, Plain, Scalar};

/// The most members of an object. A record has room for millions, each of which takes many times its bytes.
const MOST_MEMBERS: usize = 65_536;
/// The most elements of an array that are looked at: more than any decoder takes.
const MOST_ELEMENTS: usize = 65_536;
const TOO_MANY: &str = "more than 65,536 members in one object";

/// An object's members in the order they came.
pub struct Object<'a> {
    /// Names and values.
    pub members: Vec<(Cow<'a, str>, Json<'a>)>,
}

impl<'a> Object<'a> {
    /// Reads a record.
    pub fn parse(record: &'a [u8]) -> Result<Object<'a>, Problem> {
        let text = str::from_utf8(record).map_err(|_| Problem::from("not UTF-8"))?;
        Object::read(text)
    }

    /// Reads an object's text.
    pub fn read(text: &'a str) -> Result<Object<'a>, Problem> {
        serde_json::from_str(text).map_err(|error| {
            Problem::from(match error.classify() {
                serde_json::error::Category::Eof => "not JSON: cut off in the middle",
                serde_json::error::Category::Data if error.to_string().starts_with(TOO_MANY) => TOO_MANY,
                serde_json::error::Category::Data => "not a JSON object",
                _ => "not JSON",
            })
        })
    }

    /// The document, if this is a hit of Elasticsearch or OpenSearch.
    pub fn document(&self) -> Option<Json<'a>> {
        let is_hit = self.has("_index") || self.has("_id");
        self.get("_source").filter(|source| is_hit && source.raw().starts_with('{'))
    }

    /// The value of the first member of that name.
    pub fn get(&self, name: &str) -> Option<Json<'a>> {
        self.members.iter().find(|(member, _)| member == name).map(|(_, value)| *value)
    }

    /// Whether there is a member of that name.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<'a>, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = Vec::with_capacity(48);
                while let Some(Name(name)) = map.next_key()? {
                    if members.len() == MOST_MEMBERS {
                        return Err(serde::de::Error::custom(TOO_MANY));
                    }
                    members.push((name, Json(map.next_value::<&'de RawValue>()?.get())));
                }
                Ok(Object { members })
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// A member's name, borrowed unless it is written with escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Name<'de>, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }
            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// How far into a record a search engine's hit shows itself.
const HIT_HEAD: usize = 1024;

/// The document in a hit of Elasticsearch or OpenSearch (`_source`); anything else as it is.
pub fn hit(record: &[u8]) -> &[u8] {
    let head = record.get(..HIT_HEAD).unwrap_or(record);
    if memchr::memmem::find(head, b"\"_source\"").is_none() {
        return record;
    }
    let document = Object::parse(record).ok().and_then(|hit| hit.document());
    document.map_or(record, |document| document.raw().as_bytes())
}

/// A value's JSON text, known to be well-formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json<'a>(&'a str);

impl<'a> Json<'a> {
    /// The text as it stands in the record.
    pub fn raw(self) -> &'a str {
        self.0
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.0 == "null"
    }

    /// A string unescaped, or the text of anything else; `None` for `null`. Half a UTF-16 pair,
    /// which sensors write for binary data, becomes U+FFFD.
    pub fn text(self) -> Option<Cow<'a, str>> {
        let Some(inside) = self.0.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
            return (!self.is_null()).then_some(Cow::Borrowed(self.0));
        };
        if memchr::memchr(b'\\', inside.as_bytes()).is_none() {
            return Some(Cow::Borrowed(inside));
        }
        struct Lossy;
        impl<'de> Visitor<'de> for Lossy {
            type Value = String;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<String, E> {
                let mut text = String::with_capacity(bytes.len());
                for chunk in bytes.utf8_chunks() {
                    text.push_str(chunk.valid());
                    // Half a pair comes as three bytes, each invalid by itself; the first is 0xED.
                    if chunk.invalid().first() == Some(&0xed) {
                        text.push(char::REPLACEMENT_CHARACTER);
                    }
                }
                Ok(text)
            }
        }
        serde_json::Deserializer::from_str(self.0).deserialize_bytes(Lossy).ok().map(Cow::Owned)
    }

    /// Appends the value in one way of writing, whichever way it came: without white space, and
    /// strings without needless escapes.
    pub fn write(self, out: &mut String) {
        if self.0.starts_with(['{', '[']) {
            compact(self.0, out);
        } else if memchr::memmem::find(self.0.as_bytes(), b"\\u").is_some() {
            write_string(out, &self.text().unwrap_or_default());
        } else {
            out.push_str(self.0);
        }
    }

    /// The elements of an array, the first of so many that nobody takes them all; anything else is the only
    /// element.
    pub fn elements(self) -> Vec<Json<'a>> {
        if !self.0.starts_with('[') {
            return vec![self];
        }
        List::of(self).take(MOST_ELEMENTS).collect()
    }

    /// The value at the end of a path of members (`["agent", "name"]`), if it is there and not `null`.
    pub fn at(self, path: &[&str]) -> Option<Json<'a>> {
        path.iter().try_fold(self, |value, name| value.object()?.get(name)).filter(|value| !value.is_null())
    }

    /// The members, if it is an object.
    pub fn object(self) -> Option<Object<'a>> {
        self.0.starts_with('{').then(|| Object::read(self.0).ok()).flatten()
    }
}

/// Appends JSON text without the white space between its parts.
pub fn compact(json: &str, out: &mut String) {
    let mut in_string = false;
    let mut escaped = false;
    out.extend(json.chars().filter(|character| {
        if in_string {
            in_string = escaped || *character != '"';
            escaped = !escaped && *character == '\\';
            return true;
        }
        in_string = *character == '"';
        !character.is_ascii_whitespace()
    }));
}

/// A whole number, decimal or `0x…`; the latter wraps, as handles and logon ids are unsigned. Tables of
/// real numbers write a whole one as `7.0`.
pub fn long(text: &str) -> Option<i64> {
    let text = text.trim();
    let text = text.strip_suffix(".0").unwrap_or(text);
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok().map(u64::cast_signed),
        None => text.parse().ok(),
    }
}

/// A truth value in the words sources use.
pub fn truth(text: &str) -> Option<bool> {
    match text.trim() {
        "true" | "True" | "TRUE" | "1" => Some(true),
        "false" | "False" | "FALSE" | "0" => Some(false),
        _ => None,
    }
}

/// Appends `text` as a JSON string.
pub fn write_string(out: &mut String, text: &str) {
    out.push('"');
    let mut plain = 0;
    for (place, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(text.get(plain..place).unwrap_or_default());
        plain = place + 1;
        if escape.is_empty() {
            out.push_str(&format!("\\u{byte:04x}"));
        } else {
            out.push_str(escape);
        }
    }
    out.push_str(text.get(plain..).unwrap_or_default());
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_survives_even_half_a_utf16_pair() {
        let object =
            Object::parse(r#"{"Contents":"ㅗ\ud83d到","n":-9223372036854775808,"z":null}"#.as_bytes())
                .unwrap();
        assert_eq!(object.get("Contents").unwrap().text().unwrap(), "ㅗ\u{fffd}到");
        assert_eq!(object.get("n").unwrap().text().and_then(|text| long(&text)), Some(i64::MIN));
        assert_eq!(object.get("z").unwrap().text(), None);
    }

    #[test]
    fn an_object_has_so_many_members_and_no_more() {
        let object = |count| format!("{{{}}}", vec![r#""a":1"#; count].join(","));
        assert_eq!(Object::parse(object(MOST_MEMBERS).as_bytes()).unwrap().members.len(), MOST_MEMBERS);
        let refused = Object::parse(object(MOST_MEMBERS + 1).as_bytes()).err().unwrap();
        assert_eq!(refused.reason(), TOO_MANY);
    }

    #[test]
    fn strings_are_written_as_the_parser_reads_them() {
        let text = "C:\\a\t\"b\"\r\n\u{1}ü\u{fffd}";
        let mut out = String::new();
        write_string(&mut out, text);
        assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
    }

    #[test]
    fn values_are_written_in_one_way_whichever_way_they_came() {
        for (given, written) in [
            ("{ \"a b\" : [ 1 , \"x \\\" y\" ] }", "{\"a b\":[1,\"x \\\" y\"]}"),
            ("\"\\u003cx\\u003e\"", "\"<x>\""),
            ("\"C:\\\\a\"", "\"C:\\\\a\""),
            ("-9223372036854775808", "-9223372036854775808"),
        ] {
            let mut out = String::new();
            Json(given).write(&mut out);
            assert_eq!(out, written);
        }
    }

    #[test]
    fn numbers_are_decimal_or_hexadecimal() {
        assert_eq!(long("0x8000000000000000"), Some(i64::MIN));
        assert_eq!(long(" 42 "), Some(42));
        assert_eq!(long("42.0"), Some(42));
        assert_eq!(long("42.5"), None);
        assert_eq!(long("0x"), None);
        assert_eq!(long("-"), None);
    }
}
