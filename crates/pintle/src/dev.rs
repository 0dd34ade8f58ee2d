//! `pintle dev`: a complete local instance in one command, for people who write integrations.

pub mod ca;
pub mod generator;
pub mod hosts;
