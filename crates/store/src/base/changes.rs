//! When something changes, and what a batch changes of alerts.

use std::collections::BTreeMap;
use std::sync::Arc;

use pintle_model::{AlertId, Change, TenantId, Time};

use super::Base;
use super::view::View;
use crate::Error;
use crate::archive::ArchivedBatch;
use crate::edit::Edited;
use crate::entity::{Entity, most};

/// When what a batch changes did so.
pub(crate) struct Dated<'b> {
    /// Lists were last asked for before this, so it did not change before either.
    pub(crate) not_before: Time,
    /// What knows when it did if the batch is not applied for the first time.
    pub(crate) earlier: Option<&'b Earlier>,
}

/// The base instead of which one is made anew.
pub(crate) struct Earlier {
    pub(crate) base: Arc<Base>,
    /// It holds what the new one is not to hold.
    pub(crate) is_purged: bool,
}

impl Earlier {
    /// Has an alert that is as it was earlier show that it changed when it did. What a purge took something
    /// of is as if that had never come.
    fn date(&self, of: TenantId, id: &AlertId, alert: &Entity, change: &mut Entity) {
        // What cannot be read is what a base is made anew for.
        let Ok(Some(earlier)) = self.base.alert(of, id) else { return };
        if !self.is_purged || earlier.is_alike(alert) {
            change.take_dates(&earlier);
        }
    }
}

/// Gives every change of a tenant's things a moment: when its batch was taken in, or just after a list was
/// last asked for that did not show it, or just after the change before it, whichever is latest. So
/// moments ascend in the order of the archive, which is the order in which changes become visible: who has
/// seen all up to one has missed nothing before it. In a base that is made anew nothing changes earlier
/// than it did in the one before.
pub(super) struct ChangeClock<'b> {
    pub(super) last: Time,
    pub(super) received: Time,
    pub(super) earlier: Option<&'b Earlier>,
}

impl ChangeClock<'_> {
    pub(super) fn next(&mut self) -> Time {
        self.last = self.received.max(self.last.just_after());
        self.last
    }
}

/// An alert that a batch changes.
struct Changed {
    /// As it is then.
    alert: Entity,
    /// What it was not before.
    change: Entity,
}

impl Changed {
    fn of(alert: Entity) -> Changed {
        Changed { alert, change: Entity::default() }
    }

    fn take(&mut self, change: Entity) -> Change {
        self.change.merge(change.clone(), most::EVIDENCE);
        self.alert.merge(change, most::EVIDENCE)
    }

    fn date(&mut self, at: Time, is_live: bool) {
        self.alert.note_change(at, is_live);
        self.change.note_change(at, is_live);
    }
}

/// What a batch makes of alerts: what it changes of each, to be merged into it, and how many are new. Others
/// are as they were, however often they are told again.
pub(super) fn changed_alerts(
    view: &View,
    batch: &ArchivedBatch,
    observed: BTreeMap<AlertId, Entity>,
    clock: &mut ChangeClock<'_>,
) -> Result<(BTreeMap<AlertId, Entity>, u64), Error> {
    let (mut changed, mut new) = (BTreeMap::new(), 0);
    for (id, change) in observed {
        let known = view.alert(batch.tenant, &id)?;
        let is_new = known.is_none();
        new += u64::from(is_new);
        let mut alert = Changed::of(known.unwrap_or_default());
        if alert.take(change).is_any() || is_new {
            alert.date(clock.next(), batch.is_live);
            changed.insert(id, alert);
        }
    }
    for edit in &batch.edits {
        let Edited::Alert(id) = &edit.of else { continue };
        let known = match changed.remove(id) {
            Some(changed) => Some(changed),
            None => view.alert(batch.tenant, id)?.map(Changed::of),
        };
        // One that is gone does not come back by what was once changed of it.
        let Some(mut alert) = known else { continue };
        let at = clock.next();
        alert.take(alert.alert.change_of_alert(edit, at));
        alert.date(at, true);
        changed.insert(id.clone(), alert);
    }
    let dated = |(id, Changed { alert, mut change })| {
        if let Some(earlier) = clock.earlier {
            earlier.date(batch.tenant, &id, &alert, &mut change);
        }
        (id, change)
    };
    Ok((changed.into_iter().map(dated).collect(), new))
}
