//! How often somebody may be wrong. A password that people choose can be guessed, so after some wrong
//! ones for a name each further try must wait, longer every time, whichever way it comes in; secrets
//! made by machines cannot, so nobody who knows a client id can lock its application out, and only the
//! address that is wrong too often waits.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pintle_model::{TenantId, Time};

/// Wrong passwords for one name before the first wait.
const FREE: u32 = 5;
/// The first wait; each further wrong password doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(30);
/// No wait is longer: whoever guesses gets some hundred tries a day, and whoever is locked out by
/// somebody else is so for a quarter of an hour.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// After so long without a try all is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Requests with something wrong from one address, in [`ADDRESS_WINDOW`].
const ADDRESS_FAILURES: u32 = 100;
const ADDRESS_WINDOW: Duration = Duration::from_secs(10 * 60);

/// Names and addresses remembered; beyond, those that failed longest ago are forgotten.
const REMEMBERED: usize = 10_000;

/// Too many wrong ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Locked {
    /// When the next try counts.
    pub until: Time,
}

/// Wrong passwords by name, wrong credentials of any kind by address. In memory: a restart forgets.
#[derive(Default)]
pub struct Lockout {
    names: Mutex<HashMap<(TenantId, String), Tries>>,
    addresses: Mutex<HashMap<IpAddr, Tries>>,
}

#[derive(Clone, Copy)]
struct Tries {
    wrong: u32,
    /// When the wait ends, or the address's window.
    until: Time,
    last: Time,
}

impl Lockout {
    /// Notes a try to sign in with a name, as names are compared, before its password is looked at, so that
    /// many at once are counted like many after another. Fails while the name must wait, which counts nothing.
    pub fn try_name(&self, tenant: TenantId, name: &str, now: Time) -> Result<(), Locked> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let tries = entry(&mut names, (tenant, name.to_owned()), now, FORGOTTEN_AFTER);
        if now < tries.until {
            return Err(Locked { until: tries.until });
        }
        tries.wrong = tries.wrong.saturating_add(1);
        tries.last = now;
        if tries.wrong >= FREE {
            let doubled = FIRST_WAIT.saturating_mul(1 << (tries.wrong - FREE).min(16));
            tries.until = now + doubled.min(LONGEST_WAIT);
        }
        Ok(())
    }

    /// Forgets the wrong passwords of a name: the right one came, or an administrator says so. Returns
    /// whether there were any.
    pub fn forgive(&self, tenant: TenantId, name: &str) -> bool {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.remove(&(tenant, name.to_owned())).is_some()
    }

    /// Until when a name must wait.
    pub fn locked_until(&self, tenant: TenantId, name: &str, now: Time) -> Option<Time> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.get(&(tenant, name.to_owned())).map(|tries| tries.until).filter(|until| now < *until)
    }

    /// Whether an address may ask for a token at all.
    pub fn admit_address(&self, address: IpAddr, now: Time) -> Result<(), Locked> {
        let addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        match addresses.get(&network(address)) {
            Some(tries) if now < tries.until && tries.wrong >= ADDRESS_FAILURES => {
                Err(Locked { until: tries.until })
            }
            _ => Ok(()),
        }
    }

    /// Notes that something from this address was wrong.
    pub fn note_address(&self, address: IpAddr, now: Time) {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let tries = entry(&mut addresses, network(address), now, ADDRESS_WINDOW);
        if now >= tries.until {
            *tries = Tries { wrong: 0, until: now + ADDRESS_WINDOW, last: now };
        }
        tries.wrong = tries.wrong.saturating_add(1);
        tries.last = now;
    }
}

/// Whoever has one IPv6 address has the 2⁶⁴ beside it.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

