//! Machines.

pub mod change;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use pintle_model::shapes::machine;
use pintle_store::{BadCondition, Comparison, Condition, Literal, Operand, Quantifier, TextTest};

use super::{lookup, walk};
use crate::http::caller::Caller;
use crate::http::envelope::{Collection, entity};
use crate::http::error::Failure;
use crate::http::list::{Expands, ListOptions};
use crate::http::page::NoRows;
use crate::http::path::Key;
use crate::http::representation::Representation;
use crate::http::resource::Machines;
use crate::http::{form, odata};
use crate::instance::Instance;

/// `GET /api/machines`: the machines within retention that the caller may see and that pass
/// `$filter`, by id or as `$orderby` says, 10,000 at a time, or all as lines of JSON. None at all is an empty
/// list in every profile: the 404 on the published page was never seen from the service, and client fixtures
/// show the list.
pub async fn list(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    wanted: Representation<Machines>,
    options: ListOptions,
) -> Result<Response, Failure> {
    let asked = options.of(&odata::MACHINE, Expands::Nothing, &caller, &instance)?;
    let (is_long, tenant) = (asked.is_long(), asked.tenant());
    let answer = move |instance: &Instance, stop: &AtomicBool| {
        let list = instance.store.list_machines(&caller.scope, &asked.page(&wanted, stop))?;
        let next = asked.next_link(wanted.origin(), list.about());
        Ok(Collection::counting(&wanted, list.about().count).finish_with(list, next))
    };
    if is_long {
        return walk(instance, tenant, answer).await;
    }
    lookup(instance, move |instance| answer(instance, &AtomicBool::new(false))).await
}

/// `GET /api/machines/{id}`: one machine, by id or by computer name.
pub async fn get(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    wanted: Representation<Machines>,
    Key(id): Key,
    _: NoRows,
) -> Result<Response, Failure> {
    lookup(instance, move |instance| {
        let members = instance.store.machine(&caller.scope, &id)?;
        let members = members.ok_or_else(|| Failure::not_found("Machine", &id))?;
        Ok(entity(&wanted, &members))
    })
    .await
}

/// `GET /api/machines/findbytag?tag=…`: the machines with a tag, whatever its case, or with one that begins
/// so (`useStartsWithFilter=true`), and that pass `$filter`. Names of parameters compare without case.
pub async fn find_by_tag(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    wanted: Representation<Machines>,
    options: ListOptions,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let tagged = tagged(query.as_deref().unwrap_or_default())?;
    let asked = options.of(&odata::MACHINE, Expands::Nothing, &caller, &instance)?;
    let asked = asked.only(&machine::SHAPE, tagged).map_err(|error| not_looked_for(&error))?;
    walk(instance, caller.scope.tenant(), move |instance, stop| {
        let list = instance.store.list_machines(&caller.scope, &asked.related(stop))?;
        Ok(Collection::counting(&wanted, list.about().count).finish_with(list, None))
    })
    .await
}

fn tagged(query: &str) -> Result<Condition, Failure> {
    let value = |wanted: &str| {
        let found = form::pairs(query).find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.trim().to_owned())
    };
    let tag = value("tag").filter(|tag| !tag.is_empty()).ok_or_else(|| Failure::missing_parameter("tag"))?;
    let begins = match value("useStartsWithFilter") {
        None => false,
        Some(text) => text
            .to_ascii_lowercase()
            .parse()
            .map_err(|_| Failure::input(format!("useStartsWithFilter '{text}' is neither true nor false")))?,
    };
    let element = match begins {
        true => Condition::text(Operand::ELEMENT, TextTest::StartsWith, &tag),
        false => Condition::compare(Operand::ELEMENT, Comparison::Eq, Literal::Text(tag)),
    };
    element
        .and_then(|element| Condition::elements(machine::MACHINE_TAGS, Quantifier::Any, None, element))
        .map_err(|error| not_looked_for(&error))
}

fn not_looked_for(error: &BadCondition) -> Failure {
    Failure::input(format!("The tag cannot be looked for: {error}"))
}
