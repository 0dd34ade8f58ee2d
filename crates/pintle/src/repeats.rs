//! Requests that their senders name by a key, so that they can send one again without knowing what became
//! of it: the same key with the same body is answered as it was. Kept in memory for a day, for each sender
//! by itself; a restart forgets them, and then the body is read again, which changes nothing either.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use pintle_model::{TenantId, Time};
use uuid::Uuid;

/// How long an answer is kept.
const KEPT_FOR: Duration = Duration::from_secs(24 * 3_600);
/// Answers kept of one tenant, and the bytes of their keys and of themselves. Beyond it the oldest go.
const MAX_ANSWERS: usize = 10_000;
const MAX_BYTES: usize = 16 << 20;
/// The longest answer that is kept.
const MAX_ANSWER: usize = 64 << 10;

/// The requests of the last day, by tenant.
#[derive(Default)]
pub struct Repeats(Mutex<HashMap<TenantId, OfTenant>>);

/// A sender, and the key that it gave a request.
type Name = (Uuid, Box<str>);

/// What becomes of a request that has a key.
pub enum Begun {
    /// It is the first, and is told how it ends.
    First(Running),
    /// The first is at work still.
    Running,
    /// It was answered.
    Answered(Answered),
}

/// How a request was answered.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Of what was sent.
    pub hash: [u8; 32],
    /// The body of the answer.
    pub answer: Bytes,
    at: Time,
}

/// A request at work. Dropped, it counts as never made.
pub struct Running {
    repeats: Arc<Repeats>,
    tenant: TenantId,
    name: Option<Name>,
}

#[derive(Default)]
struct OfTenant {
    /// `None`: at work.
    requests: HashMap<Name, Option<Answered>>,
    /// Those that are answered, the oldest first.
    answered: VecDeque<Name>,
    bytes: usize,
}

impl Repeats {
    /// Begins a request with a key, if it is the first.
    pub fn begin(self: &Arc<Repeats>, tenant: TenantId, sender: Uuid, key: &str, now: Time) -> Begun {
        let mut tenants = self.hold();
        let of_tenant = tenants.entry(tenant).or_default();
        of_tenant.expire(now);
        let name: Name = (sender, key.into());
        match of_tenant.requests.entry(name.clone()) {
            Entry::Occupied(known) => known.get().clone().map_or(Begun::Running, Begun::Answered),
            Entry::Vacant(vacant) => {
                vacant.insert(None);
                Begun::First(Running { repeats: Arc::clone(self), tenant, name: Some(name) })
            }
        }
    }

