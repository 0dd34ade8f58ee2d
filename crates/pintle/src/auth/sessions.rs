//! Sessions: what an application may go on with after a user signed in, by refresh tokens that are
//! exchanged for a new one whenever they are used. One that is used again was stolen, or its thief used
//! it first, so the whole session ends. Kept in `sessions.json`; every change is on disk before it
//! counts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pintle_model::{TenantId, Time};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::codes::{Asked, Grant};
use super::permission::Permissions;
use super::{Error, random};
use crate::private_file;

/// The file's name.
pub const FILE: &str = "sessions.json";

/// Sessions of a tenant; those that were used longest ago make room.
const MAX_OF_TENANT: usize = 10_000;
/// Sessions of one user.
const MAX_OF_USER: usize = 50;
/// So long the token before is taken still: its answer may have been lost on the way, and two programs
/// that share a cache use the same one at once.
const GRACE: Duration = Duration::from_secs(30);
/// Tokens of a session that count at once, for such programs.
const SIBLINGS: usize = 4;
/// However often it is used, a session ends after so long.
const LONGEST: Duration = Duration::from_secs(90 * 24 * 3600);

/// Why a refresh token is refused.
#[derive(Debug)]
pub enum NoSession {
    /// Unknown, over, of another application, or used before.
    Unknown,
    /// It cannot be written down that it was used.
    Storage(Error),
}

/// All sessions.
pub struct Sessions {
    path: PathBuf,
    /// How long one is good that is not used.
    lasts: Duration,
    all: Mutex<BTreeMap<Uuid, Session>>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Session {
    tenant: TenantId,
    user: Uuid,
    application: Uuid,
    audience: String,
    /// As an application's `roles` would name them.
    scopes: Permissions,
    openid: bool,
    signed_in: i64,
    epoch: u64,
    used: i64,
    generation: u64,
    /// SHA-256 of the tokens that count: one, but for the grace.
    current: Vec<String>,
    /// Of those before.
    previous: Vec<String>,
}

impl Sessions {
    /// Reads the folder's sessions, each good for so long without being used. One that is damaged is set
    /// aside, and users sign in again: where to, and why, comes beside them.
    pub fn open(folder: &Path, lasts: Duration) -> Result<(Sessions, Option<Error>), Error> {
        let path = folder.join(FILE);
        let (all, problem) = match Sessions::read(folder) {
            Ok(all) => (all, None),
            Err(problem @ Error::Damaged { .. }) => {
                let aside = folder.join(format!("{FILE}.damaged"));
                std::fs::rename(&path, &aside).map_err(Error::io("set aside", &path))?;
                (BTreeMap::new(), Some(problem))
            }
            Err(problem) => return Err(problem),
        };
        Ok((Sessions { path, lasts, all: Mutex::new(all) }, problem))
    }

    /// Whether the folder's sessions can be read.
    pub(crate) fn check(folder: &Path) -> Result<(), Error> {
        Sessions::read(folder).map(drop)
    }

    fn read(folder: &Path) -> Result<BTreeMap<Uuid, Session>, Error> {
        let path = folder.join(FILE);
        match private_file::read(&path).map_err(Error::io("read", &path))? {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| Error::damaged(&path, error)),
            None => Ok(BTreeMap::new()),
        }
    }

    /// Begins a session. Returns its id and its first refresh token. Blocks.
    pub fn begin(&self, grant: &Grant, now: Time) -> Result<(Uuid, String), Error> {
        let id = Uuid::new_v4();
        let secret = random::<32>()?;
        let session = Session {
            tenant: grant.tenant,
            user: grant.user,
            application: grant.application,
            audience: grant.asked.audience.clone(),
            scopes: grant.asked.scopes,
            openid: grant.asked.openid,
            signed_in: grant.signed_in,
            epoch: grant.epoch,
            used: now.unix_seconds(),
            generation: 0,
            current: vec![hash(&secret)],
            previous: Vec::new(),
        };
        self.change(|all| {
            all.retain(|_, one| !self.is_over(one, now));
            drop_oldest(all, MAX_OF_USER - 1, |one| one.user == grant.user);
            drop_oldest(all, MAX_OF_TENANT - 1, |one| one.tenant == grant.tenant);
            all.insert(id, session);
            true
        })?;
        Ok((id, token(id, 0, &secret)))
    }

