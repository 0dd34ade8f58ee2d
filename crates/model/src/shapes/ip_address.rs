//! An address of a machine, as an element of its `ipAddresses`.

use crate::shape::shape;

shape! {
    /// An address of a machine, as an element of its `ipAddresses`.
    SHAPE "IpAddress" {
        IP_ADDRESS "ipAddress" Text { is_nullable: false },
        MAC_ADDRESS "macAddress" Text,
        TYPE "type" Text,
        OPERATIONAL_STATUS "operationalStatus" Text,
    }
}