    fn hold(&self) -> MutexGuard<'_, HashMap<TenantId, OfTenant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    /// Keeps how it was answered, unless that is too long.
    pub fn answered(mut self, hash: [u8; 32], answer: Bytes, now: Time) {
        if answer.len() > MAX_ANSWER {
            return;
        }
        let Some(name) = self.name.take() else { return };
        let mut tenants = self.repeats.hold();
        let of_tenant = tenants.entry(self.tenant).or_default();
        of_tenant.bytes += size(&name, &answer);
        of_tenant.requests.insert(name.clone(), Some(Answered { hash, answer, at: now }));
        of_tenant.answered.push_back(name);
        while of_tenant.answered.len() > MAX_ANSWERS || of_tenant.bytes > MAX_BYTES {
            of_tenant.forget_oldest();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(name) = self.name.take() else { return };
        if let Some(of_tenant) = self.repeats.hold().get_mut(&self.tenant) {
            of_tenant.requests.remove(&name);
        }
    }
}

impl OfTenant {
    fn expire(&mut self, now: Time) {
        // One of the future is of a clock that was set back: nobody knows how old it is.
        let is_over = |answered: &Answered| now < answered.at || now >= answered.at + KEPT_FOR;
        while let Some(oldest) = self.answered.front()
            && self.requests.get(oldest).and_then(Option::as_ref).is_none_or(is_over)
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(name) = self.answered.pop_front() else { return };
        if let Some(Some(answered)) = self.requests.remove(&name) {
            self.bytes = self.bytes.saturating_sub(size(&name, &answered.answer));
        }
    }
}

fn size(name: &Name, answer: &Bytes) -> usize {
    // The key stands in two places.
    2 * name.1.len() + answer.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_ticks(17_000_000_000_000_000);
    const TENANT: TenantId = TenantId::from_bytes([1; 16]);

    fn first(repeats: &Arc<Repeats>, sender: u128, key: &str, now: Time) -> Running {
        match repeats.begin(TENANT, Uuid::from_u128(sender), key, now) {
            Begun::First(running) => running,
            _ => panic!("{key} is known"),
        }
    }

    fn is_answered(repeats: &Arc<Repeats>, key: &str, now: Time) -> bool {
        matches!(repeats.begin(TENANT, Uuid::nil(), key, now), Begun::Answered(_))
    }

    #[test]
    fn a_request_is_first_then_at_work_then_answered_for_a_day() {
        let repeats = Arc::new(Repeats::default());
        let running = first(&repeats, 0, "a", NOW);
        assert!(matches!(repeats.begin(TENANT, Uuid::nil(), "a", NOW), Begun::Running));
        // Another sender's, and another tenant's, is another.
        drop(first(&repeats, 1, "a", NOW));
        let other = TenantId::from_bytes([2; 16]);
        assert!(matches!(repeats.begin(other, Uuid::nil(), "a", NOW), Begun::First(_)));
        running.answered([7; 32], Bytes::from_static(b"{}"), NOW);
        let Begun::Answered(answered) = repeats.begin(TENANT, Uuid::nil(), "a", NOW) else { panic!("lost") };
        assert_eq!((answered.hash, &answered.answer[..]), ([7; 32], &b"{}"[..]));
        let day = Duration::from_secs(24 * 3_600);
        assert!(is_answered(&repeats, "a", NOW + day - Duration::from_secs(1)));
        drop(first(&repeats, 0, "a", NOW + day));
        assert_eq!(repeats.hold()[&TENANT].bytes, 0);
    }

    #[test]
    fn one_that_failed_or_was_given_up_is_as_if_it_had_never_been_made() {
        let repeats = Arc::new(Repeats::default());
        drop(first(&repeats, 0, "a", NOW));
        let long = Bytes::from(vec![b' '; MAX_ANSWER + 1]);
        first(&repeats, 0, "a", NOW).answered([0; 32], long, NOW);
        drop(first(&repeats, 0, "a", NOW));
        assert!(repeats.hold()[&TENANT].requests.is_empty());
    }

    #[test]
    fn the_oldest_go_where_there_are_too_many_or_they_are_too_large() {
        let repeats = Arc::new(Repeats::default());
        let answer = Bytes::from(vec![b' '; MAX_ANSWER]);
        for n in 0..MAX_BYTES / MAX_ANSWER {
            first(&repeats, 0, &n.to_string(), NOW).answered([0; 32], answer.clone(), NOW);
        }
        assert!(!is_answered(&repeats, "0", NOW) && is_answered(&repeats, "1", NOW));
        for n in 0..MAX_ANSWERS {
            first(&repeats, 0, &format!("many {n}"), NOW).answered([0; 32], Bytes::new(), NOW);
        }
        let kept = repeats.hold()[&TENANT].answered.len();
        assert!(kept <= MAX_ANSWERS, "{kept}");
        assert!(!is_answered(&repeats, "1", NOW) && is_answered(&repeats, "many 9", NOW));
    }

    #[test]
    fn a_clock_that_was_set_back_makes_them_unknown_and_keeps_none_for_ever() {
        let repeats = Arc::new(Repeats::default());
        first(&repeats, 0, "a", NOW + KEPT_FOR).answered([0; 32], Bytes::new(), NOW + KEPT_FOR);
        drop(first(&repeats, 0, "a", NOW));
    }
}
