//! What stands between a sign-in and its tokens: authorization codes, which are exchanged once and soon,
//! and device codes, which wait for somebody to sign in elsewhere. In memory: a restart lets them sign
//! in again.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pintle_model::{TenantId, Time};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::lockout::network;
use super::permission::Permissions;
use super::{Error, random};

/// How long an authorization code waits to be exchanged.
const CODE_LASTS: Duration = Duration::from_secs(5 * 60);
/// How long a device waits for somebody to sign in.
pub const DEVICE_LASTS: Duration = Duration::from_secs(15 * 60);
/// How long a device has to wait between two questions.
pub const DEVICE_INTERVAL: Duration = Duration::from_secs(5);

/// Codes of either kind.
const MAX_CODES: usize = 10_000;
/// Devices of one address that wait, or of all whose address nobody knows: anybody may begin to.
const MAX_OF_ADDRESS: usize = 20;

/// Letters of a user code: none that are taken for another, no vowels that make words.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// What a user let an application do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The tenant of both.
    pub tenant: TenantId,
    /// Who signed in.
    pub user: Uuid,
    /// When, in seconds since 1970.
    pub signed_in: i64,
    /// In which epoch of theirs.
    pub epoch: u64,
    /// To what.
    pub application: Uuid,
    /// For what.
    pub asked: Asked,
}

/// What an application asks a user for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// For which API, under which of its names.
    pub audience: String,
    /// What it is to be allowed.
    pub scopes: Permissions,
    /// Whether it wants to know who signed in.
    pub openid: bool,
    /// Whether it wants to get further tokens without the user.
    pub offline: bool,
    /// What the id token is to repeat.
    pub nonce: Option<String>,
}

/// What an authorization code is exchanged with.
pub struct Exchange<'a> {
    /// The code.
    pub code: &'a str,
    /// The application that has proved itself, or is public.
    pub application: Uuid,
    /// Where the user was sent back to.
    pub redirect_uri: &'a str,
    /// What the code's challenge is the hash of (RFC 7636).
    pub verifier: Option<&'a str>,
}

/// Why there is nothing for a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoGrant {
    /// Unknown, over, or not this application's.
    Unknown,
    /// It was exchanged before; the session that came of it is to end.
    Reused(Option<Uuid>),
    /// The user was sent back elsewhere.
    RedirectUri,
    /// The verifier is not the one, or there is none.
    Verifier,
    /// Nobody has signed in yet.
    Pending,
    /// The device asks too often.
    TooSoon,
    /// The user did not allow it.
    Declined,
    /// Too late.
    Expired,
}

/// A device that waits, as it is told.
#[derive(Debug)]
pub struct Device {
    /// By which it asks.
    pub device_code: String,
    /// What the user types in.
    pub user_code: String,
}

/// All codes.
#[derive(Default)]
pub struct Codes {
    authorizations: Mutex<HashMap<[u8; 32], Authorization>>,
    devices: Mutex<HashMap<[u8; 32], Waiting>>,
}

struct Authorization {
    grant: Grant,
    redirect_uri: String,
    challenge: Option<String>,
    expires: Time,
    is_used: bool,
    is_reused: bool,
    session: Option<Uuid>,
}

struct Waiting {
    /// The user code, as people may type it.
    plain_code: String,
    tenant: TenantId,
    application: Uuid,
    asked: Asked,
    address: Option<IpAddr>,
    expires: Time,
    next_poll: Time,
    outcome: Outcome,
}

enum Outcome {
    Open,
    Granted(Grant),
    Declined,
}

impl Codes {
    /// A code for a user who has signed in. `challenge` is S256.
    pub fn authorize(
        &self,
        grant: Grant,
        redirect_uri: &str,
        challenge: Option<&str>,
        now: Time,
    ) -> Result<String, Error> {
        let code = URL_SAFE_NO_PAD.encode(random::<32>()?);
        let authorization = Authorization {
            grant,
            redirect_uri: redirect_uri.to_owned(),
            challenge: challenge.map(str::to_owned),
            expires: now + CODE_LASTS,
            is_used: false,
            is_reused: false,
            session: None,
        };
        let mut all = held(&self.authorizations);
        make_room(&mut all, now, |one| one.expires);
        all.insert(hash(&code), authorization);
        Ok(code)
    }

