//! How common an IP address is in the tenant. The count stands there as text and as a number.

use crate::shape::shape;

shape! {
    /// How common an IP address is in the tenant. The count stands there as text and as a number.
    SHAPE "InOrgIPStats" {
        IP_ADDRESS "ipAddress" Text { is_nullable: false },
        ORG_PREVALENCE "orgPrevalence" Text { is_nullable: false },
        ORGANIZATION_PREVALENCE "organizationPrevalence" Int { is_nullable: false },
        ORG_FIRST_SEEN "orgFirstSeen" Time,
        ORG_LAST_SEEN "orgLastSeen" Time,
    }
}
