//! A user who is signed in to an alert's machine.

use crate::shape::shape;

shape! {
    /// A user who is signed in to an alert's machine.
    SHAPE "LoggedOnUser" {
        ACCOUNT_NAME "accountName" Text,
        DOMAIN_NAME "domainName" Text,
    }
}
