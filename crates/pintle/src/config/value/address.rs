//! Where clients, proxies and tokens point: networks, the public URL, audiences.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An audience that a token's `aud` may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audience(Box<str>);

impl Audience {
    /// The audience as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Audience {
    type Err = String;

    fn from_str(text: &str) -> Result<Audience, String> {
        let plain =
            !text.is_empty() && text.len() <= 512 && !text.chars().any(|c| c.is_control() || c == ' ');
        plain.then(|| Audience(text.into())).ok_or_else(|| {
            format!("expected an audience such as \"https://api.example.org\", found {text:?}")
        })
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An address, or a range of them in CIDR notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether the address lies in it. An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (ours, theirs) = match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => (
                // Into the upper bits, so that one prefix comparison serves both families.
                u128::from(ours.to_bits()) << 96,
                u128::from(theirs.to_bits()) << 96,
            ),
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => (ours.to_bits(), theirs.to_bits()),
            _ => return false,
        };
        (ours ^ theirs).leading_zeros() >= u32::from(self.prefix)
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Network, String> {
        let problem = || {
            format!(
                "expected an address or a range such as \"192.0.2.10\" or \"192.0.2.0/24\", found {text:?}"
            )
        };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| problem())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().ok().filter(|p| *p <= longest).ok_or_else(problem)?,
            None => longest,
        };
        Ok(Network { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = if self.address.is_ipv4() { 32 } else { 128 };
        match self.prefix {
            prefix if prefix == longest => write!(f, "{}", self.address),
            prefix => write!(f, "{}/{prefix}", self.address),
        }
    }
}

/// The URL under which clients know the server: `https`, or `http` on a loopback host, without a
/// slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(Box<str>);

impl PublicUrl {
    /// The URL, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<PublicUrl, String> {
        let example = "such as \"https://pintle.example.org\"";
        let trimmed = text.trim_end_matches('/');
        let uri: hyper::Uri =
            trimmed.parse().map_err(|_| format!("expected a URL {example}, found {text:?}"))?;
        let host = uri.host().unwrap_or_default();
        let plain = uri.query().is_none()
            && !trimmed.contains('#')
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        if host.is_empty() || !plain {
            return Err(format!("expected a URL {example}, without user, query or fragment, found {text:?}"));
        }
        match uri.scheme_str() {
            Some("https") => Ok(PublicUrl(trimmed.into())),
            Some("http") if is_loopback_host(host) => Ok(PublicUrl(trimmed.into())),
            Some("http") => Err(format!(
                "http is only for a loopback host, found {text:?}: use https, by TLS of its own or a proxy's"
            )),
            _ => Err(format!("expected a URL {example}, found {text:?}")),
        }
    }
}

fn is_loopback_host(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
