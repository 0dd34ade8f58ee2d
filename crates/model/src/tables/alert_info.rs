//! One row an alert.

use crate::table::table;

table! {
    10 "AlertInfo" {
        TIMESTAMP "Timestamp" Time,
        ALERT_ID "AlertId" Text,
        TITLE "Title" Text,
        CATEGORY "Category" Text,
        SEVERITY "Severity" Text,
        SERVICE_SOURCE "ServiceSource" Text,
        DETECTION_SOURCE "DetectionSource" Text,
        ATTACK_TECHNIQUES "AttackTechniques" Text,
        MACHINE_GROUP "MachineGroup" Text,
    }
}
