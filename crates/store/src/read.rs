//! The questions. Each takes a [`Scope`] and blocks only for reads of the base.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use pintle_model::{AlertId, FileHash, Hashes, shapes};

use crate::directory::{MachineList, SharedDirectory, Window};
use crate::entity::Entity;
use crate::lookup::{self, Resolved};
use crate::pair::Pair;
use crate::store::{Store, read_lock};
use crate::{Conflict, Error, FileMachines, Page, Reject, Scope, Sighting, Span, Totals, render};

/// What a hash stands for, and the machines where it was seen, by ordinal.
struct Seen {
    resolved: Resolved,
    pairs: BTreeMap<u32, Pair>,
}

impl Seen {
    /// From the first to the last event in any role.
    fn span(&self) -> Option<Span> {
        self.pairs.values().fold(None, |seen, pair| Span::joined(seen, pair.any_role))
    }
}

impl Store {
    fn machine_window(&self, scope: &Scope) -> Window {
        Window { now: self.now(), length: self.retention(scope.tenant()).machines }
    }

    fn directory(&self, scope: &Scope) -> SharedDirectory {
        read_lock(&self.directories).get(&scope.tenant()).cloned().unwrap_or_default()
    }

    /// What a hash stands for and where it was seen, within the retention of sightings.
    fn seen(&self, scope: &Scope, hash: &FileHash) -> Result<Option<Seen>, Error> {
        let Some(resolved) = lookup::resolve(&self.base, scope.tenant(), hash)? else { return Ok(None) };
        let mut pairs = lookup::pairs(&self.base, scope.tenant(), &resolved)?;
        if let Some(window) = self.retention(scope.tenant()).sightings {
            let oldest = self.now() - window;
            let was_seen = !pairs.is_empty();
            pairs.retain(|_, pair| pair.any_role.is_none_or(|span| span.last >= oldest));
            if was_seen && pairs.is_empty() {
                return Ok(None);
            }
        }
        Ok(Some(Seen { resolved, pairs }))
    }

    /// The machines with a record of this file, as `{…},{…}`, ascending by id. `None`: unknown
    /// hash. A file seen only on machines that the caller may not see is known all the same.
    pub fn file_machines(
        &self,
        scope: &Scope,
        hash: &FileHash,
        page: Page,
        out: &mut Vec<u8>,
    ) -> Result<Option<FileMachines>, Error> {
        let Some((mut machines, found)) = self.list_file_machines(scope, hash, page)? else {
            return Ok(None);
        };
        machines.write(out);
        Ok(Some(found))
    }

    /// The same, to be written piece by piece.
    pub fn list_file_machines(
        &self,
        scope: &Scope,
        hash: &FileHash,
        page: Page,
    ) -> Result<Option<(MachineList, FileMachines)>, Error> {
        let Some(Seen { resolved, pairs }) = self.seen(scope, hash)? else { return Ok(None) };
        let directory = self.directory(scope);
        let ordinals = read_lock(&directory).some(scope, pairs.into_keys(), page);
        let found = FileMachines {
            written: ordinals.len(),
            ask_instead: resolved.ask_instead,
            cut_short: resolved.cut_short,
        };
        Ok(Some((MachineList::new(directory, ordinals, self.now()), found)))
    }

    /// The same with times, for people.
    pub fn file_sightings(
        &self,
        scope: &Scope,
        hash: &FileHash,
    ) -> Result<Option<(Vec<Sighting>, FileMachines)>, Error> {
        let Some(Seen { resolved, pairs }) = self.seen(scope, hash)? else { return Ok(None) };
        let directory = self.directory(scope);
        let directory = read_lock(&directory);
        let sighting = |ordinal: u32| {
            let (machine, pair) = (directory.get(ordinal)?, pairs.get(&ordinal)?);
            Some(Sighting {
                machine: machine.id.clone(),
                name: machine.name.clone(),
                as_target: pair.as_target,
                any_role: pair.any_role,
            })
        };
        let ordinals = directory.some(scope, pairs.keys().copied(), Page::ALL);
        let sightings: Vec<Sighting> = ordinals.into_iter().filter_map(sighting).collect();
        let found = FileMachines {
            written: sightings.len(),
            ask_instead: resolved.ask_instead,
            cut_short: resolved.cut_short,
        };
        Ok(Some((sightings, found)))
    }

