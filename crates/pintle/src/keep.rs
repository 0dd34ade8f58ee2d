//! The files of a data folder that are not the store's: what a backup takes along and a check reads.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pintle_model::Time;
use pintle_store::{BackedUp, Checked, Damage, Part, Progress};

use crate::audit;
use crate::auth;
use crate::auth::control::Control;
use crate::auth::issuer::Issuer;
use crate::instance::Instance;
use crate::quota::Quotas;

/// Tenants and applications with what is kept of their secrets, the keys that sign tokens, counts of
/// calls, and what was purged when. The audit log comes beside them.
const OTHERS: &[&str] = &[CONTROL, auth::PEPPER, auth::keys::FILE, QUOTAS, "purges.jsonl"];

const CONTROL: &str = "control.json";
const QUOTAS: &str = "quota.json";

/// Why a backup was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Store(#[from] pintle_store::Error),
    #[error(transparent)]
    Audit(#[from] audit::Error),
}

/// Copies the data folder of a running instance.
pub(crate) fn backup(
    instance: &Instance,
    to: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<BackedUp, Error> {
    let mut others: Vec<String> = OTHERS.iter().map(|name| (*name).to_owned()).collect();
    let (head, logged) = audit::for_backup(instance.store.folder())?;
    others.extend(logged);
    Ok(instance.store.backup(to, &others, head.as_slice(), progress)?)
}

/// Adds what is wrong with those that are there. Makes none.
pub(crate) fn check(folder: &Path, checked: &mut Checked) {
    let names = [CONTROL, auth::PEPPER, auth::keys::FILE, QUOTAS];
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
