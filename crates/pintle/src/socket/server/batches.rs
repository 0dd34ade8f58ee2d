//! What came in, when, from where.

use axum::Json;
use axum::extract::{Query, State};
use pintle_model::Time;
use pintle_store::{BatchInfo, Page};

use super::{Owner, Refused, ask, scope, unusable, wire};

pub(super) async fn list(
    State(instance): Owner,
    Query(asked): Query<wire::BatchesAsked>,
) -> Result<Json<Vec<wire::Batch>>, Refused> {
    let scope = scope(&instance, &asked.tenant)?;
    let since = asked.since.as_deref().map(time).transpose()?;
    let page = Page { skip: asked.skip, top: asked.top };
    let batches = ask(&instance, move |store| store.batches(&scope, since, &asked.source, page)).await?;
    Ok(Json(batches.iter().map(shown).collect()))
}

/// A time as somebody wrote it.
pub(super) fn time(text: &str) -> Result<Time, Refused> {
    Time::parse(text).ok_or_else(|| {
        unusable(format!("`{text}` is no time: write it like 2026-01-31 or 2026-01-31T12:00:00Z"))
    })
}

fn shown(batch: &BatchInfo) -> wire::Batch {
    wire::Batch {
        time: batch.received.to_string(),
        id: hex(&batch.id),
        source: batch.source.clone(),
        records: batch.records,
        kept_aside: batch.rejects,
    }
}

/// A batch's id as it is shown.
pub(super) fn hex(id: &[u8; 32]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
