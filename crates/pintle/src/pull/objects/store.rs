//! The store that a section of the settings names, with its credentials.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ObjectMeta, ObjectStore, ObjectStoreExt as _, RetryConfig};

use super::folder::Walk;
use super::take::Failed;
use crate::config::pull::{Objects, Place, Store};
use crate::pull::credentials;
use crate::pull::http::Client;

/// A place of which everything is fetched.
pub struct Opened {
    pub store: Arc<dyn ObjectStore>,
    /// If it is a folder, which.
    folder: Option<PathBuf>,
    /// What the objects' names begin with.
    prefix: Path,
    /// Whether lists are in the order of the names.
    pub is_ordered: bool,
}

/// A list of objects. One that cannot be listed is one that cannot be taken; any other failure is the end.
pub type List = BoxStream<'static, Result<ObjectMeta, Failed>>;

impl Opened {
    /// Lists what there is, of a store from behind a name on.
    pub fn list(&self, from: Option<&Path>) -> Result<List, Failed> {
        let store = Arc::clone(&self.store);
        let Some(folder) = &self.folder else {
            let list = match from {
                Some(from) => store.list_with_offset(Some(&self.prefix), from),
                None => store.list(Some(&self.prefix)),
            };
            return Ok(list.map_err(Failed::listing).boxed());
        };
        let walk =
            Walk::new(folder).map_err(|error| Failed::Store(format!("{}: {error}", folder.display())))?;
        let list = stream::iter(walk).filter_map(move |name| {
            let store = Arc::clone(&store);
            async move {
                let name = match name {
                    Ok(name) => name,
                    Err(reason) => return Some(Err(Failed::Object(reason))),
                };
                match store.head(&name).await {
                    Ok(meta) => Some(Ok(meta)),
                    Err(object_store::Error::NotFound { .. }) => None,
                    Err(error) => Some(Err(Failed::Object(format!("{name}: {error}")))),
                }
            }
        });
        Ok(list.boxed())
    }
}

/// Opens a place. The reason why it cannot be done has nothing of the credentials.
pub fn open(settings: &Objects, place: &Place, client: &Client) -> Result<Opened, String> {
    let said = |error: object_store::Error| error.to_string();
    let credentials = match &settings.credentials_file {
        Some(file) => credentials::read(file)?,
        None => Vec::new(),
    };
    if settings.url.store == Store::Folder {
        let store = LocalFileSystem::new_with_prefix(&place.prefix).map_err(said)?;
        let folder = Some(PathBuf::from(&place.prefix));
        return Ok(Opened { store: Arc::new(store), folder, prefix: Path::default(), is_ordered: false });
    }
    let prefix = Path::parse(&place.prefix).map_err(|error| error.to_string())?;
    let store: Arc<dyn ObjectStore> = match settings.url.store {
        Store::S3 => Arc::new(s3(settings, place, client, credentials)?.build().map_err(said)?),
        _ => Arc::new(azure(settings, place, client, credentials)?.build().map_err(said)?),
    };
    Ok(Opened { store, folder: None, prefix, is_ordered: true })
}

/// What object_store does itself against short troubles, before it is a trouble here.
fn retrying() -> RetryConfig {
    RetryConfig {
        max_retries: 3,
        retry_timeout: Duration::from_secs(60),
        backoff: BackoffConfig { max_backoff: Duration::from_secs(5), ..BackoffConfig::default() },
    }
}

fn s3(
    settings: &Objects,
    place: &Place,
    client: &Client,
    credentials: Vec<(String, String)>,
) -> Result<AmazonS3Builder, String> {
    let mut store = if credentials.is_empty() { AmazonS3Builder::from_env() } else { AmazonS3Builder::new() };
    for (name, value) in credentials {
        let key: AmazonS3ConfigKey =
            name.to_ascii_lowercase().parse().map_err(|_| unknown(settings, &name))?;
        store = store.with_config(key, value);
    }
    if let Some(region) = &settings.region {
        store = store.with_region(region);
    }
    if let Some(endpoint) = &settings.endpoint {
        store = store.with_endpoint(endpoint.as_str()).with_allow_http(endpoint.is_plain());
    }
    Ok(store.with_bucket_name(&place.bucket).with_retry(retrying()).with_http_connector(client.clone()))
}

fn azure(
    settings: &Objects,
    place: &Place,
    client: &Client,
    credentials: Vec<(String, String)>,
) -> Result<MicrosoftAzureBuilder, String> {
    let is_platforms = credentials.is_empty();
    let mut store =
        if is_platforms { MicrosoftAzureBuilder::from_env() } else { MicrosoftAzureBuilder::new() };
    for (name, value) in credentials {
        let key: AzureConfigKey = name.to_ascii_lowercase().parse().map_err(|_| unknown(settings, &name))?;
        store = store.with_config(key, value);
    }
    if let Some(account) = &settings.account {
        store = store.with_account(account);
    }
    if let Some(endpoint) = &settings.endpoint {
        store = store.with_endpoint(endpoint.as_str().to_owned()).with_allow_http(endpoint.is_plain());
    }
    Ok(store.with_container_name(&place.bucket).with_retry(retrying()).with_http_connector(client.clone()))
}

fn unknown(settings: &Objects, name: &str) -> String {
    let file = settings.credentials_file.as_deref().unwrap_or(FilePath::new(""));
    // What stands there may be half of a secret.
    let shown: String = name.chars().take(4).collect();
    format!("{}: {shown:?}… is no name of a credential of that platform", file.display())
}
