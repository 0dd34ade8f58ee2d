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

/// Sessions in all; those that were used longest ago make room.
const MAX_SESSIONS: usize = 20_000;
/// Sessions of one user.
const MAX_OF_USER: usize = 50;
/// So long the token before is taken still: its answer may have been lost on the way.
const GRACE: Duration = Duration::from_secs(30);
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
    all: Mutex<BTreeMap<Uuid, Session>>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Session {
    tenant: TenantId,
    user: Uuid,
    application: Uuid,
    audience: String,
    /// As in user tokens' `scp`.
    scopes: Permissions,
    openid: bool,
    signed_in: i64,
    used: i64,
    generation: u64,
    /// SHA-256 of the token that counts.
    current: String,
    /// Of the one before.
    previous: Option<String>,
}

impl Sessions {
    /// Reads the folder's sessions. One that cannot be read is set aside by the caller's log: users sign
    /// in again.
    pub fn open(folder: &Path) -> (Sessions, Option<Error>) {
        let path = folder.join(FILE);
        let read =
            private_file::read(&path).map_err(Error::io("read", &path)).and_then(|bytes| match bytes {
                Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| Error::damaged(&path, error)),
                None => Ok(BTreeMap::new()),
            });
        let (all, problem) = match read {
            Ok(all) => (all, None),
            Err(problem) => (BTreeMap::new(), Some(problem)),
        };
        (Sessions { path, all: Mutex::new(all) }, problem)
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
            used: now.unix_seconds(),
            generation: 0,
            current: hash(&secret),
            previous: None,
        };
        self.change(|all| {
            let of_user = all.iter().filter(|(_, one)| one.user == grant.user);
            let mut of_user: Vec<(i64, Uuid)> = of_user.map(|(id, one)| (one.used, *id)).collect();
            of_user.sort_unstable();
            let too_many = of_user.len().saturating_sub(MAX_OF_USER - 1);
            of_user.iter().take(too_many).for_each(|(_, id)| drop(all.remove(id)));
            if all.len() >= MAX_SESSIONS {
                let oldest = all.iter().min_by_key(|(_, one)| one.used).map(|(id, _)| *id);
                oldest.map(|id| all.remove(&id));
            }
            all.insert(id, session);
        })?;
        Ok((id, token(id, 0, &secret)))
    }

    /// Exchanges a refresh token of an application for what it stands for and the next one. A session
    /// that was not used for `lasts` is over. Blocks.
    pub fn refresh(
        &self,
        token: &str,
        application: Uuid,
        lasts: Duration,
        now: Time,
    ) -> Result<(Grant, String), NoSession> {
        let (id, generation, secret) = parts(token).ok_or(NoSession::Unknown)?;
        if !self.all.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&id) {
            // Nothing is written for those who guess.
            return Err(NoSession::Unknown);
        }
        let next = random::<32>().map_err(NoSession::Storage)?;
        let mut exchanged = None;
        let changed = self.change(|all| {
            let Some(session) = all.get_mut(&id).filter(|one| one.application == application) else { return };
            let age =
                |since: i64| Duration::from_secs(u64::try_from(now.unix_seconds() - since).unwrap_or(0));
            if age(session.used) >= lasts || age(session.signed_in) >= LONGEST {
                all.remove(&id);
                return;
            }
            let hashed = hash(&secret);
            let is = |known: &str| bool::from(hashed.as_bytes().ct_eq(known.as_bytes()));
            let is_current = generation == session.generation && is(&session.current);
            let is_previous = session.generation == generation.saturating_add(1)
                && session.previous.as_deref().is_some_and(is)
                && age(session.used) < GRACE;
            if !is_current && !is_previous {
                // An older one of this session: somebody has a copy.
                if generation <= session.generation {
                    all.remove(&id);
                }
                return;
            }
            if is_current {
                session.previous = Some(hashed);
                session.generation += 1;
                session.used = now.unix_seconds();
            }
            session.current = hash(&next);
            exchanged = Some((session.grant(), self::token(id, session.generation, &next)));
        });
        changed.map_err(NoSession::Storage)?;
        exchanged.ok_or(NoSession::Unknown)
    }

    /// Ends a session. Blocks.
    pub fn end(&self, id: Uuid) -> Result<(), Error> {
        self.change(|all| drop(all.remove(&id)))
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<Uuid, Session>)) -> Result<(), Error> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = all.clone();
        change(&mut changed);
        let bytes = serde_json::to_vec(&changed).map_err(|error| Error::damaged(&self.path, error))?;
        private_file::replace(&self.path, &bytes).map_err(Error::io("write", &self.path))?;
        *all = changed;
        Ok(())
    }
}

