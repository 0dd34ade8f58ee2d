//! Where an issuer's keys come from and how long they count. They are fetched when a token needs them,
//! by one task however many tokens wait for it, and again in the background while they are in use.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pintle_model::Time;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::fetch::{Client, FetchError};
use super::jwks::{Key, KeySet};
use crate::auth::token::Refusal;
use crate::config::HttpsUrl;

/// For discovery and keys together, from the first connection to the last byte.
const TIME_LIMIT: Duration = Duration::from_secs(10);

const MAX_DISCOVERY_BYTES: usize = 64 * 1024;
const MAX_KEYS_BYTES: usize = 256 * 1024;

/// Older keys are fetched again, beside the request that notices it.
const REFRESH_AFTER: Duration = Duration::from_secs(3_600);

/// Nobody has even tried for so long, since nobody asked: a request waits for newer keys then, because
/// an issuer that took a key back would be disobeyed otherwise.
const IDLE: Duration = Duration::from_secs(2 * 3_600);

/// Older keys do not count: an issuer that cannot be reached cannot take a key back.
const MAX_AGE: Duration = Duration::from_secs(24 * 3_600);

/// Between two tries while there are no keys.
const PAUSE_WITHOUT_KEYS: Duration = Duration::from_secs(10);

/// Between two tries while there are some, as for a key that is not among them.
const PAUSE: Duration = Duration::from_secs(60);

/// The keys of one issuer.
pub(super) struct Supply {
    /// The section's name, for messages.
    name: String,
    issuer: HttpsUrl,
    jwks_uri: Option<HttpsUrl>,
    client: Client,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The keys, and when they were fetched.
    keys: Option<(Arc<KeySet>, Time)>,
    /// When the last try ended.
    tried: Option<Time>,
    /// Closed at the end of the try that is under way.
    under_way: Option<watch::Receiver<()>>,
    /// Why the last try failed.
    failure: Option<FetchError>,
}

/// What discovery says, as far as it matters.
#[derive(Deserialize)]
pub(super) struct Discovery {
    pub(super) issuer: String,
    pub(super) jwks_uri: String,
}

impl Supply {
    /// The keys of an issuer, none of them fetched yet.
    pub fn new(name: &str, issuer: HttpsUrl, jwks_uri: Option<HttpsUrl>, client: Client) -> Supply {
        Supply { name: name.to_owned(), issuer, jwks_uri, client, state: Mutex::default() }
    }

    /// The key of that name, if it is one of the issuer's now. Waits for a fetch if
    /// there must be one, which ends in bounded time.
    pub async fn key(self: &Arc<Self>, kid: &str, now: Time) -> Result<Arc<Key>, Refusal> {
        if let Some(mut fetch) = self.fetch_if_needed(kid, now) {
            // Nothing is ever sent; the channel closes.
            _ = fetch.changed().await;
        }
        let keys = self.state().keys(now).ok_or(Refusal::OutsideKeys)?;
        let key = keys.find(kid).ok_or(super::UNKNOWN_KEY)?;
        Ok(Arc::clone(key))
    }

    /// Sees to it that a fetch is under way if one is due, and returns it if it is worth waiting for.
    fn fetch_if_needed(self: &Arc<Self>, kid: &str, now: Time) -> Option<watch::Receiver<()>> {
        let mut state = self.state();
        let since_try = state.tried.map_or(Duration::MAX, |tried| since(tried, now));
        let (waits, pause) = match state.keys(now) {
            None => (true, PAUSE_WITHOUT_KEYS),
            Some(keys) if keys.find(kid).is_none() => (true, PAUSE),
            Some(_) if state.age(now) > REFRESH_AFTER => (since_try > IDLE, PAUSE),
            Some(_) => return None,
        };
        // A try that ended without a word, with its runtime, is as good as none.
        let under_way = state.under_way.clone().filter(|fetch| fetch.has_changed().is_ok());
        let fetch = match under_way {
            Some(fetch) => fetch,
            None if since_try < pause => return None,
            None => {
                let (ends, fetch) = watch::channel(());
                state.under_way = Some(fetch.clone());
                // A task of its own, since whoever asked may hang up while others wait.
                tokio::spawn(Arc::clone(self).fetch(now, ends));
                fetch
            }
        };
        waits.then_some(fetch)
    }

