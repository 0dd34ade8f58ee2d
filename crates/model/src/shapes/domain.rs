//! The API's domain.

use crate::shape::shape;

shape! {
    /// The API's domain.
    SHAPE "Domain" {
        HOST "host" Text { is_nullable: false },
    }
}
