//! A comment on an alert.

use crate::shape::shape;

shape! {
    /// A comment on an alert.
    SHAPE "AlertComment" {
        COMMENT "comment" Text,
        CREATED_BY "createdBy" Text,
        CREATED_TIME "createdTime" Time,
    }
}
