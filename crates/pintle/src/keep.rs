//! The files of a data folder that are not the store's: what a backup takes along, how it comes back,
//! and what a check reads.

mod secrets;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pintle_model::Time;
use pintle_store::{BackedUp, Checked, Damage, Part, Progress, Verified};
use serde::{Deserialize, Serialize};

use crate::audit::{self, Actor, Audit, Entry};
use crate::auth;
use crate::auth::control::Control;
use crate::auth::issuer::Issuer;
use crate::auth::sessions::Sessions;
use crate::instance::Instance;
use crate::quota::Quotas;

pub(crate) use secrets::Passphrase;
use secrets::Secrets;

/// Tenants, applications, inlets and users with hashes of their secrets and passwords (argon2id, so that a weak
/// password can be guessed by whoever has the backup), counts of calls, what was purged when. The
/// audit log comes beside them, and the secrets encrypted or not at all.
const OTHERS: &[&str] = &[CONTROL, QUOTAS, "purges.jsonl"];

const CONTROL: &str = "control.json";
const QUOTAS: &str = "quota.json";

/// Advice for who has no secrets from a backup.
pub(crate) const WITHOUT_SECRETS: &str = "every application needs a new secret (`pintle client rotate`), every \
inlet a new key (`pintle inlet add-key`), and tokens issued before are refused; certificates stay good, and users \
keep their passwords";

/// Why a backup was not made, not restored, or not looked through.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Store(#[from] pintle_store::Error),
    #[error(transparent)]
    Secrets(#[from] secrets::Error),
    #[error(transparent)]
    Audit(#[from] audit::Error),
    #[error(
        "the backup has its secrets in {file}: name the file with their passphrase (--passphrase-file), or \
         restore without them (--without-secrets): then {WITHOUT_SECRETS}",
        file = secrets::FILE
    )]
    NeedsPassphrase,
    #[error("the backup has no {file}: leave --passphrase-file out", file = secrets::FILE)]
    NothingEncrypted,
}

/// What became of the applications' pepper and of the keys that sign tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kept {
    /// They are in the backup, encrypted; or they came back out of it.
    Encrypted,
    /// They are in the backup as an earlier version put them there: as they are.
    Clear,
    /// They are not in it, or were left there.
    LeftOut,
}

/// What was copied, and what became of the secrets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Copied {
    #[serde(flatten)]
    pub(crate) backup: BackedUp,
    pub(crate) secrets: Kept,
}

/// What came of looking through a backup.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Looked {
    #[serde(flatten)]
    pub(crate) verified: Verified,
    pub(crate) secrets: Kept,
}

