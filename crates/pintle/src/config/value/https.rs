//! Where an outside issuer is reached: an `https` URL.

use std::fmt;
use std::str::FromStr;

use hyper::Uri;

/// An `https` URL without user and fragment, kept as it was written: issuers are compared by letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpsUrl {
    text: Box<str>,
    uri: Uri,
}

impl HttpsUrl {
    /// The URL as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host, without the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        let host = self.uri.host().unwrap_or_default();
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// The port, 443 unless it is named.
    pub fn port(&self) -> u16 {
        self.uri.port_u16().unwrap_or(443)
    }

    /// Host and port as a `Host` header has them.
    pub fn authority(&self) -> &str {
        self.uri.authority().map(|authority| authority.as_str()).unwrap_or_default()
    }

    /// What is asked of the host.
    pub fn path_and_query(&self) -> &str {
        self.uri.path_and_query().map_or("/", |path| path.as_str())
    }

    /// Whether there is a query.
    pub fn has_query(&self) -> bool {
        self.uri.query().is_some()
    }

    /// Whether both lead to the same host and port.
    pub fn is_beside(&self, other: &HttpsUrl) -> bool {
        self.host().eq_ignore_ascii_case(other.host()) && self.port() == other.port()
    }
}

impl FromStr for HttpsUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<HttpsUrl, String> {
        let problem = || {
            format!(
                "expected an https URL such as \"https://login.example.org/realm\", without user or \
                 fragment, found {text:?}"
            )
        };
        let uri: Uri = text.parse().map_err(|_| problem())?;
        let authority = uri.authority().ok_or_else(problem)?.as_str();
        let is_plain = uri.scheme_str() == Some("https")
            && uri.host().is_some_and(|host| !host.is_empty())
            && !authority.contains('@')
            && !text.contains('#')
            && text.len() <= 2_048;
        if is_plain { Ok(HttpsUrl { text: text.into(), uri }) } else { Err(problem()) }
    }
}

impl fmt::Display for HttpsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
