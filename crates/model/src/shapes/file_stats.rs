//! How common a file is in the tenant. Each count stands there as text and as a number.

use crate::Part;
use crate::shape::shape;

shape! {
    /// How common a file is in the tenant. Each count stands there as text and as a number.
    SHAPE "InOrgFileStats" {
        SHA1 "sha1" Text,
        ORG_PREVALENCE "orgPrevalence" Text { is_nullable: false },
        ORGANIZATION_PREVALENCE "organizationPrevalence" Int { is_nullable: false },
        ORG_FIRST_SEEN "orgFirstSeen" Time,
        ORG_LAST_SEEN "orgLastSeen" Time,
        GLOBAL_PREVALENCE "globalPrevalence" Text { is_nullable: false },
        GLOBALLY_PREVALENCE "globallyPrevalence" Int { is_nullable: false },
        GLOBAL_FIRST_OBSERVED "globalFirstObserved" Time,
        GLOBAL_LAST_OBSERVED "globalLastObserved" Time,
        TOP_FILE_NAMES "topFileNames" List { is_nullable: false, of: Some(Part::Texts) },
    }
}
