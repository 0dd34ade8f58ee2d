//! The API's user, also as a machine's logon user.

use crate::shape::shape;

shape! {
    /// The API's user, also as a machine's logon user.
    SHAPE {
        ID "id" Text,
        ACCOUNT_NAME "accountName" Text,
        ACCOUNT_DOMAIN "accountDomain" Text,
        ACCOUNT_SID "accountSid" Text,
        FIRST_SEEN "firstSeen" Time,
        LAST_SEEN "lastSeen" Time,
        MOST_PREVALENT_MACHINE_ID "mostPrevalentMachineId" Text,
        LEAST_PREVALENT_MACHINE_ID "leastPrevalentMachineId" Text,
        LOGON_TYPES "logonTypes" Text,
        LOG_ON_MACHINES_COUNT "logOnMachinesCount" Int,
        IS_DOMAIN_ADMIN "isDomainAdmin" Bool,
        IS_ONLY_NETWORK_USER "isOnlyNetworkUser" Bool,
    }
}
