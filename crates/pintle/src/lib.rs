//! pintle
#![allow(dead_code)]
pub mod dev;
