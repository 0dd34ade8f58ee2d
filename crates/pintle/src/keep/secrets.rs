//! The files of a data folder that are secrets, encrypted with a passphrase for a backup: the pepper of
//! the applications' secrets and the keys that sign tokens.
//!
//! `secrets.encrypted` is a header (what it is, the parameters and the salt of Argon2id), a nonce, and
//! the files as JSON under AES-256-GCM, which authenticates the header too. Every backup has a salt of
//! its own, and so a key of its own.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read as _};
use std::path::Path;

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::auth;
use crate::private_file;

/// The file, in a backup.
pub(crate) const FILE: &str = "secrets.encrypted";

/// What it holds, by their names in the data folder.
pub(super) const NAMES: &[&str] = &[auth::PEPPER, auth::keys::FILE];

/// The format. A change begins otherwise.
const BEGINS: &[u8] = b"pintle secrets 1\n";
const SALT: usize = 16;
const NONCE: usize = 12;
const HEADER: usize = BEGINS.len() + 3 * 4 + SALT;
/// It is read into memory.
const MAX_BYTES: u64 = 16 << 20;

/// What Argon2id takes: 64 MiB, three times over.
const COST: Cost = Cost { kib: 64 << 10, passes: 3, lanes: 1 };
/// What a file may ask for, so that a forged one does not take all memory.
const MOST: Cost = Cost { kib: 1 << 20, passes: 16, lanes: 16 };

const FEWEST_CHARACTERS: usize = 8;
const MOST_BYTES: u64 = 1_024;

#[derive(Clone, Copy)]
struct Cost {
    kib: u32,
    passes: u32,
    lanes: u32,
}

/// Why secrets cannot be encrypted or decrypted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The operating system refused.
    #[error("{0}: {1}")]
    Io(String, #[source] io::Error),
    /// Nobody may use it.
    #[error("a passphrase is one line of {FEWEST_CHARACTERS} characters or more, at most {MOST_BYTES} bytes")]
    Passphrase,
    /// It is not that.
    #[error(
        "the passphrase does not open {FILE}: it is another one, or the file is damaged (`pintle verify`)"
    )]
    Closed,
    /// A newer version made it, or it is damaged.
    #[error("{FILE} is not of a form that this pintle knows: a newer one made it, or it is damaged")]
    Unknown,
    /// The cryptographic library failed.
    #[error("{0} failed in the cryptographic library")]
    Crypto(&'static str),
}

/// What opens the secrets of a backup.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Passphrase(String);

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

impl Passphrase {
    /// Reads it from a file, or from standard input if that is `-`. A line end behind it is no part of
    /// it.
    pub(crate) fn read(file: &Path) -> Result<Passphrase, Error> {
        let mut text = String::new();
        let read = match file == Path::new("-") {
            true => io::stdin().take(MOST_BYTES + 3).read_to_string(&mut text),
            false => {
                std::fs::File::open(file).and_then(|open| open.take(MOST_BYTES + 3).read_to_string(&mut text))
            }
        };
        read.map_err(|error| Error::Io(format!("reading the passphrase from {}", file.display()), error))?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        Passphrase(line.strip_suffix('\r').unwrap_or(line).to_owned()).checked()
    }

    /// Fails if nobody should use it.
    pub(crate) fn checked(self) -> Result<Passphrase, Error> {
        let is_good = self.0.chars().count() >= FEWEST_CHARACTERS
            && self.0.len() as u64 <= MOST_BYTES
            && !self.0.contains(['\n', '\r']);
        if is_good { Ok(self) } else { Err(Error::Passphrase) }
    }

    fn key(&self, cost: Cost, salt: &[u8]) -> Result<RandomizedNonceKey, Error> {
        let failed = |_| Error::Crypto("deriving a key");
        let params = Params::new(cost.kib, cost.passes, cost.lanes, Some(32)).map_err(failed)?;
        let mut key = [0; 32];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon2.hash_password_into(self.0.as_bytes(), salt, &mut key).map_err(failed)?;
        RandomizedNonceKey::new(&AES_256_GCM, &key).map_err(|_| Error::Crypto("making a key"))
    }
}

/// The content of the secret files, by their names.
pub(super) struct Secrets(BTreeMap<String, Vec<u8>>);

impl Secrets {
    /// Those of a data folder.
    pub(super) fn of(folder: &Path) -> Result<Secrets, Error> {
        let mut files = BTreeMap::new();
        for name in NAMES {
            let path = folder.join(name);
            let read = private_file::read(&path);
            let bytes = read.map_err(|error| Error::Io(format!("reading {}", path.display()), error))?;
            files.extend(bytes.map(|bytes| ((*name).to_owned(), bytes)));
        }
        Ok(Secrets(files))
    }

    /// Encrypts them.
    pub(super) fn seal(&self, passphrase: &Passphrase) -> Result<Vec<u8>, Error> {
        let mut salt = [0; SALT];
        aws_lc_rs::rand::fill(&mut salt).map_err(|_| Error::Crypto("making random bytes"))?;
        let cost = [COST.kib, COST.passes, COST.lanes].map(u32::to_be_bytes);
        let header = [BEGINS, cost.as_flattened(), &salt].concat();
        let texts: BTreeMap<&String, String> =
            self.0.iter().map(|(name, bytes)| (name, STANDARD.encode(bytes))).collect();
        let mut sealed = serde_json::to_vec(&texts).map_err(|_| Error::Crypto("writing the secrets"))?;
        let key = passphrase.key(COST, &salt)?;
        let nonce = key.seal_in_place_append_tag(Aad::from(&header), &mut sealed);
        let nonce = nonce.map_err(|_| Error::Crypto("encrypting"))?;
        Ok([&header, nonce.as_ref().as_slice(), &sealed].concat())
    }

