//! The keys that sign tokens, and what becomes of each: *published*, so that whoever keeps a copy of
//! the public keys learns of it in time; *signing*, one at a time; *retained*, until the last token that
//! it signed has expired; *revoked*, at once and for good. All are in `issuer-keys.json`, which only
//! its owner may read; of a revoked key only the name is left.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use pintle_model::Time;
use serde::{Deserialize, Serialize};

use super::Error;
use crate::private_file;

/// The file, in the data folder.
pub(crate) const FILE: &str = "issuer-keys.json";
/// Its format; a newer one is refused.
const FORMAT: u32 = 1;
/// Verifiers let a token pass for so much longer than it says: a retained key stays for that too.
const GRACE: Duration = Duration::from_secs(300);

/// What a key is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// For nothing yet: it is among the public keys, and is to sign next.
    Published,
    /// Signs tokens.
    Signing,
    /// Tokens that it signed are still good.
    Retained,
    /// No token that it signed is good any more.
    Revoked,
}

impl State {
    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            State::Published => "published",
            State::Signing => "signing",
            State::Retained => "retained",
            State::Revoked => "revoked",
        }
    }
}

/// A key as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyInfo {
    /// The `kid` of its tokens: the thumbprint of RFC 7638.
    pub kid: String,
    /// What it is used for.
    pub state: State,
    /// When it was made.
    pub created: Time,
    /// Since when it has been in this state.
    pub since: Time,
    /// When it goes: a retained one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

/// When keys are exchanged by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// How long a key signs.
    pub rotate_every: Duration,
    /// How long before that its successor is published.
    pub publish_before: Duration,
}

/// Why a key was not exchanged.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Nothing was changed: the file cannot be written, or no key be made.
    #[error(transparent)]
    Storage(#[from] Error),
    /// No such key.
    #[error("no key `{0}`: `pintle key list` names them")]
    Unknown(String),
    /// Several begin so.
    #[error("several keys begin with `{0}`: give more of it")]
    Ambiguous(String),
    /// It is revoked already.
    #[error("the key {0} is revoked already")]
    Revoked(String),
}

/// A key as it is kept.
#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    info: KeyInfo,
    /// PKCS#8 in PEM; a revoked one has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pem: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct File {
    format: u32,
    keys: Vec<Stored>,
}

/// A key in memory.
pub(crate) struct Key {
    stored: Stored,
    material: Option<Material>,
}

#[derive(Clone)]
struct Material {
    signing: EncodingKey,
    verifying: DecodingKey,
    public: Jwk,
}

impl Key {
    pub(super) fn kid(&self) -> &str {
        &self.stored.info.kid
    }

    /// `None`: it was revoked.
    pub(super) fn signing(&self) -> Option<&EncodingKey> {
        self.material.as_ref().map(|material| &material.signing)
    }

    /// `None`: it was revoked.
    pub(crate) fn verifying(&self) -> Option<&DecodingKey> {
        self.material.as_ref().map(|material| &material.verifying)
    }

    fn read(stored: Stored, path: &Path) -> Result<Key, Error> {
        let damaged = |reason: String| {
            Error::damaged(path, format!("{reason}; restore it, or remove it to start with a new key"))
        };
        let Some(pem) = &stored.pem else { return Ok(Key { stored, material: None }) };
        let (kid, material) = Material::read(pem).map_err(damaged)?;
        if kid != stored.info.kid {
            return Err(damaged(format!("the key {} is another one", stored.info.kid)));
        }
        Ok(Key { stored, material: Some(material) })
    }

    fn new(state: State, now: Time) -> Result<Key, Error> {
        let pem = new_pem()?;
        let (kid, material) = Material::read(&pem).map_err(|_| Error::Crypto("reading a new key"))?;
        let info = KeyInfo { kid, state, created: now, since: now, until: None };
        Ok(Key { stored: Stored { info, pem: Some(pem) }, material: Some(material) })
    }
}