    async fn fetch(self: Arc<Self>, now: Time, ends: watch::Sender<()>) {
        let started = Instant::now();
        let slow = || FetchError(format!("{} did not answer within {TIME_LIMIT:?}", self.issuer));
        let fetched = timeout(TIME_LIMIT, self.published()).await.unwrap_or_else(|_| Err(slow()));
        let mut state = self.state();
        state.tried = Some(now + started.elapsed());
        match fetched {
            Ok(keys) => {
                if state.failure.take().is_some() || state.keys.is_none() {
                    tracing::info!(
                        issuer = self.name,
                        keys = keys.len(),
                        "the keys of an outside issuer were fetched"
                    );
                }
                state.keys = Some((Arc::new(keys), now));
            }
            // Said once, not at every try.
            Err(error) => {
                if state.failure.as_ref() != Some(&error) {
                    tracing::warn!(issuer = self.name, %error, "the keys of an outside issuer cannot be fetched");
                }
                state.failure = Some(error);
            }
        }
        // Whoever waits looks at the state next.
        drop(state);
        drop(ends);
    }

    /// The keys that the issuer publishes.
    async fn published(&self) -> Result<KeySet, FetchError> {
        let url = match &self.jwks_uri {
            Some(configured) => configured.clone(),
            None => self.discovered().await?,
        };
        let keys = self.client.get(&url, MAX_KEYS_BYTES).await?;
        KeySet::read(&keys).map_err(|why| FetchError(format!("{url}: {why}")))
    }

    /// Where the issuer says that its keys are: on its own host, since nobody configured another one.
    async fn discovered(&self) -> Result<HttpsUrl, FetchError> {
        let issuer = self.issuer.as_str();
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let url: HttpsUrl = url.parse().map_err(FetchError)?;
        let found = self.client.get(&url, MAX_DISCOVERY_BYTES).await?;
        let found: Discovery = serde_json::from_slice(&found)
            .map_err(|error| FetchError(format!("{url}: it is no discovery document: {error}")))?;
        if found.issuer != issuer {
            let other = short(&found.issuer);
            return Err(FetchError(format!("{url}: it is of the issuer {other:?}, not of {issuer}")));
        }
        let keys = found.jwks_uri.parse::<HttpsUrl>().ok().filter(|keys| keys.is_beside(&self.issuer));
        keys.ok_or_else(|| {
            FetchError(format!(
                "{url}: its keys are at {:?}, which is not https on the issuer's own host and port: if \
                 that is right, set outside_issuers.{}.jwks_uri to it",
                short(&found.jwks_uri),
                self.name
            ))
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The keys, if they are not too old to count.
    fn keys(&self, now: Time) -> Option<Arc<KeySet>> {
        let (keys, _) = self.keys.as_ref().filter(|_| self.age(now) <= MAX_AGE)?;
        Some(Arc::clone(keys))
    }

    fn age(&self, now: Time) -> Duration {
        self.keys.as_ref().map_or(Duration::MAX, |(_, fetched)| since(*fetched, now))
    }
}

/// How long ago something was. Requests overtake each other, so it may lie a little ahead; far ahead,
/// the clock was put back since, and nobody knows.
fn since(then: Time, now: Time) -> Duration {
    let passed = |from: Time, to: Time| {
        let ticks = to.ticks().saturating_sub(from.ticks());
        u64::try_from(ticks).ok().map(|ticks| Duration::from_micros(ticks / 10))
    };
    match (passed(then, now), passed(now, then)) {
        (Some(passed), _) => passed,
        (None, Some(ahead)) if ahead < PAUSE => Duration::ZERO,
        _ => Duration::MAX,
    }
}

/// The beginning of what somebody else wrote.
fn short(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_put_back_makes_everything_old() {
        let now = Time::from_unix_seconds(1_800_000_000);
        let second = Duration::from_secs(1);
        assert_eq!(since(now, now + 90 * second), 90 * second);
        assert_eq!(since(now + 5 * second, now), Duration::ZERO);
        assert_eq!(since(now + 2 * PAUSE, now), Duration::MAX);
        assert_eq!(
            since(Time::from_ticks(i64::MIN), Time::from_ticks(i64::MAX)),
            Duration::from_micros(i64::MAX as u64 / 10)
        );
    }
}
