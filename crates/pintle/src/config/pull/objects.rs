//! Of sections `[pull.NAME]` what names a store of objects.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use pintle_model::tables;

use super::Endpoint;
use crate::config::section::{Name, Section};
use crate::config::value::{Value, quoted};

/// What stands in a URL for the name of each hunting table in turn.
const TABLE: &str = "{table}";

/// The keys that only these sections have.
pub(super) const KEYS: &[&str] =
    &["url", "endpoint", "region", "account", "credentials_file", "format", "forget_after"];

/// A store of objects.
#[derive(Clone, Debug, PartialEq)]
pub struct Objects {
    /// Where.
    pub url: PullUrl,
    /// The host to ask instead of the platform's.
    pub endpoint: Option<Endpoint>,
    /// The platform's region.
    pub region: Option<String>,
    /// The storage account, of Azure.
    pub account: Option<String>,
    /// A file with credentials; `None`: the platform's.
    pub credentials_file: Option<PathBuf>,
    /// The format of all of it, or a mapping's name; `None`: told from each object's content.
    pub format: Option<String>,
    /// How long an object that does not change is remembered by itself.
    pub forget_after: Duration,
}

/// The kind of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// Amazon's S3, or what speaks like it.
    S3,
    /// Azure's Blob Storage.
    Azure,
    /// A folder.
    Folder,
}

/// A store, and the beginning of the names of the objects in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullUrl {
    text: String,
    /// What kind of store it is.
    pub store: Store,
}

/// A place in a store, of which all objects are fetched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The bucket or container; of a folder nothing.
    pub bucket: String,
    /// What the objects' names begin with; of a folder its path.
    pub prefix: String,
}

impl PullUrl {
    /// Each place that it stands for: one, or one a hunting table.
    pub fn places(&self) -> Vec<Place> {
        let place = |text: &str| {
            let (_, rest) = text.split_once("://").unwrap_or_default();
            if self.store == Store::Folder {
                return Place { bucket: String::new(), prefix: rest.to_owned() };
            }
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            Place { bucket: bucket.to_owned(), prefix: prefix.trim_matches('/').to_owned() }
        };
        if !self.text.contains(TABLE) {
            return vec![place(&self.text)];
        }
        let named = tables::ALL.iter().map(|table| self.text.replace(TABLE, &table.name.to_lowercase()));
        named.map(|text| place(&text)).collect()
    }
}

impl FromStr for PullUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<PullUrl, String> {
        let problem = || {
            format!(
                "expected s3://BUCKET/PREFIX, az://CONTAINER/PREFIX or file:///FOLDER, without user and \
                 query, found {text:?}"
            )
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(problem)?;
        let store = match scheme {
            "s3" => Store::S3,
            "az" | "azblob" => Store::Azure,
            "file" => Store::Folder,
            _ => return Err(problem()),
        };
        let bucket = rest.split('/').next().unwrap_or_default();
        let is_place = match store {
            Store::Folder => bucket.is_empty() && rest.len() > 1,
            _ => {
                let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
                !bucket.is_empty() && bucket.replace(TABLE, "").chars().all(plain)
            }
        };
        let is_plain = text.len() <= 2_048
            && !text.chars().any(|c| c.is_control() || "?#@".contains(c))
            && rest.split('/').all(|part| part != "." && part != "..");
        if is_place && is_plain { Ok(PullUrl { text: text.to_owned(), store }) } else { Err(problem()) }
    }
}

impl fmt::Display for PullUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Value for PullUrl {
    fn from_text(text: &str) -> Result<PullUrl, String> {
        text.parse()
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(self))
    }
}

impl Section<'_, '_> {
    /// What the section names, if it is a store of objects; `None` if what it needs is missing or wrong.
    pub(super) fn objects(&mut self) -> Option<Objects> {
        let url = self.required::<PullUrl>("url", "where to fetch from, or api is");
        let mut text = |name| self.optional(name).map(|Name(text)| text);
        let objects = Objects {
            format: text("format"),
            region: text("region"),
            account: text("account"),
            endpoint: self.optional("endpoint"),
            credentials_file: self.optional("credentials_file"),
            forget_after: self.optional("forget_after").unwrap_or(Duration::from_secs(7 * 24 * 3600)),
            url: url?,
        };
        if objects.forget_after < Duration::from_secs(3600) {
            self.wrong("forget_after", "expected at least 1h".to_owned());
        }
        if objects.account.is_some() && objects.url.store != Store::Azure {
            self.wrong("account", "only Azure has accounts: az://CONTAINER/PREFIX".to_owned());
        }
        let of_platform = objects.endpoint.is_some() || objects.credentials_file.is_some();
        if of_platform && objects.url.store == Store::Folder {
            self.wrong("url", "a folder has no endpoint and no credentials".to_owned());
        }
        Some(objects)
    }
}

impl Objects {
    /// Its keys, with what is set of them, as TOML.
    pub(super) fn keys(&self) -> Vec<(&'static str, Option<String>)> {
        vec![
            ("url", self.url.to_toml()),
            ("endpoint", self.endpoint.to_toml()),
            ("region", self.region.as_deref().map(quoted)),
            ("account", self.account.as_deref().map(quoted)),
            ("credentials_file", self.credentials_file.to_toml()),
            ("format", self.format.as_deref().map(quoted)),
            ("forget_after", self.forget_after.to_toml()),
        ]
    }
}
