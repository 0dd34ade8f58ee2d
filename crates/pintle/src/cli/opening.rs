//! What `serve` serves: the instance of the data folder, over HTTP and over the folder's socket.

use std::sync::Arc;

use pintle_store::Folder;

use super::serve::{OpenError, Opened, Opening};
use crate::http::routes;
use crate::instance::Instance;
use crate::retention;
use crate::socket;

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
    let keeping = tokio::spawn(Arc::clone(&instance).keep_quotas());
    let auditing = tokio::spawn(Arc::clone(&instance).keep_audit());
    let exchanging = tokio::spawn(Arc::clone(&instance).keep_keys());
    let forgetting = tokio::spawn(retention::keep(Arc::clone(&instance)));
    let router = routes::router(Arc::clone(&instance));
    let finish = move || {
        keeping.abort();
        auditing.abort();
        exchanging.abort();
        forgetting.abort();
        if let Err(error) = instance.quotas.save(instance.now()) {
            tracing::error!(%error, "the quota counts cannot be written: a restart will forget them");
        }
        instance.close_audit();
        if let Err(error) = instance.store.close() {
            tracing::warn!(%error, "what came in could not be written to the base: the next start reads it again");
        }
    };
    Ok(Opened { router, drain: Box::pin(listening.close()), finish: Box::new(finish) })
}
