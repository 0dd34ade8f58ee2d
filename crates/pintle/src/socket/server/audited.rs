//! What was asked for over the socket, written down in the audit log with who asked.

use std::fmt::Display;

use axum::http::StatusCode;

use super::{Peer, Refused};
use crate::audit::{Actor, Entry, Error};
use crate::instance::Instance;

impl From<Peer> for Actor {
    fn from(peer: Peer) -> Actor {
        Actor::owner(peer.uid, peer.pid)
    }
}

/// Writes down how it ended, durably, before the answer says so. `tell` adds what is known once it is
/// done.
pub(super) fn audited<T, E: Display + Into<Refused>>(
    instance: &Instance,
    ended: Result<T, E>,
    entry: Entry,
    tell: impl FnOnce(Entry, &T) -> Entry,
) -> Result<T, Refused> {
    match ended {
        Ok(done) => {
            instance.audit.record(tell(entry, &done))?;
            Ok(done)
        }
        Err(error) => {
            // Why it was not done says more than why that could not be written down, which is logged.
            let _ = instance.audit.record(entry.failed(&error));
            Err(error.into())
        }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Refused {
        let said = format!("it was done, but that could not be written down: {error}");
        Refused(StatusCode::INTERNAL_SERVER_ERROR, said)
    }
}
