//! Machines.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::{blocking, lookup};
use crate::http::caller::Caller;
use crate::http::envelope::{Collection, entity};
use crate::http::error::Failure;
use crate::http::odata;
use crate::http::origin::Origin;
use crate::http::page::{FilteredRows, NoRows};
use crate::http::path::Key;
use crate::instance::Instance;

/// `GET /api/machines`: the machines within retention that the caller may see and that pass
/// `$filter`, by id, 10,000 at a time. None at all is an empty list in every profile: the 404 on the published page was never
/// seen from the service, and client fixtures show the list.
pub async fn list(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    origin: Origin,
    rows: FilteredRows,
) -> Result<Response, Failure> {
    let filter = rows.filter(&odata::MACHINE)?;
    let looks_at_each = filter.is_some();
    let list = move |instance: &Instance| {
        let list = instance.store.list_machines(&caller.scope, rows.page(), filter.as_ref())?;
        let next = rows.next_link(&origin, "/api/machines", list.left());
        Ok(Collection::of("Machines", &origin).finish_with(list, next))
    };
    if looks_at_each {
        return blocking(move || list(&instance)).await;
    }
    lookup(instance, list).await
}

/// `GET /api/machines/{id}`: one machine, by id or by computer name.
pub async fn get(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    origin: Origin,
    Key(id): Key,
    _: NoRows,
) -> Result<Response, Failure> {
    lookup(instance, move |instance| {
        let members = instance.store.machine(&caller.scope, &id)?;
        let members = members.ok_or_else(|| Failure::not_found("Machine", &id))?;
        Ok(entity("Machines", &origin, &members))
    })
    .await
}
