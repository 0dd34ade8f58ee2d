//! Questions about one alert, and what it names.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use pintle_model::{AlertId, Hashes, MachineId, shapes};

use super::Seen;
use crate::Extras;
use crate::directory::{Grouping, SharedDirectory, Window};
use crate::entity::Entity;
use crate::evidence::Named;
use crate::render::{AlertGroup, AlertMachine};
use crate::store::{Store, read_lock};
use crate::{Error, Filter, Page, Scope, filter, render};

impl Store {
    /// An alert by id with its evidence: the members of one `alert` object.
    pub fn alert(&self, scope: &Scope, id: &AlertId) -> Result<Option<String>, Error> {
        self.alert_with(scope, id, false)
    }

    /// The same, with its `sequence` if that is asked for.
    pub fn alert_with(&self, scope: &Scope, id: &AlertId, sequence: bool) -> Result<Option<String>, Error> {
        let (sight, alert) = (self.sight_of_alerts(scope)?, self.kept_alert(scope, id)?);
        let extras = Extras { evidence: true, sequence };
        let render = |alert: &Entity| {
            let machine = sight.machine_of(alert)?;
            Some(render::render_alert(scope.tenant(), id.as_str(), alert, &machine, extras))
        };
        Ok(alert.as_ref().and_then(render))
    }

    pub(crate) fn visible_alert(&self, scope: &Scope, id: &AlertId) -> Result<Option<Entity>, Error> {
        let sight = self.sight_of_alerts(scope)?;
        Ok(self.kept_alert(scope, id)?.filter(|alert| sight.machine_of(alert).is_some()))
    }

    /// An alert within the retention, whoever may see it.
    fn kept_alert(&self, scope: &Scope, id: &AlertId) -> Result<Option<Entity>, Error> {
        let alert = self.known().base.alert(scope.tenant(), id)?;
        Ok(alert.filter(|alert| self.cutoffs(scope).keeps_alert(alert)))
    }

    /// How the caller sees alerts now.
    pub(super) fn sight_of_alerts(&self, scope: &Scope) -> Result<AlertSight, Error> {
        let known = self.known();
        let directory = known.directories.of(scope.tenant());
        let grouping = known.grouping(scope.tenant())?;
        if !scope.sees_all() || !grouping.groups().is_none() {
            // Their machines decide, so these must be known.
            known.directory(scope.tenant())?;
        }
        Ok(AlertSight { scope: scope.clone(), directory, grouping })
    }

    /// The files in an alert's evidence, as `{…},{…}`, in the order of their hashes. `None`: no
    /// such alert, or not for this caller.
    pub fn alert_files(
        &self,
        scope: &Scope,
        id: &AlertId,
        page: Page,
        out: &mut Vec<u8>,
    ) -> Result<Option<usize>, Error> {
        let Some(alert) = self.visible_alert(scope, id)? else { return Ok(None) };
        let (mut list, question) = (List::new(out), self.ask_of_files(scope)?);
        // Many pieces of evidence may name one file.
        let mut asked = HashMap::new();
        for hashes in Named::by(&alert).files.into_iter().skip(page.skip).take(page.top) {
            let Some(hash) = hashes.iter().next() else { continue };
            let seen = match asked.entry(hash) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(question.seen(&hash)?),
            };
            list.push(&evidence_file(&hashes, seen.as_ref())?);
        }
        Ok(Some(list.written))
    }

    /// The hosts that an alert's evidence names, as `{"host":…},…`. `None`: no such alert, or not for
    /// this caller.
    pub fn alert_domains(
        &self,
        scope: &Scope,
        id: &AlertId,
        page: Page,
        out: &mut Vec<u8>,
    ) -> Result<Option<usize>, Error> {
        self.alert_texts(scope, id, page, |named| named.domains, "host", out)
    }

    /// The same of IP addresses, as `{"id":…},…`.
    pub fn alert_ips(
        &self,
        scope: &Scope,
        id: &AlertId,
        page: Page,
        out: &mut Vec<u8>,
    ) -> Result<Option<usize>, Error> {
        self.alert_texts(scope, id, page, |named| named.addresses, "id", out)
    }

    fn alert_texts(
        &self,
        scope: &Scope,
        id: &AlertId,
        page: Page,
        texts: fn(Named) -> BTreeSet<String>,
        member: &str,
        out: &mut Vec<u8>,
    ) -> Result<Option<usize>, Error> {
        let Some(alert) = self.visible_alert(scope, id)? else { return Ok(None) };
        let mut list = List::new(out);
        for text in texts(Named::by(&alert)).into_iter().skip(page.skip).take(page.top) {
            list.push(&format!("\"{member}\":{}", serde_json::Value::from(text)));
        }
        Ok(Some(list.written))
    }

    /// The machine that an alert is on: the members of one `machine` object. `None`: no such alert, or not
    /// for this caller; and within, none: it is on no machine that is known and within retention.
    pub fn alert_machine(&self, scope: &Scope, id: &AlertId) -> Result<Option<Option<String>>, Error> {
        let Some(alert) = self.visible_alert(scope, id)? else { return Ok(None) };
        let Some(id) = alert.facts.text(shapes::alert::MACHINE_ID) else { return Ok(Some(None)) };
        let window = self.machine_window(scope.tenant());
        let directory = self.directory(scope)?;
        let directory = read_lock(&directory);
        let is_listed = |ordinal: &u32| directory.is_listed(scope, window, *ordinal);
        let ordinal = directory.ordinal_of(&id).filter(is_listed);
        let machine = ordinal.and_then(|ordinal| directory.get(ordinal));
        Ok(Some(machine.map(|machine| machine.members(window.now))))
    }
}

