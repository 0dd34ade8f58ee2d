//! The same instance over a Unix socket, for the command line. While a process owns the data
//! folder it listens on `pintle.sock` in it; a command that finds nobody there takes the folder
//! itself, listens, and is its own client, so that there is one way in for both.
//!
//! The socket is 0600: who may read and write the data folder may do everything, to the whole of
//! any tenant. The routes are HTTP/1.1 of our own and no API: client and server are one binary.

mod address;
mod client;
mod server;
mod session;
pub(crate) mod wire;

pub use client::{Client, ClientError};
pub use server::{ListenError, Listening, listen};
pub use session::{Session, SessionError};

/// The socket's name in the data folder.
pub const FILE: &str = "pintle.sock";

#[cfg(test)]
mod tests;
