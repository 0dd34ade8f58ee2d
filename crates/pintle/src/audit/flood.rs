//! Who is refused may ask again as often as they like, and each refusal would be a line. So of the same
//! refusals of a minute the first hundred are written, and the others are counted.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use pintle_model::Time;

use super::entry::{Actor, Entry, Kind, Outcome};
use crate::auth::lockout::network;

const MINUTE: Duration = Duration::from_secs(60);
/// Refusals of a kind that are written in a minute.
const WRITTEN: u64 = 100;
/// Kinds of refusals that are told apart in a minute. All others are one, so that who has many
/// addresses writes little more than who has one.
const KINDS: usize = 32;

/// Refusals that are the same.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Same {
    kind: Kind,
    address: Option<IpAddr>,
    action: &'static str,
    code: Option<String>,
}

struct Counted {
    since: Time,
    count: u64,
    like: Entry,
}

/// The refusals of the last minute.
#[derive(Default)]
pub(super) struct Flood(HashMap<Same, Counted>);

impl Flood {
    /// The entry, if it is to be written.
    pub(super) fn pass(&mut self, entry: Entry, now: Time) -> Option<Entry> {
        if entry.outcome != Outcome::Refused {
            return Some(entry);
        }
        let code = entry.detail.get("code").and_then(|code| code.as_str()).map(str::to_owned);
        let address = entry.actor.address.map(network);
        let mut same = Same { kind: entry.actor.kind, address, action: entry.action, code };
        if !self.0.contains_key(&same) && self.0.len() >= KINDS {
            (same.address, same.code) = (None, None);
        }
        let counted = self.0.entry(same.clone()).or_insert_with(|| Counted {
            since: now,
            count: 0,
            like: like(&same, &entry),
        });
        counted.count += 1;
        (counted.count <= WRITTEN).then_some(entry)
    }

    /// How many were only counted in minutes that are over, each as an entry like them.
    pub(super) fn ended(&mut self, now: Time) -> Vec<(Entry, u64)> {
        // A clock that was set back ends them too.
        self.take(|counted| now < counted.since || now >= counted.since + MINUTE)
    }

    /// The same with those of the minute that still runs.
    pub(super) fn all(&mut self) -> Vec<(Entry, u64)> {
        self.take(|_| true)
    }

    fn take(&mut self, is_over: impl Fn(&Counted) -> bool) -> Vec<(Entry, u64)> {
        let over = self.0.extract_if(|_, counted| is_over(counted));
        let told = over.map(|(_, counted)| (counted.like, counted.count.saturating_sub(WRITTEN)));
        told.filter(|(_, repeated)| *repeated > 0).collect()
    }
}

/// What refusals that are the same have in common.
fn like(same: &Same, entry: &Entry) -> Entry {
    // Ids and names are those of each, not of all.
    let actor = Actor { id: None, name: None, ..entry.actor.clone() }.from_address(same.address);
    let like = Entry::new(actor, same.action).outcome(Outcome::Refused);
    match &same.code {
        Some(code) => like.with("code", code.as_str()),
        None => like,
    }
}
