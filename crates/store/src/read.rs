//! The questions. Each takes a [`Scope`] and blocks only for reads of the base.

pub(crate) mod alert_list;
mod alerts;
pub(crate) mod look_up;
pub(crate) mod observables;
pub(crate) mod stats;
mod users;

use std::collections::{BTreeSet, BinaryHeap};
use std::sync::{Arc, OnceLock};

use pintle_model::{FileHash, Hashes, MachineId, TenantId, Time};

use crate::base::Files;
use crate::base::value::Arrival;
use crate::directory::{Directory, Grouping, Joins, MachineList, SharedDirectory, Window};
use crate::entity::tags::Tags;
use crate::known::Known;
use crate::lookup::{self, Resolved};
use crate::pair::Pair;
use crate::retention::Cutoffs;
use crate::store::{Store, read_lock};
use crate::{
    BatchInfo, Conflict, Error, FileMachines, Listing, Page, Reject, Scope, Sighting, Span, Totals, render,
};

/// What a hash stands for, and the machines where it was seen, each once, by ordinal.
struct Seen {
    resolved: Resolved,
    /// Ascending by ordinal, that by which a machine is counted.
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
    /// The base at the moment of the question.
    files: Files,
    /// Where the machines are that count; `None`: all count, and files that were seen on none.
    grouping: Option<Grouping>,
    /// Which ordinals are one machine, once that was needed; with a grouping it says so.
    then: OnceLock<Grouping>,
    cutoffs: Cutoffs,
    /// Which machines are named.
    window: Window,
}

