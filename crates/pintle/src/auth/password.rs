//! Passwords of people: kept as argon2id, hashed by few at a time, since each takes memory and a
//! tenth of a second that whoever asks decides to spend.

use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, phc};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::{Error, random};

/// Shorter ones are refused, as NIST SP 800-63B has it for passwords that people choose.
pub const MIN_CHARACTERS: usize = 12;
/// Longer ones are refused: hashing them would be somebody else's choice of work.
pub const MAX_BYTES: usize = 1024;

/// Memory of a hash in KiB, passes and lanes: one of the settings that OWASP's page on storing passwords
/// calls enough. Fuzzing is no guessing, and has no tenth of a second.
const COST: (u32, u32, u32) = if cfg!(fuzzing) { (8, 1, 1) } else { (19 * 1024, 2, 1) };

/// Passwords hashed at once.
const AT_ONCE: usize = 2;

/// What is kept of a password, as a PHC string.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct PasswordHash(String);

/// Hashes and compares passwords, few at a time.
pub(super) struct Passwords {
    free: Mutex<usize>,
    freed: Condvar,
    /// What is compared with when there is no such user, so that the answer takes as long. Made when
    /// it is first needed, since most who open a folder sign nobody in.
    decoy: OnceLock<Option<PasswordHash>>,
}

/// A password that cannot be one, with the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Too short.
    #[error("a password has at least {MIN_CHARACTERS} characters")]
    Short,
    /// Too long.
    #[error("a password has at most {MAX_BYTES} bytes")]
    Long,
}

/// Whether a password can be one.
pub fn check(password: &str) -> Result<(), Unfit> {
    if password.len() > MAX_BYTES {
        return Err(Unfit::Long);
    }
    if password.chars().count() < MIN_CHARACTERS {
        return Err(Unfit::Short);
    }
    Ok(())
}

/// A password that nobody can guess, for somebody who was given none.
pub fn generate() -> Result<String, Error> {
    Ok(URL_SAFE_NO_PAD.encode(random::<15>()?))
}

impl Passwords {
    pub(super) fn new() -> Passwords {
        Passwords { free: Mutex::new(AT_ONCE), freed: Condvar::new(), decoy: OnceLock::new() }
    }

    /// What is to be kept of a password. Blocks.
    pub(super) fn hash(&self, password: &str) -> Result<PasswordHash, Error> {
        self.in_turn(|| hash(password))
    }

    /// Whether it is this password. Takes as long without one. Blocks.
    pub(super) fn verify(&self, password: &str, kept: Option<&PasswordHash>) -> bool {
        if password.len() > MAX_BYTES {
            return false;
        }
        let matches = |kept: &PasswordHash| {
            let hash = phc::PasswordHash::new(&kept.0);
            hash.is_ok_and(|hash| {
                argon2().is_ok_and(|argon2| argon2.verify_password(password.as_bytes(), &hash).is_ok())
            })
        };
        self.in_turn(|| {
            let decoy = self.decoy.get_or_init(|| hash(&generate().ok()?).ok());
            kept.or(decoy.as_ref()).is_some_and(matches) && kept.is_some()
        })
    }

    fn in_turn<T>(&self, work: impl FnOnce() -> T) -> T {
        /// Gives the place back, also on the way out of a panic.
        struct Place<'p>(&'p Passwords);
        impl Drop for Place<'_> {
            fn drop(&mut self) {
                *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                self.0.freed.notify_one();
            }
        }
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self.freed.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        drop(free);
        let _place = Place(self);
        work()
    }
}

fn argon2() -> Result<Argon2<'static>, Error> {
    let (memory, passes, lanes) = COST;
    let params =
        Params::new(memory, passes, lanes, None).map_err(|_| Error::Crypto("setting up argon2id"))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &str) -> Result<PasswordHash, Error> {
    let salt = random::<16>()?;
    let hash = argon2()?.hash_password_with_salt(password.as_bytes(), &salt);
    let hash = hash.map_err(|_| Error::Crypto("hashing a password"))?;
    Ok(PasswordHash(hash.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_again_and_no_other_is() {
        let passwords = Passwords::new();
        let kept = passwords.hash("correct horse battery").unwrap();
        assert!(kept.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", kept.0);
        assert!(passwords.verify("correct horse battery", Some(&kept)));
        for wrong in ["correct horse batterY", "", &"x".repeat(MAX_BYTES + 1)] {
            assert!(!passwords.verify(wrong, Some(&kept)));
        }
        assert!(!passwords.verify("correct horse battery", None));
        assert_ne!(kept.0, passwords.hash("correct horse battery").unwrap().0, "salted");
    }

    #[test]
    fn what_cannot_be_a_password_is_told_why() {
        assert_eq!(check("eleven char"), Err(Unfit::Short));
        assert_eq!(check("twelve chars"), Ok(()));
        assert_eq!(check(&"x".repeat(MAX_BYTES + 1)), Err(Unfit::Long));
        assert_eq!(check(&generate().unwrap()), Ok(()));
    }

    #[test]
    fn no_more_than_two_are_hashed_at_once() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let (passwords, now, most) = (Passwords::new(), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    passwords.in_turn(|| {
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::sleep(std::time::Duration::from_millis(5));
                        now.fetch_sub(1, Ordering::SeqCst);
                    });
                });
            }
        });
        assert_eq!(most.into_inner(), AT_ONCE);
    }
}
