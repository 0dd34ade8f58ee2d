//! The API's handlers: one file a resource, one function an endpoint, each the story of its call:
//! what is asked, where it is looked up, how the answer is dressed.
//!
//! What is asked of one thing is looked up where the request stands, as long as that is quick; what
//! walks over many things runs on a blocking thread from the start.

pub mod admin;
pub mod alert_lists;
pub mod alerts;
pub mod domains;
pub mod files;
pub mod hash_list;
pub mod ingest;
pub mod ips;
pub mod machines;
mod observed;
pub mod users;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pintle_model::TenantId;

use crate::http::error::Failure;
use crate::instance::Instance;
use crate::slots::{Slot, Slots};

/// Runs a lookup: right here while lookups are quick, because to hand it over and be woken again
/// costs several times what it takes itself; on a thread of its own while they are not ([`Pace`]).
/// Either way its answer is at most one piece of a long list: the others follow as they are read.
///
/// [`Pace`]: crate::pace::Pace
async fn lookup<T: Send + 'static>(
    instance: Arc<Instance>,
    work: impl FnOnce(&Instance) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    if instance.pace.is_quick() {
        instance.pace.time(|| work(&instance))
    } else {
        blocking(move || instance.pace.time(|| work(&instance))).await
    }
}

/// Runs what may take long on a thread where that disturbs nobody.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(Failure::internal)?
}

/// The same of work that is stopped once nobody waits for its answer: it is told by the flag.
async fn stoppable<T: Send + 'static>(
    work: impl FnOnce(&AtomicBool) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let stop = StopWhenDropped(Arc::default());
    let flag = Arc::clone(&stop.0);
    blocking(move || work(&flag)).await
}

/// The same of work that walks over many things, of which a few are at work at once, half of them one
/// tenant's: the others wait for a while.
async fn walk<T: Send + 'static>(
    instance: Arc<Instance>,
    of: TenantId,
    work: impl FnOnce(&Instance, &AtomicBool) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let slot = turn(&instance, &instance.walk_slots, of).await?;
    stoppable(move |stop| {
        let _until_it_ends = slot;
        work(&instance, stop)
    })
    .await
}

/// A place among those who are at work. Whoever waits for it longer than for a body is told to come again.
async fn turn(instance: &Instance, slots: &Slots, of: TenantId) -> Result<Slot, Failure> {
    let patience = instance.config.server.limits.body_timeout;
    slots.wait(of, patience).await.ok_or_else(|| Failure::overloaded(patience.as_secs()))
}

/// Goes with the request: when the client does, and when it has its answer.
struct StopWhenDropped(Arc<AtomicBool>);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