impl Session {
    fn grant(&self) -> Grant {
        Grant {
            tenant: self.tenant,
            user: self.user,
            signed_in: self.signed_in,
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
        let (sessions, problem) = Sessions::open(folder.path());
        assert!(problem.is_none());
        let (_, first) = sessions.begin(&grant(1), NOW).unwrap();
        let file = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert!(!file.contains(first.rsplit('.').next().unwrap()));
        let refresh = |sessions: &Sessions, token: &str, seconds| {
            sessions.refresh(token, APP, 14 * DAY, later(seconds)).ok()
        };
        let (found, second) = refresh(&sessions, &first, 100).unwrap();
        assert_eq!(found, grant(1));
        // The answer was lost: the same again, within the grace.
        let (_, second_again) = refresh(&sessions, &first, 129).unwrap();
        assert!(refresh(&sessions, &second, 200).is_none(), "another took its place");

        let (_, first) = sessions.begin(&grant(1), NOW).unwrap();
        let (_, second) = refresh(&sessions, &first, 100).unwrap();
        let (sessions, _) = Sessions::open(folder.path());
        let (_, third) = refresh(&sessions, &second, 200).unwrap();
        assert!(refresh(&sessions, &first, 201).is_none(), "used before");
        assert!(refresh(&sessions, &third, 202).is_none(), "so the session is over");
        drop(second_again);
    }

    #[test]
    fn a_session_is_over_when_it_is_unused_old_or_of_another_application() {
        let folder = tempfile::tempdir().unwrap();
        let (sessions, _) = Sessions::open(folder.path());
        let day = 24 * 3600;
        let (_, token) = sessions.begin(&grant(1), NOW).unwrap();
        assert!(sessions.refresh(&token, Uuid::nil(), 14 * DAY, NOW).is_err());
        let (_, mut token) = sessions.refresh(&token, APP, 14 * DAY, later(13 * day)).unwrap();
        for days in [26, 39, 52, 65, 78, 89] {
            token = sessions.refresh(&token, APP, 14 * DAY, later(days * day)).unwrap().1;
        }
        assert!(sessions.refresh(&token, APP, 14 * DAY, later(90 * day)).is_err());
        let (_, token) = sessions.begin(&grant(1), NOW).unwrap();
        assert!(sessions.refresh(&token, APP, 14 * DAY, later(14 * day)).is_err());
        for nonsense in ["", "a.b.c", "..", &"x".repeat(10_000)] {
            assert!(sessions.refresh(nonsense, APP, DAY, NOW).is_err());
        }
    }

    #[test]
    fn a_user_has_so_many_sessions_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let (sessions, _) = Sessions::open(folder.path());
        let tokens: Vec<String> = (0..51).map(|n| sessions.begin(&grant(1), later(n)).unwrap().1).collect();
        let (_, other) = sessions.begin(&grant(2), NOW).unwrap();
        let good = |token: &str| sessions.refresh(token, APP, DAY, later(60)).is_ok();
        assert!(!good(&tokens[0]) && good(&tokens[1]) && good(&tokens[50]) && good(&other));
    }

    #[test]
    fn a_damaged_file_is_told_and_users_sign_in_again() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "{]").unwrap();
        let (sessions, problem) = Sessions::open(folder.path());
        assert!(problem.unwrap().to_string().contains(FILE));
        sessions.begin(&grant(1), NOW).unwrap();
    }
}
