//! What makes the base anew while it is in use: a rebuild, and a purge, which is planned first so
//! that whoever asks sees what is meant.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::response::Response;
use pintle_model::{MachineId, Time};
use pintle_store::{Batch, BatchInfo, Error, Page, Progress, Purge, Purged, Replayed, Scope, Store};
use serde::Deserialize;

use super::batches::{hex, time};
use super::{Owner, Peer, Refused, ask, audited, long, scope, unusable, wire};
use crate::audit::Entry;
use crate::instance::Instance;

/// The fewest digits of a batch's id that name it.
const FEWEST_DIGITS: usize = 8;

/// Says what a purge would take out.
pub(super) async fn plan(
    State(instance): Owner,
    Json(asked): Json<wire::PurgeAsked>,
) -> Result<Json<wire::PurgePlan>, Refused> {
    let scope = scope(&instance, &asked.tenant)?;
    let tenant = scope.tenant();
    let named = instance.control.tenants().into_iter().find(|named| named.id == tenant);
    let name = named.map_or(asked.tenant, |named| named.name);
    let now = instance.now();
    let planned = ask(&instance, move |store| Ok(meant(store, &scope, asked.what, now))).await?;
    let Meant { what, meant, size } = planned?;
    Ok(Json(wire::PurgePlan { purge: Purge { tenant, what }, tenant: name, meant, size }))
}

/// What is to be purged, found.
struct Meant {
    what: Purged,
    meant: String,
    size: Option<wire::PurgeSize>,
}

fn meant(store: &Store, scope: &Scope, asked: wire::ToPurge, now: Time) -> Result<Meant, Refused> {
    let of = |what, meant| Meant { what, meant, size: None };
    Ok(match asked {
        wire::ToPurge::Batch(digits) => {
            let batch = batch(store, scope, &digits)?;
            let meant = format!("batch {} of {}, from {}", hex(&batch.id), batch.received, batch.source);
            Meant { what: Purged::Batch(batch.id), meant, size: Some(size([&batch])) }
        }
        wire::ToPurge::Source(source) if source == Batch::PEOPLE => {
            return Err(unusable(format!(
                "`{source}` is no source of telemetry but stands for what people changed: --user takes out what \
                 one of them changed, --batch a single change"
            )));
        }
        wire::ToPurge::Source(source) => {
            let mut batches = store.batches(scope, None, &source, Page::ALL)?;
            batches.retain(|batch| batch.source == source);
            if batches.is_empty() {
                return Err(unusable(format!(
                    "nothing came from a source `{source}`: `pintle batches` lists what came from where"
                )));
            }
            let meant = format!("all that came from {source}");
            Meant { what: Purged::Source(source), meant, size: Some(size(&batches)) }
        }
        wire::ToPurge::Machine(named) => {
            let (id, name, others) = machine(store, scope, &named)?;
            let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
            let stays =
                if others.is_empty() { String::new() } else { format!("; {} stay", others.join(", ")) };
            of(Purged::Machine(id.clone()), format!("all that is about the machine {id}{name}{stays}"))
        }
        wire::ToPurge::User(user) => {
            if user.trim().is_empty() {
                return Err(unusable("a user has a name"));
            }
            let meant = format!("all that names the user {user}");
            of(Purged::User(user), meant)
        }
        wire::ToPurge::Before(text) => {
            let before = time(&text)?;
            if before > now {
                return Err(unusable(format!(
                    "{before} is yet to come, so everything would go: --tenant alone takes out everything"
                )));
            }
            of(Purged::Before(before), format!("all that happened before {before}"))
        }
        wire::ToPurge::Tenant => {
            let batches = store.batches(scope, None, "", Page::ALL)?;
            Meant { what: Purged::Tenant, meant: "EVERYTHING".to_owned(), size: Some(size(&batches)) }
        }
    })
}

fn size<'a>(batches: impl IntoIterator<Item = &'a BatchInfo>) -> wire::PurgeSize {
    let mut size = wire::PurgeSize::default();
    for batch in batches {
        size.batches += 1;
        size.records += batch.records;
        size.kept_aside += batch.rejects;
    }
    size
}

/// The one batch whose id begins so.
fn batch(store: &Store, scope: &Scope, digits: &str) -> Result<BatchInfo, Refused> {
    let digits = digits.to_ascii_lowercase();
    if digits.len() < FEWEST_DIGITS || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(unusable(format!(
            "`{digits}` names no batch: give its id, or the first {FEWEST_DIGITS} of its digits or more"
        )));
    }
    let mut batches = store.batches(scope, None, "", Page::ALL)?;
    batches.retain(|batch| hex(&batch.id).starts_with(&digits));
    match (batches.pop(), batches.is_empty()) {
        (Some(batch), true) => Ok(batch),
        (Some(_), false) => Err(unusable(format!("several batches begin with {digits}: give more digits"))),
        (None, _) => Err(unusable(format!(
            "no batch begins with {digits}: `pintle batches` lists them, --tenant names another tenant"
        ))),
    }
}

/// The members by which a machine is told.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    id: String,
    computer_dns_name: Option<String>,
}

