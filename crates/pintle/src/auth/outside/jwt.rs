//! A signed token, taken apart strictly: what two readers might understand differently is refused.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::jwks::Key;
use crate::auth::token::Refusal;

/// A token whose header was read.
pub(super) struct Jwt<'a> {
    /// What is signed.
    message: &'a str,
    payload: &'a str,
    signature: &'a str,
    /// The key that it says signed it.
    pub kid: String,
    /// With which algorithm.
    algorithm: Algorithm,
}

/// The `iss` that a token claims, which nobody has verified.
pub(super) fn claimed_issuer(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claimed<'a> {
        #[serde(borrow)]
        iss: Cow<'a, str>,
    }
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Claimed>(&payload).ok().map(|claimed| claimed.iss.into_owned())
}

impl<'a> Jwt<'a> {
    /// Takes a token apart. Whatever else its header names (`jku`, `jwk`, `x5u`, …) is not looked at:
    /// keys are those of the configured issuer.
    pub fn read(token: &'a str) -> Result<Jwt<'a>, Refusal> {
        let no_jwt = || Refusal::Outside("it is no JWT");
        let (message, signature) = token.rsplit_once('.').ok_or_else(no_jwt)?;
        let (header, payload) = message.split_once('.').ok_or_else(no_jwt)?;
        let header = object(header).ok_or_else(no_jwt)?;
        if header.contains_key("crit") {
            return Err(Refusal::Outside("it has critical extensions, and none is known here"));
        }
        let text = |name: &str| header.get(name).and_then(Value::as_str);
        let algorithm = match text("alg") {
            Some("RS256") => Algorithm::RS256,
            Some("PS256") => Algorithm::PS256,
            Some("ES256") => Algorithm::ES256,
            _ => return Err(Refusal::Outside("it is not signed with RS256, PS256 or ES256")),
        };
        // Issuers sign other things with the same keys and say so here.
        let kind = header.get("typ").map_or(Some("JWT"), Value::as_str).unwrap_or_default();
        if !["JWT", "at+jwt", "application/at+jwt"].iter().any(|known| kind.eq_ignore_ascii_case(known)) {
            return Err(Refusal::Outside("it is no access token"));
        }
        let kid = text("kid").filter(|kid| !kid.is_empty()).ok_or(Refusal::Outside("it names no key"))?;
        Ok(Jwt { message, payload, signature, kid: kid.to_owned(), algorithm })
    }

    /// Whether the key made its signature.
    pub fn is_signed_by(&self, key: &Key) -> bool {
        key.verifies(self.message.as_bytes(), self.signature, self.algorithm)
    }

    /// Its claims.
    pub fn claims(&self) -> Result<Map<String, Value>, Refusal> {
        object(self.payload).ok_or(Refusal::Outside("its claims cannot be read"))
    }
}

/// The object in a part of a token.
fn object(part: &str) -> Option<Map<String, Value>> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
    match serde_json::from_slice::<Strict>(&bytes).ok()?.0 {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

/// JSON in which no object names a member twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Strict, D::Error> {
        deserializer.deserialize_any(StrictVisitor)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Strict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated members")
    }

    fn visit_unit<E>(self) -> Result<Strict, E> {
        Ok(Strict(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Strict, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Strict(Value::Array(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Strict, A::Error> {
        let mut object = Map::new();
        while let Some((name, Strict(value))) = members.next_entry::<String, Strict>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a member twice"));
            }
        }
        Ok(Strict(Value::Object(object)))
    }
}
