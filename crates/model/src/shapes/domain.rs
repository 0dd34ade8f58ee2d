//! The API's domain, as an alert relates it.

use crate::shape::shape;

shape! {
    /// The API's domain.
    SHAPE {
        HOST "host" Text,
    }
}
