//! IP addresses: those that machines had to do with, and machines by their own.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use pintle_model::Time;
use pintle_store::{FileMachines, Listing, MachineList, Observable};
use serde_json::json;

use super::observed::{Asked, machines_of, members, stats_of};
use super::stoppable;
use crate::http::arguments::Arguments;
use crate::http::caller::Caller;
use crate::http::envelope::Collection;
use crate::http::error::Failure;
use crate::http::list::{Expands, ListOptions};
use crate::http::look_back::LookBack;
use crate::http::odata;
use crate::http::page::NoRows;
use crate::http::path::Key;
use crate::http::representation::Representation;
use crate::http::resource::{InOrgIPStats, Machines};
use crate::http::unknown::Unknown;
use crate::instance::Instance;

const MINUTE: Duration = Duration::from_secs(60);
/// How far back it may be asked who had an address.
const MOST_DAYS: u32 = 30;
/// How near to the moment a machine must have reported the address, and in the old form of the question.
const NEAR: Duration = MINUTE.saturating_mul(15);
const NEAR_IN_FIND: Duration = MINUTE.saturating_mul(16);

/// `GET /api/ips/{id}/machines`: the machines that had to do with an address and that the caller may see.
pub async fn machines(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    wanted: Representation<Machines>,
    unknown: Unknown,
    Key(ip): Key,
    options: ListOptions,
) -> Result<Response, Failure> {
    machines_of(instance, caller, (wanted, unknown), asked(ip)?, options).await
}

/// `GET /api/ips/{id}/stats`: how common an address is.
pub async fn stats(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    wanted: Representation<InOrgIPStats>,
    unknown: Unknown,
    Key(ip): Key,
    LookBack(look_back): LookBack,
    _: NoRows,
) -> Result<Response, Failure> {
    stats_of(instance, caller, (wanted, unknown), asked(ip)?, look_back, |address, told| {
        members(json!({
            "ipAddress": address,
            "orgPrevalence": told.count.to_string(),
            "organizationPrevalence": told.count,
            "orgFirstSeen": told.first,
            "orgLastSeen": told.last,
        }))
    })
    .await
}

/// `GET /api/machines/findbyip(ip='…',timestamp=…)`: the machines that reported an address as their own
/// within 15 minutes of a moment in the past 30 days. None is an empty list.
pub async fn find_by_ip(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    wanted: Representation<Machines>,
    arguments: Arguments,
    options: ListOptions,
) -> Result<Response, Failure> {
    let address = address(arguments.text("ip")?)?;
    let at = moment(&instance, &arguments, NEAR)?;
    let asked = options.of(&odata::MACHINE, Expands::Nothing, &caller, &instance)?;
    stoppable(move |stop| {
        let listing = asked.related(stop);
        Ok(list(&wanted, instance.store.list_machines_at(&caller.scope, address, at, NEAR, &listing)?))
    })
    .await
}

/// `GET /api/machines/find(timestamp=…,key='…')`: the same within 16 minutes; none is a 404, but an empty
/// list if there are some, and the options leave none of them.
pub async fn find(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    wanted: Representation<Machines>,
    arguments: Arguments,
    options: ListOptions,
) -> Result<Response, Failure> {
    let key = arguments.text("key")?.to_owned();
    let address = address(&key)?;
    let at = moment(&instance, &arguments, NEAR_IN_FIND)?;
    let asked = options.of(&odata::MACHINE, Expands::Nothing, &caller, &instance)?;
    stoppable(move |stop| {
        let of = |listing: &Listing<'_>| {
            instance.store.list_machines_at(&caller.scope, address, at, NEAR_IN_FIND, listing)
        };
        let found = of(&asked.related(stop))?;
        let is_empty = found.0.left() == 0;
        if is_empty && of(&Listing { stop: Some(stop), ..Listing::ALL })?.0.left() == 0 {
            return Err(Failure::not_found("Machine", &key));
        }
        Ok(list(&wanted, found))
    })
    .await
}

fn list(wanted: &Representation<Machines>, (list, found): (MachineList, FileMachines)) -> Response {
    let mut machines = Collection::counting(wanted, list.about().count);
    machines.tell_gaps(&found);
    machines.finish_with(list, None)
}

/// The moment that is asked about. A client's clock may be a little ahead, so one is taken of which some
/// of the time about it has been.
fn moment(instance: &Instance, arguments: &Arguments, near: Duration) -> Result<Time, Failure> {
    let (at, now) = (arguments.time("timestamp")?, instance.now());
    if at < now - MINUTE * 60 * 24 * MOST_DAYS || at > now + near {
        return Err(Failure::input(format!("timestamp {at} is not within the past {MOST_DAYS} days")));
    }
    Ok(at)
}

fn asked(text: String) -> Result<Asked, Failure> {
    let address = address(&text)?;
    Ok(Asked { kind: "Ip", text, observable: Observable::Ip(address) })
}

fn address(text: &str) -> Result<IpAddr, Failure> {
    let address = text.trim().parse::<IpAddr>().map_err(|_| Failure::invalid_address(text))?;
    Ok(address.to_canonical())
}
