//! Finds whoever owns a data folder, or becomes it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::client::{Client, ClientError};
use super::server::{ListenError, Listening, listen};
use crate::config::Config;
use crate::instance::{Instance, OpenError};

/// How long to wait for a process that has the folder but does not listen yet, or listens no more.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a command has nobody to speak to.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The folder is not there: nothing was ever ingested, or it is another one.
    #[error("there is no data in {}: `pintle ingest` puts some in, --data names another folder", .0.display())]
    NoData(PathBuf),
    /// A process has the folder and says nothing.
    #[error("{} is in use by another pintle that does not answer: see whether it is starting or stopping", .0.display())]
    Silent(PathBuf),
    /// The folder cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The socket cannot be made.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The one who owns the folder does not answer as it should.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// A command's way to a data folder.
pub struct Session {
    /// Speaks to the owner.
    pub client: Client,
    /// The owner, if it is this process.
    own: Option<(Listening, Arc<Instance>)>,
}

impl Session {
    /// For what reads: the folder must be there.
    pub async fn with_existing(folder: &Path, config: &Config) -> Result<Session, SessionError> {
        if !folder.exists() {
            return Err(SessionError::NoData(folder.to_owned()));
        }
        Session::with(folder, config).await
    }

    /// For what writes: the folder is made if it is not there.
    pub async fn with(folder: &Path, config: &Config) -> Result<Session, SessionError> {
        let patience = tokio::time::Instant::now() + PATIENCE;
        loop {
            match Client::connect(folder).await {
                Ok(client) => return Ok(Session { client, own: None }),
                Err(ClientError::Nobody(_)) => {}
                Err(error) => return Err(error.into()),
            }
            match own(folder, config).await {
                Ok(own) => return Ok(Session { client: Client::connect(folder).await?, own: Some(own) }),
                // Taken in between, or by one that is still opening the store.
                Err(SessionError::Open(error)) if error.is_in_use() => {
                    if tokio::time::Instant::now() >= patience {
                        return Err(SessionError::Silent(folder.to_owned()));
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Lets go of the folder, if it was taken.
    pub async fn end(self) {
        if let Some((listening, instance)) = self.own {
            listening.close().await;
            // The archive has it all; without this the next to open the folder takes longer.
            let close = move || {
                instance.close_audit();
                if let Err(error) = instance.sources.save() {
                    tracing::warn!(%error, "what is known of the sources could not be written");
                }
                instance.store.close()
            };
            let closed = tokio::task::spawn_blocking(close).await;
            if let Ok(Err(error)) = closed {
                tracing::warn!(%error, "what came in could not be written to the base");
            }
        }
    }
}

async fn own(folder: &Path, config: &Config) -> Result<(Listening, Arc<Instance>), SessionError> {
    let (folder, config) = (folder.to_owned(), config.clone());
    let clock = pintle_store::Options::default().clock;
    let opened = tokio::task::spawn_blocking(move || Instance::open(&folder, config, clock)).await;
    let instance = match opened {
        Ok(opened) => opened?,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    };
    let instance = Arc::new(instance);
    Ok((listen(Arc::clone(&instance))?, instance))
}
