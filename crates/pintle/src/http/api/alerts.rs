//! One alert, and what is in it.

pub mod change;
pub mod create;

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use pintle_model::AlertId;
use pintle_store::{Page, Scope, Store};

use super::{blocking, lookup};
use crate::http::caller::Caller;
use crate::http::envelope::{Collection, entity};
use crate::http::error::Failure;
use crate::http::page::{NoRows, Rows};
use crate::http::path::Key;
use crate::http::representation::Representation;
use crate::http::resource::{Alerts, Domains, Files, Ips, Machines, Resource};
use crate::instance::Instance;

/// `GET /api/alerts/{id}`: one alert with its evidence.
pub async fn get(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    wanted: Representation<Alerts>,
    Key(id): Key,
    _: NoRows,
) -> Result<Response, Failure> {
    let alert = alert_id(&id)?;
    lookup(instance, move |instance| {
        let members = instance.store.alert_with(&caller.scope, &alert, wanted.selects("sequence"))?;
        let members = members.ok_or_else(|| Failure::not_found("Alert", &id))?;
        Ok(entity(&wanted, &members))
    })
    .await
}

/// `GET /api/alerts/{id}/files`: the files that an alert's evidence names by a hash.
pub async fn files(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    wanted: Representation<Files>,
    Key(id): Key,
    rows: Rows,
) -> Result<Response, Failure> {
    related(instance, caller, wanted, id, rows, Store::alert_files).await
}

/// `GET /api/alerts/{id}/domains`: the hosts that an alert's evidence names.
pub async fn domains(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    wanted: Representation<Domains>,
    Key(id): Key,
    rows: Rows,
) -> Result<Response, Failure> {
    related(instance, caller, wanted, id, rows, Store::alert_domains).await
}

/// `GET /api/alerts/{id}/ips`: the IP addresses that an alert's evidence names.
pub async fn ips(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    wanted: Representation<Ips>,
    Key(id): Key,
    rows: Rows,
) -> Result<Response, Failure> {
    related(instance, caller, wanted, id, rows, Store::alert_ips).await
}

/// `GET /api/alerts/{id}/machine`: the machine that an alert is on. An alert on none that is known is a
/// 404 with a sentence of its own, after that of `/user`.
pub async fn machine(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    wanted: Representation<Machines>,
    Key(id): Key,
    _: NoRows,
) -> Result<Response, Failure> {
    let alert = alert_id(&id)?;
    lookup(instance, move |instance| {
        let machine = instance.store.alert_machine(&caller.scope, &alert)?;
        let machine = machine.ok_or_else(|| Failure::not_found("Alert", &id))?;
        let members = machine.ok_or_else(|| Failure::not_related("Machine", &id))?;
        Ok(entity(&wanted, &members))
    })
    .await
}

/// Writes things that an alert names; `None`: there is no such alert.
type Related = fn(&Store, &Scope, &AlertId, Page, &mut Vec<u8>) -> Result<Option<usize>, pintle_store::Error>;

/// A collection of what an alert names. An alert that is unknown, hidden or outside retention is a 404;
/// one that names none is an empty list.
async fn related<R: Resource>(
    instance: Arc<Instance>,
    caller: Caller,
    wanted: Representation<R>,
    id: String,
    rows: Rows,
    write: Related,
) -> Result<Response, Failure> {
    let alert = alert_id(&id)?;
    blocking(move || {
        let mut found = Collection::of(&wanted);
        let written = write(&instance.store, &caller.scope, &alert, rows.related(), &mut found.body)?;
        written.ok_or_else(|| Failure::not_found("Alert", &id))?;
        Ok(found.finish(None))
    })
    .await
}

/// Ids are opaque: what can be none is an alert that does not exist, no bad request.
fn alert_id(id: &str) -> Result<AlertId, Failure> {
    id.parse().map_err(|_| Failure::not_found("Alert", id))
}