    /// What is known of a file: the members of one `file` object. `None`: unknown hash.
    pub fn file(&self, scope: &Scope, hash: &FileHash) -> Result<Option<String>, Error> {
        let Some(seen) = self.seen(scope, hash)? else { return Ok(None) };
        Ok(Some(self.render_file(scope, &seen.resolved.hashes(), &seen)?))
    }

    fn render_file(&self, scope: &Scope, hashes: &Hashes, seen: &Seen) -> Result<String, Error> {
        let mut entity = Entity::default();
        for set in seen.resolved.sets() {
            entity.merge(self.base.file(scope.tenant(), set)?.unwrap_or_default(), 0);
        }
        Ok(render::render_file(hashes, seen.pairs.len(), seen.span(), &entity))
    }

    /// An alert by id with its evidence: the members of one `alert` object.
    pub fn alert(&self, scope: &Scope, id: &AlertId) -> Result<Option<String>, Error> {
        let alert = self.visible_alert(scope, id)?;
        Ok(alert.map(|entity| render::render_alert(scope.tenant(), id.as_str(), &entity, true)))
    }

    fn visible_alert(&self, scope: &Scope, id: &AlertId) -> Result<Option<Entity>, Error> {
        let alert = self.base.alert(scope.tenant(), id.as_str())?;
        Ok(alert.filter(|alert| self.is_recent(scope, alert) && self.is_visible(scope, alert)))
    }

    /// Whether the alert's last update lies within the retention. One without a `lastUpdateTime`
    /// counts by its newest event.
    fn is_recent(&self, scope: &Scope, alert: &Entity) -> bool {
        let Some(window) = self.retention(scope.tenant()).alerts else { return true };
        let updated = alert.facts.time(shapes::alert::LAST_UPDATE_TIME).or(alert.span.map(|span| span.last));
        updated.is_none_or(|updated| updated >= self.now() - window)
    }

    /// Whether the caller may see the machine that the alert is on. An alert on none is only
    /// there for those who see all.
    fn is_visible(&self, scope: &Scope, alert: &Entity) -> bool {
        if scope.sees_all() {
            return true;
        }
        let directory = self.directory(scope);
        let directory = read_lock(&directory);
        let id = alert.facts.text(shapes::alert::MACHINE_ID);
        let machine = id.and_then(|id| directory.ordinal(&id.parse().ok()?));
        machine.is_some_and(|ordinal| directory.is_visible(scope, ordinal))
    }