impl Material {
    fn read(pem: &str) -> Result<(String, Material), String> {
        let wrong = |error: jsonwebtoken::errors::Error| error.to_string();
        let signing = EncodingKey::from_rsa_pem(pem.as_bytes()).map_err(wrong)?;
        let mut public = Jwk::from_encoding_key(&signing, Algorithm::RS256).map_err(wrong)?;
        let kid = public.thumbprint(ThumbprintHash::SHA256).map_err(wrong)?;
        let verifying = match &public.algorithm {
            AlgorithmParameters::RSA(key) => {
                DecodingKey::from_rsa_components(&key.n, &key.e).map_err(wrong)?
            }
            _ => return Err("it should hold RSA keys".to_owned()),
        };
        public.common.key_id = Some(kid.clone());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok((kid, Material { signing, verifying, public }))
    }
}

/// All keys at one moment.
struct Ring {
    keys: Vec<Arc<Key>>,
    jwks: Arc<str>,
}

impl Ring {
    fn of(keys: Vec<Arc<Key>>) -> Ring {
        let public: Vec<&Jwk> = keys.iter().filter_map(|key| Some(&key.material.as_ref()?.public)).collect();
        let jwks = serde_json::json!({ "keys": public }).to_string().into();
        Ring { keys, jwks }
    }

    fn of_state(&self, state: State) -> Option<&Arc<Key>> {
        self.keys.iter().find(|key| key.stored.info.state == state)
    }

    /// The same with some keys in another state, and without others.
    fn changed(&self, change: impl Fn(&mut Stored) -> Keep) -> Vec<Arc<Key>> {
        let mut keys = Vec::with_capacity(self.keys.len() + 1);
        for key in &self.keys {
            let mut stored = key.stored.clone();
            match change(&mut stored) {
                Keep::AsItIs => keys.push(Arc::clone(key)),
                Keep::Changed => {
                    let material = key.material.clone().filter(|_| stored.pem.is_some());
                    keys.push(Arc::new(Key { stored, material }));
                }
                Keep::Not => {}
            }
        }
        keys
    }
}

enum Keep {
    AsItIs,
    Changed,
    Not,
}

/// The keys of one data folder.
pub(super) struct Keys {
    path: PathBuf,
    /// Readers take what they need and let go.
    ring: RwLock<Ring>,
    /// One change at a time.
    changing: Mutex<()>,
}

impl Keys {
    /// Reads the folder's keys, or makes the first one.
    pub(super) fn open(folder: &Path, now: Time) -> Result<Keys, Error> {
        let path = folder.join(FILE);
        let bytes = match private_file::read(&path).map_err(Error::io("read", &path))? {
            Some(bytes) => bytes,
            None => {
                let first = Arc::new(Key::new(State::Signing, now)?);
                private_file::create(&path, &bytes_of(&[first], &path)?).map_err(Error::io("write", &path))?
            }
        };
        let damaged = |error: serde_json::Error| {
            Error::damaged(&path, format!("{error}; restore it, or remove it to start with a new key"))
        };
        let file: File = serde_json::from_slice(&bytes).map_err(damaged)?;
        if file.format > FORMAT {
            let reason = format!(
                "it is of format {}, this pintle knows up to {FORMAT}: a newer pintle wrote it, so start that one",
                file.format
            );
            return Err(Error::damaged(&path, reason));
        }
        let read = |stored| Key::read(stored, &path).map(Arc::new);
        let keys = file.keys.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let ring = Ring::of(keys);
        if ring.of_state(State::Signing).is_none_or(|key| key.material.is_none()) {
            return Err(Error::damaged(
                &path,
                "no key in it signs; restore it, or remove it to start with a new one",
            ));
        }
        Ok(Keys { path, ring: RwLock::new(ring), changing: Mutex::default() })
    }

    /// The one that signs.
    pub(super) fn signing(&self) -> Option<Arc<Key>> {
        self.read(|ring| ring.of_state(State::Signing).cloned())
    }

    /// The key of this name, unless it was revoked.
    pub(super) fn trusted(&self, kid: &str) -> Option<Arc<Key>> {
        self.read(|ring| ring.keys.iter().find(|key| key.kid() == kid && key.material.is_some()).cloned())
    }

    /// Whether tokens of the key of this name are good.
    pub(super) fn trusts(&self, kid: &str) -> bool {
        self.read(|ring| ring.keys.iter().any(|key| key.kid() == kid && key.material.is_some()))
    }

    /// The public keys, as a JWK set.
    pub(super) fn jwks(&self) -> Arc<str> {
        self.read(|ring| Arc::clone(&ring.jwks))
    }

    /// All of them, in the order in which they were made.
    pub(super) fn list(&self) -> Vec<KeyInfo> {
        self.read(|ring| ring.keys.iter().map(|key| key.stored.info.clone()).collect())
    }

