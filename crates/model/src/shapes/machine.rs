//! The API's machine.

use crate::shape::shape;

shape! {
    /// The API's machine.
    SHAPE {
        ID "id" Text,
        MERGED_INTO_MACHINE_ID "mergedIntoMachineId" Text,
        IS_POTENTIAL_DUPLICATION "isPotentialDuplication" Bool,
        IS_EXCLUDED "isExcluded" Bool,
        EXCLUSION_REASON "exclusionReason" Text,
        COMPUTER_DNS_NAME "computerDnsName" Text,
        FIRST_SEEN "firstSeen" Time,
        LAST_SEEN "lastSeen" Time,
        OS_PLATFORM "osPlatform" Text,
        OS_VERSION "osVersion" Text,
        OS_PROCESSOR "osProcessor" Text,
        VERSION "version" Text,
        LAST_IP_ADDRESS "lastIpAddress" Text,
        LAST_EXTERNAL_IP_ADDRESS "lastExternalIpAddress" Text,
        AGENT_VERSION "agentVersion" Text,
        OS_BUILD "osBuild" Int,
        HEALTH_STATUS "healthStatus" Text,
        DEVICE_VALUE "deviceValue" Text,
        RBAC_GROUP_ID "rbacGroupId" Int,
        RBAC_GROUP_NAME "rbacGroupName" Text,
        RISK_SCORE "riskScore" Text,
        EXPOSURE_LEVEL "exposureLevel" Text,
        IS_AAD_JOINED "isAadJoined" Bool,
        AAD_DEVICE_ID "aadDeviceId" Text,
        MACHINE_TAGS "machineTags" List,
        DEFENDER_AV_STATUS "defenderAvStatus" Text,
        ONBOARDING_STATUS "onboardingStatus" Text,
        OS_ARCHITECTURE "osArchitecture" Text,
        MANAGED_BY "managedBy" Text,
        MANAGED_BY_STATUS "managedByStatus" Text,
        IP_ADDRESSES "ipAddresses" List,
        VM_METADATA "vmMetadata" Object,
    }
}
