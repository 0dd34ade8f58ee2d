//! Users: their accounts, the machines where they are, who is on a machine, whom an alert is about.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use pintle_store::UserName;

use super::observed::related;
use super::{blocking, stoppable};
use crate::http::caller::Caller;
use crate::http::envelope::{Collection, entity};
use crate::http::error::Failure;
use crate::http::list::{Expands, ListOptions};
use crate::http::odata;
use crate::http::page::{NoRows, Rows};
use crate::http::path::Key;
use crate::http::representation::Representation;
use crate::http::resource::{Machines, Users};
use crate::http::unknown::Unknown;
use crate::instance::Instance;

/// `GET /api/users/{id}`: what is known of a user, by the account's name, or by the id that answers give.
pub async fn get(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    wanted: Representation<Users>,
    Key(id): Key,
    _: NoRows,
) -> Result<Response, Failure> {
    let name = user_name(&id)?;
    stoppable(move |stop| {
        let members = instance.store.user(&caller.scope, &name, stop)?;
        let members = members.ok_or_else(|| nobody(&id))?;
        Ok(entity(&wanted, &members))
    })
    .await
}

/// `GET /api/users/{id}/machines`: the machines where a user of this name is and that the caller may see.
/// An unknown user is a 404 in the profile `2021`, and an empty list in `today`.
pub async fn machines(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    wanted: Representation<Machines>,
    unknown: Unknown,
    Key(id): Key,
    options: ListOptions,
) -> Result<Response, Failure> {
    let asked = options.of(&odata::MACHINE, Expands::Nothing, &caller, &instance)?;
    // What can be no user's name is the name of nobody.
    let name = user_name(&id).ok();
    related(instance, (wanted, unknown), ("User", id), asked, move |instance, listing| match &name {
        Some(name) => instance.store.list_user_machines(&caller.scope, name, listing),
        None => Ok(None),
    })
    .await
}

/// `GET /api/machines/{id}/logonusers`: the users who log on to a machine, by id or by computer name. A
/// machine that is unknown or hidden is a 404; one without users is an empty list.
pub async fn of_machine(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    wanted: Representation<Users>,
    Key(id): Key,
    rows: Rows,
) -> Result<Response, Failure> {
    blocking(move || {
        let mut users = Collection::of(&wanted);
        let written = instance.store.logon_users(&caller.scope, &id, rows.related(), &mut users.body)?;
        written.ok_or_else(|| Failure::not_found("Machine", &id))?;
        Ok(users.finish(None))
    })
    .await
}

/// `GET /api/alerts/{id}/user`: the user whom an alert names as related; who was logged on is no matter. An
/// alert that names none is a 404 with a sentence of its own, which was seen live.
pub async fn of_alert(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    wanted: Representation<Users>,
    Key(id): Key,
    _: NoRows,
) -> Result<Response, Failure> {
    let alert = id.parse().map_err(|_| Failure::not_found("Alert", &id))?;
    stoppable(move |stop| {
        let user = instance.store.alert_user(&caller.scope, &alert, stop)?;
        let user = user.ok_or_else(|| Failure::not_found("Alert", &id))?;
        let members = user.ok_or_else(|| Failure::not_related("User", &id))?;
        Ok(entity(&wanted, &members))
    })
    .await
}

fn user_name(id: &str) -> Result<UserName, Failure> {
    id.parse().map_err(|_| nobody(id))
}

fn nobody(id: &str) -> Failure {
    Failure::not_found("User", id)
}
