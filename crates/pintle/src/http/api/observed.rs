//! What is asked of a domain is asked of an IP address too.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use axum::response::Response;
use pintle_store::{FileMachines, Listing, MachineList, Observable, Prevalence};
use serde_json::Value;

use super::{lookup, walk};
use crate::http::caller::Caller;
use crate::http::envelope::{Collection, statistics};
use crate::http::error::Failure;
use crate::http::list::{self, Expands, ListOptions};
use crate::http::odata;
use crate::http::representation::Representation;
use crate::http::resource::{Machines, Resource};
use crate::http::unknown::Unknown;
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
    (wanted, unknown): (Representation<Machines>, Unknown),
    asked: Asked,
    options: ListOptions,
) -> Result<Response, Failure> {
    let Asked { kind, text, observable } = asked;
    let options = options.of(&odata::MACHINE, Expands::Nothing, &caller, &instance)?;
    related(instance, (wanted, unknown), (kind, text), options, move |instance, listing| {
        instance.store.list_observable_machines(&caller.scope, &observable, listing)
    })
    .await
}

/// Machines that have to do with something, which errors call so; `None`: nobody has heard of it.
pub(super) async fn related(
    instance: Arc<Instance>,
    (wanted, unknown): (Representation<Machines>, Unknown),
    (kind, text): (&'static str, String),
    asked: list::Asked,
    find: impl FnOnce(&Instance, &Listing<'_>) -> Result<Option<(MachineList, FileMachines)>, pintle_store::Error>
    + Send
    + 'static,
) -> Result<Response, Failure> {
    let (is_long, tenant) = (asked.is_long(), asked.tenant());
    let answer = move |instance: &Instance, stop: &AtomicBool| match find(instance, &asked.related(stop))? {
        Some((list, found)) => {
            let mut machines = Collection::counting(&wanted, list.about().count);
            machines.tell_gaps(&found);
            Ok(machines.finish_with(list, None))
        }
        None => {
            unknown.answer(kind, &text, || Collection::counting(&wanted, asked.count_of_none()).finish(None))
        }
    };
    if is_long {
        return walk(instance, tenant, answer).await;
    }
    lookup(instance, move |instance| answer(instance, &AtomicBool::new(false))).await
}

/// How common it is. An unknown one is a 404 in the profile `2021`, and on no machine in `today`.
pub(super) async fn stats_of<R: Resource + 'static>(
    instance: Arc<Instance>,
    caller: Caller,
    (wanted, unknown): (Representation<R>, Unknown),
    asked: Asked,
    look_back: Duration,
    members: fn(&str, Told) -> String,
) -> Result<Response, Failure> {
    lookup(instance, move |instance| {
        let tell = |told: Prevalence| statistics(&wanted, &members(&asked.text, told.into()));
        match instance.store.observable_stats(&caller.scope, &asked.observable, look_back)? {
            Some(told) => Ok(tell(told)),
            None => unknown.answer(asked.kind, &asked.text, || tell(Prevalence::default())),
        }
    })
    .await
}

/// The inside of a JSON object.
pub(super) fn members(object: Value) -> String {
    let text = object.to_string();
    text.strip_prefix('{').and_then(|all| all.strip_suffix('}')).unwrap_or_default().to_owned()
}
