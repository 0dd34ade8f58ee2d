//! File hashes: bytes, not strings. The length decides the kind.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The three kinds of hash that identify a file. The order is the order in which a file is named
/// by the API: SHA-1 first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum HashKind {
    /// 20 bytes.
    Sha1,
    /// 32 bytes.
    Sha256,
    /// 16 bytes.
    Md5,
}

impl HashKind {
    /// All three, in order.
    pub const ALL: [HashKind; 3] = [HashKind::Sha1, HashKind::Sha256, HashKind::Md5];

    /// The name as people write it in lower case: `sha1`, `sha256`, `md5`.
    pub fn name(self) -> &'static str {
        match self {
            HashKind::Sha1 => "sha1",
            HashKind::Sha256 => "sha256",
            HashKind::Md5 => "md5",
        }
    }
}

/// Text that is no hash of the kind asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseHashError;

impl fmt::Display for ParseHashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a file hash is 40 (SHA-1), 64 (SHA-256) or 32 (MD5) hexadecimal digits")
    }
}

impl std::error::Error for ParseHashError {}

macro_rules! digest {
    ($name:ident, $len:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Whether every byte is zero: sensors write that for "not computed", so it is
            /// nobody's identity.
            pub fn is_zero(&self) -> bool {
                self.0.iter().all(|byte| *byte == 0)
            }
        }

        impl FromStr for $name {
            type Err = ParseHashError;
            fn from_str(text: &str) -> Result<$name, ParseHashError> {
                decode_hex(text).map($name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

digest!(Sha1, 20, "A SHA-1, the API's own key of a file.");
digest!(Sha256, 32, "A SHA-256.");
digest!(Md5, 16, "An MD5.");

fn decode_hex<const N: usize>(text: &str) -> Result<[u8; N], ParseHashError> {
    let text = text.as_bytes();
    if text.len() != N * 2 {
        return Err(ParseHashError);
    }
    let mut bytes = [0; N];
    let mut all = 0;
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = pair else { return Err(ParseHashError) };
        let (high, low) = (digit(*high), digit(*low));
        all |= high | low;
        *byte = high << 4 | low & 0xf;
    }
    if all & NO_DIGIT == 0 { Ok(bytes) } else { Err(ParseHashError) }
}

const NO_DIGIT: u8 = 0x80;

/// The values of the hexadecimal digits.
const DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        #[expect(clippy::indexing_slicing, reason = "a slip fails the build")]
        {
            digits[b"0123456789abcdef"[value as usize] as usize] = value;
            digits[b"0123456789ABCDEF"[value as usize] as usize] = value;
        }
        value += 1;
    }
    digits
};

fn digit(byte: u8) -> u8 {
    DIGITS.get(usize::from(byte)).copied().unwrap_or(NO_DIGIT)
}

/// One hash of any of the three kinds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FileHash {
    /// A SHA-1.
    Sha1(Sha1),
    /// A SHA-256.
    Sha256(Sha256),
    /// An MD5.
    Md5(Md5),
}

impl FileHash {
    /// Which of the three this is.
    pub fn kind(&self) -> HashKind {
        match self {
            FileHash::Sha1(_) => HashKind::Sha1,
            FileHash::Sha256(_) => HashKind::Sha256,
            FileHash::Md5(_) => HashKind::Md5,
        }
    }

    /// The digest's bytes: 20, 32 or 16 of them.
    pub fn bytes(&self) -> &[u8] {
        match self {
            FileHash::Sha1(hash) => &hash.0,
            FileHash::Sha256(hash) => &hash.0,
            FileHash::Md5(hash) => &hash.0,
        }
    }
}

impl FromStr for FileHash {
    type Err = ParseHashError;
    fn from_str(text: &str) -> Result<FileHash, ParseHashError> {
        match text.len() {
            40 => text.parse().map(FileHash::Sha1),
            64 => text.parse().map(FileHash::Sha256),
            32 => text.parse().map(FileHash::Md5),
            _ => Err(ParseHashError),
        }
    }
}

impl fmt::Display for FileHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileHash::Sha1(hash) => hash.fmt(f),
            FileHash::Sha256(hash) => hash.fmt(f),
            FileHash::Md5(hash) => hash.fmt(f),
        }
    }
}

impl fmt::Debug for FileHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{self}", self.kind().name())
    }
}

/// The hashes that one record gives for one file: any subset of the three kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Hashes {
    /// The SHA-1, if the record has one.
    pub sha1: Option<Sha1>,
    /// The SHA-256, if the record has one.
    pub sha256: Option<Sha256>,
    /// The MD5, if the record has one.
    pub md5: Option<Md5>,
}

