//! The files of a data folder that are not the store's: what a backup takes along and a check reads.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pintle_model::Time;
use pintle_store::{Checked, Damage, Part};

use crate::auth;
use crate::auth::control::Control;
use crate::auth::issuer::Issuer;
use crate::quota::Quotas;

/// Tenants and applications with what is kept of their secrets, the keys that sign tokens, counts of
/// calls, and what was purged when.
pub(crate) const OTHERS: &[&str] = &[CONTROL, auth::PEPPER, auth::keys::FILE, QUOTAS, "purges.jsonl"];

const CONTROL: &str = "control.json";
const QUOTAS: &str = "quota.json";

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
}

fn damage(file: PathBuf, error: auth::Error) -> Damage {
    let (file, reason) = match error {
        auth::Error::Damaged { file, reason } => (file, reason),
        other => (file, other.to_string()),
    };
    Damage { part: Part::Other, file, offset: 0, reason }
}
