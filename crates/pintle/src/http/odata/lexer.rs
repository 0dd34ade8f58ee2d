//! The words of a filter, in the spellings that clients send. A `+` between words is a space, because
//! some encode theirs twice; in a text it is itself. Before an offset it is its sign, and so is a
//! space there, which is what becomes of a plus that was not encoded.

use pintle_model::Time;

use super::{Problem, cut};

/// A word and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Word<'t> {
    pub(super) at: usize,
    pub(super) token: Token<'t>,
}

/// What a word is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'t> {
    /// A name or an operator.
    Name(&'t str),
    /// A text, without its quotes.
    Text(String),
    Int(i64),
    Time(Time),
    Open,
    Close,
    Comma,
    Slash,
    Colon,
    End,
}

impl Token<'_> {
    /// As an error names it.
    pub(super) fn tell(&self) -> String {
        match self {
            Token::Name(name) => format!("'{}'", cut(name)),
            Token::Text(text) => format!("the text '{}'", cut(text)),
            Token::Int(number) => format!("the number {number}"),
            Token::Time(time) => format!("the time {time}"),
            Token::Open => "'('".to_owned(),
            Token::Close => "')'".to_owned(),
            Token::Comma => "','".to_owned(),
            Token::Slash => "'/'".to_owned(),
            Token::Colon => "':'".to_owned(),
            Token::End => "the end".to_owned(),
        }
    }
}

/// The words of a text, one after the other.
pub(super) struct Lexer<'t> {
    rest: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Lexer<'t> {
        Lexer { rest: text, at: 0 }
    }

    /// The next word; at the end [`Token::End`], again and again.
    pub(super) fn next(&mut self) -> Result<Word<'t>, Problem> {
        self.take_while(|character| character.is_ascii_whitespace() || character == '+');
        let at = self.at;
        let Some(first) = self.rest.chars().next() else { return Ok(Word { at, token: Token::End }) };
        let token = match first {
            '(' => self.mark(Token::Open),
            ')' => self.mark(Token::Close),
            ',' => self.mark(Token::Comma),
            '/' => self.mark(Token::Slash),
            ':' => self.mark(Token::Colon),
            '\'' => Token::Text(self.text()?),
            '-' | '0'..='9' => self.number_or_time()?,
            _ if is_of_name(first) => Token::Name(self.take_while(is_of_name)),
            _ => {
                return Err(Problem::new(
                    at,
                    format!(
                        "'{}' is no part of a filter; texts stand in single quotes",
                        first.escape_debug()
                    ),
                ));
            }
        };
        Ok(Word { at, token })
    }

    fn mark(&mut self, token: Token<'t>) -> Token<'t> {
        self.skip(1);
        token
    }

    fn skip(&mut self, bytes: usize) -> &'t str {
        let (skipped, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        self.at += skipped.len();
        skipped
    }

    fn take_while(&mut self, is_taken: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|character| !is_taken(character)).unwrap_or(self.rest.len());
        self.skip(end)
    }

    /// `'…'`, in which `''` is a quote.
    fn text(&mut self) -> Result<String, Problem> {
        let at = self.at;
        let mut text = String::new();
        self.skip(1);
        loop {
            text.push_str(self.take_while(|character| character != '\''));
            match self.rest.as_bytes() {
                [] => return Err(Problem::new(at, "this text has no quote at its end")),
                [_, b'\'', ..] => {
                    self.skip(2);
                    text.push('\'');
                }
                _ => {
                    self.skip(1);
                    return Ok(text);
                }
            }
        }
    }

    fn number_or_time(&mut self) -> Result<Token<'t>, Problem> {
        let at = self.at;
        let is_of_it = |character: char| character.is_ascii_alphanumeric() || "-:._".contains(character);
        let word = self.take_while(is_of_it);
        if word.strip_prefix('-').unwrap_or(word).bytes().all(|byte| byte.is_ascii_digit()) {
            return word.parse().map(Token::Int).map_err(|_| {
                let limits = "a whole number from -9223372036854775808 to 9223372036854775807";
                Problem::new(at, format!("'{}' is not {limits}", cut(word)))
            });
        }
        // Without a clock, digits after a space may be one that was forgotten a `T`.
        let offset = self.offset(word.contains(['T', 't']));
        time(word, offset).map(Token::Time).ok_or_else(|| {
            let form =
                "a time is written 2026-01-31, 2026-01-31T08:30:00Z or 2026-01-31T08:30:00.1234567+02:00";
            Problem::new(at, format!("'{}' is no number and no time; {form}", cut(word)))
        })
    }

    /// `+hh:mm` that stands right after a time.
    fn offset(&mut self, may_be_space: bool) -> Option<&'t str> {
        let [sign @ (b'+' | b' '), a, b, b':', c, d, after @ ..] = self.rest.as_bytes() else { return None };
        let is_offset = (*sign == b'+' || may_be_space)
            && [a, b, c, d].iter().all(|byte| byte.is_ascii_digit())
            && !after.first().is_some_and(u8::is_ascii_alphanumeric);
        is_offset.then(|| self.skip(6))
    }
}

fn is_of_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '$' | '@' | '.')
}

/// `YYYY-MM-DD[Thh:mm[:ss[.f{1,7}]]]` and `Z` or an offset, which may only lack after a date alone. One
/// that is positive stands apart.
fn time(word: &str, positive: Option<&str>) -> Option<Time> {
    let (date, rest) = word.split_at_checked(10)?;
    let (clock, zone) = match rest.strip_prefix(['T', 't']) {
        Some(clock) => match clock.find(['Z', 'z', '-']) {
            Some(end) => clock.split_at_checked(end)?,
            None => (clock, ""),
        },
        None if rest.is_empty() && positive.is_none() => ("00:00", "Z"),
        None => ("00:00", rest),
    };
    let minutes = match (positive, zone) {
        (Some(offset), "") => minutes(offset.get(1..)?)?,
        (None, "Z" | "z") => 0,
        (None, offset) => -minutes(offset.strip_prefix('-')?)?,
        _ => return None,
    };
    let is_of = |text: &str, form: &str| {
        text.len() == form.len()
            && text.bytes().zip(form.bytes()).all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                form => byte == form,
            })
    };
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let has_fraction = whole.len() < clock.len();
    let is_fraction = (1..=7).contains(&fraction.len()) && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = match whole {
        _ if is_of(whole, "00:00:00") => "",
        _ if is_of(whole, "00:00") && !has_fraction => ":00",
        _ => return None,
    };
    if !is_of(date, "0000-00-00") || !is_fraction {
        return None;
    }
    let local = Time::parse(&format!("{date}T{whole}{seconds}.{fraction}Z"))?;
    const TICKS_A_MINUTE: i64 = 60 * 10_000_000;
    Some(Time::from_ticks(local.ticks().checked_sub(minutes * TICKS_A_MINUTE)?))
}

/// The minutes of `hh:mm`, up to 14 hours.
fn minutes(offset: &str) -> Option<i64> {
    let (hours, minutes) = offset.split_once(':')?;
    let number = |text: &str| {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<i64>().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours <= 14 && minutes < 60).then_some(hours * 60 + minutes)
}
