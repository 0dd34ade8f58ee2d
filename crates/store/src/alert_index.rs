//! What lists of alerts are found by, in memory: a row of columns an alert, as the API shows it, and
//! which alerts name a file, a domain, an address or a user.
//!
//! A tenant's index is made from the base when somebody first asks for a list. From then on whoever
//! applies a batch notes the alerts that it speaks of, and whoever asks next reads these again first.
//! It is derived, and forgotten whenever that is simpler than to keep it right.

mod marks;
mod rows;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use pintle_model::{AlertId, TenantId};

use crate::Error;
use crate::base::Base;
use crate::entity::Entity;
use crate::store::{hold, read_lock};
pub(crate) use marks::Named;
pub(crate) use rows::{Row, Rows};

/// The indexes of all tenants.
#[derive(Default)]
pub(crate) struct AlertIndexes(Mutex<HashMap<TenantId, Arc<Kept>>>);

/// A tenant's alerts. Held for as long as it takes to look at some rows, never while the base is read.
/// Rows keep their numbers.
pub(crate) type AlertIndex = RwLock<Rows>;

/// A tenant's index, and what it does not know yet.
#[derive(Default)]
struct Kept {
    /// Held while it is made and while it is brought up to date: whoever else asks needs that too.
    index: Mutex<Option<Arc<AlertIndex>>>,
    changed: Mutex<Changed>,
}

/// Alerts that were spoken of since they were last read.
#[derive(Default)]
struct Changed {
    ids: BTreeSet<AlertId>,
    /// They are more than it is worth to read one by one.
    too_many: bool,
}

/// So many changes are read one by one, whatever the size of the index.
const FEW: usize = 10_000;
/// So many are in memory whole at once, and put in their rows before readers are let in again.
const AT_ONCE: usize = 1_000;

impl AlertIndexes {
    /// Notes alerts that are another now. Only once the base has them so: who reads them meanwhile is to
    /// find what is noted.
    pub(crate) fn note<'a>(&self, of: TenantId, ids: impl Iterator<Item = &'a AlertId>) {
        let Some(kept) = hold(&self.0).get(&of).cloned() else { return };
        let mut changed = hold(&kept.changed);
        if changed.too_many {
            return;
        }
        changed.ids.extend(ids.cloned());
        // Nobody may ask for long, and what is noted must not grow for as long.
        if changed.ids.len() > 10 * FEW {
            *changed = Changed { ids: BTreeSet::new(), too_many: true };
        }
    }

    /// Forgets a tenant's index: what it has is no more in the base.
    pub(crate) fn forget(&self, of: TenantId) {
        hold(&self.0).remove(&of);
    }

    /// A tenant's index with all that was noted until now. Made now if there is none.
    pub(crate) fn current(&self, base: &Base, of: TenantId) -> Result<Arc<AlertIndex>, Error> {
        // From here on changes are noted, so none is lost between reading the base and having read it.
        let kept = Arc::clone(hold(&self.0).entry(of).or_default());
        let mut index = hold(&kept.index);
        let changed = std::mem::take(&mut *hold(&kept.changed));
        if let Some(known) =
            index.as_ref().filter(|known| !changed.too_many && read_lock(known).is_worth(changed.ids.len()))
        {
            if let Err(error) = refresh(known, base, of, &changed.ids) {
                // Whoever asks next has to read them.
                hold(&kept.changed).ids.extend(changed.ids);
                return Err(error);
            }
            return Ok(Arc::clone(known));
        }
        // What was noted by now is in the base, and what is noted from now on is read again.
        *index = None;
        let made = Arc::new(RwLock::new(made(base, of)?));
        *index = Some(Arc::clone(&made));
        Ok(made)
    }
}

/// The rows of all alerts.
fn made(base: &Base, of: TenantId) -> Result<Rows, Error> {
    let mut rows = Rows::new(of);
    base.alerts(of, &mut |id, alert| {
        // The base has none that is no id.
        if let Ok(id) = id.parse() {
            rows.put(id, &alert);
        }
        Ok(true)
    })?;
    rows.begin();
    Ok(rows)
}

/// Reads some alerts again. Who has the index already may look at it meanwhile: each alert is as it was or as
/// it is, and those that are new are found at the end, however it ends.
fn refresh(index: &AlertIndex, base: &Base, of: TenantId, ids: &BTreeSet<AlertId>) -> Result<(), Error> {
    if ids.is_empty() {
        return Ok(());
    }
    let write = || index.write().unwrap_or_else(PoisonError::into_inner);
    let ids: Vec<&AlertId> = ids.iter().collect();
    let done = ids.chunks(AT_ONCE).try_for_each(|some| {
        let read = some.iter().map(|id| Ok((*id, base.alert(of, id)?)));
        let read: Vec<(&AlertId, Option<Entity>)> = read.collect::<Result<_, Error>>()?;
        let mut rows = write();
        for (id, alert) in read {
            if let Some(alert) = alert {
                rows.put(id.clone(), &alert);
            }
        }
        Ok(())
    });
    write().settle();
    done
}
