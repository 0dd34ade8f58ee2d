//! What an alert's evidence names: files, domains, addresses, users, each once and in order.

use std::collections::BTreeSet;
use std::net::IpAddr;

use pintle_model::{Hashes, shapes};
use serde_json::Value;

use crate::entity::Entity;
use crate::observable::{self, User};

/// What an alert names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Named {
    /// The files, in the order of their hashes.
    pub(crate) files: BTreeSet<Hashes>,
    /// The hosts of its URLs, and those that a source calls its domains, in lower case; addresses are none.
    pub(crate) domains: BTreeSet<String>,
    /// The IP addresses: its own, and those that stand in a URL in the place of a host. As one writes
    /// addresses, whatever the source did.
    pub(crate) addresses: BTreeSet<String>,
    /// Its users: of the evidence, and the related one.
    pub(crate) users: BTreeSet<User>,
}

impl Named {
    /// What this alert names.
    pub(crate) fn by(alert: &Entity) -> Named {
        let mut named = Named::default();
        for evidence in alert.told().filter_map(|(_, fact)| serde_json::from_str(&fact.json).ok()) {
            named.note(&evidence);
        }
        let known = |member| -> Option<Value> { serde_json::from_str(alert.facts.json(member)?).ok() };
        let domains = known(shapes::alert::DOMAINS);
        let domains = domains.as_ref().and_then(Value::as_array).into_iter().flatten();
        named.domains.extend(domains.filter_map(|domain| host(domain.get("host")?.as_str()?)));
        let related = known(shapes::alert::RELATED_USER);
        named.users.extend(related.and_then(|user| account(&user, "userName")));
        named
    }

    fn note(&mut self, evidence: &Value) {
        let text = |name: &str| evidence.get(name).and_then(Value::as_str);
        let hashes = Hashes::read(text("sha1"), text("sha256"), None);
        if !hashes.is_empty() {
            self.files.insert(hashes);
        }
        let url = text("url");
        self.domains.extend(url.and_then(host));
        let address = text("ipAddress").or_else(|| url.and_then(authority_host));
        let address = address.and_then(observable::address);
        self.addresses.extend(address.map(|address| address.to_string()));
        self.users.extend(account(evidence, "accountName"));
    }
}

/// The user whom an object names by this member. Some sources write the domain before the name.
fn account(of: &Value, member: &str) -> Option<User> {
    let text = |name: &str| of.get(name).and_then(Value::as_str);
    let name = text(member)?;
    let (domain, name) = name.rsplit_once('\\').map_or((None, name), |(domain, name)| (Some(domain), name));
    User::named(name, domain.or_else(|| text("domainName")).unwrap_or_default())
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
        // Without a port; or an address of IPv6, bare.
        _ => Some(authority),
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

    #[test]
    fn a_user_is_an_account_s_name_and_domain_wherever_the_domain_stands() {
        for (object, expected) in [
            (serde_json::json!({"accountName": " Alex ", "domainName": "CORP"}), Some("corp\\alex")),
            (serde_json::json!({"accountName": "CORP\\Alex", "domainName": "other"}), Some("corp\\alex")),
            (serde_json::json!({"accountName": "alex", "domainName": null}), Some("alex")),
            (serde_json::json!({"accountName": "CORP\\"}), None),
            (serde_json::json!({"accountName": " "}), None),
            (serde_json::json!({"accountName": 7}), None),
        ] {
            assert_eq!(
                account(&object, "accountName").map(|user| user.id()).as_deref(),
                expected,
                "{object}"
            );
        }
    }
}
