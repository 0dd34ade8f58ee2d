//! What is asked of a domain is asked of an IP address too.

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use pintle_store::{Observable, Prevalence};
use serde_json::Value;

use super::lookup;
use crate::config::Profile;
use crate::http::caller::Caller;
use crate::http::envelope::{Collection, statistics};
use crate::http::error::Failure;
use crate::http::origin::Origin;
use crate::http::page::Rows;
use crate::instance::Instance;

/// A domain or an IP address that somebody asks about.
pub(super) struct Asked {
    /// What errors call it.
    pub(super) kind: &'static str,
    /// As it was asked.
    pub(super) text: String,
    pub(super) observable: Observable,
}

/// How common it is, as answers tell it.
pub(super) struct Told {
    pub(super) count: usize,
    pub(super) first: Option<String>,
    pub(super) last: Option<String>,
}

impl From<Prevalence> for Told {
    fn from(Prevalence { machines, seen }: Prevalence) -> Told {
        let time = |time: pintle_model::Time| time.to_string();
        Told {
            count: machines,
            first: seen.map(|seen| time(seen.first)),
            last: seen.map(|seen| time(seen.last)),
        }
    }
}

/// The machines where it was seen and that the caller may see. An unknown one is a 404 in the profile
/// `2021`, and an empty list in `today`; one seen only on hidden machines an empty list in both.
pub(super) async fn machines_of(
    instance: Arc<Instance>,
    caller: Caller,
    origin: Origin,
    asked: Asked,
    rows: Rows,
) -> Result<Response, Failure> {
    lookup(instance, move |instance| {
        let page = rows.related();
        let mut machines = Collection::of("Machines", &origin);
        match instance.store.list_observable_machines(&caller.scope, &asked.observable, page)? {
            Some((list, found)) => {
                machines.tell_gaps(&found);
                Ok(machines.finish_with(list, None))
            }
            None if instance.config.api.profile == Profile::Today => Ok(machines.finish(None)),
            None => Err(Failure::not_found(asked.kind, &asked.text)),
        }
    })
    .await
}

/// How common it is. An unknown one is a 404 in the profile `2021`, and on no machine in `today`.
pub(super) async fn stats_of(
    instance: Arc<Instance>,
    caller: Caller,
    origin: Origin,
    asked: Asked,
    look_back: Duration,
    of: &'static str,
    members: fn(&str, Told) -> String,
) -> Result<Response, Failure> {
    lookup(instance, move |instance| {
        let known = instance.store.observable_stats(&caller.scope, &asked.observable, look_back)?;
        let is_today = instance.config.api.profile == Profile::Today;
        let told = known.or_else(|| is_today.then(Prevalence::default));
        let told = told.ok_or_else(|| Failure::not_found(asked.kind, &asked.text))?;
        Ok(statistics(of, &origin, &members(&asked.text, told.into())))
    })
    .await
}

/// The inside of a JSON object.
pub(super) fn members(object: Value) -> String {
    let text = object.to_string();
    text.strip_prefix('{').and_then(|all| all.strip_suffix('}')).unwrap_or_default().to_owned()
}