    /// What a code stands for. It does so once.
    pub fn exchange(&self, exchange: &Exchange<'_>, now: Time) -> Result<Grant, NoGrant> {
        let mut all = held(&self.authorizations);
        let known = all.get_mut(&hash(exchange.code)).filter(|known| now < known.expires);
        let known = known.filter(|known| known.grant.application == exchange.application);
        let known = known.ok_or(NoGrant::Unknown)?;
        if known.is_used {
            known.is_reused = true;
            return Err(NoGrant::Reused(known.session));
        }
        // Whatever is wrong with it: who holds a code has one try.
        known.is_used = true;
        if known.redirect_uri != exchange.redirect_uri {
            return Err(NoGrant::RedirectUri);
        }
        let is_verified = match (&known.challenge, exchange.verifier) {
            (None, None) => true,
            (Some(challenge), Some(verifier)) => {
                let hashed = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
                hashed.as_bytes().ct_eq(challenge.as_bytes()).into()
            }
            _ => false,
        };
        if !is_verified {
            return Err(NoGrant::Verifier);
        }
        Ok(known.grant.clone())
    }

    /// Notes which session came of a code, so that it ends should the code be used again. Returns whether
    /// it was already.
    pub fn became(&self, code: &str, session: Uuid) -> bool {
        let mut all = held(&self.authorizations);
        let Some(known) = all.get_mut(&hash(code)) else { return false };
        known.session = Some(session);
        known.is_reused
    }

    /// Lets a device wait for somebody to sign in. `None`: too many do, of this address or of all.
    pub fn wait(
        &self,
        tenant: TenantId,
        application: Uuid,
        asked: Asked,
        address: Option<IpAddr>,
        now: Time,
    ) -> Result<Option<Device>, Error> {
        let device_code = URL_SAFE_NO_PAD.encode(random::<32>()?);
        let user_code = user_code()?;
        let mut all = held(&self.devices);
        let address = address.map(network);
        let of_address = |one: &&Waiting| one.address == address && now < one.expires;
        if all.values().filter(of_address).count() >= MAX_OF_ADDRESS {
            return Ok(None);
        }
        all.retain(|_, one| now < one.expires);
        // None that waits makes room: it may be about to be allowed.
        if all.len() >= MAX_CODES {
            return Ok(None);
        }
        let waiting = Waiting {
            plain_code: plain(&user_code),
            tenant,
            application,
            asked,
            address,
            expires: now + DEVICE_LASTS,
            next_poll: now,
            outcome: Outcome::Open,
        };
        all.insert(hash(&device_code), waiting);
        Ok(Some(Device { device_code, user_code }))
    }

    /// Which application's device waits under a user code, and what it asks for.
    pub fn waiting(&self, tenant: TenantId, user_code: &str, now: Time) -> Option<(Uuid, Asked)> {
        let all = held(&self.devices);
        let user_code = plain(user_code);
        let one = all.values().find(|one| one.is_open(tenant, &user_code, now))?;
        Some((one.application, one.asked.clone()))
    }

    /// Tells a device that its user signed in, or did not want to. Returns whether it waited.
    pub fn decide(&self, tenant: TenantId, user_code: &str, grant: Option<Grant>, now: Time) -> bool {
        let mut all = held(&self.devices);
        let user_code = plain(user_code);
        let one = all.values_mut().find(|one| one.is_open(tenant, &user_code, now));
        let Some(one) = one else { return false };
        one.outcome = grant.map_or(Outcome::Declined, Outcome::Granted);
        true
    }

