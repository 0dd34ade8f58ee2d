//! The API's handlers: one file a resource, one function an endpoint, each the story of its call:
//! what is asked, where it is looked up, how the answer is dressed.
//!
//! A single thing is read on the async thread: a few keys, microseconds. Collections and the ingest
//! run on a blocking thread, since they may touch many keys and megabytes of rows.

pub mod alerts;
pub mod files;
pub mod ingest;
pub mod machines;

use crate::http::error::Failure;

/// Runs what may take long on a thread where that disturbs nobody.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(Failure::internal)?
}