    /// Exchanges a refresh token of an application for what it stands for and the next one. Blocks.
    pub fn refresh(&self, token: &str, application: Uuid, now: Time) -> Result<(Grant, String), NoSession> {
        let (id, generation, secret) = parts(token).ok_or(NoSession::Unknown)?;
        let next = random::<32>().map_err(NoSession::Storage)?;
        let mut exchanged = None;
        // Nothing is written for those who guess.
        let changed = self.change(|all| {
            let Some(session) = all.get_mut(&id).filter(|one| one.application == application) else {
                return false;
            };
            if self.is_over(session, now) {
                all.remove(&id);
                return true;
            }
            let hashed = hash(&secret);
            let is_among =
                |known: &[String]| known.iter().any(|known| hashed.as_bytes().ct_eq(known.as_bytes()).into());
            let is_current = generation == session.generation && is_among(&session.current);
            let is_previous = session.generation == generation.saturating_add(1)
                && is_among(&session.previous)
                && age(session.used, now) < GRACE
                && session.current.len() < SIBLINGS;
            if is_current {
                session.previous = std::mem::take(&mut session.current);
                session.generation += 1;
                session.used = now.unix_seconds();
            } else if !is_previous {
                // An older one of this session: somebody has a copy.
                let is_older = generation <= session.generation;
                if is_older {
                    all.remove(&id);
                }
                return is_older;
            }
            session.current.push(hash(&next));
            exchanged = Some((session.grant(), self::token(id, session.generation, &next)));
            true
        });
        changed.map_err(NoSession::Storage)?;
        exchanged.ok_or(NoSession::Unknown)
    }

    /// Ends a session. Blocks.
    pub fn end(&self, id: Uuid) -> Result<(), Error> {
        self.change(|all| all.remove(&id).is_some())
    }

    fn is_over(&self, session: &Session, now: Time) -> bool {
        age(session.used, now) >= self.lasts || age(session.signed_in, now) >= LONGEST
    }

    /// Makes a change, which says whether it is one, to a copy, and writes it before it counts.
    fn change(&self, change: impl FnOnce(&mut BTreeMap<Uuid, Session>) -> bool) -> Result<(), Error> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = all.clone();
        if !change(&mut changed) {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&changed).map_err(|error| Error::damaged(&self.path, error))?;
        private_file::replace(&self.path, &bytes).map_err(Error::io("write", &self.path))?;
        *all = changed;
        Ok(())
    }
}

/// Drops those of a kind that were used longest ago, until so many are left.
fn drop_oldest(all: &mut BTreeMap<Uuid, Session>, most: usize, kind: impl Fn(&Session) -> bool) {
    let mut of_kind: Vec<(i64, Uuid)> =
        all.iter().filter(|(_, one)| kind(one)).map(|(id, one)| (one.used, *id)).collect();
    of_kind.sort_unstable();
    let too_many = of_kind.len().saturating_sub(most);
    for (_, id) in of_kind.into_iter().take(too_many) {
        all.remove(&id);
    }
}

fn age(since: i64, now: Time) -> Duration {
    Duration::from_secs(u64::try_from(now.unix_seconds() - since).unwrap_or(0))
}

impl Session {
    fn grant(&self) -> Grant {
        Grant {
            tenant: self.tenant,
            user: self.user,
            signed_in: self.signed_in,
            epoch: self.epoch,
            application: self.application,
            asked: Asked {
                audience: self.audience.clone(),
                scopes: self.scopes,
                openid: self.openid,
                offline: true,
                nonce: None,
            },
        }
    }
}

fn hash(secret: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(secret))
}

fn token(id: Uuid, generation: u64, secret: &[u8]) -> String {
    format!("{}.{generation}.{}", id.simple(), URL_SAFE_NO_PAD.encode(secret))
}

