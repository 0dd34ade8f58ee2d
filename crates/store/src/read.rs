//! The questions. Each takes a [`Scope`] and blocks only for reads of the base.

pub(crate) mod observables;
pub(crate) mod stats;
mod users;

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;

use pintle_model::{AlertId, FileHash, Hashes, MachineId, TenantId, Time, shapes};

use crate::base::value::Arrival;

use crate::directory::{self, Grouping, MachineList, SharedDirectory, Window};
use crate::entity::Entity;
use crate::evidence;
use crate::known::Known;
use crate::lookup::{self, Resolved};
use crate::pair::Pair;
use crate::render::AlertGroup;
use crate::retention::Cutoffs;
use crate::store::{Store, read_lock};
use crate::{
    BatchInfo, Conflict, Error, FileMachines, Filter, Page, Reject, Scope, Sighting, Span, Totals, render,
};

/// What a hash stands for, and the machines where it was seen, by ordinal.
struct Seen {
    resolved: Resolved,
    /// Ascending by ordinal.
    pairs: Vec<(u32, Pair)>,
}

impl Seen {
    /// From the first to the last event in any role.
    fn span(&self) -> Option<Span> {
        self.pairs.iter().fold(None, |seen, (_, pair)| Span::joined(seen, pair.any_role))
    }

    /// The members of one `file` object that goes by these hashes.
    fn render(&self, hashes: &Hashes) -> Result<String, Error> {
        Ok(render::render_file(hashes, self.pairs.len(), self.span(), &self.resolved.entity()?))
    }
}

/// One question about files.
struct FileQuestion<'s> {
    scope: &'s Scope,
    known: Arc<Known>,
    /// Where the machines are that count; `None`: all count, and files that were seen on none.
    grouping: Option<Grouping>,
    cutoffs: Cutoffs,
}

impl FileQuestion<'_> {
    /// Whether a machine counts.
    fn counts(&self, ordinal: u32) -> bool {
        self.grouping.as_ref().is_none_or(|grouping| grouping.sees(self.scope, ordinal))
    }

    fn resolve(&self, hash: &FileHash) -> Result<Option<Resolved>, Error> {
        let counts = |ordinal| self.counts(ordinal);
        let counts: Option<&dyn Fn(u32) -> bool> = if self.grouping.is_some() { Some(&counts) } else { None };
        lookup::resolve(self.known.base.files(self.scope.tenant()), hash, counts)
    }

    /// What a hash stands for and where it was seen, within the retention of sightings.
    fn seen(&self, hash: &FileHash) -> Result<Option<Seen>, Error> {
        let Some(resolved) = self.resolve(hash)? else { return Ok(None) };
        let mut pairs = resolved.pairs()?;
        let was_seen = !pairs.is_empty();
        pairs.retain(|(ordinal, pair)| self.cutoffs.keeps_pair(pair) && self.counts(*ordinal));
        if was_seen && pairs.is_empty() {
            return Ok(None);
        }
        Ok(Some(Seen { resolved, pairs }))
    }

    /// What a hash stands for and the machines where it was seen, by ordinal, in no order. Times are
    /// read only where they decide.
    fn seen_on(&self, hash: &FileHash) -> Result<Option<(Resolved, Vec<u32>)>, Error> {
        if !self.cutoffs.keeps_all_pairs() {
            let seen = self.seen(hash)?;
            return Ok(seen.map(|Seen { resolved, pairs }| (resolved, ordinals_of(&pairs).collect())));
        }
        let Some(resolved) = self.resolve(hash)? else { return Ok(None) };
        // Those that do not count are not visible either.
        let machines = resolved.machines()?;
        Ok(Some((resolved, machines)))
    }
}

impl Store {
    pub(crate) fn machine_window(&self, tenant: TenantId) -> Window {
        Window { now: self.now(), length: self.retention(tenant).machines }
    }

    fn directory(&self, scope: &Scope) -> Result<SharedDirectory, Error> {
        self.known().directory(scope.tenant())
    }