/// A machine's id, and its name if there is one, by either of the two; and the other ids of the same machine.
/// A name that several machines have names none, nor does one of a machine of several ids: records are about
/// one of these. An id of 40 digits need not be known: what has expired is only in the archive.
fn machine(
    store: &Store,
    scope: &Scope,
    named: &str,
) -> Result<(MachineId, Option<String>, Vec<String>), Refused> {
    let ids = store.machine_ids(scope, named)?.unwrap_or_default();
    if ids.len() > 1 {
        let (named_ids, others): (Vec<MachineId>, Vec<MachineId>) =
            ids.into_iter().partition(|id| id.as_str().eq_ignore_ascii_case(named));
        let others: Vec<String> = others.iter().map(ToString::to_string).collect();
        return match named_ids.into_iter().next() {
            Some(id) => Ok((id, None, others)),
            None => Err(unusable(format!(
                "{named} is known by several ids: name one of them, of {}",
                others.join(", ")
            ))),
        };
    }
    let members = store.machine(scope, named)?;
    let found: Option<Named> = members.map(|members| read(&format!("{{{members}}}"))).transpose()?;
    let Some(found) = found else {
        let id = named.to_ascii_lowercase();
        return match id.parse() {
            Ok(id) if named.len() == 40 && named.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
                Ok((id, None, Vec::new()))
            }
            _ => Err(unusable(format!("no machine `{named}`: `pintle machines` lists them"))),
        };
    };
    if !found.id.eq_ignore_ascii_case(named) {
        let mut list = b"[".to_vec();
        store.machines(scope, Page::ALL, &mut list)?;
        list.push(b']');
        let all: Vec<Named> = read(&String::from_utf8_lossy(&list))?;
        let lower = named.to_lowercase();
        let has_it = |machine: &&Named| {
            machine.computer_dns_name.as_ref().is_some_and(|name| name.to_lowercase() == lower)
        };
        let ids: Vec<&str> = all.iter().filter(has_it).map(|machine| machine.id.as_str()).collect();
        if ids.len() > 1 {
            return Err(unusable(format!(
                "several machines are called {named}: name one by its id, of {}",
                ids.join(", ")
            )));
        }
    }
    Ok((found.id.parse().map_err(unusable)?, found.computer_dns_name, Vec::new()))
}

fn read<T: for<'de> Deserialize<'de>>(json: &str) -> Result<T, Refused> {
    serde_json::from_str(json).map_err(unusable)
}

/// Takes out what a plan said.
pub(super) async fn purge(
    State(instance): Owner,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Json(purge): Json<Purge>,
) -> Response {
    let (tenant, what) = (purge.tenant, serde_json::to_string(&purge.what).unwrap_or_default());
    tracing::warn!(uid = peer.uid, pid = peer.pid, %tenant, what, "a purge was asked for");
    let written = |action| Entry::new(peer.into(), action).in_tenant(tenant).with("what", what.as_str());
    let (asked, entry) = (written("purge.asked"), written("purge"));
    let (audit, its) = (Arc::clone(&instance.audit), Arc::clone(&instance));
    remade(instance, entry, move |store, progress| {
        // Stopped half-way it is done again at the next start, which does not know who asked.
        audit.record(asked).map_err(|error| unusable(format!("nothing was purged: {error}")))?;
        match store.purge(std::slice::from_ref(&purge), progress) {
            Ok(remade) => {
                let pintle_store::Remade { records, rejects, batches, .. } = remade;
                tracing::warn!(uid = peer.uid, %tenant, what, records, rejects, batches, "purged");
                match &purge.what {
                    Purged::Source(source) => its.sources.forget(tenant, Some(source)),
                    Purged::Tenant => its.sources.forget(tenant, None),
                    _ => {}
                }
                Ok(remade)
            }
            Err(error) => {
                tracing::error!(uid = peer.uid, %tenant, what, %error, "nothing was purged");
                Err(unusable(match error {
                    Error::ArchiveIncomplete(_) => format!(
                        "nothing was purged, since a purge makes the base again from all of the archive: \
                         {error}; archive.max_age and archive.max_bytes in the settings drop parts of it"
                    ),
                    error => format!("nothing was purged: {error}"),
                }))
            }
        }
    })
}

/// Makes the base again.
pub(super) async fn rebuild(State(instance): Owner, ConnectInfo(peer): ConnectInfo<Peer>) -> Response {
    tracing::info!("the base is made again from the archive");
    remade(
        instance,
        Entry::new(peer.into(), "rebuild"),
        |store, progress| Ok(store.rebuild_online(progress)?),
    )
}

/// Answers how far making the base anew has come, and what came of it.
fn remade(
    instance: Arc<Instance>,
    entry: Entry,
    make: impl FnOnce(&Store, &mut dyn FnMut(Replayed)) -> Result<pintle_store::Remade, Refused> + Send + 'static,
) -> Response {
    long(move |come| {
        let (started, mut last) = (Instant::now(), Replayed::default());
        let remade = make(&instance.store, &mut |now: Replayed| {
            last = now;
            come(Progress { bytes: now.bytes, bytes_total: now.bytes_total });
        });
        let remade = audited(&instance, remade, entry, |entry, remade| {
            entry.with("records", remade.records).with("kept", remade.kept)
        })?;
        Ok::<_, Refused>(wire::Remade {
            records: remade.records,
            kept_aside: remade.rejects,
            batches: remade.batches,
            records_left: remade.kept,
            batches_left: last.batches,
            seconds: started.elapsed().as_secs_f64(),
        })
    })
}
