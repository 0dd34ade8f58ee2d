//! Alerts, and what is in them.

pub mod change;
pub mod create;

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use pintle_model::AlertId;
use pintle_store::{Filter, Page, Scope, Store};

use super::{blocking, lookup};
use crate::http::caller::Caller;
use crate::http::envelope::{Collection, entity};
use crate::http::error::Failure;
use crate::http::odata;
use crate::http::page::{FilteredRows, NoRows, Rows};
use crate::http::path::Key;
use crate::http::pieces::Made;
use crate::http::representation::Representation;
use crate::http::resource::{Alerts, Domains, Files, Ips, Machines, Resource};
use crate::instance::Instance;

/// `GET /api/alerts`: the alerts within retention that the caller may see and that pass `$filter`,
/// by id, 10,000 at a time, or all as lines of JSON.
pub async fn list(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    wanted: Representation<Alerts>,
    rows: FilteredRows,
) -> Result<Response, Failure> {
    let filter = rows.filter(&odata::ALERT)?;
    if wanted.is_lines() {
        let page = rows.whole();
        let mut rest = RestOfAlerts { instance, scope: caller.scope, filter, page, after: None };
        return Ok(Collection::of(&wanted).finish_as_read(move || rest.read()));
    }
    blocking(move || {
        let mut alerts = Collection::of(&wanted);
        let (page, body) = (rows.page(), &mut alerts.body);
        let written = instance.store.list_alerts(&caller.scope, page, filter.as_ref(), body)?;
        Ok(alerts.finish(rows.next_link(wanted.origin(), "/api/alerts", written)))
    })
    .await
}

/// The part of a list of alerts that is still to be read.
struct RestOfAlerts {
    instance: Arc<Instance>,
    scope: Scope,
    filter: Option<Filter>,
    page: Page,
    after: Option<AlertId>,
}

impl RestOfAlerts {
    /// Alerts in a piece: without their evidence about a kilobyte each.
    const AT_ONCE: usize = 2_000;

    fn read(&mut self) -> Result<Made, pintle_store::Error> {
        let mut piece = Vec::new();
        let page = Page { top: self.page.top.min(Self::AT_ONCE), ..self.page };
        let (after, filter) = (self.after.as_ref(), self.filter.as_ref());
        let read = self.instance.store.list_alerts_after(&self.scope, after, page, filter, &mut piece);
        let (written, last) = read?;
        self.page = Page { skip: 0, top: self.page.top.saturating_sub(written) };
        let is_last = last.is_none() || self.page.top == 0;
        self.after = last;
        Ok(Made { piece: piece.into(), is_last })
    }
}

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
        let members = instance.store.alert(&caller.scope, &alert)?;
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