    /// A question about files, all of it about what is known now.
    fn ask_of_files<'s>(&self, scope: &'s Scope) -> Result<FileQuestion<'s>, Error> {
        let known = self.known();
        let mut grouping = None;
        if scope.hides_files() {
            let directory = known.directory(scope.tenant())?;
            grouping = Some(read_lock(&directory).grouping().clone());
        }
        Ok(FileQuestion { scope, known, grouping, cutoffs: self.cutoffs(scope) })
    }

    /// The machines with a record of this file, as `{…},{…}`, ascending by id. `None`: unknown
    /// hash. A file seen only on machines that the caller may not see is known all the same, unless
    /// the scope narrows statistics ([`Scope::narrowing_statistics`]).
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
        let question = self.ask_of_files(scope)?;
        let Some((resolved, machines)) = question.seen_on(hash)? else { return Ok(None) };
        let directory = question.known.directory(scope.tenant())?;
        let ordinals = read_lock(&directory).some(scope, machines.into_iter(), page);
        let found = FileMachines {
            written: ordinals.len(),
            ask_instead: resolved.ask_instead,
            cut_short: resolved.cut_short,
            damaged: self.lacks_some(),
        };
        Ok(Some((MachineList::new(directory, ordinals, self.now()), found)))
    }

    /// The same with times, for people.
    pub fn file_sightings(
        &self,
        scope: &Scope,
        hash: &FileHash,
    ) -> Result<Option<(Vec<Sighting>, FileMachines)>, Error> {
        let question = self.ask_of_files(scope)?;
        let Some(Seen { resolved, pairs }) = question.seen(hash)? else { return Ok(None) };
        let directory = question.known.directory(scope.tenant())?;
        let directory = read_lock(&directory);
        let sighting = |ordinal: u32| {
            let place = pairs.binary_search_by_key(&ordinal, |(ordinal, _)| *ordinal).ok()?;
            let (machine, (_, pair)) = (directory.get(ordinal)?, pairs.get(place)?);
            Some(Sighting {
                machine: machine.id.clone(),
                name: machine.name.clone(),
                as_target: pair.as_target,
                any_role: pair.any_role,
            })
        };
        let ordinals = directory.some(scope, ordinals_of(&pairs), Page::ALL);
        let sightings: Vec<Sighting> = ordinals.into_iter().filter_map(sighting).collect();
        let found = FileMachines {
            written: sightings.len(),
            ask_instead: resolved.ask_instead,
            cut_short: resolved.cut_short,
            damaged: self.lacks_some(),
        };
        Ok(Some((sightings, found)))
    }

    /// What is known of a file: the members of one `file` object. `None`: unknown hash.
    pub fn file(&self, scope: &Scope, hash: &FileHash) -> Result<Option<String>, Error> {
        let Some(seen) = self.ask_of_files(scope)?.seen(hash)? else { return Ok(None) };
        Ok(Some(seen.render(&seen.resolved.hashes())?))
    }

    /// An alert by id with its evidence: the members of one `alert` object.
    pub fn alert(&self, scope: &Scope, id: &AlertId) -> Result<Option<String>, Error> {
        let (sight, alert) = (self.sight_of_alerts(scope)?, self.kept_alert(scope, id)?);
        let render = |alert: &Entity| {
            let group = sight.group(alert)?;
            Some(render::render_alert(scope.tenant(), id.as_str(), alert, group, true))
        };
        Ok(alert.as_ref().and_then(render))
    }

    fn visible_alert(&self, scope: &Scope, id: &AlertId) -> Result<Option<Entity>, Error> {
        let sight = self.sight_of_alerts(scope)?;
        Ok(self.kept_alert(scope, id)?.filter(|alert| sight.group(alert).is_some()))
    }

    /// An alert within the retention, whoever may see it.
    fn kept_alert(&self, scope: &Scope, id: &AlertId) -> Result<Option<Entity>, Error> {
        let alert = self.known().base.alert(scope.tenant(), id)?;
        Ok(alert.filter(|alert| self.cutoffs(scope).keeps_alert(alert)))
    }

    /// What has not expired now.
    fn cutoffs(&self, scope: &Scope) -> Cutoffs {
        Cutoffs::at(self.now(), self.retention(scope.tenant()))
    }

    /// How the caller sees alerts now.
    fn sight_of_alerts<'s>(&self, scope: &'s Scope) -> Result<AlertSight<'s>, Error> {
        let known = self.known();
        let directory = known.directories.of(scope.tenant());
        let grouping = read_lock(&directory).grouping().clone();
        if !scope.sees_all() || !grouping.groups().is_none() {
            // Their machines decide, so these must be known.
            known.directory(scope.tenant())?;
        }
        Ok(AlertSight { scope, directory, grouping })
    }

    /// Alerts, ascending by id, as `{…},{…}`, `evidence` empty. Returns how many were written.
    pub fn alerts(&self, scope: &Scope, page: Page, out: &mut Vec<u8>) -> Result<usize, Error> {
        self.list_alerts(scope, page, None, out)
    }

    /// The same of those that a filter takes; it knows the evidence that is not shown.
    pub fn list_alerts(
        &self,
        scope: &Scope,
        page: Page,
        filter: Option<&Filter>,
        out: &mut Vec<u8>,
    ) -> Result<usize, Error> {
        let mut list = List::new(out);
        let mut to_skip = page.skip;
        if page.top == 0 {
            return Ok(0);
        }
        let (cutoffs, sight) = (self.cutoffs(scope), self.sight_of_alerts(scope)?);
        let by_evidence = filter.is_some_and(|filter| filter.reads(shapes::alert::EVIDENCE));
        self.known().base.alerts(scope.tenant(), &mut |id, alert| {
            if cutoffs.keeps_alert(&alert)
                && let Some(group) = sight.group(&alert)
            {
                let members = |evidence| render::render_alert(scope.tenant(), id, &alert, group, evidence);
                if filter.is_some_and(|filter| !filter.matches(&format!("{{{}}}", members(by_evidence)))) {
                    return Ok(true);
                }
                if to_skip > 0 {
                    to_skip -= 1;
                } else {
                    list.push(&members(false));
                }
            }
            Ok(list.written < page.top)
        })?;
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
        let (mut list, question) = (List::new(out), self.ask_of_files(scope)?);
        // Many pieces of evidence may name one file.
        let mut asked = HashMap::new();
        for hashes in evidence::files(&alert).into_iter().skip(page.skip).take(page.top) {
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
        self.alert_texts(scope, id, page, evidence::domains, "host", out)
    }

    /// The same of IP addresses, as `{"id":…},…`.
    pub fn alert_ips(
        &self,
        scope: &Scope,
        id: &AlertId,
        page: Page,
        out: &mut Vec<u8>,
    ) -> Result<Option<usize>, Error> {
        self.alert_texts(scope, id, page, evidence::addresses, "id", out)
    }

    fn alert_texts(
        &self,
        scope: &Scope,
        id: &AlertId,
        page: Page,
        texts: fn(&Entity) -> BTreeSet<String>,
        member: &str,
        out: &mut Vec<u8>,
    ) -> Result<Option<usize>, Error> {
        let Some(alert) = self.visible_alert(scope, id)? else { return Ok(None) };
        let mut list = List::new(out);
        for text in texts(&alert).into_iter().skip(page.skip).take(page.top) {
            list.push(&format!("\"{member}\":{}", serde_json::Value::from(text)));
        }
        Ok(Some(list.written))
    }

    /// The machine that an alert is on: the members of one `machine` object, also where it was last seen
    /// before the retention of machines. `None`: no such alert, or not for this caller; and within, none:
    /// it is on no machine that is known.
    pub fn alert_machine(&self, scope: &Scope, id: &AlertId) -> Result<Option<Option<String>>, Error> {
        let Some(alert) = self.visible_alert(scope, id)? else { return Ok(None) };
        let machine: Option<MachineId> =
            alert.facts.text(shapes::alert::MACHINE_ID).and_then(|id| id.parse().ok());
        let Some(machine) = machine else { return Ok(Some(None)) };
        let directory = self.directory(scope)?;
        let directory = read_lock(&directory);
        let ordinal = directory.ordinal(&machine).filter(|ordinal| directory.is_visible(scope, *ordinal));
        let machine = ordinal.and_then(|ordinal| directory.get(ordinal));
        Ok(Some(machine.map(|machine| machine.members(self.now()))))
    }

    /// A machine by id, else by name without regard to case: the members of one `machine` object.
    pub fn machine(&self, scope: &Scope, id_or_name: &str) -> Result<Option<String>, Error> {
        let window = self.machine_window(scope.tenant());
        let directory = self.directory(scope)?;
        let machine =
            read_lock(&directory).find(scope, window, id_or_name).map(|machine| machine.members(window.now));
        Ok(machine)
    }

    /// Machines, ascending by id, as `{…},{…}`. Returns how many were written.
    pub fn machines(&self, scope: &Scope, page: Page, out: &mut Vec<u8>) -> Result<usize, Error> {
        let mut machines = self.list_machines(scope, page, None)?;
        let written = machines.left();
        machines.write(out);
        Ok(written)
    }

    /// The same of those that a filter takes, to be written piece by piece.
    pub fn list_machines(
        &self,
        scope: &Scope,
        page: Page,
        filter: Option<&Filter>,
    ) -> Result<MachineList, Error> {
        let window = self.machine_window(scope.tenant());
        let directory = self.directory(scope)?;
        let ordinals = match filter {
            None => read_lock(&directory).all(scope, window, page),
            Some(filter) => {
                let all = read_lock(&directory).all(scope, window, Page::ALL);
                directory::filtered(&directory, all, page, window.now, filter)
            }
        };
        Ok(MachineList::new(directory, ordinals, window.now))
    }

    /// Files whose hashes do not belong together one to one, ascending.
    pub fn conflicts(&self, scope: &Scope) -> Result<Vec<Conflict>, Error> {
        lookup::conflicts(&self.known().base, scope.tenant())
    }

    /// Records kept aside, by source and offset. At most `limit`, and no more are in memory
    /// meanwhile: how many a tenant has is not bounded here, only how many ingest keeps of an input.
    pub fn rejects(&self, scope: &Scope, limit: usize) -> Result<Vec<Reject>, Error> {
        let mut kept = Smallest::new(limit);
        self.known().base.rejects(scope.tenant(), &mut |reject| kept.push(reject))?;
        Ok(kept.into_sorted())
    }

    /// What came in, in the order of arrival: from a time on, from sources whose name contains a text.
    pub fn batches(
        &self,
        scope: &Scope,
        since: Option<Time>,
        source: &str,
        page: Page,
    ) -> Result<Vec<BatchInfo>, Error> {
        let (mut found, mut to_skip) = (Vec::new(), page.skip);
        self.known().base.batches(scope.tenant(), &mut |received, id, arrival| {
            let Arrival { source: of, records, rejects } = arrival;
            if since.is_none_or(|since| received >= since) && of.contains(source) {
                if to_skip > 0 {
                    to_skip -= 1;
                } else if found.len() < page.top {
                    found.push(BatchInfo { id, received, source: of, records, rejects });
                }
            }
        })?;
        Ok(found)
    }

    /// How much the tenant holds.
    pub fn totals(&self, scope: &Scope) -> Result<Totals, Error> {
        Ok(self.known().base.totals(scope.tenant()))
    }
}

