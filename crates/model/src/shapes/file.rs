//! The API's file.

use crate::shape::shape;

shape! {
    /// The API's file.
    SHAPE "File" {
        SHA1 "sha1" Text,
        SHA256 "sha256" Text,
        MD5 "md5" Text,
        GLOBAL_PREVALENCE "globalPrevalence" Int { is_nullable: false },
        GLOBAL_FIRST_OBSERVED "globalFirstObserved" Time,
        GLOBAL_LAST_OBSERVED "globalLastObserved" Time,
        SIZE "size" Int,
        FILE_TYPE "fileType" Text,
        IS_PE_FILE "isPeFile" Bool,
        FILE_PUBLISHER "filePublisher" Text,
        FILE_PRODUCT_NAME "fileProductName" Text,
        SIGNER "signer" Text,
        ISSUER "issuer" Text,
        SIGNER_HASH "signerHash" Text,
        IS_VALID_CERTIFICATE "isValidCertificate" Bool,
        DETERMINATION_TYPE "determinationType" Text,
        DETERMINATION_VALUE "determinationValue" Text,
    }
}
