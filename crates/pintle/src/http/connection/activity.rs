//! What a connection is doing, and until when it may go on so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::Version;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::Limits;

/// What a connection is doing, seen from both sides: its stream and its requests.
pub struct Activity {
    state: Mutex<State>,
    /// Told when a deadline may have come nearer.
    pub(super) changed: Notify,
}

struct State {
    /// Whether the stream has shown to be HTTP/2.
    http2: bool,
    /// Whether there has been a request.
    served: bool,
    /// Handlers at work.
    handlers: usize,
    /// Those of them that wait for more of a body.
    awaiting: usize,
    /// Since when the last of these is late.
    late_since: Instant,
    /// Answers on their way out whose client is waited for, by number.
    responses: BTreeMap<u64, Taken>,
    /// The number of the next answer.
    next_response: u64,
    /// When the first byte after the last request came.
    header_since: Option<Instant>,
    /// Whether there is something to write that the client does not take.
    blocked: bool,
    /// When something was last written.
    progress: Instant,
    /// When the last request ended. What else is written (answers to HTTP/2 pings) is no use of the
    /// connection.
    used: Instant,
}

/// How an answer is taken.
#[derive(Clone, Copy)]
struct Taken {
    /// When a piece of it last was.
    last: Instant,
    /// Until when all is to be that was given out of hand.
    due: Instant,
}

/// What is to be done about a connection.
pub(super) enum Verdict {
    /// Nothing before this time; `None` while a handler works.
    Wait(Option<Instant>),
    /// It has been idle for too long: end it politely.
    Close,
    /// The client holds it up: end it.
    Cut,
}

