//! The user whom an alert is about.

use crate::shape::shape;

shape! {
    /// The user whom an alert is about.
    SHAPE "AlertUser" {
        USER_NAME "userName" Text,
        DOMAIN_NAME "domainName" Text,
    }
}