    /// Makes the key that is to sign next, if there is none, and publishes it.
    pub(super) fn publish(&self, now: Time) -> Result<KeyInfo, Error> {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = self.read(|ring| ring.of_state(State::Published).cloned()) {
            return Ok(there.stored.info.clone());
        }
        let new = Arc::new(Key::new(State::Published, now)?);
        let mut keys = self.read(|ring| ring.keys.clone());
        keys.push(Arc::clone(&new));
        self.replace(keys)?;
        Ok(new.stored.info.clone())
    }

    /// Lets the published key sign from now on, or a new one. The old one is retained for as long as
    /// tokens live.
    pub(super) fn rotate(&self, lifetime: Duration, now: Time) -> Result<KeyInfo, Error> {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.exchange(now, |info| {
            info.state = State::Retained;
            info.until = Some(now + lifetime + GRACE);
        })
    }

    /// Puts another key in the place of the one that signs, of which becomes what `change` says.
    fn exchange(&self, now: Time, change: impl Fn(&mut KeyInfo)) -> Result<KeyInfo, Error> {
        let next = self.read(|ring| ring.of_state(State::Published).map(|key| key.kid().to_owned()));
        let new = match &next {
            None => Some(Arc::new(Key::new(State::Signing, now)?)),
            Some(_) => None,
        };
        let mut keys = self.read(|ring| {
            ring.changed(|stored| {
                if next.as_ref() == Some(&stored.info.kid) {
                    stored.info.state = State::Signing;
                } else if stored.info.state == State::Signing {
                    change(&mut stored.info);
                    if stored.info.state == State::Revoked {
                        stored.pem = None;
                    }
                } else {
                    return Keep::AsItIs;
                }
                stored.info.since = now;
                Keep::Changed
            })
        });
        keys.extend(new);
        self.replace(keys)?;
        let signing = self.signing().ok_or(Error::Crypto("exchanging a key"))?;
        Ok(signing.stored.info.clone())
    }

    /// Takes a key back: no token that it signed is good from now on. If it is the one that signs,
    /// another takes its place. Returns the key as it is now.
    pub(super) fn revoke(&self, kid: &str, now: Time) -> Result<KeyInfo, ChangeError> {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let named: Vec<KeyInfo> =
            self.list().into_iter().filter(|key| !kid.is_empty() && key.kid.starts_with(kid)).collect();
        let info = match named.as_slice() {
            [one] => one,
            [] => return Err(ChangeError::Unknown(kid.to_owned())),
            several => several
                .iter()
                .find(|key| key.kid == kid)
                .ok_or_else(|| ChangeError::Ambiguous(kid.to_owned()))?,
        };
        match info.state {
            State::Revoked => return Err(ChangeError::Revoked(info.kid.clone())),
            State::Signing => {
                self.exchange(now, |info| info.state = State::Revoked)?;
            }
            State::Published | State::Retained => {
                let keys = self.read(|ring| {
                    ring.changed(|stored| {
                        if stored.info.kid != info.kid {
                            return Keep::AsItIs;
                        }
                        stored.info.state = State::Revoked;
                        (stored.info.since, stored.info.until) = (now, None);
                        stored.pem = None;
                        Keep::Changed
                    })
                });
                self.replace(keys)?;
            }
        }
        let revoked = self.list().into_iter().find(|key| key.kid == info.kid);
        revoked.ok_or_else(|| ChangeError::Unknown(kid.to_owned()))
    }