/// Copies the data folder of a running instance.
pub(crate) fn backup(
    instance: &Instance,
    to: &Path,
    passphrase: Option<Passphrase>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Copied, Error> {
    let folder = instance.store.folder();
    let mut given = Vec::new();
    let mut kept = Kept::LeftOut;
    if let Some(passphrase) = passphrase {
        let sealed = Secrets::of(folder)?.seal(&passphrase.checked()?)?;
        given.push((secrets::FILE.to_owned(), sealed));
        kept = Kept::Encrypted;
    }
    let mut others: Vec<String> = OTHERS.iter().map(|name| (*name).to_owned()).collect();
    let (head, logged) = audit::for_backup(folder)?;
    given.extend(head);
    others.extend(logged);
    let backup = instance.store.backup(to, &others, &given, progress)?;
    Ok(Copied { backup, secrets: kept })
}

/// What a backup has of secrets.
fn kept_in(backup: &Path) -> Kept {
    if backup.join(secrets::FILE).exists() {
        Kept::Encrypted
    } else if backup.join(auth::PEPPER).exists() {
        Kept::Clear
    } else {
        Kept::LeftOut
    }
}

/// Makes a data folder of a backup. A passphrase that is wrong is known before anything is written.
pub(crate) fn restore(
    backup: &Path,
    to: &Path,
    passphrase: Option<&Passphrase>,
    without_secrets: bool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Copied, Error> {
    let (opened, kept) = match (secrets::read(backup)?, passphrase) {
        (Some(sealed), Some(passphrase)) => (Some(Secrets::open(&sealed, passphrase)?), Kept::Encrypted),
        (Some(_), None) if !without_secrets => return Err(Error::NeedsPassphrase),
        (None, Some(_)) => return Err(Error::NothingEncrypted),
        _ if without_secrets => (None, Kept::LeftOut),
        _ => (None, kept_in(backup)),
    };
    let mut prepare = |new: &Path| -> io::Result<()> {
        remove(&new.join(secrets::FILE))?;
        match (&opened, kept) {
            (Some(secrets), _) => secrets.write(new)?,
            (None, Kept::LeftOut) => {
                for name in secrets::NAMES {
                    remove(&new.join(name))?;
                }
                auth::without_secrets(new).map_err(io::Error::other)?;
            }
            (None, _) => {}
        }
        let audit = Audit::open(new, pintle_store::Options::default().clock).map_err(io::Error::other)?;
        let entry = Entry::new(Actor::this_process(), "backup.restored").on(backup.display());
        audit.record(entry.with("secrets", serde_json::to_value(kept)?)).map_err(io::Error::other)
    };
    let backup = pintle_store::restore(backup, to, &mut prepare, progress)?;
    Ok(Copied { backup, secrets: kept })
}

fn remove(file: &Path) -> io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Reads a backup whole; with a passphrase, whether it opens the secrets too.
pub(crate) fn verify(
    backup: &Path,
    passphrase: Option<&Passphrase>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Looked, Error> {
    let mut verified = pintle_store::verify(backup, progress)?;
    let file = backup.join(secrets::FILE);
    if let Some(passphrase) = passphrase {
        let sealed = secrets::read(backup)?.ok_or(Error::NothingEncrypted)?;
        // One that is damaged is named already.
        let is_named = verified.damages.iter().any(|damage| damage.file == file);
        if let (false, Err(error)) = (is_named, Secrets::open(&sealed, passphrase)) {
            verified.damages.push(Damage { part: Part::Other, file, offset: 0, reason: error.to_string() });
        }
    }
    Ok(Looked { verified, secrets: kept_in(backup) })
}

/// Adds what is wrong with those that are there. Makes none.
pub(crate) fn check(folder: &Path, checked: &mut Checked) {
    let names = [CONTROL, auth::PEPPER, auth::keys::FILE, auth::sessions::FILE, QUOTAS];
    // One that is not there is made when it is needed; one that cannot be read is named below.
    let there = |name: &str| folder.join(name).metadata().ok();
    for about in names.iter().filter_map(|name| there(name)) {
        checked.files += 1;
        checked.bytes += about.len();
    }
    let mut note = |name: &str, opened: Result<(), auth::Error>| {
        checked.damages.extend(opened.err().map(|error| damage(folder.join(name), error)));
    };
    if there(CONTROL).is_some() {
        note(CONTROL, Control::open(folder).map(drop));
    }
    if there(auth::keys::FILE).is_some() {
        note(auth::keys::FILE, Issuer::open(folder, None, Duration::ZERO, Time::MIN).map(drop));
    }
    note(auth::sessions::FILE, Sessions::check(folder));
    if let (_, Some(problem)) = Quotas::open(folder) {
        let (file, reason) = (folder.join(QUOTAS), problem.to_string());
        checked.damages.push(Damage { part: Part::Other, file, offset: 0, reason });
    }
    check_audit(folder, checked);
}

/// Names the first that is wrong with the audit log: `pintle audit verify` names all.
fn check_audit(folder: &Path, checked: &mut Checked) {
    let logged = folder.join(audit::FOLDER);
    let wrong = match audit::verify(folder, None) {
        Ok(verified) => {
            checked.files += verified.files;
            checked.bytes += verified.bytes;
            verified.problems.into_iter().next().map(|problem| {
                let reason = format!("line {}: {} (`pintle audit verify`)", problem.line, problem.reason);
                (logged.join(problem.file), reason)
            })
        }
        Err(error) => Some((logged, error.to_string())),
    };
    checked.damages.extend(wrong.map(|(file, reason)| Damage { part: Part::Other, file, offset: 0, reason }));
}

fn damage(file: PathBuf, error: auth::Error) -> Damage {
    let (file, reason) = match error {
        auth::Error::Damaged { file, reason } => (file, reason),
        other => (file, other.to_string()),
    };
    Damage { part: Part::Other, file, offset: 0, reason }
}
