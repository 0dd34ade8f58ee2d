//! The keys of things: tenant, machine, alert.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

/// Text that cannot be an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseIdError;

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id is 1 to 256 bytes of text without control characters or a slash")
    }
}

impl std::error::Error for ParseIdError {}

macro_rules! opaque_id {
    ($name:ident, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(Box<str>);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether a text can be an id.
            pub fn can_be(text: &str) -> bool {
                let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'/';
                !text.is_empty()
                    && text.len() <= 256
                    && (text.bytes().all(is_plain) || !text.chars().any(|c| c.is_control() || c == '/'))
            }
        }

        /// An id is found by its text.
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<$name, ParseIdError> {
                if $name::can_be(text) { Ok($name(text.into())) } else { Err(ParseIdError) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

opaque_id!(
    MachineId,
    "The API's machine id: 40 hex digits as a rule, but kept as the source gives it. Nothing is read from it \
     but whether it is of a namespace."
);
opaque_id!(AlertId, "An alert's id: opaque text, never parsed.");

impl MachineId {
    /// The id of a machine whose source gives none: the SHA-1 of `kind NUL value`. `host` goes
    /// with a host name, which is lower-cased here; other kinds (`wazuh`, `osquery`, `aid`) with
    /// the source's own id. The format it came in is never part of it, so that another shipper of
    /// the same log does not make a second machine.
    pub fn derived(kind: &str, value: &str) -> MachineId {
        let value = if kind == "host" { value.to_lowercase().into() } else { Cow::Borrowed(value) };
        MachineId(sha1(kind, &value).into())
    }

    /// The id that a source's own id becomes in a namespace. The first 32 digits are those of the SHA-1 of
    /// `namespace/NAME NUL id`, and the last 8 the first of the SHA-1 of `namespace NUL` and these 32: so it
    /// can be told of the id alone ([`MachineId::is_of_namespace`]), whoever else has forgotten.
    pub fn of_namespace(namespace: &str, id: &str) -> MachineId {
        // No kind of ids that a decoder derives has a slash, so no machine of others is meant.
        let hash = sha1(&format!("namespace/{namespace}"), id);
        let (what, _) = hash.split_at(MARKED_DIGITS);
        MachineId(format!("{what}{}", namespace_mark(what)).into())
    }

    /// Whether the id is of some namespace. One that is of none looks like it once in 2^32.
    pub fn is_of_namespace(&self) -> bool {
        let parts = self.0.split_at_checked(MARKED_DIGITS);
        parts.is_some_and(|(what, mark)| mark.len() == 8 && mark == namespace_mark(what))
    }
}

/// The digits of an id of a namespace before those that say that it is one.
const MARKED_DIGITS: usize = 32;

fn namespace_mark(what: &str) -> String {
    sha1("namespace", what).chars().take(8).collect()
}

/// In lower-case digits, of `kind NUL value`.
fn sha1(kind: &str, value: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(kind.as_bytes());
    hash.update([0]);
    hash.update(value.as_bytes());
    crate::hash::Sha1(hash.finalize().into()).to_string()
}

/// A tenant: the GUID in a token's `tid`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TenantId(uuid::Uuid);

impl TenantId {
    /// From the 16 bytes of its GUID.
    pub const fn from_bytes(bytes: [u8; 16]) -> TenantId {
        TenantId(uuid::Uuid::from_bytes(bytes))
    }

    /// The 16 bytes of its GUID: the first bytes of every key in the store.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// A new random tenant id.
    pub fn random() -> TenantId {
        TenantId(uuid::Uuid::new_v4())
    }
}

impl FromStr for TenantId {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<TenantId, ParseIdError> {
        uuid::Uuid::try_parse(text).map(TenantId).map_err(|_| ParseIdError)
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_machine_id_is_the_sha1_of_kind_nul_value_in_lower_case() {
        // printf 'host\0workstation5' | sha1sum
        let id = MachineId::derived("host", "WORKSTATION5");
        assert_eq!(id.as_str(), "98be21a395a246d80aad631f9451b5ef91654a3c");
        assert_eq!(id, MachineId::derived("host", "workstation5"));
        assert_ne!(id, MachineId::derived("host", "workstation5.example.org"));
        assert_ne!(MachineId::derived("aid", "A"), MachineId::derived("aid", "a"));
    }

    #[test]
    fn an_id_of_a_namespace_says_that_it_is_of_one() {
        // printf 'namespace/site\0m1' | sha1sum, and printf 'namespace\0THE FIRST 32' | sha1sum
        let id = MachineId::of_namespace("site", "m1");
        assert_eq!(id.as_str(), "98321b91801805d98e44ddb4210ba846cbc6174c");
        assert!(id.is_of_namespace());
        assert_ne!(id, MachineId::of_namespace("site-2", "m1"));
        for other in [MachineId::derived("host", "m1"), MachineId::derived("namespace/site", "m1")] {
            assert!(!other.is_of_namespace(), "{other}");
        }
        let cut = |to: usize| id.as_str().split_at(to).0.parse::<MachineId>().unwrap();
        let with = |more: &str| format!("{id}{more}").parse::<MachineId>().unwrap();
        let wide: MachineId = "é".repeat(20).parse().unwrap();
        for other in [cut(39), cut(32), cut(1), with("0"), wide, "é".repeat(33).parse().unwrap()] {
            assert!(!other.is_of_namespace(), "{other}");
        }
    }

    #[test]
    fn ids_refuse_control_characters_slashes_and_excess() {
        for bad in ["", "a/b", "a\nb", "a\0b", &"x".repeat(257)] {
            assert!(bad.parse::<AlertId>().is_err(), "{bad:?}");
        }
        assert!("da637308392288907382_-880718168".parse::<AlertId>().is_ok());
    }
}
