//! The server and the command line: all that a client can touch. Only this crate knows JSON
//! envelopes, OData, OAuth2 and status codes.

pub mod auth;
pub mod dev;
mod private_file;
pub mod quota;