    /// Does what is due: publishes a successor, lets it sign, drops what is retained no longer.
    /// Returns what changed, for the log.
    pub(super) fn keep(
        &self,
        schedule: Schedule,
        lifetime: Duration,
        now: Time,
    ) -> Result<Option<&'static str>, Error> {
        let is_over = |info: &KeyInfo| info.until.is_some_and(|until| until <= now);
        if self.list().iter().any(is_over) {
            let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
            let kept = self.read(|ring| {
                ring.changed(|stored| if is_over(&stored.info) { Keep::Not } else { Keep::AsItIs })
            });
            self.replace(kept)?;
            return Ok(Some("a key whose tokens have all expired was dropped"));
        }
        let every = schedule.rotate_every;
        let keys = self.list();
        let since = |state| keys.iter().find(|key| key.state == state).map(|key| key.since);
        let is_past = |time: Option<Time>, after: Duration| time.is_some_and(|time| time + after <= now);
        let before = schedule.publish_before.min(every);
        if since(State::Published).is_none() {
            if is_past(since(State::Signing), every - before) {
                self.publish(now)?;
                return Ok(Some("the key that is to sign next was published"));
            }
        } else if is_past(since(State::Signing), every) && is_past(since(State::Published), before) {
            self.rotate(lifetime, now)?;
            return Ok(Some("another key signs now"));
        }
        Ok(None)
    }

    fn read<T>(&self, look: impl FnOnce(&Ring) -> T) -> T {
        look(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes the keys, and only then lets them count.
    fn replace(&self, keys: Vec<Arc<Key>>) -> Result<(), Error> {
        private_file::replace(&self.path, &bytes_of(&keys, &self.path)?)
            .map_err(Error::io("write", &self.path))?;
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Ring::of(keys);
        Ok(())
    }
}

fn bytes_of(keys: &[Arc<Key>], path: &Path) -> Result<Vec<u8>, Error> {
    let keys = keys.iter().map(|key| key.stored.clone()).collect();
    serde_json::to_vec_pretty(&File { format: FORMAT, keys }).map_err(|error| Error::damaged(path, error))
}

/// A new key pair as PKCS#8 in PEM.
fn new_pem() -> Result<String, Error> {
    let failed = |_| Error::Crypto("making an RSA key");
    let pair = KeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
    let der: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
    let text = STANDARD.encode(der.as_ref());
    let lines: Vec<&str> =
        (0..text.len()).step_by(64).filter_map(|at| text.get(at..(at + 64).min(text.len()))).collect();
    Ok(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn at(hours: u32) -> Time {
        Time::from_unix_seconds(1_790_000_000) + HOUR * hours
    }

    fn states(keys: &Keys) -> Vec<State> {
        keys.list().iter().map(|key| key.state).collect()
    }

    #[test]
    fn a_key_is_published_then_signs_then_is_retained_and_goes() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::open(folder.path(), at(0)).unwrap();
        let first = keys.signing().unwrap().kid().to_owned();
        let schedule = Schedule { rotate_every: DAY * 90, publish_before: DAY };
        let mut seen = Vec::new();
        for hour in 0..91 * 24 {
            if keys.keep(schedule, HOUR, at(hour)).unwrap().is_some() {
                seen.push((hour, states(&keys)));
            }
        }
        use State::{Published, Retained, Signing};
        assert_eq!(
            seen,
            [
                (89 * 24, vec![Signing, Published]),
                (90 * 24, vec![Retained, Signing]),
                (90 * 24 + 2, vec![Signing]),
            ]
        );
        assert!(!keys.trusts(&first));
        // All of it is there after a restart.
        assert_eq!(Keys::open(folder.path(), at(0)).unwrap().list(), keys.list());
    }

    #[test]
    fn a_revoked_key_is_gone_but_for_its_name_and_another_signs() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::open(folder.path(), at(0)).unwrap();
        let first = keys.signing().unwrap().kid().to_owned();
        let published = keys.publish(at(1)).unwrap().kid;
        assert_eq!(keys.publish(at(1)).unwrap().kid, published, "there is one already");
        let revoked = keys.revoke(first.get(..12).unwrap(), at(2)).unwrap();
        assert_eq!((revoked.kid.as_str(), revoked.state), (first.as_str(), State::Revoked));
        assert_eq!(keys.signing().unwrap().kid(), published);
        assert!(!keys.trusts(&first) && keys.trusted(&first).is_none() && !keys.jwks().contains(&first));
        let file = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert_eq!(file.matches("BEGIN PRIVATE KEY").count(), 1);

        keys.rotate(HOUR, at(3)).unwrap();
        keys.revoke(&published, at(3)).unwrap();
        assert_eq!(states(&keys), [State::Revoked, State::Revoked, State::Signing]);
        assert!(matches!(keys.revoke(&first, at(4)), Err(ChangeError::Revoked(_))));
        assert!(matches!(keys.revoke("", at(4)), Err(ChangeError::Unknown(_))));
        let again = Keys::open(folder.path(), at(5)).unwrap();
        assert_eq!((again.list(), again.jwks()), (keys.list(), keys.jwks()));
    }
}
