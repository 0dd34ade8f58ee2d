//! What an API answers: a page of a list.

use std::borrow::Cow;
use std::fmt;

use pintle_model::Time;
use serde::de::{self, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

/// The most elements of a page.
pub const MOST_ROWS: usize = 10_000;

/// Characters of what is wrong with a page.
const MOST_SAID: usize = 300;

/// A page.
#[derive(Deserialize)]
pub struct Page<'a> {
    /// What is listed.
    #[serde(borrow, rename = "value")]
    pub rows: Rows<'a>,
    /// Whether there is a link to the next page. Where it leads is not looked at: some servers' links lead in
    /// circles, and none is to say who is shown the token.
    #[serde(default, rename = "@odata.nextLink")]
    next: Option<IgnoredAny>,
}

impl<'a> Page<'a> {
    /// Reads one.
    pub fn read(body: &'a [u8]) -> Result<Page<'a>, String> {
        // What it says may have all of the answer in it.
        let said = |error: serde_json::Error| error.to_string().chars().take(MOST_SAID).collect::<String>();
        serde_json::from_slice(body).map_err(|error| format!("the answer is no list: {}", said(error)))
    }

    /// Whether it says that there are more.
    pub fn is_followed(&self) -> bool {
        self.next.is_some()
    }
}

/// Elements of a list, as they stand there.
pub struct Rows<'a>(pub Vec<Row<'a>>);

/// An element of a list.
pub struct Row<'a> {
    /// It, as it stands there.
    pub text: &'a str,
    /// Its `id`, as a number that tells it from others.
    pub id: u64,
    /// What it says, as a number that tells it from what it said before.
    pub digest: u64,
    /// When it was updated last, if it says so.
    pub updated: Option<Time>,
}

#[derive(Deserialize)]
struct Known<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "lastUpdateTime")]
    updated: Option<Cow<'a, str>>,
}

impl<'a> Row<'a> {
    fn of(text: &'a str) -> Row<'a> {
        // One that is no object is for the decoder to refuse.
        let known = serde_json::from_str(text).unwrap_or(Known { id: None, updated: None });
        let digest = digest(text);
        Row {
            text,
            id: known.id.map_or(digest, |id| self::digest(&id)),
            digest,
            updated: known.updated.and_then(|time| Time::parse(&time)),
        }
    }
}

/// The beginning of a hash, which nobody can find another text of.
fn digest(text: &str) -> u64 {
    Sha256::digest(text).iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

impl<'de: 'a, 'a> Deserialize<'de> for Rows<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Rows<'a>, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Rows<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Rows<'de>, A::Error> {
                let mut rows = Vec::new();
                while let Some(row) = list.next_element::<&RawValue>()? {
                    if rows.len() >= MOST_ROWS {
                        return Err(de::Error::custom(format!("more than {MOST_ROWS} elements")));
                    }
                    rows.push(Row::of(row.get()));
                }
                Ok(Rows(rows))
            }
        }

        deserializer.deserialize_seq(List)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_what_it_lists_and_whether_there_are_more() {
        let body =
            br#"{"@odata.context":"x","value":[{"id":"a","lastUpdateTime":"2026-01-02T03:04:05.6789012Z"},
            {"b":[1]},3],"@odata.nextLink":"https://elsewhere.example.org/?$skip=3"}"#;
        let page = Page::read(body).unwrap();
        let texts: Vec<&str> = page.rows.0.iter().map(|row| row.text).collect();
        assert_eq!(texts.get(1..).unwrap(), [r#"{"b":[1]}"#, "3"]);
        assert_eq!(page.rows.0.first().unwrap().updated, Time::parse("2026-01-02T03:04:05.6789012Z"));
        assert!(page.is_followed());
        let page =
            Page::read(br#"{"value":[{"id":"a","n":1},{"id":"\u0061","n":2}],"@odata.nextLink":null}"#);
        let page = page.unwrap();
        let [one, other] = page.rows.0.as_slice() else { panic!("not two") };
        assert!(one.id == other.id && one.digest != other.digest && !page.is_followed());
    }

    #[test]
    fn what_is_no_page_is_refused() {
        let long = |count: usize| format!("{{\"value\":[1{}]}}", ",1".repeat(count - 1));
        let long_text = format!("{{\"value\":\"{}\"}}", "x".repeat(10_000));
        assert_eq!(Page::read(long(MOST_ROWS).as_bytes()).unwrap().rows.0.len(), MOST_ROWS);
        for body in
            ["", "[]", "{}", r#"{"value":{}}"#, r#"{"value":[1"#, &long_text, "<html>", &long(MOST_ROWS + 1)]
        {
            let said = Page::read(body.as_bytes()).err().unwrap();
            assert!(said.contains("the answer is no list") && said.len() < 1_000, "{said}");
        }
    }
}
