//! How clients reach the server: the accept loop, TLS and what surrounds every answer. It serves
//! any router; what the router answers is none of its business.

pub mod accept;
pub mod compress;
pub mod connection;
pub mod health;
pub mod observe;
pub mod tls;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;

pub use accept::{Listener, Policy, serve};

/// Request extension: the other end of the connection. Absent on a Unix socket. It may be a proxy;
/// who is behind it is in headers that only a trusted one may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// Request extension: how the request reached this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// As it stands in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

/// Response extension: the application that asked, for the access log. A handler that knows it
/// puts it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppId(pub String);
