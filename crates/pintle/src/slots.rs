//! Whose large requests are at work now. Each body that is read holds a batch in memory, so only a few
//! are; of these one tenant has half, so that it cannot keep the others waiting.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pintle_model::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// Bodies that are read at once.
const ALL: usize = 4;

/// The places there are.
pub struct Slots {
    all: Arc<Semaphore>,
    /// How many one tenant has.
    of_one: usize,
    /// How many of one tenant may wait.
    most_waiting: usize,
    /// By tenant of a token, so there are no more than are registered.
    tenants: Mutex<HashMap<TenantId, OfTenant>>,
}

/// What one tenant has.
#[derive(Clone)]
struct OfTenant {
    places: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

/// A place for one body; dropping it makes it free.
pub struct Slot {
    _of_tenant: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Default for Slots {
    fn default() -> Slots {
        Slots::of(ALL)
    }
}

impl Slots {
    /// So many, of which one tenant has half.
    pub fn of(all: usize) -> Slots {
        Slots {
            all: Arc::new(Semaphore::new(all)),
            of_one: all.div_ceil(2),
            most_waiting: Semaphore::MAX_PERMITS,
            tenants: Mutex::default(),
        }
    }

    /// The same where no more than so many of a tenant wait: whoever came after those would be answered when
    /// nobody waits for it any more, and be worked for all the same.
    pub fn with_queue(self, most_waiting: usize) -> Slots {
        Slots { most_waiting, ..self }
    }

    /// Waits for a place in turn; `None` when there was none in that time, and at once where too many wait.
    pub async fn wait(&self, tenant: TenantId, patience: Duration) -> Option<Slot> {
        let of_tenant = {
            let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || OfTenant {
                places: Arc::new(Semaphore::new(self.of_one)),
                waiting: Arc::new(Semaphore::new(self.most_waiting)),
            };
            tenants.entry(tenant).or_insert_with(new).clone()
        };
        let _waits = of_tenant.waiting.try_acquire_owned().ok()?;
        let both = async {
            // The tenant's first: who waits for that takes no place from others.
            let _of_tenant = of_tenant.places.acquire_owned().await.ok()?;
            let _of_all = Arc::clone(&self.all).acquire_owned().await.ok()?;
            Some(Slot { _of_tenant, _of_all })
        };
        tokio::time::timeout(patience, both).await.ok().flatten()
    }
}

/// How many requests each sender has under way, waiting or at work.
#[derive(Default)]
pub struct Queue(Arc<Mutex<HashMap<Uuid, usize>>>);

/// One of them; dropping it makes room for another.
pub struct Queued {
    queue: Queue,
    sender: Uuid,
}

impl Queue {
    /// Of one sender.
    pub const MOST: usize = 128;

    /// Adds one of a sender; `None` where it has too many.
    pub fn enter(&self, sender: Uuid) -> Option<Queued> {
        let mut senders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let under_way = senders.entry(sender).or_default();
        if *under_way >= Queue::MOST {
            return None;
        }
        *under_way += 1;
        Some(Queued { queue: Queue(Arc::clone(&self.0)), sender })
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        let mut senders = self.queue.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(under_way) = senders.get_mut(&self.sender) {
            *under_way = under_way.saturating_sub(1);
            if *under_way == 0 {
                senders.remove(&self.sender);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_has_so_many_under_way_and_no_more_and_one_without_is_forgotten() {
        let queue = Queue::default();
        let [one, other] = [1, 2].map(Uuid::from_u128);
        let mut queued: Vec<Queued> = (0..Queue::MOST).map(|_| queue.enter(one).unwrap()).collect();
        assert!(queue.enter(one).is_none());
        assert!(queue.enter(other).is_some());
        queued.pop();
        queued.push(queue.enter(one).unwrap());
        drop(queued);
        assert!(queue.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn who_comes_to_a_long_queue_is_told_at_once_and_others_are_not() {
        let slots = Slots::of(2).with_queue(1);
        let (long, soon) = (Duration::from_secs(60), Duration::from_millis(50));
        let [one, other] = [1, 2].map(|n| TenantId::from_bytes([n; 16]));
        let held = slots.wait(one, long).await.unwrap();
        let late = async {
            // The other one waits by now.
            tokio::task::yield_now().await;
            let began = std::time::Instant::now();
            assert!(slots.wait(one, long).await.is_none());
            assert!(began.elapsed() < long / 2);
            assert!(slots.wait(other, soon).await.is_some());
            drop(held);
        };
        let (waited, ()) = tokio::join!(slots.wait(one, long), late);
        assert!(waited.is_some());
        drop(waited);
        assert!(slots.wait(one, soon).await.is_some());
    }

    #[tokio::test]
    async fn a_tenant_that_holds_its_places_keeps_no_other_waiting_and_waits_no_longer_than_told() {
        let slots = Slots::default();
        let soon = Duration::from_millis(50);
        let [one, other] = [1, 2].map(|n| TenantId::from_bytes([n; 16]));
        let held = [slots.wait(one, soon).await.unwrap(), slots.wait(one, soon).await.unwrap()];
        assert!(slots.wait(one, soon).await.is_none());
        slots.wait(other, soon).await.unwrap();
        drop(held);
        slots.wait(one, soon).await.unwrap();
    }
}
