//! What a tenant's telemetry covers: from when to when there are events, and where they came from. Kept in
//! memory and in the base's manifest as batches are applied, so that every answer can say it.

use std::collections::BTreeSet;
use std::sync::Arc;

use pintle_model::TenantId;
use serde::{Deserialize, Serialize};

use crate::{Scope, Span, Store};

/// See the module. It tells what came in, also of what has expired since or is hidden from somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// The earliest and the latest event on a machine, of plausible time; `None`: there is none.
    pub events: Option<Span>,
    /// The names of the sources, ascending; of more than [`Coverage::MAX_SOURCES`] the smallest.
    pub sources: BTreeSet<String>,
    /// Whether there are more sources.
    pub has_more_sources: bool,
}

impl Coverage {
    /// The most sources that are kept.
    pub const MAX_SOURCES: usize = 256;

    /// Takes in that a batch came from a source.
    pub(crate) fn note_source(self: &mut Arc<Coverage>, source: &str) {
        let beyond = self.sources.len() >= Coverage::MAX_SOURCES
            && self.sources.last().is_some_and(|last| source > last.as_str());
        if self.sources.contains(source) || (beyond && self.has_more_sources) {
            return;
        }
        let coverage = Arc::make_mut(self);
        coverage.sources.insert(source.to_owned());
        while coverage.sources.len() > Coverage::MAX_SOURCES {
            coverage.sources.pop_last();
            coverage.has_more_sources = true;
        }
    }

    /// Takes in that there were events on a machine.
    pub(crate) fn note_events(self: &mut Arc<Coverage>, events: Option<Span>) {
        let joined = Span::joined(self.events, events);
        if joined != self.events {
            Arc::make_mut(self).events = joined;
        }
    }
}

/// How a shared one is written to the disk.
pub(crate) mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Coverage;

    pub(crate) fn serialize<S: Serializer>(coverage: &Arc<Coverage>, to: S) -> Result<S::Ok, S::Error> {
        coverage.as_ref().serialize(to)
    }

    pub(crate) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Arc<Coverage>, D::Error> {
        Coverage::deserialize(from).map(Arc::new)
    }
}

impl Store {
    /// What the telemetry of the scope's tenant covers. `None`: the answers to this caller follow from
    /// visible machines alone, of which this is not kept ([`Scope::narrowing_statistics`]).
    pub fn coverage(&self, scope: &Scope) -> Option<Arc<Coverage>> {
        (!scope.hides_files()).then(|| self.coverage_of(scope.tenant()))
    }

    fn coverage_of(&self, tenant: TenantId) -> Arc<Coverage> {
        self.known().base.coverage(tenant)
    }
}

#[cfg(test)]
mod tests {
    use pintle_model::Time;

    use super::*;

    #[test]
    fn of_too_many_sources_the_smallest_are_kept_in_whatever_order_and_how_often_they_come() {
        let names: Vec<String> = (0..Coverage::MAX_SOURCES + 3).map(|n| format!("source {n:04}")).collect();
        let noted = |order: &mut dyn Iterator<Item = &String>| {
            let mut coverage = Arc::new(Coverage::default());
            order.for_each(|name| coverage.note_source(name));
            coverage
        };
        let forwards = noted(&mut names.iter());
        assert_eq!(forwards, noted(&mut names.iter().rev()));
        assert_eq!(forwards, noted(&mut names.iter().chain(&names).rev()));
        assert_eq!(
            forwards.sources.iter().collect::<Vec<_>>(),
            names[..Coverage::MAX_SOURCES].iter().collect::<Vec<_>>()
        );
        assert!(forwards.has_more_sources);
        let all = noted(&mut names[..Coverage::MAX_SOURCES].iter().chain(&names[..5]));
        assert!(all.sources.len() == Coverage::MAX_SOURCES && !all.has_more_sources);
    }

    #[test]
    fn what_changes_nothing_makes_no_other() {
        let span = |first, last| Some(Span { first: Time::from_ticks(first), last: Time::from_ticks(last) });
        let mut coverage = Arc::new(Coverage::default());
        coverage.note_events(span(3, 5));
        coverage.note_source("a");
        let before = Arc::clone(&coverage);
        coverage.note_events(span(4, 5));
        coverage.note_events(None);
        coverage.note_source("a");
        assert!(Arc::ptr_eq(&before, &coverage));
        coverage.note_events(span(1, 4));
        assert_eq!(coverage.events, span(1, 5));
    }
}
