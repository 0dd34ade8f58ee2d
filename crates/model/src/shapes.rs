//! The API's entities, one a file, members in wire order.

pub mod alert;
pub mod domain;
pub mod evidence;
pub mod file;
pub mod ip;
pub mod ip_address;
pub mod machine;
pub mod user;
