//! How clients reach the server and what every URL answers: the accept loop, TLS and what surrounds
//! every answer know nothing of the routes, and those nothing of connections.

pub mod accept;
pub mod api;
pub mod arguments;
mod body;
pub mod caller;
mod change;
pub mod compress;
pub mod connection;
pub mod coverage;
pub mod cursor;
pub mod discovery;
pub mod elastic;
pub mod envelope;
pub mod error;
mod form;
mod gate;
pub mod health;
mod html;
pub mod list;
pub mod look_back;
pub mod observe;
pub mod odata;
pub mod origin;
pub mod page;
pub mod path;
pub mod pieces;
mod quality;
pub mod quota;
pub mod reference;
pub mod representation;
pub mod resource;
pub mod routes;
pub mod sender;
pub mod sign_in;
mod telemetry;
pub mod tls;
pub mod token;
pub mod unknown;
pub mod unread;

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
