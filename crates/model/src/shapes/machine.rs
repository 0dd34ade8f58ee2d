//! The API's machine.

use crate::Part;
use crate::shape::shape;

shape! {
    /// The API's machine.
    SHAPE "Machine" {
        ID "id" Text { is_nullable: false },
        MERGED_INTO_MACHINE_ID "mergedIntoMachineId" Text,
        IS_POTENTIAL_DUPLICATION "isPotentialDuplication" Bool { is_nullable: false },
        IS_EXCLUDED "isExcluded" Bool { is_nullable: false },
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
        HEALTH_STATUS "healthStatus" Text { is_nullable: false, words: &["Active", "Inactive", "ImpairedCommunication", "NoSensorData", "NoSensorDataImpairedCommunication", "Unknown"] },
        DEVICE_VALUE "deviceValue" Text { words: &["Normal", "Low", "High"] },
        RBAC_GROUP_ID "rbacGroupId" Int { is_short: true },
        RBAC_GROUP_NAME "rbacGroupName" Text,
        RISK_SCORE "riskScore" Text { words: &["None", "Informational", "Low", "Medium", "High"] },
        EXPOSURE_LEVEL "exposureLevel" Text { words: &["None", "Low", "Medium", "High"] },
        IS_AAD_JOINED "isAadJoined" Bool,
        AAD_DEVICE_ID "aadDeviceId" Text,
        MACHINE_TAGS "machineTags" List { is_nullable: false, of: Some(Part::Texts) },
        DEFENDER_AV_STATUS "defenderAvStatus" Text { words: &["Updated", "NotUpdated", "NotSupported", "Unknown"] },
        ONBOARDING_STATUS "onboardingStatus" Text { is_nullable: false, words: &["Onboarded", "CanBeOnboarded", "Unsupported", "InsufficientInfo"] },
        OS_ARCHITECTURE "osArchitecture" Text,
        MANAGED_BY "managedBy" Text,
        MANAGED_BY_STATUS "managedByStatus" Text,
        IP_ADDRESSES "ipAddresses" List { is_nullable: false, of: Some(Part::Shape(&super::ip_address::SHAPE)) },
        VM_METADATA "vmMetadata" Object { of: Some(Part::Shape(&super::vm_metadata::SHAPE)) },
    }
}
