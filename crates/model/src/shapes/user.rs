//! The API's user.

use crate::shape::shape;

shape! {
    /// The API's user.
    SHAPE "User" {
        ID "id" Text { is_nullable: false },
        ACCOUNT_NAME "accountName" Text,
        ACCOUNT_DOMAIN "accountDomain" Text,
        ACCOUNT_SID "accountSid" Text,
        FIRST_SEEN "firstSeen" Time,
        LAST_SEEN "lastSeen" Time,
        MOST_PREVALENT_MACHINE_ID "mostPrevalentMachineId" Text,
        LEAST_PREVALENT_MACHINE_ID "leastPrevalentMachineId" Text,
        LOGON_TYPES "logonTypes" Text,
        LOG_ON_MACHINES_COUNT "logOnMachinesCount" Int { is_short: true },
        IS_DOMAIN_ADMIN "isDomainAdmin" Bool,
        IS_ONLY_NETWORK_USER "isOnlyNetworkUser" Bool,
    }
}
