//! Where a command's data is, and how it gets there.

use std::path::PathBuf;

use super::Failure;
use crate::config::{Config, Loaded, Sources};
use crate::socket::{Session, wire};

/// The tenant of whoever names none.
pub(super) const DEFAULT_TENANT: &str = "default";

/// Which data a command is about
#[derive(Clone, Debug, clap::Args)]
pub struct Place {
    /// The tenant, by name or id
    #[arg(long, value_name = "TENANT", default_value = DEFAULT_TENANT)]
    pub tenant: String,
    /// The folder.
    #[command(flatten)]
    pub folder: Folder,
}

/// Which data folder a command is about
#[derive(Clone, Debug, clap::Args)]
pub struct Folder {
    /// The data folder, instead of the configured one
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// The configuration file, instead of the usual one
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Which data folder, and how what comes of it is printed
#[derive(Debug, clap::Args)]
pub struct Where {
    /// The folder.
    #[command(flatten)]
    pub folder: Folder,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

impl Folder {
    /// The folder, which must be there already.
    pub async fn find(&self) -> Result<Session, Failure> {
        let (config, folder) = self.resolve()?;
        Ok(Session::with_existing(&folder, &config).await?)
    }

    /// The folder, made if it is not there.
    pub async fn take(&self) -> Result<Session, Failure> {
        let (config, folder) = self.resolve()?;
        Ok(Session::with(&folder, &config).await?)
    }

    /// The settings and the folder.
    pub fn resolve(&self) -> Result<(Config, PathBuf), Failure> {
        let sources = Sources::gather(self.config.as_deref(), Vec::new())?;
        let mut config = Loaded::from_sources(&sources)?.config;
        if let Some(folder) = &self.data {
            config.data.folder = Some(folder.clone());
        }
        match config.data_folder() {
            Some(folder) => Ok((config, folder)),
            None => Err(Failure::Usage(
                "there is no home folder to keep data in: name a data folder with --data".to_owned(),
            )),
        }
    }
}

impl Place {
    /// The folder, which must be there already.
    pub async fn find(&self) -> Result<Session, Failure> {
        self.folder.find().await
    }

    /// The folder, made if it is not there.
    pub async fn take(&self) -> Result<Session, Failure> {
        self.folder.take().await
    }

    /// The tenant, as the socket takes it.
    pub(crate) fn of_tenant(&self) -> wire::OfTenant {
        wire::OfTenant { tenant: self.tenant.clone() }
    }
}
