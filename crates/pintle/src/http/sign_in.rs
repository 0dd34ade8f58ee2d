//! Where users sign in: the authorization endpoints, and the page on which a user tells that a device is
//! theirs. Nothing is kept of a browser: whoever wants a token types the password, so there is no cookie
//! that another page could ride on.

mod authorize;
mod device;
mod page;

pub use authorize::{v1 as authorize_v1, v2 as authorize_v2};
pub use device::{auth as device_auth, v1 as device_code_v1, v2 as device_code_v2};
