//! How often an application may call an endpoint: 100 times in any minute and 1,500 times in any
//! hour, unless configured otherwise. Both windows slide and are exact, because the time of every
//! counted call is kept: at most one hour's worth, so a bucket never holds more than the hourly
//! limit. What a refusal looks like is left to `http::quota`.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pintle_model::{TenantId, Time};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::private_file;

/// The shorter window.
pub const MINUTE: Duration = Duration::from_secs(60);
/// The longer window.
pub const HOUR: Duration = Duration::from_secs(3_600);

/// The most calls a limit can name: it bounds a bucket to 8 MB.
pub const MAX_LIMIT: u32 = 1_000_000;

/// Calls allowed in any minute and in any hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Calls in any 60 seconds.
    pub per_minute: u32,
    /// Calls in any 3,600 seconds.
    pub per_hour: u32,
}

impl Limits {
    /// What the API documents for its core endpoints.
    pub const DOCUMENTED: Limits = Limits { per_minute: 100, per_hour: 1_500 };
}

/// What is counted together. `/api` and `/api/v1.0` forms of an endpoint are one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bucket {
    /// The tenant of the token.
    pub tenant: TenantId,
    /// The application of the token.
    pub application: Uuid,
    /// The endpoint's id, such as `files.machines`.
    pub endpoint: String,
}

/// What one window still allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Calls allowed in the window.
    pub limit: u32,
    /// Calls still allowed now.
    pub remaining: u32,
    /// Seconds until one more is allowed again, rounded up; 0 when none was counted.
    pub reset: u64,
}

/// What a counted call leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// In the last minute.
    pub minute: Left,
    /// In the last hour.
    pub hour: Left,
}

/// A call over the quota. It was not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// What is left of both windows.
    pub allowance: Allowance,
    /// The limit that was hit.
    pub limit: u32,
    /// Its window.
    pub window: Duration,
    /// Seconds, at least 1, after which a call is allowed again.
    pub retry_after: u64,
}

/// When the counted calls of the last hour were made, in milliseconds since 1970, ascending.
type Calls = VecDeque<i64>;

#[derive(Default)]
struct Counted {
    buckets: HashMap<Bucket, Calls>,
    /// Whether a call was counted since the last save.
    changed: bool,
}

/// All buckets of a server.
pub struct Quotas {
    path: PathBuf,
    counted: Mutex<Counted>,
}

impl Quotas {
    /// Opens the folder's `quota.json` and goes on counting where it ends. A file that cannot be
    /// read is reported by the caller and forgotten: an hour later it would mean nothing anyway.
    pub fn open(folder: &Path) -> (Quotas, Option<io::Error>) {
        let path = folder.join("quota.json");
        let (buckets, problem) = match load(&path) {
            Ok(buckets) => (buckets, None),
            Err(error) => (HashMap::new(), Some(error)),
        };
        (Quotas { path, counted: Mutex::new(Counted { buckets, changed: false }) }, problem)
    }

    /// Counts a call, unless it is one too many.
    pub fn count(&self, bucket: Bucket, limits: Limits, now: Time) -> Result<Allowance, Exceeded> {
        let mut counted = self.counted();
        let calls = counted.buckets.entry(bucket).or_default();
        let now = now.ticks() / 10_000;
        forget(calls, now);
        // The clock may be set back a little; calls stay in order all the same.
        let now = now.max(calls.back().copied().unwrap_or(i64::MIN));
        let exceeded = [(limits.per_minute, MINUTE), (limits.per_hour, HOUR)]
            .into_iter()
            .filter_map(|(limit, window)| Some((limit, window, wait(calls, limit, window, now)?)))
            // A call must wait for the window that takes longer.
            .max_by_key(|(_, _, wait)| *wait);
        if let Some((limit, window, wait)) = exceeded {
            return Err(Exceeded {
                allowance: allowance(calls, limits, now),
                limit,
                window,
                retry_after: wait,
            });
        }
        calls.push_back(now);
        let allowance = allowance(calls, limits, now);
        counted.changed = true;
        Ok(allowance)
    }

