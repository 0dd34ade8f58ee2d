//! What a machine that is a virtual one is in its cloud.

use crate::shape::shape;

shape! {
    /// What a machine that is a virtual one is in its cloud.
    SHAPE "VmMetadata" {
        VM_ID "vmId" Text,
        CLOUD_PROVIDER "cloudProvider" Text,
        RESOURCE_ID "resourceId" Text,
        SUBSCRIPTION_ID "subscriptionId" Text,
    }
}
