//! What telemetry names beside files: domains, IP addresses, users. Each has one form, however a
//! sensor writes it, so that what is compared are bytes.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::evidence::host;

/// An account's name or domain longer than this is cut, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// A domain, an IP address or a user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Observable {
    /// A host name, exactly: neither what is above nor what is below it.
    Domain(Domain),
    /// An address; one of IPv4 that is mapped into IPv6 is that of IPv4.
    Ip(IpAddr),
    /// A user's account.
    User(User),
}

impl Observable {
    /// The IP address that a text is, as sensors and callers write it.
    pub fn ip(text: &str) -> Option<Observable> {
        address(text).map(Observable::Ip)
    }
}

/// The address that a text is: without a zone, and in the form in which addresses are compared.
pub(crate) fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    // `fe80::1%12`: the zone says which adapter of the one machine it is.
    let text = text.split_once('%').map_or(text, |(address, _)| address);
    text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// A host name in lower case, at most 253 bytes, without a dot at its end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(Box<str>);

impl Domain {
    /// The host of a URL as sensors write it, also one that is nothing but the host.
    pub(crate) fn of_url(url: &str) -> Option<Domain> {
        host(url).filter(|host| has_labels(host)).map(|host| Domain(host.into()))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether something stands between any two dots.
fn has_labels(host: &str) -> bool {
    host.split('.').all(|label| !label.is_empty())
}

/// A text that is no host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoDomain;

impl FromStr for Domain {
    type Err = NoDomain;

    /// Reads a bare host name: a scheme, a port or a path make it none.
    fn from_str(text: &str) -> Result<Domain, NoDomain> {
        let domain = Domain::of_url(text).ok_or(NoDomain)?;
        let bare = text.strip_suffix('.').unwrap_or(text);
        if bare.to_lowercase() == domain.as_str() { Ok(domain) } else { Err(NoDomain) }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A user's account: name and domain in lower case. A local account's domain is its machine's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct User {
    name: Box<str>,
    /// Empty if no source names one.
    domain: Box<str>,
}

impl User {
    /// The user of an account. `None`: no person logs on to it (the system's own, services', machines'),
    /// or it has no name.
    pub(crate) fn of_account(name: &str, domain: Option<&str>, sid: Option<&str>) -> Option<User> {
        let user = User::named(name, domain.unwrap_or_default())?;
        (!is_system(&user.name) && !sid.is_some_and(is_system_sid)).then_some(user)
    }

    /// The user of this name in this domain, whoever it is.
    pub(crate) fn named(name: &str, domain: &str) -> Option<User> {
        let user = User { name: lower(name), domain: lower(domain) };
        let is_text = |text: &str| !text.contains(char::is_control);
        (!user.name.is_empty() && is_text(&user.name) && is_text(&user.domain)).then_some(user)
    }

    /// The account's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The account's domain; empty if no source names one.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// `domain\name`; without a domain the name alone.
    pub fn id(&self) -> String {
        if self.domain.is_empty() { self.name.to_string() } else { format!("{}\\{}", self.domain, self.name) }
    }
}

/// In lower case, without blanks around it, and cut at a character.
fn lower(text: &str) -> Box<str> {
    let cut = |text: &str| text.get(..text.floor_char_boundary(MAX_NAME_BYTES)).unwrap_or(text).to_owned();
    // A letter in lower case may be longer.
    cut(&cut(text.trim()).to_lowercase()).trim().into()
}

/// Accounts of Windows itself and of machines; in lower case.
fn is_system(name: &str) -> bool {
    const WINDOWS: [&str; 6] = ["-", "system", "local service", "network service", "anonymous logon", "iusr"];
    name.ends_with('$') || WINDOWS.contains(&name) || name.starts_with("dwm-") || name.starts_with("umfd-")
}

/// The SIDs of the same.
pub(crate) fn is_system_sid(sid: &str) -> bool {
    let sid = sid.trim();
    let begins = |with: &str| sid.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    ["S-1-5-18", "S-1-5-19", "S-1-5-20", "S-1-5-7"].iter().any(|whole| sid.eq_ignore_ascii_case(whole))
        || begins("S-1-5-90-")
        || begins("S-1-5-96-")
}

/// Which users a caller means by a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserName {
    pub(crate) name: Box<str>,
    /// Only in this domain; `None`: in any.
    pub(crate) domain: Option<Box<str>>,
}

impl FromStr for UserName {
    type Err = NoUser;

    /// Reads an account's name, or `domain\name` as answers give it.
    fn from_str(text: &str) -> Result<UserName, NoUser> {
        let (domain, name) =
            text.rsplit_once('\\').map_or((None, text), |(domain, name)| (Some(domain), name));
        let user = User::named(name, domain.unwrap_or_default()).ok_or(NoUser)?;
        Ok(UserName { name: user.name, domain: domain.map(|_| user.domain) })
    }
}

impl UserName {
    /// Whether a user is one of them.
    pub(crate) fn means(&self, user: &User) -> bool {
        self.name == user.name && self.domain.as_ref().is_none_or(|domain| *domain == user.domain)
    }

    /// The same without what follows the `@` of a principal name, if there is one.
    pub(crate) fn before_at(&self) -> Option<UserName> {
        let (name, _) = self.name.split_once('@')?;
        Some(UserName { name: name.into(), domain: self.domain.clone() }).filter(|of| !of.name.is_empty())
    }
}

/// A text that can be no user's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoUser;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_however_it_is_written() {
        let is = |text: &str| address(text).map(|address| address.to_string());
        for (text, expected) in [
            (" 192.0.2.7 ", Some("192.0.2.7")),
            ("::ffff:192.0.2.7", Some("192.0.2.7")),
            ("2001:DB8:0::1", Some("2001:db8::1")),
            ("fe80::1%12", Some("fe80::1")),
            ("192.0.2.7:443", None),
            ("192.0.2", None),
            ("", None),
        ] {
            assert_eq!(is(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_domain_is_a_bare_host_name() {
        for text in ["Evil.Example", "evil.example.", "EVIL.EXAMPLE", "evil.example"] {
            assert_eq!(text.parse::<Domain>().unwrap().as_str(), "evil.example", "{text}");
        }
        for text in [
            "",
            ".",
            "a..b",
            ".a",
            "http://evil.example",
            "evil.example/x",
            "evil.example:80",
            "x@evil.example",
            "a b",
            "203.0.113.7",
            "2001:db8::1",
            "evil.example..",
            " evil.example",
        ] {
            assert_eq!(text.parse::<Domain>(), Err(NoDomain), "{text}");
        }
        assert!(format!("{}.example", "x".repeat(250)).parse::<Domain>().is_err());
    }

    #[test]
    fn nobody_logs_on_to_the_accounts_of_windows_and_of_machines() {
        let is_user = |name: &str, sid: &str| User::of_account(name, Some("CORP"), Some(sid)).is_some();
        for (name, sid) in [
            ("SYSTEM", ""),
            ("alex", "S-1-5-18"),
            ("alex", "s-1-5-90-0-3"),
            ("alex", "S-1-5-96-0-1"),
            ("WS-17$", "S-1-5-21-1-2-3-1104"),
            ("Local Service", ""),
            ("NETWORK SERVICE", ""),
            ("ANONYMOUS LOGON", "S-1-5-7"),
            ("DWM-3", ""),
            ("UMFD-0", ""),
            ("-", ""),
            ("", ""),
            (" ", ""),
            ("a\0b", ""),
        ] {
            assert!(!is_user(name, sid), "{name:?} {sid}");
        }
        for (name, sid) in [("alex", ""), ("alex", "S-1-5-21-18"), ("systems", ""), ("dwm", "S-1-5-180")] {
            assert!(is_user(name, sid), "{name} {sid}");
        }
        let user = User::of_account(" Alex ", Some("CORP"), None).unwrap();
        assert_eq!((user.name(), user.domain(), user.id().as_str()), ("alex", "corp", "corp\\alex"));
        assert_eq!(User::of_account("alex", None, None).unwrap().id(), "alex");
        assert!(User::named(&"İ".repeat(4_000), "").unwrap().name().len() <= MAX_NAME_BYTES);
    }

    #[test]
    fn a_user_is_asked_for_by_name_with_or_without_the_domain() {
        let asked = |text: &str| text.parse::<UserName>().map(|of| (of.name, of.domain));
        assert_eq!(asked("Alex"), Ok(("alex".into(), None)));
        assert_eq!(asked("CORP\\Alex"), Ok(("alex".into(), Some("corp".into()))));
        assert_eq!(asked("\\alex"), Ok(("alex".into(), Some("".into()))));
        for text in ["", " ", "CORP\\", "a\nb"] {
            assert_eq!(asked(text), Err(NoUser), "{text:?}");
        }
        let before = |text: &str| text.parse::<UserName>().unwrap().before_at().map(|of| of.name);
        assert_eq!(before("alex@corp.example"), Some("alex".into()));
        assert_eq!((before("alex"), before("@x")), (None, None));
    }
}