    /// Writes what was counted, if anything was since the last time. A crash forgets what came
    /// after the last save.
    pub fn save(&self, now: Time) -> io::Result<()> {
        let now = now.ticks() / 10_000;
        let saved = {
            let mut counted = self.counted();
            if !counted.changed {
                return Ok(());
            }
            counted.changed = false;
            counted.buckets.retain(|_, calls| {
                forget(calls, now);
                !calls.is_empty()
            });
            Saved { buckets: counted.buckets.iter().map(SavedBucket::new).collect() }
        };
        let written = serde_json::to_vec(&saved)
            .map_err(io::Error::from)
            .and_then(|bytes| private_file::replace(&self.path, &bytes));
        if written.is_err() {
            self.counted().changed = true;
        }
        written
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops the calls that no window holds any more, and those of a clock that was ahead by more than
/// a window: it was wrong then, and to wait for its time could take years.
fn forget(calls: &mut Calls, now: i64) {
    calls.truncate(calls.partition_point(|call| *call <= now + millis(HOUR)));
    let old = calls.partition_point(|call| *call <= now - millis(HOUR));
    calls.drain(..old);
    if calls.len() * 4 < calls.capacity() {
        calls.shrink_to(calls.len() * 2);
    }
}

/// How many calls lie in the window that ends now.
fn within(calls: &Calls, window: Duration, now: i64) -> usize {
    calls.len() - calls.partition_point(|call| *call <= now - millis(window))
}

/// Seconds until the window has room for one more call; `None` if it has now.
fn wait(calls: &Calls, limit: u32, window: Duration, now: i64) -> Option<u64> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if within(calls, window, now) < limit {
        return None;
    }
    // The window has room once the call that is `limit` calls back has left it.
    let blocking = calls.len().checked_sub(limit).and_then(|place| calls.get(place)).copied();
    Some(seconds_until(blocking.unwrap_or(now) + millis(window), now))
}

fn allowance(calls: &Calls, limits: Limits, now: i64) -> Allowance {
    let left = |limit: u32, window: Duration| {
        let used = within(calls, window, now);
        let oldest = calls.len().checked_sub(used).and_then(|place| calls.get(place));
        Left {
            limit,
            remaining: limit.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX)),
            reset: oldest.map_or(0, |oldest| seconds_until(oldest + millis(window), now)),
        }
    };
    Allowance { minute: left(limits.per_minute, MINUTE), hour: left(limits.per_hour, HOUR) }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn seconds_until(then: i64, now: i64) -> u64 {
    u64::try_from(then.saturating_sub(now)).unwrap_or(0).div_ceil(1_000).max(1)
}

#[derive(Serialize, Deserialize)]
struct Saved {
    buckets: Vec<SavedBucket>,
}

#[derive(Serialize, Deserialize)]
struct SavedBucket {
    #[serde(flatten)]
    bucket: Bucket,
    /// Milliseconds since 1970.
    first: i64,
    /// Milliseconds from call to call: small numbers make a small file.
    then: Vec<i64>,
}

impl SavedBucket {
    fn new((bucket, calls): (&Bucket, &Calls)) -> SavedBucket {
        SavedBucket {
            bucket: bucket.clone(),
            first: calls.front().copied().unwrap_or_default(),
            then: calls.iter().zip(calls.iter().skip(1)).map(|(call, next)| next - call).collect(),
        }
    }

    fn calls(&self) -> Calls {
        let mut call = self.first;
        let rest = self.then.iter().map(|step| {
            call = call.saturating_add((*step).max(0));
            call
        });
        std::iter::once(self.first).chain(rest).collect()
    }
}

