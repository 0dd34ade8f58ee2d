//! Who may ask: applications and users, what they may do, the built-in issuer and its tokens. HTTP is
//! left to `http`.

mod anew;
pub mod application;
pub mod assertion;
mod cache;
pub mod certificate;
pub mod codes;
pub mod control;
pub mod device_group;
pub mod inlet;
pub mod issuer;
pub mod keys;
pub mod lockout;
pub mod machine_rule;
pub mod outside;
pub mod password;
pub mod permission;
pub mod redirect;
pub mod rights;
pub mod role;
pub mod secret;
pub mod sessions;
pub mod token;
pub mod user;

pub(crate) use anew::without_secrets;

/// What secrets are hashed with, in the data folder.
pub(crate) const PEPPER: &str = "pepper";

/// What keeps the keys or the applications from being read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, with the path.
        what: String,
        /// The refusal.
        source: std::io::Error,
    },
    /// A file is not what was written: restore it from a backup.
    #[error("{} cannot be used: {reason}", .file.display())]
    Damaged {
        /// The file.
        file: std::path::PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// The system trusts nobody.
    #[error(
        "the system has no certificate authorities, so the keys of an outside issuer cannot be fetched: \
         install them (ca-certificates), or name a file of them with outside_issuers.{0}.ca_file"
    )]
    NoAuthorities(String),
    /// The cryptographic library failed.
    #[error("{0} failed in the cryptographic library")]
    Crypto(&'static str),
}

impl Error {
    fn io(what: &str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Error {
        let what = format!("cannot {what} {}", path.display());
        move |source| Error::Io { what, source }
    }

    fn damaged(file: &std::path::Path, reason: impl std::fmt::Display) -> Error {
        Error::Damaged { file: file.to_owned(), reason: reason.to_string() }
    }
}

/// Random bytes that nobody can guess.
fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::Crypto("making random bytes"))?;
    Ok(bytes)
}
