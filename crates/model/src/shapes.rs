//! The API's entities, one a file, members in wire order.

pub mod alert;
pub mod alert_comment;
pub mod alert_user;
pub mod domain;
pub mod domain_stats;
pub mod evidence;
pub mod file;
pub mod file_stats;
pub mod ip;
pub mod ip_address;
pub mod ip_stats;
pub mod logged_on_user;
pub mod machine;
pub mod user;
pub mod vm_metadata;