fn parts(token: &str) -> Option<(Uuid, u64, Vec<u8>)> {
    let mut parts = token.split('.');
    let (id, generation, secret) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || token.len() > 200 {
        return None;
    }
    Some((Uuid::try_parse(id).ok()?, generation.parse().ok()?, URL_SAFE_NO_PAD.decode(secret).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_ticks(17_000_000_000_000_000);
    const APP: Uuid = Uuid::from_u128(7);
    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn grant(user: u128) -> Grant {
        Grant {
            tenant: TenantId::from_bytes([1; 16]),
            user: Uuid::from_u128(user),
            signed_in: NOW.unix_seconds(),
            epoch: 3,
            application: APP,
            asked: Asked {
                audience: "https://api".to_owned(),
                scopes: Permissions::named(["Machine.Read.All"]),
                openid: true,
                offline: true,
                nonce: None,
            },
        }
    }

    fn later(seconds: u64) -> Time {
        NOW + Duration::from_secs(seconds)
    }

    #[test]
    fn a_token_is_exchanged_also_after_a_restart_and_the_old_one_ends_the_session() {
        let folder = tempfile::tempdir().unwrap();
        let (sessions, problem) = Sessions::open(folder.path(), 14 * DAY).unwrap();
        assert!(problem.is_none());
        let (_, first) = sessions.begin(&grant(1), NOW).unwrap();
        let file = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert!(!file.contains(first.rsplit('.').next().unwrap()));
        let refresh =
            |sessions: &Sessions, token: &str, seconds| sessions.refresh(token, APP, later(seconds)).ok();
        let (found, second) = refresh(&sessions, &first, 100).unwrap();
        assert_eq!(found, grant(1));
        // Its answer was lost, or two programs share it: the same again, within the grace.
        let (_, second_again) = refresh(&sessions, &first, 129).unwrap();
        let (_, third) = refresh(&sessions, &second, 200).unwrap();
        let (_, third_again) = refresh(&sessions, &second_again, 229).unwrap();
        assert!(refresh(&sessions, &third, 300).is_some());
        assert!(refresh(&sessions, &third_again, 331).is_none(), "used too late");

        let (_, first) = sessions.begin(&grant(1), NOW).unwrap();
        let (_, second) = refresh(&sessions, &first, 100).unwrap();
        let (sessions, _) = Sessions::open(folder.path(), 14 * DAY).unwrap();
        let (_, third) = refresh(&sessions, &second, 200).unwrap();
        assert!(refresh(&sessions, &first, 201).is_none(), "used before");
        assert!(refresh(&sessions, &third, 202).is_none(), "so the session is over");
    }

    #[test]
    fn a_session_is_over_when_it_is_unused_old_or_of_another_application() {
        let folder = tempfile::tempdir().unwrap();
        let (sessions, _) = Sessions::open(folder.path(), 14 * DAY).unwrap();
        let day = 24 * 3600;
        let (_, token) = sessions.begin(&grant(1), NOW).unwrap();
        assert!(sessions.refresh(&token, Uuid::nil(), NOW).is_err());
        let (_, mut token) = sessions.refresh(&token, APP, later(13 * day)).unwrap();
        for days in [26, 39, 52, 65, 78, 89] {
            token = sessions.refresh(&token, APP, later(days * day)).unwrap().1;
        }
        assert!(sessions.refresh(&token, APP, later(90 * day)).is_err());
        let (_, token) = sessions.begin(&grant(1), NOW).unwrap();
        assert!(sessions.refresh(&token, APP, later(14 * day)).is_err());
        for nonsense in ["", "a.b.c", "..", &"x".repeat(10_000)] {
            assert!(sessions.refresh(nonsense, APP, NOW).is_err());
        }
    }

    #[test]
    fn a_user_has_so_many_sessions_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let (sessions, _) = Sessions::open(folder.path(), 14 * DAY).unwrap();
        let tokens: Vec<String> = (0..51).map(|n| sessions.begin(&grant(1), later(n)).unwrap().1).collect();
        let (_, other) = sessions.begin(&grant(2), NOW).unwrap();
        let good = |token: &str| sessions.refresh(token, APP, later(60)).is_ok();
        assert!(!good(&tokens[0]) && good(&tokens[1]) && good(&tokens[50]) && good(&other));
    }

    #[test]
    fn a_damaged_file_is_told_and_users_sign_in_again() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "{]").unwrap();
        let (sessions, problem) = Sessions::open(folder.path(), 14 * DAY).unwrap();
        assert!(problem.unwrap().to_string().contains(FILE));
        let aside = folder.path().join("sessions.json.damaged");
        assert_eq!(std::fs::read_to_string(aside).unwrap(), "{]");
        sessions.begin(&grant(1), NOW).unwrap();
    }
}
