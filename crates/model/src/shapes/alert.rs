//! The API's alert.

use crate::Part;
use crate::shape::shape;
use crate::{Kind, Member, MemberId, Shape};

shape! {
    /// The API's alert.
    SHAPE "Alert" {
        ID "id" Text { is_nullable: false },
        INCIDENT_ID "incidentId" Int,
        INVESTIGATION_ID "investigationId" Int,
        ASSIGNED_TO "assignedTo" Text,
        SEVERITY "severity" Text { is_nullable: false, words: &["UnSpecified", "Informational", "Low", "Medium", "High"] },
        STATUS "status" Text { is_nullable: false, words: &["Unknown", "New", "InProgress", "Resolved"] },
        CLASSIFICATION "classification" Text { words: &["Unknown", "TruePositive", "InformationalExpectedActivity", "FalsePositive"] },
        DETERMINATION "determination" Text { words: &["NotAvailable", "Apt", "SecurityPersonnel", "MultiStagedAttack", "MaliciousUserActivity", "CompromisedUser", "Malware", "Phishing", "UnwantedSoftware", "SecurityTesting", "LineOfBusinessApplication", "ConfirmedUserActivity", "ConfirmedActivity", "Clean", "NotMalicious", "InsufficientData", "NotEnoughDataToValidate", "NoEnoughDataToValidate", "Other"] },
        INVESTIGATION_STATE "investigationState" Text { words: &["Unknown", "Terminated", "SuccessfullyRemediated", "Benign", "Failed", "PartiallyRemediated", "Running", "PendingApproval", "PendingResource", "PartiallyInvestigated", "TerminatedByUser", "TerminatedBySystem", "Queued", "InnerFailure", "PreexistingAlert", "UnsupportedOs", "UnsupportedAlertType", "SuppressedAlert"] },
        DETECTION_SOURCE "detectionSource" Text,
        DETECTOR_ID "detectorId" Text,
        CATEGORY "category" Text,
        THREAT_FAMILY_NAME "threatFamilyName" Text,
        TITLE "title" Text { is_nullable: false },
        DESCRIPTION "description" Text,
        ALERT_CREATION_TIME "alertCreationTime" Time,
        FIRST_EVENT_TIME "firstEventTime" Time,
        LAST_EVENT_TIME "lastEventTime" Time,
        LAST_UPDATE_TIME "lastUpdateTime" Time,
        RESOLVED_TIME "resolvedTime" Time,
        MACHINE_ID "machineId" Text,
        COMPUTER_DNS_NAME "computerDnsName" Text,
        RBAC_GROUP_NAME "rbacGroupName" Text,
        AAD_TENANT_ID "aadTenantId" Text { is_nullable: false },
        THREAT_NAME "threatName" Text,
        MITRE_TECHNIQUES "mitreTechniques" List { is_nullable: false, of: Some(Part::Texts) },
        RELATED_USER "relatedUser" Object { of: Some(Part::Shape(&super::alert_user::SHAPE)) },
        LOGGED_ON_USERS "loggedOnUsers" List { is_nullable: false, of: Some(Part::Shape(&super::logged_on_user::SHAPE)) },
        COMMENTS "comments" List { is_nullable: false, of: Some(Part::Shape(&super::alert_comment::SHAPE)) },
        EVIDENCE "evidence" List { is_nullable: false, of: Some(Part::Shape(&super::evidence::SHAPE)) },
        DOMAINS "domains" List { is_nullable: false, of: Some(Part::Shape(&super::domain::SHAPE)) },
    }
}

/// `sequence`: ours, no part of the API's alert. The number of its last change, greater than that of any
/// change before it; shown to who asks for it.
pub const SEQUENCE: MemberId = MemberId(MEMBERS as u8);

/// The API's alert with what may be asked for besides.
pub static ASKABLE: Shape = Shape { name: SHAPE.name, members: &WITH_SEQUENCE };

const MEMBERS: usize = SHAPE.members.len();

static WITH_SEQUENCE: [Member; MEMBERS + 1] = {
    let sequence =
        Member { name: "sequence", kind: Kind::Int, is_nullable: false, is_on_request: true, ..Member::ANY };
    let mut members = [sequence; MEMBERS + 1];
    let (known, _) = members.split_at_mut(MEMBERS);
    known.copy_from_slice(SHAPE.members);
    members
};