fn load(path: &Path) -> io::Result<HashMap<Bucket, Calls>> {
    let Some(bytes) = private_file::read(path)? else {
        return Ok(HashMap::new());
    };
    let saved: Saved = serde_json::from_slice(&bytes)?;
    Ok(saved.buckets.into_iter().map(|saved| (saved.bucket.clone(), saved.calls())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn at(millis: i64) -> Time {
        Time::from_unix_millis(1_700_000_000_000 + millis)
    }

    fn bucket(endpoint: &str) -> Bucket {
        Bucket {
            tenant: TenantId::from_bytes([7; 16]),
            application: Uuid::from_u128(9),
            endpoint: endpoint.to_owned(),
        }
    }

    fn quotas() -> (tempfile::TempDir, Quotas) {
        let folder = tempfile::tempdir().unwrap();
        let (quotas, problem) = Quotas::open(folder.path());
        assert!(problem.is_none());
        (folder, quotas)
    }

    const FEW: Limits = Limits { per_minute: 3, per_hour: 5 };

    #[test]
    fn both_windows_slide_to_the_millisecond() {
        let (_folder, quotas) = quotas();
        let call = |millis| quotas.count(bucket("files.machines"), FEW, at(millis));
        for millis in [0, 10_000, 20_000] {
            call(millis).unwrap();
        }
        let minute = call(59_999).unwrap_err();
        assert_eq!((minute.limit, minute.window.as_secs(), minute.retry_after), (3, 60, 1));
        assert_eq!(call(30_500).unwrap_err().retry_after, 30, "a clock set back counts as no time");
        // The first call leaves the minute after exactly 60 seconds, not earlier.
        assert_eq!(call(60_000).unwrap().minute.remaining, 0);
        call(70_000).unwrap();
        // Five in the hour: the minute has room at 3 min, the hour only when the first call leaves.
        let hour = call(180_000).unwrap_err();
        assert_eq!((hour.limit, hour.window.as_secs(), hour.retry_after), (5, 3_600, 3_420));
        assert_eq!(hour.allowance.minute.remaining, 3);
        assert_eq!(hour.allowance.hour.remaining, 0);
        call(3_599_999).unwrap_err();
        call(3_600_000).unwrap();
        call(3_600_001).unwrap_err();
    }

    #[test]
    fn a_clock_that_was_years_ahead_does_not_keep_callers_out_also_after_a_restart() {
        const YEAR: i64 = 365 * 24 * 3_600_000;
        let (folder, quotas) = quotas();
        quotas.count(bucket("a"), FEW, at(0)).unwrap();
        for millis in 0..3 {
            quotas.count(bucket("a"), FEW, at(YEAR + millis)).unwrap();
        }
        quotas.count(bucket("a"), FEW, at(YEAR + 3)).unwrap_err();
        quotas.save(at(YEAR + 3)).unwrap();
        let (restarted, _) = Quotas::open(folder.path());
        for quotas in [quotas, restarted] {
            for millis in 0..3 {
                quotas.count(bucket("a"), FEW, at(1_000 + millis)).unwrap();
            }
            assert_eq!(quotas.count(bucket("a"), FEW, at(2_000)).unwrap_err().retry_after, 59);
        }
    }

    #[test]
    fn refused_calls_do_not_count() {
        let (_folder, quotas) = quotas();
        for millis in 0..3 {
            quotas.count(bucket("a"), FEW, at(millis)).unwrap();
        }
        for millis in 3..1_000 {
            quotas.count(bucket("a"), FEW, at(millis)).unwrap_err();
        }
        quotas.count(bucket("a"), FEW, at(60_000)).unwrap();
    }

    #[test]
    fn endpoints_applications_and_tenants_have_their_own_buckets() {
        let (_folder, quotas) = quotas();
        let one = Limits { per_minute: 1, per_hour: 1 };
        let mut others = [
            bucket("files.machines"),
            bucket("alerts.files"),
            bucket("files.machines"),
            bucket("files.machines"),
        ];
        others[2].application = Uuid::from_u128(10);
        others[3].tenant = TenantId::from_bytes([8; 16]);
        for bucket in &others {
            quotas.count(bucket.clone(), one, at(0)).unwrap();
        }
        for bucket in others {
            quotas.count(bucket, one, at(1)).unwrap_err();
        }
    }

    #[test]
    fn exact_under_concurrency_in_both_windows() {
        let (_folder, quotas) = quotas();
        // 16 callers, two minutes of time: 100 calls get through in the first minute, 100 in the
        // second, and the rest of the hour's limit later.
        let limits = Limits { per_minute: 100, per_hour: 250 };
        for (minute, expected) in [(0, 100), (1, 100), (2, 50), (3, 0)] {
            let let_through = AtomicU32::new(0);
            std::thread::scope(|scope| {
                for _ in 0..16 {
                    scope.spawn(|| {
                        for _ in 0..50 {
                            if quotas.count(bucket("a"), limits, at(minute * 60_000)).is_ok() {
                                let_through.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    });
                }
            });
            assert_eq!(let_through.into_inner(), expected, "minute {minute}");
        }
    }

    #[test]
    fn counts_survive_a_restart_and_old_buckets_are_forgotten() {
        let (folder, quotas) = quotas();
        for millis in [0, 5, 1_000] {
            quotas.count(bucket("a"), FEW, at(millis)).unwrap();
        }
        quotas.count(bucket("b"), FEW, at(0)).unwrap();
        quotas.save(at(1_000)).unwrap();

        let (quotas, problem) = Quotas::open(folder.path());
        assert!(problem.is_none());
        assert_eq!(quotas.count(bucket("a"), FEW, at(1_001)).unwrap_err().retry_after, 59);
        quotas.count(bucket("a"), FEW, at(60_005)).unwrap();
        quotas.count(bucket("a"), FEW, at(3_700_000)).unwrap();
        quotas.save(at(3_700_000)).unwrap();
        assert_eq!(quotas.counted().buckets.len(), 1, "b was an hour ago");
    }

    #[test]
    fn a_damaged_file_is_named_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("quota.json"), b"{\"buckets\":[").unwrap();
        let (quotas, problem) = Quotas::open(folder.path());
        assert!(problem.is_some());
        quotas.count(bucket("a"), FEW, at(0)).unwrap();
        quotas.save(at(0)).unwrap();
        assert!(Quotas::open(folder.path()).1.is_none());
    }

    #[test]
    fn no_quota_at_all_is_a_quota() {
        let (_folder, quotas) = quotas();
        let none = Limits { per_minute: 0, per_hour: 0 };
        assert_eq!(quotas.count(bucket("a"), none, at(0)).unwrap_err().retry_after, 3_600);
    }
}
