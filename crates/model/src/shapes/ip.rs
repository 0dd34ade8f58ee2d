//! The API's IP address.

use crate::shape::shape;

shape! {
    /// The API's IP address.
    SHAPE "Ip" {
        ID "id" Text { is_nullable: false },
    }
}
