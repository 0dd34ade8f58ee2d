//! The API's alert.

use crate::shape::shape;
use crate::{Kind, Member, MemberId, Shape};

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

/// `sequence`: ours, no part of the API's alert. The number of its last change, greater than that of any
/// change before it; shown to who asks for it.
pub const SEQUENCE: MemberId = MemberId(MEMBERS as u8);

/// The API's alert with what may be asked for besides.
pub static ASKABLE: Shape = Shape { members: &WITH_SEQUENCE };

const MEMBERS: usize = SHAPE.members.len();

static WITH_SEQUENCE: [Member; MEMBERS + 1] = {
    let mut members = [Member { name: "sequence", kind: Kind::Int }; MEMBERS + 1];
    let (known, _) = members.split_at_mut(MEMBERS);
    known.copy_from_slice(SHAPE.members);
    members
};
