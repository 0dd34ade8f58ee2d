//! The API's IP address, as an alert relates it.

use crate::shape::shape;

shape! {
    /// The API's IP address.
    SHAPE {
        ID "id" Text,
    }
}
