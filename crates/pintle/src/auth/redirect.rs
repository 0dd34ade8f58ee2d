//! Where a user may be sent back to after signing in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A URI that an application is registered with: `https`, `http` on a loopback host (of any port, as
/// RFC 8252 §7.3 has it for programs that listen where they can), or a scheme of the application's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RedirectUri(String);

/// A text that is none, with the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no redirect URI: use https://…, http://localhost, http://127.0.0.1, or a scheme of the application's own with a dot in it"
)]
pub struct NoRedirectUri(String);

/// Longer ones are refused.
const MAX_BYTES: usize = 2_000;

impl RedirectUri {
    /// Whether a request may name this one.
    pub fn allows(&self, asked: &str) -> bool {
        if asked == self.0 {
            return true;
        }
        match (loopback(&self.0), loopback(asked)) {
            // Only the port may differ.
            (Some((host, path)), Some((asked_host, asked_path))) => {
                host == asked_host && path.trim_start_matches('/') == asked_path.trim_start_matches('/')
            }
            _ => false,
        }
    }

    /// The URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Host and path of `http://localhost…`, without the port.
fn loopback(uri: &str) -> Option<(&str, &str)> {
    let rest = uri.strip_prefix("http://")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (authority, "0"),
    };
    let is_loopback = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    (is_loopback && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
        .then_some((host, path))
}

impl FromStr for RedirectUri {
    type Err = NoRedirectUri;

    fn from_str(text: &str) -> Result<RedirectUri, NoRedirectUri> {
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'#');
        let has_good_scheme = match text.split_once(':') {
            Some(("https", rest)) => rest
                .strip_prefix("//")
                .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !rest.contains('@')),
            Some(("http", _)) => loopback(text).is_some(),
            // `javascript:`, `data:` and their like have no dot.
            Some((scheme, _)) => {
                let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+');
                scheme.contains('.') && scheme.bytes().all(letters) || scheme.starts_with("ms-appx-web")
            }
            None => false,
        };
        if text.len() <= MAX_BYTES && text.bytes().all(plain) && has_good_scheme {
            Ok(RedirectUri(text.to_owned()))
        } else {
            Err(NoRedirectUri(text.chars().take(200).collect()))
        }
    }
}

impl TryFrom<String> for RedirectUri {
    type Error = NoRedirectUri;

    fn try_from(text: String) -> Result<RedirectUri, NoRedirectUri> {
        text.parse()
    }
}

impl From<RedirectUri> for String {
    fn from(uri: RedirectUri) -> String {
        uri.0
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_registered_is_allowed_but_for_a_loopback_port() {
        for (registered, asked, allowed) in [
            ("https://soar.example.org/back", "https://soar.example.org/back", true),
            ("https://soar.example.org/back", "https://soar.example.org/back/more", false),
            ("https://soar.example.org/back", "https://soar.example.org:8443/back", false),
            ("https://soar.example.org/back", "http://soar.example.org/back", false),
            ("http://localhost", "http://localhost:52341", true),
            ("http://localhost", "http://localhost:52341/", true),
            ("http://localhost", "http://localhost:52341/elsewhere", false),
            ("http://localhost", "http://127.0.0.1:52341", false),
            ("http://localhost", "http://localhost:1@evil.example", false),
            ("http://localhost", "http://localhost.evil.example", false),
            ("http://[::1]/back", "http://[::1]:7/back", true),
        ] {
            let registered: RedirectUri = registered.parse().unwrap();
            assert_eq!(registered.allows(asked), allowed, "{registered} {asked}");
        }
    }

    #[test]
    fn what_could_run_or_leak_is_no_redirect_uri() {
        for bad in [
            "",
            "javascript:alert(1)",
            "data:text/html,x",
            "http://example.org/",
            "https://",
            "https:///x",
            "https://a@evil.example/",
            "https://a/#x",
            "https://a/\"x",
            "https://a/ b",
            "//a",
            "localhost",
        ] {
            assert!(bad.parse::<RedirectUri>().is_err(), "{bad}");
        }
        for good in [
            "https://a.example/x?y=1",
            "http://127.0.0.1:8400/",
            "org.example.app:/back",
            "ms-appx-web://x/y",
        ] {
            assert!(good.parse::<RedirectUri>().is_ok(), "{good}");
        }
    }
}
