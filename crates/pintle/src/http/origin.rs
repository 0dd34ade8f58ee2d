//! Under which scheme and host a request came, for `@odata.context`, links and, in `dev`, the
//! discovery documents. Never for anything that decides: issuer and audiences are configured.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::HOST;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName};

use crate::http::{Peer, Scheme};
use crate::instance::Instance;

/// What can be believed of a request's connection.
struct Connection {
    peer: IpAddr,
    tls: bool,
}

impl Connection {
    /// What the accept loop put down; nothing on a Unix socket.
    fn of(extensions: &Extensions) -> Option<Connection> {
        let Peer(address) = extensions.get()?;
        Some(Connection { peer: address.ip(), tls: extensions.get() == Some(&Scheme::Https) })
    }
}

/// Scheme and host, such as `https://pintle.example.org`, without a slash at the end. Empty if the
/// request names no host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(Arc<str>);

impl Origin {
    /// The origin as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The configured public URL, else what the request names. `dev` answers under many names, so
    /// there the request's own goes first.
    pub fn of(parts: &Parts, instance: &Instance) -> Origin {
        match instance.public_url() {
            Some(url) if !instance.is_dev() => Origin(url.into()),
            public => match named_by_request(parts, instance) {
                Some(origin) => Origin(origin.into()),
                None => Origin(public.unwrap_or_default().into()),
            },
        }
    }
}

impl FromRequestParts<Arc<Instance>> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, instance: &Arc<Instance>) -> Result<Origin, Infallible> {
        Ok(Origin::of(parts, instance))
    }
}

/// Whether the client's connection is encrypted, as far as can be believed.
pub fn is_encrypted(headers: &HeaderMap, extensions: &Extensions, instance: &Instance) -> bool {
    match Connection::of(extensions) {
        Some(connection) if connection.tls => true,
        Some(connection) if instance.config.server.trusts(connection.peer) => {
            last(headers, "x-forwarded-proto") == Some("https")
        }
        _ => false,
    }
}

fn named_by_request(parts: &Parts, instance: &Instance) -> Option<String> {
    let trusted = Connection::of(&parts.extensions).is_some_and(|connection| instance.config.server.trusts(connection.peer));
    let forwarded = trusted.then(|| last(&parts.headers, "x-forwarded-host")).flatten();
    // HTTP/2 names the host in the URI.
    let authority = parts.uri.authority().map(|authority| authority.as_str());
    let header = || parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = forwarded.or(authority).or_else(header).filter(|host| is_host(host))?;
    let scheme = if is_encrypted(&parts.headers, &parts.extensions, instance) { "https" } else { "http" };
    Some(format!("{scheme}://{host}"))
}

/// The last value of a list that proxies append to: the one the proxy next to us wrote.
fn last<'h>(headers: &'h HeaderMap, name: &'static str) -> Option<&'h str> {
    let values = headers.get_all(HeaderName::from_static(name));
    let line = values.into_iter().next_back()?.to_str().ok()?;
    line.rsplit(',').next().map(str::trim)
}

/// A host and a port, and nothing that could end a JSON text or a URL's authority.
fn is_host(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    !text.is_empty() && text.len() <= 255 && text.bytes().all(allowed)
}
