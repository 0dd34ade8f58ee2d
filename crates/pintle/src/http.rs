//! The server's HTTP side: what every URL answers.

pub mod api;
pub mod caller;
pub mod discovery;
pub mod envelope;
pub mod error;
mod form;
pub mod origin;
pub mod page;
pub mod path;
pub mod quota;
pub mod routes;
pub mod token;
