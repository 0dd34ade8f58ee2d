//! A line as it is written: `{"seq":…,…,"prev":"…","hash":"…"}`. The hash is the SHA-256 of the bytes
//! before `,"hash"`, among which is the hash of the line before. So it is checked on the bytes as they
//! are, and there is no form to bring JSON to first.

use std::fmt;
use std::str::FromStr;

use pintle_model::{TenantId, Time};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::entry::{Actor, Entry, Outcome};

/// A line is never longer, with room for every character of every text to be escaped.
pub(super) const MAX_BYTES: usize = 64 << 10;

/// The action of a file's first line; its detail names the file.
pub(super) const FILE: &str = "audit.file";
/// The action of the line after an end that was not what it should be.
pub(super) const BROKEN: &str = "audit.broken";

const BEFORE_HASH: &[u8] = b",\"hash\":\"";
const AFTER_HASH: &[u8] = b"\"}";

/// The hash of a line, shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hash([u8; 32]);

impl Hash {
    /// What stands before the first line.
    pub(super) const NONE: Hash = Hash([0; 32]);

    fn of(bytes: &[u8]) -> Hash {
        Hash(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Hash {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Hash, &'static str> {
        let wrong = "a hash is 64 hexadecimal digits in lower case";
        let mut hash = [0; 32];
        if text.len() != 64 || !text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(wrong);
        }
        for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| wrong)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong)?;
        }
        Ok(Hash(hash))
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Hash, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[derive(Serialize)]
struct Body<'a> {
    seq: u64,
    at: String,
    actor: &'a Actor,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<TenantId>,
    action: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    repeated: Option<u64>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    detail: &'a Map<String, Value>,
    prev: Hash,
}

/// A line with its end, and its hash.
pub(super) fn sealed(
    seq: u64,
    prev: Hash,
    at: Time,
    entry: &Entry,
    repeated: Option<u64>,
) -> serde_json::Result<(Vec<u8>, Hash)> {
    let Entry { actor, tenant, action, target, outcome, detail, .. } = entry;
    let body = Body {
        seq,
        at: at.to_string(),
        actor,
        tenant: *tenant,
        action,
        target: target.as_deref(),
        outcome: *outcome,
        repeated,
        detail,
        prev,
    };
    let mut bytes = serde_json::to_vec(&body)?;
    bytes.pop();
    let hash = Hash::of(&bytes);
    bytes.extend_from_slice(BEFORE_HASH);
    bytes.extend_from_slice(hash.to_string().as_bytes());
    bytes.extend_from_slice(AFTER_HASH);
    bytes.push(b'\n');
    Ok((bytes, hash))
}

/// What a line says of its place in the chain.
#[derive(Deserialize)]
pub(super) struct Link {
    pub(super) seq: u64,
    pub(super) prev: Hash,
    pub(super) action: String,
    #[serde(default)]
    pub(super) detail: Map<String, Value>,
}

/// A line without its end, taken apart.
pub(super) struct Parts {
    /// The hash of what is there.
    pub(super) computed: Hash,
    /// The hash that it says it has.
    pub(super) stated: Hash,
    /// `None`: it is no JSON object of this form.
    pub(super) link: Option<Link>,
}

impl Parts {
    /// `None`: it does not end as a line does.
    pub(super) fn of(line: &[u8]) -> Option<Parts> {
        let rest = line.strip_suffix(AFTER_HASH)?;
        let (rest, stated) = rest.split_at_checked(rest.len().checked_sub(64)?)?;
        let body = rest.strip_suffix(BEFORE_HASH)?;
        let stated = std::str::from_utf8(stated).ok()?.parse().ok()?;
        Some(Parts { computed: Hash::of(body), stated, link: serde_json::from_slice(line).ok() })
    }
}
