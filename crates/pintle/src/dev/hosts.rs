//! The names under which clients know the service: most shipped clients have them built in, so
//! `pintle dev` answers to all of them.

/// Where tokens are asked for: the global sign-in host, its alias, the issuer's own name, and the
/// one of the higher US government clouds.
pub const SIGN_IN: &[&str] =
    &["login.microsoftonline.com", "login.windows.net", "sts.windows.net", "login.microsoftonline.us"];

/// Where the API is asked: global, regional (of 2021, then of today), US government.
pub const API: &[&str] = &[
    "api.securitycenter.microsoft.com",
    "api.security.microsoft.com",
    "api.securitycenter.windows.com",
    "api-us.securitycenter.microsoft.com",
    "api-eu.securitycenter.microsoft.com",
    "api-eu3.securitycenter.microsoft.com",
    "api-uk.securitycenter.microsoft.com",
    "api-au.securitycenter.microsoft.com",
    "api-us.securitycenter.windows.com",
    "api-eu.securitycenter.windows.com",
    "api-uk.securitycenter.windows.com",
    "api-au.securitycenter.windows.com",
    "us.api.security.microsoft.com",
    "eu.api.security.microsoft.com",
    "uk.api.security.microsoft.com",
    "au.api.security.microsoft.com",
    "swa.api.security.microsoft.com",
    "ina.api.security.microsoft.com",
    "api-gcc.securitycenter.microsoft.us",
    "api-gov.securitycenter.microsoft.us",
];

/// The names of this computer, which need no entry in a hosts file.
pub const LOCAL: &[&str] = &["localhost", "127.0.0.1", "::1"];

/// Lines for a hosts file that send every name to this computer.
pub fn lines() -> Vec<String> {
    SIGN_IN.iter().chain(API).map(|host| format!("127.0.0.1 {host}")).collect()
}
