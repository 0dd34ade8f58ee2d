//! Lists of alerts: all of them, and those that have to do with a machine, a file, a domain, an address
//! or a user.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use pintle_model::FileHash;
use pintle_store::{AlertList, Domain, Extras, Listing, Page, UserName};

use super::walk;
use crate::http::caller::Caller;
use crate::http::envelope::{self, Collection};
use crate::http::error::Failure;
use crate::http::list::{Asked, Expands, ListOptions};
use crate::http::odata;
use crate::http::path::Key;
use crate::http::representation::Representation;
use crate::http::resource::Alerts;
use crate::http::unknown::Unknown;
use crate::instance::Instance;

/// `GET /api/alerts`: the alerts within retention that the caller may see and that pass `$filter`, by id
/// or as `$orderby` says, 10,000 at a time; with their evidence if `$expand` names it.
pub async fn list(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    wanted: Representation<Alerts>,
    options: ListOptions,
) -> Result<Response, Failure> {
    let asked = options.of(&odata::ALERT, Expands::Evidence, &caller, &instance)?;
    walk(instance, caller.scope.tenant(), move |instance, stop| {
        let alerts = instance.store.list_alerts(&caller.scope, &asked.page(&wanted, stop))?;
        let next = asked.next_link(wanted.origin(), alerts.about());
        dressed(alerts.with(asked.extras(&wanted)), &wanted, next)
    })
    .await
}

/// `GET /api/machines/{id}/alerts`: the alerts on a machine, by id or by computer name, always with their
/// evidence (captured live). A machine that is unknown, hidden or outside retention is a 404.
pub async fn of_machine(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    wanted: Representation<Alerts>,
    Key(id): Key,
    options: ListOptions,
) -> Result<Response, Failure> {
    let asked = options.of(&odata::ALERT, Expands::Evidence, &caller, &instance)?;
    walk(instance, caller.scope.tenant(), move |instance, stop| {
        let alerts = instance.store.machine_alerts(&caller.scope, &id, &asked.related(stop))?;
        let alerts = alerts.ok_or_else(|| Failure::not_found("Machine", &id))?;
        let extras = Extras { evidence: true, ..asked.extras(&wanted) };
        dressed(alerts.with(extras), &wanted, None)
    })
    .await
}

/// `GET /api/machines/{id}/alerts/$count`: how many there are of those, or that pass `$filter`: the number
/// as text.
pub async fn count_of_machine(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    Key(id): Key,
    options: ListOptions,
) -> Result<Response, Failure> {
    let filter = options.only_filter(&odata::ALERT)?;
    walk(instance, caller.scope.tenant(), move |instance, stop| {
        let none = Listing::of(Page { skip: 0, top: 0 });
        let listing = Listing { filter: filter.as_ref(), count: true, stop: Some(stop), ..none };
        let alerts = instance.store.machine_alerts(&caller.scope, &id, &listing)?;
        let alerts = alerts.ok_or_else(|| Failure::not_found("Machine", &id))?;
        Ok(envelope::count(alerts.about().count.unwrap_or_default()))
    })
    .await
}

/// `GET /api/files/{id}/alerts`: the alerts whose evidence names a file.
pub async fn of_file(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    wanted: Representation<Alerts>,
    unknown: Unknown,
    Key(id): Key,
    options: ListOptions,
) -> Result<Response, Failure> {
    let hash: FileHash = id.parse().map_err(|_| Failure::invalid_hash(&id))?;
    let asked = options.of(&odata::ALERT, Expands::Evidence, &caller, &instance)?;
    let named = Named { kind: "File", id };
    related(instance, (wanted, unknown), asked, named, move |instance, listing| {
        instance.store.file_alerts(&caller.scope, &hash, listing)
    })
    .await
}

/// `GET /api/domains/{domain}/alerts`: the alerts whose evidence names a domain; not those that name
/// another one below it.
pub async fn of_domain(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    wanted: Representation<Alerts>,
    unknown: Unknown,
    Key(id): Key,
    options: ListOptions,
) -> Result<Response, Failure> {
    let domain: Domain = id.parse().map_err(|_| Failure::invalid_domain(&id))?;
    let asked = options.of(&odata::ALERT, Expands::Evidence, &caller, &instance)?;
    let named = Named { kind: "Domain", id };
    related(instance, (wanted, unknown), asked, named, move |instance, listing| {
        instance.store.domain_alerts(&caller.scope, &domain, listing)
    })
    .await
}

/// `GET /api/ips/{ip}/alerts`: the alerts whose evidence names an address of IPv4 or IPv6. (Live the
/// context was once `#AlertEntitySetName`; it is `#Alerts` here, as everywhere else.)
pub async fn of_address(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    wanted: Representation<Alerts>,
    unknown: Unknown,
    Key(id): Key,
    options: ListOptions,
) -> Result<Response, Failure> {
    let address: IpAddr = id.trim().parse().map_err(|_| Failure::invalid_address(&id))?;
    let asked = options.of(&odata::ALERT, Expands::Evidence, &caller, &instance)?;
    let named = Named { kind: "Ip", id };
    related(instance, (wanted, unknown), asked, named, move |instance, listing| {
        instance.store.address_alerts(&caller.scope, address, listing)
    })
    .await
}

/// `GET /api/users/{id}/alerts`: the alerts that name a user, by account name (`user1`), whatever its case and
/// domain, by the id that answers give (`domain\user1`), or by a principal name (`user1@contoso.com`).
pub async fn of_user(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    wanted: Representation<Alerts>,
    unknown: Unknown,
    Key(id): Key,
    options: ListOptions,
) -> Result<Response, Failure> {
    let asked = options.of(&odata::ALERT, Expands::Evidence, &caller, &instance)?;
    // What can be no user's name is the name of nobody.
    let name: Option<UserName> = id.parse().ok();
    let named = Named { kind: "User", id };
    related(instance, (wanted, unknown), asked, named, move |instance, listing| match &name {
        Some(name) => instance.store.user_alerts(&caller.scope, name, listing),
        None => Ok(None),
    })
    .await
}

/// What a list is related to, as errors name it.
struct Named {
    kind: &'static str,
    id: String,
}

/// The alerts related to something. What was never told of is a 404 in the profile `2021`, and an empty
/// list in `today`, but for who prefers the 404; something known that only hidden alerts name is an empty
/// list in both.
async fn related(
    instance: Arc<Instance>,
    (wanted, unknown): (Representation<Alerts>, Unknown),
    asked: Asked,
    named: Named,
    find: impl FnOnce(&Instance, &Listing<'_>) -> Result<Option<AlertList>, pintle_store::Error> + Send + 'static,
) -> Result<Response, Failure> {
    walk(instance, asked.tenant(), move |instance, stop| match find(instance, &asked.related(stop))? {
        Some(alerts) => dressed(alerts.with(asked.extras(&wanted)), &wanted, None),
        None => unknown.answer(named.kind, &named.id, || {
            Collection::counting(&wanted, asked.count_of_none()).finish(None)
        }),
    })
    .await
}

fn dressed(
    alerts: AlertList,
    wanted: &Representation<Alerts>,
    next: Option<String>,
) -> Result<Response, Failure> {
    let mut rows = Collection::counting(wanted, alerts.about().count);
    rows.tell_gaps(alerts.gaps());
    rows.finish_with_alerts(alerts, next)
}
