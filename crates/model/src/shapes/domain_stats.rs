//! How common a domain is in the tenant. The count stands there as text and as a number.

use crate::shape::shape;

shape! {
    /// How common a domain is in the tenant. The count stands there as text and as a number.
    SHAPE "InOrgDomainStats" {
        HOST "host" Text { is_nullable: false },
        ORG_PREVALENCE "orgPrevalence" Text { is_nullable: false },
        ORG_FIRST_SEEN "orgFirstSeen" Time,
        ORG_LAST_SEEN "orgLastSeen" Time,
        ORGANIZATION_PREVALENCE "organizationPrevalence" Int { is_nullable: false },
    }
}
