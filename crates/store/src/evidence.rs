//! What an alert's evidence names: files, domains, addresses, each once and in order.

use std::collections::BTreeSet;
use std::net::IpAddr;

use pintle_model::{Hashes, shapes};
use serde_json::Value;

use crate::entity::Entity;

/// The files, in the order of their hashes.
pub(crate) fn files(alert: &Entity) -> BTreeSet<Hashes> {
    let hashes = |evidence: Value| {
        let text = |name: &str| evidence.get(name).and_then(Value::as_str);
        Hashes::read(text("sha1"), text("sha256"), None)
    };
    pieces(alert).map(hashes).filter(|hashes| !hashes.is_empty()).collect()
}

/// The hosts of its URLs, and those that a source calls its domains; addresses are none.
pub(crate) fn domains(alert: &Entity) -> BTreeSet<String> {
    let of_urls = pieces(alert).filter_map(|evidence| host(evidence.get("url")?.as_str()?));
    let named: Option<Vec<Value>> =
        alert.facts.json(shapes::alert::DOMAINS).and_then(|json| serde_json::from_str(json).ok());
    let named = named.unwrap_or_default();
    let named = named.iter().filter_map(|domain| host(domain.get("host")?.as_str()?));
    of_urls.chain(named).collect()
}

/// The IP addresses: its own, and those that stand in a URL in the place of a host.
pub(crate) fn addresses(alert: &Entity) -> BTreeSet<String> {
    let address = |evidence: Value| {
        let text = |name: &str| evidence.get(name).and_then(Value::as_str).map(str::to_owned);
        let in_url = || text("url").and_then(|url| authority_host(&url).map(str::to_owned));
        text("ipAddress").or_else(in_url)?.trim().parse::<IpAddr>().ok()
    };
    // As one writes addresses, whatever the source did.
    pieces(alert).filter_map(address).map(|address| address.to_string()).collect()
}

/// What reads of the evidence.
fn pieces(alert: &Entity) -> impl Iterator<Item = Value> {
    alert.parts.values().filter_map(|fact| serde_json::from_str(&fact.json).ok())
}

/// The host name in a URL, also one without a scheme, in lower case. Sensors write what they saw, so what
/// could be no host name is none.
pub(crate) fn host(url: &str) -> Option<String> {
    /// Bytes of a name in DNS.
    const LONGEST: usize = 253;
    let host = authority_host(url)?.trim_end_matches('.').to_lowercase();
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_name = !host.is_empty() && host.len() <= LONGEST && host.chars().all(plain);
    (is_name && host.parse::<IpAddr>().is_err()).then_some(host)
}

/// What stands between the scheme and the path, without user and port.
pub(crate) fn authority_host(url: &str) -> Option<&str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest).trim();
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if let Some(bracketed) = authority.strip_prefix('[') {
        return bracketed.split_once(']').map(|(address, _)| address);
    }
    match authority.split_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(host),
        // An address of IPv6, bare.
        Some(_) => Some(authority),
        None => Some(authority),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_url_as_sensors_write_it() {
        for (url, expected) in [
            ("https://Evil.Example:8443/a?b=c", Some("evil.example")),
            ("http://user:word@evil.example/", Some("evil.example")),
            ("evil.example/path", Some("evil.example")),
            ("evil.example.", Some("evil.example")),
            ("hxxp://evil.example\\x", Some("evil.example")),
            ("http://bücher.example/", Some("bücher.example")),
            ("http://203.0.113.7/", None),
            ("http://[2001:db8::1]:80/", None),
            ("2001:db8::1", None),
            ("a b", None),
            ("", None),
            ("http://", None),
        ] {
            assert_eq!(host(url).as_deref(), expected, "{url}");
        }
        assert_eq!(host(&"x".repeat(254)), None);
    }
}