impl Activity {
    /// Of a connection that has just been opened.
    #[expect(clippy::new_without_default, reason = "it begins when it is made")]
    pub fn new() -> Activity {
        let state = State {
            http2: false,
            served: false,
            handlers: 0,
            awaiting: 0,
            late_since: Instant::now(),
            responses: BTreeMap::new(),
            next_response: 0,
            header_since: None,
            blocked: false,
            progress: Instant::now(),
            used: Instant::now(),
        };
        Activity { state: Mutex::new(state), changed: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is plain numbers, whole after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first byte of a request may come from now on.
    pub(super) fn begin(&self) {
        self.state().used = Instant::now();
    }

    /// Since when nothing happens but that the client is waited for; `None` while something does.
    pub fn waits_since(&self) -> Option<Instant> {
        let state = self.state();
        if state.handlers > state.awaiting {
            None
        } else if let Some(least) = state.responses.values().map(|taken| taken.last).min() {
            if state.blocked { Some(state.progress) } else { state.http2.then_some(least) }
        } else if state.handlers > 0 {
            Some(state.late_since)
        } else {
            // Who sends its headers bit by bit has been waited for all the while.
            Some(state.used)
        }
    }

    pub(super) fn verdict(&self, limits: &Limits) -> Verdict {
        let state = self.state();
        let now = Instant::now();
        // Of an answer over HTTP/1 a piece is long; what is written of it counts.
        let blocked = state.blocked.then_some(state.progress);
        // An HTTP/2 client may give no window for one of its answers and take the others.
        let stalled = state.responses.values().map(|taken| taken.last).min();
        let stalled = stalled.filter(|_| !state.blocked || state.http2);
        let stalled = blocked.into_iter().chain(stalled).map(|since| since + limits.body_timeout).min();
        // Who takes a byte now and then has never stalled.
        let due = state.responses.values().map(|taken| taken.due).min();
        let (end, late) = if let Some(end) = stalled.into_iter().chain(due).min() {
            (end, Verdict::Cut)
        } else if state.handlers > 0 {
            return Verdict::Wait(None);
        } else if let Some(since) = state.header_since.filter(|_| !state.http2) {
            (since + limits.header_timeout, Verdict::Cut)
        } else if state.served || state.http2 {
            (state.used + limits.idle_timeout, Verdict::Close)
        } else {
            (state.used + limits.header_timeout, Verdict::Cut)
        };
        if end <= now { late } else { Verdict::Wait(Some(end)) }
    }

    pub(super) fn read(&self, bytes: &[u8]) {
        let mut state = self.state();
        if !state.served && state.header_since.is_none() && bytes.starts_with(b"PRI") {
            state.http2 = true;
        }
        if state.handlers == 0 && state.responses.is_empty() && state.header_since.is_none() {
            state.header_since = Some(Instant::now());
            self.changed.notify_one();
        }
    }

    pub(super) fn wrote(&self) {
        let mut state = self.state();
        state.blocked = false;
        state.progress = Instant::now();
    }

    pub(super) fn blocked(&self, blocked: bool) {
        let mut state = self.state();
        if blocked && !state.blocked {
            self.changed.notify_one();
        }
        state.blocked = blocked;
    }
}

/// A request while its handler works.
pub(super) struct Running(Option<Arc<Activity>>);

/// A request whose handler waits for more of its body.
pub(super) struct BodyAwaited(Arc<Activity>);

/// A request while its answer goes out.
pub(super) struct Responding {
    activity: Arc<Activity>,
    number: u64,
    /// Since when its next piece is being made, for which the client is not to blame.
    at_work: Option<Instant>,
    /// Until when all that was given is to be taken.
    due: Instant,
    /// Bytes a second that are to be taken.
    rate: u64,
}

impl Running {
    pub(super) fn begin(activity: Arc<Activity>, version: Version) -> Running {
        let mut state = activity.state();
        state.http2 |= version == Version::HTTP_2;
        state.served = true;
        state.handlers += 1;
        state.header_since = None;
        drop(state);
        Running(Some(activity))
    }

    pub(super) fn responding(mut self, limits: &Limits) -> Option<Responding> {
        let activity = self.0.take()?;
        let (last, rate) = (Instant::now(), limits.min_answer_rate.bytes().max(1));
        let due = last + limits.body_timeout;
        let mut state = activity.state();
        state.handlers = state.handlers.saturating_sub(1);
        let number = state.next_response;
        state.next_response += 1;
        state.responses.insert(number, Taken { last, due });
        state.progress = last;
        drop(state);
        activity.changed.notify_one();
        Some(Responding { activity, number, at_work: None, due, rate })
    }
}

impl BodyAwaited {
    /// What has come of it was due by that time.
    pub(super) fn begin(activity: Arc<Activity>, due: Instant) -> BodyAwaited {
        let mut state = activity.state();
        state.awaiting += 1;
        state.late_since = due;
        drop(state);
        BodyAwaited(activity)
    }
}

impl Drop for BodyAwaited {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.awaiting = state.awaiting.saturating_sub(1);
    }
}

impl Responding {
    /// The client has taken what it was given before.
    pub(super) fn taken(&mut self) {
        if self.at_work.is_none() {
            self.note(Instant::now());
        }
    }

    /// It is given so many bytes.
    pub(super) fn given(&mut self, bytes: usize) {
        let micros = (bytes as u64).saturating_mul(1_000_000) / self.rate;
        self.due += Duration::from_micros(micros);
        self.note(Instant::now());
    }

    fn note(&self, last: Instant) {
        self.activity.state().responses.insert(self.number, Taken { last, due: self.due });
    }

    /// Whether the client waits for the next piece.
    pub(super) fn works(&mut self, at_work: bool) {
        let now = Instant::now();
        match (at_work, self.at_work) {
            (true, None) => {
                let mut state = self.activity.state();
                state.handlers += 1;
                state.responses.remove(&self.number);
                self.at_work = Some(now);
            }
            (false, Some(since)) => {
                self.due += now - since;
                let mut state = self.activity.state();
                state.handlers = state.handlers.saturating_sub(1);
                state.responses.insert(self.number, Taken { last: now, due: self.due });
                self.at_work = None;
            }
            _ => return,
        }
        self.activity.changed.notify_one();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(activity) = &self.0 {
            let mut state = activity.state();
            state.handlers = state.handlers.saturating_sub(1);
            state.used = Instant::now();
            drop(state);
            activity.changed.notify_one();
        }
    }
}

impl Drop for Responding {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.handlers = state.handlers.saturating_sub(usize::from(self.at_work.is_some()));
        state.responses.remove(&self.number);
        state.used = Instant::now();
    }
}
