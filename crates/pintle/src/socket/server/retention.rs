//! How what is forgotten by age stands, and a run of it at once.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{ConnectInfo, State};

use super::{Owner, Peer, Refused, audited, blocking, unusable, wire};
use crate::audit::Entry;
use crate::config::value::duration_text;
use crate::instance::Instance;
use crate::retention::{self, Pause, Run, RunError, Standing};

pub(super) async fn show(State(instance): Owner) -> Result<Json<wire::Retention>, Refused> {
    blocking(move || Ok(Json(shown(&instance, instance.retention.look())))).await
}

pub(super) async fn run(
    State(instance): Owner,
    ConnectInfo(peer): ConnectInfo<Peer>,
) -> Result<Json<wire::RetentionRun>, Refused> {
    blocking(move || {
        let run = retention::run(&instance);
        let entry = Entry::new(peer.into(), "retention.run");
        let run = audited(&instance, run, entry, retention::told)?;
        Ok(Json(ran(&run)))
    })
    .await
}

impl From<RunError> for Refused {
    fn from(error: RunError) -> Refused {
        match error {
            RunError::Store(error) => error.into(),
            error => unusable(error),
        }
    }
}

pub(super) async fn resume(
    State(instance): Owner,
    ConnectInfo(peer): ConnectInfo<Peer>,
) -> Result<Json<wire::Retention>, Refused> {
    blocking(move || {
        let standing = instance.retention.resume();
        retention::show(&instance.metrics, &standing);
        let clock = standing.clock;
        tracing::warn!(uid = peer.uid, pid = peer.pid, %clock, "the clock is believed again, so what has expired is taken out");
        let entry = Entry::new(peer.into(), "retention.resumed").with("clock", clock.to_string());
        instance.audit.record(entry)?;
        Ok(Json(shown(&instance, standing)))
    })
    .await
}

fn shown(instance: &Arc<Instance>, standing: Standing) -> wire::Retention {
    let config = &instance.config;
    let text = |window: Option<Duration>| window.map(duration_text);
    let windows = instance.control.tenants().into_iter().map(|tenant| {
        let windows = config.retention_of(tenant.id, &tenant.name);
        wire::Windows {
            tenant: tenant.name,
            alerts: text(windows.alerts),
            machines: text(windows.machines),
            sightings: text(windows.sightings),
        }
    });
    wire::Retention {
        windows: windows.collect(),
        archive_max_age: text(config.archive.max_age),
        archive_max_bytes: config.archive.max_bytes.map(|size| size.to_string()),
        next_run: (config.forgets() && standing.paused.is_none()).then(|| standing.due.to_string()),
        last_run: standing.last.as_ref().map(ran),
        paused: standing.paused.map(|Pause { since, expected, found }| wire::Paused {
            since: since.to_string(),
            expected: expected.to_string(),
            found: found.to_string(),
        }),
    }
}

fn ran(run: &Run) -> wire::RetentionRun {
    wire::RetentionRun { at: run.at.to_string(), seconds: run.seconds, expired: run.expired }
}
