//! Who is let in: so many connections in all and so many of one address. Where there is no room, a
//! connection whose client is waited for gives way to one that comes, so that nobody keeps others
//! out by doing nothing, or next to nothing, for as long as the timeouts allow.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::accept::Policy;
use super::connection::Activity;
use crate::metrics::Refusal;

/// Whoever was waited for no longer than this is left alone: it has just come, or is at it.
const GRACE: Duration = Duration::from_millis(100);
/// How many give way at once, as a part of all: the next newcomers need not look for them again.
const PART: usize = 16;
/// How often it is looked again where all are at work.
const AGAIN: Duration = Duration::from_millis(50);

/// What all listeners of one server share.
pub(super) struct Gate {
    pub(super) policy: Policy,
    pub(super) drain: CancellationToken,
    places: Arc<Semaphore>,
    guests: Mutex<Guests>,
}

#[derive(Default)]
struct Guests {
    /// By number. Who gives way is not among them any more.
    all: HashMap<u64, Entry>,
    per_address: HashMap<IpAddr, usize>,
    /// Who was told to give way and still has its place.
    leaving: usize,
    next: u64,
}

struct Entry {
    /// `None` for those that are not counted: proxies, which bring many clients, and Unix sockets.
    address: Option<IpAddr>,
    activity: Arc<Activity>,
    leave: CancellationToken,
}

/// A place among all connections.
pub(super) struct Place(#[expect(dead_code, reason = "it is held, not used")] OwnedSemaphorePermit);

impl Gate {
    pub(super) fn new(policy: Policy, drain: CancellationToken) -> Gate {
        let places = policy.limits.max_connections.get().min(Semaphore::MAX_PERMITS);
        Gate { policy, drain, places: Arc::new(Semaphore::new(places)), guests: Mutex::default() }
    }

    fn guests(&self) -> MutexGuard<'_, Guests> {
        // Maps and a number, each whole after every statement.
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place, which others make if they can. `None` when the server ends.
    pub(super) async fn place(&self) -> Option<Place> {
        loop {
            let free = Arc::clone(&self.places).try_acquire_owned();
            if let Ok(permit) = free {
                return Some(Place(permit));
            }
            self.make_room();
            let freed = tokio::time::timeout(AGAIN, Arc::clone(&self.places).acquire_owned()).await;
            if let Ok(freed) = freed {
                return freed.ok().map(Place);
            }
        }
    }

    /// Those who were waited for the longest give way, of addresses that have about as many connections as any:
    /// who has few is not to suffer for who has many.
    fn make_room(&self) {
        let mut guests = self.guests();
        let now = Instant::now();
        let most = guests.per_address.values().copied().max().unwrap_or_default();
        let share = |entry: &Entry| guests.per_address.get(&entry.address?).copied();
        let waiting = guests.all.iter().filter_map(|(number, entry)| {
            // Of proxies nobody knows how many clients there are behind each.
            let is_counted = entry.address.is_some();
            let has_many = share(entry).is_none_or(|count| count * 2 > most);
            has_many.then_some((!is_counted, entry.waits_since(now)?, *number))
        });
        let mut waiting: Vec<_> = waiting.collect();
        waiting.sort_unstable();
        let so_many = (self.policy.limits.max_connections.get() / PART).max(1);
        // A busy server takes a while to end them, which is no reason to end ever more.
        let so_many = so_many.saturating_sub(guests.leaving);
        for (.., number) in waiting.into_iter().take(so_many) {
            self.displace(&mut guests, number);
        }
    }

    fn displace(&self, guests: &mut Guests, number: u64) {
        if let Some(entry) = guests.remove(number) {
            entry.leave.cancel();
            guests.leaving += 1;
            self.policy.metrics.connection_displaced();
        }
    }

    /// What a connection counts as; `None` if it does not.
    fn counted_as(&self, peer: Option<SocketAddr>) -> Option<IpAddr> {
        let ip = peer?.ip().to_canonical();
        let is_trusted = self.policy.trusted_proxies.iter().any(|network| network.contains(ip));
        (!is_trusted).then(|| subscriber(ip))
    }
}

impl Guests {
    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.all.remove(&number)?;
        if let Some(address) = entry.address
            && let Some(count) = self.per_address.get_mut(&address)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.per_address.remove(&address);
            }
        }
        Some(entry)
    }

    /// Who of an address was waited for the longest.
    fn longest_waiting(&self, address: IpAddr) -> Option<u64> {
        let now = Instant::now();
        let of_address = self.all.iter().filter(|(_, entry)| entry.address == Some(address));
        let waiting = of_address.filter_map(|(number, entry)| Some((entry.waits_since(now)?, *number)));
        waiting.min().map(|(_, number)| number)
    }
}

impl Entry {
    /// Since when its client is waited for, if it is for long enough to give way.
    fn waits_since(&self, now: Instant) -> Option<Instant> {
        self.activity.waits_since().filter(|since| now.duration_since(*since) >= GRACE)
    }
}

/// A connection that was let in. Its place is free again when it is dropped.
pub(super) struct Guest {
    pub(super) gate: Arc<Gate>,
    pub(super) activity: Arc<Activity>,
    /// Cancelled when it gives way.
    pub(super) leave: CancellationToken,
    number: u64,
    _place: Place,
}

impl Guest {
    /// Lets a connection in. One of an address that has as many as it may have takes the place of another
    /// of that address, or is refused where all of these are at work.
    pub(super) fn admit(gate: &Arc<Gate>, peer: Option<SocketAddr>, place: Place) -> Option<Guest> {
        let address = gate.counted_as(peer);
        let (activity, leave) = (Arc::new(Activity::new()), CancellationToken::new());
        let mut guests = gate.guests();
        if let Some(address) = address {
            let most = gate.policy.limits.max_connections_per_address.get();
            if guests.per_address.get(&address).is_some_and(|count| *count >= most) {
                let Some(other) = guests.longest_waiting(address) else {
                    gate.policy.metrics.connection_refused(Refusal::Address);
                    return None;
                };
                gate.displace(&mut guests, other);
            }
            *guests.per_address.entry(address).or_default() += 1;
        }
        let number = guests.next;
        guests.next += 1;
        guests.all.insert(number, Entry { address, activity: Arc::clone(&activity), leave: leave.clone() });
        drop(guests);
        gate.policy.metrics.connection_opened();
        Some(Guest { gate: Arc::clone(gate), activity, leave, number, _place: place })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut guests = self.gate.guests();
        if guests.remove(self.number).is_none() {
            guests.leaving = guests.leaving.saturating_sub(1);
        }
        drop(guests);
        self.gate.policy.metrics.connection_closed();
    }
}

/// What counts as one address: of IPv6 the /64, since that is what one subscriber has at least.
fn subscriber(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}
