//! The keys of an issuer, out of the JWK set that it publishes. A key that is not for signatures, is
//! too weak or of another kind is left out, as RFC 7517 has it; the others count.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Keys in a set; one with more is refused.
const MAX_KEYS: usize = 100;

/// Shorter RSA keys are not used.
const MIN_RSA_BITS: usize = 2_048;

/// Longer ones would only cost time.
const MAX_RSA_BITS: usize = 8_192;

/// A public key of an issuer.
pub(super) struct Key {
    /// Its name in the headers of tokens.
    pub kid: String,
    algorithms: &'static [Algorithm],
    decoding: DecodingKey,
    /// Tells it from another key of the same name.
    fingerprint: [u8; 32],
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.kid == other.kid && self.fingerprint == other.fingerprint
    }
}

impl Key {
    /// Whether the signature of the message is this key's, by an algorithm that it is for.
    pub fn verifies(&self, message: &[u8], signature: &str, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
            && crypto::verify(signature, message, &self.decoding, algorithm).unwrap_or(false)
    }
}

/// The keys of an issuer at one moment.
pub(super) struct KeySet(Vec<Arc<Key>>);

/// A key as it is published. What is missing or mistyped is found by [`Jwk::key`], so that one bad
/// key does not spoil the set.
struct Jwk<'a>(&'a Value);

#[derive(Deserialize)]
struct File {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a JWK set. The error says what is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<KeySet, String> {
        let file: File =
            serde_json::from_slice(bytes).map_err(|error| format!("it is no JWK set: {error}"))?;
        if file.keys.len() > MAX_KEYS {
            return Err(format!("it has {} keys, more than {MAX_KEYS}", file.keys.len()));
        }
        Ok(KeySet(file.keys.iter().filter_map(|key| Jwk(key).key()).map(Arc::new).collect()))
    }

    /// The key of that name.
    pub fn find(&self, kid: &str) -> Option<&Arc<Key>> {
        self.0.iter().find(|key| key.kid == kid)
    }

    /// How many keys can be used.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl<'a> Jwk<'a> {
    fn text(&self, name: &str) -> Option<&'a str> {
        self.0.get(name)?.as_str()
    }

    fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        URL_SAFE_NO_PAD.decode(self.text(name)?).ok()
    }

    /// The key; `None`: it is of no use here.
    fn key(&self) -> Option<Key> {
        let kid = self.text("kid").filter(|kid| !kid.is_empty())?.to_owned();
        let is_for_signatures = self.0.get("use").is_none_or(|purpose| purpose == "sig")
            && self.0.get("key_ops").is_none_or(|operations| {
                operations.as_array().is_some_and(|list| list.iter().any(|operation| operation == "verify"))
            });
        if !is_for_signatures {
            return None;
        }
        let alg = self.0.get("alg").map(|alg| alg.as_str().unwrap_or_default());
        let (algorithms, parts): (&'static [Algorithm], _) = match (self.text("kty")?, alg) {
            ("RSA", None) => (&[Algorithm::RS256, Algorithm::PS256], ("n", "e")),
            ("RSA", Some("RS256")) => (&[Algorithm::RS256], ("n", "e")),
            ("RSA", Some("PS256")) => (&[Algorithm::PS256], ("n", "e")),
            ("EC", None | Some("ES256")) if self.text("crv")? == "P-256" => (&[Algorithm::ES256], ("x", "y")),
            _ => return None,
        };
        let (first, second) = (self.bytes(parts.0)?, self.bytes(parts.1)?);
        let decoding = if parts.0 == "n" {
            let is_strong = (MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits(&first)) && second.len() <= 8;
            is_strong.then(|| DecodingKey::from_rsa_raw_components(&first, &second))?
        } else {
            let is_whole = first.len() == 32 && second.len() == 32;
            is_whole.then(|| DecodingKey::from_ec_components(self.text("x")?, self.text("y")?).ok())??
        };
        let fingerprint = Sha256::new()
            .chain_update(first.len().to_le_bytes())
            .chain_update(&first)
            .chain_update(&second)
            .finalize()
            .into();
        Some(Key { kid, algorithms, decoding, fingerprint })
    }
}

/// The length of a number, without the zeros before it.
fn bits(number: &[u8]) -> usize {
    let significant = number.iter().skip_while(|byte| **byte == 0);
    let first = significant.clone().next().map_or(0, |byte| byte.leading_zeros() as usize);
    (significant.count() * 8).saturating_sub(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn usable(keys: &[Value]) -> usize {
        KeySet::read(json!({ "keys": keys }).to_string().as_bytes()).unwrap().len()
    }

    fn rsa(bits: usize) -> Value {
        let mut n = vec![0xff; bits / 8];
        n[0] = 0x80;
        json!({"kty": "RSA", "kid": "a", "use": "sig", "alg": "RS256", "e": "AQAB", "n": URL_SAFE_NO_PAD.encode(n)})
    }

    #[test]
    fn only_keys_for_signatures_that_are_strong_enough_count() {
        assert_eq!(usable(&[rsa(2048)]), 1);
        for (member, value) in [
            ("use", json!("enc")),
            ("use", json!(7)),
            ("alg", json!("RS512")),
            ("alg", json!("HS256")),
            ("alg", json!("none")),
            ("alg", json!(7)),
            ("kty", json!("oct")),
            ("kty", json!("EC")),
            ("kid", json!("")),
            ("kid", json!(7)),
            ("n", json!("***")),
            ("n", json!("AQAB")),
            ("e", json!(65537)),
            ("key_ops", json!(["encrypt"])),
        ] {
            let mut key = rsa(2048);
            key[member] = value.clone();
            assert_eq!(usable(&[key]), 0, "{member} {value}");
        }
        for member in ["kty", "kid", "n", "e"] {
            let mut key = rsa(2048);
            key.as_object_mut().unwrap().remove(member);
            assert_eq!(usable(&[key, rsa(2048)]), 1, "{member}");
        }
        let mut bare = rsa(2048);
        bare.as_object_mut().unwrap().retain(|member, _| ["kty", "kid", "n", "e"].contains(&member.as_str()));
        assert_eq!(usable(&[bare]), 1);
        assert_eq!((usable(&[rsa(2040)]), usable(&[rsa(1024)]), usable(&[rsa(16_384)])), (0, 0, 0));
    }

    #[test]
    fn leading_zeros_make_no_key_longer() {
        let mut n = vec![0; 128];
        n.extend([0xff; 128]);
        let mut key = rsa(2048);
        key["n"] = json!(URL_SAFE_NO_PAD.encode(n));
        assert_eq!(usable(&[key]), 0);
    }

    #[test]
    fn what_is_no_set_or_too_large_a_one_is_refused() {
        for text in ["", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[]", "<html>"] {
            assert!(KeySet::read(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(usable(&[]), 0);
        assert_eq!(usable(&vec![rsa(2048); 100]), 100);
        let many = json!({ "keys": vec![Value::Null; 101] }).to_string();
        assert_eq!(KeySet::read(many.as_bytes()).err().unwrap(), "it has 101 keys, more than 100");
    }
}
