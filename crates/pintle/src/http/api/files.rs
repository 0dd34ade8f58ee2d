//! Files. Their facts are tenant-wide: no device group narrows them.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::extract::State;
use axum::response::Response;
use pintle_model::{FileHash, Time};
use pintle_store::FileStats;
use serde_json::json;

use super::{lookup, walk};
use crate::http::caller::Caller;
use crate::http::envelope::{Collection, entity, statistics};
use crate::http::error::Failure;
use crate::http::list::{Expands, ListOptions};
use crate::http::look_back::LookBack;
use crate::http::odata;
use crate::http::page::NoRows;
use crate::http::path::Key;
use crate::http::representation::Representation;
use crate::http::resource::{Files, InOrgFileStats, Machines};
use crate::http::unknown::Unknown;
use crate::instance::Instance;

/// `GET /api/files/{id}`: what is known of a file.
pub async fn get(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    wanted: Representation<Files>,
    Key(id): Key,
    _: NoRows,
) -> Result<Response, Failure> {
    let hash = hash(&id)?;
    lookup(instance, move |instance| {
        let members = instance.store.file(&caller.scope, &hash)?;
        let members = members.ok_or_else(|| Failure::not_found("File", &id))?;
        Ok(entity(&wanted, &members))
    })
    .await
}

/// `GET /api/files/{id}/machines`: the machines with a record of this file that the caller may
/// see. No page size is published for it, so without `$top` all of them are given.
///
/// An unknown file is a 404 in the profile `2021`, as the normative page says, and an empty list in
/// `today` unless the caller prefers to know. A known file seen only on hidden machines is an empty list in both.
pub async fn machines(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    wanted: Representation<Machines>,
    Key(id): Key,
    options: ListOptions,
    unknown: Unknown,
) -> Result<Response, Failure> {
    let hash = hash(&id)?;
    let asked = options.of(&odata::MACHINE, Expands::Nothing, &caller, &instance)?;
    let (is_long, tenant) = (asked.is_long(), asked.tenant());
    let answer = move |instance: &Instance, stop: &AtomicBool| match instance.store.list_file_machines(
        &caller.scope,
        &hash,
        &asked.related(stop),
    )? {
        Some((list, found)) => {
            let mut machines = Collection::counting(&wanted, list.about().count);
            machines.tell_gaps(&found);
            Ok(machines.finish_with(list, None))
        }
        None => {
            unknown.answer("File", &id, || Collection::counting(&wanted, asked.count_of_none()).finish(None))
        }
    };
    if is_long {
        return walk(instance, tenant, answer).await;
    }
    lookup(instance, move |instance| answer(instance, &AtomicBool::new(false))).await
}

/// `GET /api/files/{id}/stats`: how common a file is. What is world-wide in Defender is all of the
/// tenant's time here. Each count stands there twice, as text and as a number. Unknown in both profiles: a
/// 404.
pub async fn stats(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    wanted: Representation<InOrgFileStats>,
    Key(id): Key,
    LookBack(look_back): LookBack,
    _: NoRows,
) -> Result<Response, Failure> {
    let hash = hash(&id)?;
    lookup(instance, move |instance| {
        let stats = instance.store.file_stats(&caller.scope, &hash, look_back)?;
        let stats = stats.ok_or_else(|| Failure::not_found("File", &id))?;
        Ok(statistics(&wanted, &members(&stats)))
    })
    .await
}

/// The members of an `InOrgFileStats`, in wire order.
fn members(stats: &FileStats) -> String {
    let FileStats { sha1, recent_machines, recent, machines, ever, names } = stats;
    let time = |time: Option<Time>| time.map(|time| time.to_string());
    let all = json!({
        "sha1": sha1,
        "orgPrevalence": recent_machines.to_string(),
        "organizationPrevalence": recent_machines,
        "orgFirstSeen": time(recent.map(|span| span.first)),
        "orgLastSeen": time(recent.map(|span| span.last)),
        "globalPrevalence": machines.to_string(),
        "globallyPrevalence": machines,
        "globalFirstObserved": time(ever.map(|span| span.first)),
        "globalLastObserved": time(ever.map(|span| span.last)),
        "topFileNames": names,
    });
    let all = all.to_string();
    all.strip_prefix('{').and_then(|all| all.strip_suffix('}')).unwrap_or_default().to_owned()
}

/// A hash of any of the three kinds; its length decides which. Today's pages take SHA-1 only.
fn hash(id: &str) -> Result<FileHash, Failure> {
    id.parse().map_err(|_| Failure::invalid_hash(id))
}
