//! Domains: hosts that machines connected to, looked up or loaded from. Their facts are tenant-wide: no
//! device group narrows them.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use pintle_store::{Domain, Observable};
use serde_json::json;

use super::observed::{Asked, machines_of, members, stats_of};
use crate::http::caller::Caller;
use crate::http::error::Failure;
use crate::http::list::ListOptions;
use crate::http::look_back::LookBack;
use crate::http::page::NoRows;
use crate::http::path::Key;
use crate::http::representation::Representation;
use crate::http::resource::{InOrgDomainStats, Machines};
use crate::http::unknown::Unknown;
use crate::instance::Instance;

/// `GET /api/domains/{id}/machines`: the machines that had to do with exactly this host and that the
/// caller may see. Today's page caps them at 500; here all are given.
pub async fn machines(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    wanted: Representation<Machines>,
    unknown: Unknown,
    Key(domain): Key,
    options: ListOptions,
) -> Result<Response, Failure> {
    machines_of(instance, caller, (wanted, unknown), asked(domain)?, options).await
}

/// `GET /api/domains/{id}/stats`: how common a host is.
pub async fn stats(
    State(instance): State<Arc<Instance>>,
    caller: Caller,
    wanted: Representation<InOrgDomainStats>,
    unknown: Unknown,
    Key(domain): Key,
    LookBack(look_back): LookBack,
    _: NoRows,
) -> Result<Response, Failure> {
    stats_of(instance, caller, (wanted, unknown), asked(domain)?, look_back, |host, told| {
        members(json!({
            "host": host,
            "orgPrevalence": told.count.to_string(),
            "orgFirstSeen": told.first,
            "orgLastSeen": told.last,
            "organizationPrevalence": told.count,
        }))
    })
    .await
}

fn asked(text: String) -> Result<Asked, Failure> {
    let domain: Domain = text.parse().map_err(|_| Failure::invalid_domain(&text))?;
    Ok(Asked { kind: "Domain", text, observable: Observable::Domain(domain) })
}
