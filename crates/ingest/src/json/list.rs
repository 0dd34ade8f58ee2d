//! The elements of a list one after another: of one that was cut off, those before the cut; of one that
//! holds millions, as many as are asked for.

use serde_json::Deserializer;
use serde_json::value::RawValue;

use super::Json;

/// A list that is being read.
pub struct List<'a> {
    /// What comes after the last element read.
    rest: &'a str,
    /// The only element of what is no list.
    only: Option<Json<'a>>,
    has_begun: bool,
    is_whole: bool,
}

impl<'a> List<'a> {
    /// Begins a list; anything else is a list of nothing that is not whole.
    pub fn open(text: &'a str) -> List<'a> {
        let rest = skip_space(text).strip_prefix('[').unwrap_or_default();
        List { rest, only: None, has_begun: false, is_whole: false }
    }

    /// A value's elements; what is no list is its only element, and `null` none.
    pub fn of(value: Json<'a>) -> List<'a> {
        let only = (!value.is_null() && !value.0.starts_with('[')).then_some(value);
        List { only, ..List::open(value.0) }
    }

    /// Whether its end was reached, and nothing came after it.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    fn advance(&mut self) -> Option<Json<'a>> {
        let mut rest = skip_space(self.rest);
        if let Some(after) = rest.strip_prefix(']') {
            self.is_whole = skip_space(after).is_empty();
            return None;
        }
        if self.has_begun {
            rest = rest.strip_prefix(',')?;
        }
        self.has_begun = true;
        let mut values = Deserializer::from_str(rest).into_iter::<&RawValue>();
        let value = values.next()?.ok()?;
        self.rest = rest.get(values.byte_offset()..)?;
        Some(Json(value.get()))
    }
}

impl<'a> Iterator for List<'a> {
    type Item = Json<'a>;

    fn next(&mut self) -> Option<Json<'a>> {
        let next = self.only.take().or_else(|| self.advance());
        if next.is_none() {
            self.rest = "";
        }
        next
    }
}

fn skip_space(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\r', '\n'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_gives_its_elements_up_to_where_it_is_cut_off() {
        for (text, elements, is_whole) in [
            ("[]", vec![], true),
            (" [ ] \n", vec![], true),
            ("[1]", vec!["1"], true),
            (r#"[{"a":[1,"]"]},"b",null]"#, vec![r#"{"a":[1,"]"]}"#, r#""b""#, "null"], true),
            ("[ 1 ,\n [2] ]", vec!["1", "[2]"], true),
            ("[[2],[", vec!["[2]"], false),
            (r#"[{"a":1},{"a""#, vec![r#"{"a":1}"#], false),
            ("[1,]", vec!["1"], false),
            ("[1 2]", vec!["1"], false),
            ("[1}", vec!["1"], false),
            ("[1]x", vec!["1"], false),
            ("[,1]", vec![], false),
            ("", vec![], false),
            ("{}", vec![], false),
            ("null", vec![], false),
        ] {
            let mut list = List::open(text);
            let read: Vec<_> = list.by_ref().map(Json::raw).collect();
            assert_eq!((read, list.is_whole()), (elements, is_whole), "{text}");
            assert_eq!(list.next(), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_list_is_its_only_element() {
        for (text, elements) in [("[1,2]", vec!["1", "2"]), ("{}", vec!["{}"]), ("null", vec![])] {
            assert_eq!(List::of(Json(text)).map(Json::raw).collect::<Vec<_>>(), elements, "{text}");
        }
    }
}
