//! Signing certificates of files, by SHA-1.

use crate::table::table;

table! {
    9 "DeviceFileCertificateInfo" {
        TIMESTAMP "Timestamp" Time,
        DEVICE_ID "DeviceId" Text,
        DEVICE_NAME "DeviceName" Text,
        SHA1 "SHA1" Text,
        IS_SIGNED "IsSigned" Bool,
        SIGNATURE_TYPE "SignatureType" Text,
        SIGNER "Signer" Text,
        SIGNER_HASH "SignerHash" Text,
        ISSUER "Issuer" Text,
        ISSUER_HASH "IssuerHash" Text,
        CERTIFICATE_SERIAL_NUMBER "CertificateSerialNumber" Text,
        CRL_DISTRIBUTION_POINT_URLS "CrlDistributionPointUrls" Text,
        CERTIFICATE_CREATION_TIME "CertificateCreationTime" Time,
        CERTIFICATE_EXPIRATION_TIME "CertificateExpirationTime" Time,
        CERTIFICATE_COUNTERSIGNATURE_TIME "CertificateCountersignatureTime" Time,
        IS_TRUSTED "IsTrusted" Bool,
        IS_ROOT_SIGNER_MICROSOFT "IsRootSignerMicrosoft" Bool,
        REPORT_ID "ReportId" Long,
        MACHINE_GROUP "MachineGroup" Text,
    }
}
