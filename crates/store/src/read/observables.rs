//! Domains and IP addresses: where they were seen, and how common they are. What counts is what counts
//! of files: all machines of the tenant, unless the scope narrows that to the visible ones.

use std::net::IpAddr;
use std::time::Duration;

use pintle_model::Time;

use super::{FileQuestion, ordinals_of};
use crate::base::Seen;
use crate::directory::{Directory, MachineList};
use crate::store::Store;
use crate::{Error, FileMachines, Listing, Observable, Scope, Span};

/// How common a domain or an IP address is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prevalence {
    /// Machines on which it was last seen within the time looked back.
    pub machines: usize,
    /// First and last seen on these, also before that time; `None`: on none, or at no plausible time.
    pub seen: Option<Span>,
}

impl FileQuestion<'_> {
    /// What is known of an observable.
    pub(super) fn observable(&self, asked: &Observable) -> Result<Option<Seen>, Error> {
        let seen = self.known.base.observable(self.scope.tenant(), asked)?;
        seen.map_or(Ok(None), |seen| self.counted(seen))
    }

    /// What counts of it; `None`: nothing, so it is unknown.
    pub(super) fn counted(&self, mut seen: Seen) -> Result<Option<Seen>, Error> {
        seen.pairs = self.joins()?.fold(seen.pairs);
        let was_seen = !seen.pairs.is_empty();
        seen.pairs.retain(|(ordinal, pair)| self.cutoffs.keeps_pair(pair) && self.counts(*ordinal));
        let is_unknown = seen.pairs.is_empty() && (was_seen || self.grouping.is_some());
        Ok((!is_unknown).then_some(seen))
    }
}

impl Store {
    /// The machines on which an observable was seen, ascending by id, to be written piece by piece.
    /// `None`: nobody has heard of it. One seen only on machines that the caller may not see is known all
    /// the same, unless the scope narrows statistics ([`Scope::narrowing_statistics`]).
    pub fn list_observable_machines(
        &self,
        scope: &Scope,
        asked: &Observable,
        listing: &Listing<'_>,
    ) -> Result<Option<(MachineList, FileMachines)>, Error> {
        let question = self.ask_of_files(scope)?;
        let Some(seen) = question.observable(asked)? else { return Ok(None) };
        let ordinals = ordinals_of(&seen.pairs).collect();
        self.list_ordinals(&question, ordinals, listing).map(Some)
    }

    /// Whether telemetry names it, as far as that counts for the caller.
    pub(super) fn was_observed(&self, scope: &Scope, asked: &Observable) -> Result<bool, Error> {
        Ok(self.ask_of_files(scope)?.observable(asked)?.is_some())
    }

    /// Those of some machines that the caller may see, within retention.
    pub(super) fn list_ordinals(
        &self,
        question: &FileQuestion<'_>,
        ordinals: Vec<u32>,
        listing: &Listing<'_>,
    ) -> Result<(MachineList, FileMachines), Error> {
        let (directory, then) = (question.known.directory(question.scope.tenant())?, question.then()?);
        let (scope, window) = (question.scope, question.window);
        let all =
            |directory: &Directory, page| directory.some(then, scope, window, ordinals.into_iter(), page);
        let list = MachineList::settled(&directory, Some(then), all, window.now, listing)?;
        let (written, damaged) = (list.left(), self.lacks_some());
        Ok((list, FileMachines { written, damaged, ..FileMachines::default() }))
    }

    /// How common an observable is, looking back so far. `None`: nobody has heard of it.
    pub fn observable_stats(
        &self,
        scope: &Scope,
        asked: &Observable,
        look_back: Duration,
    ) -> Result<Option<Prevalence>, Error> {
        let Some(seen) = self.ask_of_files(scope)?.observable(asked)? else { return Ok(None) };
        let since = self.now() - look_back;
        let spans = || seen.pairs.iter().map(|(_, pair)| pair.any_role);
        let recent = || spans().filter(|span| span.is_some_and(|span| span.last >= since));
        Ok(Some(Prevalence { machines: recent().count(), seen: recent().fold(None, Span::joined) }))
    }

    /// The machines that reported an address as their own so near to a moment, ascending by id, to be
    /// written piece by piece.
    pub fn list_machines_at(
        &self,
        scope: &Scope,
        address: IpAddr,
        at: Time,
        within: Duration,
        listing: &Listing<'_>,
    ) -> Result<(MachineList, FileMachines), Error> {
        let question = self.ask_of_files(scope)?;
        let mut machines = question.known.base.machines_at(scope.tenant(), address.to_canonical())?;
        let oldest = question.cutoffs.sightings();
        machines.retain_mut(|(_, presence)| {
            if let Some(oldest) = oldest {
                presence.forget_before(oldest);
            }
            presence.is_near(at, within)
        });
        let ordinals = machines.into_iter().map(|(ordinal, _)| ordinal).collect();
        self.list_ordinals(&question, ordinals, listing)
    }
}
