//! The API's handlers: one file a resource, one function an endpoint, each the story of its call:
//! what is asked, where it is looked up, how the answer is dressed.
//!
//! Whatever touches the store runs on a blocking thread: also what is known of a single thing may
//! lie under many keys, and on a slow disk.

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
