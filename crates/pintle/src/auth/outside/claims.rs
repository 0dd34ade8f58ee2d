//! What a token of an outside issuer says, each claim of its type. What it is worth here is decided for
//! every request.

use pintle_model::Time;
use serde_json::{Map, Value};

use crate::auth::token::{Refusal, in_time};
use crate::config::outside::{ClaimPath, OutsideIssuer};

/// Clocks may differ by this much, in seconds.
const LEEWAY: i64 = 300;

/// No id or name is longer.
const MAX_NAME: usize = 256;

/// What a genuine token says.
pub(super) struct Claims {
    /// The client that has the token.
    pub client: String,
    /// Whose it is.
    pub holder: Holder,
    /// From when and until when it counts, leeway included, in seconds since 1970.
    pub valid: (i64, i64),
}

/// Whose token it is, and what the issuer says of them.
pub(super) enum Holder {
    /// The client's own.
    Application {
        /// Its roles.
        roles: Vec<String>,
    },
    /// A user's, for whom the client acts.
    User {
        /// The user's id.
        id: String,
        /// The user's name.
        name: String,
        /// What the client may do for the user.
        scopes: Vec<String>,
        /// The user's groups.
        groups: Vec<String>,
    },
}

impl Claims {
    /// Reads the claims of a token that an issuer's key signed, if it counts now and is for this server.
    pub fn read(claims: &Map<String, Value>, issuer: &OutsideIssuer, now: Time) -> Result<Claims, Refusal> {
        let reader = Reader(claims);
        if reader.text("iss")? != issuer.issuer.as_str() {
            return Err(Refusal::Outside("its issuer is another one"));
        }
        let (issued, expires) = (reader.seconds("iat")?, reader.seconds("exp")?);
        let not_before = if claims.contains_key("nbf") { reader.seconds("nbf")? } else { issued };
        let valid = (issued.max(not_before).saturating_sub(LEEWAY), expires.saturating_add(LEEWAY));
        in_time(valid, now)?;
        let audiences = reader.list(claims.get("aud"))?.ok_or(MISTYPED)?;
        let ours = |audience: &String| issuer.audiences.iter().any(|ours| ours.as_str() == audience);
        if !audiences.iter().any(ours) {
            let named = audiences.join(" ");
            return Err(Refusal::Audience(named.chars().take(MAX_NAME).collect()));
        }
        let subject = reader.text("sub")?;
        let named_client = reader.client()?;
        reader.is_access_token(named_client.is_some())?;
        let holder = reader.holder(issuer)?;
        Ok(Claims { client: named_client.unwrap_or(subject).to_owned(), holder, valid })
    }
}

/// The claims while they are read.
struct Reader<'a>(&'a Map<String, Value>);

const MISTYPED: Refusal = Refusal::Outside("a claim is missing or of the wrong type");

impl<'a> Reader<'a> {
    /// The claim at the path. A name with dots in it goes before a way through objects.
    fn at(&self, path: &ClaimPath) -> Option<&'a Value> {
        if let Some(value) = self.0.get(path.as_str()) {
            return Some(value);
        }
        let mut parts = path.as_str().split('.');
        let first = self.0.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.as_object()?.get(part))
    }

    fn text(&self, name: &str) -> Result<&'a str, Refusal> {
        self.0.get(name).and_then(plain).ok_or(MISTYPED)
    }

    /// Seconds since 1970; a fraction is allowed and does not matter.
    fn seconds(&self, name: &str) -> Result<i64, Refusal> {
        let seconds = self.0.get(name).and_then(Value::as_f64).ok_or(MISTYPED)?;
        // So far from every overflow that the conversion is exact.
        if seconds.abs() < 1e14 { Ok(seconds as i64) } else { Err(MISTYPED) }
    }

    /// A string or a list of strings; `None`: there is none.
    fn list(&self, value: Option<&Value>) -> Result<Option<Vec<String>>, Refusal> {
        match value {
            None => Ok(None),
            Some(Value::String(one)) => Ok(Some(vec![one.clone()])),
            Some(Value::Array(items)) => {
                let items = items.iter().map(|item| item.as_str().map(str::to_owned));
                items.collect::<Option<_>>().map(Some).ok_or(MISTYPED)
            }
            Some(_) => Err(MISTYPED),
        }
    }

    /// The client as issuers name it: Entra's first and second version, OpenID Connect, RFC 9068.
    fn client(&self) -> Result<Option<&'a str>, Refusal> {
        for name in ["appid", "azp", "client_id"] {
            if self.0.contains_key(name) {
                return self.text(name).map(Some);
            }
        }
        Ok(None)
    }

    /// An id token tells a client who signed in, and whoever has it may do nothing with it. Nothing
    /// says for certain that a token is one, but each of these does that no access token has.
    fn is_access_token(&self, names_client: bool) -> Result<(), Refusal> {
        let kind = self.0.get("typ").and_then(Value::as_str).unwrap_or_default();
        let is_another_kind =
            ["ID", "Refresh", "Offline", "Logout"].iter().any(|other| kind.eq_ignore_ascii_case(other));
        let has = |name| self.0.contains_key(name);
        if is_another_kind || has("at_hash") || has("c_hash") || (has("nonce") && !names_client) {
            return Err(Refusal::Outside("it is no access token"));
        }
        Ok(())
    }

    fn holder(&self, issuer: &OutsideIssuer) -> Result<Holder, Refusal> {
        let names = &issuer.claims;
        let scopes = self.list(self.at(&names.scopes))?;
        let kind = if self.0.contains_key("idtyp") { Some(self.text("idtyp")?) } else { None };
        let is_application = match kind {
            Some("app") => true,
            Some(_) => false,
            None => {
                scopes.is_none() || names.application.as_ref().is_some_and(|path| self.at(path).is_some())
            }
        };
        if is_application {
            return Ok(Holder::Application { roles: self.list(self.at(&names.roles))?.unwrap_or_default() });
        }
        let id =
            self.at(&names.user).and_then(plain).ok_or(Refusal::Outside("it does not say whose it is"))?;
        let name = self.at(&names.name).and_then(plain).unwrap_or(id);
        let scopes = scopes.unwrap_or_default();
        Ok(Holder::User {
            id: id.to_owned(),
            name: name.to_owned(),
            // A string of them is separated by blanks.
            scopes: scopes.iter().flat_map(|scopes| scopes.split_whitespace()).map(str::to_owned).collect(),
            groups: self.list(self.at(&names.groups))?.unwrap_or_default(),
        })
    }
}

/// Text that can be an id or a name.
fn plain(value: &Value) -> Option<&str> {
    let text = value.as_str()?;
    let is_plain = !text.is_empty() && text.len() <= MAX_NAME && !text.chars().any(char::is_control);
    is_plain.then_some(text)
}
