//! How commands ask for operations of administration.

use axum::http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::place::Folder;
use super::{Failure, Place};
use crate::admin::wire;

/// What may not stand in a piece of a path as it is (RFC 3986 §2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Kinds of objects, to each of which one is added by a POST.
const MADE: &[&str] =
    &["tenants", "clients", "inlets", "users", "user-groups", "roles", "device-groups", "machine-rules"];

/// Which tenant's objects, where, and how what comes of it is printed
#[derive(Clone, Debug, clap::Args)]
pub struct Within {
    /// The tenant and the folder.
    #[command(flatten)]
    pub place: Place,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

impl Within {
    /// Asks for an operation on the tenant.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        ask(&self.place.folder, Some(&self.place.tenant), method, path, body).await
    }

    /// Lists a kind of object.
    pub(super) async fn list<T: DeserializeOwned>(&self, kind: &str) -> Result<Vec<T>, Failure> {
        self.ask(Method::GET, &[kind], &Value::Null).await
    }

    /// Prints one as JSON, or in words.
    pub(super) fn print<T: Serialize>(
        &self,
        made: &T,
        in_words: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        super::print(&if self.json { super::json(made)? } else { in_words(made) })
    }
}

/// Asks for an operation; without a tenant, on all of them. The path's pieces stand below `/api/admin`.
pub(super) async fn ask<T: DeserializeOwned>(
    folder: &Folder,
    tenant: Option<&str>,
    method: Method,
    path: &[&str],
    body: &impl Serialize,
) -> Result<T, Failure> {
    // What is made may go into a folder that is not there yet; nothing can be found in one.
    let makes = method == Method::POST && matches!(path, [kind] if MADE.contains(kind));
    let session = if makes { folder.take().await? } else { folder.find().await? };
    let path: String =
        path.iter().map(|piece| format!("/{}", utf8_percent_encode(piece, RESERVED))).collect();
    let of = wire::OfTenant { tenant: tenant.map(str::to_owned) };
    let answer = session.client.administer(method, &format!("/api/admin{path}"), &of, body).await;
    session.end().await;
    Ok(answer?)
}
