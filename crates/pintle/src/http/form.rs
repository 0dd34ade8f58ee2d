//! Names and values as forms and query strings encode them.

use percent_encoding::percent_decode_str;

/// The pairs of a form or a query string, decoded, in order. Empty pairs are left out: clients send
/// `?` alone and a trailing `&`.
pub fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    })
}

/// The first value of that name.
pub fn value(text: &str, name: &str) -> Option<String> {
    pairs(text).find(|(found, _)| found == name).map(|(_, value)| value)
}

/// `+` is a space, `%XX` a byte; bytes that are no UTF-8 become U+FFFD.
pub fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_in_the_forms_that_clients_send() {
        let all: Vec<(String, String)> = pairs("&%24top=1&a+b=c%2Bd&flag&=x&").collect();
        let expected = [("$top", "1"), ("a b", "c+d"), ("flag", ""), ("", "x")];
        assert_eq!(all, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(value("a=1&b=%ff&a=2", "a").unwrap(), "1");
        assert_eq!(value("a=1&b=%ff&a=2", "b").unwrap(), "\u{fffd}");
        assert_eq!(value("a=1", "c"), None);
    }
}
