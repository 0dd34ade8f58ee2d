//! Files. Their facts are tenant-wide: no device group narrows them.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use pintle_model::FileHash;
use pintle_store::Page;

use super::lookup;
use crate::config::Profile;
use crate::http::caller::Caller;
use crate::http::envelope::{Collection, entity};
use crate::http::error::Failure;
use crate::http::origin::Origin;
use crate::http::page::{NoRows, Rows};
use crate::http::path::Key;
use crate::instance::Instance;

/// `GET /api/files/{id}`: what is known of a file.
pub async fn get(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    origin: Origin,
    Key(id): Key,
    _: NoRows,
) -> Result<Response, Failure> {
    let hash = hash(&id)?;
    lookup(instance, move |instance| {
        let members = instance.store.file(&caller.scope, &hash)?;
        let members = members.ok_or_else(|| Failure::not_found("File", &id))?;
        Ok(entity("Files", &origin, &members))
    })
    .await
}

/// `GET /api/files/{id}/machines`: the machines with a record of this file that the caller may
/// see. No page size is published for it, so without `$top` all of them are given.
///
/// An unknown file is a 404 in the profile `2021`, as the normative page says, and an empty list in
/// `today`. A known file seen only on hidden machines is an empty list in both.
pub async fn machines(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    origin: Origin,
    Key(id): Key,
    rows: Rows,
) -> Result<Response, Failure> {
    let hash = hash(&id)?;
    lookup(instance, move |instance| {
        let page = Page { skip: rows.skip, top: rows.top.unwrap_or(usize::MAX) };
        let mut machines = Collection::of("Machines", &origin);
        match instance.store.list_file_machines(&caller.scope, &hash, page)? {
            Some((list, found)) => {
                machines.tell_gaps(&found);
                Ok(machines.finish_with(list, None))
            }
            None if instance.config.api.profile == Profile::Today => Ok(machines.finish(None)),
            None => Err(Failure::not_found("File", &id)),
        }
    })
    .await
}

/// A hash of any of the three kinds; its length decides which. Today's pages take SHA-1 only.
fn hash(id: &str) -> Result<FileHash, Failure> {
    id.parse().map_err(|_| Failure::invalid_hash(id))
}
