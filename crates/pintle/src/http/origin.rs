//! Under which scheme and host a request came, for `@odata.context`, links and, in `dev`, the
//! discovery documents. Never for anything that decides: issuer and audiences are configured.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::HOST;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName, Request};

use crate::http::{Peer, Scheme};
use crate::instance::Instance;

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
    extensions.get() == Some(&Scheme::Https)
        || is_from_proxy(extensions, instance) && last(headers, "x-forwarded-proto") == Some("https")
}

/// Where the client is, if anybody knows.
pub struct ClientAddress(pub(crate) Option<IpAddr>);

impl FromRequestParts<Arc<Instance>> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        instance: &Arc<Instance>,
    ) -> Result<ClientAddress, Infallible> {
        Ok(ClientAddress(client_address(parts, instance)))
    }
}

/// Where the client is, as far as can be believed; `None` where nobody knows.
pub fn client_address(parts: &Parts, instance: &Instance) -> Option<IpAddr> {
    address_of(&parts.headers, &parts.extensions, instance)
}

/// The same of a request that is whole still.
pub(crate) fn client_address_of<B>(request: &Request<B>, instance: &Instance) -> Option<IpAddr> {
    address_of(request.headers(), request.extensions(), instance)
}

fn address_of(headers: &HeaderMap, extensions: &Extensions, instance: &Instance) -> Option<IpAddr> {
    let Peer(peer) = extensions.get()?;
    if instance.config.server.trusts(peer.ip()) {
        // One that does not read is the proxy's fault, and its own address would be everybody's.
        return address(last(headers, "x-forwarded-for")?);
    }
    Some(peer.ip())
}

/// An address as proxies write it: bare, in brackets, with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))
}

fn named_by_request(parts: &Parts, instance: &Instance) -> Option<String> {
    let from_proxy = is_from_proxy(&parts.extensions, instance);
    let forwarded = from_proxy.then(|| last(&parts.headers, "x-forwarded-host")).flatten();
    // HTTP/2 names the host in the URI.
    let authority = parts.uri.authority().map(|authority| authority.as_str());
    let header = || parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = forwarded.or(authority).or_else(header).filter(|host| is_host(host))?;
    let encrypted = is_encrypted(&parts.headers, &parts.extensions, instance);
    Some(format!("{}://{host}", if encrypted { Scheme::Https } else { Scheme::Http }.as_str()))
}

/// Whether the request came by a proxy whose headers are believed. On a Unix socket nobody knows.
fn is_from_proxy(extensions: &Extensions, instance: &Instance) -> bool {
    extensions.get().is_some_and(|Peer(peer)| instance.config.server.trusts(peer.ip()))
}

/// The last value of a list that proxies append to: the one the proxy next to us wrote.
fn last<'h>(headers: &'h HeaderMap, name: &'static str) -> Option<&'h str> {
    let values = headers.get_all(HeaderName::from_static(name));
    let line = values.into_iter().next_back()?.to_str().ok()?;
    line.rsplit(',').next().map(str::trim)
}

/// A host and a port, and nothing that could end a JSON text or a URL's authority.
fn is_host(text: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    !text.is_empty() && text.len() <= 255 && text.bytes().all(allowed)
}