/// How a caller sees alerts, at one moment: groups that change while many are gone through change
/// nothing.
#[derive(Clone)]
pub(super) struct AlertSight {
    scope: Scope,
    directory: SharedDirectory,
    grouping: Grouping,
}

impl AlertSight {
    /// Whether the caller may see every alert.
    pub(super) fn sees_all(&self) -> bool {
        self.scope.sees_all()
    }

    /// Whether the caller may see the alerts on a machine whose id stands there as JSON. Nobody who does
    /// not see all sees those that are on none.
    pub(super) fn sees_machine(&self, id: &str) -> bool {
        let id = filter::text(id);
        let machine = id.and_then(|id| read_lock(&self.directory).ordinal_of(&id));
        self.sees_all() || machine.is_some_and(|ordinal| self.grouping.sees(&self.scope, ordinal))
    }

    /// Whether every alert shows the id that telemetry gives its machine.
    pub(super) fn shows_told_ids(&self) -> bool {
        self.grouping.joins().is_none()
    }

    /// The id by which a machine goes that telemetry names so; `None`: by that.
    pub(super) fn id_shown(&self, told: &str) -> Option<MachineId> {
        if self.shows_told_ids() {
            return None;
        }
        let directory = read_lock(&self.directory);
        let ordinal = directory.ordinal_of(told)?;
        let canonical = self.grouping.joins().canonical(ordinal);
        directory.own(canonical).filter(|_| canonical != ordinal).map(|machine| machine.id.clone())
    }

    /// All ids of a machine, which is named as in [`Store::machine`].
    pub(super) fn ids(&self, window: Window, id_or_name: &str) -> Option<Vec<MachineId>> {
        let directory = read_lock(&self.directory);
        let machine = directory.find(&self.scope, window, id_or_name)?;
        Some(directory.ids_as(&self.grouping, directory.ordinal(&machine.id)?))
    }

    /// A filter as it is meant: whichever of a machine's ids it names, the one by which the machine goes.
    pub(super) fn meant(&self, filter: &Filter) -> Option<Filter> {
        let directory = read_lock(&self.directory);
        (!self.shows_told_ids())
            .then(|| directory.meant(self.grouping.joins(), filter, shapes::alert::MACHINE_ID))
            .flatten()
    }

    /// What an alert shows of its machine; `None`: the caller may not see that. An alert on no machine that
    /// is known is only there for those who see all.
    pub(super) fn machine_of(&self, alert: &Entity) -> Option<AlertMachine<'_>> {
        let has_no_groups = self.grouping.groups().is_none();
        if self.scope.sees_all() && has_no_groups && self.shows_told_ids() {
            return Some(AlertMachine::default());
        }
        let told = alert.facts.text(shapes::alert::MACHINE_ID);
        let machine = told.as_ref().and_then(|id| read_lock(&self.directory).ordinal_of(id));
        let is_visible = |ordinal: u32| self.grouping.sees(&self.scope, ordinal);
        if !self.scope.sees_all() && !machine.is_some_and(is_visible) {
            return None;
        }
        let label = machine.and_then(|ordinal| self.grouping.label(ordinal)).map(Arc::as_ref);
        let group = if has_no_groups { AlertGroup::AsTold } else { AlertGroup::Is(label) };
        Some(AlertMachine { group, id: told.and_then(|told| self.id_shown(&told)) })
    }
}

/// What is known of a file that evidence names. Its own hashes stand, whatever else is known.
fn evidence_file(named: &Hashes, seen: Option<&Seen>) -> Result<String, Error> {
    let Some(seen) = seen else { return Ok(render::render_file(named, 0, None, &Entity::default())) };
    let known = seen.resolved.hashes();
    seen.render(&Hashes {
        sha1: named.sha1.or(known.sha1),
        sha256: named.sha256.or(known.sha256),
        md5: named.md5.or(known.md5),
    })
}

/// A list of JSON objects being written.
pub(super) struct List<'o> {
    out: &'o mut Vec<u8>,
    pub(super) written: usize,
}

impl<'o> List<'o> {
    pub(super) fn new(out: &'o mut Vec<u8>) -> List<'o> {
        List { out, written: 0 }
    }

    pub(super) fn push(&mut self, members: &str) {
        self.out.extend_from_slice(if self.written == 0 { b"{" } else { b",{" });
        self.out.extend_from_slice(members.as_bytes());
        self.out.push(b'}');
        self.written += 1;
    }
}