impl FileQuestion<'_> {
    /// Which ordinals are one machine, and who sees it: all of the answer is about that moment.
    fn then(&self) -> Result<&Grouping, Error> {
        if let Some(then) = self.grouping.as_ref().or(self.then.get()) {
            return Ok(then);
        }
        let then = self.known.grouping(self.scope.tenant())?;
        Ok(self.then.get_or_init(|| then))
    }

    fn joins(&self) -> Result<&Joins, Error> {
        self.then().map(Grouping::joins)
    }

    /// Whether a machine counts.
    fn counts(&self, ordinal: u32) -> bool {
        self.grouping.as_ref().is_none_or(|grouping| grouping.sees(self.scope, ordinal))
    }

    fn resolve(&self, hash: &FileHash) -> Result<Option<Resolved>, Error> {
        let counts = |ordinal| self.counts(ordinal);
        let counts: Option<&dyn Fn(u32) -> bool> = if self.grouping.is_some() { Some(&counts) } else { None };
        lookup::resolve(self.files.again(), hash, counts)
    }

    /// What a hash stands for and where it was seen, within the retention of sightings.
    fn seen(&self, hash: &FileHash) -> Result<Option<Seen>, Error> {
        let Some(resolved) = self.resolve(hash)? else { return Ok(None) };
        let mut pairs = self.joins()?.fold(resolved.pairs()?);
        let was_seen = !pairs.is_empty();
        pairs.retain(|(ordinal, pair)| self.cutoffs.keeps_pair(pair) && self.counts(*ordinal));
        if was_seen && pairs.is_empty() {
            return Ok(None);
        }
        Ok(Some(Seen { resolved, pairs }))
    }

    /// What a hash stands for and the machines where it was seen, by any of their ordinals, in no order. Times
    /// are read only where they decide.
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
        let files = known.base.files(scope.tenant());
        let (cutoffs, window) = (self.cutoffs(scope), self.machine_window(scope.tenant()));
        Ok(FileQuestion { scope, known, files, grouping, then: OnceLock::new(), cutoffs, window })
    }

    /// The machines within retention with a record of this file, as `{…},{…}`, ascending by id. `None`:
    /// unknown hash. A file seen only on machines that the caller may not see is known all the same, unless
    /// the scope narrows statistics ([`Scope::narrowing_statistics`]).
    pub fn file_machines(
        &self,
        scope: &Scope,
        hash: &FileHash,
        page: Page,
        out: &mut Vec<u8>,
    ) -> Result<Option<FileMachines>, Error> {
        let listing = Listing::of(page);
        let Some((mut machines, found)) = self.list_file_machines(scope, hash, &listing)? else {
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
        listing: &Listing<'_>,
    ) -> Result<Option<(MachineList, FileMachines)>, Error> {
        let question = self.ask_of_files(scope)?;
        let Some((resolved, machines)) = question.seen_on(hash)? else { return Ok(None) };
        let (list, found) = self.list_ordinals(&question, machines, listing)?;
        let (ask_instead, cut_short) = (resolved.ask_instead, resolved.cut_short);
        Ok(Some((list, FileMachines { ask_instead, cut_short, ..found })))
    }

    /// The same with times, for people.
    pub fn file_sightings(
        &self,
        scope: &Scope,
        hash: &FileHash,
    ) -> Result<Option<(Vec<Sighting>, FileMachines)>, Error> {
        let question = self.ask_of_files(scope)?;
        let Some(Seen { resolved, pairs }) = question.seen(hash)? else { return Ok(None) };
        let (directory, then) = (question.known.directory(scope.tenant())?, question.then()?);
        let directory = read_lock(&directory);
        let sighting = |ordinal: u32| {
            let place = pairs.binary_search_by_key(&ordinal, |(ordinal, _)| *ordinal).ok()?;
            let (machine, (_, pair)) = (directory.get_as(then, ordinal)?, pairs.get(place)?);
            Some(Sighting {
                machine: machine.id.clone(),
                name: machine.name.clone(),
                as_target: pair.as_target,
                any_role: pair.any_role,
            })
        };
        let ordinals = directory.some(then, scope, question.window, ordinals_of(&pairs), Page::ALL);
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

    /// What has not expired now.
    fn cutoffs(&self, scope: &Scope) -> Cutoffs {
        Cutoffs::at(self.now(), self.retention(scope.tenant()))
    }

    /// A machine by id, else by name without regard to case: the members of one `machine` object.
    pub fn machine(&self, scope: &Scope, id_or_name: &str) -> Result<Option<String>, Error> {
        let window = self.machine_window(scope.tenant());
        let directory = self.directory(scope)?;
        let machine =
            read_lock(&directory).find(scope, window, id_or_name).map(|machine| machine.members(window.now));
        Ok(machine)
    }

    /// All ids of a machine as they are kept, by one of them alone.
    pub(crate) fn ids_of_machine(
        &self,
        scope: &Scope,
        id: &MachineId,
    ) -> Result<Option<Vec<MachineId>>, Error> {
        let window = self.machine_window(scope.tenant());
        let directory = self.directory(scope)?;
        let directory = read_lock(&directory);
        let machine = directory.find_by_id(scope, window, id.as_str());
        Ok(machine.and_then(|machine| Some(directory.ids(directory.ordinal(&machine.id)?))))
    }

    /// A machine's tags, by id or by name.
    pub(crate) fn tagged(&self, scope: &Scope, id_or_name: &str) -> Result<Option<Tagged>, Error> {
        let window = self.machine_window(scope.tenant());
        let directory = self.directory(scope)?;
        let directory = read_lock(&directory);
        let Some(machine) = directory.find(scope, window, id_or_name) else { return Ok(None) };
        let Some(ordinal) = directory.ordinal(&machine.id) else { return Ok(None) };
        let members = directory.ids(ordinal).into_iter().filter_map(|id| {
            let member = directory.own(directory.ordinal(&id)?)?;
            Some((id, member.entity().tags()))
        });
        let has = machine.entity().tags().shown();
        Ok(Some(Tagged { id: machine.id.clone(), has, members: members.collect() }))
    }

    /// Machines, ascending by id, as `{…},{…}`. Returns how many were written.
    pub fn machines(&self, scope: &Scope, page: Page, out: &mut Vec<u8>) -> Result<usize, Error> {
        let mut machines = self.list_machines(scope, &Listing::of(page))?;
        let written = machines.left();
        machines.write(out);
        Ok(written)
    }

    /// The machines within retention that the caller may see, to be written piece by piece.
    pub fn list_machines(&self, scope: &Scope, listing: &Listing<'_>) -> Result<MachineList, Error> {
        let window = self.machine_window(scope.tenant());
        let directory = self.directory(scope)?;
        let all = |directory: &Directory, page| directory.all(scope, window, page);
        MachineList::settled(&directory, None, all, window.now, listing)
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

fn ordinals_of(pairs: &[(u32, Pair)]) -> impl ExactSizeIterator<Item = u32> {
    pairs.iter().map(|(ordinal, _)| *ordinal)
}

/// A machine and its tags.
pub(crate) struct Tagged {
    /// The id by which it goes.
    pub(crate) id: MachineId,
    /// The tags that it shows.
    pub(crate) has: BTreeSet<String>,
    /// Its ids, each with the tags that it has there.
    pub(crate) members: Vec<(MachineId, Tags)>,
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