/// The tries of a key, none if the last is long ago.
fn entry<K: Hash + Eq + Clone>(
    all: &mut HashMap<K, Tries>,
    key: K,
    now: Time,
    forgotten_after: Duration,
) -> &mut Tries {
    if all.len() >= REMEMBERED && !all.contains_key(&key) {
        all.retain(|_, tries| now < tries.last + forgotten_after);
        if all.len() >= REMEMBERED {
            // A quarter at once, so that the next ones are quick.
            let mut last: Vec<Time> = all.values().map(|tries| tries.last).collect();
            let (_, quarter, _) = last.select_nth_unstable(REMEMBERED / 4);
            let quarter = *quarter;
            all.retain(|_, tries| tries.last > quarter);
        }
    }
    let tries = all.entry(key).or_insert(Tries { wrong: 0, until: Time::MIN, last: now });
    if now >= tries.last + forgotten_after {
        *tries = Tries { wrong: 0, until: Time::MIN, last: now };
    }
    tries
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: TenantId = TenantId::from_bytes([1; 16]);
    const NOW: Time = Time::from_ticks(17_000_000_000_000_000);

    fn later(seconds: u64) -> Time {
        NOW + Duration::from_secs(seconds)
    }

    #[test]
    fn waits_grow_for_each_name_and_end_with_the_right_password() {
        let lockout = Lockout::default();
        for _ in 0..5 {
            assert_eq!(lockout.try_name(TENANT, "alice", NOW), Ok(()));
        }
        assert_eq!(lockout.try_name(TENANT, "alice", later(29)), Err(Locked { until: later(30) }));
        assert_eq!(lockout.try_name(TENANT, "alice", later(30)), Ok(()));
        assert_eq!(lockout.try_name(TENANT, "alice", later(31)), Err(Locked { until: later(90) }));
        assert_eq!(lockout.try_name(TENANT, "bob", later(31)), Ok(()));
        assert_eq!(lockout.try_name(TenantId::from_bytes([2; 16]), "alice", later(31)), Ok(()));
        assert!(lockout.forgive(TENANT, "alice"));
        assert_eq!(lockout.try_name(TENANT, "alice", later(31)), Ok(()));
        assert_eq!(lockout.locked_until(TENANT, "alice", later(31)), None);
    }

    #[test]
    fn no_wait_is_longer_than_a_quarter_of_an_hour_and_a_day_forgets() {
        let lockout = Lockout::default();
        let mut now = NOW;
        for _ in 0..40 {
            lockout.try_name(TENANT, "alice", now).unwrap();
            let until = lockout.locked_until(TENANT, "alice", now);
            assert!(until.is_none_or(|until| until <= now + LONGEST_WAIT));
            now = until.unwrap_or(now);
        }
        assert_eq!(lockout.locked_until(TENANT, "alice", now - Duration::from_secs(1)), Some(now));
        let tomorrow = now + FORGOTTEN_AFTER;
        for _ in 0..4 {
            assert_eq!(lockout.try_name(TENANT, "alice", tomorrow), Ok(()));
            assert_eq!(lockout.locked_until(TENANT, "alice", tomorrow), None);
        }
    }

    #[test]
    fn an_address_waits_after_a_hundred_and_so_do_those_beside_it_in_ipv6() {
        let lockout = Lockout::default();
        let v4: IpAddr = "192.0.2.1".parse().unwrap();
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        for _ in 0..100 {
            assert_eq!(lockout.admit_address(v4, NOW), Ok(()));
            lockout.note_address(v4, NOW);
            lockout.note_address(v6, NOW);
        }
        let until = later(600);
        for address in ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::2"] {
            assert_eq!(lockout.admit_address(address.parse().unwrap(), later(599)), Err(Locked { until }));
        }
        for address in ["192.0.2.2", "2001:db8:0:1::1"] {
            assert_eq!(lockout.admit_address(address.parse().unwrap(), NOW), Ok(()));
        }
        assert_eq!(lockout.admit_address(v4, until), Ok(()));
    }

    #[test]
    fn no_more_are_remembered_than_fit_and_the_newest_are() {
        let lockout = Lockout::default();
        for n in 0..3 * REMEMBERED as u64 {
            lockout.try_name(TENANT, &n.to_string(), NOW + Duration::from_millis(n)).unwrap();
        }
        let names = lockout.names.lock().unwrap();
        assert!(names.len() <= REMEMBERED, "{}", names.len());
        assert!(names.contains_key(&(TENANT, (3 * REMEMBERED - 1).to_string())));
    }
}