    /// What a device gets when it asks.
    pub fn poll(&self, device_code: &str, application: Uuid, now: Time) -> Result<Grant, NoGrant> {
        let mut all = held(&self.devices);
        let key = hash(device_code);
        let one = all.get_mut(&key).filter(|one| one.application == application).ok_or(NoGrant::Unknown)?;
        if now >= one.expires {
            all.remove(&key);
            return Err(NoGrant::Expired);
        }
        match &one.outcome {
            Outcome::Open if now < one.next_poll => {
                // Later by as much as RFC 8628 has a device wait longer.
                one.next_poll = now + DEVICE_INTERVAL;
                Err(NoGrant::TooSoon)
            }
            Outcome::Open => {
                // A little less than it was told: clocks and networks are not that even.
                one.next_poll = now + DEVICE_INTERVAL - Duration::from_secs(1);
                Err(NoGrant::Pending)
            }
            Outcome::Declined => {
                all.remove(&key);
                Err(NoGrant::Declined)
            }
            Outcome::Granted(grant) => {
                let grant = grant.clone();
                all.remove(&key);
                Ok(grant)
            }
        }
    }
}

impl Waiting {
    fn is_open(&self, tenant: TenantId, plain_code: &str, now: Time) -> bool {
        self.tenant == tenant
            && matches!(self.outcome, Outcome::Open)
            && now < self.expires
            && self.plain_code == plain_code
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hash(code: &str) -> [u8; 32] {
    Sha256::digest(code.as_bytes()).into()
}

/// Two groups of four letters.
fn user_code() -> Result<String, Error> {
    // 200 of 256 values, so that every letter is as likely as every other.
    let mut letters = String::with_capacity(9);
    while letters.len() < 9 {
        for byte in random::<16>()?.into_iter().filter(|byte| *byte < 200) {
            if letters.len() == 4 {
                letters.push('-');
            }
            let letter = LETTERS.get(usize::from(byte) % LETTERS.len());
            letters.extend(letter.filter(|_| letters.len() < 9).map(|letter| char::from(*letter)));
        }
    }
    Ok(letters)
}

/// A user code as people type it.
fn plain(user_code: &str) -> String {
    let letters = user_code.chars().filter(char::is_ascii_alphanumeric).take(16);
    letters.map(|letter| letter.to_ascii_uppercase()).collect()
}

fn make_room<K: Copy + Eq + std::hash::Hash, T>(all: &mut HashMap<K, T>, now: Time, expires: fn(&T) -> Time) {
    if all.len() < MAX_CODES {
        return;
    }
    all.retain(|_, one| now < expires(one));
    let soonest = all.iter().min_by_key(|(_, one)| expires(one)).map(|(key, _)| *key);
    if let Some(soonest) = soonest.filter(|_| all.len() >= MAX_CODES) {
        all.remove(&soonest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: TenantId = TenantId::from_bytes([1; 16]);
    const APP: Uuid = Uuid::from_u128(7);
    const NOW: Time = Time::from_ticks(17_000_000_000_000_000);
    /// The example of RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn asked() -> Asked {
        let (audience, scopes) = ("https://api".to_owned(), Permissions::default());
        Asked { audience, scopes, openid: true, offline: true, nonce: None }
    }

    fn grant() -> Grant {
        Grant {
            tenant: TENANT,
            user: Uuid::from_u128(1),
            signed_in: 0,
            epoch: 0,
            application: APP,
            asked: asked(),
        }
    }

    fn exchange<'a>(code: &'a str, verifier: Option<&'a str>) -> Exchange<'a> {
        Exchange { code, application: APP, redirect_uri: "http://localhost:1", verifier }
    }

    fn later(seconds: u64) -> Time {
        NOW + Duration::from_secs(seconds)
    }

    #[test]
    fn a_code_is_exchanged_once_and_by_whom_it_was_made_for() {
        let codes = Codes::default();
        let code = || codes.authorize(grant(), "http://localhost:1", Some(CHALLENGE), NOW).unwrap();
        let one = code();
        assert_eq!(codes.exchange(&exchange(&one, Some(VERIFIER)), NOW), Ok(grant()));
        assert!(!codes.became(&one, Uuid::from_u128(9)));
        let again = codes.exchange(&exchange(&one, Some(VERIFIER)), NOW);
        assert_eq!(again, Err(NoGrant::Reused(Some(Uuid::from_u128(9)))));

        for (verifier, no) in [(None, NoGrant::Verifier), (Some("x"), NoGrant::Verifier)] {
            let one = code();
            assert_eq!(codes.exchange(&exchange(&one, verifier), NOW), Err(no));
            assert_eq!(codes.exchange(&exchange(&one, Some(VERIFIER)), NOW), Err(NoGrant::Reused(None)));
            assert!(codes.became(&one, Uuid::nil()), "its session is to end at once");
        }
        let one = code();
        let elsewhere = Exchange { redirect_uri: "http://localhost:2", ..exchange(&one, Some(VERIFIER)) };
        assert_eq!(codes.exchange(&elsewhere, NOW), Err(NoGrant::RedirectUri));
        let one = code();
        let other = Exchange { application: Uuid::nil(), ..exchange(&one, Some(VERIFIER)) };
        assert_eq!(codes.exchange(&other, NOW), Err(NoGrant::Unknown));
        assert_eq!(codes.exchange(&exchange(&one, Some(VERIFIER)), later(300)), Err(NoGrant::Unknown));
        assert!(codes.exchange(&exchange(&one, Some(VERIFIER)), later(299)).is_ok());
        let bare = codes.authorize(grant(), "http://localhost:1", None, NOW).unwrap();
        assert_eq!(codes.exchange(&exchange(&bare, Some(VERIFIER)), NOW), Err(NoGrant::Verifier));
    }

    #[test]
    fn a_device_waits_asks_not_too_often_and_gets_what_was_granted() {
        let codes = Codes::default();
        let device = codes.wait(TENANT, APP, asked(), None, NOW).unwrap().unwrap();
        let poll = |seconds| codes.poll(&device.device_code, APP, later(seconds));
        assert_eq!(poll(0), Err(NoGrant::Pending));
        assert_eq!(poll(1), Err(NoGrant::TooSoon));
        assert_eq!(poll(6), Err(NoGrant::Pending));
        assert_eq!(codes.poll(&device.device_code, Uuid::nil(), later(6)), Err(NoGrant::Unknown));
        let typed = device.user_code.to_lowercase().replace('-', " ");
        assert_eq!(codes.waiting(TENANT, &typed, NOW), Some((APP, asked())));
        assert_eq!(codes.waiting(TenantId::from_bytes([2; 16]), &typed, NOW), None);
        assert!(codes.decide(TENANT, &typed, Some(grant()), NOW));
        assert!(!codes.decide(TENANT, &typed, None, NOW), "it is decided");
        assert_eq!(poll(7), Ok(grant()));
        assert_eq!(poll(12), Err(NoGrant::Unknown));

        let device = codes.wait(TENANT, APP, asked(), None, NOW).unwrap().unwrap();
        assert!(codes.decide(TENANT, &device.user_code, None, NOW));
        assert_eq!(codes.poll(&device.device_code, APP, NOW), Err(NoGrant::Declined));
        let device = codes.wait(TENANT, APP, asked(), None, NOW).unwrap().unwrap();
        assert!(!codes.decide(TENANT, &device.user_code, Some(grant()), later(900)));
        assert_eq!(codes.poll(&device.device_code, APP, later(900)), Err(NoGrant::Expired));
    }

    #[test]
    fn neither_kind_grows_without_end() {
        let codes = Codes::default();
        let address = Some("192.0.2.1".parse().unwrap());
        for n in 0..30 {
            assert_eq!(codes.wait(TENANT, APP, asked(), address, NOW).unwrap().is_some(), n < 20);
        }
        for n in 0..MAX_CODES as u64 + 50 {
            codes.authorize(grant(), "http://localhost:1", None, NOW + Duration::from_millis(n)).unwrap();
        }
        assert_eq!(codes.authorizations.lock().unwrap().len(), MAX_CODES);
    }

    #[test]
    fn user_codes_are_eight_letters_in_two_groups() {
        for _ in 0..100 {
            let code = user_code().unwrap();
            let (one, other) = code.split_once('-').unwrap();
            assert!([one, other].iter().all(|part| part.len() == 4), "{code}");
            assert!(plain(&code).bytes().all(|letter| LETTERS.contains(&letter)), "{code}");
        }
    }
}