    /// Alerts, ascending by id, as `{…},{…}`, `evidence` empty. Returns how many were written.
    pub fn alerts(&self, scope: &Scope, page: Page, out: &mut Vec<u8>) -> Result<usize, Error> {
        let mut list = List::new(out);
        let mut to_skip = page.skip;
        for entry in self.base.alerts(scope.tenant()) {
            if list.written == page.top {
                break;
            }
            let (id, alert) = entry?;
            if !self.is_recent(scope, &alert) || !self.is_visible(scope, &alert) {
                continue;
            }
            if to_skip > 0 {
                to_skip -= 1;
                continue;
            }
            list.push(&render::render_alert(scope.tenant(), &id, &alert, false));
        }
        Ok(list.written)
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
        let mut list = List::new(out);
        // Many pieces of evidence may name one file.
        let mut asked = HashMap::new();
        for hashes in render::evidence_files(&alert).into_iter().skip(page.skip).take(page.top) {
            let Some(hash) = hashes.iter().next() else { continue };
            let seen = match asked.entry(hash) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(self.seen(scope, &hash)?),
            };
            list.push(&self.evidence_file(scope, &hashes, seen.as_ref())?);
        }
        Ok(Some(list.written))
    }

    /// What is known of a file that evidence names. Its own hashes stand, whatever else is known.
    fn evidence_file(&self, scope: &Scope, named: &Hashes, seen: Option<&Seen>) -> Result<String, Error> {
        let Some(seen) = seen else { return Ok(render::render_file(named, 0, None, &Entity::default())) };
        let known = seen.resolved.hashes();
        let hashes = Hashes {
            sha1: named.sha1.or(known.sha1),
            sha256: named.sha256.or(known.sha256),
            md5: named.md5.or(known.md5),
        };
        self.render_file(scope, &hashes, seen)
    }

    /// A machine by id, else by name without regard to case: the members of one `machine` object.
    pub fn machine(&self, scope: &Scope, id_or_name: &str) -> Result<Option<String>, Error> {
        let window = self.machine_window(scope);
        let directory = self.directory(scope);
        let machine =
            read_lock(&directory).find(scope, window, id_or_name).map(|machine| machine.members(window.now));
        Ok(machine)
    }

    /// Machines, ascending by id, as `{…},{…}`. Returns how many were written.
    pub fn machines(&self, scope: &Scope, page: Page, out: &mut Vec<u8>) -> Result<usize, Error> {
        let mut machines = self.list_machines(scope, page);
        let written = machines.left();
        machines.write(out);
        Ok(written)
    }

    /// The same, to be written piece by piece.
    pub fn list_machines(&self, scope: &Scope, page: Page) -> MachineList {
        let window = self.machine_window(scope);
        let directory = self.directory(scope);
        let ordinals = read_lock(&directory).all(scope, window, page);
        MachineList::new(directory, ordinals, window.now)
    }

    /// Files whose hashes do not belong together one to one, ascending.
    pub fn conflicts(&self, scope: &Scope) -> Result<Vec<Conflict>, Error> {
        lookup::conflicts(&self.base, scope.tenant())
    }

    /// Records kept aside, by source and offset. At most `limit`, and no more are in memory
    /// meanwhile: how many a tenant has is not bounded here, only how many ingest keeps of an input.
    pub fn rejects(&self, scope: &Scope, limit: usize) -> Result<Vec<Reject>, Error> {
        smallest(limit, self.base.rejects(scope.tenant()))
    }

    /// How much the tenant holds.
    pub fn totals(&self, scope: &Scope) -> Result<Totals, Error> {
        self.base.totals(scope.tenant())
    }
}

/// The `limit` smallest, ascending.
fn smallest<T: Ord>(limit: usize, all: impl Iterator<Item = Result<T, Error>>) -> Result<Vec<T>, Error> {
    let mut kept = BinaryHeap::new();
    for one in all {
        kept.push(one?);
        if kept.len() > limit {
            kept.pop();
        }
    }
    Ok(kept.into_sorted_vec())
}

/// A list of JSON objects being written.
struct List<'o> {
    out: &'o mut Vec<u8>,
    written: usize,
}

impl<'o> List<'o> {
    fn new(out: &'o mut Vec<u8>) -> List<'o> {
        List { out, written: 0 }
    }

    fn push(&mut self, members: &str) {
        self.out.extend_from_slice(if self.written == 0 { b"{" } else { b",{" });
        self.out.extend_from_slice(members.as_bytes());
        self.out.push(b'}');
        self.written += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::cmp::Ordering;

    use super::*;

    /// Counts how many of it there are.
    struct Counted<'c>(u32, &'c Cell<usize>);

    impl<'c> Counted<'c> {
        fn new(value: u32, alive: &'c Cell<usize>) -> Counted<'c> {
            alive.set(alive.get() + 1);
            Counted(value, alive)
        }
    }

    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.1.set(self.1.get() - 1);
        }
    }

    impl Ord for Counted<'_> {
        fn cmp(&self, other: &Self) -> Ordering {
            self.0.cmp(&other.0)
        }
    }

    impl PartialOrd for Counted<'_> {
        fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
            Some(self.cmp(other))
        }
    }

    impl PartialEq for Counted<'_> {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }

    impl Eq for Counted<'_> {}

    #[test]
    fn the_smallest_are_found_with_no_more_than_that_in_memory() {
        for limit in [0, 1, 7, 2_000] {
            let (alive, most) = (Cell::new(0), Cell::new(0));
            // 0 to 999, each once, in no order.
            let all = (0..1_000).map(|nth| Ok(Counted::new(nth * 7_919 % 1_000, &alive)));
            let all = all.inspect(|_| most.set(most.get().max(alive.get())));
            let found: Vec<u32> = smallest(limit, all).unwrap().iter().map(|found| found.0).collect();
            let expected: Vec<u32> = (0..1_000).take(limit).collect();
            assert_eq!(found, expected);
            assert!(most.get() <= limit + 1, "{} for {limit}", most.get());
        }
    }
}