/// How a caller sees alerts, at one moment: groups that change while many are gone through change
/// nothing.
struct AlertSight<'s> {
    scope: &'s Scope,
    directory: SharedDirectory,
    grouping: Grouping,
}

impl AlertSight<'_> {
    /// The group that an alert shows; `None`: the caller may not see the machine that it is on. An
    /// alert on no machine that is known is only there for those who see all.
    fn group(&self, alert: &Entity) -> Option<AlertGroup<'_>> {
        let has_no_groups = self.grouping.groups().is_none();
        if self.scope.sees_all() && has_no_groups {
            return Some(AlertGroup::AsTold);
        }
        let id = alert.facts.text(shapes::alert::MACHINE_ID);
        let machine = id.and_then(|id| read_lock(&self.directory).ordinal(&id.parse().ok()?));
        let is_visible = |ordinal: u32| self.grouping.sees(self.scope, ordinal);
        if !self.scope.sees_all() && !machine.is_some_and(is_visible) {
            return None;
        }
        let label = machine.and_then(|ordinal| self.grouping.label(ordinal)).map(Arc::as_ref);
        Some(if has_no_groups { AlertGroup::AsTold } else { AlertGroup::Is(label) })
    }
}

fn ordinals_of(pairs: &[(u32, Pair)]) -> impl ExactSizeIterator<Item = u32> {
    pairs.iter().map(|(ordinal, _)| *ordinal)
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

/// The `limit` smallest of those pushed.
struct Smallest<T> {
    kept: BinaryHeap<T>,
    limit: usize,
}

impl<T: Ord> Smallest<T> {
    fn new(limit: usize) -> Smallest<T> {
        Smallest { kept: BinaryHeap::new(), limit }
    }

    fn push(&mut self, one: T) {
        self.kept.push(one);
        if self.kept.len() > self.limit {
            self.kept.pop();
        }
    }

    /// They, ascending.
    fn into_sorted(self) -> Vec<T> {
        self.kept.into_sorted_vec()
    }
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
            let mut smallest = Smallest::new(limit);
            for nth in 0..1_000 {
                smallest.push(Counted::new(nth * 7_919 % 1_000, &alive));
                most.set(most.get().max(alive.get()));
            }
            let found: Vec<u32> = smallest.into_sorted().iter().map(|found| found.0).collect();
            let expected: Vec<u32> = (0..1_000).take(limit).collect();
            assert_eq!(found, expected);
            assert!(most.get() <= limit + 1, "{} for {limit}", most.get());
        }
    }
}
