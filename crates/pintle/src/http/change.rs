//! A change that somebody makes through the API: written down in the audit log, and refused as reads
//! are, so that it tells nobody what they may not see.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use pintle_store::Refused;

use crate::audit::{Actor, Entry};
use crate::http::body::incorrect;
use crate::http::caller::Caller;
use crate::http::error::Failure;
use crate::instance::Instance;

/// Who changes something.
pub struct Changer {
    actor: Actor,
    tenant: pintle_model::TenantId,
    /// How a comment names them.
    pub name: String,
}

impl Changer {
    /// The caller, who called from there.
    pub fn new(caller: &Caller, address: crate::http::origin::ClientAddress) -> Changer {
        let who = &caller.rights.who;
        let name = who.user.as_ref().map_or(&who.application_name, |(_, name)| name);
        Changer { actor: who.actor(address.0), tenant: caller.scope.tenant(), name: name.clone() }
    }

    /// A line of the audit log about this.
    pub fn entry(&self, action: &'static str) -> Entry {
        Entry::new(self.actor.clone(), action).in_tenant(self.tenant)
    }

    /// Writes down how a change ended, before the answer says so; durably, but for a refusal, of which many
    /// alike are only counted. `kind` is what was to be changed.
    pub fn tell<T>(
        &self,
        instance: &Instance,
        kind: &str,
        entry: Entry,
        ended: Result<T, Refused>,
    ) -> Result<T, Failure> {
        let refuse = |entry: Entry, status, failure: Failure| {
            instance.audit.note(entry.refused(status));
            Err(failure.written_down())
        };
        match ended {
            Ok(done) => instance.audit.record(entry).map(|()| done).map_err(Failure::internal),
            Err(Refused::Unknown(unknown)) => {
                refuse(entry, 404, Failure::not_found(kind, &unknown.join(", ")))
            }
            Err(Refused::TagsMissing(tags)) => {
                let named = tags.join("', '");
                let message = format!("machineTags leaves out tags that the device has: '{named}'");
                refuse(entry, 400, Failure::input(message))
            }
            Err(Refused::TooManyTags(machine, most)) => {
                let message = format!("device '{machine}' would have more than {most} tags that people gave");
                refuse(entry, 400, incorrect(&message))
            }
            Err(Refused::TooManyTagsTaken(machine, most)) => {
                let message = format!("more than {most} tags would be taken away from device '{machine}'");
                refuse(entry, 400, incorrect(&message))
            }
            Err(Refused::Failed(error)) => {
                // Why it was not done says more than why that could not be written down, which is logged.
                let _ = instance.audit.record(entry.failed(&error));
                Err(match error {
                    full @ pintle_store::Error::Full(_) => Failure::full(&full),
                    error => Failure::unavailable(&error),
                })
            }
        }
    }
}

/// 200 without a body.
pub fn nothing() -> Response {
    StatusCode::OK.into_response()
}
