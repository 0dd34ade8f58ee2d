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
        match ended {
            Ok(done) => instance.audit.record(entry).map(|()| done).map_err(Failure::internal),
            Err(Refused::Unknown(unknown)) => {
                instance.audit.note(entry.refused(404));
                Err(Failure::not_found(kind, &unknown.join(", ")).written_down())
            }
            Err(Refused::TagsMissing(tags)) => {
                instance.audit.note(entry.refused(400));
                let named = tags.join("', '");
                let message = format!("machineTags leaves out tags that the device has: '{named}'");
                Err(Failure::input(message).written_down())
            }
            Err(Refused::TooManyTags(machine, most)) => {
                let message = format!("device '{machine}' would have more than {most} tags that people gave");
                (entry.refused(400), Err(incorrect(&message)))
            }
            Err(Refused::TooManyTagsTaken(machine, most)) => {
                let message = format!("more than {most} tags would be taken away from device '{machine}'");
                (entry.refused(400), Err(incorrect(&message)))
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
