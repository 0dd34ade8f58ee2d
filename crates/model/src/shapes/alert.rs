//! The API's alert.

use crate::shape::shape;

shape! {
    /// The API's alert.
    SHAPE {
        ID "id" Text,
        INCIDENT_ID "incidentId" Int,
        INVESTIGATION_ID "investigationId" Int,
        ASSIGNED_TO "assignedTo" Text,
        SEVERITY "severity" Text,
        STATUS "status" Text,
        CLASSIFICATION "classification" Text,
        DETERMINATION "determination" Text,
        INVESTIGATION_STATE "investigationState" Text,
        DETECTION_SOURCE "detectionSource" Text,
        DETECTOR_ID "detectorId" Text,
        CATEGORY "category" Text,
        THREAT_FAMILY_NAME "threatFamilyName" Text,
        TITLE "title" Text,
        DESCRIPTION "description" Text,
        ALERT_CREATION_TIME "alertCreationTime" Time,
        FIRST_EVENT_TIME "firstEventTime" Time,
        LAST_EVENT_TIME "lastEventTime" Time,
        LAST_UPDATE_TIME "lastUpdateTime" Time,
        RESOLVED_TIME "resolvedTime" Time,
        MACHINE_ID "machineId" Text,
        COMPUTER_DNS_NAME "computerDnsName" Text,
        RBAC_GROUP_NAME "rbacGroupName" Text,
        AAD_TENANT_ID "aadTenantId" Text,
        THREAT_NAME "threatName" Text,
        MITRE_TECHNIQUES "mitreTechniques" List,
        RELATED_USER "relatedUser" Object,
        LOGGED_ON_USERS "loggedOnUsers" List,
        COMMENTS "comments" List,
        EVIDENCE "evidence" List,
        DOMAINS "domains" List,
    }
}
