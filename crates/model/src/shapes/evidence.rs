//! A piece of evidence: one flat shape for all kinds.

use crate::shape::shape;

shape! {
    /// A piece of evidence: one flat shape for all kinds.
    SHAPE "AlertEvidence" {
        ENTITY_TYPE "entityType" Text { words: &KINDS },
        EVIDENCE_CREATION_TIME "evidenceCreationTime" Time,
        SHA1 "sha1" Text,
        SHA256 "sha256" Text,
        FILE_NAME "fileName" Text,
        FILE_PATH "filePath" Text,
        PROCESS_ID "processId" Int,
        PROCESS_COMMAND_LINE "processCommandLine" Text,
        PROCESS_CREATION_TIME "processCreationTime" Time,
        PARENT_PROCESS_ID "parentProcessId" Int,
        PARENT_PROCESS_CREATION_TIME "parentProcessCreationTime" Time,
        PARENT_PROCESS_FILE_NAME "parentProcessFileName" Text,
        PARENT_PROCESS_FILE_PATH "parentProcessFilePath" Text,
        IP_ADDRESS "ipAddress" Text,
        URL "url" Text,
        REGISTRY_KEY "registryKey" Text,
        REGISTRY_HIVE "registryHive" Text,
        REGISTRY_VALUE_TYPE "registryValueType" Text,
        REGISTRY_VALUE "registryValue" Text,
        REGISTRY_VALUE_NAME "registryValueName" Text,
        ACCOUNT_NAME "accountName" Text,
        DOMAIN_NAME "domainName" Text,
        USER_SID "userSid" Text,
        AAD_USER_ID "aadUserId" Text,
        USER_PRINCIPAL_NAME "userPrincipalName" Text,
        DETECTION_STATUS "detectionStatus" Text,
    }
}

/// The kinds of evidence there are.
pub const KINDS: [&str; 6] = ["User", "Process", "File", "Ip", "Url", "Registry"];
