//! Verified tokens, so that a client that calls often is verified once. What a token's holder may do
//! *now* is no part of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Tokens remembered at most, twice over.
const CACHED: usize = 10_000;

/// The SHA-256 of a token.
pub(super) type Digest = [u8; 32];

/// What verified tokens said, by their SHA-256. Two generations: when the young one is full it becomes
/// the old one, so memory is bounded and what is in use is rarely verified again.
pub(super) struct Cache<V>(Mutex<Generations<V>>);

struct Generations<V> {
    young: HashMap<Digest, Arc<V>>,
    old: HashMap<Digest, Arc<V>>,
}

impl<V> Default for Cache<V> {
    fn default() -> Cache<V> {
        Cache(Mutex::new(Generations { young: HashMap::new(), old: HashMap::new() }))
    }
}

impl<V> Cache<V> {
    /// What the token of that digest said.
    pub fn get(&self, key: &Digest) -> Option<Arc<V>> {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(verified) = generations.young.get(key) {
            return Some(Arc::clone(verified));
        }
        let verified = generations.old.remove(key)?;
        generations.insert(*key, Arc::clone(&verified));
        Some(verified)
    }

    /// Remembers what it said.
    pub fn put(&self, key: Digest, verified: Arc<V>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, verified);
    }
}

impl<V> Generations<V> {
    fn insert(&mut self, key: Digest, verified: Arc<V>) {
        if self.young.len() >= CACHED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, verified);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest as _, Sha256};

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_in_use() {
        let cache = Cache::default();
        let verified = Arc::new(());
        let key = |n: usize| -> Digest { Sha256::digest(n.to_le_bytes()).into() };
        for n in 0..5 * CACHED {
            cache.put(key(n), Arc::clone(&verified));
            assert!(cache.get(&key(0)).is_some(), "{n}");
        }
        let generations = cache.0.lock().unwrap();
        assert!(generations.young.len() + generations.old.len() <= 2 * CACHED);
        assert!(!generations.young.contains_key(&key(1)) && !generations.old.contains_key(&key(1)));
    }
}
