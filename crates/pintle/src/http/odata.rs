//! `$filter` and `$orderby`: from the text of a query option to what the store tests and sorts by.
//!
//! The text is cut into words (`lexer`), put together by precedence (`parse`), and names are looked
//! up among what a route lets be filtered (`fields`). Nothing here goes deeper for a deeper text: open
//! brackets are kept on a stack that the store's own bound limits.

mod fields;
mod lexer;
mod order;
mod parse;
#[cfg(test)]
mod tests;

use pintle_model::Time;
use pintle_store::{Filter, OrderBy};

use crate::http::error::Failure;
pub use fields::{ALERT, Fields, MACHINE};

/// The most bytes a filter may have, decoded: about what the head of a request holds.
pub(crate) const MAX_FILTER: usize = 64 * 1024;

/// The time that a text is, as a filter may have one.
pub fn time(text: &str) -> Option<Time> {
    let mut words = lexer::Lexer::new(text);
    let (word, end) = (words.next().ok()?, words.next().ok()?);
    match (word.token, end.token) {
        (lexer::Token::Time(time), lexer::Token::End) => Some(time),
        _ => None,
    }
}

/// The filter that a text stands for, on entities with these fields.
pub fn filter(text: &str, fields: &'static Fields) -> Result<Filter, Failure> {
    read(text, fields).map_err(|problem| Failure::query(&problem))
}

/// What a text orders entities with these fields by.
pub fn order(text: &str, fields: &'static Fields) -> Result<Vec<OrderBy>, Failure> {
    order::read(text, fields).map_err(|problem| Failure::query(&problem))
}

/// A filter; or what is wrong with the text, as a sentence.
fn read(text: &str, fields: &'static Fields) -> Result<Filter, String> {
    if text.len() > MAX_FILTER {
        return Err(format!("$filter is longer than {MAX_FILTER} bytes: ask in several requests."));
    }
    let condition = parse::parse(text, fields).map_err(|problem| problem.tell(text))?;
    Ok(Filter::new(fields.shape, condition))
}

/// What is wrong with a filter, and where.
#[derive(Debug)]
struct Problem {
    /// The byte of the text.
    at: usize,
    message: String,
}

impl Problem {
    fn new(at: usize, message: impl Into<String>) -> Problem {
        Problem { at, message: message.into() }
    }

    /// As a sentence, with the position in characters, from 0.
    fn tell(&self, text: &str) -> String {
        let position = text.char_indices().take_while(|(at, _)| *at < self.at).count();
        format!("$filter at position {position}: {}.", self.message)
    }
}

/// The beginning of something somebody sent, to be repeated to them.
fn cut(text: &str) -> &str {
    const MOST: usize = 64;
    text.get(..text.floor_char_boundary(MOST)).unwrap_or_default()
}
