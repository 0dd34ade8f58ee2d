//! What `serve` serves: the instance of the data folder, over HTTP and over the folder's socket.

use std::sync::Arc;

use pintle_store::Folder;

use super::serve::{OpenError, Opened, Opening};
use crate::http::routes;
use crate::instance::Instance;
#[cfg(feature = "kafka")]
use crate::kafka::Consuming;
use crate::pull::Pulling;
use crate::retention;
use crate::socket;
use crate::sources;
use crate::troubles;
use crate::watch::Watching;

/// Opens the data folder.
pub(super) fn open(opening: Opening) -> Result<Opened, OpenError> {
    let clock = pintle_store::Options::default().clock;
    let Opening { folder, config, metrics, mut progress, .. } = opening;
    let folder = Folder::lock(&folder)?;
    let instance = Instance::open_in(folder, config, clock, &mut |replayed| {
        progress.came(replayed.bytes, replayed.bytes_total);
    })?;
    let instance = Arc::new(instance.counting_in(metrics));
    for section in instance.sections_without_tenant() {
        tracing::warn!(section = %format!("tenants.{section}"), "there is no such tenant: the section has no effect");
    }
    let listening = socket::listen(Arc::clone(&instance))?;
    let watching = Watching::start(&instance)?;
    let pulling = Pulling::start(&instance)?;
    #[cfg(feature = "kafka")]
    let consuming = Consuming::start(&instance)?;
    let keeping = tokio::spawn(Arc::clone(&instance).keep_quotas());
    let auditing = tokio::spawn(Arc::clone(&instance).keep_audit());
    let exchanging = tokio::spawn(Arc::clone(&instance).keep_keys());
    let listing = tokio::spawn(sources::keep(Arc::clone(&instance)));
    let forgetting = tokio::spawn(retention::keep(Arc::clone(&instance)));
    let looking = tokio::spawn(troubles::keep(Arc::clone(&instance)));
    let router = routes::router(Arc::clone(&instance));
    let finish = move || {
        keeping.abort();
        auditing.abort();
        exchanging.abort();
        forgetting.abort();
        listing.abort();
        looking.abort();
        if let Err(error) = instance.sources.save() {
            tracing::error!(%error, "what is known of the sources cannot be written: a restart will forget it");
        }
        if let Err(error) = instance.quotas.save(instance.now()) {
            tracing::error!(%error, "the quota counts cannot be written: a restart will forget them");
        }
        instance.close_audit();
        if let Err(error) = instance.store.close() {
            tracing::warn!(%error, "what came in could not be written to the base: the next start reads it again");
        }
    };
    let drain = async {
        let watched = tokio::task::spawn_blocking(|| watching.end());
        let pulled = tokio::task::spawn_blocking(|| pulling.end());
        #[cfg(feature = "kafka")]
        let consumed = tokio::task::spawn_blocking(|| consuming.end());
        listening.close().await;
        if let Err(error) = watched.await {
            tracing::error!(%error, "watching folders did not end");
        }
        if let Err(error) = pulled.await {
            tracing::error!(%error, "fetching from stores did not end");
        }
        #[cfg(feature = "kafka")]
        if let Err(error) = consumed.await {
            tracing::error!(%error, "taking topics of Kafka did not end");
        }
    };
    Ok(Opened { router, drain: Box::pin(drain), finish: Box::new(finish) })
}