    /// Decrypts them.
    pub(super) fn open(file: &[u8], passphrase: &Passphrase) -> Result<Secrets, Error> {
        let (header, rest) = file.split_at_checked(HEADER).ok_or(Error::Unknown)?;
        let numbers = header.strip_prefix(BEGINS).ok_or(Error::Unknown)?;
        let (cost, salt) = numbers.split_at_checked(12).ok_or(Error::Unknown)?;
        let mut cost = cost.as_chunks::<4>().0.iter().copied().map(u32::from_be_bytes);
        let mut next = |most| cost.next().filter(|number| (1..=most).contains(number)).ok_or(Error::Unknown);
        let cost = Cost { kib: next(MOST.kib)?, passes: next(MOST.passes)?, lanes: next(MOST.lanes)? };
        let (nonce, sealed) = rest.split_at_checked(NONCE).ok_or(Error::Unknown)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Error::Unknown)?;
        let mut sealed = sealed.to_vec();
        let key = passphrase.key(cost, salt)?;
        let text = key.open_in_place(nonce, Aad::from(header), &mut sealed).map_err(|_| Error::Closed)?;
        let texts: BTreeMap<String, String> = serde_json::from_slice(text).map_err(|_| Error::Unknown)?;
        let bytes = |(name, text): (String, String)| match STANDARD.decode(text) {
            // It was sealed with this name, but a name is a path.
            Ok(bytes) if NAMES.contains(&name.as_str()) => Ok((name, bytes)),
            _ => Err(Error::Unknown),
        };
        texts.into_iter().map(bytes).collect::<Result<_, _>>().map(Secrets)
    }

    /// Puts them into a data folder.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        self.0.iter().try_for_each(|(name, bytes)| private_file::replace(&folder.join(name), bytes))
    }
}

/// The encrypted file of a backup, if it has one.
pub(super) fn read(backup: &Path) -> Result<Option<Vec<u8>>, Error> {
    let path = backup.join(FILE);
    let reading = |error| Error::Io(format!("reading {}", path.display()), error);
    let file = match std::fs::File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(reading(error)),
    };
    let mut bytes = Vec::new();
    let read = file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(reading)?;
    if read as u64 > MAX_BYTES { Err(Error::Unknown) } else { Ok(Some(bytes)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passphrase(text: &str) -> Passphrase {
        Passphrase(text.to_owned()).checked().unwrap()
    }

    #[test]
    fn only_the_passphrase_opens_them_and_only_as_they_were() {
        let secrets = Secrets([("pepper".to_owned(), vec![7; 32])].into());
        let sealed = secrets.seal(&passphrase("correct horse")).unwrap();
        let opened = Secrets::open(&sealed, &passphrase("correct horse")).unwrap();
        assert_eq!(opened.0, secrets.0);
        assert!(!sealed.windows(8).any(|bytes| bytes == [7; 8]));
        let another = secrets.seal(&passphrase("correct horse")).unwrap();
        assert_ne!(another[BEGINS.len() + 12..HEADER], sealed[BEGINS.len() + 12..HEADER], "the salt");
        assert!(matches!(Secrets::open(&sealed, &passphrase("correct house")), Err(Error::Closed)));
        // The header's bounds come before the work; the rest is authenticated.
        for place in [0, BEGINS.len() - 1, BEGINS.len(), BEGINS.len() + 4, BEGINS.len() + 8] {
            let mut altered = sealed.clone();
            altered[place] = 0xff;
            assert!(matches!(Secrets::open(&altered, &passphrase("correct horse")), Err(Error::Unknown)));
        }
        for place in [BEGINS.len() + 7, HEADER - 1, HEADER, HEADER + NONCE, sealed.len() - 1] {
            let mut altered = sealed.clone();
            altered[place] ^= 1;
            assert!(matches!(Secrets::open(&altered, &passphrase("correct horse")), Err(Error::Closed)));
        }
        for length in [0, 3, HEADER, HEADER + NONCE] {
            assert!(Secrets::open(&sealed[..length], &passphrase("correct horse")).is_err());
        }
        let outside =
            Secrets([("../evil".to_owned(), vec![])].into()).seal(&passphrase("correct horse")).unwrap();
        assert!(matches!(Secrets::open(&outside, &passphrase("correct horse")), Err(Error::Unknown)));
    }

    #[test]
    fn a_passphrase_is_a_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, is_good) in [
            ("correct horse\n", true),
            ("correct horse\r\n", true),
            ("correct horse", true),
            ("seven77\n", false),
            ("", false),
            ("correct horse\nbattery\n", false),
            (&"x".repeat(1_024), true),
            (&"x".repeat(1_025), false),
            (&"x".repeat(10_000), false),
        ] {
            std::fs::write(file.path(), text).unwrap();
            let read = Passphrase::read(file.path());
            assert_eq!(read.is_ok(), is_good, "{text:?}");
            assert!(read.is_err() || !format!("{read:?}").contains("horse"));
        }
    }
}
