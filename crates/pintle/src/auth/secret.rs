//! Client secrets: made by a machine, shown once, kept only as a peppered SHA-256. No slow hash is
//! needed, since 256 random bits cannot be guessed; the pepper makes a stolen `control.json`
//! useless even for secrets that somebody chose by hand.

use std::fmt;
use std::path::Path;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{Error, random};
use crate::private_file;

/// A client secret in the clear.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A new one of 256 random bits, in characters that need no encoding in a form or a URL.
    pub fn generate() -> Result<Secret, Error> {
        Ok(Secret(URL_SAFE_NO_PAD.encode(random::<32>()?)))
    }

    /// One that is known already: the fixed secret of `dev --fixed`, or one sent by a client.
    pub fn from_text(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The secret itself, to be shown once to whoever asked for it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Never the secret: it may end in a log.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What goes into every secret's hash beside the secret; it stays in a file of its own.
pub(super) struct Pepper([u8; 32]);

impl Pepper {
    pub(super) const FILE: &str = super::PEPPER;

    /// Reads the folder's pepper. `None`: there is none yet.
    pub(super) fn read(folder: &Path) -> Result<Option<Pepper>, Error> {
        let path = folder.join(Pepper::FILE);
        let Some(bytes) = private_file::read(&path).map_err(Error::io("read", &path))? else {
            return Ok(None);
        };
        let pepper = <[u8; 32]>::try_from(bytes.as_slice())
            .map_err(|_| Error::damaged(&path, "it should be 32 bytes, so restore it from a backup"))?;
        Ok(Some(Pepper(pepper)))
    }

    /// Makes the folder's pepper.
    pub(super) fn create(folder: &Path) -> Result<Pepper, Error> {
        let path = folder.join(Pepper::FILE);
        let pepper = random::<32>()?;
        private_file::replace(&path, &pepper).map_err(Error::io("write", &path))?;
        Ok(Pepper(pepper))
    }

    /// A key for another purpose, from which neither the pepper nor the key for a third one follows.
    pub(super) fn derived(&self, purpose: &str) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let tag = hmac::sign(&key, purpose.as_bytes());
        let mut derived = [0; 32];
        derived.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        derived
    }

    /// What is kept of a secret. The pepper has a fixed length, so no other pair of pepper and
    /// secret gives the same bytes.
    pub(super) fn hash(&self, secret: &Secret) -> SecretHash {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(secret.0.as_bytes());
        SecretHash(hash.finalize().into())
    }
}

/// A secret's peppered SHA-256.
#[derive(Clone, Copy)]
pub(super) struct SecretHash([u8; 32]);

impl SecretHash {
    /// Whether both are the same, in a time that does not tell how much of them is.
    pub(super) fn equals(&self, other: &SecretHash) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl serde::Serialize for SecretHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl<'de> serde::Deserialize<'de> for SecretHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<SecretHash, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let bytes = URL_SAFE_NO_PAD.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(SecretHash)
            .ok_or_else(|| serde::de::Error::custom("a secret's hash is 32 bytes in base64url"))
    }
}
