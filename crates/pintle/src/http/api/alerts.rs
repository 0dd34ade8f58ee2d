//! Alerts, and the files in them.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use pintle_model::AlertId;
use pintle_store::Page;

use super::{blocking, lookup};
use crate::http::caller::Caller;
use crate::http::envelope::{Collection, entity};
use crate::http::error::Failure;
use crate::http::odata;
use crate::http::origin::Origin;
use crate::http::page::{FilteredRows, NoRows, Rows};
use crate::http::path::Key;
use crate::instance::Instance;

/// `GET /api/alerts`: the alerts within retention that the caller may see and that pass `$filter`,
/// by id, 10,000 at a time.
pub async fn list(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    origin: Origin,
    rows: FilteredRows,
) -> Result<Response, Failure> {
    let filter = rows.filter(&odata::ALERT)?;
    blocking(move || {
        let mut alerts = Collection::of("Alerts", &origin);
        let (page, body) = (rows.page(), &mut alerts.body);
        let written = instance.store.list_alerts(&caller.scope, page, filter.as_ref(), body)?;
        Ok(alerts.finish(rows.next_link(&origin, "/api/alerts", written)))
    })
    .await
}

/// `GET /api/alerts/{id}`: one alert with its evidence.
pub async fn get(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    origin: Origin,
    Key(id): Key,
    _: NoRows,
) -> Result<Response, Failure> {
    let alert = alert_id(&id)?;
    lookup(instance, move |instance| {
        let members = instance.store.alert(&caller.scope, &alert)?;
        let members = members.ok_or_else(|| Failure::not_found("Alert", &id))?;
        Ok(entity("Alerts", &origin, &members))
    })
    .await
}

/// `GET /api/alerts/{id}/files`: the files that an alert's evidence names by a hash. An alert that
/// is unknown, hidden or outside retention is a 404; one without such a file is an empty list.
pub async fn files(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    origin: Origin,
    Key(id): Key,
    rows: Rows,
) -> Result<Response, Failure> {
    let alert = alert_id(&id)?;
    blocking(move || {
        let page = Page { skip: rows.skip, top: rows.top.unwrap_or(usize::MAX) };
        let mut files = Collection::of("Files", &origin);
        let written = instance.store.alert_files(&caller.scope, &alert, page, &mut files.body)?;
        written.ok_or_else(|| Failure::not_found("Alert", &id))?;
        Ok(files.finish(None))
    })
    .await
}

/// Ids are opaque: what can be none is an alert that does not exist, no bad request.
fn alert_id(id: &str) -> Result<AlertId, Failure> {
    id.parse().map_err(|_| Failure::not_found("Alert", id))
}