impl Hashes {
    /// Reads the three texts as a record gives them. What is no hash (`-`, `Unknown`, a wrong
    /// length) or is all zeros is left out.
    pub fn read(sha1: Option<&str>, sha256: Option<&str>, md5: Option<&str>) -> Hashes {
        Hashes {
            sha1: sha1.and_then(|text| text.trim().parse().ok()).filter(|hash: &Sha1| !hash.is_zero()),
            sha256: sha256.and_then(|text| text.trim().parse().ok()).filter(|hash: &Sha256| !hash.is_zero()),
            md5: md5.and_then(|text| text.trim().parse().ok()).filter(|hash: &Md5| !hash.is_zero()),
        }
    }

    /// Reads Sysmon's `Hashes` text: `SHA1=…,MD5=…,SHA256=…,IMPHASH=…` in any order and any
    /// subset, or a bare hash whose length decides. IMPHASH identifies no file and is left out.
    pub fn read_sysmon(text: &str) -> Hashes {
        let (mut sha1, mut sha256, mut md5) = (None, None, None);
        for part in text.split(',') {
            match part.split_once('=') {
                Some((name, value)) if name.trim().eq_ignore_ascii_case("sha1") => sha1 = Some(value),
                Some((name, value)) if name.trim().eq_ignore_ascii_case("sha256") => sha256 = Some(value),
                Some((name, value)) if name.trim().eq_ignore_ascii_case("md5") => md5 = Some(value),
                Some(_) => {}
                None => match part.trim().len() {
                    40 => sha1 = Some(part),
                    64 => sha256 = Some(part),
                    32 => md5 = Some(part),
                    _ => {}
                },
            }
        }
        Hashes::read(sha1, sha256, md5)
    }

    /// Whether no hash is there at all.
    pub fn is_empty(&self) -> bool {
        *self == Hashes::default()
    }

    /// The hash of one kind, if there.
    pub fn get(&self, kind: HashKind) -> Option<FileHash> {
        match kind {
            HashKind::Sha1 => self.sha1.map(FileHash::Sha1),
            HashKind::Sha256 => self.sha256.map(FileHash::Sha256),
            HashKind::Md5 => self.md5.map(FileHash::Md5),
        }
    }

    /// The hashes that are there, SHA-1 first.
    pub fn iter(&self) -> impl Iterator<Item = FileHash> + '_ {
        HashKind::ALL.into_iter().filter_map(|kind| self.get(kind))
    }

    /// What speaks for this file to a question about a hash of kind `asked` that the record
    /// lacks: its SHA-256, else its SHA-1, else its MD5.
    pub fn best_besides(&self, asked: HashKind) -> Option<FileHash> {
        [HashKind::Sha256, HashKind::Sha1, HashKind::Md5]
            .into_iter()
            .filter(|kind| *kind != asked)
            .find_map(|kind| self.get(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA1: &str = "38733789e4a1b2c3d4e5f60718293a4b5c6d7e8f";

    #[test]
    fn sysmon_hashes_come_in_any_order_and_subset() {
        let all = Hashes::read_sysmon(&format!(
            "SHA1={},MD5=1DDCFC2081A1B2C3D4E5F60718293A4B,SHA256={},IMPHASH=F34D5F2D4577ED6D9CEEC516C1F5A744",
            SHA1.to_uppercase(),
            "A5".repeat(32)
        ));
        assert_eq!(all.sha1.unwrap().to_string(), SHA1);
        assert_eq!(all.sha256.unwrap().to_string(), "a5".repeat(32));
        assert_eq!(all.md5.unwrap().to_string(), "1ddcfc2081a1b2c3d4e5f60718293a4b");
        assert_eq!(Hashes::read_sysmon(SHA1).sha1.unwrap().to_string(), SHA1);
        assert_eq!(Hashes::read_sysmon(&format!("SHA1={SHA1}")).iter().count(), 1);
    }

    #[test]
    fn imphash_zeros_and_words_are_nobodys_identity() {
        for text in [
            "Unknown",
            "-",
            "",
            "IMPHASH=F34D5F2D4577ED6D9CEEC516C1F5A744",
            "SHA1=0000000000000000000000000000000000000000",
            "SHA1=xyz",
            "MD5=",
            "ééé=ü",
        ] {
            assert!(Hashes::read_sysmon(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn the_best_other_hash_follows_the_identity_rule() {
        let hashes = Hashes::read(Some(SHA1), Some(&"a5".repeat(32)), Some(&"b6".repeat(16)));
        assert_eq!(hashes.best_besides(HashKind::Sha1).unwrap().kind(), HashKind::Sha256);
        assert_eq!(hashes.best_besides(HashKind::Sha256).unwrap().kind(), HashKind::Sha1);
        assert_eq!(hashes.best_besides(HashKind::Md5).unwrap().kind(), HashKind::Sha256);
    }
}
